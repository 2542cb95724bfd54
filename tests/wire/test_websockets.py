"""Web sockets, frame by frame: what is delivered, what is refused, and how each of them ends."""

from __future__ import annotations

import asyncio
import itertools
import logging
import struct
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sanic import Request, Sanic
from sanic.exceptions import ServerError, WebsocketClosed
from tests.wire.handlers import answer_with

from sanic_ms import Service
from sanic_ms.exception import LifecycleError
from sanic_ms.http import list_routes

App = Callable[..., Sanic[Any, Any]]
Serve = Callable[..., Any]
Wait = Callable[..., None]

HEAD = b" HTTP/1.1\r\nHost: a\r\n"
UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
BAD = b"\xff\xfe"


def frame(opcode: int, data: bytes = b"", *, fin: bool = True) -> bytes:
    """A client's frame, masked with zeros."""
    size = len(data)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 65536:
        length = struct.pack("!BH", 0x80 | 126, size)
    else:
        length = struct.pack("!BQ", 0x80 | 127, size)
    return bytes([opcode | 0x80 * fin]) + length + b"\0\0\0\0" + data


def close(code: int) -> bytes:
    """A client's close frame."""
    return frame(CLOSE, struct.pack("!H", code))


class Socket:
    """A web socket of a raw client."""

    def __init__(self, server: Any, path: bytes = b"/ws") -> None:
        self.client = server.client()
        self.client.send(b"GET " + path + HEAD + UPGRADE + b"\r\n")
        raw = self.client.read_until(lambda raw: b"\r\n\r\n" in raw)
        head, _, self.rest = raw.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        self.send = self.client.send

    def _read(self, size: int) -> bytes:
        data: bytes
        while len(self.rest) < size:
            data = self.client.socket.recv(65536)
            if not data:
                raise EOFError(self.rest)
            self.rest += data
        data, self.rest = self.rest[:size], self.rest[size:]
        return data

    def frame(self) -> tuple[int, bytes]:
        """The next frame: opcode and data."""
        first, second = self._read(2)
        assert first & 0xF0 == 0x80, "a fragment, or reserved bits"
        assert second < 0x80, "a server does not mask"
        size = second
        if size == 126:
            [size] = struct.unpack("!H", self._read(2))
        elif size == 127:
            [size] = struct.unpack("!Q", self._read(8))
        return first & 0x0F, self._read(size)

    def code(self) -> int:
        """The code of the close frame that comes next, after which nothing comes."""
        opcode, data = self.frame()
        assert opcode == CLOSE, (opcode, data)
        self.send(close(1000))
        with pytest.raises(EOFError):
            self.frame()
        self.client.close()
        code: int = struct.unpack("!H", data[:2])[0]
        return code


class Receiver:
    """A web socket whose handler notes what it receives, one message for each permit."""

    def __init__(self, app: Sanic[Any, Any]) -> None:
        self.messages: list[Any] = []
        self.ended: list[str] = []
        self.open = threading.Event()  # until then the handler reads nothing
        app.add_websocket_route(self.handle, "/ws", name="ws")

    async def handle(self, request: Request, ws: Any) -> None:
        """Receive until there is no more."""
        try:
            await asyncio.to_thread(self.open.wait, 60)
            while True:
                self.messages.append(await ws.recv())
                await asyncio.sleep(0.001)  # as one that asks a database
        except BaseException as exc:
            self.ended.append(type(exc).__name__)
            raise


