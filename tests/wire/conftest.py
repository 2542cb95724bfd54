"""A server on the wire: one in a thread with raw sockets, one in memory without any."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvloop
from sanic import HTTPResponse, Request, Sanic
from sanic.response import text

from sanic_ms.server import HttpProtocol
from sanic_ms.server.http1.fast_path import FastPath

# Sanic rewrites its own methods at start ("touch up"), which works once in a process.
_QUIET = {"MOTD": False, "TOUCHUP": False}
_names = (f"wire_{n}" for n in itertools.count())


@dataclass
class Answer:
    """One response as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes
    trailers: dict[str, str] = field(default_factory=dict)


def parse_answers(raw: bytes, *, heads_only: bool = False) -> list[Answer]:
    """Every response in ``raw``; fails on anything that is not a whole, well-framed response.

    ``heads_only``: they answer HEAD requests.
    """
    answers = []
    while raw:
        assert raw.startswith(b"HTTP/1.1 "), raw[:80]
        head, gap, raw = raw.partition(b"\r\n\r\n")
        assert gap, head
        line, *lines = head.decode().split("\r\n")
        headers = {}
        for item in lines:
            name, colon, value = item.partition(": ")
            assert colon, item
            assert name.lower() not in headers, f"{name} twice"
            headers[name.lower()] = value
        answer = Answer(int(line.split()[1]), headers, b"")
        answers.append(answer)
        if heads_only or answer.status in (100, 101, 204, 304):
            continue
        if headers.get("transfer-encoding") == "chunked":
            while True:
                size, _, raw = raw.partition(b"\r\n")
                if not int(size, 16):
                    break
                answer.body += raw[: int(size, 16)]
                assert raw[int(size, 16) :].startswith(b"\r\n")
                raw = raw[int(size, 16) + 2 :]
            while not raw.startswith(b"\r\n"):
                trailer, _, raw = raw.partition(b"\r\n")
                name, _, value = trailer.decode().partition(": ")
                answer.trailers[name] = value
            raw = raw[2:]
        elif "content-length" in headers:
            length = int(headers["content-length"])
            assert len(raw) >= length, "cut off"
            answer.body, raw = raw[:length], raw[length:]
        else:
            assert headers.get("connection") == "close"
            answer.body, raw = raw, b""
    return answers


@dataclass
class Seen:
    """What reached the application: (method, path, body) of each request."""

    requests: list[tuple[str, str, bytes]] = field(default_factory=list)


def make_app(seen: Seen, **config: Any) -> Sanic[Any, Any]:
    """An application that notes each request. ``/s/<path>`` reads its body as a stream, ``/m/…``
    runs a middleware; other paths are plain handlers."""
    app: Sanic[Any, Any] = Sanic(next(_names), configure_logging=False)
    app.config.update({**_QUIET, **config})
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]

    async def plain(request: Request, path: str = "") -> HTTPResponse:
        seen.requests.append((request.method, request.path, request.body))
        return text(f"{request.method} {len(request.body)}")

    async def streamed(request: Request, path: str = "") -> HTTPResponse:
        body = b""
        if request.stream is not None:
            async for data in request.stream:  # type: ignore[attr-defined]
                body += data
        seen.requests.append((request.method, request.path, body))
        return text(f"{request.method} {len(body)}")

    app.add_route(plain, "/", methods=methods, name="root", ignore_body=False)
    app.add_route(plain, "/<path:path>", methods=methods, name="any", ignore_body=False)
    app.add_route(streamed, "/s/<path:path>", methods=methods, name="stream", stream=True)
    return app


class Client:
    """A raw socket to a server."""

    def __init__(self, address: Any) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family)
        self.socket.settimeout(60)  # a busy machine is slow, not broken
        self.socket.connect(address)
        if family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):  # refused and closed meanwhile
            self.socket.sendall(data)

    def read(self) -> bytes:
        """All until the server ends its side."""
        raw = b""
        with contextlib.suppress(ConnectionError):
            while data := self.socket.recv(65536):
                raw += data
        return raw

    def read_until(self, enough: Callable[[bytes], bool]) -> bytes:
        """All until it is enough, or the server ends its side."""
        raw = b""
        while not enough(raw):
            data = self.socket.recv(65536)
            if not data:
                break
            raw += data
        return raw

    def exchange(self, data: bytes) -> list[Answer]:
        """Send, and read answers until the server closes."""
        self.send(data)
        return parse_answers(self.read())

    def close(self) -> None:
        self.socket.close()


