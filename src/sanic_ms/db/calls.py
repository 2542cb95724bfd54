"""The methods of a session as functions: a connection runs them on the session that it has."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from sanic_ms.db.base import Arguments, Row, Session
from sanic_ms.db.builders import BuiltQuery
from sanic_ms.db.sql.statement import Statement

__all__ = ["Call", "FetchValue", "Work", "converted", "execute", "fetch", "fetchrow", "insert"]

Result = TypeVar("Result")
Work = Coroutine[Any, Any, Result]
Call = Callable[[Session, Statement, Arguments, float | None], Work[Result]]
"""A statement on a session, within so many seconds."""


def execute(session: Session, known: Statement, args: Arguments, limit: float | None) -> Work[int]:
    """`Session.execute`."""
    return session.execute(known, args, limit)


def fetch(
    session: Session, known: Statement, args: Arguments, limit: float | None
) -> Work[list[Row]]:
    """`Session.fetch`."""
    return session.fetch(known, args, limit)


def fetchrow(
    session: Session, known: Statement, args: Arguments, limit: float | None
) -> Work[Row | None]:
    """`Session.fetchrow`."""
    return session.fetchrow(known, args, limit)


def insert(session: Session, known: Statement, args: Arguments, limit: float | None) -> Work[Any]:
    """`Session.insert`."""
    return session.insert(known, args, limit)


class FetchValue:
    """`Session.fetchval` of one column, from 0."""

    __slots__ = ("column",)

    def __init__(self, column: int) -> None:
        self.column = column

    def __call__(
        self, session: Session, known: Statement, args: Arguments, limit: float | None
    ) -> Work[Any]:
        return session.fetchval(known, args, self.column, limit)


def converted(query: BuiltQuery, call: Call[Any], result: Any) -> Any:
    """What a call has given for a query, with its values converted."""
    if call is fetch:
        return query.rows(result)
    if call is fetchrow:
        return query.row(result)
    return query.value(result, call.column) if isinstance(call, FetchValue) else result
