"""Values as bytes and back: MessagePack, with extensions for what it has no type for.

A value that is read back has the types that it had. So a hit in Redis gives what a hit in the
process gives.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from msgspec.msgpack import Ext

__all__ = ["pack", "unpack"]

_PLAIN = frozenset((str, int, float, bool, bytes, type(None)))
_MOST_BITS = 63  # of an integer that MessagePack holds


def _text(convert: Callable[[str], Any]) -> Callable[[bytes], Any]:
    return lambda data: convert(data.decode())


def _days(text: str) -> timedelta:
    days, seconds, microseconds = map(int, text.split())
    return timedelta(days, seconds, microseconds)


# The number of each extension is part of the format: add new ones, and change none.
_EXTENSIONS: dict[type, tuple[int, Callable[[Any], str], Callable[[str], Any]]] = {
    datetime: (1, datetime.isoformat, datetime.fromisoformat),
    date: (2, date.isoformat, date.fromisoformat),
    time: (3, time.isoformat, time.fromisoformat),
    timedelta: (4, lambda value: f"{value.days} {value.seconds} {value.microseconds}", _days),
    Decimal: (5, str, Decimal),
    UUID: (6, str, UUID),
    int: (7, str, int),
}
_SEQUENCES: dict[type, int] = {tuple: 16, set: 17, frozenset: 18}
_READERS: dict[int, Callable[[bytes], Any]] = {
    code: _text(read) for code, _, read in _EXTENSIONS.values()
}
_READERS |= {code: lambda data, kind=kind: kind(unpack(data)) for kind, code in _SEQUENCES.items()}  # type: ignore[misc]

_encoder = msgspec.msgpack.Encoder()


def pack(value: Any) -> bytes:
    """A value as bytes.

    Args:
        value: None, text, numbers, bytes, dates and times, UUIDs and decimals, and dicts, lists,
            tuples and sets of them. Structs, dataclasses and models are given as the dicts that
            they stand for: the caller knows their type, and converts on reading.

    Raises:
        TypeError: there is something else in it, or a dict has a key that is no text or number.
    """
    return _encoder.encode(_plain(value))


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        for key in value:
            if type(key) not in (str, int):
                raise TypeError(f"a cached dict has keys of text or int, not {key!r}")
        return {key: _plain(entry) for key, entry in value.items()}
    if kind is list:
        return [_plain(entry) for entry in value]
    if kind in _PLAIN and not (kind is int and value.bit_length() > _MOST_BITS):
        return value
    if kind in _SEQUENCES:
        return Ext(_SEQUENCES[kind], pack(list(value)))
    extension = _EXTENSIONS.get(kind)
    if extension is None:
        raise TypeError(
            f"a {kind.__module__}.{kind.__qualname__} cannot be cached in Redis as it is: cache "
            "plain data, or annotate what the function returns"
        )
    code, write, _ = extension
    return Ext(code, write(value).encode())


def _read_extension(code: int, data: memoryview) -> Any:
    try:
        return _READERS[code](bytes(data))
    except KeyError:
        raise ValueError(f"extension {code} is not known") from None


_decoder = msgspec.msgpack.Decoder(ext_hook=_read_extension)


def unpack(data: bytes) -> Any:
    """The value of some bytes.

    Raises:
        ValueError: they are not whole, or of another format.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, ArithmeticError, TypeError) as exc:
        raise ValueError(str(exc)) from exc
