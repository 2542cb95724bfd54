"""Every error as an answer in the envelope: the framework's, Sanic's, and the unexpected."""

from __future__ import annotations

import contextlib
import copy
import functools
import logging
from asyncio import CancelledError
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any

from sanic import HTTPResponse
from sanic.constants import HTTP_METHODS
from sanic.exceptions import SanicException
from sanic.handlers import ErrorHandler
from sanic.request import Request as SanicRequest

from sanic_ms.exception import (
    DatabaseError,
    DeadlineExceeded,
    HTTPError,
    IntegrityError,
    ServerError,
    error_for_status,
)
from sanic_ms.http.database_errors import describe_conflict, describe_failure, input_error
from sanic_ms.http.envelope import Envelope, translation_of
from sanic_ms.http.request import Request
from sanic_ms.http.sanic_errors import ancestors_of, is_sanics
from sanic_ms.http.translation import translated
from sanic_ms.telemetry.stacks import application_part, describe
from sanic_ms.telemetry.tracing import current_ids, recording_span

__all__ = ["EnvelopeErrorHandler", "to_http_error"]

log = logging.getLogger("sanic_ms.http")


Handler = Callable[..., Any]


class EnvelopeErrorHandler(ErrorHandler):
    """Sanic's error handler with the envelope for an answer.

    Handlers that the application registers (``@app.exception``) come first, as on Sanic.
    """

    def __init__(self, envelope: Envelope) -> None:
        super().__init__()
        self.envelope = envelope
        self._found: dict[tuple[type, str | None], Handler | None] = {}

    def _add(self, key: tuple[type[BaseException], str | None], handler: Handler) -> None:
        self._found.clear()
        super()._add(key, handler)

    def lookup(self, exception: BaseException, route_name: str | None = None) -> Handler | None:
        """The application's handler for an exception; None: there is none.

        As Sanic's: the exception's class first, then its ancestors; those of the route first. An
        error of the framework has Sanic's classes among its ancestors.
        """
        cls = type(exception)
        if not issubclass(cls, HTTPError):
            handler: Handler | None = super().lookup(exception, route_name)
            return handler
        # Not among Sanic's own: it takes what it has found for what was registered.
        key = cls, route_name
        if key not in self._found:
            self._found[key] = _find_handler(self.cached_handlers, cls, route_name)
        return self._found[key]

    def default(self, request: SanicRequest, exception: BaseException) -> HTTPResponse:
        """The answer to an exception that nobody else handles."""
        error = input_error(request, exception) or to_http_error(exception)
        if error.status >= 500 and isinstance(request, Request):
            request.failure = exception
        self._log(request, exception, error)
        if error.status >= 500 and _is_debugged(request):
            error = _with_detail(error, exception)
        response = self.render(error, request)
        if error.status == 405 and "allow" not in response.headers:
            response.headers["allow"] = ", ".join(_allowed(request))
        return response

    def render(self, error: HTTPError, request: SanicRequest | None = None) -> HTTPResponse:
        """The answer to an error of the framework, with the id of the trace that keeps it."""
        translate = translation_of(self.envelope)
        if translate is not None:
            error = translated(error, translate, request)
        kept = error.status >= 500 or recording_span() is not None
        ids = current_ids() if kept else None
        return HTTPResponse(
            body=self.envelope.error(error, None if ids is None else ids[0]),
            status=error.status,
            headers=error.headers,
            content_type=self.envelope.error_content_type,
        )

    @staticmethod
    def log(request: SanicRequest, exception: Exception) -> None:
        """Log an error that has no response: that of a web socket, whose client is told no more
        than that it has failed. So an error of the framework is logged there although it is quiet.
        """
        if isinstance(exception, HTTPError):
            log.error("%s: %s", _request_line(request), exception, exc_info=exception)
        else:
            ErrorHandler.log(request, exception)

    @staticmethod
    def _log(request: SanicRequest | None, exception: BaseException, error: HTTPError) -> None:
        """An error of the service, with its stack unless it was raised on purpose; an error of the
        caller is in the access log. A deadline that is over is a warning: it may be the caller's,
        and too short."""
        line = _request_line(request)
        if error.status < 500:
            log.debug("%s: %s", line, error)
            if isinstance(error, IntegrityError):
                log.info("%s: %s", line, describe_conflict(error))
        elif isinstance(error, DeadlineExceeded):
            log.warning("%s: %s", line, error)
        elif isinstance(error, DatabaseError):
            log.error("%s: %s", line, describe_failure(error), exc_info=_stack(exception))
        elif isinstance(exception, HTTPError):
            # Raised on purpose. Its cause, where it has one, is what an operator needs.
            cause = exception.__cause__
            text = f"{error}: {describe(cause)}" if cause else error
            log.error("%s: %s", line, text, exc_info=exception if cause else None)
        else:
            log.error("%s: %s", line, describe(exception), exc_info=_stack(exception))