@pytest.fixture
def receiver(named_app: App) -> tuple[Sanic[Any, Any], Receiver]:
    """An application with it."""
    app = named_app()
    return app, Receiver(app)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize(
    ("sent", "delivered"),
    [
        (frame(TEXT, b"abc") + frame(TEXT, BAD) + frame(TEXT, b"hello"), ["abc"]),
        (frame(TEXT, BAD) + frame(TEXT, b"hello"), []),
        (
            frame(TEXT, b"a") + frame(TEXT, b"\xe2", fin=False) + frame(CONT, b"\x82\xac"),
            ["a", "€"],
        ),
        (frame(TEXT, b"\xe2\x82") + frame(TEXT, b"b"), []),
        (frame(TEXT, b"x", fin=False) + frame(CONT, BAD, fin=False), []),
        (frame(BINARY, BAD) + frame(TEXT, BAD), [BAD]),
    ],
)
def test_text_that_is_no_utf8_closes_with_1007(
    loop: str,
    sent: bytes,
    delivered: list[Any],
    receiver: tuple[Sanic[Any, Any], Receiver],
    serve: Serve,
    waiting: Wait,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Messages before it in the same segment are delivered, each by itself, and nothing of
    what came after it. It is the client's mistake: no error in the log."""
    app, notes = receiver
    notes.open.set()
    server = serve(app, loop=loop)
    with caplog.at_level(logging.WARNING):
        ws = Socket(server)
        ws.send(sent + (frame(TEXT, BAD) if "€" in delivered else b""))
        assert ws.code() == 1007
        waiting(lambda: notes.ended)
        waiting(lambda: not server.connections)
    assert notes.messages == delivered
    assert not caplog.records


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("at_once", [True, False])
def test_no_message_before_a_close_is_lost(
    loop: str,
    at_once: bool,
    receiver: tuple[Sanic[Any, Any], Receiver],
    serve: Serve,
    waiting: Wait,
) -> None:
    """A client that sends, closes and goes: its messages reach the handler, in their order, also
    one that is slower than the client."""
    app, notes = receiver
    if at_once:
        notes.open.set()
    server = serve(app, loop=loop)
    ws = Socket(server)
    sent = [f"message {n}" for n in range(50)]
    ws.send(b"".join(frame(TEXT, text.encode()) for text in sent) + close(1000))
    assert ws.frame() == (CLOSE, struct.pack("!H", 1000))
    ws.client.close()
    waiting(lambda: not server.connections)
    notes.open.set()
    waiting(lambda: notes.ended)
    assert notes.messages == sent


def test_a_handler_that_does_not_read_ends_with_its_client(
    named_app: App, serve: Serve, waiting: Wait
) -> None:
    """Unread messages hold it for the closing timeout, and no longer."""
    ended: list[str] = []
    app = named_app()

    @app.websocket("/ws")  # type: ignore[untyped-decorator]
    async def handler(request: Request, ws: Any) -> None:
        ws.io_proto.websocket_timeout = 0.05  # instead of 10 s
        await ws.send("ready")
        try:
            await asyncio.sleep(600)
        finally:
            ended.append("ended")

    server = serve(app)
    ws = Socket(server)
    assert ws.frame() == (TEXT, b"ready")
    ws.send(frame(TEXT, b"unread"))
    ws.send(frame(PING, b"p"))
    assert ws.frame() == (PONG, b"p")
    ws.client.close()
    waiting(lambda: ended == ["ended"])


def test_a_client_that_goes_wakes_the_handler(
    receiver: tuple[Sanic[Any, Any], Receiver], serve: Serve, waiting: Wait
) -> None:
    """Without a close frame, too."""
    app, notes = receiver
    notes.open.set()
    ws = Socket(serve(app))
    ws.send(frame(TEXT, b"a"))
    waiting(lambda: notes.messages == ["a"])
    ws.client.close()
    waiting(lambda: notes.ended == ["CancelledError"])


async def fails(request: Request, ws: Any) -> None:
    """Raises after a message."""
    await ws.recv()
    raise RuntimeError("on purpose")


async def cannot_be_called(request: Request, ws: Any, missing: Any) -> None:
    """Takes what nothing gives."""


async def leaves(request: Request, ws: Any) -> None:
    """Raises what would end the process."""
    raise SystemExit(1)


async def cancelled(request: Request, ws: Any) -> None:
    """Its own work was cancelled."""
    raise asyncio.CancelledError


@pytest.mark.parametrize("handler", [fails, cannot_be_called, leaves, cancelled])
def test_a_handler_that_fails_closes_with_1011(
    handler: Any, named_app: App, serve: Serve, waiting: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    """The client learns that it was the server; no HTTP is written into the socket, the log has one
    line, and the server goes on."""
    app = named_app()
    app.add_websocket_route(handler, "/ws", name="ws")
    app.add_route(answer_with("ok"), "/", name="root")
    server = serve(app)
    with caplog.at_level(logging.ERROR):
        ws = Socket(server)
        ws.send(frame(TEXT, b"a"))
        assert ws.code() == 1011
        waiting(lambda: not server.connections)
    assert len(caplog.records) == (0 if handler is cancelled else 1)
    [answer] = server.client().exchange(b"GET /" + HEAD + b"Connection: close\r\n\r\n")
    assert answer.body == b"ok"


def test_a_signal_that_fails_closes_with_1011(
    named_app: App, serve: Serve, waiting: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    """Sanic would write a 500 into the open web socket."""
    app = named_app()

    @app.signal("websocket.handler.before")
    async def broken(**context: Any) -> None:
        raise RuntimeError("on purpose")

    app.add_websocket_route(fails, "/ws", name="ws")
    server = serve(app)
    with caplog.at_level(logging.ERROR):
        assert Socket(server).code() == 1011
        waiting(lambda: not server.connections)
    assert "on purpose" in caplog.text


def test_a_handler_that_ends_closes_with_1000(named_app: App, serve: Serve, waiting: Wait) -> None:
    """The usual end, also of one that waits no more for messages that come."""
    app = named_app()

    @app.websocket("/ws")  # type: ignore[untyped-decorator]
    async def handler(request: Request, ws: Any) -> None:
        await ws.send("bye")

    server = serve(app)
    ws = Socket(server)
    assert ws.frame() == (TEXT, b"bye")
    ws.send(frame(TEXT, b"x" * 100) * 2000)  # more than is kept for a handler
    assert ws.code() == 1000
    waiting(lambda: not server.connections)


def test_the_close_frame_reaches_a_client_that_is_sending(named_app: App, serve: Serve) -> None:
    """A reset must not overtake it: the client learns that its message was too long."""
    app = named_app(WEBSOCKET_MAX_SIZE=1000)

    @app.websocket("/ws")  # type: ignore[untyped-decorator]
    async def handler(request: Request, ws: Any) -> None:
        await ws.recv()

    server = serve(app)
    for _ in range(20):
        ws = Socket(server)
        ws.send(frame(BINARY, b"x" * 400_000))
        assert ws.code() == 1009


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize(("opcode", "answer"), [(BINARY, BINARY), (PING, PONG)])
def test_a_client_that_does_not_read_is_not_read_from(
    loop: str, opcode: int, answer: int, named_app: App, serve: Serve, waiting: Wait
) -> None:
    """Neither messages nor pings pile up while what it is owed waits to be sent; when it reads at
    last it gets everything, in order."""
    app = named_app()

    @app.websocket("/ws")  # type: ignore[untyped-decorator]
    async def echo(request: Request, ws: Any) -> None:
        while True:
            await ws.send(await ws.recv())

    server = serve(app, loop=loop)
    ws = Socket(server)
    [connection] = server.connections
    ws.client.socket.setblocking(False)
    sent, data = 0, b""
    while connection._reading or not connection.is_writing_paused or data:
        try:
            data = data or frame(opcode, b"%0100d" % sent)
            data = data[ws.client.socket.send(data) :]
            sent += not data
        except BlockingIOError:
            if not connection._reading and connection.is_writing_paused:
                break
    state = server.call(
        lambda: (connection.transport.get_write_buffer_size(), connection.websocket._inbox.size)
    )
    assert state[0] < 2 << 20
    assert state[1] < 1 << 20
    ws.client.socket.settimeout(60)
    rest = threading.Thread(target=ws.send, args=(data,))
    rest.start()
    for n in range(sent):
        assert ws.frame() == (answer, b"%0100d" % n)
    rest.join(60)
    if data:
        assert ws.frame() == (answer, b"%0100d" % sent)
    waiting(lambda: connection._reading)


def test_a_handler_that_is_behind_stops_the_client(
    receiver: tuple[Sanic[Any, Any], Receiver], serve: Serve, waiting: Wait
) -> None:
    """Reading stops until it has caught up; nothing is lost."""
    app, notes = receiver
    server = serve(app)
    ws = Socket(server)
    [connection] = server.connections
    sent = [b"%01000d" % n for n in range(300)]
    sender = threading.Thread(target=ws.send, args=(b"".join(frame(BINARY, m) for m in sent),))
    sender.start()
    waiting(lambda: not connection._reading)
    notes.open.set()
    waiting(lambda: len(notes.messages) == len(sent))
    sender.join(60)
    assert notes.messages == sent
    waiting(lambda: connection._reading)


def test_a_handshake_in_http_1_0_is_not_answered_101(
    receiver: tuple[Sanic[Any, Any], Receiver], serve: Serve
) -> None:
    """There is no upgrade in HTTP/1.0 (RFC 9110, 7.8)."""
    server = serve(receiver[0])
    [answer] = server.client().exchange(b"GET /ws HTTP/1.0\r\nHost: a\r\n" + UPGRADE + b"\r\n")
    assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")


def test_a_handshake_with_a_body_is_refused(
    receiver: tuple[Sanic[Any, Any], Receiver], serve: Serve
) -> None:
    """Its bytes could be taken for frames."""
    server = serve(receiver[0])
    for body in (
        b"Content-Length: 2\r\n\r\n\x81\x00",
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ):
        client = server.client()
        client.send(b"GET /ws" + HEAD + UPGRADE + body)
        assert client.read().startswith(b"HTTP/1.1 400 ")


@pytest.fixture
def receiving(named_app: App, serve: Serve) -> Callable[[Any], tuple[Socket, list[Any]]]:
    """Opens a web socket with this handler, which notes in a list."""

    def start(handle: Callable[[Any, list[Any]], Any]) -> tuple[Socket, list[Any]]:
        notes: list[Any] = []
        app = named_app()

        @app.websocket("/ws")  # type: ignore[untyped-decorator]
        async def handler(request: Request, ws: Any) -> None:
            await handle(ws, notes)
            await ws.send("done")

        return Socket(serve(app)), notes

    return start


def test_receiving_with_a_timeout(receiving: Any) -> None:
    """None where nothing came in time; and a message that comes to a receiver that was cancelled is
    the next one's."""

    async def handle(ws: Any, notes: list[Any]) -> None:
        notes.append(await ws.recv(0))
        notes.append(await ws.recv(0.01))
        try:
            await asyncio.wait_for(ws.recv(), 0.01)
        except TimeoutError:
            notes.append("late")
        await ws.send("ready")
        notes.append(await ws.recv(60))
        notes.append(await ws.recv())

    ws, notes = receiving(handle)
    assert ws.frame() == (TEXT, b"ready")
    ws.send(frame(TEXT, b"one") + frame(BINARY, b"two"))
    assert ws.frame() == (TEXT, b"done")
    assert notes == [None, None, "late", "one", b"two"]


def test_receiving_a_burst(receiving: Any) -> None:
    """All that has come, in order, at most so many."""

    async def handle(ws: Any, notes: list[Any]) -> None:
        notes.append(await ws.recv_burst())
        await (await ws.ping("here"))
        notes.append(await ws.recv_burst(2))
        notes.append(await ws.recv_burst())

    ws, notes = receiving(handle)
    assert ws.frame() == (PING, b"here")
    ws.send(frame(TEXT, b"a") + frame(TEXT, b"b", fin=False) + frame(CONT, b"c") + frame(TEXT))
    ws.send(frame(PONG, b"here"))
    assert ws.frame() == (TEXT, b"done")
    assert notes == [[], ["a", "bc"], [""]]


def test_receiving_frame_by_frame(receiving: Any) -> None:
    """Each as it comes; after the last one messages can be received whole again."""

    async def handle(ws: Any, notes: list[Any]) -> None:
        async for part in ws.recv_streaming():
            notes.append(part)
            await ws.send(part)
        notes.append(await ws.recv())

    ws, notes = receiving(handle)
    for opcode, part, fin in ((TEXT, b"one", False), (CONT, b"two", False), (CONT, b"", True)):
        ws.send(frame(opcode, part, fin=fin))
        assert ws.frame() == (TEXT, part)
    ws.send(frame(BINARY, b"whole"))
    assert ws.frame() == (TEXT, b"done")
    assert notes == ["one", "two", "", b"whole"]


def test_one_task_receives_at_a_time(receiving: Any) -> None:
    """A second one gets an error, and the first one its message."""

    async def handle(ws: Any, notes: list[Any]) -> None:
        first = asyncio.create_task(ws.recv())
        await asyncio.sleep(0)
        with pytest.raises(ServerError):
            await ws.recv()
        await ws.send("ready")
        notes.append(await first)

    ws, notes = receiving(handle)
    assert ws.frame() == (TEXT, b"ready")
    ws.send(frame(TEXT, b"a"))
    assert ws.frame() == (TEXT, b"done")
    assert notes == ["a"]


def test_pings_of_the_server_are_acknowledged(receiving: Any) -> None:
    """A pong answers its ping and those before it."""

    async def handle(ws: Any, notes: list[Any]) -> None:
        first, second = await ws.ping("1"), await ws.ping("2")
        await second
        notes.append(first.done())

    ws, notes = receiving(handle)
    assert [ws.frame(), ws.frame()] == [(PING, b"1"), (PING, b"2")]
    ws.send(frame(PONG, b"unknown") + frame(PONG, b"2"))
    assert ws.frame() == (TEXT, b"done")
    assert notes == [True]


def test_a_closed_web_socket_cannot_be_used(receiving: Any, waiting: Wait) -> None:
    """`WebsocketClosed`, whatever is tried."""

    async def handle(ws: Any, notes: list[Any]) -> None:
        await ws.send("ready")
        try:
            await ws.recv()
        except asyncio.CancelledError:
            for method in (ws.recv, ws.recv_burst, lambda: ws.send("x")):
                try:
                    await method()
                except WebsocketClosed as exc:
                    notes.append(exc)

    ws, notes = receiving(handle)
    assert ws.frame() == (TEXT, b"ready")
    ws.send(close(1000))
    assert ws.frame() == (CLOSE, struct.pack("!H", 1000))
    waiting(lambda: len(notes) == 3)


class Greeter:
    """A service."""

    def greet(self, name: str) -> str:
        """A greeting."""
        return f"hello {name}"


class Absent:
    """A service that cannot be made."""

    def __init__(self) -> None:
        raise RuntimeError("not today")


def make_service() -> Service:
    """A service whose web sockets take arguments."""
    app = Service(next(_names), configure_logging=False)
    app.configure(docs=False, health=False, metrics=False, access_log=False)
    app.provide(Greeter)
    app.provide(Absent)

    @app.websocket("/greet/<name>")
    async def greet(request: Request, ws: Any, name: str, greeter: Greeter, times: int = 1) -> None:
        for _ in range(times):
            await ws.send(greeter.greet(name))

    @app.websocket("/absent")
    async def absent(request: Request, ws: Any, service: Absent) -> None:
        await ws.send("not reached")

    @app.websocket("/fails")
    async def failing(request: Request, ws: Any, greeter: Greeter) -> None:
        raise RuntimeError("on purpose")

    return app


_names = (f"websockets-{n}" for n in itertools.count())


def test_a_handler_gets_its_arguments_and_services(serve: Serve, protocol: Any) -> None:
    """As that of a request does: from the path, the query and the container."""
    server = serve(make_service(), protocol=protocol)
    ws = Socket(server, b"/greet/%C3%B3?times=2")
    assert [ws.frame(), ws.frame()] == [(TEXT, "hello ó".encode())] * 2
    assert ws.code() == 1000


def test_what_is_missing_is_answered_before_the_handshake(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """As HTTP, in the envelope, and never within an open web socket."""
    server = serve(make_service())
    for target, status in ((b"/greet/a?times=x", 422), (b"/absent", 500)):
        client = server.client()
        client.send(b"GET " + target + HEAD + UPGRADE + b"\r\n")
        raw = client.read()
        assert raw.startswith(b"HTTP/1.1 %d " % status)
        assert b'{"code":10%d' % status in raw
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    (message,) = [record.getMessage() for record in errors]
    assert message.startswith("GET /absent: RuntimeError: not today (")


def test_a_service_that_fails_closes_with_1011(
    serve: Serve, waiting: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where the handler is given services; the log has one line."""
    server = serve(make_service())
    assert Socket(server, b"/fails").code() == 1011
    waiting(lambda: not server.connections)
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 1


@pytest.mark.parametrize("kind", ["unknown", "body"])
def test_a_handler_that_nothing_can_fill_stops_the_start(kind: str) -> None:
    """Known before the first request, with its name and line."""
    app = make_service()

    async def unknown(request: Request, ws: Any, missing) -> None:  # type: ignore[no-untyped-def]
        pass

    async def body(request: Request, ws: Any, missing: Socket) -> None:
        pass

    app.add_websocket_route({"unknown": unknown, "body": body}[kind], "/ws", name="ws")
    with pytest.raises(LifecycleError, match=rf"{kind} .*test_websockets.py:\d+.*'missing'"):
        app.compile()


def test_compiling_again_changes_nothing() -> None:
    """The list of routes shows the handlers that were written."""
    app = make_service()
    before = list_routes(app)
    app.compile()
    handlers = [route.handler for route in app.router.routes]
    app.compile()
    assert [route.handler for route in app.router.routes] == handlers
    assert list_routes(app) == before
    assert any(entry.handler.endswith("make_service.<locals>.greet") for entry in before)


def test_a_web_socket_that_outlives_a_stop_is_cut(
    receiver: tuple[Sanic[Any, Any], Receiver], serve: Serve, waiting: Wait
) -> None:
    """The client is told that the server goes, and the handler is cancelled, whatever it waits
    for."""
    app, notes = receiver
    server = serve(app)
    socket = Socket(server)
    waiting(lambda: server.connections)
    server.call(lambda: [connection.cut() for connection in list(server.connections)])
    assert socket.code() == 1001
    waiting(lambda: notes.ended == ["CancelledError"])
    notes.open.set()
    waiting(lambda: not server.connections)
    assert notes.messages == []
