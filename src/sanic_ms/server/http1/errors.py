"""What the protocol itself refuses a request with, as Sanic's exceptions.

They go through the application's error handler like those of a handler, so that they are answered
in the application's own format.
"""

from __future__ import annotations

from sanic.exceptions import SanicException

__all__ = [
    "HeadersTooLarge",
    "MethodNotImplemented",
    "TransferCodingNotImplemented",
    "UnsafeResponse",
    "UnsupportedHTTPVersion",
]


class HeadersTooLarge(SanicException):
    """431: the head of the request, or its trailers, are larger than the server allows."""

    status_code = 431
    quiet = True


class UnsupportedHTTPVersion(SanicException):
    """505: neither HTTP/1.1 nor HTTP/1.0."""

    status_code = 505
    quiet = True


class MethodNotImplemented(SanicException):
    """501: a lawful method that no route can have."""

    status_code = 501
    quiet = True


class TransferCodingNotImplemented(SanicException):
    """501: a transfer coding other than ``chunked``."""

    status_code = 501
    quiet = True


class UnsafeResponse(SanicException):
    """500: a handler's answer would break the framing of the connection; nothing of it was sent."""

    status_code = 500
    quiet = False
