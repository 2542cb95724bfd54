"""Values of classes that an application derived from Python's own: as what they are derived from.

msgspec writes ``str``, ``int``, ``datetime`` and the like, and of their subclasses none but
enumerations.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from typing import Any

__all__ = ["UNCHANGED", "base_value"]

UNCHANGED: Any = object()
"""What `base_value` gives for a value that is none of these."""


def base_value(value: Any) -> Any:
    """The value as an instance of the class that its class is derived from.

    It is copied past whatever a subclass overrides: ``__str__`` of a subclass of ``str`` is not
    asked. The classes are ``str``, ``int``, ``float``, ``bytes``, ``bytearray`` (which becomes
    ``bytes``), ``Decimal`` and those of `datetime`.

    Returns:
        The value, `UNCHANGED` where it is of no such class.
    """
    for cls, convert in _CLASSES:
        if isinstance(value, cls):
            return convert(value)
    return UNCHANGED


def _bytes(value: bytes | bytearray) -> bytes:
    return bytes(memoryview(value))


def _date(value: datetime.date) -> datetime.date:
    return datetime.date(value.year, value.month, value.day)


def _time(value: datetime.time | datetime.datetime) -> datetime.time:
    hour, minute, second = value.hour, value.minute, value.second
    return datetime.time(
        hour, minute, second, value.microsecond, tzinfo=value.tzinfo, fold=value.fold
    )


def _datetime(value: datetime.datetime) -> datetime.datetime:
    return datetime.datetime.combine(_date(value), _time(value))


def _timedelta(value: datetime.timedelta) -> datetime.timedelta:
    return datetime.timedelta(value.days, value.seconds, value.microseconds)


_CLASSES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (int, int.__pos__),
    (float, float.__pos__),
    (bytes, _bytes),
    (bytearray, _bytes),
    (decimal.Decimal, decimal.Decimal),
    (datetime.datetime, _datetime),  # before its base class
    (datetime.date, _date),
    (datetime.time, _time),
    (datetime.timedelta, _timedelta),
)
