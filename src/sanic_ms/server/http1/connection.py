"""The connection below HTTP: reading, writing, deadlines and closing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Any

from sanic import Sanic
from sanic.exceptions import RequestCancelled, RequestTimeout, ServiceUnavailable
from sanic.log import logger
from sanic.models.server_types import ConnInfo, Signal
from sanic.server.protocols.base_protocol import SanicProtocol

from sanic_ms.server.http1.state import (
    BODY,
    CLOSING,
    HANDLER,
    HEAD,
    IDLE,
    LINGER,
    PARTING,
    ServerState,
)

if TYPE_CHECKING:
    from sanic_ms.server.http1.exchange import Exchange

__all__ = ["HttpConnection"]

_NO_LINGER = struct.pack("ii", 1, 0)
_LINGER_BYTES = 1 << 20  # what a refused client may still send before the socket is closed


class HttpConnection(SanicProtocol):
    """A client's connection: what `HttpProtocol` stands on.

    Attributes:
        wire: What all connections of the server share.
        input: Bytes that were read and not yet used.
        exchange: The request that is being served, where it takes the full path.
        lost: Whether the client is gone.
    """

    __slots__ = (
        "_conn_info",
        "_discarded",
        "_drained",
        "_more",
        "_paused_at",
        "_reading",
        "_since",
        "_stage",
        "exchange",
        "input",
        "lost",
        "wire",
    )

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        app: Sanic[Any, Any],
        signal: Signal | None = None,
        connections: set[Any] | None = None,
        unix: Any = None,
        **_: Any,
    ) -> None:
        # Not Sanic's __init__: it makes two asyncio.Event a connection, more than all of this.
        self.loop = loop
        self.app = app
        self.signal = signal or Signal()
        self.connections = connections if connections is not None else set()
        self.transport: Any = None
        self._unix = unix
        self._task: asyncio.Task[None] | None = None
        self._conn_info: ConnInfo | None = None
        self._paused_at = 0.0  # when the send buffer became full; 0: it is not
        self._drained: asyncio.Future[None] | None = None
        self._more: asyncio.Future[None] | None = None
        self._reading = True
        self._discarded = 0
        self._stage = IDLE
        self._since = 0.0
        self.exchange: Exchange | None = None
        self.input: bytearray = _NOTHING
        self.lost = False
        self.wire = ServerState.of(app, loop, self.connections)

    # --- what Sanic reads ------------------------------------------------------------------------

    @property
    def conn_info(self) -> ConnInfo:  # type: ignore[override]
        """Addresses and TLS of the connection; made when it is first read."""
        if self._conn_info is None:
            self._conn_info = ConnInfo(self.transport, unix=self._unix)
            self._conn_info.lost = self.lost
        return self._conn_info

    @property
    def _can_write(self) -> _CanWrite:  # type: ignore[override]
        return _CanWrite(self)

    # --- asyncio's callbacks ---------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        transport.set_write_buffer_limits(low=16384, high=65536)
        self.transport = transport
        wire = self.wire
        wire.watch(transport)
        if len(self.connections) >= wire.most_connections:
            # Whatever it is about to ask is not read: to read it is what costs.
            self._stage = CLOSING
            transport.write(wire.turn_away())
            transport.close()
            return
        self.connections.add(self)
        self._since = wire.now

    def connection_lost(self, exc: BaseException | None) -> None:
        self.connections.discard(self)
        self.lost = True
        if self._conn_info is not None:
            self._conn_info.lost = True
        self._release(self._drained)
        self._release(self._more)
        if self._task is not None:
            self._task.cancel()
        self.input = _NOTHING

    def pause_writing(self) -> None:
        self._paused_at = self.loop.time()

    def resume_writing(self) -> None:
        self._paused_at = 0.0
        self._release(self._drained)

    @staticmethod
    def _release(waiter: asyncio.Future[None] | None) -> None:
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # --- writing ---------------------------------------------------------------------------------

    async def send(self, data: bytes | bytearray) -> None:
        """Write, and wait while the client does not read.

        Raises:
            RequestCancelled: the client is gone.
        """
        if self._paused_at:
            await self.drain()
        if self.is_gone:
            raise RequestCancelled
        if self.wire.heard:
            await self.dispatch("http.lifecycle.send", data=data)
        self.transport.write(data)
        if self._stage == HANDLER:  # an answer that makes progress is not late
            self._since = self.wire.now

    async def drain(self) -> None:
        """Wait until the send buffer has room, or the client is gone."""
        while self._paused_at and not self.lost:
            self._drained = self.loop.create_future()
            try:
                await self._drained
            finally:
                self._drained = None

    async def dispatch(self, event: str, **context: Any) -> None:
        """Send one of Sanic's signals, if anybody listens."""
        if event in self.wire.heard:
            await self.app.dispatch(event, inline=True, context=context)

    # --- reading ---------------------------------------------------------------------------------

    def keep(self, data: bytes | bytearray) -> None:
        """Put bytes aside, and stop reading from the socket when there are many."""
        if not self.input:
            self.input = bytearray(data)
        else:
            self.input += data
        if len(self.input) >= self.wire.most_input:
            self.hold_input()

    @property
    def is_gone(self) -> bool:
        """Whether nothing reaches the client any more: `lost`, or soon to be. A write that fails is
        known before `connection_lost` is called."""
        return self.lost or self.transport is None or self.transport.is_closing()

    @property
    def is_writing_paused(self) -> bool:
        """Whether the client does not read, and the send buffer is full."""
        return self._paused_at > 0

    def hold_input(self) -> None:
        """Stop reading from the socket."""
        if self._reading and not self.lost:
            self._reading = False
            self.transport.pause_reading()

    def read_on(self) -> None:
        """Read from the socket again, if there is room for what comes."""
        if not self._reading and not self.lost and len(self.input) < self.wire.most_input:
            self._reading = True
            # asyncio's own loop calls us, from then on, in the context that this is called in.
            self.wire.context.copy().run(self.transport.resume_reading)

    async def receive_more(self) -> None:
        """Wait for the next bytes of the body of the request that is being served.

        Raises:
            RequestTimeout: they did not come before the body's deadline.
            RequestCancelled: the client is gone.
        """
        if self.lost:
            raise RequestCancelled
        self.read_on()
        self._more = self.loop.create_future()
        self._stage, self._since = BODY, self.wire.now
        try:
            await self._more
        finally:
            self._more = None
            if self.exchange is not None:
                self.exchange.waited += self.wire.now - self._since
            if self._stage == BODY:
                self._stage, self._since = HANDLER, self.wire.now
        if self.lost:
            raise RequestCancelled

    # --- deadlines -------------------------------------------------------------------------------

    def is_late(self, now: float, patience: tuple[float, ...]) -> bool:
        """Whether something should have happened by now."""
        if self._paused_at and now - self._paused_at > self.wire.limits.write_timeout:
            return True
        stage = self._stage
        if stage == BODY and self._more is not None:
            return self._body_is_late(now)
        return now - self._since > patience[stage]

    def _body_is_late(self, now: float) -> bool:
        """A body's clock runs whenever we wait for it and is never set back, whatever trickles in;
        only one that streams to its handler earns time by its size."""
        exchange = self.exchange
        assert exchange is not None
        limits = self.wire.limits
        allowed = limits.request_body_timeout
        body = exchange.body
        if body is not None and exchange.request_max_size == float("inf"):
            allowed += body.received / limits.request_body_min_rate
        return exchange.waited + now - self._since > allowed

    def postpone(self, seconds: float) -> None:
        """Move the deadlines by a time in which the process was stopped."""
        self._since += seconds
        if self._paused_at:
            self._paused_at += seconds

    def expire(self, now: float) -> None:
        """Do what has to be done about a connection that is late."""
        stage = self._stage
        if self.transport is None:
            return
        if self._paused_at and now - self._paused_at > self.wire.limits.write_timeout:
            logger.debug("Write timeout: the client does not read. Closing connection.")
            self.abort()
        elif stage in (IDLE, PARTING):
            logger.debug("KeepAlive Timeout. Closing connection.")
            self._close_transport()
        elif stage == HEAD or (stage == BODY and self._more is None):
            self.refuse(RequestTimeout("Request Timeout"))
        elif stage == BODY:
            if self._more is not None and not self._more.done():
                self._more.set_exception(RequestTimeout("Request Timeout"))
        elif stage == HANDLER and self._task is not None:
            logger.debug("Response Timeout. Closing connection.")
            self.response_late()
            self._since = now  # what handles the cancellation has as long again
            self._task.cancel()
        else:
            self.abort()

    def refuse(self, exc: BaseException) -> None:
        """Answer the request that is being received with an error, and close."""
        raise NotImplementedError

    def response_late(self) -> None:
        """Note that the handler is being cancelled for taking too long."""
        if self.exchange is not None:
            self.exchange.exception = ServiceUnavailable("Response Timeout")

    # --- closing ---------------------------------------------------------------------------------

    def close(self, timeout: float | None = None) -> None:
        """Close after what was written is sent; the client has ``WRITE_TIMEOUT`` for that.

        Args:
            timeout: Ignored; Sanic's signature.
        """
        self._close_transport()

    def _close_transport(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self._stage, self._since = CLOSING, self.wire.now
            self.transport.close()

    def abort(self) -> None:
        """Close at once; what was not sent is lost."""
        if self.transport is not None:
            self._stage, self._since = CLOSING, self.wire.now
            self.transport.abort()

    def reset(self) -> None:
        """Close so that the client sees an error, where an ordinary close ends an answer."""
        raw = self.transport.get_extra_info("socket") if self.transport is not None else None
        if raw is not None:
            with contextlib.suppress(OSError):  # closed meanwhile
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.abort()

    def linger(self) -> None:
        """Close in a way that lets a client which is still sending read the answer first.

        Closing a socket with unread input resets the connection, and the reset may overtake the
        answer (RFC 9112, 9.6): end our side, throw away what comes, and close at the client's end
        of stream, or after a while.
        """
        if self.lost or self.transport.is_closing():
            return
        self._stage, self._since = LINGER, self.wire.now
        self.input = _NOTHING
        self._discarded = 0
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.read_on()

    def discard(self, data: bytes) -> None:
        """Throw away what a client sends that was refused; too much of it closes the socket."""
        self._discarded += len(data)
        if self._discarded > _LINGER_BYTES:
            self._close_transport()

    def close_if_idle(self) -> bool:
        """Called when the server stops: close the connection if no request is under way.

        A request may be on its way to us just now. An idle connection is therefore given a moment
        in which a request is still served (its answer says ``HttpConnection: close``).

        Returns:
            Whether the connection is closing.
        """
        self.wire.drain()
        if self._stage == IDLE:
            self._stage, self._since = PARTING, self.wire.now
            return True
        return self._stage in (PARTING, CLOSING, LINGER)

    def cut(self) -> None:
        """Called when a server that stops will wait no longer: the handler is cancelled, and its
        client answered with 503; a connection without a handler is closed."""
        if self._task is not None and self._stage in (HANDLER, BODY):
            self.response_late()
            self._task.cancel()
        else:
            self.abort()

    @property
    def stopping(self) -> bool:
        """Whether the server is stopping, so that answers say ``HttpConnection: close``."""
        return self.wire.draining


class _CanWrite:
    """What Sanic's web socket code asks of a connection's send buffer."""

    __slots__ = ("_connection",)

    def __init__(self, connection: HttpConnection) -> None:
        self._connection = connection

    def is_set(self) -> bool:
        return not self._connection._paused_at

    async def wait(self) -> None:
        await self._connection.drain()


_NOTHING = bytearray()  # shared, and never written to: `keep` replaces it
