"""Web sockets: the handshake and the end, with Sanic's own implementation in between."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sanic.exceptions import (
    BadRequest,
    RequestCancelled,
    SanicException,
    ServerError,
    WebsocketClosed,
)
from sanic.log import access_logger, websockets_logger
from sanic.request import Request
from sanic.server.websockets.impl import WebsocketImplProtocol
from websockets.datastructures import Headers
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request as HandshakeRequest
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Data, Subprotocol

from sanic_ms.server.http1.inbox import Inbox
from sanic_ms.server.http1.response import encode_headers

if TYPE_CHECKING:
    from sanic_ms.server.http1.protocol import HttpProtocol

__all__ = ["WebSocket", "handshake", "log_websocket"]

_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)
_MOST_FRAMES = 256  # that wait for the handler before reading stops


class WebSocket(WebsocketImplProtocol):
    """Sanic's web socket, with a receiving half of its own.

    Messages are delivered in their order and whole, those that came before a close or a mistake of
    the client's among them; text that is no UTF-8 closes with 1007. Reading stops while the handler
    is behind, or the client does not read. A handler that fails closes with 1011, a server that
    stops with 1001.
    """

    io_proto: HttpProtocol | None

    def __init__(self, ws_proto: ServerProtocol, **options: Any) -> None:
        super().__init__(ws_proto, **options)
        self._inbox = Inbox()
        self._arrival: asyncio.Future[None] | None = None  # of what `recv` waits for
        self._is_over = False  # nothing more will come
        self._is_leaving = False  # we have said that we close
        self._has_failed = False
        self._has_ended = False  # our side of the connection
        self._is_receiving = False
        self._is_streaming = False

    @property
    def unread(self) -> bool:
        """Whether messages came that the handler has not read."""
        return self._inbox.messages > 0

    # --- receiving -------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take what came from the client."""
        protocol = self.ws_proto
        protocol.receive_data(data)
        for event in protocol.events_received():
            assert isinstance(event, Frame)  # the handshake is over
            if event.opcode is Opcode.PONG:
                self._acknowledge(bytes(event.data))
            elif event.opcode in _DATA and not self._is_leaving:
                try:
                    self._inbox.put(event)
                except UnicodeDecodeError as exc:
                    protocol.fail(CloseCode.INVALID_DATA, f"{exc.reason} at position {exc.start}")
                    break
        self._flush()
        if protocol.state is not State.OPEN:
            self._is_over = True
        self._notify()
        self.update_reading()

    def eof_received(self) -> bool | None:
        """The client has ended its side."""
        self.ws_proto.receive_eof()
        self._flush()
        self._is_over = True
        self._notify()
        self._finish()
        return False

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)  # type: ignore[no-untyped-call]
        self._is_over = True
        self._notify()
        self._finish()

    def update_reading(self) -> None:
        """Stop to read, or go on, by what waits in either direction."""
        connection = self.io_proto
        if connection is None or connection.lost:
            return
        inbox = self._inbox
        is_full = inbox.size >= connection.wire.most_input or len(inbox) >= _MOST_FRAMES
        # Half a message that is large is no reason to stop: only its other half lets it be read.
        is_full = is_full and (inbox.messages > 0 or self._is_streaming)
        if connection.is_writing_paused or (is_full and not self._is_leaving):
            connection.hold_input()
        else:
            connection.read_on()

    def _flush(self) -> None:
        """Send what the protocol itself has to say: pongs, and the closing handshake."""
        connection = self.io_proto
        for data in self.ws_proto.data_to_send():
            if not data:
                self._finish()
            elif connection is not None and not self._has_ended:
                connection.transport.write(data)

    def _acknowledge(self, data: bytes) -> None:
        """A pong acknowledges its ping, and those before it."""
        if data not in self.pings:
            return
        for ping_id in list(self.pings):
            ping = self.pings.pop(ping_id)
            if not ping.done():
                ping.set_result(None)
            if ping_id == data:
                break

    def _notify(self) -> None:
        """Wake the handler if there is something for it, or nothing will come any more."""
        arrival, inbox = self._arrival, self._inbox
        if arrival is None or arrival.done():
            return
        if inbox.messages or (self._is_streaming and len(inbox)):
            arrival.set_result(None)
        elif self._is_over:
            arrival.cancel()  # as Sanic's does: the handler is cancelled

    async def _arrived(self, timeout: float | None = None) -> None:
        """Wait for a message, or for a frame while one is streamed; at most so long.

        Raises:
            CancelledError: the web socket was closed.
        """
        assert self.loop is not None
        if self._is_over:
            raise asyncio.CancelledError
        self._arrival = arrival = self.loop.create_future()
        timer = None
        if timeout is not None:
            timer = self.loop.call_later(timeout, _resolve, arrival)
        try:
            await arrival
        finally:
            self._arrival = None
            if timer is not None:
                timer.cancel()

    @contextlib.contextmanager
    def _receiving(self) -> Iterator[None]:
        """One task receives at a time.

        Raises:
            ServerError: another one does.
            WebsocketClosed: it is closed, and all that came was read.
        """
        if self._is_receiving:
            raise ServerError("another task is already waiting for the next message")
        if self._is_over and not self._inbox.messages:
            raise WebsocketClosed("Cannot receive from websocket interface after it is closed.")
        self._is_receiving = True
        try:
            yield
        finally:
            self._is_receiving = self._is_streaming = False
            self.update_reading()

    async def recv(self, timeout: float | None = None) -> Data | None:
        """The next message: text, or bytes.

        Args:
            timeout: The longest time to wait, in seconds; 0: do not wait.

        Returns:
            None where none came in time.

        Raises:
            CancelledError: the web socket is closed meanwhile.
            WebsocketClosed: it is closed, and all messages were read.
            ServerError: another task receives.
        """
        with self._receiving():
            if not self._inbox.messages and (timeout is None or timeout > 0):
                await self._arrived(timeout)
            return self._inbox.take() if self._inbox.messages else None

    async def recv_burst(self, max_recv: int = 256) -> Sequence[Data]:
        """The messages that came since the last look, at most ``max_recv``; it does not wait.

        Raises:
            WebsocketClosed, ServerError: as `recv`.
        """
        with self._receiving():
            await asyncio.sleep(0)
            return [self._inbox.take() for _ in range(min(max_recv, self._inbox.messages))]

    async def recv_streaming(self) -> AsyncIterator[Data]:
        """The next message, frame by frame as it comes. Read it to its end.

        Raises:
            CancelledError, WebsocketClosed, ServerError: as `recv`.
        """
        with self._receiving():
            self._is_streaming = True
            is_last = False
            while not is_last:
                if not len(self._inbox):
                    self.update_reading()
                    await self._arrived()
                data, is_last, _ = self._inbox.take_fragment()
                yield data

    # --- sending ---------------------------------------------------------------------------------

    async def send_data(self, data_to_send: Iterable[bytes]) -> None:
        """Write frames, and wait while the client does not read.

        They are written at once, for a close frame that is written meanwhile must be the last.

        Raises:
            RequestCancelled: the client is gone.
        """
        connection = self.io_proto
        assert connection is not None
        for data in data_to_send:
            if not data:
                self._finish()
                continue
            if connection.is_gone:
                raise RequestCancelled
            await connection.dispatch("http.lifecycle.send", data=data)
            connection.transport.write(data)
        await connection.drain()
        if connection.lost:
            raise RequestCancelled

    # --- closing ---------------------------------------------------------------------------------

    def handler_failed(self) -> None:
        """The handler has raised: that is what the client is told."""
        self._has_failed = True

    def fail_connection(self, code: int = 1006, reason: str = "") -> bool:
        """Close without waiting for the client's word; 1006: without telling it."""
        if code == CloseCode.ABNORMAL_CLOSURE:
            self.ws_proto.state = State.CLOSED
            self._end()
            return False
        return self.end_connection(code, reason)

    def end_connection(self, code: int = 1000, reason: str = "") -> bool:
        """Say that we close, and close without waiting for the client's word."""
        if code == CloseCode.ABNORMAL_CLOSURE:
            return self.fail_connection(code, reason)
        if self.ws_proto.state is State.OPEN:
            self.ws_proto.send_close(self._code(code), reason)
            self._flush()
        self._end()
        return False

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say that we close; the connection is closed when the client has said so too."""
        if self.ws_proto.state is State.OPEN:
            self._is_leaving = True
        await super().close(self._code(code), reason)
        self.update_reading()

    def _code(self, code: int) -> int:
        connection = self.io_proto
        if code != CloseCode.NORMAL_CLOSURE or connection is None:
            return code
        if connection.stopping:
            return CloseCode.GOING_AWAY
        return CloseCode.INTERNAL_ERROR if self._has_failed else code

    def going_away(self) -> bool:
        """Close because the server stops; whether the connection is closing already."""
        if self.ws_proto.state in (State.CLOSING, State.CLOSED):
            return True
        if self._is_leaving:  # our close frame waits behind a message
            return False
        self._is_leaving = True
        if self.loop is not None:
            self.loop.create_task(self.close(1001))
        else:
            self.end_connection(1001)
        return False

    def _end(self) -> None:
        self._is_leaving = self._is_over = True
        self._notify()
        self._finish()

    def _finish(self) -> None:
        """Let the connection be closed: the closing handshake is over, or given up."""
        if self.data_finished_fut is not None and not self.data_finished_fut.done():
            self.data_finished_fut.set_result(None)

    async def auto_close_connection(self) -> None:
        """Close the connection when the exchange of messages is over.

        A client that has not said that it closes may be sending still. To close a socket with
        unread input resets the connection, and the reset may overtake our close frame: end our
        side, throw away what comes, and give the client ``LINGER_TIMEOUT`` to end its own.
        """
        connection, finished = self.io_proto, self.data_finished_fut
        assert connection is not None
        assert finished is not None
        try:
            await finished
        except asyncio.CancelledError:  # the event loop ends
            connection.abort()
            raise
        if self.keepalive_ping_task is not None:
            self.keepalive_ping_task.cancel()
        self._is_leaving = True
        transport = connection.transport
        if self.ws_proto.close_rcvd is None and not connection.lost:
            self._has_ended = True
            if transport.can_write_eof() and not transport.is_closing():
                transport.write_eof()
            self.update_reading()
            await self.wait_for_connection_lost(timeout=connection.wire.limits.linger_timeout)
        transport.close()
        if not await self.wait_for_connection_lost(timeout=self.close_timeout):
            connection.abort()


async def handshake(
    connection: HttpProtocol, request: Request, subprotocols: Sequence[str] | None
) -> WebSocket:
    """Answer a web socket handshake with 101.

    Compression is not offered, so a small message cannot grow into a large one.

    Raises:
        BadRequest: the request has a body, which could be taken for frames.
        SanicException: with the status that the `websockets` library refuses the handshake with;
            in HTTP/1.0 there is no upgrade (RFC 9110, 7.8), so that is 426.
    """
    if connection.exchange is not None and connection.exchange.body is not None:
        raise BadRequest("Bad Request: a web socket handshake with a body")
    ours = list(subprotocols or ())

    def choose(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        # The library's own choice refuses a client that offers none; RFC 6455, 4.2.2 does not.
        return next((Subprotocol(name) for name in ours if name in offered), None)

    protocol = ServerProtocol(
        max_size=connection.websocket_max_size,
        select_subprotocol=choose,
        state=State.OPEN,
        logger=websockets_logger,
    )
    headers = Headers(request.headers.items())
    if request.version != "1.1" and "Upgrade" in headers:
        del headers["Upgrade"]
    response = protocol.accept(HandshakeRequest(path=request.path, headers=headers))
    if response.status_code != 101:
        body = response.body or b"Failed to open a WebSocket connection."
        raise SanicException(
            bytes(body).decode(errors="replace").strip(),
            status_code=response.status_code,
            quiet=True,
            headers={
                name: value
                for name, value in response.headers.raw_items()
                if name.lower() in ("upgrade", "sec-websocket-version")
            },
        )
    head = b"HTTP/1.1 101 Switching Protocols\r\n"
    await connection.send(head + encode_headers(response.headers.raw_items()) + b"\r\n")
    websocket = WebSocket(
        protocol,
        ping_interval=connection.websocket_ping_interval,
        ping_timeout=connection.websocket_ping_timeout,
        close_timeout=connection.websocket_timeout,
    )
    await websocket.connection_made(connection, loop=connection.loop)
    return websocket


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def log_websocket(connection: HttpProtocol, message: str) -> None:
    """Log the opening or the end of a web socket in the access log."""
    websocket = connection.websocket
    if not connection.access_log or websocket is None:
        return
    protocol = websocket.ws_proto
    status, reason = "", ""
    if protocol.state is State.CLOSED:
        frame = protocol.close_rcvd or protocol.close_sent
        status = str(frame.code if frame is not None else 1006)
        # repr() so that control characters in what the client sent stay out of the log
        reason = repr(frame.reason[:256]) if frame is not None and frame.reason else ""
        side = "client" if protocol.close_rcvd is not None else "server"
        reason = f"{reason} from {side}" if reason else ""
        if status == "1006":
            message = "CLOSE_ABN"
    info = connection.conn_info
    access_logger.info(
        message,
        extra={
            "status": status,
            "byte": reason,
            "host": f"{info.client_ip}:{info.client_port}"
            if info.client_ip
            else f"{id(connection):X}"[-5:-1] + "unx",
            "request": f" \N{ELECTRIC PLUG} {connection.websocket_url}",
            "duration": "",
        },
    )
