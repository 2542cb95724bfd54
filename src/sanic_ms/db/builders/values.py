"""Values of a row as Python's own, where a driver cannot tell the type of a column.

Each function takes what a driver may give and gives what it cannot read back unchanged: one odd
value must not make its whole row unreadable.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

import msgspec

from sanic_ms.exception import DataError

__all__ = [
    "json_text",
    "to_bool",
    "to_date",
    "to_datetime",
    "to_decimal",
    "to_json",
    "to_time",
    "to_uuid",
]

_DAY: Final = timedelta(days=1)


def to_bool(value: Any) -> Any:
    """0 and 1 as a boolean."""
    return bool(value) if value in (0, 1) else value


def to_uuid(value: Any) -> Any:
    """Text or 16 bytes as a UUID."""
    try:
        if isinstance(value, str):
            return UUID(value)
        return UUID(bytes=value) if isinstance(value, bytes) else value
    except ValueError:
        return value


def to_datetime(value: Any) -> Any:
    """Text as a moment; one without a zone is in UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(value, datetime):
        try:
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        except OverflowError:
            return value
    return value


def to_date(value: Any) -> Any:
    """Text or a moment as a date; that of a moment is in UTC."""
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            value = to_datetime(value)
    return to_datetime(value).date() if isinstance(value, datetime) else value


def to_time(value: Any) -> Any:
    """Text, or the time since midnight, as a time of day."""
    if isinstance(value, timedelta) and timedelta() <= value < _DAY:
        return (datetime.min + value).time()
    if isinstance(value, str):
        try:
            return time.fromisoformat(value)
        except ValueError:
            return value
    return value


def to_decimal(value: Any) -> Any:
    """A number or its text as a decimal."""
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return Decimal(str(value))
        except InvalidOperation:
            return value
    return value


def to_json(value: Any) -> Any:
    """JSON text as what it says.

    Raises:
        DataError: it holds what Python cannot, such as ``1e400``.
    """
    if not isinstance(value, str | bytes):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError) as exc:
        if "range" in str(exc):
            raise DataError(f"the JSON of a row cannot be read in Python: {exc}") from exc
        return value


def json_text(value: Any) -> str:
    """A value as JSON, as the drivers write it."""
    return msgspec.json.encode(value).decode()
