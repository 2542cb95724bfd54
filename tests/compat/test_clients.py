"""sanic-testing and ASGI: the clients of Sanic's users take a service as an application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from sanic import HTTPResponse, Request, Sanic, json, text
from sanic_testing import TestManager
from sanic_testing.reusable import ReusableClient
from sanic_testing.testing import SanicASGITestClient, SanicTestClient
from tests.compat.conftest import make_bare, service_maker

from sanic_ms import Service


@pytest.fixture(params=["sanic", "service"])
def app(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The same application on both."""
    # The kit sets these for the rest of the process.
    monkeypatch.setattr(Sanic, "test_mode", False)
    for kind in (Sanic, Service):
        monkeypatch.setattr(kind, "__call__", kind.__call__)
    app = make_bare("shop") if request.param == "sanic" else service_maker("fast-path")("shop")
    events: list[str] = []
    app.ctx.events = events

    @app.before_server_start
    async def start(app: Any) -> None:
        events.append("start")

    @app.after_server_stop
    async def stop(app: Any) -> None:
        events.append("stop")

    @app.on_request
    async def before(request: Request) -> None:
        request.ctx.before = "before"

    @app.on_response
    async def after(request: Request, response: HTTPResponse) -> None:
        response.headers["x-after"] = "after"

    @app.route("/<name>", methods=["GET", "POST"], ignore_body=False)
    async def handler(request: Request, name: str) -> HTTPResponse:
        return json(
            [name, request.ctx.before, request.json, request.args, request.cookies.get("c")]
        )

    @app.get("/stream")
    async def stream(request: Request) -> None:
        response = await request.respond(content_type="text/plain")
        for number in range(3):
            await response.send(str(number))
        await response.eof()

    @app.get("/bug")
    async def bug(request: Request) -> HTTPResponse:
        raise KeyError("secret")

    @app.exception(KeyError)
    async def handle(request: Request, exc: Exception) -> HTTPResponse:
        return text("handled", status=418)

    return app


EXPECTED = ["x", "before", {"a": 1}, {"q": ["1"]}, "d"]


def test_test_client(app: Any) -> None:
    """``app.test_client``: a server for each request, and the request beside the response."""
    client = SanicTestClient(app)
    request, response = client.post("/x?q=1", json={"a": 1}, headers={"cookie": "c=d"})
    assert response.json == EXPECTED
    assert response.headers["x-after"] == "after"
    assert request.ctx.before == "before"
    _, streamed = client.get("/stream")
    assert streamed.text == "012"
    _, failed = client.get("/bug")
    assert (failed.status, failed.text) == (418, "handled")
    assert app.ctx.events == ["start", "stop"] * 3


def test_manager(app: Any) -> None:
    """`TestManager` gives an application its clients."""
    manager = TestManager(app)
    _, response = manager.test_client.get("/x")
    assert response.json[:2] == ["x", "before"]
    assert app.test_client is manager.test_client


async def test_asgi_client(app: Any) -> None:
    """``app.asgi_client``: no sockets."""
    client = SanicASGITestClient(app)
    request, response = await client.post("/x?q=1", json={"a": 1}, headers={"cookie": "c=d"})
    assert response.json == EXPECTED
    assert request.ctx.before == "before"
    _, streamed = await client.get("/stream")
    assert streamed.text == "012"
    _, failed = await client.get("/bug")
    assert failed.status == 418


def test_reusable_client(app: Any) -> None:
    """`ReusableClient`: one server for several requests."""
    client = ReusableClient(app)
    with client:
        _, response = client.post("/x?q=1", json={"a": 1}, headers={"cookie": "c=d"})
        _, streamed = client.get("/stream")
    assert response.json == EXPECTED
    assert streamed.text == "012"
    assert app.ctx.events == ["start", "stop"]


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """The life of an application as an ASGI server starts and stops it."""
    received: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    task = asyncio.ensure_future(app(scope, received.get, sent.put))

    async def tell(word: str) -> None:
        await received.put({"type": f"lifespan.{word}"})
        answer = asyncio.ensure_future(sent.get())
        await asyncio.wait({task, answer}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            await task  # it has failed
        assert (await answer)["type"] == f"lifespan.{word}.complete"

    await tell("startup")
    yield
    await tell("shutdown")
    await task


@pytest.mark.filterwarnings("ignore:You have set a listener:UserWarning")
async def test_asgi_server(app: Any) -> None:
    """An ASGI server (httpx's transport, with a life as uvicorn's) gets the same."""
    async with (
        lifespan(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://a.test") as client,
    ):
        response = await client.post("/x?q=1", json={"a": 1}, headers={"cookie": "c=d"})
        streamed = await client.get("/stream")
        failed = await client.get("/bug")
        head = await client.head("/x")
    assert response.json() == EXPECTED
    assert response.headers["x-after"] == "after"
    assert streamed.text == "012"
    assert (failed.status_code, failed.text) == (418, "handled")
    assert head.status_code == 405
    assert app.ctx.events == ["start", "stop"]
