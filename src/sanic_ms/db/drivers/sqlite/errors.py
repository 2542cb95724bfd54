"""SQLite's result codes, as errors of the framework."""

from __future__ import annotations

import sqlite3

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

__all__ = ["CODES", "EXTENDED_CODES", "translate"]

CODES: dict[int, type[DatabaseError]] = {
    sqlite3.SQLITE_ERROR: StatementError,
    sqlite3.SQLITE_INTERNAL: DatabaseError,
    sqlite3.SQLITE_PERM: DatabaseUnavailable,
    sqlite3.SQLITE_ABORT: DatabaseError,
    sqlite3.SQLITE_BUSY: TransactionConflict,
    sqlite3.SQLITE_LOCKED: TransactionConflict,
    sqlite3.SQLITE_NOMEM: DatabaseError,
    sqlite3.SQLITE_READONLY: ReadOnlyViolation,
    sqlite3.SQLITE_INTERRUPT: QueryTimeout,
    sqlite3.SQLITE_IOERR: DatabaseUnavailable,
    sqlite3.SQLITE_CORRUPT: DatabaseUnavailable,
    sqlite3.SQLITE_NOTFOUND: DatabaseError,
    sqlite3.SQLITE_FULL: StorageFull,
    sqlite3.SQLITE_CANTOPEN: DatabaseUnavailable,
    sqlite3.SQLITE_PROTOCOL: TransactionConflict,
    sqlite3.SQLITE_EMPTY: DatabaseError,
    sqlite3.SQLITE_SCHEMA: TransactionConflict,
    sqlite3.SQLITE_TOOBIG: DataError,
    sqlite3.SQLITE_CONSTRAINT: IntegrityError,
    sqlite3.SQLITE_MISMATCH: DataError,
    sqlite3.SQLITE_MISUSE: DatabaseError,
    sqlite3.SQLITE_NOLFS: StorageFull,
    sqlite3.SQLITE_AUTH: DatabaseError,
    sqlite3.SQLITE_FORMAT: DatabaseUnavailable,
    sqlite3.SQLITE_RANGE: StatementError,
    sqlite3.SQLITE_NOTADB: DatabaseUnavailable,
    sqlite3.SQLITE_NOTICE: DatabaseError,
    sqlite3.SQLITE_WARNING: DatabaseError,
}
"""Primary result codes: the lower eight bits."""

EXTENDED_CODES: dict[int, type[DatabaseError]] = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: UniqueViolation,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: UniqueViolation,
    sqlite3.SQLITE_CONSTRAINT_ROWID: UniqueViolation,
    sqlite3.SQLITE_CONSTRAINT_NOTNULL: NotNullViolation,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: ForeignKeyViolation,
    sqlite3.SQLITE_CONSTRAINT_CHECK: CheckViolation,
    3091: DataError,  # SQLITE_CONSTRAINT_DATATYPE: a value in a STRICT table
    sqlite3.SQLITE_IOERR_NOMEM: DatabaseError,
}
"""Extended codes that mean something other than their primary code does."""

# Messages of SQLITE_ERROR that are about a value rather than about the statement.
_VALUE_MESSAGES = ("integer overflow", "malformed JSON", "string or blob too big")


def translate(exc: BaseException) -> DatabaseError | None:
    """The framework's error for one that sqlite3 raised; None where it is not one of these."""
    text = str(exc)
    code = getattr(exc, "sqlite_errorcode", None)
    if isinstance(code, int):
        kind = EXTENDED_CODES.get(code) or CODES.get(code & 0xFF, DatabaseError)
        if kind is StatementError and text.startswith(_VALUE_MESSAGES):
            kind = DataError
        name = getattr(exc, "sqlite_errorname", None)
        failed = _constraint(text)
        if kind is NotNullViolation:
            return kind(f"{text} ({name})", column=failed)
        return kind(f"{text} ({name})", constraint=failed)
    if isinstance(exc, OverflowError | UnicodeError):
        error = DataError(text)
        error.bits = 64 if "SQLite INTEGER" in text else None
        return error
    if isinstance(exc, sqlite3.DataError):
        return DataError(text)
    if isinstance(exc, sqlite3.InterfaceError | sqlite3.Warning):
        return StatementError(text)
    if isinstance(exc, sqlite3.ProgrammingError):
        if "closed database" in text:
            return DatabaseUnavailable(text)
        # Among them: two statements in one text, and a type that cannot be bound.
        return StatementError(text)
    if isinstance(exc, sqlite3.Error):
        return DatabaseError(text)
    return None


def _constraint(text: str) -> str | None:
    """The columns or the name behind ``UNIQUE constraint failed: users.email``."""
    head, found, tail = text.partition(" constraint failed: ")
    return tail if found and head else None
