"""Every error of every driver has its place in the framework's tree."""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
from typing import Any

import asyncpg
import pytest
from asyncmy import errors as my
from asyncmy.constants import CR, ER
from asyncpg import exceptions as pg

from sanic_ms.db import ConnectionPool
from sanic_ms.db.drivers.mysql import errors as mysql_errors
from sanic_ms.db.drivers.postgres import errors as postgres_errors
from sanic_ms.db.drivers.sqlite import errors as sqlite_errors
from sanic_ms.exception import (
    DatabaseError,
    DatabaseUnavailable,
    DataError,
    QueryTimeout,
    StatementError,
    StorageFull,
    TransactionConflict,
    UniqueViolation,
)


def subclasses(root: Any) -> set[Any]:
    """A class and all that stand under it."""
    found: set[Any] = {root}
    for cls in root.__subclasses__():
        found |= subclasses(cls)
    return found


def test_every_sqlstate_of_asyncpg_is_mapped() -> None:
    """Each of its server errors by its code or by the code's class: none by the fall-back."""
    states = {
        cls.sqlstate for cls in subclasses(asyncpg.PostgresError) if getattr(cls, "sqlstate", None)
    }
    assert len(states) > 200
    unmapped = {
        state
        for state in states
        if state not in postgres_errors.SQLSTATES
        and state[:2] not in postgres_errors.SQLSTATE_CLASSES
    }
    assert unmapped == set()


def test_every_exception_of_asyncpg_is_translated() -> None:
    """Also those that the client raises by itself, and those of the network."""
    exceptions = {
        cls
        for _, cls in inspect.getmembers(pg, inspect.isclass)
        if issubclass(cls, Exception) and not issubclass(cls, Warning)
    }
    assert len(exceptions) > 200
    for cls in exceptions:
        error = postgres_errors.translate(cls("text"))
        assert isinstance(error, DatabaseError), cls
        assert "text" in error.detail
    for exc in (ConnectionResetError("x"), TimeoutError(), EOFError(), OSError(111, "refused")):
        assert isinstance(postgres_errors.translate(exc), DatabaseError)
    for passing in (ValueError("mine"), asyncio.CancelledError(), KeyboardInterrupt()):
        assert postgres_errors.translate(passing) is None


def test_every_code_of_sqlite_is_mapped() -> None:
    """Each primary result code that sqlite3 knows, but those that are no errors."""
    # The names of the module are those of result codes, and of options in families of their own.
    families = (
        "SQLITE_DBCONFIG", "SQLITE_LIMIT", "SQLITE_CREATE", "SQLITE_DROP", "SQLITE_ALTER",
    )  # fmt: skip
    actions = {
        "SQLITE_ANALYZE", "SQLITE_ATTACH", "SQLITE_DELETE", "SQLITE_DENY", "SQLITE_DETACH",
        "SQLITE_FUNCTION", "SQLITE_IGNORE", "SQLITE_INSERT", "SQLITE_PRAGMA", "SQLITE_READ",
        "SQLITE_RECURSIVE", "SQLITE_REINDEX", "SQLITE_SAVEPOINT", "SQLITE_SELECT",
        "SQLITE_TRANSACTION", "SQLITE_UPDATE",
        "SQLITE_OK", "SQLITE_ROW", "SQLITE_DONE",
    }  # fmt: skip
    codes = {
        value & 0xFF
        for name, value in vars(sqlite3).items()
        if name.startswith("SQLITE_")
        and isinstance(value, int)
        and not name.startswith(families)
        and name not in actions
        and not name.startswith("SQLITE_OK_")
    }
    assert len(codes) >= 27
    assert codes - set(sqlite_errors.CODES) == set()


def test_every_exception_of_sqlite3_is_translated() -> None:
    """With and without a code."""
    for cls in subclasses(sqlite3.Error) | {sqlite3.Warning}:
        assert isinstance(sqlite_errors.translate(cls("text")), DatabaseError), cls
    for exc, kind in (
        (OverflowError("x"), DataError),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"), DataError),
        (sqlite3.ProgrammingError("Cannot operate on a closed database."), DatabaseUnavailable),
    ):
        assert type(sqlite_errors.translate(exc)) is kind
    assert sqlite_errors.translate(KeyError("mine")) is None


def numbers(module: Any) -> dict[str, int]:
    """The error numbers that a module of constants names."""
    return {
        name: value
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, int)
    }


def test_every_number_of_mysql_is_translated() -> None:
    """Whatever number and SQLSTATE the server sends, and whatever the client raises by itself."""
    known = numbers(ER)
    assert len(known) > 400
    for number in known.values():
        for state in (None, "HY000", *(f"{prefix}000" for prefix in mysql_errors.SQLSTATE_CLASSES)):
            exc = my.OperationalError(number, "text")
            exc.sqlstate = state
            error = mysql_errors.translate(exc)
            assert isinstance(error, DatabaseError)
            assert error.detail.startswith("text")
    for number in numbers(CR).values():
        error = mysql_errors.translate(my.OperationalError(number, "text"))
        assert isinstance(error, DatabaseUnavailable)
    for cls in subclasses(my.MySQLError):
        for args in ((), ("text",), (1, "text"), (0, "Not connected")):
            assert isinstance(mysql_errors.translate(cls(*args)), DatabaseError), cls
    for passing in (KeyError("mine"), asyncio.CancelledError()):
        assert mysql_errors.translate(passing) is None


async def test_every_sqlstate_class_that_the_server_sends_is_mapped(mysql_url: str) -> None:
    """The server is asked to raise each of its numbers, and the class of the SQLSTATE that comes
    back is in the table."""
    pool = ConnectionPool(mysql_url)
    await pool.start()
    try:
        raised = set()
        for number in numbers(ER).values():
            try:
                await pool.execute(f"SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {number}")
            except DatabaseError as exc:
                raised.add((exc.sqlstate or "")[:2])
        assert raised - set(mysql_errors.SQLSTATE_CLASSES) == set()
    finally:
        await pool.stop()


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (1062, UniqueViolation),
        (1213, TransactionConflict),
        (1205, TransactionConflict),
        (1114, StorageFull),
        (1040, DatabaseUnavailable),
        (2013, DatabaseUnavailable),
        (1064, StatementError),
        (1146, StatementError),
        (1406, DataError),
        (1969, QueryTimeout),
    ],
)
def test_numbers_that_matter(number: int, kind: type[DatabaseError]) -> None:
    """Those on which a service acts."""
    exc = my.ProgrammingError(number, "text")
    exc.sqlstate = "42000" if number in (1064, 1146) else "HY000"
    assert type(mysql_errors.translate(exc)) is kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (pg.UniqueViolationError, UniqueViolation),
        (pg.DeadlockDetectedError, TransactionConflict),
        (pg.SerializationError, TransactionConflict),
        (pg.DiskFullError, StorageFull),
        (pg.TooManyConnectionsError, DatabaseUnavailable),
        (pg.AdminShutdownError, DatabaseUnavailable),
        (pg.CannotConnectNowError, DatabaseUnavailable),
        (pg.InvalidPasswordError, DatabaseUnavailable),
        (pg.QueryCanceledError, QueryTimeout),
        (pg.UndefinedTableError, StatementError),
        (pg.StringDataRightTruncationError, DataError),
        (pg.LockNotAvailableError, TransactionConflict),
        (pg.InvalidCachedStatementError, TransactionConflict),
        (pg.DataError, DataError),
    ],
)
def test_states_that_matter(error: type[Exception], kind: type[DatabaseError]) -> None:
    """Those on which a service acts."""
    assert type(postgres_errors.translate(error("text"))) is kind
