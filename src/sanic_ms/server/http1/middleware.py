"""Middleware and signals on the fast path: a route's handler, and what runs around it, as one call.

Sanic runs them on the interfaces of an `Exchange`, which cost more than the rest of a request. The
chain here keeps Sanic's promises without one: the order, a middleware that responds in the
handler's place or replaces the response, the context of signals. Wherever a request turns out to
need its `Exchange` (code reads ``request.stream``, or the response is a stream) the chain hands
over to the full path, whose methods are Sanic's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Final

from sanic import Sanic
from sanic.exceptions import ServerError
from sanic.log import error_logger
from sanic.middleware import Middleware
from sanic.response import HTTPResponse, ResponseStream

from sanic_ms.inline import needs_task, result_of
from sanic_ms.server.http1.response import is_whole
from sanic_ms.values.route import Direct

__all__ = ["DELIVERED", "SIGNALS", "HandlerChain"]

_ROUTED: Final = "http.routing.after"
_BEFORE: Final = "http.handler.before"
_AFTER: Final = "http.handler.after"
_RESPONSE: Final = "http.lifecycle.response"

SIGNALS: Final = frozenset({_ROUTED, _BEFORE, _AFTER, _RESPONSE})
"""The signals that a `HandlerChain` dispatches."""

DELIVERED: Final = object()
"""The result of a chain whose response was sent through the `Exchange`."""

_Function = Callable[..., Any]


class HandlerChain:
    """The handler of a route with its middleware and signals.

    Args:
        app: The application.
        handler: The route's handler.
        direct: What is called in its place; None: the handler itself.
        request_middleware: Called with the request before the handler, in this order.
        response_middleware: Called with the request and the response, in this order.
        signals: Which of `SIGNALS` the application handles.

    Attributes:
        is_inline: Whether nothing in the chain needs a task.
    """

    __slots__ = (
        "_app",
        "_direct",
        "_handle_inline",
        "_handler",
        "_request_middleware",
        "_response_middleware",
        "_signals",
        "is_inline",
    )

    def __init__(
        self,
        app: Sanic[Any, Any],
        handler: _Function,
        direct: Direct | None,
        request_middleware: Iterable[_Function],
        response_middleware: Iterable[_Function],
        signals: frozenset[str],
    ) -> None:
        self._app = app
        self._signals = signals
        self._handler = handler
        self._direct = direct
        self._handle_inline = direct.at_once if direct is not None else None
        self._request_middleware = [_function_of(each) for each in request_middleware]
        self._response_middleware = [_function_of(each) for each in response_middleware]
        self.is_inline = (
            self._handle_inline is not None
            and not signals
            and not any(map(needs_task, self._request_middleware))
            and not any(map(needs_task, self._response_middleware))
        )
        if self.is_inline:
            self._request_middleware = [_inline(each) for each in self._request_middleware]
            self._response_middleware = [_inline(each) for each in self._response_middleware]

    # --- without a task --------------------------------------------------------------------------

    def serve_inline(self, request: Any, path: dict[str, Any]) -> Any:
        """Serve a request without a task.

        Returns:
            As `serve`; or a coroutine that gives it, where a plain function returned an awaitable.
        """
        request._request_middleware_started = True
        for index, middleware in enumerate(self._request_middleware):
            response = middleware(request)
            if response is None:
                continue
            if _is_pending(response):
                return self._serve_from(request, index, response)
            if response:
                _check(response)
                break
        else:
            response = self._handle_inline(request, request.match_info)  # type: ignore[misc]
            if _is_pending(response):
                return self._finish_later(request, response)
        if not self._response_middleware:
            return response
        whole = self._whole(request, response)
        if whole is None:
            return response
        connection, response = request.connection, whole
        connection.response = response
        try:
            for index, middleware in enumerate(self._response_middleware):
                replacement = middleware(request, response)
                if replacement is None:
                    continue
                if _is_pending(replacement):
                    return self._respond(request, response, index, replacement)
                if replacement:
                    response = _replace(request, replacement)
                    break
        except Exception:
            _log_failure()
        except BaseException:
            connection.response = None
            raise
        connection.response = None
        _check(response)
        if connection.exchange is not None:
            return _send(request, response)
        whole.stream = None
        return response

    # --- in a task -------------------------------------------------------------------------------

    async def serve(self, request: Any, path: dict[str, Any]) -> Any:
        """Serve a request in a task.

        Returns:
            The body of the usual response as bytes, or a response; `DELIVERED` or None where the
            `Exchange` has sent it, or has it.
        """
        if _ROUTED in self._signals and not await self._announce_route(request, path):
            return DELIVERED
        request._request_middleware_started = True
        return await self._serve_from(request, 0)

    async def _announce_route(self, request: Any, path: dict[str, Any]) -> bool:
        """Dispatch the signal that comes before the middleware.

        Returns:
            False where its handler has failed, and an error was sent.
        """
        kwargs = dict(path)
        context = {"route": request.route, "kwargs": kwargs, "handler": self._handler}
        try:
            await self._dispatch(_ROUTED, request=request, **context)
        except Exception as exc:
            await request.stream.fail(exc)  # whose request middleware may respond, as on Sanic
            return False
        return True

    async def _serve_from(
        self, request: Any, index: int, pending: Awaitable[Any] | None = None
    ) -> Any:
        """Call the request middleware from this index on, and then the handler.

        Args:
            request: The request.
            index: The first middleware that is called.
            pending: What that one has returned, where it was called already.
        """
        for middleware in self._request_middleware[index:]:
            response = middleware(request) if pending is None else pending
            pending = None
            if _is_pending(response):
                response = await response
            if response:
                _check(response)
                break
        else:
            if _BEFORE in self._signals:
                await self._dispatch(_BEFORE, request=request)
            response = await self._handle(request, request.match_info)
            if _AFTER in self._signals:
                await self._dispatch(_AFTER, request=request)
        return await self.finish(request, response)

    async def _handle(self, request: Any, path: dict[str, Any]) -> Any:
        direct = self._direct
        if direct is not None:
            return direct.answer(request, await direct.begin(request, path))
        response = self._handler(request, **path)
        return await response if isawaitable(response) else response

    async def _finish_later(self, request: Any, pending: Awaitable[Any]) -> Any:
        return await self.finish(request, await pending)

    @property
    def has_finish(self) -> bool:
        """Whether something is called with the response."""
        return bool(self._response_middleware) or _RESPONSE in self._signals

    async def finish(self, request: Any, response: Any) -> Any:
        """Call the response middleware where there is any, and dispatch the signal.

        Returns:
            As `serve`.
        """
        if self.has_finish:
            whole = self._whole(request, response)
            if whole is not None:
                return await self._respond(request, whole)
        return response

    async def _respond(
        self, request: Any, whole: Any, index: int = 0, pending: Awaitable[Any] | None = None
    ) -> Any:
        """Call the response middleware from this index on, and dispatch the signal.

        Args:
            request: The request.
            whole: A whole response that is not connected to an `Exchange`.
            index: The first middleware that is called.
            pending: What that one has returned, where it was called already.
        """
        connection, response = request.connection, whole
        connection.response = whole
        try:
            try:
                for middleware in self._response_middleware[index:]:
                    replacement = middleware(request, response) if pending is None else pending
                    pending = None
                    if _is_pending(replacement):
                        replacement = await replacement
                    if replacement:
                        response = _replace(request, replacement)
                        break
            except Exception:
                _log_failure()
            if _RESPONSE in self._signals and is_whole(type(response)):
                await self._dispatch(_RESPONSE, request=request, response=response)
        finally:
            connection.response = None
        _check(response)
        if connection.exchange is not None:
            return await _send(request, response)
        whole.stream = None
        return response

    def _whole(self, request: Any, response: Any) -> Any:
        """The response, as response middleware sees it: connected to the stream of the request.

        Returns:
            None where it is not a whole response, or an `Exchange` has to care for it.
        """
        if request.connection.exchange is not None:
            return None
        direct = self._direct
        if direct is not None and type(response) is bytes:
            response = HTTPResponse(response, direct.status, content_type=direct.content_type)
        elif not is_whole(type(response)):
            return None
        if self._response_middleware:
            request._response_middleware_started = True
        response.stream = _LazyStream(request)
        return response

    async def _dispatch(self, event: str, **context: Any) -> None:
        await self._app.dispatch(event, inline=True, context=context)


class _LazyStream:
    """The stream of a response whose request has no `Exchange` yet; made at the first use."""

    __slots__ = ("_request",)

    def __init__(self, request: Any) -> None:
        self._request = request

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request.stream, name)


def _function_of(middleware: _Function) -> _Function:
    """The function that Sanic's `Middleware` calls."""
    return middleware.func if type(middleware) is Middleware else middleware


