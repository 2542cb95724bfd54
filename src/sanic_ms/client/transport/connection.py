"""One kept connection: requests out, answers in, one at a time.

The framing of answers is llhttp's, in its strict mode, and a few rules of our own on top. Whatever
leaves the smallest doubt about where an answer ends (an error, bytes that are left over, bytes that
nobody asked for, a call that was given up) ends the connection: the next call never reads a rest of
this one.
"""

from __future__ import annotations

import asyncio
import zlib
from abc import ABC, abstractmethod
from math import inf
from typing import Any, Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from multidict import CIMultiDict

from sanic_ms.client.base import ServiceRequest, ServiceResponse
from sanic_ms.client.transport import failures
from sanic_ms.client.transport.inflate import Inflate, InflateTwice, inflate_for

__all__ = ["ClientConnection", "ConnectionResponse", "Lost", "Owner"]

_MOST_HEAD: Final = 65_536
"""Bytes of headers, those of interim answers and trailers included."""

_HIGH: Final = 262_144
"""Bytes of a body that wait to be read before no more are taken from the socket."""


class Lost(Exception):
    """The connection ended before the answer had begun.

    Attributes:
        untouched: Not one byte had come.
        cause: The failure of the socket, where there was one.
    """

    def __init__(self, untouched: bool, cause: BaseException | None = None) -> None:
        super().__init__("the connection was lost")
        self.untouched = untouched
        self.cause = cause


class _Refused(Exception):
    """The answer breaks a rule that llhttp does not know."""


class Owner(ABC):
    """Whom a connection tells what becomes of it."""

    closed: bool
    keep_alive: float
    max_age: float

    @abstractmethod
    def released(self, connection: ClientConnection) -> None:
        """It has answered, and is free for the next call."""

    @abstractmethod
    def dropped(self, connection: ClientConnection) -> None:
        """It is not used any more."""

    @abstractmethod
    def lost(self, connection: ClientConnection) -> None:
        """Its socket is closed."""


class ConnectionResponse(ServiceResponse):
    """A `ServiceResponse` over a `ClientConnection`.

    Attributes:
        head: Done when status and headers are there. Fails with `Lost`, a `ServiceCallError` or a
            `DeadlineExceeded`.
    """

    __slots__ = (
        "_carrier",
        "_connection",
        "_error",
        "_inflate",
        "_more",
        "_pieces",
        "_request",
        "buffered",
        "head",
        "headers",
        "status",
    )

    def __init__(
        self, request: ServiceRequest, connection: ClientConnection, head: asyncio.Future[None]
    ) -> None:
        self.status = 0
        self.headers: CIMultiDict[str] = _NO_HEADERS
        self.head = head
        self.buffered = 0
        self._request = request
        self._connection: ClientConnection | None = connection
        self._carrier = connection
        self._pieces: list[bytes] = []
        self._more: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._inflate: Inflate | InflateTwice | None = None

    @property
    def _is_whole(self) -> bool:
        return self._connection is None and self._error is None

    async def receive(self) -> bytes:
        inflate = self._inflate
        while True:
            if inflate is not None:
                try:
                    piece = inflate.take()
                    if not piece and self._is_whole and not self._pieces:
                        inflate.end()
                except zlib.error as exc:
                    self.close()
                    self._carrier.drop_unused()  # it may have been given back already
                    raise failures.not_http(self._request) from exc
                if piece:
                    return piece
            if self._pieces:
                pieces, self._pieces = self._pieces, []
                data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
                self.buffered = 0
                if self._connection is not None:
                    self._connection.read_on()
                if inflate is None:
                    return data
                inflate.feed(data)
                continue
            if self._error is not None:
                raise self._error
            connection = self._connection
            if connection is None:
                return b""
            self._more = connection.loop.create_future()
            try:
                await self._more
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        connection = self._connection
        if connection is not None:  # the answer is not whole
            self._connection = None
            self._error = failures.broke(self._request)
            connection.give_up(self)

    def abandon(self) -> None:
        """Nobody waits for the head any more."""
        if self.head.done() and not self.head.cancelled():
            self.head.exception()  # so that it does not count as overlooked
        self.close()

    # --- what the connection says ----------------------------------------------------------------

    def begun(self, status: int, headers: CIMultiDict[str]) -> None:
        """Status and headers are there."""
        self.status = status
        self.headers = headers
        self._inflate = inflate_for(self._request.method, status, headers)
        if not self.head.done():
            self.head.set_result(None)

    def came(self, data: bytes) -> None:
        """A piece of the body is there."""
        self._pieces.append(data)
        self.buffered += len(data)

    def wake(self) -> None:
        """Let `receive` look again."""
        more = self._more
        if more is not None and not more.done():
            more.set_result(None)

    def ended(self, error: Exception | None = None) -> None:
        """The answer is whole, or nothing more will come of it."""
        self._connection = None
        if error is not None:
            if not self.head.done():
                self.head.set_exception(error)
            elif isinstance(error, Lost):
                self._error = failures.broke(self._request)
                self._error.__cause__ = error.cause
            else:
                self._error = error
        if self._more is not None:
            self.wake()


