"""Python values as MySQL's, and back by the types of the columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

import msgspec

from sanic_ms.db.base import Arguments
from sanic_ms.db.drivers.values import in_utc, without_type
from sanic_ms.exception import DataError

__all__ = [
    "Decoder",
    "adapt",
    "binary_specs",
    "decode_json",
    "decoder_for",
    "is_fraction",
    "may_be_json",
    "table_of",
]

Decoder = Callable[[Any], Any]

# Types of columns, by their number in the protocol.
_TINY: Final = 1
_TIMESTAMP: Final = 7
_DATETIME: Final = 12
_JSON: Final = 245
_DECIMALS: Final = frozenset((0, 246))
_LONG_TEXT: Final = 252
_STRING: Final = 254
_TEXTS: Final = frozenset((15, 16, 249, 250, 251, 252, 253, 254, 255))

_BINARY_CHARSET: Final = 63
_FLAG_UNSIGNED: Final = 32
_FLAG_BINARY: Final = 128

_NATIVE = frozenset((int, str, bytes, type(None), bool, date, time, timedelta))


def adapt(args: Arguments) -> tuple[Any, ...]:
    """Arguments that asyncmy can bind.

    Raises:
        DataError: one is of a type that cannot be stored, or a number that is not finite: MySQL has
            none of these and would store 0.
    """
    for value in args:
        if type(value) not in _NATIVE:
            return tuple(
                value if type(value) in _NATIVE else _adapt(value, position)
                for position, value in enumerate(args, 1)
            )
    return tuple(args)


def _adapt(value: Any, position: int) -> Any:
    if isinstance(value, float | Decimal):
        if not math.isfinite(value):
            error = DataError(f"argument ${position} is {value}, which MySQL cannot store")
            error.argument = position
            raise error
        return float(value) if isinstance(value, float) else value
    if isinstance(value, Enum):
        return adapt((value.value,))[0]
    if isinstance(value, datetime):
        # The session's time zone is UTC, and neither DATETIME nor TIMESTAMP holds one.
        return in_utc(value).replace(tzinfo=None)
    return without_type(value, position, "MySQL", also="timedelta, ")


def is_fraction(value: Any) -> bool:
    """Whether it is a number with a fraction, which MySQL would round for an integer column."""
    if isinstance(value, Decimal):
        return value != value.to_integral_value()
    return isinstance(value, float) and not value.is_integer()


def decoder_for(field: Any) -> Decoder | None:
    """What turns a column's value into Python's own; None where asyncmy has done so."""
    kind = field.type_code
    if kind == _TINY and field.length == 1:
        return _boolean
    if kind in (_TIMESTAMP, _DATETIME):
        return _in_utc
    if kind == _JSON:
        return decode_json
    # MariaDB's UUID: a string that says that it is unsigned, of 36 characters of 1, 3 or 4 bytes.
    if kind == _STRING and field.flags & _FLAG_UNSIGNED and field.length in (36, 108, 144):
        return _uuid
    return None


def may_be_json(field: Any) -> bool:
    """Whether a column may be MariaDB's JSON, which is a LONGTEXT to the protocol."""
    return bool(
        field.type_code == _LONG_TEXT
        and field.charsetnr != _BINARY_CHARSET
        and field.length == 0xFFFFFFFF
        and field.flags & _FLAG_BINARY
        and field.org_table
    )


def decode_json(value: Any) -> Any:
    """A JSON column's value.

    Raises:
        DataError: it holds what Python cannot, such as ``1e400``.
    """
    try:
        return None if value is None else msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise DataError(f"the JSON of a row cannot be read in Python: {exc}") from exc


def _boolean(value: Any) -> Any:
    # BOOLEAN is TINYINT(1). A number that is none of the two is left as it is.
    return bool(value) if value in (0, 1) else value


def _in_utc(value: Any) -> Any:
    # The session's time zone is UTC; DATETIME holds no zone, and what we write to it is UTC.
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def _uuid(value: Any) -> Any:
    try:
        return None if value is None else UUID(value)
    except ValueError:
        return value


def table_of(field: Any) -> tuple[str, str]:
    """The database and the table that a column comes from."""
    # The packet begins with the catalog and the database, each behind its length in one byte (names
    # have at most 64 characters); asyncmy keeps the latter to itself.
    data: bytes = field.get_all_data()
    start = 1 + data[0]
    return data[start + 1 : start + 1 + data[start]].decode(), field.org_table


def binary_specs(fields: Sequence[Any]) -> tuple[tuple[Any, ...], ...]:
    """How asyncmy's ``read_binary_row`` is told to read each column: its type, whether it is
    unsigned, how its text is encoded, and a converter."""
    specs = []
    for field in fields:
        kind = field.type_code
        converter = None
        if kind in _TEXTS and field.charsetnr == _BINARY_CHARSET:
            code, encoding = 0, None
        elif kind in _TEXTS or kind == _JSON:
            code, encoding = 1, "utf8"
        else:
            code, encoding = 2, "ascii"
            if kind in _DECIMALS:
                converter = Decimal
        specs.append((kind, bool(field.flags & _FLAG_UNSIGNED), code, encoding, converter))
    return tuple(specs)