def _is_pending(result: Any) -> bool:
    """Whether it has to be awaited. A stream, which can be, is a response."""
    return isawaitable(result) and not isinstance(result, ResponseStream)


def _inline(function: _Function) -> _Function:
    """A function that gives what a coroutine function gives, which never waits."""
    if not iscoroutinefunction(function):
        return function

    def call(*args: Any) -> Any:
        return result_of(function(*args))

    return call


def _check(response: Any) -> None:
    """Let no middleware give bytes, which would be taken for the body that an endpoint gives.

    Raises:
        ServerError: it has; Sanic's error.
    """
    if type(response) is bytes:
        raise ServerError(f"Invalid response type {response!r} (need HTTPResponse)")


def _replace(request: Any, response: Any) -> Any:
    """Put a response in the place of the one that middleware was called with."""
    connection = request.connection
    if is_whole(type(response)):
        connection.response = response
        if connection.exchange is not None:
            connection.exchange.respond(response)
    return response


async def _send(request: Any, response: Any) -> Any:
    """Send a response whose `Exchange` was made by middleware or a signal handler."""
    if not is_whole(type(response)):
        request.connection.exchange.response = None  # the full path puts this one in its place
        return response
    request.responded = True
    await response.send(end_stream=True)
    return DELIVERED


def _log_failure() -> None:
    """As Sanic does: the response is sent as it was."""
    error_logger.exception("Exception occurred in one of response middleware handlers")
