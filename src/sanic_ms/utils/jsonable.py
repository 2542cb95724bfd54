"""Anything a handler may hold, as the plain data that JSON knows.

msgspec encodes dates, decimals, UUIDs, enums, dataclasses and Structs itself; `to_plain` is the
hook for the rest. Libraries that are not a dependency of this room (Peewee, pydantic, drivers) are
recognised by what their objects offer, so that none of them is imported here.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, KeysView, Mapping, Sequence, Set, ValuesView
from typing import Any

import msgspec

__all__ = ["jsonify", "to_plain"]

_LISTS = (Sequence, Set, KeysView, ValuesView, Iterator)
_TEXTS = (
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
)
_ENCODER: msgspec.json.Encoder


def jsonify(value: Any) -> Any:
    """What a reader of the JSON of ``value`` gets: dicts, lists, strings, numbers, booleans, None.

    Records and rows of any driver, Peewee and pydantic models, dataclasses and Structs become
    dicts; dates and times ISO 8601 text; `decimal.Decimal` and `uuid.UUID` text; bytes base64
    text; sets, tuples and iterators lists (an iterator is used up); NaN and infinities None. Keys
    of dicts become text. The result shares nothing with ``value``.

    Raises:
        TypeError: something inside has no JSON form. The text names its type.
        ValueError: text that is not valid Unicode.
        RecursionError: ``value`` contains itself.
    """
    return msgspec.json.decode(_ENCODER.encode(value))


def to_plain(value: Any) -> Any:
    """One step of `jsonify`, for a value that msgspec does not know: its ``enc_hook``.

    Raises:
        TypeError: the value has no JSON form.
    """
    if value is None or isinstance(value, (bool, list, tuple, dict)):
        # msgspec knows these as values, so this one is a key.
        raise TypeError(f"{value!r} is a key of a dict, and JSON has no such keys")
    cls = type(value)
    # The class is asked, not the object: an object may answer to any attribute (mocks, proxies).
    if hasattr(cls, "model_dump"):  # pydantic
        return value.model_dump(mode="json")
    if hasattr(cls, "_meta") and hasattr(value, "__data__"):  # a Peewee model
        return dict(value.__data__)
    if hasattr(cls, "_mapping"):  # a SQLAlchemy row
        return dict(value._mapping)
    if isinstance(value, Mapping) or hasattr(cls, "keys"):  # asyncpg.Record, sqlite3.Row
        return {key: value[key] for key in value.keys()}  # noqa: SIM118 - a Row iterates values
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, _LISTS):
        return list(value)
    if isinstance(value, _TEXTS):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(
        f"{cls.__module__}.{cls.__qualname__} has no JSON form; make a dict, a dataclass or a "
        "Struct of it"
    )


_ENCODER = msgspec.json.Encoder(enc_hook=to_plain)
