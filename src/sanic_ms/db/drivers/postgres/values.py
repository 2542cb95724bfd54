"""What values of PostgreSQL are in Python, where asyncpg's own choice is not ours: JSON is data and
not text, and a moment without a zone is UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, Final

import asyncpg
import msgspec

__all__ = ["set_codecs"]


async def set_codecs(raw: Any) -> None:
    """Have a connection of asyncpg write and read such values."""
    # By asyncpg's own method: these decoders raise nothing that a connection would.
    set_type_codec = partial(asyncpg.Connection.set_type_codec, raw)
    await set_type_codec(
        "json",
        schema="pg_catalog",
        format="binary",
        encoder=msgspec.json.encode,
        decoder=msgspec.json.decode,
    )
    await set_type_codec(
        "timestamp",
        schema="pg_catalog",
        format="tuple",
        encoder=_encode_timestamp,
        decoder=_decode_timestamp,
    )
    await set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=_encode_jsonb,
        decoder=_decode_jsonb,
    )


def _encode_jsonb(value: Any) -> bytes:
    return b"\x01" + msgspec.json.encode(value)


def _decode_jsonb(data: bytes) -> Any:
    return msgspec.json.decode(memoryview(data)[1:])


# `timestamp` on the wire: microseconds from this moment; the largest and the smallest number mean
# infinity, which asyncpg gives as the largest and the smallest datetime.
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LAST, _FIRST = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)
_INFINITY: Final = {_LAST: 2**63 - 1, _FIRST: -(2**63)}


def _encode_timestamp(value: date) -> tuple[int]:
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value
    return (_INFINITY.get(moment) or (moment - _EPOCH) // timedelta(microseconds=1),)


def _decode_timestamp(data: tuple[int]) -> datetime:
    """A `timestamp` says no zone; like the other databases' it is UTC, and says so here."""
    try:
        return _EPOCH + timedelta(microseconds=data[0])
    except OverflowError:
        return _LAST if data[0] > 0 else _FIRST
