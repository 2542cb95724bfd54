"""Cursors: the place of a row in an ordered list, as text for a URL.

A cursor holds the row's values of the order's columns, and a checksum of them and of the order. It
is not secret and not signed: it says where a list goes on, and the list's own conditions say what
may be seen.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec

from sanic_ms.exception import BadRequest

__all__ = ["decode_cursor", "encode_cursor"]

_CHECKSUM: Final = 6  # bytes
_PAYLOAD: Final = msgspec.json.Decoder(list)
_LONGEST: Final = 4096  # characters, as `Cursor.cursor` allows
_ENCODE: Final[dict[type, tuple[str, Callable[[Any], str]]]] = {
    float: ("f", repr),
    Decimal: ("n", str),
    datetime: ("m", datetime.isoformat),
    date: ("d", date.isoformat),
    time: ("t", time.isoformat),
    timedelta: ("s", lambda value: str(value // timedelta(microseconds=1))),
    UUID: ("u", str),
    bytes: ("b", bytes.hex),
}
_DECODE: Final[dict[str, Callable[[str], Any]]] = {
    "f": float,
    "n": Decimal,
    "m": datetime.fromisoformat,
    "d": date.fromisoformat,
    "t": time.fromisoformat,
    "s": lambda text: timedelta(microseconds=int(text)),
    "u": UUID,
    "b": bytes.fromhex,
}


def encode_cursor(order: str, values: Sequence[Any]) -> str:
    """The cursor behind a row.

    Args:
        order: The order of the list as text, which the checksum includes.
        values: Of the order's columns.

    Raises:
        ValueError: a value is of a type that has no order, such as JSON, or too long.
    """
    payload = msgspec.json.encode([_encode(value) for value in values])
    text = base64.urlsafe_b64encode(_checksum(order, payload) + payload).rstrip(b"=").decode()
    if len(text) > _LONGEST:
        raise ValueError(f"the values of the order {order} are too long for a cursor")
    return text


def decode_cursor(order: str, cursor: str, count: int) -> list[Any]:
    """The values that a cursor holds.

    Args:
        count: Of the order's columns.

    Raises:
        BadRequest: it was changed, or is a cursor of another order.
    """
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        checksum, payload = data[:_CHECKSUM], data[_CHECKSUM:]
        if checksum != _checksum(order, payload):
            raise ValueError("another checksum")
        values = [_decode(value) for value in _PAYLOAD.decode(payload)]
        if len(values) != count:
            raise ValueError("another number of values")
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError) as exc:
        raise BadRequest("the cursor is not one of this list") from exc
    return values


def _checksum(order: str, payload: bytes) -> bytes:
    return hashlib.blake2b(b"%b\0%b" % (order.encode(), payload), digest_size=_CHECKSUM).digest()


def _encode(value: Any) -> Any:
    if value is None or isinstance(value, bool | str | int):
        return value
    for type_, (tag, write) in _ENCODE.items():
        if isinstance(value, type_):
            return [tag, write(value)]
    raise ValueError(f"rows cannot be paged by a value of the type {type(value).__name__}")


def _decode(value: Any) -> Any:
    if value is None or isinstance(value, bool | str | int):
        return value
    tag, text = value
    return _DECODE[tag](text)
