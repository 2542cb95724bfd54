"""What the rooms below HTTP may know of the request that they work for.

A pool, a client or a cache takes the request as an argument, and reads only what stands here.
Where no request is given, the one that the current task serves is used.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Protocol

__all__ = ["RequestContext", "current_request"]


class RequestContext(Protocol):
    """The part of a request that every room may read."""

    @property
    def id(self) -> Any:
        """The request's id: that of ``X-Request-ID``, or one made here."""

    def get(self, key: str, default: Any = None) -> Any:
        """An item that was put on the request (``request["span"] = …``), or ``default``."""


current_request: ContextVar[RequestContext | None] = ContextVar(
    "sanic_ms_current_request", default=None
)
"""The request that the current task serves; None outside of one."""
