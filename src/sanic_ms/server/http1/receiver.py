"""From bytes to requests: the half of the protocol that reads.

A request that came whole and whose route needs nothing but its handler takes the fast path
(`_start_plain`): looked up, checked by llhttp in one piece, made without being parsed. Everything
else takes the full path (`_start_complete`) as soon as its head is there.
"""

from __future__ import annotations

import re
from asyncio import Task
from collections.abc import Coroutine
from contextvars import copy_context
from typing import Any

from httptools import parse_url
from httptools.parser.errors import HttpParserInvalidURLError
from sanic.compat import Header
from sanic.exceptions import BadRequest, PayloadTooLarge, SanicException
from sanic.request import Request
from sanic.response import BaseHTTPResponse

from sanic_ms.server.http1.body import BodyReader, LengthBody
from sanic_ms.server.http1.chunked import ChunkedBody
from sanic_ms.server.http1.connection import HttpConnection
from sanic_ms.server.http1.exchange import Exchange
from sanic_ms.server.http1.framer import Framer
from sanic_ms.server.http1.head import (
    CHUNKED,
    DEADLINE,
    EXPECT,
    HTTP10,
    KEEP_ALIVE,
    UNTRACED,
    UPGRADE,
    WEBSOCKET,
    check_line,
    check_partial,
    read_head,
    skip_blank,
)
from sanic_ms.server.http1.request import parse_headers
from sanic_ms.server.http1.routes import Plan
from sanic_ms.server.http1.state import BODY, CLOSING, HANDLER, HEAD, IDLE, LINGER, PARTING, TUNNEL
from sanic_ms.server.http1.websocket import WebSocket
from sanic_ms.telemetry.tracing.headers import may_have_fields

__all__ = ["Receiver"]

_UNUSUAL = EXPECT | UPGRADE | CHUNKED | HTTP10
_QUERY = re.compile(rb"\?[!\"$-~]*")
_LARGEST_BLOCK = 1024  # bytes of a client's headers that are remembered


