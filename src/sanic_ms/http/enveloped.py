"""Responses in the envelope, for code that has to make a response itself: middleware and exception
handlers. A handler returns its data, or raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sanic import HTTPResponse
from sanic.exceptions import SanicException
from sanic.request import Request as SanicRequest

from sanic_ms.exception import HTTPError, LifecycleError
from sanic_ms.http.endpoint import EMPTY_STATUSES
from sanic_ms.http.envelope import Envelope
from sanic_ms.http.errors import EnvelopeErrorHandler
from sanic_ms.values.page import CursorPagination, OffsetPagination, Pagination

__all__ = ["failure", "success"]


def success(
    data: Any = None,
    pagination: Pagination | OffsetPagination | CursorPagination | Mapping[str, Any] | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTTPResponse:
    """A response with data in the service's envelope, as if a handler had returned it.

    Nothing is left out of the data: no shape is known for it here.

    Args:
        data: The data; default None.
        pagination: Which part of a list the data is; None: it is no page.
        status: The status, below 400. One that has no body (204, 205, 304) has none here.
        headers: Headers to add.

    Raises:
        LifecycleError: no request is being served.
        TypeError: the data cannot be written as JSON, or the status is not an integer.
        ValueError: the status is not between 200 and 399.
    """
    if isinstance(status, bool) or not isinstance(status, int):
        raise TypeError(f"success(status={status!r}): a status is an integer")
    if not 200 <= status <= 399:
        raise ValueError(f"success(status={status}): that is no success; see `failure`")
    envelope = _error_handler(_current_request()).envelope
    if status in EMPTY_STATUSES:
        return HTTPResponse(status=status, headers=dict(headers or {}))
    is_page = pagination is not None
    body = envelope.success_page(data, pagination) if is_page else envelope.success(data)
    given = dict(headers or {})
    return HTTPResponse(body, status, headers=given, content_type=envelope.content_type)


def failure(error: BaseException | type[HTTPError]) -> HTTPResponse:
    """The response that the service gives to an error that nobody catches.

    It is the same in all: its status and headers, the envelope, its translation, and what is
    logged of it. Of an exception that was not meant for the caller it is a 500 without its text.

    Args:
        error: Any exception; of an `HTTPError` the class will do.

    Raises:
        LifecycleError: no request is being served.
        TypeError: it is not an exception.
    """
    if isinstance(error, type) and issubclass(error, (HTTPError, SanicException)):
        error = error()
    if not isinstance(error, BaseException):
        raise TypeError(f"failure({error!r}): give an exception, such as NotFound()")
    request = _current_request()
    return _error_handler(request).default(request, error)


def _current_request() -> SanicRequest:
    request: SanicRequest | None = SanicRequest._current.get(None)
    if request is None:
        raise LifecycleError("success() and failure() make responses while a request is served")
    return request


def _error_handler(request: SanicRequest) -> EnvelopeErrorHandler:
    """The application's; where it has put its own in its place, one with its envelope."""
    app = request.app
    if isinstance(app.error_handler, EnvelopeErrorHandler):
        return app.error_handler
    return EnvelopeErrorHandler(getattr(app, "envelope", None) or Envelope())
