"""The exceptions of handlers, for all code that calls handlers."""

from __future__ import annotations

import functools
from asyncio import CancelledError
from collections.abc import Callable, Coroutine
from inspect import isawaitable
from typing import Any

__all__ = ["HANDLER_CHECK", "HandlerExit", "as_failure", "guard_websocket"]


HANDLER_CHECK = "__sanic_ms_handler_check__"
"""The attribute by which a decorator checks the handlers that it is used on, at the start.

Its function is called with the names of the parameters that come from the request, with whether
the handler declares further parts of it, and with the names of those that get a service which is
made for each request. It raises a `TypeError` that says what is wrong.
"""


class HandlerExit(RuntimeError):
    """500: a handler raised what is no `Exception`: `SystemExit`, or a cancellation that the server
    did not ask for. It is the ``__cause__``."""


def as_failure(exc: BaseException) -> Exception:
    """The exception that the application's error handler takes for what a handler has raised.

    One request does not end the process: that is for signals, and for the application's `stop`.
    """
    if isinstance(exc, Exception):
        return exc
    failure = HandlerExit(f"A handler raised {exc!r}")
    failure.__cause__ = exc
    return failure


def guard_websocket(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler of a web socket's route, with the socket told when it fails.

    Sanic closes the socket of a handler that failed as that of one that has ended; and a handler
    that cannot even be called fails where Sanic writes an HTTP response into the socket.

    Args:
        handler: As Sanic registers it: a partial of its own method, with the application's handler
            as the first argument. Anything else is given back, and so is one that is guarded.
    """
    if not isinstance(handler, functools.partial) or not hasattr(handler, "is_websocket"):
        return handler
    inner, *rest = handler.args
    if getattr(inner, _GUARDED, False):
        return handler
    guarded = functools.partial(handler.func, _guarded(inner), *rest, **handler.keywords)
    return functools.update_wrapper(guarded, handler)


def _guarded(handler: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    @functools.wraps(handler)
    async def guarded(request: Any, ws: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            result = handler(request, ws, *args, **kwargs)
            return await result if isawaitable(result) else result
        except BaseException as exc:
            # Under an ASGI server the socket is Sanic's own, which knows no such thing.
            handler_failed = getattr(ws, "handler_failed", None)
            if handler_failed is not None:
                handler_failed()
            if isinstance(exc, Exception | CancelledError | GeneratorExit):
                raise
            raise as_failure(exc) from exc

    setattr(guarded, _GUARDED, True)
    return guarded


_GUARDED = "__sanic_ms_guarded__"
