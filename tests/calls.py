"""One request to a service, which starts and stops around it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from sanic_ms import Service
from sanic_ms.testing import TestClient, TestResponse

__all__ = ["WAYS", "Ask", "asking", "call", "call_asgi"]

WAYS = ("fast path", "full path", "ASGI")
"""How a request comes to its handler."""

Ask = Callable[..., Awaitable[Any]]
"""``await ask("get", "/path", headers=…, json=…)``."""


async def call(app: Service, method: str, path: str, **options: Any) -> TestResponse:
    """One request through the whole service, in this process.

    Args:
        app: The service.
        method: ``"get"`` …
        path: Begins with ``/``.
        options: What `TestClient.request` takes.
    """
    async with TestClient(app) as client:
        return await client.request(method.upper(), path, **options)


async def call_asgi(app: Service, method: str, path: str, **options: Any) -> Any:
    """The same under an ASGI server, by Sanic's own client: for what the kit changes (it records
    spans in place of exporting them, and starts without a word), and for ASGI itself.

    Args:
        app: The service.
        method: ``"get"`` …
        path: Begins with ``/``.
        options: What httpx takes.
    """
    _, answer = await app.asgi_client.request(method.upper(), path, **options)
    return answer


@asynccontextmanager
async def asking(app: Service, way: str) -> AsyncIterator[Ask]:
    """A function that sends requests to a service in one of the `WAYS`.

    Args:
        app: The service, not started yet.
        way: One of them. On the full path a middleware is added, which is what chooses it.
    """
    if way == "ASGI":
        yield partial(call_asgi, app)
        return
    if way == "full path":

        @app.on_request
        async def pass_on(request: Any) -> None: ...

    async with TestClient(app) as client:

        async def ask(method: str, path: str, **options: Any) -> TestResponse:
            return await client.request(method.upper(), path, **options)

        yield ask
