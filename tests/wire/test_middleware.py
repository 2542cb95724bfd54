"""Middleware, signals and errors on the fast path: Sanic's promises, without an `Exchange`.

`tests/compat` compares what is sent with bare Sanic. A comparison does not see which requests stay
on the fast path, and what happens where code reaches for the stream.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sanic import HTTPResponse, Request
from sanic.response import ResponseStream, text

from sanic_ms import Service
from sanic_ms.exception import ServerError
from sanic_ms.server.http1 import receiver
from sanic_ms.server.http1.exchange import Exchange
from sanic_ms.server.http1.middleware import HandlerChain
from sanic_ms.server.http1.routes import Routes, listeners

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


_names = (f"middleware-{n}" for n in itertools.count())


def has_task() -> bool:
    """Whether there is a task; a function that asks `asyncio.current_task` itself gets one."""
    return asyncio.current_task() is not None


async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    pytest.fail("it did not come about")


class Told(list[str]):
    """What happened, in order; and the exchanges that were made."""

    exchanges = 0


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """What handlers and middleware note, and how many exchanges were made."""
    told = Told()

    class Counted(Exchange):
        def __init__(self, *args: Any, **keywords: Any) -> None:
            told.exchanges += 1
            super().__init__(*args, **keywords)

    monkeypatch.setattr(receiver, "Exchange", Counted)
    return told


@pytest.fixture(params=["sanic", "service"])
def app(request: pytest.FixtureRequest, named_app: Any) -> Any:
    """An application: a bare one, whose handlers have tasks, or a service, whose need none."""
    if request.param == "sanic":
        return named_app()
    service = Service(next(_names), configure_logging=False)
    service.config.update({"MOTD": False, "TOUCHUP": False})
    return service


@pytest.fixture
def get(in_memory: Any, answers: Any) -> Callable[..., Awaitable[Any]]:
    """Asks an application for ``/`` twice on one connection, and gives the second answer."""

    def has_answered(transport: Any, count: int) -> bool:
        return len(answers(bytes(transport.written))) == count

    async def get(app: Any, times: int = 2) -> Any:
        transport = await in_memory(app)
        for count in range(1, times + 1):
            # Not from the task of the test, which would be that of the handler.
            asyncio.get_running_loop().call_soon(transport.protocol.data_received, GET)
            await _until(functools.partial(has_answered, transport, count))
            await _until(lambda: transport.protocol._task is None)
            assert transport.protocol.response is None, "a response is left on the connection"
        return answers(bytes(transport.written))[-1]

    return get


def add_handler(app: Any, told: Told, *, waits: bool = False) -> None:
    """A handler at ``/``."""

    async def inline(request: Request) -> HTTPResponse:
        told.append("handler")
        return text("handler")

    async def waiting(request: Request) -> HTTPResponse:
        await asyncio.sleep(0)
        return await inline(request)

    app.add_route(waiting if waits else inline, "/", name="root")


@pytest.mark.parametrize("waits", [False, True])
async def test_a_chain_makes_no_exchange(app: Any, told: Told, get: Any, waits: bool) -> None:
    """Middleware of both kinds, in a task or without one, and no object of the full path."""
    add_handler(app, told, waits=waits)

    @app.on_request
    def plain(request: Request) -> None:
        told.append("plain")

    @app.on_request
    async def coroutine(request: Request) -> None:
        told.append("coroutine")
        assert has_task() is (waits or not isinstance(app, Service))

    @app.on_response
    async def header(request: Request, response: HTTPResponse) -> None:
        response.headers["x-seen"] = "yes"
        assert request.responded is False

    answer = await get(app)
    assert (answer.status, answer.headers["x-seen"], answer.body) == (200, "yes", b"handler")
    assert told == ["plain", "coroutine", "handler"] * 2
    assert told.exchanges == 0


async def test_one_that_waits_has_a_task(app: Any, told: Told, get: Any) -> None:
    """A middleware that waits puts the whole chain into a task, in which all of it runs."""
    tasks = set()

    @app.on_request
    async def wait(request: Request) -> None:
        await asyncio.sleep(0)
        tasks.add(asyncio.current_task())

    @app.on_response
    async def note(request: Request, response: HTTPResponse) -> None:
        tasks.add(asyncio.current_task())

    @app.get("/")
    async def handler(request: Request) -> HTTPResponse:
        tasks.add(asyncio.current_task())
        return text("x")

    await get(app, times=1)
    assert len(tasks) == 1
    assert None not in tasks
    assert told.exchanges == 0


@pytest.mark.parametrize("kind", ["request", "response"])
async def test_a_plain_function_that_returns_an_awaitable(
    app: Any, told: Told, get: Any, kind: str
) -> None:
    """It is waited for, in a task, at the first request and at every later one; the middleware
    before it is not called twice."""

    async def work(*args: Any) -> None:
        await asyncio.sleep(0)
        told.append(f"awaited {has_task()}")

    def before(*args: Any) -> None:
        told.append("before")

    def after(*args: Any) -> None:
        told.append("after")

    def hidden(*args: Any) -> Any:
        return work(*args)

    order = (before, hidden, after) if kind == "request" else (after, hidden, before)
    for middleware in order:
        app.register_middleware(middleware, kind)
    add_handler(app, told)
    await get(app)
    once = ["before", "awaited True", "after"]
    once = [*once, "handler"] if kind == "request" else ["handler", *once]
    assert told == once * 2
    assert told.exchanges <= 1  # the first request, of which it was not known that it would wait


async def test_a_replacement_that_is_awaited(app: Any, told: Told, get: Any) -> None:
    """A response that a plain function's awaitable gives takes the place of the first one, and the
    rest of the middleware is not called, as on Sanic."""

    async def make() -> HTTPResponse:
        await asyncio.sleep(0)
        return text("replaced", 203)

    @app.on_response
    def last(request: Request, response: HTTPResponse) -> None:
        told.append("last")

    @app.on_response
    def replace(request: Request, response: HTTPResponse) -> Any:
        return make()

    add_handler(app, told)
    answer = await get(app)
    assert (answer.status, answer.body) == (203, b"replaced")
    assert told == ["handler"] * 2


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("attribute", ["request.stream", "response.stream"])
async def test_middleware_sees_the_stream(
    app: Any, told: Told, get: Any, attribute: str, waits: bool
) -> None:
    """Response middleware that asks for the stream finds its response connected there, and the
    request is answered once."""
    add_handler(app, told, waits=waits)

    @app.on_response
    async def look(request: Request, response: HTTPResponse) -> None:
        stream: Any = request.stream if attribute == "request.stream" else response.stream
        assert stream.response is response
        response.headers["x-stage"] = stream.stage.name

    answer = await get(app)
    assert (answer.headers["x-stage"], answer.body) == ("HANDLER", b"handler")
    assert told == ["handler"] * 2
    assert told.exchanges == 2


@pytest.mark.parametrize("waits", [False, True])
async def test_middleware_that_sends(app: Any, told: Told, get: Any, waits: bool) -> None:
    """Response middleware may send the response itself; it is not sent again."""
    add_handler(app, told, waits=waits)

    @app.on_response
    async def send(request: Request, response: HTTPResponse) -> None:
        await response.send(end_stream=True)

    answer = await get(app)
    assert (answer.status, answer.body) == (200, b"handler")


@pytest.mark.parametrize("asks", [False, True])
async def test_a_whole_response_after_the_stream_was_asked_for(
    app: Any, told: Told, get: Any, asks: bool
) -> None:
    """A replacement is what is sent, also where the stream knows the first response."""
    add_handler(app, told)

    @app.on_response
    def replace(request: Request, response: HTTPResponse) -> HTTPResponse:
        if asks:
            assert request.stream is not None
        return text("replaced", 202)

    answer = await get(app)
    assert (answer.status, answer.body) == (202, b"replaced")
    assert told.exchanges == (2 if asks else 0)


@pytest.mark.parametrize("kind", ["request", "response"])
async def test_bytes_are_no_response(
    app: Any, told: Told, get: Any, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Middleware that returns bytes is an error of the application, as on Sanic: they are not taken
    for the body that an endpoint gives."""
    add_handler(app, told)
    app.register_middleware(lambda *_: b"bytes", kind)
    answer = await get(app, times=1)
    assert answer.status == 500
    assert b"bytes" not in answer.body or b"Invalid response type" in answer.body


