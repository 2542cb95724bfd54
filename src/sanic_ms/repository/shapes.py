"""Rows as instances of a class, and instances as the data of rows."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from sanic_ms.db.base import Row

__all__ = ["items_of", "maker_of"]


def maker_of(type_: Any) -> Callable[[Row], Any] | None:
    """What makes an instance of a row; None where rows are dicts already.

    Args:
        type_: A Struct, a dataclass, a pydantic model; a ``TypedDict`` or ``dict`` for dicts.

    Raises:
        TypeError: it is something else.
    """
    if type_ is dict or typing.get_origin(type_) is dict:
        return None
    if isinstance(type_, type):
        if issubclass(type_, dict) or hasattr(type_, "__total__"):
            return None
        if issubclass(type_, msgspec.Struct):
            return _struct_maker(type_)
        if dataclasses.is_dataclass(type_):
            return lambda row: msgspec.convert(row, type_)
        validate: Callable[[Row], Any] | None = getattr(type_, "model_validate", None)
        if validate is not None:
            return validate
    raise TypeError(
        f"rows can be a Struct, a dataclass, a pydantic model, a TypedDict or a dict, not {type_!r}"
    )


def _struct_maker(type_: type[msgspec.Struct]) -> Callable[[Row], Any]:
    fields = msgspec.structs.fields(type_)
    renamed = {field.name: field.encode_name for field in fields if field.name != field.encode_name}
    if not renamed:
        return lambda row: msgspec.convert(row, type_)
    return lambda row: msgspec.convert(
        {renamed.get(name, name): value for name, value in row.items()}, type_
    )


def items_of(data: Any) -> Iterable[tuple[str, Any]]:
    """The names and values that data holds.

    Args:
        data: A mapping, a Struct, a dataclass, or a pydantic model, of which the fields that were
            set count.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(data, Mapping):
        return data.items()
    if isinstance(data, msgspec.Struct):
        names: Iterable[str] = data.__struct_fields__
    elif dataclasses.is_dataclass(data) and not isinstance(data, type):
        names = [entry.name for entry in dataclasses.fields(data)]
    elif hasattr(type(data), "model_fields"):
        names = data.model_fields_set
    else:
        raise TypeError(f"the data of a row are a mapping or a Struct, not {type(data).__name__}")
    return [(name, getattr(data, name)) for name in names]
