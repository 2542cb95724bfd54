"""MySQL's and MariaDB's error numbers, as errors of the framework.

There are thousands of numbers. Those listed mean something of their own; any other is judged by the
SQLSTATE that the server sends with it, whose classes are those of the standard.
"""

from __future__ import annotations

import asyncio
import re

from asyncmy import errors as my

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

__all__ = ["NUMBERS", "SQLSTATE_CLASSES", "translate"]

NUMBERS: dict[int, type[DatabaseError]] = {
    1021: StorageFull,  # disk full
    1022: UniqueViolation,  # duplicate key on write
    1037: DatabaseUnavailable,  # out of memory
    1038: DatabaseUnavailable,  # out of sort memory
    1040: DatabaseUnavailable,  # too many connections
    1041: DatabaseUnavailable,  # out of resources
    1042: DatabaseUnavailable,  # cannot get the host's name
    1043: DatabaseUnavailable,  # bad handshake
    1044: DatabaseUnavailable,  # access to the database denied
    1045: DatabaseUnavailable,  # access denied
    1048: NotNullViolation,
    1049: DatabaseUnavailable,  # unknown database
    1053: DatabaseUnavailable,  # the server shuts down
    1062: UniqueViolation,
    1080: DatabaseUnavailable,  # forced close
    1094: DatabaseError,  # unknown thread
    1114: StorageFull,  # the table is full
    1129: DatabaseUnavailable,  # the host is blocked
    1130: DatabaseUnavailable,  # the host may not connect
    1136: StatementError,  # column count
    1142: DatabaseError,  # command denied
    1143: DatabaseError,  # column access denied
    1152: DatabaseUnavailable,
    1153: DataError,  # larger than max_allowed_packet
    1154: DatabaseUnavailable,
    1155: DatabaseUnavailable,
    1156: DatabaseUnavailable,
    1157: DatabaseUnavailable,
    1158: DatabaseUnavailable,
    1159: DatabaseUnavailable,
    1160: DatabaseUnavailable,
    1161: DatabaseUnavailable,
    1169: UniqueViolation,
    1184: DatabaseUnavailable,
    1189: DatabaseUnavailable,
    1203: DatabaseUnavailable,  # the user has too many connections
    1205: TransactionConflict,  # lock wait timeout
    1206: TransactionConflict,  # the lock table is full
    1207: ReadOnlyViolation,
    1213: TransactionConflict,  # deadlock
    1216: ForeignKeyViolation,
    1217: ForeignKeyViolation,
    1226: DatabaseUnavailable,  # the user's resource limit
    1264: DataError,  # out of range
    1265: DataError,  # data truncated
    1290: ReadOnlyViolation,  # --read-only
    1292: DataError,  # wrong date, number …
    1317: QueryTimeout,  # query interrupted
    1364: NotNullViolation,  # a column without a default got no value
    1365: DataError,  # division by zero
    1366: DataError,  # wrong value, or text, for the column
    1367: DataError,
    1390: StatementError,  # too many placeholders
    1406: DataError,  # too long
    1411: DataError,
    1415: StatementError,
    1416: DataError,  # not a geometry
    1426: StatementError,  # precision
    1451: ForeignKeyViolation,
    1452: ForeignKeyViolation,
    1557: ForeignKeyViolation,
    1586: UniqueViolation,
    1614: TransactionConflict,  # XA deadlock
    1690: DataError,  # out of range in an expression
    1742: DataError,
    1761: ForeignKeyViolation,
    1762: ForeignKeyViolation,
    1785: StatementError,
    1792: ReadOnlyViolation,  # a read-only transaction
    1826: StatementError,
    1836: ReadOnlyViolation,
    1848: TransactionConflict,
    1859: UniqueViolation,
    1873: DataError,
    1878: StorageFull,  # temporary file
    1927: DatabaseUnavailable,  # connection killed (MariaDB)
    1969: QueryTimeout,  # max_statement_time (MariaDB)
    3024: QueryTimeout,  # max_execution_time
    3140: DataError,  # invalid JSON
    3141: DataError,
    3149: DataError,
    3572: TransactionConflict,  # NOWAIT
    3675: StorageFull,
    3730: ForeignKeyViolation,
    3819: CheckViolation,
    4025: CheckViolation,  # MariaDB
    4031: DatabaseUnavailable,  # disconnected for inactivity
}
"""Numbers that mean something of their own."""

