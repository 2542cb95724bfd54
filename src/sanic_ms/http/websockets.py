"""The handler of a web socket, with its arguments read and its services injected."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sanic_ms.container import Container
from sanic_ms.http.arguments import compile_arguments, service_types
from sanic_ms.http.request import Request
from sanic_ms.http.wrapping import stand_for
from sanic_ms.shapes.signature import Signature, where
from sanic_ms.shapes.wrappers import objects_of
from sanic_ms.values.handlers import guard_websocket

__all__ = ["compile_websocket", "websocket_handler"]


def websocket_handler(handler: Callable[..., Any]) -> Callable[..., Any] | None:
    """The handler as the application wrote it, of one that Sanic has registered for a web socket,
    or of what a library has put around that; None where it is another's."""
    for entry in objects_of(handler):
        if isinstance(entry, functools.partial) and entry.args:
            inner: Callable[..., Any] = entry.args[0]
            return inner
    return None


def compile_websocket(
    handler: Callable[..., Any], signature: Signature, container: Container
) -> Callable[..., Any]:
    """The handler of a web socket's route.

    Everything is there before the handshake: a request that lacks something, or a service that
    cannot be made, is answered as HTTP, and not with an open web socket.

    Args:
        handler: As Sanic has registered it.
        signature: What the application's handler takes after the request and the web socket.
        container: Where services come from.

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
    services = service_types(signature)
    guarded = guard_websocket(handler)

    async def endpoint(request: Request, **path: Any) -> Any:
        given = await container.fill(services, request) if services else {}
        if read_all is not None:
            path = read_all(request, path)
        if given:
            path = {**path, **given}
        return await guarded(request, **path)

    return stand_for(endpoint, handler, websocket_handler(handler))
