"""The fast path: a request that came whole, its handler, and an answer that is sent whole.

A handler is called in a task of its own, or without one where it waits for nothing; what it gives
is sent with one write. Whatever is not of this kind is left to `HttpProtocol`.
`sanic_ms.server.http1._fast_path` is the same once more, compiled, for the usual request: a change
here is made there as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from inspect import isawaitable, iscoroutine
from time import perf_counter
from traceback import format_exc
from typing import Any

from sanic.exceptions import SanicException
from sanic.request import Request
from sanic.response import BaseHTTPResponse, HTTPResponse

from sanic_ms.server.http1.access_log import log_answer
from sanic_ms.server.http1.head import KEEP_ALIVE, UNTRACED
from sanic_ms.server.http1.middleware import DELIVERED
from sanic_ms.server.http1.receiver import Receiver
from sanic_ms.server.http1.response import BODILESS, ResponseHeads, is_whole
from sanic_ms.server.http1.routes import Plan
from sanic_ms.server.http1.state import HEAD, IDLE, PARTING
from sanic_ms.telemetry.instrumentation import Observation, failure_of
from sanic_ms.telemetry.tracing.server import ServerSpan

__all__ = ["COPIED", "FastPath"]

COPIED = 16384  # larger bodies are not copied behind their head


class FastPath(Receiver):
    """A connection that answers requests of the fast path."""

    __slots__ = ()

    def _serve_rest(
        self,
        request: Request,
        plan: Plan,
        span: ServerSpan | None,
        response: Any,
        failure: BaseException | None,
    ) -> Coroutine[Any, Any, None]:
        """Answer where the handler gave no whole response, or failed."""
        raise NotImplementedError

    def _failure(self, request: Request, exc: BaseException) -> BaseException:
        """The exception of a handler, as the application's error handler takes it."""
        raise NotImplementedError

    def _serve_at_once(self, request: Request, plan: Plan, params: dict[str, Any]) -> None:
        span = self._open(request, plan)
        response: Any = None
        failure: BaseException | None = None
        try:
            response = plan.at_once(request, params)  # type: ignore[misc]
            if self._deliver(request, plan, span, response):
                if self._paused_at:
                    self._go_on_later()
                else:
                    self._next(bool(self._flags & KEEP_ALIVE))
                return
        except BaseException as exc:
            failure = exc
        self._serve_rest_later(request, plan, span, response, failure)

    def _go_on_later(self) -> None:
        self.loop.create_task(self._go_on())

    def _serve_rest_later(
        self,
        request: Request,
        plan: Plan,
        span: ServerSpan | None,
        response: Any,
        failure: BaseException | None,
    ) -> None:
        """Answer in a task where a handler without one gave no whole response, or failed."""
        if failure is not None:
            error = failure
            response, failure = self._answer_error(request, plan, span, failure)
            if response is DELIVERED:
                if self._paused_at:
                    self._go_on_later()
                else:
                    self._next(bool(self._flags & KEEP_ALIVE))
                return
            if failure is None:
                self.loop.create_task(self._serve_error(request, plan, span, response, error))
                return
        elif iscoroutine(response):
            plan.at_once = None  # a plain function that leads to others which wait
        # Not the connection's own before it runs: who cancels a task before that ends it without a
        # step, and the request has begun.
        self.loop.create_task(self._serve_rest(request, plan, span, response, failure))

    async def _serve_plain(self, request: Request, plan: Plan, params: dict[str, Any]) -> None:
        span = self._open(request, plan)
        response: Any = None
        failure: BaseException | None = None
        try:
            if plan.begin is None or plan.answer is None:
                response = plan.handler(request, **params)
                if isawaitable(response):
                    response = await response
            else:
                response = plan.answer(request, await plan.begin(request, params))
            if self._deliver(request, plan, span, response):
                if self._paused_at:
                    await self._go_on()
                else:
                    self._next(bool(self._flags & KEEP_ALIVE))
                return
        except asyncio.CancelledError as exc:
            failure = exc
        except BaseException as exc:
            failure = self._failure(request, exc)
            if self.is_gone and not (response is None or isawaitable(response)):
                # The handler has ended: it went on when it was cancelled, and the write has failed.
                failure = asyncio.CancelledError()
        if failure is not None:
            error = failure
            response, failure = self._answer_error(request, plan, span, failure)
            if response is DELIVERED:
                if self._paused_at:
                    await self._go_on()
                else:
                    self._next(bool(self._flags & KEEP_ALIVE))
                return
            if failure is None:
                await self._serve_error(request, plan, span, response, error)
                return
        await self._serve_rest(request, plan, span, response, failure)

    # --- errors ----------------------------------------------------------------------------------

    def _answer_error(
        self, request: Request, plan: Plan, span: ServerSpan | None, failure: BaseException
    ) -> tuple[Any, BaseException | None]:
        """Let the application's error handler respond to an exception, and send that.

        Returns:
            `DELIVERED`, None: it was sent. A response, None: the handler gave it, and it needs a
            task. None, an exception: the full path has to respond to that.
        """
        if (
            not plan.takes_errors
            or not isinstance(failure, Exception)
            or self.exchange is not None
            or self.is_gone
            or getattr(request, "_response_middleware_started", False)
        ):
            return None, failure
        try:
            handler: Any = self.app.error_handler  # its methods have no annotations
            try:
                raise failure
            except Exception:  # Sanic's error handler logs the exception that is being handled
                response = handler.response(request, failure)
            if response is None:
                return None, failure
            if plan.finish is None and self._deliver_error(request, plan, span, response):
                return DELIVERED, None
        except BaseException as exc:
            return None, exc
        return response, None

    def _deliver_error(
        self, request: Request, plan: Plan, span: ServerSpan | None, response: Any
    ) -> bool:
        """Send a whole response to an exception, and account for it.

        Returns:
            False where it is another kind of response, of which nothing was sent.
        """
        if self.exchange is not None or not is_whole(type(response)):
            return False
        self._answer(request, response)
        status = response.status
        if self.wire.access_log and plan.logged:
            log_answer(self, request, status, len(response.body or b""), self._started)
        if span is not None or plan.meter is not None:
            seen = 499 if self.is_gone else status  # the write tells that the client has left
            Observation(plan.meter, self._started, span).end(seen, failure_of(request))
        return True

    async def _serve_error(
        self,
        request: Request,
        plan: Plan,
        span: ServerSpan | None,
        response: Any,
        error: BaseException,
    ) -> None:
        """Send the error handler's response to an exception where it is awaited, or has
        middleware."""
        self._task = asyncio.current_task()
        failure: BaseException | None = None
        try:
            if isawaitable(response):
                response = await self._awaited_error(request, response, error)
            if plan.finish is not None:
                response = await plan.finish(request, response)
            if self._deliver_error(request, plan, span, response):
                if self._paused_at:
                    await self._go_on()
                else:
                    self._next(bool(self._flags & KEEP_ALIVE))
                return
        except BaseException as exc:
            failure = exc
        await self._serve_rest(request, plan, span, response, failure)

    async def _awaited_error(
        self, request: Request, response: Awaitable[Any], error: BaseException
    ) -> Any:
        """The response of a coroutine function that handles exceptions; where that fails, what
        `Sanic.handle_exception` responds then."""
        try:
            raise error
        except BaseException:
            try:
                return await response
            except SanicException as exc:
                return self.app.error_handler.default(request, exc)
            except Exception as exc:
                text = "An error occurred while handling an error"
                if self.app.debug:
                    text = f"Error while handling error: {exc}\nStack: {format_exc()}"
                return HTTPResponse(text, status=500)

    # --- the usual response ----------------------------------------------------------------------

    def _open(self, request: Request, plan: Plan) -> ServerSpan | None:
        """Begin to measure a request of the fast path, and make it the current one."""
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

    def _deliver(
        self, request: Request, plan: Plan, span: ServerSpan | None, response: Any
    ) -> bool:
        """Send the usual answer of a route, given as its body, or a whole response that nobody has
        begun to send.

        Returns:
            False where it is another, of which nothing was sent.
        """
        if self.exchange is not None:
            return False
        cls = type(response)
        if cls is bytes and plan.is_direct:
            heads = self._heads(request)
            self._write(request, plan.status, plan.head(heads), response)
            self._account(request, plan, span, plan.status, len(response))
        elif is_whole(cls):
            self._answer(request, response)
            self._account(request, plan, span, response.status, len(response.body or b""))
        else:
            return False
        return True

    def _heads(self, request: Request) -> ResponseHeads:
        wire = self.wire
        return wire.heads if wire.heads_by_origin is None else wire.heads_for(request)

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

    def _answer(self, request: Request, response: HTTPResponse) -> None:
        """Send a whole response."""
        heads = self._heads(request)
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
        elif len(body) < COPIED:
            self.transport.write(b"%b%d%b%b" % (head, len(body), end, body))
        else:
            self.transport.write(b"%b%d%b" % (head, len(body), end))
            self.transport.write(body)

    # --- after the answer ------------------------------------------------------------------------

    async def _go_on(self) -> None:
        """Turn to the next request once the client has read the answer."""
        self._task = asyncio.current_task()
        try:
            await self.drain()
        except asyncio.CancelledError:
            self._flags &= ~KEEP_ALIVE
        self._next(bool(self._flags & KEEP_ALIVE))

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


# The slot itself, below any property of its name: a response that was never asked for its headers
# may have None there.
_slot_of_headers: Callable[[Any], Any] = vars(BaseHTTPResponse)["headers"].__get__


def _length_told(response: HTTPResponse, body: bytes) -> int:
    """The length that the answer to a HEAD tells: the handler's word for it, if it gave one."""
    told = str(response.headers.get("content-length", ""))
    return int(told) if told.isascii() and told.isdigit() else len(body)
