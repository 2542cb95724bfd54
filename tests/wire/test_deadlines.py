"""Absolute deadlines: whatever a client does or does not do, it is over in time."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from sanic import HTTPResponse, Request, Sanic
from sanic.response import text

from sanic_ms.values.route import DIRECT, Direct

HEAD = b" HTTP/1.1\r\nHost: a\r\n"

QUICK = {
    "REQUEST_TIMEOUT": 1.0,
    "REQUEST_BODY_TIMEOUT": 1.0,
    "RESPONSE_TIMEOUT": 1.0,
    "KEEP_ALIVE_TIMEOUT": 1.0,
    "WRITE_TIMEOUT": 1.0,
    "LINGER_TIMEOUT": 0.2,
}
LIMIT = 60  # seconds to wait for a deadline: a busy machine is slow, not broken
Serve = Callable[..., Any]


@pytest.fixture
def cancelled() -> list[str]:
    """Handlers that were cancelled."""
    return []


@pytest.fixture
def server(named_app: Callable[..., Sanic[Any, Any]], serve: Serve, cancelled: list[str]) -> Any:
    """A server with short deadlines."""
    app = named_app(**QUICK)

    @app.route("/", methods=["GET", "POST"], ignore_body=False)
    async def root(request: Request) -> HTTPResponse:
        return text("root")

    @app.get("/hang")
    async def hang(request: Request) -> HTTPResponse:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append("hang")
            raise
        return text("")

    @app.get("/begin")
    async def begin(request: Request) -> None:
        response = await request.respond()
        await response.send(b"begun")
        await asyncio.sleep(60)

    @app.post("/stream", stream=True)
    async def stream(request: Request) -> HTTPResponse:
        size = 0
        async for data in request.stream:  # type: ignore[union-attr]
            size += len(data)
        return text(str(size))

    @app.get("/steady")
    async def steady(request: Request) -> None:
        response = await request.respond()
        for _ in range(10):
            await response.send(b"x")
            await asyncio.sleep(0.1)
        await response.eof()

    @app.get("/endless")
    async def endless(request: Request) -> None:
        response = await request.respond()
        try:
            while True:
                await response.send(b"x" * 65536)
        finally:
            cancelled.append("endless")

    @app.get("/large")
    async def large(request: Request) -> HTTPResponse:
        return HTTPResponse(b"x" * 50_000_000)

    @app.get("/once/<size:int>")
    async def once(request: Request, size: int) -> HTTPResponse:
        raise AssertionError("called in a task")

    def at_once(request: Request, path: dict[str, int]) -> HTTPResponse:
        return HTTPResponse(b"x" * path["size"])

    unused: Any = None
    setattr(once, DIRECT, Direct(once, unused, unused, at_once))

    return serve(app)


def ended(client: Any) -> bytes:
    """All that the server sends until it closes, which it must do by itself."""
    raw: bytes = client.read()
    return raw


def answer_while_sending(client: Any, byte: bytes) -> bytes:
    """What comes while this byte is sent again and again, with a twentieth of a second between."""
    client.socket.settimeout(0.05)
    began = time.monotonic()
    while time.monotonic() - began < LIMIT:
        client.send(byte)
        try:
            raw: bytes = client.socket.recv(1000)
        except TimeoutError:
            continue
        return raw
    return b""


def test_an_idle_connection_is_closed_without_a_word(server: Any) -> None:
    """Before a first request as well as between two."""
    assert ended(server.client()) == b""
    client = server.client()
    client.send(b"GET /" + HEAD + b"\r\n")
    assert ended(client).endswith(b"root")


@pytest.mark.parametrize(
    "raw",
    [b"G", b"GET / HTTP/1.1\r\n", b"GET /" + HEAD, b"GET /" + HEAD + b"\r", b"\r"],
)
def test_a_head_that_does_not_come_is_a_408(server: Any, raw: bytes) -> None:
    """From its first byte on."""
    client = server.client()
    client.send(raw)
    assert ended(client).startswith(b"HTTP/1.1 408 ")


def test_a_byte_at_a_time_does_not_restart_the_clock(server: Any) -> None:
    """Slow loris: the deadline of a head is absolute."""
    client = server.client()
    client.send(b"GET /" + HEAD)
    assert answer_while_sending(client, b"X").startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("path", [b"/", b"/stream"])
@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 100000\r\n", b"Content-Length: 9\r\n", b"Transfer-Encoding: chunked\r\n"],
)
def test_a_body_that_stalls_is_a_408(server: Any, path: bytes, framing: bytes) -> None:
    """Whatever frames it, and whoever waits for it."""
    client = server.client()
    client.send(b"POST " + path + HEAD + framing + b"\r\n5\r\nab")
    assert ended(client).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("path", [b"/", b"/stream"])
def test_a_body_that_trickles_is_a_408(server: Any, path: bytes) -> None:
    """The deadline of a body is absolute; a few bytes earn a stream no time."""
    client = server.client()
    client.send(b"POST " + path + HEAD + b"Content-Length: 100000\r\n\r\n")
    assert answer_while_sending(client, b"x").startswith(b"HTTP/1.1 408 ")


def test_a_steady_stream_may_take_its_time(server: Any, answers: Any) -> None:
    """A streamed body earns time by its size; an answer in progress is not late."""
    client = server.client()
    client.send(b"POST /stream" + HEAD + b"Connection: close\r\nContent-Length: 50000\r\n\r\n")
    for _ in range(10):
        time.sleep(0.12)
        client.send(b"x" * 5000)
    assert answers(ended(client))[0].body == b"50000"
    client = server.client()
    client.send(b"GET /steady" + HEAD + b"Connection: close\r\n\r\n")
    assert answers(ended(client))[0].body == b"x" * 10


def test_a_handler_that_hangs_is_cancelled_and_503(server: Any, cancelled: list[str]) -> None:
    """As in Sanic; the connection is closed."""
    client = server.client()
    client.send(b"GET /hang" + HEAD + b"\r\n")
    raw = ended(client)
    assert raw.startswith(b"HTTP/1.1 503 ")
    assert b"connection: close" in raw
    assert cancelled == ["hang"]


def test_an_answer_that_stops_is_cut_off(server: Any) -> None:
    """Never ended as if it were whole."""
    client = server.client()
    client.send(b"GET /begin" + HEAD + b"\r\n")
    raw = ended(client)
    assert b"5\r\nbegun\r\n" in raw
    assert not raw.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("path", [b"/endless", b"/large", b"/once/50000000"])
def test_a_client_that_does_not_read_is_dropped(
    server: Any, waiting: Callable[..., None], path: bytes
) -> None:
    """The send buffer must drain in time, for a stream and for one large answer, whether its
    handler has a task or not."""
    client = server.client()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.send(b"GET " + path + HEAD + b"\r\n")
    waiting(lambda: server.connections)
    waiting(lambda: not server.connections)


@pytest.mark.parametrize("path", [b"/", b"/once/4"])
def test_a_client_that_asks_and_does_not_read_is_held_back(
    server: Any, waiting: Callable[..., None], path: bytes
) -> None:
    """Pipelined requests are not served while their answers are not read."""
    client = server.client()
    client.socket.settimeout(0.2)
    try:
        while True:
            client.socket.sendall((b"GET " + path + HEAD + b"\r\n") * 1000)
    except (TimeoutError, ConnectionError):
        pass
    waiting(lambda: not server.connections)


def test_the_timer_rests_when_nobody_is_connected(
    server: Any, waiting: Callable[..., None]
) -> None:
    """One timer for all connections, and none for none."""
    client = server.client()
    client.send(b"GET /" + HEAD + b"\r\n")
    client.read_until(lambda raw: raw.endswith(b"root"))
    [connection] = server.connections
    wire = connection.wire
    assert server.call(lambda: wire._timer is not None)
    client.close()
    waiting(lambda: server.call(lambda: wire._timer is None))