class Server:
    """A server in a thread with an event loop of its own."""

    def __init__(self, app: Sanic[Any, Any], *, loop: str = "uvloop", **options: Any) -> None:
        self.app = app
        self.options = options
        self.loop: asyncio.AbstractEventLoop = (
            uvloop.new_event_loop() if loop == "uvloop" else asyncio.new_event_loop()
        )
        self.clients: list[Client] = []
        self.seen = Seen()
        self.started = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self.started.wait(20)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._serve())
        self.started.set()
        self.loop.run_forever()
        self.loop.run_until_complete(self._stop())
        self.loop.close()

    async def _serve(self) -> None:
        options = dict(self.options)
        if "unix" not in options:
            listener = socket.create_server(("127.0.0.1", 0))
            options["sock"] = listener
            self.address: Any = listener.getsockname()
        else:
            self.address = options["unix"]
        protocol = options.pop("protocol", HttpProtocol)
        server = await self.app.create_server(
            protocol=protocol, return_asyncio_server=True, **options
        )
        assert server is not None
        self.server: Any = server
        started: Any = server  # its methods have no annotations
        await started.startup()
        await started.before_start()
        await started.after_start()

    async def _stop(self) -> None:
        await self.server.before_stop()
        self.server.server.close()
        for connection in list(self.server.connections):
            connection.abort()
        await asyncio.sleep(0.05)
        await self.server.after_stop()

    @property
    def connections(self) -> set[Any]:
        return self.server.connections  # type: ignore[no-any-return]

    def client(self) -> Client:
        client = Client(self.address)
        self.clients.append(client)
        return client

    def call(self, function: Callable[[], Any]) -> Any:
        """Run a function in the server's loop and return its result."""

        async def run() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)

    def stop(self) -> None:
        for client in self.clients:
            client.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(20)


def wait_for(condition: Callable[[], Any], timeout: float = 60) -> None:
    """Wait until something is so."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.005)


class Memory(asyncio.Transport):
    """A transport that is a list: what the server writes, and nothing of a network."""

    def __init__(self, protocol: Any, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.protocol = protocol
        self.loop = loop
        self.written = bytearray()
        self.writes = 0
        self.reading = True
        self.closing = False
        self.ended = False
        protocol.connection_made(self)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 5), "sockname": ("127.0.0.1", 80)}.get(name, default)

    def get_protocol(self) -> Any:
        return self.protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: Any) -> None:
        self.writes += 1
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            self.loop.call_soon(self.protocol.connection_lost, None)

    abort = close

    @property
    def over(self) -> bool:
        """Whether the server has ended its side."""
        return self.ended or self.closing


@pytest.fixture
def answers() -> Callable[..., list[Answer]]:
    """Parses raw responses (`parse_answers`)."""
    return parse_answers


@pytest.fixture
def waiting() -> Callable[..., None]:
    """Waits for a condition (`wait_for`)."""
    return wait_for


@pytest.fixture
def new_app() -> Callable[..., Sanic[Any, Any]]:
    """Makes applications that note their requests (`make_app`)."""
    return make_app


@pytest.fixture
def named_app() -> Callable[..., Sanic[Any, Any]]:
    """Makes bare applications with a name of their own."""

    def make(**config: Any) -> Sanic[Any, Any]:
        app: Sanic[Any, Any] = Sanic(next(_names), configure_logging=False)
        app.config.update({**_QUIET, **config})
        return app

    return make


@pytest.fixture
def seen() -> Seen:
    """What reached the application of this test."""
    return Seen()


@pytest.fixture(params=["compiled", "pure"])
def protocol(request: pytest.FixtureRequest) -> Any:
    """The protocol as it is, and with the fast path in Python."""
    if request.param == "compiled":
        return HttpProtocol
    own = ("_account", "_deliver", "_open", "data_received")
    python = {name: getattr(FastPath, name) for name in own}
    return type("PureProtocol", (HttpProtocol,), {"__slots__": (), **python})


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts servers in threads, and stops them at the end of the test."""
    servers: list[Server] = []

    def start(app: Sanic[Any, Any], **options: Any) -> Server:
        servers.append(Server(app, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
async def in_memory() -> AsyncIterator[Callable[..., Any]]:
    """Makes connections without a network: ``connect(app)`` returns their `Memory`."""
    connections: set[Any] = set()

    async def connect(app: Sanic[Any, Any]) -> Memory:
        if not app.state.is_started:
            await app._startup()  # type: ignore[no-untyped-call]
        loop = asyncio.get_running_loop()
        return Memory(HttpProtocol(loop=loop, app=app, connections=connections), loop)

    yield connect
    for connection in list(connections):
        connection.transport.close()
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture(scope="module")
def table_server() -> Iterator[Server]:
    """One server for a whole table of requests; what reached it is in ``server.seen``."""
    seen = Seen()
    limits = {"REQUEST_MAX_SIZE": 100_000, "REQUEST_TIMEOUT": 20, "LINGER_TIMEOUT": 0.2}
    server = Server(make_app(seen, **limits))
    server.seen = seen
    yield server
    server.stop()


@pytest.fixture(scope="module")
def table_app() -> tuple[Sanic[Any, Any], Seen]:
    """An application for a whole table of requests in memory, and what reached it."""
    seen = Seen()
    limits = {"REQUEST_MAX_SIZE": 100_000, "REQUEST_TIMEOUT": 20, "LINGER_TIMEOUT": 0.2}
    return make_app(seen, **limits), seen


@pytest.fixture
def memory_transport() -> type[Memory]:
    """The class of transports without a network."""
    return Memory
