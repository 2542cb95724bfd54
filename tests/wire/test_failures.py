"""Handlers that fail: before their answer, in the midst of it, and with what is no `Exception`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from sanic import HTTPResponse, Request, Sanic
from sanic.response import ResponseStream, text
from tests.wire.handlers import answer_with

from sanic_ms import Service

App = Callable[..., Sanic[Any, Any]]
Serve = Callable[..., Any]
Wait = Callable[..., None]

HOST = b" HTTP/1.1\r\nHost: a\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
# How a request comes to the full path, besides the fast path.
PATHS = {
    "fast": b"GET /half" + HOST + b"\r\n",
    "expect": b"POST /half" + HOST + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    "chunked": b"POST /half" + HOST + CHUNKED,
    "stream": b"GET /stream" + HOST + b"\r\n",
    "middleware": b"GET /half" + HOST + b"\r\n",
    "signal": b"GET /half" + HOST + b"\r\n",
    "host": b"GET /half" + HOST + b"\r\n",
}


def half(**options: Any) -> Any:
    """A handler that sends a part of its answer, and fails."""

    async def handler(request: Request) -> None:
        response = await request.respond(**options)
        await response.send(b"abc")
        raise RuntimeError("on purpose")

    return handler


def prepare(app: Sanic[Any, Any], path: str) -> None:
    """Let the requests of an application take this path."""
    if path == "middleware":

        @app.on_response  # type: ignore[untyped-decorator]
        async def after(request: Request, response: HTTPResponse) -> None:
            return None

    elif path == "signal":

        @app.signal("http.lifecycle.response")
        async def heard(**context: Any) -> None:
            return None

    elif path == "host":
        app.add_route(answer_with("b"), "/elsewhere", name="elsewhere", host="b.example")


@pytest.mark.parametrize("path", PATHS)
def test_half_a_stream_never_looks_complete(
    path: str, named_app: App, serve: Serve, protocol: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A handler that fails after its first chunk: no last chunk follows, the connection is closed,
    the log has the exception, and the server goes on."""
    app = named_app()
    prepare(app, path)
    app.add_route(half(), "/half", name="half", methods=["GET", "POST"])
    app.add_route(half(), "/stream", name="stream", stream=True)
    app.add_route(answer_with("ok"), "/", name="root")
    server = serve(app, protocol=protocol)
    with caplog.at_level(logging.ERROR):
        client = server.client()
        client.send(PATHS[path])
        raw = client.read()  # until the server closes
    head, _, body = raw.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert body == b"3\r\nabc\r\n"
    assert "on purpose" in caplog.text
    [answer] = server.client().exchange(b"GET /" + HOST + b"Connection: close\r\n\r\n")
    assert answer.body == b"ok"


