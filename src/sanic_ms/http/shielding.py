"""Handlers that go on when their client has gone: `doc.shielded`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sanic_ms.http.deadlines import RequestDeadline
from sanic_ms.http.request import Request
from sanic_ms.resilience import current_deadline
from sanic_ms.values.handlers import as_failure

__all__ = ["shield"]


def shield(endpoint: Callable[..., Awaitable[Any]], name: str) -> Callable[..., Awaitable[Any]]:
    """An endpoint that a client which leaves does not cancel.

    It runs in a task of its own. At the client's leaving that becomes a background task of the
    application. Everything else that cancels a request cancels it as ever: its deadline,
    ``RESPONSE_TIMEOUT``, the end of the grace period at a stop.

    Args:
        endpoint: The endpoint.
        name: The handler's, for the log.
    """

    async def work(request: Request, path: dict[str, Any]) -> Any:
        deadline = current_deadline()
        try:
            if deadline is None:
                return await endpoint(request, **path)
            async with deadline:  # nobody else looks at it once the client has gone
                return await endpoint(request, **path)
        except (SystemExit, KeyboardInterrupt) as exc:
            raise as_failure(exc) from exc  # out of a task they would end the process

    async def shielded(request: Request, **path: Any) -> Any:
        task = asyncio.create_task(work(request, path), name=name)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not _has_left(request):
                task.cancel()
                return await task
            if not task.cancelled():
                deadline = current_deadline()
                if isinstance(deadline, RequestDeadline):
                    deadline.hold()
                request.app.add_task(task)  # it is waited for at a stop, and logged if it fails
            raise

    return shielded


def _has_left(request: Request) -> bool:
    """Whether the client has closed its connection. An ASGI server does not tell."""
    is_closing = getattr(request.transport, "is_closing", None)
    return is_closing is not None and bool(is_closing())