_NO_HEADERS: Final[CIMultiDict[str]] = CIMultiDict()


class ClientConnection(asyncio.Protocol):
    """The protocol of one connection.

    Args:
        owner: Is told what becomes of it.
        loop: The running event loop.

    Attributes:
        answered: Whether it has carried a whole answer.
        is_lost: Whether its socket is closed.
    """

    __slots__ = (
        "_answer",
        "_complete",
        "_deadline",
        "_eof",
        "_head_size",
        "_idle_until",
        "_in_head",
        "_interim",
        "_keep",
        "_old_at",
        "_owner",
        "_pairs",
        "_parser",
        "_paused",
        "_surplus",
        "_timer",
        "_timer_at",
        "_touched",
        "_transport",
        "_until_close",
        "answered",
        "is_lost",
        "loop",
    )

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self._owner = owner
        self.loop = loop
        self.answered = False
        self.is_lost = False
        self._transport: Any = None
        self._parser: Any = HttpResponseParser(self)
        self._answer: ConnectionResponse | None = None
        self._pairs: list[tuple[bytes, bytes]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = self._deadline = inf
        now = loop.time()
        self._idle_until = now + owner.keep_alive
        self._old_at = now + owner.max_age
        self._paused = self._eof = False
        self._reset()

    def _reset(self) -> None:
        self._head_size = 0
        self._in_head = True
        self._interim = self._complete = self._keep = False
        self._surplus = self._touched = self._until_close = False

    # --- for the pool and the answer -------------------------------------------------------------

    def usable(self, now: float) -> bool:
        """Whether a call may be made over it."""
        return now < self._idle_until and not self._transport.is_closing()

    def ask(self, data: bytes, request: ServiceRequest, deadline: float) -> ConnectionResponse:
        """Send a request; the connection must be free.

        Args:
            data: The bytes of the request.
            request: What they stand for.
            deadline: The time of the loop at which the answer must be whole.
        """
        answer = self._answer = ConnectionResponse(request, self, self.loop.create_future())
        self._reset()
        self._deadline = deadline
        if deadline < self._timer_at:
            self._arm(deadline)
        self._transport.write(data)
        return answer

    def give_up(self, answer: ConnectionResponse) -> None:
        """Nobody wants the rest of an answer."""
        if self._answer is answer:
            self._answer = None
            self.drop()

    def read_on(self) -> None:
        """What had come of the body was taken."""
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    def drop_unused(self) -> None:
        """Close it, unless it carries another call by now."""
        if self._answer is None:
            self.drop()

    def drop(self) -> None:
        """Close it at once. A call that runs over it fails."""
        self._fail(Lost(untouched=False))

    # --- asyncio's callbacks ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:  # nobody asked: it would be taken for the answer to the next request
            self.drop()
            return
        self._touched = True
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as exc:
            if not self._complete:
                error = failures.not_http(answer._request)
                error.__cause__ = exc
                self._fail(error)
                return
            self._surplus = True
        if self._complete:
            self._finish(answer)
        elif self._in_head:
            # What llhttp holds back of a header that has not ended yet is counted here.
            self._head_size += len(data)
            if self._head_size > _MOST_HEAD:
                self._fail(failures.not_http(answer._request))
        else:
            answer.wake()
            if answer.buffered > _HIGH and not self._paused:
                self._paused = True
                self._transport.pause_reading()

    def eof_received(self) -> None:
        self._eof = True

    def connection_lost(self, exc: Exception | None) -> None:
        answer = self._answer
        self.is_lost = True
        if answer is not None and self._until_close and self._eof and exc is None:
            self._answer = None
            answer.ended()
        self._fail(Lost(untouched=not self._touched, cause=exc))
        self._parser = None  # it holds on to this object
        self._owner.lost(self)

    # --- llhttp's callbacks ----------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._complete:
            raise _Refused("bytes after the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value) + 4
        if self._head_size > _MOST_HEAD:
            raise _Refused("too long a head")
        if self._in_head:  # else it is a trailer
            self._pairs.append((name, value))

    def on_headers_complete(self) -> None:
        answer = self._answer
        if answer is None or self._complete:
            raise _Refused("bytes after the answer")
        pairs, self._pairs = self._pairs, []
        parser = self._parser
        status = parser.get_status_code()
        version = parser.get_http_version()
        if version != "1.1" and version != "1.0":
            raise _Refused(f"HTTP/{version}")
        if status < 200:
            if status < 100 or status == 101:  # no other protocol was asked for
                raise _Refused(f"status {status}")
            self._interim = True
            self._head_size += 16  # an endless row of them without a header ends as well
            return
        headers = CIMultiDict(
            [(name.decode(), value.decode("utf-8", "surrogateescape")) for name, value in pairs]
        )
        self._in_head = False
        without_body = answer._request.method == "HEAD"
        if "Transfer-Encoding" in headers:
            codings = headers.getall("Transfer-Encoding")
            if (
                len(codings) > 1
                or codings[0].lower() != "chunked"
                or "Content-Length" in headers
                or version == "1.0"
            ):
                raise _Refused("an unknown transfer coding, or a length besides it")
        elif "Content-Length" not in headers and status != 204 and status != 304:
            self._until_close = not without_body
        answer.begun(status, headers)
        if without_body:
            # llhttp does not know that this answer has no body: what it makes of the next bytes
            # is of no interest, but that there are any is.
            self._complete = True
            self._keep = (
                version == "1.1"
                and "close" not in ",".join(headers.getall("Connection", ())).lower()
            )

    def on_body(self, data: bytes) -> None:
        answer = self._answer
        if answer is None or self._complete:
            raise _Refused("bytes after the answer")
        answer.came(data)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        elif not self._complete:
            self._complete = True
            self._keep = self._parser.should_keep_alive()

    # --- the end of an answer --------------------------------------------------------------------

    def _finish(self, answer: ConnectionResponse) -> None:
        self._answer = None
        answer.ended()
        owner = self._owner
        now = self.loop.time()
        if (
            not self._keep
            or self._surplus
            or self._eof
            or owner.closed
            or now >= self._old_at
            or self._transport.get_write_buffer_size()  # answered before the request was sent
        ):
            self.drop()
            return
        if answer._request.method == "HEAD":
            self._parser = HttpResponseParser(self)
        self.read_on()
        self.answered = True
        idle_until = self._idle_until = now + owner.keep_alive
        if idle_until < self._timer_at:
            self._arm(idle_until)
        owner.released(self)

    def _fail(self, error: Exception) -> None:
        """End the connection, and the answer that is on its way with an error."""
        answer, self._answer = self._answer, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = -inf  # no new one
        self._idle_until = -inf
        if answer is not None:
            answer.ended(error)
        self._owner.dropped(self)
        if not self.is_lost:
            self._transport.abort()

    # --- time ------------------------------------------------------------------------------------

    # One timer, left running from call to call: it is set anew when it fires too early, which costs
    # a call nothing.

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self.loop.call_at(at, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._timer_at = inf
        answer = self._answer
        at = self._idle_until if answer is None else self._deadline
        if self.loop.time() < at:
            if at < inf:
                self._arm(at)
        elif answer is None:
            self.drop()
        else:
            error = failures.no_answer(answer._request)
            error.__cause__ = TimeoutError()
            self._fail(error)