@pytest.mark.parametrize("name", ["half", "stream"])
def test_half_an_answer_with_a_length_is_cut(name: str, named_app: App, serve: Serve) -> None:
    """Fewer bytes than were announced, and the connection is closed."""
    app = named_app()
    options = {"headers": {"content-length": "10"}}
    app.add_route(half(**options), "/half", name="half")
    app.add_route(half(**options), "/stream", name="stream", stream=True)
    client = serve(app).client()
    client.send(b"GET /" + name.encode() + HOST + b"\r\n")
    head, _, body = client.read().partition(b"\r\n\r\n")
    assert b"content-length: 10" in head
    assert body == b"abc"


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("name", ["half", "stream"])
def test_half_an_answer_without_chunks_is_reset(
    loop: str, name: str, named_app: App, serve: Serve, waiting: Wait
) -> None:
    """Closing is what ends an answer to HTTP/1.0; so the client gets an error there."""
    app = named_app()
    app.add_route(half(), "/half", name="half")
    app.add_route(half(), "/stream", name="stream", stream=True)
    server = serve(app, loop=loop)
    client = server.client()
    client.send(b"GET /" + name.encode() + b" HTTP/1.0\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        client.read_until(lambda raw: False)
    waiting(lambda: not server.connections)


def test_a_stream_that_ends_well_is_complete(named_app: App, serve: Serve, protocol: Any) -> None:
    """With its last chunk, on every path and however it is made; the connection is kept."""

    async def responded(request: Request) -> None:
        response = await request.respond()
        await response.send(b"abc")

    async def returned(request: Request) -> ResponseStream:
        async def write(response: Any) -> None:
            await response.write("abc")

        return ResponseStream(write)

    app = named_app()
    handlers: dict[str, Any] = {"responded": responded, "returned": returned}
    for name, handler in handlers.items():
        app.add_route(handler, f"/{name}", name=name)

        async def again(request: Request, handler: Any = handler) -> Any:
            return await handler(request)

        app.add_route(again, f"/full/{name}", name=f"full_{name}", stream=True)
    client = serve(app, protocol=protocol).client()
    for target in (b"/responded", b"/returned", b"/full/responded", b"/full/returned"):
        client.send(b"GET " + target + HOST + b"\r\n")
        raw = client.read_until(lambda raw: raw.endswith(b"0\r\n\r\n"))
        assert raw.endswith(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), target


@pytest.mark.parametrize("path", ["fast", "stream", "middleware"])
@pytest.mark.parametrize("sending", [False, True])
def test_a_client_that_leaves_a_stream_is_no_error(
    path: str,
    sending: bool,
    named_app: App,
    serve: Serve,
    protocol: Any,
    waiting: Wait,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The handler is cancelled, its ``finally`` runs, and the log has a DEBUG line at the most;
    whether it waits for its next event or to send one."""
    ended: list[str] = []
    tasks: list[Any] = []
    app = named_app()
    prepare(app, path)

    async def events(request: Request) -> None:
        tasks.append(asyncio.current_task())
        response = await request.respond(content_type="text/event-stream")
        try:
            await response.send(b"data: 1\n\n")
            while sending:
                await response.send(b"data: " + b"x" * 65536 + b"\n\n")
            await asyncio.sleep(600)
        finally:
            ended.append("ended")

    app.add_route(events, "/half", name="events", stream=path == "stream")
    server = serve(app, protocol=protocol)
    with caplog.at_level(logging.DEBUG):
        client = server.client()
        client.send(b"GET /half" + HOST + b"\r\n")
        client.read_until(lambda raw: b"data: 1" in raw)
        client.close()
        waiting(lambda: ended)
        waiting(lambda: not server.connections)
        waiting(lambda: tasks[0].done())
    levels = [record.levelno for record in caplog.records if record.levelno > logging.DEBUG]
    assert levels == []
    assert ended == ["ended"]


@pytest.mark.parametrize("path", ["/fast", "/full"])
async def test_a_write_that_fails_is_a_client_that_left(
    path: str, named_app: App, in_memory: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It is known before the connection is said to be lost, and is no error either."""
    app = named_app()
    go_on = asyncio.Event()

    async def events(request: Request) -> None:
        response = await request.respond()
        await response.send(b"one")
        await go_on.wait()
        await response.send(b"two")

    async def again(request: Request) -> None:
        await events(request)

    app.add_route(events, "/fast", name="fast")
    app.add_route(again, "/full", name="full", stream=True)
    transport = await in_memory(app)
    with caplog.at_level(logging.DEBUG):
        transport.protocol.data_received(b"GET " + path.encode() + HOST + b"\r\n")
        await asyncio.sleep(0)
        task = transport.protocol._task
        transport.closing = True  # as after a reset
        go_on.set()
        await asyncio.wait([task])
    assert b"one" in transport.written
    assert b"two" not in transport.written
    assert [r.getMessage() for r in caplog.records if r.levelno > logging.DEBUG] == []
    transport.protocol.connection_lost(None)


def test_what_goes_wrong_after_a_client_left_is_logged(
    named_app: App, serve: Serve, waiting: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    """Leaving is no error; a fault in the handler's ``finally`` is one."""
    app = named_app()

    @app.get("/")
    async def events(request: Request) -> None:
        response = await request.respond()
        try:
            await response.send(b"abc")
            await asyncio.sleep(600)
        finally:
            raise RuntimeError("cannot clean up")

    server = serve(app)
    with caplog.at_level(logging.ERROR):
        client = server.client()
        client.send(b"GET /" + HOST + b"\r\n")
        client.read_until(lambda raw: b"abc" in raw)
        client.close()
        waiting(lambda: "cannot clean up" in caplog.text)


class Escape(BaseException):
    """An application's own, which no ``except Exception`` catches."""


ESCAPES: dict[str, Callable[[], BaseException]] = {
    "exit": lambda: SystemExit(3),
    "interrupt": KeyboardInterrupt,
    "generator": GeneratorExit,
    "own": Escape,
    "group": lambda: BaseExceptionGroup("several", [SystemExit(1)]),
    "cancelled": asyncio.CancelledError,
}


def escaping(app: Sanic[Any, Any], make: Callable[[], BaseException]) -> None:
    """Routes of every kind that raise it."""

    async def once(request: Request) -> HTTPResponse:
        raise make()

    async def waits(request: Request) -> HTTPResponse:
        await asyncio.sleep(0)
        raise make()

    def plain(request: Request) -> HTTPResponse:
        raise make()

    async def streams(request: Request) -> HTTPResponse:
        raise make()

    async def guarded(request: Request) -> HTTPResponse:
        return text("not reached")

    async def middleware(request: Request) -> None:
        if request.path == "/guarded":
            raise make()

    handlers: list[Any] = [once, waits, plain, guarded]
    for handler in handlers:
        app.add_route(handler, f"/{handler.__name__}", name=handler.__name__)
    app.add_route(streams, "/streams", name="streams", stream=True)
    app.register_middleware(middleware, "request")
    app.add_route(answer_with("ok"), "/", name="root")


@pytest.mark.parametrize("name", ESCAPES)
@pytest.mark.parametrize("kind", ["sanic", "service"])
def test_a_handler_does_not_end_the_process(
    name: str,
    kind: str,
    named_app: App,
    serve: Serve,
    protocol: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever it raises: the client gets 500 without its text, the log has the line, and the next
    request is served."""
    if kind == "sanic":
        app: Sanic[Any, Any] = named_app()
    else:
        app = Service(f"escapes-{name}-{protocol.__name__.lower()}", configure_logging=False)
        app.configure(docs=False, health=False, metrics=False)
    escaping(app, ESCAPES[name])
    server = serve(app, protocol=protocol)
    for target in (b"once", b"waits", b"plain", b"streams", b"guarded"):
        caplog.clear()
        with caplog.at_level(logging.ERROR):
            [answer] = server.client().exchange(
                b"GET /" + target + HOST + b"Connection: close\r\n\r\n"
            )
        assert answer.status == 500, target
        assert b"raised" not in answer.body
        errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert [f"/{target.decode()}" in record.getMessage() for record in errors] == [True]
        assert type(ESCAPES[name]()).__name__ in caplog.text
        [answer] = server.client().exchange(b"GET /" + HOST + b"Connection: close\r\n\r\n")
        assert answer.status == 200
    assert server.thread.is_alive()


@pytest.mark.parametrize("path", [b"/once", b"/waits", b"/streams"])
@pytest.mark.parametrize("name", ["exit", "own", "cancelled"])
def test_an_application_may_handle_it_itself(
    path: bytes, name: str, named_app: App, serve: Serve, protocol: Any
) -> None:
    """As on Sanic, where ``@app.exception`` takes a `CancelledError`; its response is sent."""
    app = named_app()
    escaping(app, ESCAPES[name])

    async def handled(request: Request, exc: BaseException) -> HTTPResponse:
        return text(type(exc).__name__, 418)

    app.error_handler.add(type(ESCAPES[name]()), handled)
    [answer] = (
        serve(app, protocol=protocol)
        .client()
        .exchange(b"GET " + path + HOST + b"Connection: close\r\n\r\n")
    )
    assert (answer.status, answer.body.decode()) == (418, type(ESCAPES[name]()).__name__)


def test_an_error_handler_does_not_end_the_process(
    named_app: App, serve: Serve, protocol: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """500, a line, and the server goes on."""
    app = named_app()

    @app.exception(ValueError)
    async def broken(request: Request, exc: BaseException) -> HTTPResponse:
        raise SystemExit(1)

    async def fails(request: Request) -> HTTPResponse:
        raise ValueError

    async def fails_streaming(request: Request) -> HTTPResponse:
        raise ValueError

    app.add_route(fails, "/fails", name="fails")
    app.add_route(fails_streaming, "/streams", name="streams", stream=True)
    app.add_route(answer_with("ok"), "/", name="root")
    server = serve(app, protocol=protocol)
    for target, status in ((b"fails", 500), (b"streams", 500), (b"", 200)):
        caplog.clear()
        raw = b"GET /" + target + HOST + b"Connection: close\r\n\r\n"
        assert [answer.status for answer in server.client().exchange(raw)] == [status]
        assert ("SystemExit" in caplog.text) is (status == 500)


@pytest.mark.parametrize("event", ["http.lifecycle.begin", "http.lifecycle.complete"])
@pytest.mark.parametrize("name", ["exit", "own"])
def test_a_signal_of_the_connection_does_not_end_the_process(
    event: str,
    name: str,
    named_app: App,
    serve: Serve,
    waiting: Wait,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A line, and requests are served."""
    app = named_app()

    async def broken(**context: Any) -> None:
        raise ESCAPES[name]()

    app.add_signal(broken, event)
    app.add_route(answer_with("ok"), "/", name="root")
    server = serve(app)
    for _ in range(2):
        caplog.clear()
        [answer] = server.client().exchange(b"GET /" + HOST + b"Connection: close\r\n\r\n")
        assert answer.body == b"ok"
        waiting(lambda: f"A handler of {event} failed" in caplog.text)


async def test_a_task_that_is_thrown_away_ends_without_a_word(
    named_app: App, in_memory: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """`GeneratorExit` from outside is the end of the event loop, and no failure of the handler."""
    ended: list[str] = []
    app = named_app()

    @app.get("/")
    async def handler(request: Request) -> HTTPResponse:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append("ended")
        return text("")

    transport = await in_memory(app)
    transport.protocol.data_received(b"GET /" + HOST + b"\r\n")
    task = transport.protocol._task
    await asyncio.sleep(0)
    task.get_coro().close()
    assert ended == ["ended"]
    assert transport.written == b""
    assert not caplog.records
    task.cancel()
    await asyncio.wait([task])
