"""Python values in SQLite columns, and back by the type that a column was declared with.

SQLite stores numbers, text and bytes. What else a program has is stored as text that sorts rightly:
dates as ISO 8601 (a moment in UTC, with ``+00:00``), UUIDs in their usual form, `Decimal`
without an exponent, dicts and lists as JSON.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

from sanic_ms.db.base import Arguments
from sanic_ms.db.drivers.values import in_utc, without_type

__all__ = ["adapt", "dates_of", "moment_text", "register_converters"]

_NATIVE = frozenset((int, str, float, bytes, type(None), bool))


def adapt(args: Arguments) -> Arguments:
    """Arguments that sqlite3 can bind.

    Raises:
        DataError: one is of a type that cannot be stored.
    """
    for value in args:
        if type(value) not in _NATIVE:
            return [
                value if type(value) in _NATIVE else _adapt(value, position)
                for position, value in enumerate(args, 1)
            ]
    return args


def _adapt(value: Any, position: int) -> Any:
    if isinstance(value, Enum):
        return adapt((value.value,))[0]
    if isinstance(value, datetime):
        return moment_text(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    return without_type(value, position, "SQLite")


def moment_text(moment: datetime) -> str:
    """A moment as SQLite keeps it: one instant is one text, so that texts compare as instants do.

    Raises:
        DataError: in UTC it is out of range.
    """
    return in_utc(moment).isoformat(" ", "microseconds")


def dates_of(args: Arguments, numbers: frozenset[int]) -> Arguments:
    """Arguments with the dates in UTC of moments that are meant for DATE columns.

    Args:
        numbers: Of those arguments, from 1.
    """
    return [
        in_utc(value).date() if number in numbers and isinstance(value, datetime) else value
        for number, value in enumerate(args, 1)
    ]


def _tolerant(convert: Callable[[str], Any]) -> Callable[[bytes], Any]:
    """A converter that gives the text where it is not of the declared type: SQLite lets anything
    into any column, and one odd value must not make its whole row unreadable."""

    def converter(data: bytes) -> Any:
        text = data.decode("utf-8", "surrogateescape")
        try:
            return convert(text)
        except (ValueError, InvalidOperation, OverflowError, msgspec.DecodeError, RecursionError):
            return text

    return converter


def _instant(text: str) -> datetime:
    # What SQLite itself writes (CURRENT_TIMESTAMP) is UTC and does not say so.
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _date(text: str) -> date:
    # SQLite stores a moment whole. Its date is that in UTC, as on the other databases.
    if len(text) <= len("2024-01-02"):
        return date.fromisoformat(text)
    return _instant(text).date()


def _boolean(text: str) -> Any:
    return {"0": False, "1": True}.get(text, text)


def _json(text: str) -> Any:
    return msgspec.json.decode(text)


_CONVERTERS: dict[str, Callable[[bytes], Any]] = {
    "BOOL": _tolerant(_boolean),
    "BOOLEAN": _tolerant(_boolean),
    "DATE": _tolerant(_date),
    "DATETIME": _tolerant(_instant),
    "DECIMAL": _tolerant(Decimal),
    "JSON": _tolerant(_json),
    "JSONB": _tolerant(_json),
    "NUMERIC": _tolerant(Decimal),
    "TIME": _tolerant(time.fromisoformat),
    "TIMESTAMP": _tolerant(_instant),
    "TIMESTAMPTZ": _tolerant(_instant),
    "UUID": _tolerant(UUID),
}


def register_converters() -> None:
    """Teach sqlite3 the declared types above.

    The module keeps one table for the process; it is asked by connections opened with
    ``detect_types`` alone, as ours are. Called by the first driver, never at import.
    """
    for name, converter in _CONVERTERS.items():
        sqlite3.register_converter(name, converter)
