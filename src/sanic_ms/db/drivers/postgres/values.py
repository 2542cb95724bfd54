"""PostgreSQL's values in Python, where asyncpg's own choice is not ours.

- JSON is data and not text.
- A moment without a zone is UTC, in both directions, and so is the date of a moment.
- ``infinity`` is the largest moment or date that Python has, and back.
- A value that Python cannot hold (a date before Christ, the year 12000, JSON's ``1e400``) is a
  `DataError`.
- A number with a fraction is no integer: asyncpg would cut it off.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from sanic_ms.exception import DataError

__all__ = ["INTEGER_TYPES", "WHOLE", "check_integer", "check_integers", "set_codecs"]


async def set_codecs(raw: Any) -> None:
    """Have a connection of asyncpg write and read such values."""
    # By asyncpg's own method: these decoders raise nothing that a connection would.
    set_type_codec = partial(asyncpg.Connection.set_type_codec, raw, schema="pg_catalog")
    await set_type_codec("json", format="binary", encoder=msgspec.json.encode, decoder=_decode_json)
    await set_type_codec("jsonb", format="binary", encoder=_encode_jsonb, decoder=_decode_jsonb)
    for name in ("timestamp", "timestamptz"):
        await set_type_codec(
            name, format="tuple", encoder=_encode_timestamp, decoder=_decode_timestamp
        )
    await set_type_codec("date", format="tuple", encoder=_encode_date, decoder=_decode_date)


# --- JSON ----------------------------------------------------------------------------------------


def _decode_json(data: Any) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise DataError(f"the JSON of a row cannot be read in Python: {exc}") from exc


def _encode_jsonb(value: Any) -> bytes:
    return b"\x01" + msgspec.json.encode(value)


def _decode_jsonb(data: bytes) -> Any:
    return _decode_json(memoryview(data)[1:])


# --- moments and dates ---------------------------------------------------------------------------

# On the wire: microseconds, or days, from the beginning of 2000; the largest and the smallest
# number mean infinity.
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_FIRST_DAY: Final = _EPOCH.date()
_LAST, _FIRST = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)
_RANGE: Final = range((_FIRST - _EPOCH) // _TICK, (_LAST - _EPOCH) // _TICK + 1)
_MOMENTS: Final = {2**63 - 1: _LAST, -(2**63): _FIRST}
_DATES: Final = {2**31 - 1: date.max, -(2**31): date.min}
_INFINITE_MOMENTS: Final = {moment: number for number, moment in _MOMENTS.items()}
_INFINITE_DATES: Final = {day: number for number, day in _DATES.items()}
_YEARS: Final = "Python has the years 1 to 9999"


def _encode_timestamp(value: date) -> tuple[int]:
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value
    number = _INFINITE_MOMENTS.get(moment)
    if number is None:
        number = (moment - _EPOCH) // _TICK
        if number not in _RANGE:
            raise OverflowError(f"in UTC it is out of range: {_YEARS}")
    return (number,)


def _decode_timestamp(data: tuple[int]) -> datetime:
    """A `timestamp` says no zone; like the other databases' it is UTC, and says so here."""
    number = data[0]
    try:
        return _EPOCH + timedelta(microseconds=number)
    except OverflowError:
        if number in _MOMENTS:
            return _MOMENTS[number]
        raise DataError(f"a moment in a row is out of range: {_YEARS}") from None


def _encode_date(value: date) -> tuple[int]:
    if isinstance(value, datetime):
        # The other databases are told a moment, which is in UTC there.
        value = (value if value.tzinfo is None else value.astimezone(UTC)).date()
    number = _INFINITE_DATES.get(value)
    return ((value - _FIRST_DAY).days if number is None else number,)


def _decode_date(data: tuple[int]) -> date:
    number = data[0]
    try:
        return _FIRST_DAY + timedelta(days=number)
    except OverflowError:
        if number in _DATES:
            return _DATES[number]
        raise DataError(f"a date in a row is out of range: {_YEARS}") from None


# --- integers ------------------------------------------------------------------------------------

WHOLE: Final = frozenset(
    (int, str, bytes, bool, type(None), datetime, date, time, timedelta, UUID, dict)
)
"""Types of arguments that hold no number with a fraction."""

INTEGER_TYPES: Final = frozenset(
    f"{name}{suffix}" for name in ("int2", "int4", "int8", "oid") for suffix in ("", "[]")
) | {"int4range", "int8range", "int4multirange", "int8multirange"}
"""Types of placeholders that take integers alone, by the names that asyncpg gives them."""


def check_integers(state: Any, args: Sequence[Any]) -> None:
    """Reject a number with a fraction where a statement takes an integer.

    Args:
        state: asyncpg's own object of the prepared statement.
        args: As many as it takes.

    Raises:
        DataError: there is one.
    """
    types = None
    for index, value in enumerate(args):
        if type(value) in WHOLE:
            continue
        if types is None:
            types = state._get_parameters()
        if index < len(types) and types[index].name in INTEGER_TYPES:
            check_integer(value, index + 1)


def check_integer(value: Any, position: int) -> None:
    """Reject a number with a fraction, by itself or in an array or a range.

    Args:
        value: Of an argument whose type is one of `INTEGER_TYPES`.
        position: The argument's number, from 1.

    Raises:
        DataError: it is one, or no finite number.
    """
    if isinstance(value, int | str) or value is None:
        return
    if isinstance(value, asyncpg.Range):
        value = (value.lower, value.upper)
    if isinstance(value, list | tuple | set | frozenset):
        for part in value:
            check_integer(part, position)
    elif hasattr(type(value), "__int__"):
        try:
            is_whole = int(value) == value
        except (ValueError, OverflowError):  # NaN and infinity
            is_whole = False
        if not is_whole:
            error = DataError(
                f"invalid input for query argument ${position}: {value!r} (not an integer)"
            )
            error.argument = position
            raise error
