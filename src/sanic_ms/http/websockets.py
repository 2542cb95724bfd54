"""The handler of a web socket, with its arguments read and its services injected."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sanic_ms.http.arguments import ArgumentReader, compile_arguments
from sanic_ms.http.injection import Injection
from sanic_ms.http.request import Request
from sanic_ms.http.wrapping import stand_for
from sanic_ms.shapes.signature import Signature, where
from sanic_ms.shapes.wrappers import objects_of
from sanic_ms.values.handlers import guard_websocket

__all__ = ["compile_websocket", "websocket_handler"]

log = logging.getLogger("sanic_ms.http")


def websocket_handler(handler: Callable[..., Any]) -> Callable[..., Any] | None:
    """The handler as the application wrote it, of one that Sanic has registered for a web socket,
    or of what a library has put around that; None where it is another's."""
    for entry in objects_of(handler):
        if isinstance(entry, functools.partial) and entry.args:
            inner: Callable[..., Any] = entry.args[0]
            return inner
    return None


def compile_websocket(
    handler: Callable[..., Any], signature: Signature, injection: Injection | None
) -> Callable[..., Any]:
    """The handler of a web socket's route.

    Everything is there before the handshake: a request that lacks something, or a service that
    cannot be made, is answered as HTTP, and not with an open web socket. What yields is closed when
    the socket has ended.

    Args:
        handler: As Sanic has registered it.
        signature: What the application's handler takes after the request and the web socket.
        injection: Its dependencies; None: it has none.

    Raises:
        TypeError: the handler wants a body, which a handshake does not have.
    """
    bodies = [entry for entry in signature.parameters if entry.source in ("body", "form", "file")]
    required = [entry.name for entry in bodies if entry.required]
    if required:
        names = " and ".join(map(repr, required))
        raise TypeError(
            f"{where(websocket_handler(handler) or handler)}: nothing gives {names}: a web socket "
            "has no body (provide() the type if it is a service)"
        )
    rest = tuple(entry for entry in signature.parameters if entry not in bodies)
    read_all = compile_arguments(replace(signature, parameters=rest))
    guarded = guard_websocket(handler)

    async def endpoint(request: Request, **path: Any) -> Any:
        if injection is not None:
            return await _serve(guarded, request, path, injection, read_all)
        if read_all is not None:
            path = read_all(request, path)
        return await guarded(request, **path)

    return stand_for(endpoint, handler, websocket_handler(handler))


class _SocketEnd:
    """What has become of the handler of one web socket.

    Attributes:
        begun: Whether it was called, which is after the handshake.
        failure: What it has raised. Sanic keeps that to itself.
    """

    __slots__ = ("begun", "failure")

    def __init__(self) -> None:
        self.begun = False
        self.failure: BaseException | None = None


async def _serve(
    guarded: Callable[..., Any],
    request: Request,
    path: dict[str, Any],
    injection: Injection,
    read_all: ArgumentReader | None,
) -> Any:
    """Serve a web socket with dependencies, which are closed with what its handler has raised."""
    end = _SocketEnd()
    handler = _recorded(guarded, end)

    async def call(request: Request, **arguments: Any) -> Any:
        result = await handler(request, **arguments)
        if end.failure is not None:
            raise end.failure
        return result

    try:
        return await injection.bind(call, read_all, lambda _, value: value)(request, path)
    except BaseException as exc:
        # There is no response any more that could say so.
        if not end.begun or not (exc is end.failure or isinstance(exc, Exception)):
            raise
        if exc is not end.failure:
            log.error("%s: a dependency failed at the end", request.path, exc_info=exc)
        return None


def _recorded(guarded: Callable[..., Any], end: _SocketEnd) -> Callable[..., Any]:
    if not isinstance(guarded, functools.partial):
        return guarded
    inner, *rest = guarded.args

    @functools.wraps(inner)
    async def recorded(*args: Any, **keywords: Any) -> Any:
        end.begun = True
        try:
            return await inner(*args, **keywords)
        except BaseException as exc:
            end.failure = exc
            raise

    return functools.partial(guarded.func, recorded, *rest, **guarded.keywords)
