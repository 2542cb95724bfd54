"""The service: where the packages of the framework are composed."""

from __future__ import annotations

from sanic_ms.service.plugins import Plugin
from sanic_ms.service.service import Service

__all__ = ["Plugin", "Service"]