def _stack(
    exception: BaseException,
) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    """An exception to be logged, with its stack from the application's first function on."""
    return type(exception), exception, application_part(exception)


def _find_handler(
    handlers: Mapping[Any, Handler | None], cls: type[HTTPError], route_name: str | None
) -> Handler | None:
    for group in ([cls], ancestors_of(cls)):
        for name in (route_name, None):
            handler = _first_handler(handlers, group, name, cls)
            if handler is not None:
                return handler
    return None


def _first_handler(
    handlers: Mapping[Any, Handler | None],
    group: Iterable[type],
    name: str | None,
    cls: type[HTTPError],
) -> Handler | None:
    for ancestor in group:
        handler = handlers.get((ancestor, name))
        if handler is not None:
            hides = issubclass(cls, DatabaseError) and is_sanics(ancestor)
            return _without_detail(handler) if hides else handler
    return None


def _is_debugged(request: SanicRequest | None) -> bool:
    app = None if request is None else request.app
    return app is not None and bool(app.debug or app.config.get("DEBUG"))


def _with_detail(error: HTTPError, exception: BaseException) -> HTTPError:
    """In debug mode the caller is told what the log is told."""
    cause = exception
    if isinstance(exception, HTTPError) and not isinstance(exception, DatabaseError):
        # A text is the application's own; without one the caller is told what it was raised from.
        if error.error is not None or exception.__cause__ is None:
            return error
        cause = exception.__cause__
    shown = copy.copy(error)
    if isinstance(error, DatabaseError):
        shown.error = describe_failure(error)
    else:
        shown.error = describe(cause)
    return shown


def _without_detail(handler: Handler) -> Handler:
    """A handler for Sanic's errors as one for database errors: it gets an error of the same status
    in the place of one, without the database's text, and with that one as its cause."""

    @functools.wraps(handler)
    def handle(request: SanicRequest | None, exception: DatabaseError) -> Any:
        error = input_error(request, exception)
        if error is None:
            cls = error_for_status(exception.status)
            error = cls(
                exception.error, exception.code, exception.message, headers=exception.headers
            )
        error.__cause__ = exception
        return handler(request, error)

    return handle


def to_http_error(exception: BaseException) -> HTTPError:
    """The framework's error for any exception.

    A `SanicException` keeps its status, its headers and its text; the text of anything unexpected
    is kept back, as it may hold what a caller must not see.
    """
    if isinstance(exception, HTTPError):
        return exception
    if isinstance(exception, SanicException):
        return _from_sanic(exception)
    if isinstance(exception, CancelledError):
        # The client has gone; nobody reads the answer, and it is no fault of the service.
        return HTTPError(message="Client Closed Request", status=499)
    return ServerError()


def _allowed(request: SanicRequest) -> list[str]:
    """The methods of a path, which a 405 has to name (RFC 9110, section 15.5.6).

    Sanic's router does not know them where a path has several routes.
    """
    found = []
    for method in HTTP_METHODS:
        with contextlib.suppress(SanicException):
            request.app.router.get(request.path, method.value, request.headers.getone("host", ""))
            found.append(method.value)
    return found


def _from_sanic(exception: SanicException) -> HTTPError:
    status = exception.status_code or 500
    if not 400 <= status <= 599:
        status = 500
    text = str(exception)
    shown = text if status < 500 else None
    error = _bare(status, shown, {str(k): str(v) for k, v in (exception.headers or {}).items()})
    if status < 500 and exception.context:
        error.context = exception.context
    return error


def _bare(status: int, text: str | None, headers: dict[str, str]) -> HTTPError:
    cls = error_for_status(status)
    if status == 422:  # `ValidationError` wants fields, and there are none
        return HTTPError(text or None, status=status, headers=headers)
    return cls(text or None, status=status, headers=headers)


def _request_line(request: SanicRequest | None) -> str:
    try:
        line = f"{request.method} {request.path}"  # type: ignore[union-attr]
    except AttributeError:  # the request line itself could not be read
        return "unreadable request"
    # No control character of a caller's reaches the log as such.
    return line.encode("unicode_escape").decode("ascii")