@pytest.mark.parametrize("waits", [False, True])
async def test_an_error_in_response_middleware(
    app: Any, told: Told, get: Any, waits: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, the response is sent as it is, and the rest of the middleware is left out."""
    add_handler(app, told, waits=waits)

    @app.on_response
    async def last(request: Request, response: HTTPResponse) -> None:
        told.append("last")

    @app.on_response
    async def fail(request: Request, response: HTTPResponse) -> None:
        response.headers["x-half"] = "done"
        raise ValueError("a secret")

    with caplog.at_level(logging.ERROR):
        answer = await get(app, times=1)
    assert (answer.status, answer.headers["x-half"], answer.body) == (200, "done", b"handler")
    assert told == ["handler"]
    (record,) = caplog.records
    assert "response middleware" in record.message
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


@pytest.mark.parametrize("waits", [False, True])
async def test_middleware_that_is_cancelled(app: Any, told: Told, get: Any, waits: bool) -> None:
    """`CancelledError` is not taken for a mistake of middleware: the request fails with it."""
    add_handler(app, told, waits=waits)

    @app.on_response
    async def cancel(request: Request, response: HTTPResponse) -> None:
        raise asyncio.CancelledError

    answer = await get(app, times=1)
    assert answer.status >= 500


@pytest.mark.parametrize("waits", [False, True])
async def test_a_stream_is_left_to_the_full_path(
    app: Any, told: Told, get: Any, waits: bool
) -> None:
    """A handler that responds by itself, or with a stream: middleware is called once, by Sanic."""

    @app.on_response
    async def count(request: Request, response: Any) -> None:
        told.append(type(response).__name__)

    @app.get("/")
    async def handler(request: Request) -> ResponseStream:
        if waits:
            await asyncio.sleep(0)

        async def write(response: Any) -> None:
            await response.write("streamed")

        return ResponseStream(write)

    answer = await get(app)
    assert answer.body == b"streamed"
    assert told == ["ResponseStream"] * 2


@pytest.mark.parametrize("early", [False, True])
async def test_a_stream_without_a_task(app: Any, told: Told, get: Any, early: bool) -> None:
    """Of a handler, or of middleware that responds in its place: each time, the first as well."""

    async def write(response: Any) -> None:
        await response.write("streamed")

    @app.on_request
    async def respond(request: Request) -> ResponseStream | None:
        return ResponseStream(write) if early else None

    @app.get("/")
    async def handler(request: Request) -> ResponseStream:
        told.append("handler")
        return ResponseStream(write)

    for times in (1, 2):
        assert (await get(app, times)).body == b"streamed"
    assert len(told) == (0 if early else 3)


async def test_signals_make_no_exchange(app: Any, told: Told, get: Any) -> None:
    """The signals around a handler and of the response, in Sanic's order and with its context."""
    add_handler(app, told)

    @app.on_response
    async def note(request: Request, response: HTTPResponse) -> None:
        told.append("middleware")

    @app.on_request
    async def note_request(request: Request) -> None:
        told.append("request middleware")

    @app.signal("http.routing.after")
    async def routed(request: Request, route: Any, kwargs: Any, handler: Any) -> None:
        told.append(f"routed {route is request.route} {kwargs} {callable(handler)}")

    @app.signal("http.handler.before")
    async def before(request: Request) -> None:
        told.append("before")

    @app.signal("http.handler.after")
    async def after(request: Request) -> None:
        told.append("after")

    @app.signal("http.lifecycle.response")
    async def sent(request: Request, response: HTTPResponse) -> None:
        told.append(f"response {response.status}")
        response.headers["x-signal"] = "seen"

    answer = await get(app)
    first = ["routed True {} True", "request middleware"]
    assert told == [*first, "before", "handler", "after", "middleware", "response 200"] * 2
    assert answer.headers["x-signal"] == "seen"
    assert told.exchanges == 0


@pytest.mark.parametrize("asks", [False, True])
async def test_the_signal_of_the_response_comes_once(
    app: Any, told: Told, get: Any, asks: bool
) -> None:
    """Once for a response, also where its handler asks for the stream or streams it itself."""

    @app.signal("http.lifecycle.response")
    async def sent(request: Request, response: HTTPResponse) -> None:
        told.append("signal")
        if asks:
            assert request.stream is not None
            assert request.stream.response is response

    @app.get("/")
    async def handler(request: Request) -> Any:
        if len(told) == 1:
            response = await request.respond(content_type="text/plain")
            await response.send("streamed")
            return None
        return text("whole")

    assert (await get(app)).body == b"streamed"
    assert told == ["signal", "signal"]


async def test_a_signal_that_fails(app: Any, told: Told, get: Any) -> None:
    """An error in a signal handler is answered by the application's error handler; nothing of the
    response was sent."""
    add_handler(app, told)

    @app.signal("http.lifecycle.response")
    async def fail(request: Request, response: HTTPResponse) -> None:
        if response.status == 200:
            raise ServerError("told to fail")

    @app.exception(ServerError)
    async def handle(request: Request, exception: Exception) -> HTTPResponse:
        return text("handled", 503)

    answer = await get(app)
    assert (answer.status, answer.body) == (503, b"handled")


async def test_a_signal_before_the_middleware_that_fails(app: Any, told: Told, get: Any) -> None:
    """Request middleware may respond in the place of the error handler, as on Sanic."""
    add_handler(app, told)

    @app.signal("http.routing.after")
    async def fail(request: Request, **_: Any) -> None:
        raise ServerError("told to fail")

    @app.on_request
    async def respond(request: Request) -> HTTPResponse:
        return text("middleware", 203)

    answer = await get(app)
    assert (answer.status, answer.body) == (203, b"middleware")
    assert told == []


async def test_a_signal_may_give_arguments(app: Any, told: Told, get: Any) -> None:
    """A handler of ``http.routing.after`` that changes ``request.match_info`` changes what the
    handler is called with; sanic-ext injects so."""

    @app.signal("http.routing.after")
    async def inject(request: Request, **_: Any) -> None:
        request.match_info.update(given="injected")

    @app.get("/")
    async def handler(request: Request, **given: Any) -> HTTPResponse:
        return text(given["given"])

    assert (await get(app)).body == b"injected"
    assert told.exchanges == 0


async def test_a_route_is_decided_again(app: Any, told: Told, get: Any) -> None:
    """Middleware and signals that are added later (``app.amend()``) act on routes that were served
    before, and a route that never had any has no chain."""
    add_handler(app, told)
    await get(app, times=1)

    with app.amend():

        @app.on_request
        def later(request: Request) -> None:
            told.append("later")

        @app.signal("http.handler.after")
        async def after(request: Request) -> None:
            told.append("after")

    await get(app, times=1)
    assert told == ["handler", "later", "handler", "after"]


async def test_what_needs_no_chain(app: Any, told: Told) -> None:
    """A plain route is called as it is: no function of the chain stands before it."""
    add_handler(app, told)
    await app._startup()
    plan = Routes(app).plan(b"GET /", "GET", "/")
    assert plan is not None
    assert not isinstance(getattr(plan.begin, "__self__", None), HandlerChain)


async def test_only_signals_that_are_handled_count(app: Any, told: Told) -> None:
    """Sanic's router finds ``http.lifecycle.response`` for its neighbours as well; they are not
    handled. A signal with a parameter in its name takes them all."""

    @app.signal("http.lifecycle.response")
    async def response(**context: Any) -> None: ...

    add_handler(app, told)
    await app._startup()
    assert listeners(app) == {"http.lifecycle.response"}

    with app.amend():

        @app.signal("http.handler.<what>")
        async def handler(**context: Any) -> None: ...

    assert listeners(app) == {
        "http.lifecycle.response",
        "http.handler.before",
        "http.handler.after",
    }


class Mistake(Exception):
    """What a handler of these tests raises."""


def add_failing(app: Any, told: Told, *, waits: bool = False) -> None:
    """A handler at ``/`` that raises `Mistake`."""

    async def inline(request: Request) -> None:
        told.append("handler")
        raise Mistake("a secret")

    async def waiting(request: Request) -> None:
        await asyncio.sleep(0)
        await inline(request)

    app.add_route(waiting if waits else inline, "/", name="root")


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("kind", ["plain", "async", "waiting"])
async def test_an_error_makes_no_exchange(
    app: Any, told: Told, get: Any, kind: str, waits: bool
) -> None:
    """The application's handler of an exception is called once, and its response sent."""
    add_failing(app, told, waits=waits)

    def plain(request: Request, exc: Exception) -> HTTPResponse:
        told.append(f"handled {type(exc).__name__}")
        return text("handled", 418, headers={"x-error": "yes"})

    async def coroutine(request: Request, exc: Exception) -> HTTPResponse:
        return plain(request, exc)

    async def waiting(request: Request, exc: Exception) -> HTTPResponse:
        await asyncio.sleep(0)
        return plain(request, exc)

    app.exception(Mistake)({"plain": plain, "async": coroutine, "waiting": waiting}[kind])
    answer = await get(app)
    assert (answer.status, answer.headers["x-error"], answer.body) == (418, "yes", b"handled")
    assert answer.headers["connection"] == "keep-alive"
    assert told == ["handler", "handled Mistake"] * 2
    assert told.exchanges == 0


@pytest.mark.parametrize("waits", [False, True])
async def test_an_error_that_nobody_handles(
    app: Any, told: Told, get: Any, waits: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a 500, logged once, and the connection serves on."""
    add_failing(app, told, waits=waits)
    with caplog.at_level(logging.ERROR):
        answer = await get(app)
    assert answer.status == 500
    assert answer.headers["connection"] == "keep-alive"
    assert len(caplog.records) == 2
    assert told.exchanges == 0


@pytest.mark.parametrize("kind", ["plain", "async"])
@pytest.mark.parametrize("error", [ValueError, SystemExit])
async def test_an_exception_handler_that_fails(
    app: Any, told: Told, get: Any, kind: str, error: type[BaseException]
) -> None:
    """The client is told of an error, and nothing of what was raised; the connection serves on."""
    add_failing(app, told)

    def plain(request: Request, exc: Exception) -> HTTPResponse:
        told.append("fails")
        raise error("a second secret")

    async def coroutine(request: Request, exc: Exception) -> HTTPResponse:
        return plain(request, exc)

    app.exception(Mistake)(plain if kind == "plain" else coroutine)
    answer = await get(app)
    assert answer.status == 500
    assert b"second secret" not in answer.body
    assert told == ["handler", "fails"] * 2


async def test_middleware_acts_on_the_response_to_an_error(app: Any, told: Told, get: Any) -> None:
    """Once, whether the handler or request middleware has failed."""

    @app.on_request
    async def maybe(request: Request) -> None:
        if told:
            raise Mistake("in middleware")

    @app.on_response
    async def note(request: Request, response: HTTPResponse) -> None:
        told.append(f"middleware {response.status}")

    @app.exception(Mistake)
    async def handle(request: Request, exc: Exception) -> HTTPResponse:
        return text("handled", 418)

    add_failing(app, told)
    await get(app)
    assert told == ["handler", "middleware 418", "middleware 418"]
    assert told.exchanges == 0


async def test_the_signals_of_errors(app: Any, told: Told, get: Any) -> None:
    """An application that handles the signals of exceptions gets them, on the full path."""
    add_failing(app, told)

    @app.signal("http.lifecycle.exception")
    async def failed(request: Request, exception: Exception) -> None:
        told.append(f"signal {type(exception).__name__}")

    assert (await get(app)).status == 500
    assert told == ["handler", "signal Mistake"] * 2


async def test_an_exception_handler_that_streams(app: Any, told: Told, get: Any) -> None:
    """One that responds by itself, or asks for the stream: its response is sent once."""
    add_failing(app, told)

    @app.exception(Mistake)
    async def handle(request: Request, exc: Exception) -> HTTPResponse:
        assert request.stream is not None
        return text("handled", 418)

    answer = await get(app)
    assert (answer.status, answer.body) == (418, b"handled")
    assert told == ["handler"] * 2
