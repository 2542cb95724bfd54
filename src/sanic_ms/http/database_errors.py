"""Database errors that reach the error handler: what the log says of them, and whose fault it is.

Input is validated before a handler runs. A value that the database cannot store comes from the
service, and is an error of the service. There is one exception: an integer of the path or the query
that is too large for its column names a row that does not exist, or is a wrong filter.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType
from typing import Any

from sanic.request import Request as SanicRequest

from sanic_ms.exception import DatabaseError, DataError, HTTPError, NotFound, ValidationError
from sanic_ms.http.query import query_of
from sanic_ms.http.request import Request
from sanic_ms.telemetry.stacks import application_frames

__all__ = ["describe_conflict", "describe_failure", "input_error"]


def input_error(request: SanicRequest | None, exception: BaseException) -> HTTPError | None:
    """The error of the caller where an integer of the path or the query does not fit its column.

    Returns:
        `NotFound` for the path, `ValidationError` for the query; None for any other exception.
    """
    if not isinstance(exception, DataError) or not isinstance(request, Request):
        return None
    for value in exception.out_of_range:
        if any(_is(value, text) for text in (request.match_info or {}).values()):
            return NotFound()
        for name, texts in query_of(request).items():
            if any(_is(value, text) for text in texts):
                return ValidationError([(name, "is out of range", "out_of_range")])
    return None


def describe_failure(error: DatabaseError) -> str:
    """One line for the log: the database's text, the column, the statement, and where it ran."""
    parts = [f"{type(error).__name__}: {' '.join(str(error).split())}"]
    if error.column:
        parts.append(f"column: {error.column}")
    if error.constraint:
        parts.append(f"constraint: {error.constraint}")
    return "; ".join((*parts, *_where(error)))


def describe_conflict(error: DatabaseError) -> str:
    """One line for the log, without the database's text, which has values of the row in it."""
    constraint = error.constraint or "not named by the database"
    return "; ".join((f"{type(error).__name__}: constraint: {constraint}", *_where(error)))


def _is(value: int, text: Any) -> bool:
    try:
        return int(text) == value
    except (TypeError, ValueError):
        return False


def _where(error: DatabaseError) -> Iterator[str]:
    """The statement; and the file and line that ran it, and those of the handler if it is another
    function."""
    if error.statement:
        yield f"statement: {error.statement}"
    frames = application_frames(error)
    if frames:
        handler, caller = frames[0], frames[-1]
        if handler[1] is caller[1]:
            yield f"at {_place(caller)}"
        else:
            yield f"at {_place(caller)}, called by {_place(handler)}"


def _place(frame: tuple[str, CodeType, int]) -> str:
    _, code, line = frame
    return f"{code.co_filename}:{line} in {code.co_qualname}"
