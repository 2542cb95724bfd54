"""The part of a request that packages below HTTP may read.

A pool, a client or a cache takes the request as an argument, and reads only what stands here.
Where no request is given, the one that the current task serves is used.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import Any, Protocol

__all__ = ["RequestContext", "current_request"]


class RequestContext(Protocol):
    """The part of a request that every package may read."""

    @property
    def id(self) -> Any:
        """The request's id: that of ``X-Request-ID``, or one made here."""

    def get(self, key: str, default: Any = None) -> Any:
        """An item that was put on the request (``request["span"] = …``), or ``default``."""


class _CurrentRequest:
    """The request that the current task serves: a context variable, and at first one of its own."""

    def __init__(self) -> None:
        self._variable: ContextVar[Any] = ContextVar("sanic_ms_current_request")

    def follow(self, variable: ContextVar[Any]) -> None:
        """Be another variable: that of a web framework, which sets it for each request anyhow."""
        self._variable = variable

    def get(self, default: RequestContext | None = None) -> RequestContext | None:
        """The request, or ``default`` outside of one."""
        request: RequestContext | None = self._variable.get(default)
        return request

    def set(self, request: RequestContext) -> Token[Any]:
        """Make a request the current one, and give what `reset` takes."""
        return self._variable.set(request)

    def reset(self, token: Token[Any]) -> None:
        """Make the one current that was so before."""
        token.var.reset(token)


current_request = _CurrentRequest()
