"""PostgreSQL's SQLSTATEs and asyncpg's own errors, as errors of the framework."""

from __future__ import annotations

import asyncio
import re

import asyncpg
from asyncpg import exceptions as pg

from sanic_ms.db.drivers.postgres.connection import is_of_application
from sanic_ms.exception import (
    CheckViolation,
    DatabaseError,
    DatabaseUnavailable,
    DataError,
    ForeignKeyViolation,
    IntegrityError,
    NotNullViolation,
    QueryTimeout,
    ReadOnlyViolation,
    StatementError,
    StorageFull,
    TransactionConflict,
    UniqueViolation,
)

__all__ = ["SQLSTATES", "SQLSTATE_CLASSES", "is_farewell", "is_unsent", "translate", "undecoded"]

SQLSTATES: dict[str, type[DatabaseError]] = {
    "23001": ForeignKeyViolation,
    "23502": NotNullViolation,
    "23503": ForeignKeyViolation,
    "23505": UniqueViolation,
    "23514": CheckViolation,
    "25006": ReadOnlyViolation,
    "25P03": DatabaseUnavailable,  # idle in a transaction for too long: the server hung up
    "25P04": QueryTimeout,
    "40002": IntegrityError,
    "40003": DatabaseError,  # whether the statement was completed is unknown
    "42501": DatabaseError,  # no permission
    "53100": StorageFull,
    "54000": DatabaseError,
    "55006": TransactionConflict,  # object in use
    "55P03": TransactionConflict,  # lock not available
    "57014": QueryTimeout,
}
"""SQLSTATEs that mean something other than their class does."""

SQLSTATE_CLASSES: dict[str, type[DatabaseError]] = {
    "00": DatabaseError,
    "01": DatabaseError,
    "02": DatabaseError,
    "03": StatementError,
    "08": DatabaseUnavailable,
    "09": DatabaseError,
    "0A": StatementError,
    "0B": StatementError,
    "0F": DatabaseError,
    "0L": DatabaseError,
    "0P": StatementError,
    "0Z": DatabaseError,
    "10": StatementError,
    "20": StatementError,
    "21": StatementError,
    "22": DataError,
    "23": IntegrityError,
    "24": StatementError,
    "25": StatementError,
    "26": StatementError,
    "27": DatabaseError,
    "28": DatabaseUnavailable,
    "2B": DatabaseError,
    "2D": StatementError,
    "2F": DatabaseError,
    "34": StatementError,
    "38": DatabaseError,
    "39": DatabaseError,
    "3B": StatementError,
    "3D": DatabaseUnavailable,
    "3F": StatementError,
    "40": TransactionConflict,
    "42": StatementError,
    "44": CheckViolation,
    "53": DatabaseUnavailable,
    "54": StatementError,
    "55": DatabaseError,
    "57": DatabaseUnavailable,
    "58": DatabaseError,
    "72": TransactionConflict,  # snapshot too old
    "F0": DatabaseUnavailable,
    "HV": DatabaseError,
    "P0": DatabaseError,
    "XX": DatabaseError,
}
"""The first two characters of a SQLSTATE: its class."""

# How asyncpg says that it cannot encode an argument: "invalid input for query argument $1: …".
_ARGUMENT = re.compile(r"invalid input for query argument \$(\d+)")
_BITS = re.compile(r"\(value out of int(16|32|64) range\)$")
# The server's words for an integer of the statement's own type that the column cannot hold.
_SERVER_BITS = {"smallint out of range": 16, "integer out of range": 32}


def translate(exc: BaseException) -> DatabaseError | None:
    """The framework's error for one that asyncpg raised; None where it is not one of these."""
    if isinstance(exc, pg.InvalidCachedStatementError):
        # A table changed under a prepared statement, inside of a transaction. The statement has
        # been forgotten: the transaction works when it is repeated.
        return TransactionConflict(str(exc), sqlstate=exc.sqlstate)
    if isinstance(exc, asyncpg.PostgresError):
        return _from_sqlstate(exc)
    if isinstance(exc, pg.OutdatedSchemaCacheError):
        return TransactionConflict(str(exc))
    if isinstance(exc, pg.UnsupportedClientFeatureError | pg.UnsupportedServerFeatureError):
        return StatementError(str(exc))
    if isinstance(exc, pg.InternalClientError) and not is_unsent(exc):
        return DatabaseUnavailable(f"the connection was closed, its answer not understood: {exc}")
    if isinstance(exc, pg.InterfaceError | pg.InternalClientError):
        return DatabaseUnavailable(str(exc))
    if isinstance(exc, asyncio.TimeoutError):
        return QueryTimeout("the statement took longer than its timeout and was cancelled")
    if isinstance(exc, OSError | EOFError):
        return DatabaseUnavailable(f"{type(exc).__name__}: {exc}")
    return None


def undecoded(exc: BaseException) -> DataError | None:
    """The error for what asyncpg's own decoders raise: Python has no 24:00, and no interval of a
    hundred million years. None for anything else, and for decoders of the application."""
    if isinstance(exc, ValueError | OverflowError) and not is_of_application(exc):
        return DataError(f"a value in a row cannot be read in Python: {exc}")
    return None


def is_unsent(exc: BaseException) -> bool:
    """Whether asyncpg refused to send a statement, and so says that the connection is lost.

    It does so by an `InternalClientError` as well, as long as it has heard that the server ends the
    connection and not yet that the socket is closed. Those that come with an answer are others.
    """
    if isinstance(exc, pg.InternalClientError):
        text = str(exc)
        return text.startswith("cannot switch to state ") or text == "not connected"
    return isinstance(exc, pg.InterfaceError)


def is_farewell(data: bytes) -> bool:
    """Whether what has come begins with the last words of a server: an ErrorResponse that says that
    it closes the connection. Its severity is told in the server's language, and then as it is."""
    if data[:1] != b"E" or len(data) < 5:
        return False
    message = data[: 1 + int.from_bytes(data[1:5], "big")]
    return (
        b"\0VFATAL\0" in message or b"\0VPANIC\0" in message or message.startswith(b"SFATAL\0", 5)
    )


def _from_sqlstate(exc: asyncpg.PostgresError) -> DatabaseError:
    state: str = exc.sqlstate or ""
    kind = SQLSTATES.get(state) or SQLSTATE_CLASSES.get(state[:2], DatabaseError)
    text = str(exc.args[0]) if exc.args else str(exc)
    detail = getattr(exc, "detail", None)
    if detail:
        text = f"{text} ({detail})"
    error = kind(
        text,
        sqlstate=state,
        constraint=getattr(exc, "constraint_name", None),
        column=getattr(exc, "column_name", None),
    )
    if isinstance(error, DataError):
        _note_argument(error)
    return error


def _note_argument(error: DataError) -> None:
    """Note which argument does not fit, and into how many bits, where the text says so."""
    text = error.detail
    error.bits = _SERVER_BITS.get(text)
    if (argument := _ARGUMENT.match(text)) is not None:
        error.argument = int(argument[1])
        if (bits := _BITS.search(text)) is not None:
            error.bits = int(bits[1])
