"""Handlers that are plain functions: in a thread, and else as those that are not."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import msgspec
import pytest
from sanic.response import text
from sanic.views import HTTPMethodView

from sanic_ms import Request, Service, current_service, doc
from sanic_ms.context import current_request
from sanic_ms.exception import NotFound
from sanic_ms.http.sync_handlers import runs_in_thread
from sanic_ms.loggers import logger
from sanic_ms.telemetry.tracing import request_span
from sanic_ms.testing import TestClient

_note: ContextVar[str] = ContextVar("note", default="nothing")


class Order(msgspec.Struct):
    item: int


def in_main() -> bool:
    """Whether it is called in the thread of the event loop."""
    return threading.current_thread() is threading.main_thread()


def make(**settings: Any) -> Service:
    """A service without routes."""
    app = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)
    app.configure(**settings)
    return app


def add_routes(app: Service) -> None:
    """Plain handlers of each kind."""

    @app.get("/thread")
    def thread(request: Request) -> dict[str, Any]:
        return {
            "main": in_main(),
            "request": current_request.get() is request,
            "service": current_service() is request.app,
            "span": request_span() is request["span"],
        }

    @app.get("/items/<id:int>")
    def item(request: Request, id: int, least: int = 0) -> dict[str, Any]:
        if id == 404:
            raise NotFound("no item 404")
        if id == 500:
            raise ValueError("secret")
        return {"id": id + least, "main": in_main()}

    @app.post("/orders")
    def order(request: Request, body: Order) -> Order:
        return body

    @app.get("/text")
    def plain_text(request: Request) -> Any:
        return text("plain")

    async def later() -> list[bool]:
        await asyncio.sleep(0)
        return [in_main(), _note.get() == "set in the thread"]

    @app.get("/leads")
    def leads(request: Request) -> Any:
        _note.set("set in the thread")
        return later()

    @app.get("/stays")
    @doc.in_loop()
    def stays(request: Request) -> bool:
        return in_main()

    class View(HTTPMethodView):
        def get(self, request: Request) -> bool:
            return in_main()

        async def post(self, request: Request) -> bool:
            return in_main()

        @doc.in_loop()
        def put(self, request: Request) -> bool:
            return in_main()

    app.add_route(View.as_view(), "/view")


@pytest.mark.parametrize("where", ["thread", "loop"])
async def test_answers_are_those_of_any_handler(where: str) -> None:
    """Values, errors and validation; only the thread is another, unless the setting says so."""
    app = make(sync_handlers=where)
    add_routes(app)
    async with TestClient(app) as client:
        main = where == "loop"
        seen = (await client.get("/thread")).json["data"]
        assert seen == {"main": main, "request": True, "service": True, "span": True}
        found = await client.get("/items/7?least=1")
        assert found.json["data"] == {"id": 8, "main": main}
        missing = await client.get("/items/404")
        assert (missing.status, missing.json["error"]) == (404, "no item 404")
        broken = await client.get("/items/500")
        assert (broken.status, "secret" in broken.text) == (500, False)
        assert (await client.get("/items/7?least=x")).status == 422
        assert (await client.post("/orders", json={"item": 3})).json["data"] == {"item": 3}
        assert (await client.post("/orders", json={"item": "x"})).status == 422
        assert (await client.get("/text")).text == "plain"
        assert (await client.get("/leads")).json["data"] == [True, True]
        assert (await client.get("/stays")).json["data"] is True
        for method, expected in (("get", main), ("post", True), ("put", True)):
            answer = await getattr(client, method)("/view")
            assert answer.json["data"] is expected


async def test_other_requests_are_served_meanwhile() -> None:
    """Handlers that block do so side by side."""
    app = make(blocking_threads=3)
    barrier = threading.Barrier(3)

    @app.get("/")
    def meet(request: Request) -> int:
        return int(barrier.wait(30) >= 0)

    async with TestClient(app) as client:
        answers = await asyncio.gather(*(client.get("/") for _ in range(3)))
    assert [answer.json["data"] for answer in answers] == [1, 1, 1]


async def test_too_many_requests_are_told_to_come_again() -> None:
    """503 with Retry-After, and no queue without an end."""
    app = make(blocking_threads=1, blocking_queue=0)
    entered, opened = threading.Event(), threading.Event()

    @app.get("/")
    def wait(request: Request) -> bool:
        entered.set()
        return opened.wait(30)

    async with TestClient(app) as client:
        first = asyncio.ensure_future(client.get("/"))
        assert await asyncio.to_thread(entered.wait, 30)
        refused = await client.get("/")
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        opened.set()
        assert (await first).status == 200
        assert (await client.get("/")).status == 200


async def test_what_touches_the_event_loop_works_or_says_so() -> None:
    """Tasks are begun from a thread, and `request.respond` is awaited where it is returned."""
    app = make()
    done: list[str] = []

    async def work(name: str) -> None:
        done.append(name)

    async def read(name: str) -> str:
        return name

    @app.get("/")
    def begin(request: Request) -> str:
        request.app.add_task(work("added"))
        request.app.background(work, "begun")
        future = asyncio.run_coroutine_threadsafe(read("read"), request.app.loop)
        return future.result(30) + str(in_main())

    @app.get("/respond")
    def respond(request: Request) -> Any:
        return request.respond(text("streamed"))

    async with TestClient(app) as client:
        assert (await client.get("/")).json["data"] == "readFalse"
        assert (await client.get("/respond")).text == "streamed"
        async with asyncio.timeout(30):
            while len(done) < 2:  # noqa: ASYNC110 - a thread begins them
                await asyncio.sleep(0.01)
    assert sorted(done) == ["added", "begun"]


async def test_a_variable_that_a_handler_sets_is_seen_after_it() -> None:
    """By middleware of the response, as on Sanic; also where the handler fails."""
    app = make()
    seen: list[str] = []

    @app.get("/<word>")
    def note(request: Request, word: str) -> str:
        _note.set(word)
        if word == "fails":
            raise NotFound(word)
        return word

    @app.on_response
    async def look(request: Any, response: Any) -> None:
        seen.append(_note.get())

    async with TestClient(app) as client:
        assert (await client.get("/works")).status == 200
        assert (await client.get("/fails")).status == 404
    assert seen == ["works", "fails"]


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """A plain decorator."""

    @functools.wraps(function)
    def call(*args: Any, **keywords: Any) -> Any:
        return function(*args, **keywords)

    return call


def awaited(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that awaits what is returned, if it can be."""

    @functools.wraps(function)
    async def call(*args: Any, **keywords: Any) -> Any:
        return function(*args, **keywords)

    return call


