"""Requests of a service with a deadline, under every server."""

from __future__ import annotations

from typing import Any

from sanic import Sanic

from sanic_ms.http.deadlines import (
    caller_timeout,
    handle_in_time,
    has_deadlines,
    request_deadline,
)

__all__ = ["DeadlineSanic"]


class DeadlineSanic(Sanic[Any, Any]):
    """Sanic's handling of a request, within its deadline."""

    __slots__ = ()
    _has_deadlines: bool = False

    def finalize(self) -> None:
        """As Sanic's."""
        self._has_deadlines = has_deadlines(self)
        super().finalize()

    async def handle_request(self, request: Any) -> None:
        """As Sanic's; a request whose deadline is over is answered 504."""
        # Our own server has looked for the headers.
        may_say = getattr(request.stream, "has_timeout", True)
        timeout = caller_timeout(request) if may_say else None
        deadline = None
        if timeout is not None or self._has_deadlines:
            deadline = request_deadline(self, request, timeout)
        if deadline is None:
            await super().handle_request(request)
        else:
            await handle_in_time(self, request, deadline, super().handle_request)
