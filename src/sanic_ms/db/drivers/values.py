"""What the drivers share about values: those whose database has no type for them, and the column of
a row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from sanic_ms.exception import DataError, StatementError

__all__ = ["in_utc", "value_at", "without_type"]


def in_utc(moment: datetime) -> datetime:
    """A moment in UTC; one without a zone is in UTC.

    Raises:
        DataError: in UTC it is in the year 0 or 10000.
    """
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError as exc:
        raise DataError(f"{moment} is out of range in UTC") from exc


def without_type(value: Any, position: int, database: str, also: str = "") -> Any:
    """A value as a database keeps it that has no type for it: UUIDs as text, dicts, lists and
    tuples as JSON, subclasses of str, int and float as what they extend.

    Args:
        position: Of the argument, from 1.
        database: Its name, for the message.
        also: What it takes beside the usual types, for the message: ``"timedelta, "``.

    Raises:
        DataError: it cannot be stored.
    """
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, dict | list | tuple):
        try:
            return msgspec.json.encode(value).decode()
        except (TypeError, ValueError) as exc:
            raise DataError(f"argument ${position} cannot be written as JSON: {exc}") from exc
    for native in (str, int, float):
        if isinstance(value, native):
            return native(value)
    raise DataError(
        f"argument ${position} is a {type(value).__qualname__}, which {database} cannot store (it "
        f"takes numbers, text, bytes, bool, datetime, date, time, {also}UUID, Decimal, dict and "
        "list)"
    )


def value_at(row: Sequence[Any], column: int) -> Any:
    """One value of a row.

    Args:
        column: From 0; a negative one counts from the end.

    Raises:
        StatementError: the row has no such column.
    """
    try:
        return row[column]
    except (IndexError, KeyError, TypeError):
        raise StatementError(
            f"column={column!r}: the row has {len(row)} columns, counted from 0"
        ) from None
