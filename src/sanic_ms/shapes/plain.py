"""Objects as plain data: what JSON has, or a row whose keys a shape can choose among."""

from __future__ import annotations

import collections
import dataclasses
import inspect
from collections.abc import Awaitable, ItemsView, Iterable, KeysView, Mapping, ValuesView
from typing import Any

import msgspec

from sanic_ms.shapes.classes import TEXT_CLASSES, is_plain_class, is_pydantic, values_of
from sanic_ms.shapes.columns import row_of
from sanic_ms.shapes.peewee import is_model
from sanic_ms.shapes.subclasses import UNCHANGED, base_value

__all__ = ["dumps_by_alias", "to_plain", "to_row"]


def dumps_by_alias(cls: Any) -> bool:
    """Whether answers hold a pydantic model under its aliases: yes, unless its configuration says
    ``serialize_by_alias=False``."""
    return cls.model_config.get("serialize_by_alias") is not False


def to_plain(obj: Any) -> Any:
    """Plain data for an object that msgspec does not know and that declares no keys of ours.

    Raises:
        TypeError: there is none; the text names its type, or what was not awaited.
    """
    cls: Any = type(obj)
    if is_pydantic(cls):
        return obj.model_dump(mode="json", by_alias=dumps_by_alias(cls))
    if (value := base_value(obj)) is not UNCHANGED:
        return value
    if isinstance(obj, TEXT_CLASSES):
        return str(obj)
    if isinstance(obj, (collections.deque, KeysView, ValuesView, ItemsView)):
        return list(obj)
    if isinstance(obj, Mapping) or (hasattr(cls, "keys") and hasattr(cls, "__getitem__")):
        return dict(obj)
    if isinstance(obj, Awaitable):
        if inspect.iscoroutine(obj):
            obj.close()  # else Python warns of it besides, and of another place
        name = getattr(obj, "__qualname__", cls.__qualname__)
        raise TypeError(
            f"{name}() was called and not awaited, and a {cls.__qualname__} cannot be written as "
            "JSON: write await before the call"
        )
    raise TypeError(
        f"a {cls.__module__}.{cls.__qualname__} cannot be written as JSON: return a dict, a list, "
        "a Struct, a dataclass or plain values"
    )


def to_row(obj: Any, names: Iterable[str] = ()) -> Any:
    """An object of any class as a row, one level taken apart. It has the names of the attributes
    and those on the wire; where one name is both, it is the attribute's.

    Args:
        obj: The object.
        names: Attributes that are read of an object of no known kind beside those of its own:
            properties, slots, columns that an ORM has yet to load.

    Raises:
        TypeError: it is no object that holds data.
    """
    cls: Any = type(obj)
    if isinstance(obj, dict):
        return dict(obj)
    if isinstance(obj, list):
        return list(obj)
    if isinstance(obj, msgspec.Struct):
        return _row_of_struct(obj)
    if dataclasses.is_dataclass(cls):
        return {field.name: getattr(obj, field.name) for field in dataclasses.fields(cls)}
    if hasattr(cls, "__attrs_attrs__"):
        return {field.name: getattr(obj, field.name) for field in cls.__attrs_attrs__}
    if is_pydantic(cls):
        return _row_of_pydantic(obj)
    if is_model(cls):
        return row_of(obj)
    if is_plain_class(cls):
        return values_of(obj)
    try:
        return to_plain(obj)
    except TypeError:
        row = _attributes_of(obj, names)
        if not row:
            raise
        return row


def _attributes_of(obj: Any, names: Iterable[str]) -> dict[str, Any]:
    if isinstance(obj, type) or inspect.isroutine(obj) or inspect.ismodule(obj):
        return {}
    if isinstance(obj, tuple) and hasattr(obj, "_asdict"):
        return dict(obj._asdict())  # a NamedTuple, a row of SQLAlchemy
    attributes = getattr(obj, "__dict__", {})
    row = {name: value for name, value in attributes.items() if not name.startswith("_")}
    for name in names:
        if name not in row and hasattr(type(obj), name):
            value = getattr(obj, name)
            if not inspect.isroutine(value):
                row[name] = value
    return row


def _row_of_struct(obj: msgspec.Struct) -> dict[str, Any]:
    row: dict[str, Any] = {}
    names = obj.__struct_fields__
    if obj.__struct_encode_fields__ != names:
        pairs = zip(obj.__struct_encode_fields__, names, strict=True)
        row.update((key, getattr(obj, name)) for key, name in pairs)
    row.update((name, getattr(obj, name)) for name in names)
    return {key: value for key, value in row.items() if value is not msgspec.UNSET}


def _row_of_pydantic(obj: Any) -> Any:
    cls = type(obj)
    dumped = obj.model_dump(mode="json", by_alias=False)
    if not isinstance(dumped, dict):
        return dumped
    fields = {**cls.model_fields, **cls.model_computed_fields}
    aliases = {
        alias: dumped[name]
        for name, field in fields.items()
        if name in dumped
        for alias in (field.alias, getattr(field, "serialization_alias", None))
        if alias is not None
    }
    return {**aliases, **dumped}
