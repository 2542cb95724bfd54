"""The methods of a session as functions: a connection runs them on the session that it has."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from sanic_ms.db.base import Arguments, Row, Session
from sanic_ms.db.sql.statement import Statement

__all__ = ["Call", "Work", "execute", "fetch", "fetchrow", "insert"]

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
