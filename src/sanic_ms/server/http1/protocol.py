"""The HTTP/1.1 protocol: from requests to answers.

The fast path is below, in `sanic_ms.server.http1.fast_path`. The full path speaks Sanic's
interfaces through an `Exchange`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from inspect import iscoroutine
from typing import Any

from sanic import Sanic
from sanic.exceptions import RequestCancelled, ServerError, ServiceUnavailable
from sanic.http.constants import HTTP
from sanic.log import error_logger, websockets_logger
from sanic.request import Request
from sanic.response import BaseHTTPResponse, HTTPResponse, ResponseStream
from websockets.frames import CloseCode
from websockets.protocol import State

from sanic_ms.server.http1.compiled_fast_path import CompiledFastPath
from sanic_ms.server.http1.exchange import Exchange
from sanic_ms.server.http1.middleware import DELIVERED
from sanic_ms.server.http1.routes import Plan
from sanic_ms.server.http1.state import IDLE, TUNNEL, states_of
from sanic_ms.server.http1.websocket import WebSocket, handshake, log_websocket
from sanic_ms.telemetry.instrumentation import Observation, failure_of
from sanic_ms.telemetry.tracing.server import ServerSpan
from sanic_ms.values.handlers import as_failure

__all__ = ["HttpProtocol", "served"]

_DISCARD = 4 << 20  # the largest rest of a body that is read and thrown away to keep a connection
_FRESH = 1.5  # seconds more for the first request of a client that has just connected
_LAST_RESORT = (
    b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


class HttpProtocol(CompiledFastPath):
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
            self._begun = self.loop.create_task(self._announce("http.lifecycle.begin"))

    def connection_lost(self, exc: BaseException | None) -> None:
        websocket, task = self.websocket, self._task
        if websocket is not None:
            websocket.connection_lost(exc)
            if websocket.unread and task is not None:
                # Messages that came before a close are not lost: the handler has time to read them.
                self._task = None
                self.loop.call_later(self.websocket_timeout, task.cancel)
        super().connection_lost(exc)
        self.wire.served += self._served
        if websocket is not None:
            log_websocket(self, "CLOSE")
        if "http.lifecycle.complete" in self.wire.heard:
            self._begun = self.loop.create_task(self._complete(task))

    async def _complete(self, task: asyncio.Task[None] | None) -> None:
        if task is not None:
            await asyncio.wait([task])
        await self._announce("http.lifecycle.complete")

    async def _announce(self, event: str) -> None:
        """Send a signal about the connection. Whatever its handlers raise is logged: there is no
        request that could be answered with it."""
        try:
            await self.dispatch(event, conn_info=self.conn_info)
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as exc:
            error_logger.error("A handler of %s failed", event, exc_info=as_failure(exc))

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.websocket is not None:
            self.websocket.update_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.websocket is not None:
            self.websocket.update_reading()

    def eof_received(self) -> bool | None:
        if self.websocket is not None:
            return self.websocket.eof_received()
        return False

    # --- handling --------------------------------------------------------------------------------

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
            if type(response) is bytes and plan.is_direct:  # the request's stream was asked for
                response = HTTPResponse(response, plan.status, content_type=plan.content_type)
            await self._settle(request, response)
        except asyncio.CancelledError as exc:
            await self._cancelled(request, exc)
        except BaseException as exc:
            await self._failed(request, self._failure(request, exc))
        if span is not None or plan.meter is not None:
            observation = Observation(plan.meter, self._started, span)
            observation.end(self._status(), failure_of(request))
        await self._end()

    def _status(self) -> int:
        """The status of the answer to the request that is being served; 499: the client left."""
        response = self.exchange.response if self.exchange is not None else None
        if response is None or self.is_gone:
            return 499 if self.is_gone else 500
        return response.status

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
        if response is DELIVERED:
            exchange.finish()
            return
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
            await self.dispatch("http.lifecycle.response", request=request, response=response)
            await response.send(end_stream=True)
        elif isinstance(response, ResponseStream):
            stream = await response(request)
            await self.dispatch("http.lifecycle.response", request=request, response=stream)
            await response.eof()
        else:
            raise ServerError(f"Invalid response type {response!r} (need HTTPResponse)")
        exchange.finish()

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
        except BaseException as exc:
            await self._failed(request, self._failure(request, exc))
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
        except BaseException as again:
            self._error_handler_failed(exchange.request, again)
        if observation is not None:
            observation.end(self._status(), failure_of(exchange.request))
        await self._end()

    async def _failed(self, request: Request, exc: BaseException) -> None:
        """Answer with an error; a failure of the error handler too is logged and closes."""
        try:
            if self.websocket is not None:
                self.app.error_handler.log(request, exc)  # type: ignore[arg-type]
                self.websocket.end_connection(CloseCode.INTERNAL_ERROR)
                return
            exchange = self.exchange_for(request)
            assert exchange is not None
            await exchange.fail(exc, middleware=False)
        except asyncio.CancelledError:
            pass
        except BaseException as again:
            self._error_handler_failed(request, again)

    def _error_handler_failed(self, request: Request, exc: BaseException) -> None:
        failure = self._failure(request, exc)
        error_logger.error("The application's error handler failed", exc_info=failure)

    def _failure(self, request: Request, exc: BaseException) -> BaseException:
        """The exception of a handler, as the error handler takes it: an `Exception`, or what the
        application has registered a handler for (``@app.exception(CancelledError)``).

        Raises:
            GeneratorExit: it comes from outside: this task is thrown away with the event loop, and
                can do no more.
        """
        if isinstance(exc, GeneratorExit) and asyncio.current_task(self.loop) is not self._task:
            raise exc
        if self.app.error_handler.lookup(exc, request.name) is not None:
            return exc
        return as_failure(exc)

    async def _cancelled(self, request: Request, exc: BaseException) -> None:
        """The handler was cancelled: the client is gone, it took too long, or its own work was
        cancelled, which is a fault of the application."""
        if self.websocket is not None:
            self.websocket.end_connection(CloseCode.INTERNAL_ERROR)
            return
        exchange = self.exchange_for(request)
        assert exchange is not None
        exchange.keep_alive = False
        if self.is_gone:
            exc = RequestCancelled()
        elif self._late:
            exc = ServiceUnavailable("Response Timeout")
        else:
            exc = self._failure(request, exc)
        self._late = False
        await self._failed(request, exc)

    def response_late(self) -> None:
        self._late = True

    # --- after the answer ------------------------------------------------------------------------

    async def _end(self) -> None:
        """After the full path: discard what is left of the body, and go on or close."""
        exchange = self.exchange
        if exchange is None or self.lost:
            self._next(False)
            return
        if self.websocket is not None:
            if self.websocket.ws_proto.state is State.OPEN:  # Sanic failed before its handler ran
                self.websocket.end_connection(CloseCode.INTERNAL_ERROR)
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
        if exchange.broken and exchange.ends_by_closing:
            self._task = self._request = None
            self.reset()
        elif exchange.unread or exchange.refused:
            self._task = self._request = None
            if not self.lost:
                self.linger()
        else:
            self._next(keep_alive)

    # --- web sockets -----------------------------------------------------------------------------

    async def websocket_handshake(
        self, request: Request, subprotocols: Sequence[str] | None = None
    ) -> WebSocket:
        """Turn the connection into a web socket; Sanic's web socket routes call it.

        Raises:
            SanicException: the request is no lawful web socket handshake.
        """
        self.websocket = await handshake(self, request, subprotocols)
        if self.exchange is not None:
            self.exchange.upgraded()
        self._stage = TUNNEL
        self.websocket_url = request.url
        websockets_logger.debug("Handling websocket. Timeouts disabled.")
        log_websocket(self, "OPEN")
        early, self.input = bytes(self.input), bytearray()
        self.read_on()
        if early:
            self.websocket.data_received(early)
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


def served(app: Sanic[Any, Any]) -> int:
    """How many requests of this application were served in this process.

    Each connection counts its own; they are added up when somebody asks.
    """
    return sum(
        wire.served + sum(c._served for c in wire.connections if isinstance(c, HttpProtocol))
        for wire in states_of(app)
    )
