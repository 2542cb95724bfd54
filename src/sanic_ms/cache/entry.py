"""An entry of a cache: a value, how long it is fresh, and of what it is a copy."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import msgspec

from sanic_ms.cache.values import pack, unpack

__all__ = ["Entry", "decode_entry", "encode_entry"]

_FORMAT = 1


@dataclass(slots=True)
class Entry:
    """A cached value.

    Attributes:
        value: The value.
        fresh_until: When it has to be loaded again, by `time.monotonic`.
        stale_until: Until when it serves where it cannot be loaded again.
        early_at: From when a hit loads it again in the background; infinity: never.
        stamps: The stamp of each of its tags, as it was before the value was loaded.
    """

    value: Any
    fresh_until: float
    stale_until: float
    early_at: float
    stamps: dict[str, str]


class _Stored(msgspec.Struct, array_like=True):
    """What stands in Redis. Times are seconds since 1970: machines agree on them well enough."""

    format: int
    fresh_until: float
    stale_until: float
    early_at: float | None
    stamps: dict[str, str]
    value: bytes


_decoder = msgspec.msgpack.Decoder(_Stored)
_encoder = msgspec.msgpack.Encoder()


def encode_entry(entry: Entry, value: Any) -> bytes:
    """An entry as bytes.

    Args:
        entry: The entry.
        value: Its value as plain data.

    Raises:
        TypeError: the value is no plain data.
    """
    offset = time.time() - time.monotonic()
    early = None if entry.early_at == float("inf") else entry.early_at + offset
    return _encoder.encode(
        _Stored(
            _FORMAT,
            entry.fresh_until + offset,
            entry.stale_until + offset,
            early,
            entry.stamps,
            pack(value),
        )
    )


def decode_entry(data: bytes) -> Entry:
    """The entry of some bytes, with its value as plain data.

    Raises:
        ValueError: they are not whole, or of another version.
    """
    try:
        stored = _decoder.decode(data)
    except msgspec.MsgspecError as exc:
        raise ValueError(str(exc)) from exc
    if stored.format != _FORMAT:
        raise ValueError(f"format {stored.format}, not {_FORMAT}")
    offset = time.monotonic() - time.time()
    early = float("inf") if stored.early_at is None else stored.early_at + offset
    return Entry(
        unpack(stored.value),
        stored.fresh_until + offset,
        stored.stale_until + offset,
        early,
        stored.stamps,
    )
