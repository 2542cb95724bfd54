"""What metrics show of calls to other services."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from tests.ports import free_port

from sanic_ms.client import Client
from sanic_ms.exception import ServiceCallError, ServiceTimeout
from sanic_ms.telemetry.metrics import Registry

Serve = Callable[..., Awaitable[str]]

pytestmark = pytest.mark.usefixtures("make_transport")


class App:
    """An application with metrics."""

    settings: Any = None

    def __init__(self) -> None:
        self.metrics = Registry()

    def add(self, component: object) -> None: ...

    def calls(self) -> dict[tuple[str, ...], float]:
        """How many calls there were, by service, method and outcome."""
        for family in self.metrics.families():
            if family.definition.name == "http_client_request_duration_seconds":
                return {labels: sum(numbers[:-1]) for labels, numbers in family.cells.items()}
        return {}


async def answer(request: web.Request) -> web.Response:
    """With the status that the path asks for, or never."""
    if request.path == "/never":
        await asyncio.sleep(60)
    return web.Response(status=int(request.path[1:]))


async def test_calls_are_counted_by_service_method_and_outcome(serve: Serve) -> None:
    """An answer is its status' class; none is a timeout, an error, or the caller's own doing."""
    app = App()
    client = Client("region", url=await serve(answer), app=app)
    gone = Client("gone", url=f"http://127.0.0.1:{free_port()}", app=app)
    for path in ("/200", "/204", "/404", "/503"):
        await client.get(path)
    await client.request("PURGE", "/200")
    with pytest.raises(ServiceTimeout):
        await client.post("/never", timeout=0.05)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.get("/never")
    with pytest.raises(ServiceCallError):
        await gone.get("/200")
    await client.transport.close()
    assert app.calls() == {
        ("region", "GET", "2xx"): 2,
        ("region", "GET", "4xx"): 1,
        ("region", "GET", "5xx"): 1,
        ("region", "other", "2xx"): 1,
        ("region", "POST", "timeout"): 1,
        ("region", "GET", "cancelled"): 1,
        ("gone", "GET", "error"): 1,
    }
