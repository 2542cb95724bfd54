"""The service: where the rooms of the framework are put together."""

from __future__ import annotations

from sanic_ms.service.service import Service

__all__ = ["Service"]
