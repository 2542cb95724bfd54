"""One request to a service, which starts and stops around it."""

from __future__ import annotations

from typing import Any

from sanic_ms import Service
from sanic_ms.testing import TestClient, TestResponse

__all__ = ["call", "call_asgi"]


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