SQLSTATE_CLASSES: dict[str, type[DatabaseError]] = {
    "01": DatabaseError,
    "02": DatabaseError,
    "07": StatementError,
    "08": DatabaseUnavailable,
    "0A": StatementError,
    "0K": StatementError,
    "0Z": StatementError,
    "20": StatementError,
    "21": StatementError,
    "22": DataError,
    "23": IntegrityError,
    "24": StatementError,
    "25": StatementError,
    "26": StatementError,
    "28": DatabaseUnavailable,
    "2F": StatementError,
    "35": StatementError,
    "3D": StatementError,
    "40": TransactionConflict,
    "42": StatementError,
    "44": CheckViolation,
    "45": DatabaseError,  # SIGNAL of the application's own
    "70": QueryTimeout,
    "HY": DatabaseError,
    "XA": DatabaseError,
}
"""The first two characters of a SQLSTATE: its class."""

_OUT_OF_RANGE = 1264
# Values stand in these texts as well, so the last one is the name: "Data truncated for column 'a'
# at row 1", "Field 'a' doesn't have a default value", "for column `db`.`t`.`a` at row 1".
_COLUMN = re.compile(r"\b(?:column|field) (?:`[^`]*`\.){0,2}[`']([^'`]+)[`']", re.IGNORECASE)
# "Duplicate entry 'x' for key 'k'"; "CONSTRAINT `c` FOREIGN KEY"; "CONSTRAINT `c` failed for …";
# "Check constraint 'c' is violated."
_CONSTRAINT = re.compile(r"\b(?:for key|constraint) [`']([^'`]+)[`']", re.IGNORECASE)


def translate(exc: BaseException) -> DatabaseError | None:
    """The framework's error for one that asyncmy raised; None where it is not one of these."""
    if isinstance(exc, my.MySQLError):
        return _from_number(exc)
    if isinstance(exc, asyncio.TimeoutError):
        return QueryTimeout("the statement took longer than its timeout and was cancelled")
    if isinstance(exc, OSError | EOFError):
        return DatabaseUnavailable(f"{type(exc).__name__}: {exc}")
    if isinstance(exc, ValueError | OverflowError):
        error = DataError(str(exc))
        error.bits = 64 if "64-bit range" in error.detail else None
        return error
    return None


def _from_number(exc: BaseException) -> DatabaseError:
    number = exc.args[0] if exc.args and isinstance(exc.args[0], int) else -1
    text = str(exc.args[1]) if len(exc.args) > 1 else str(exc)
    state: str | None = getattr(exc, "sqlstate", None)
    kind = NUMBERS.get(number)
    if kind is None and (2000 <= number < 3000 or isinstance(exc, my.InterfaceError)):
        kind = DatabaseUnavailable  # the client library's own: the connection cannot be used
    if kind is None and state:
        kind = SQLSTATE_CLASSES.get(state[:2])
    if kind is None:
        kind = _by_class(exc)
    column = constraint = None
    if issubclass(kind, NotNullViolation | DataError):
        column = _last(_COLUMN, text)
    elif issubclass(kind, IntegrityError):
        constraint = _last(_CONSTRAINT, text)
    error = kind(
        f"{text} ({number})" if number > 0 else text,
        sqlstate=state,
        column=column,
        constraint=constraint,
    )
    if isinstance(error, DataError) and number == _OUT_OF_RANGE:
        # The type of the column is not said. An INT is the smallest one that keys usually have.
        error.bits = 32
    return error


def _last(pattern: re.Pattern[str], text: str) -> str | None:
    names = pattern.findall(text)
    return names[-1] if names else None


def _by_class(exc: BaseException) -> type[DatabaseError]:
    if isinstance(exc, my.DataError):
        return DataError
    if isinstance(exc, my.IntegrityError):
        return IntegrityError
    if isinstance(exc, my.ProgrammingError | my.NotSupportedError):
        return StatementError
    if isinstance(exc, my.InternalError):
        return DatabaseUnavailable  # packets out of order and the like
    return DatabaseError