def plain(request: Any) -> None:
    """Nothing of the loop."""
    time.sleep(0)


async def coroutine(request: Any) -> None:
    """A coroutine function."""


def uses_loop(request: Any) -> Any:
    """A task of its own."""
    return [asyncio.get_running_loop() for _ in range(1)]


class Callable_:
    """An object that is a handler."""

    def __call__(self, request: Any) -> None:
        """Answer."""

    async def later(self, request: Any) -> None:
        """Answer."""


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (plain, True),
        (lambda request: 1, True),
        (wrapped(plain), True),
        (wrapped(wrapped(plain)), True),
        (logger(plain), True),
        (functools.partial(plain), True),
        (Callable_(), True),
        (coroutine, False),
        (wrapped(coroutine), False),
        (wrapped(wrapped(coroutine)), False),
        (functools.partial(wrapped(coroutine)), False),
        (awaited(plain), False),
        (Callable_().later, False),
        (uses_loop, False),
        (wrapped(uses_loop), False),
        (wrapped(lambda request: asyncio.ensure_future(coroutine(request))), False),
        (len, False),
    ],
)
def test_which_handlers_run_in_a_thread(handler: Callable[..., Any], expected: bool) -> None:
    """Plain functions in plain decorators that do not name what belongs to the event loop."""
    assert runs_in_thread(handler, handler) is expected


def test_a_view_in_an_async_decorator_stays() -> None:
    """What is called for it is a coroutine function."""
    assert runs_in_thread(plain, plain)
    assert not runs_in_thread(plain, awaited(plain))


def test_the_decorator_wants_brackets() -> None:
    """As its neighbours do."""
    with pytest.raises(TypeError, match="with brackets"):
        doc.in_loop(plain)  # type: ignore[arg-type]
    assert doc.in_loop()(plain) is plain
