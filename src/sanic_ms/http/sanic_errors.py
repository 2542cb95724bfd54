"""The error tree joined to Sanic's: each `HTTPError` is a `SanicException`, but for a
`DatabaseError`.

An application written for Sanic catches and registers Sanic's classes. ``except`` asks for real
inheritance, and `sanic_ms.exception` may not import Sanic. So its classes get Sanic's as further
bases here, once, when the package is imported. Classes that were derived before follow.
"""

from __future__ import annotations

from sanic import exceptions as sanic_exceptions

from sanic_ms import exception
from sanic_ms.exception import DatabaseError, HTTPError, SanicMSError, error_for_status

__all__ = ["ancestors_of", "is_sanics"]

_SAME_MEANING = (
    "BadRequest",
    "ExpectationFailed",
    "Forbidden",
    "MethodNotAllowed",
    "NotFound",
    "PayloadTooLarge",
    "RangeNotSatisfiable",
    "RequestTimeout",
    "ServerError",
    "ServiceUnavailable",
    "URITooLong",
    "Unauthorized",
)
"""Classes that both trees have, under one name."""


def _join() -> None:
    HTTPError.__bases__ = (SanicMSError, sanic_exceptions.SanicException)
    for name in _SAME_MEANING:
        ours, sanics = getattr(exception, name), getattr(sanic_exceptions, name)
        if sanics not in ours.__bases__:
            ours.__bases__ = (*ours.__bases__, sanics)


_join()


def is_sanics(cls: type) -> bool:
    """Whether a class of errors is Sanic's, or of an application that knows Sanic's alone."""
    return issubclass(cls, sanic_exceptions.SanicException) and not issubclass(cls, HTTPError)


def ancestors_of(cls: type[HTTPError]) -> list[type]:
    """The class and its ancestors, in the order in which handlers for them are looked for.

    `ServerError` is the 500 and the root of all 5xx, Sanic's `ServerError` is the 500 only. A
    `DatabaseError` has those of Sanic's classes that another error of its status has.
    """
    ancestors = list(cls.__mro__)
    if issubclass(cls, DatabaseError):
        sanics = filter(is_sanics, error_for_status(cls.status).__mro__)
        at = ancestors.index(Exception)
        ancestors[at:at] = sanics
    if cls.status != 500 and sanic_exceptions.ServerError in ancestors:
        ancestors.remove(sanic_exceptions.ServerError)
    return ancestors
