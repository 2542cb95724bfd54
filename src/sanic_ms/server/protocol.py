"""The HTTP/1.1 protocol: from requests to answers.

A request of the short way is handled in a task of its own, or without one where its handler waits
for nothing, and answered with one write. The complete way speaks Sanic's interfaces through an
`Exchange`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from inspect import isawaitable, iscoroutine
from time import perf_counter
from typing import Any

from sanic import Sanic
from sanic.exceptions import RequestCancelled, ServerError, ServiceUnavailable
from sanic.http.constants import HTTP
from sanic.log import error_logger, websockets_logger
from sanic.request import Request
from sanic.response import BaseHTTPResponse, HTTPResponse, JSONResponse, ResponseStream

from sanic_ms.server.access import log_answer
from sanic_ms.server.exchange import Exchange
from sanic_ms.server.head import KEEP_ALIVE, UNTRACED
from sanic_ms.server.receiver import Receiver
from sanic_ms.server.response import BODILESS
from sanic_ms.server.routes import Plan
from sanic_ms.server.websocket import WebSocket, handshake, log_websocket
from sanic_ms.server.wire import HEAD, IDLE, PARTING, TUNNEL, wires_of
from sanic_ms.telemetry.observer import Observation, failure_of
from sanic_ms.telemetry.trace.server import ServerSpan

__all__ = ["HttpProtocol", "served"]

_DISCARD = 4 << 20  # the largest rest of a body that is read and thrown away to keep a connection
_FRESH = 1.5  # seconds more for the first request of a client that has just connected
_COPY = 16384  # larger bodies are not copied behind their head
_LAST_RESORT = (
    b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


class HttpProtocol(Receiver):
    """The protocol of one connection; pass the class to ``app.run(protocol=HttpProtocol)``.

    It serves plain HTTP and web sockets, on TCP, TLS and unix sockets. Its limits come from
    ``app.config`` (see `Limits`).
    """

    __slots__ = (
        "_begun",
        "_late",
        "websocket_max_size",
        "websocket_ping_interval",
        "websocket_ping_timeout",
        "websocket_timeout",
        "websocket_url",
    )

    def __init__(
        self,
        *,
        websocket_timeout: float = 10.0,
        websocket_max_size: int | None = None,
        websocket_ping_interval: float | None = 20.0,
        websocket_ping_timeout: float | None = 20.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.websocket_timeout = websocket_timeout
        self.websocket_max_size = websocket_max_size
        self.websocket_ping_interval = websocket_ping_interval
        self.websocket_ping_timeout = websocket_ping_timeout
        self.websocket_url: str | None = None
        self._begun: asyncio.Task[None] | None = None
        self._late = False

    @property
    def version(self) -> HTTP:
        """The version of HTTP that `Request.stream_id` asks for."""
        return HTTP.VERSION_1

    @property
    def state(self) -> dict[str, int]:
        """What Sanic counts of a connection."""
        return {"requests_count": self._served}

    @property
    def access_log(self) -> bool:
        """Whether answers are logged."""
        return self.wire.access_log

    # --- asyncio's callbacks ---------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self.wire.routes.refresh()
        super().connection_made(transport)
        if "http.lifecycle.begin" in self.wire.heard and not transport.is_closing():
            begin = self.dispatch("http.lifecycle.begin", conn_info=self.conn_info)
            self._begun = self.loop.create_task(begin)

    def connection_lost(self, exc: BaseException | None) -> None:
        websocket, task = self.websocket, self._task
        if websocket is not None:
            websocket.connection_lost(exc)  # type: ignore[no-untyped-call]
        super().connection_lost(exc)
        self.wire.served += self._served
        if websocket is not None:
            log_websocket(self, "CLOSE")
        if "http.lifecycle.complete" in self.wire.heard:
            self._begun = self.loop.create_task(self._complete(task))

    async def _complete(self, task: asyncio.Task[None] | None) -> None:
        if task is not None:
            await asyncio.wait([task])
        await self.dispatch("http.lifecycle.complete", conn_info=self.conn_info)

    def eof_received(self) -> bool | None:
        if self.websocket is not None:
            return self.websocket.eof_received()
        return False

    # --- handling --------------------------------------------------------------------------------

    def _serve_at_once(self, request: Request, plan: Plan, params: dict[str, Any]) -> None:
        span = self._open(request, plan)
        response: Any = None
        failure: BaseException | None = None
        try:
            response = plan.at_once(request, params)  # type: ignore[misc]
            if self._deliver_usual(request, plan, span, response) or self._deliver(
                request, plan, span, response
            ):
                if self._paused_at:
                    self.loop.create_task(self._go_on())
                else:
                    self._next(bool(self._flags & KEEP_ALIVE))
                return
            if iscoroutine(response):
                plan.at_once = None  # a plain function that leads to others which wait
            elif type(response) is bytes:  # somebody has asked for the request's stream
                response = HTTPResponse(response, plan.status, content_type=plan.content_type)
        except (Exception, asyncio.CancelledError, SystemExit, KeyboardInterrupt) as exc:
            failure = exc  # the last two end the process from a task, and not from this callback
        # Not the connection's own before it runs: who cancels a task before that ends it without a
        # step, and the request has begun.
        self.loop.create_task(self._serve_rest(request, plan, span, response, failure))

    async def _serve_plain(self, request: Request, plan: Plan, params: dict[str, Any]) -> None:
        span = self._open(request, plan)
        response: Any = None
        failure: BaseException | None = None
        try:
            response = plan.handler(request, **params)
            if plan.awaits or isawaitable(response):
                response = await response
            if self._deliver(request, plan, span, response):
                if self._paused_at:
                    await self._go_on()
                else:
                    self._next(bool(self._flags & KEEP_ALIVE))
                return
        except (Exception, asyncio.CancelledError) as exc:
            failure = exc
        await self._serve_rest(request, plan, span, response, failure)

    def _open(self, request: Request, plan: Plan) -> ServerSpan | None:
        """Begin to measure a request of the short way, and make it the current one."""
        meter, spans = plan.meter, plan.spans
        if meter is not None:
            self._started = meter.begin()
        elif self.wire.access_log and plan.logged:
            self._started = perf_counter()
        else:
            self._started = 0.0
        Request._current.set(request)
        if spans is None:
            return None
        return spans.begin(request, self._flags & UNTRACED != 0)

    def _deliver_usual(
        self, request: Request, plan: Plan, span: ServerSpan | None, body: Any
    ) -> bool:
        """Send the usual answer of a route, of which its handler has given the body.

        Returns:
            False where it has given something else, and nothing was sent.
        """
        if type(body) is not bytes or self.exchange is not None:
            return False
        wire = self.wire
        head = plan.head(wire.heads if wire.heads_by_origin is None else wire.heads_for(request))
        self._write(request, plan.status, head, body)
        self._account(request, plan, span, plan.status, len(body))
        return True

    def _deliver(
        self, request: Request, plan: Plan, span: ServerSpan | None, response: Any
    ) -> bool:
        """Send a whole response that nobody has begun to send.

        Returns:
            False where it is another, of which nothing was sent.
        """
        if self.exchange is not None or not (type(response) in _plain or _is_plain(type(response))):
            return False
        self._answer(request, response)
        self._account(request, plan, span, response.status, len(response.body or b""))
        return True

    def _account(
        self, request: Request, plan: Plan, span: ServerSpan | None, status: int, size: int
    ) -> None:
        """Log, trace and count an answer that was sent."""
        if self.wire.access_log and plan.logged:
            log_answer(self, request, status, size, self._started)
        if span is not None:
            span.end(status)
        if plan.meter is not None:
            plan.meter.end(self._started, status)

    async def _go_on(self) -> None:
        """Turn to the next request once the client has read the answer."""
        self._task = asyncio.current_task()
        try:
            await self.drain()
        except asyncio.CancelledError:
            self._flags &= ~KEEP_ALIVE
        self._next(bool(self._flags & KEEP_ALIVE))

    async def _serve_rest(
        self,
        request: Request,
        plan: Plan,
        span: ServerSpan | None,
        response: Any,
        failure: BaseException | None,
    ) -> None:
        """Answer where the handler gave no whole response, or failed."""
        self._task = asyncio.current_task()
        try:
            if failure is not None:
                raise failure
            if iscoroutine(response):
                response = await response
            await self._settle(request, response)
        except asyncio.CancelledError as exc:
            await self._cancelled(request, exc)
        except Exception as exc:
            await self._failed(request, exc)
        if span is not None or plan.meter is not None:
            observation = Observation(plan.meter, self._started, span)
            observation.end(self._status(), failure_of(request))
        await self._end()

    def _status(self) -> int:
        """The status of the answer to the request that is being served; 499: the client left."""
        response = self.exchange.response if self.exchange is not None else None
        if response is None or self.lost:
            return 499 if self.lost else 500
        return response.status

    def _answer(self, request: Request, response: HTTPResponse) -> None:
        """Send a whole response."""
        wire = self.wire
        heads = wire.heads if wire.heads_by_origin is None else wire.heads_for(request)
        headers = _slot_of_headers(response)
        if headers:
            head = heads.head(response.status, response.content_type, headers)
            head += b"content-length: "
            if "close" in str(headers.get("connection", "")).lower():
                self._flags &= ~KEEP_ALIVE
        else:
            head = heads.usual(response.status, response.content_type)
        self._write(request, response.status, head, response.body or b"", response)

    def _write(
        self,
        request: Request,
        status: int,
        head: bytes,
        body: bytes,
        response: HTTPResponse | None = None,
    ) -> None:
        """Write an answer whose head ends before the number of its length."""
        end = b"\r\nconnection: keep-alive\r\n\r\n"
        if not (self._flags & KEEP_ALIVE and self._served < self.wire.most_requests):
            self._flags &= ~KEEP_ALIVE
            end = b"\r\nconnection: close\r\n\r\n"
        if status in BODILESS:
            head = head[:-16]  # no body, no content-length
            end, body = end[2:], b""
            self.transport.write(b"%b%b" % (head, end))
        elif request.method == "HEAD":
            length = len(body) if response is None else _length_told(response, body)
            self.transport.write(b"%b%d%b" % (head, length, end))
        elif len(body) < _COPY:
            self.transport.write(b"%b%d%b%b" % (head, len(body), end, body))
        else:
            self.transport.write(b"%b%d%b" % (head, len(body), end))
            self.transport.write(body)

    def may_keep_alive(self, exchange: Exchange) -> bool:
        """Whether the connection can serve another request after this answer."""
        if not (exchange.keep_alive and self._served < self.wire.most_requests):
            return False
        body = exchange.body
        if body is None or body.done:
            return True
        if exchange.expecting_continue:  # whether the body will come cannot be known
            return False
        return body.left is None or body.left <= _DISCARD

    async def _settle(self, request: Request, response: Any) -> None:
        """See an answer sent that is more than a whole response (as `Sanic.handle_request`)."""
        exchange = self.exchange_for(request)
        assert exchange is not None
        if request.responded:
            if response is not None:
                error_logger.error(
                    "The response object returned by the route handler "
                    "will not be sent to client. The request has already "
                    "been responded to."
                )
            response = exchange.response
        elif response is not None:
            response = await request.respond(response)
        else:
            response = exchange.response
        if isinstance(response, BaseHTTPResponse):
            await response.send(end_stream=True)
        elif isinstance(response, ResponseStream):
            await response(request)
            await response.eof()
        else:
            raise ServerError(f"Invalid response type {response!r} (need HTTPResponse)")
        await exchange.finish()

    async def _serve_complete(self, exchange: Exchange) -> None:
        request = exchange.request
        observation = self.wire.observe(request)
        try:
            Request._current.set(request)
            if self.wire.heard:
                if self._begun is not None:
                    await asyncio.wait([self._begun])
                await self.dispatch("http.lifecycle.read_head", head=request.head)
                await self.dispatch("http.lifecycle.request", request=request)
            await exchange.serve()
        except asyncio.CancelledError as exc:
            await self._cancelled(request, exc)
        except Exception as exc:
            await self._failed(request, exc)
        if observation is not None:
            status = 101 if self.websocket is not None else self._status()
            observation.end(status, failure_of(request))
        await self._end()

    async def _serve_refusal(self, exchange: Exchange, exc: BaseException) -> None:
        observation = self.wire.observe(exchange.request)
        try:
            Request._current.set(exchange.request)
            await exchange.fail(exc, middleware=False)
        except asyncio.CancelledError:
            pass
        except Exception:
            error_logger.exception("The application's error handler failed")
        if observation is not None:
            observation.end(self._status(), failure_of(exchange.request))
        await self._end()

    async def _failed(self, request: Request, exc: BaseException) -> None:
        """Answer with an error; a failure of the error handler too is logged and closes."""
        try:
            exchange = self.exchange_for(request)
            assert exchange is not None
            await exchange.fail(exc, middleware=False)
        except asyncio.CancelledError:
            pass
        except Exception:
            error_logger.exception("The application's error handler failed")

    async def _cancelled(self, request: Request, exc: BaseException) -> None:
        """The handler was cancelled: the client is gone, it took too long, or by somebody else."""
        exchange = self.exchange_for(request)
        assert exchange is not None
        exchange.keep_alive = False
        if self.lost:
            exc = RequestCancelled()
        elif self._late:
            exc = ServiceUnavailable("Response Timeout")
        self._late = False
        await self._failed(request, exc)

    def response_late(self) -> None:
        self._late = True

    # --- after the answer ------------------------------------------------------------------------

    async def _end(self) -> None:
        """After the complete way: discard what is left of the body, and go on or close."""
        exchange = self.exchange
        if exchange is None or self.lost:
            self._next(False)
            return
        if self.websocket is not None:
            self._task = self._request = self.exchange = None
            exchange.request.stream = None
            return
        keep_alive = exchange.keep_alive and exchange.finished
        try:
            if not exchange.started:
                self.transport.write(_LAST_RESORT)
            elif keep_alive and exchange.unread:
                keep_alive = await exchange.discard(_DISCARD)
            if self._paused_at:
                await self.drain()
        except asyncio.CancelledError:
            keep_alive = False
        exchange.request.stream = None
        if exchange.response is not None:
            exchange.response.stream = None
        self.exchange = None
        if exchange.unread or exchange.refused:
            self._task = self._request = None
            if not self.lost:
                self.linger()
        else:
            self._next(keep_alive)

    def _next(self, keep_alive: bool) -> None:
        """Turn to the next request, or close."""
        self._task = self._request = self.exchange = None
        if self.lost:
            return
        if not keep_alive:
            if self.input:  # requests that will not be served: a reset must not eat the answer
                self.linger()
            else:
                self._close_transport()
            return
        wire = self.wire
        self._since = wire.now
        self._stage = PARTING if wire.draining else IDLE
        if self.input:
            self._stage = HEAD
            self.loop.call_soon(self._take_input, context=wire.context)
        elif not self._reading:
            self.read_on()

    # --- web sockets -----------------------------------------------------------------------------

    async def websocket_handshake(
        self, request: Request, subprotocols: Sequence[str] | None = None
    ) -> WebSocket:
        """Turn the connection into a web socket; Sanic's web socket routes call it.

        Raises:
            SanicException: the request is no lawful web socket handshake.
        """
        self.websocket = await handshake(self, request, subprotocols)
        self._stage = TUNNEL
        self.websocket_url = request.url
        websockets_logger.debug("Handling websocket. Timeouts disabled.")
        log_websocket(self, "OPEN")
        early, self.input = bytes(self.input), bytearray()
        self.read_on()
        if early:
            self.websocket.data_received(early)  # type: ignore[no-untyped-call]
        return self.websocket

    def close(self, timeout: float | None = None) -> None:
        if self.websocket is not None:
            self.websocket.end_connection(1001)
        else:
            super().close(timeout)

    def close_if_idle(self) -> bool:
        if self.websocket is not None:
            return self.websocket.going_away()
        if self._stage == IDLE and not self._served:
            super().close_if_idle()
            self._since += _FRESH
        return super().close_if_idle()

    def cut(self) -> None:
        if self.websocket is not None:
            self.websocket.fail_connection(1001)
            if self._task is not None:
                self._task.cancel()
        else:
            super().cut()


# The slot itself, below any property of its name: a response that was never asked for its headers
# may have None there.
_slot_of_headers: Callable[[Any], Any] = vars(BaseHTTPResponse)["headers"].__get__


def served(app: Sanic[Any, Any]) -> int:
    """How many requests of this application were served in this process.

    Each connection counts its own; they are added up when somebody asks.
    """
    return sum(
        wire.served + sum(c._served for c in wire.connections if isinstance(c, HttpProtocol))
        for wire in wires_of(app)
    )


_plain: set[type] = {HTTPResponse, JSONResponse}  # and the subclasses that were found to be so


def _is_plain(cls: type) -> bool:
    """Whether responses of this class are whole, and sent as Sanic sends them."""
    plain = (
        issubclass(cls, HTTPResponse)
        and cls.send is BaseHTTPResponse.send
        and cls.processed_headers is BaseHTTPResponse.processed_headers
    )
    if plain and "<locals>" not in cls.__qualname__:  # a class made per request is not kept
        _plain.add(cls)
    return plain


def _length_told(response: HTTPResponse, body: bytes) -> int:
    """The length that the answer to a HEAD tells: the handler's word for it, if it gave one."""
    told = str(response.headers.get("content-length", ""))
    return int(told) if told.isascii() and told.isdigit() else len(body)