class Receiver(HttpConnection):
    """A connection that reads requests and starts a task for each.

    Attributes:
        response: The response that middleware is called with on the fast path.
        websocket: Set once the connection has become a web socket.
    """

    __slots__ = (
        "_block",
        "_block_flags",
        "_block_length",
        "_flags",
        "_request",
        "_scanned",
        "_served",
        "_started",
        "response",
        "websocket",
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.websocket: WebSocket | None = None
        self.response: BaseHTTPResponse | None = None
        self._request: Request | None = None
        # The version and headers of the last request that both parsers found good and usual, what
        # was found out about them, and the length of the body that they announce. Most clients send
        # the same ones again.
        self._block: bytes | None = None
        self._block_flags = 0
        self._block_length = 0
        self._flags = 0
        self._scanned = 0
        self._served = 0
        self._started = 0.0  # when the handler of the fast path began, where somebody measures it

    # --- what `HttpProtocol` does with the requests ----------------------------------------------

    def _serve_plain(
        self, request: Request, plan: Plan, params: dict[str, Any]
    ) -> Coroutine[Any, Any, None]:
        """Handle a request of the fast path."""
        raise NotImplementedError

    def _serve_at_once(self, request: Request, plan: Plan, params: dict[str, Any]) -> None:
        """Handle a request of the fast path whose handler waits for nothing."""
        raise NotImplementedError

    def _serve_complete(self, exchange: Exchange) -> Coroutine[Any, Any, None]:
        """Handle a request of the full path."""
        raise NotImplementedError

    def _serve_refusal(self, exchange: Exchange, exc: BaseException) -> Coroutine[Any, Any, None]:
        """Answer a request that was refused."""
        raise NotImplementedError

    def may_keep_alive(self, exchange: Exchange) -> bool:
        """Whether the connection can serve another request after this answer."""
        raise NotImplementedError

    # --- reading ---------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        stage = self._stage
        if stage <= PARTING:
            block = self._block
            if block is None or not self._take_known(data, block):
                self._take(data)
        elif stage == TUNNEL:
            assert self.websocket is not None
            self.websocket.data_received(data)
        elif stage == LINGER:
            self.discard(data)
        elif stage == CLOSING:
            pass
        else:
            self.keep(data)
            if self._more is not None:
                self._release(self._more)
            elif stage != HANDLER:
                self._take(self.input)

    def _take_input(self) -> None:
        """Take up the request that was pipelined behind the last one."""
        if self._stage != HEAD or self.lost:
            return
        self.read_on()
        self._take(self.input)

    def _take_known(self, data: bytes, block: bytes) -> bool:
        """Start a request whose headers are those of the last one, to the byte.

        They were judged then, and so was the request line without its query, in some request: what
        is left to look at is the query.

        Returns:
            False where it is another kind of request, of which nothing was used.
        """
        at = data.find(b"\r\n") - 9  # where " HTTP/1.1" begins
        if not data.startswith(block, at):
            return False
        wire = self.wire
        line = data[:at]
        routes = wire.routes
        params: dict[str, Any] | None = None
        plan = routes.plans.get(line)
        if plan is None:
            match = routes.match(line)
            if match is not None:
                plan, params = match
            else:
                query = line.find(b"?")
                plan = routes.plans.get(line[:query]) if query > 0 else None
                if plan is None or not _QUERY.fullmatch(line, query):
                    return False
        length = self._block_length
        end = at + len(block) - 4
        behind = len(data) - end - 4 - length
        if behind < 0 or not plan.judged or end > wire.most_head or (length and plan.ignores_body):
            return False
        if behind:
            self.input = bytearray(data[-behind:])
            data = data[:-behind]
        self._discarded = 0
        self._begin(data, end, line, self._block_flags, plan, params)
        return True

    def _take(self, data: bytes | bytearray) -> None:
        """Start the request at the front of ``data``, or put the bytes aside until more come."""
        try:
            if data[0] <= 13:
                blank = skip_blank(data, self._discarded)
                self._discarded += blank
                data = data[blank:]
                if self.input:
                    self.input = data = bytearray(data)
                if not data:  # empty lines alone begin no request
                    self._stage = PARTING if self.wire.draining else IDLE
                    return
            end = data.find(b"\r\n\r\n", self._scanned)
            if end < 0:
                self._keep_head(data)
                return
            self._scanned = self._discarded = 0
            wire = self.wire
            line, flags, length = read_head(data, end, wire.limits)
            params: dict[str, Any] | None = None
            query = line.find(b"?")
            plan = wire.routes.plans.get(line if query < 0 else line[:query])
            if plan is None:
                match = wire.routes.match(line)
                if match is not None:
                    plan, params = match
                else:
                    plan = self._plan(line)
            elif b"#" in line or not line.isascii():
                raise BadRequest("Bad Request: malformed request target")
            if flags & DEADLINE and plan is not None:
                plan = plan.timed
            if flags & _UNUSUAL or plan is None or (length and plan.ignores_body):
                self._start_complete(data, end, line, flags, length)
                return
            is_large = length > wire.limits.request_max_size
            if plan.streams and (is_large or end + 4 + length > len(data)):
                self._start_complete(data, end, line, flags, length)
                return
            if is_large:
                self._keep_line(data)
                too_large = PayloadTooLarge("Request body exceeds the size limit")
                self.refuse(too_large, bytes(data[:end]))
                return
            total = end + 4 + length
            if total > len(data):
                if total > wire.limits.request_buffer_size:
                    self._start_complete(data, end, line, flags, length)
                    return
                if self._stage != BODY:
                    self._stage, self._since = BODY, wire.now
                if data is not self.input:
                    self.keep(data)
                return
            self._start_plain(data, end, total, line, flags, plan, params)
        except SanicException as exc:
            self._keep_line(data)
            self.refuse(exc)

    def _keep_head(self, data: bytes | bytearray) -> None:
        """Put the beginning of a head aside, unless it cannot become a lawful one."""
        if self._stage != HEAD:
            self._stage, self._since = HEAD, self.wire.now
        if data is not self.input:
            self.input = bytearray(data)
        check_partial(self.input, self._scanned, self.wire.limits)
        self._scanned = max(0, len(data) - 3)

    def _plan(self, line: bytes) -> Plan | None:
        method, target, authority = check_line(line)
        if authority is not None or target == b"*":
            return None
        key = line.partition(b"?")[0]
        return self.wire.routes.plan(key, method, key[len(method) + 1 :].decode())

    def _start_plain(
        self,
        data: bytes | bytearray,
        end: int,
        total: int,
        line: bytes,
        flags: int,
        plan: Plan,
        params: dict[str, Any] | None,
    ) -> None:
        """Start a request that is whole and needs nothing but its handler."""
        wire = self.wire
        framer = wire.framer
        whole = bytes(data[:total])
        if data is self.input:
            del self.input[:total]
        elif total < len(data):
            self.input = bytearray(data[total:])
        try:
            framer.feed(whole)
            if not framer.complete:
                raise BadRequest("Bad Request: malformed request")
        except BadRequest:
            wire.framer = Framer()
            raise
        if framer.reusable:
            framer.complete = False
        else:
            wire.framer = Framer()
        at = len(line)
        plan.judged = True
        if flags == KEEP_ALIVE and end - at <= _LARGEST_BLOCK:
            self._block = block = whole[at : end + 4]
            self._block_flags = flags if may_have_fields(block) else flags | UNTRACED
            self._block_length = total - end - 4
        self._begin(whole, end, line, flags, plan, params)

    def _begin(
        self,
        data: bytes,
        end: int,
        line: bytes,
        flags: int,
        plan: Plan,
        params: dict[str, Any] | None,
    ) -> None:
        """Start the handler of a request that was found good."""
        wire = self.wire
        self._request = request = wire.lazy_request()  # type: ignore[misc]  # or there were no plan
        self._served += 1
        request.app = self.app
        request.connection = self
        request.transport = self.transport
        request.method = plan.method
        request.raw_url = line[plan.target_at :]
        request.head = data[:end]
        request.body = data[end + 4 :]
        request.route = plan.route
        if params is None:
            params = plan.params.copy() if plan.params else {}
        request._match_info = params
        self._flags = flags
        self._stage = HANDLER
        self._since = wire.now
        if plan.at_once is not None:
            copy_context().run(self._serve_at_once, request, plan, params)
        else:
            self._task = Task(self._serve_plain(request, plan, params), loop=self.loop)

    def _start_complete(
        self, data: bytes | bytearray, end: int, line: bytes, flags: int, length: int
    ) -> None:
        """Start a request that has anything unusual about it, at the end of its head."""
        head = bytes(data[: end + 4])
        if data is self.input:
            del self.input[: end + 4]
        else:
            with memoryview(data) as view:  # a slice of a large body would be one copy more
                self.input = bytearray(view[end + 4 :])
        method, target, authority = check_line(line)
        body = self._frame(head, flags, length)
        if target[:1] != b"/" and authority is not None:
            target = _origin_form(target)
        version = "1.0" if flags & HTTP10 else "1.1"
        request = self._make(target, head[:-4], method, version)
        if authority is not None:  # RFC 9112, 3.2.2: it takes the place of the Host header
            request.headers["host"] = authority.decode()
        request._match_info = {}
        request.route = None
        request.body = b""
        request.conn_info = self.conn_info
        self._flags = flags
        self._stage, self._since = HANDLER, self.wire.now
        self.exchange = exchange = request.stream = Exchange(
            self,
            request,
            body,
            # A client whose handshake is refused may be sending frames already.
            keep_alive=bool(flags & KEEP_ALIVE and not flags & WEBSOCKET),
            http10=bool(flags & HTTP10),
            expects=bool(flags & EXPECT) and body is not None,
            websocket=bool(flags & WEBSOCKET),
            has_timeout=bool(flags & DEADLINE),
        )
        self._task = Task(self._serve_complete(exchange), loop=self.loop)

    def _frame(self, head: bytes, flags: int, length: int) -> BodyReader | None:
        """Let llhttp see the head, and make what frames the body."""
        wire = self.wire
        if flags & UPGRADE:
            Framer().feed_upgrade(head)
            framer = Framer.for_chunked() if flags & CHUNKED else None
        else:
            framer, wire.framer = wire.framer, Framer()
            framer.feed(head)
            if framer.complete is bool(length or flags & CHUNKED):
                raise BadRequest("Bad Request: malformed request")
            if framer.complete:
                if framer.reusable:
                    framer.complete = False
                    wire.framer = framer
                return None
        if flags & CHUNKED:
            assert framer is not None
            limits = wire.limits
            return ChunkedBody(
                framer,
                max_trailers=limits.request_max_header_size,
                max_trailer_lines=limits.request_max_headers,
            )
        return LengthBody(length, framer) if length else None

    def _make(self, target: bytes, head: bytes | bytearray, method: str, version: str) -> Request:
        wire = self.wire
        head = bytes(head)
        cls = wire.lazy_request
        if cls is None:
            request = wire.request_class(
                target, parse_headers(head), version, method, self.transport, self.app, head
            )
        else:
            request = cls()
            request.app = self.app
            request.head = head
            request.method = method
            request.raw_url = target
            request.transport = self.transport
            request.version = version
            request.connection = self
        self._request = request
        self._served += 1
        return request

    def exchange_for(self, request: Request) -> Exchange | None:
        """The stream of a request, made when somebody asks for it; None once it is answered."""
        if request is not self._request:
            return None
        if self.exchange is None:
            self.exchange = Exchange(self, request, keep_alive=bool(self._flags & KEEP_ALIVE))
            if self._started:
                self.exchange.perft0 = self._started
            request.stream = self.exchange
            if self.response is not None:
                self.exchange.respond(self.response)
        return self.exchange

    def refuse(self, exc: BaseException, head: bytes = b"") -> None:
        """Answer the request that is being received with an error, and close.

        Args:
            exc: The error.
            head: The head, where nothing is wrong with it: its headers choose the language of the
                response, and who may read it (CORS).
        """
        url = b"*"
        line = bytes(self.input[:4096]).partition(b"\r\n")[0].split(b" ")
        if len(line) > 1 and line[1].isascii():
            try:
                parse_url(line[1])
                url = line[1]
            except HttpParserInvalidURLError:
                pass
        request = self._make(url, b"", "NONE", "1.1")
        request.headers = parse_headers(head) if head else Header()
        request._match_info = {}
        request.route = None
        request.body = b""
        request.conn_info = self.conn_info
        self._flags = 0
        self.exchange = request.stream = Exchange(self, request, keep_alive=False)
        self.exchange.refused = True
        self.input = bytearray()
        self._stage, self._since = HANDLER, self.wire.now
        self._task = Task(self._serve_refusal(self.exchange, exc), loop=self.loop)

    def _keep_line(self, data: bytes | bytearray) -> None:
        if data is not self.input:
            self.input = bytearray(data[:4096])


def _origin_form(target: bytes) -> bytes:
    """Path and query of a target in absolute form."""
    slash, query = target.find(b"/", 8), target.find(b"?")
    if slash < 0 or 0 <= query < slash:
        return b"/" + (target[query:] if query >= 0 else b"")
    return target[slash:]
