"""A plain class as a shape: ``class CityApi: id = doc.Integer("city id"); name = str``."""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import ipaddress
import pathlib
import typing
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

import msgspec

from sanic_ms.shapes.member import Direction, Member
from sanic_ms.shapes.peewee import is_model

__all__ = [
    "TEXT_CLASSES",
    "as_member",
    "has_fields",
    "is_plain_class",
    "is_pydantic",
    "members",
    "set_values",
    "values_of",
]

TEXT_CLASSES = (
    pathlib.PurePath,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
)
"""Classes that stand as text in JSON and are made from it by their constructor."""

_OTHER_KINDS = (
    "__attrs_attrs__",
    "__await__",
    "__dataclass_fields__",
    "__total__",
    "_is_protocol",
)


def is_pydantic(obj: object) -> bool:
    """Whether it is a pydantic model class."""
    return (
        isinstance(obj, type)
        and hasattr(obj, "model_validate")
        and hasattr(obj, "model_json_schema")
        and hasattr(obj, "__pydantic_validator__")
    )


def has_fields(obj: object) -> bool:
    """Whether it is a class that is made to say a shape: a Struct, a dataclass, a TypedDict, a
    pydantic or a Peewee model."""
    return isinstance(obj, type) and (
        issubclass(obj, msgspec.Struct)
        or dataclasses.is_dataclass(obj)
        or typing.is_typeddict(obj)
        or is_pydantic(obj)
        or is_model(obj)
    )


def is_plain_class(obj: object) -> bool:
    """Whether it is a class that says a shape with its attributes or annotations.

    A class that defines ``__init__`` is none: its instances are made by the program, not from data.
    """
    return isinstance(obj, type) and _is_plain(obj)


@functools.lru_cache(maxsize=4096)  # the codec asks at requests too
def _is_plain(obj: type) -> bool:
    if obj.__module__ in ("builtins", "typing"):
        return False
    if obj.__init__ is not object.__init__ or is_pydantic(obj) or is_model(obj):  # type: ignore[misc]
        return False
    others = (msgspec.Struct, enum.Enum, tuple, dict, BaseException, *TEXT_CLASSES)
    if issubclass(obj, others) or any(hasattr(obj, name) for name in _OTHER_KINDS):
        return False
    return any(True for _ in _attributes(obj))


def members(cls: type, direction: Direction) -> Iterator[tuple[str, Member]]:
    """The attributes of a plain class that say a shape, base classes first.

    Raises:
        TypeError: an annotation names something that does not exist.
    """
    for name, (shape, default) in _attributes(cls):
        member = as_member(shape, direction)
        yield name, member if default is msgspec.NODEFAULT else Member(shape, default=default)


def values_of(instance: Any) -> dict[str, Any]:
    """The values of an instance of a plain class by attribute, those of the class included that are
    defaults."""
    cls: Any = type(instance)
    defaults = {
        name: default
        for name, (_, default) in _attributes_of(cls).items()
        if default is not msgspec.NODEFAULT
    }
    return {**defaults, **vars(instance)}


def set_values(instance: Any, data: Mapping[str, Any]) -> None:
    """Give an instance of a plain class what was read: each value under its attribute, whatever it
    is called on the wire."""
    cls: Any = type(instance)
    names = _attributes_by_wire(cls)
    vars(instance).update((names.get(key, key), value) for key, value in data.items())


@functools.lru_cache(maxsize=4096)  # the codec asks at requests too
def _attributes_by_wire(cls: type) -> dict[str, str]:
    return {member.name: name for name, member in members(cls, "input") if member.name is not None}


@functools.lru_cache(maxsize=4096)
def _attributes_of(cls: type) -> dict[str, tuple[Any, Any]]:
    return dict(_attributes(cls))


def as_member(value: Any, direction: Direction) -> Member:
    """What stands behind a key: a field says all by itself, any other shape its type only."""
    if isinstance(value, Member):
        return value
    if hasattr(value, "__shape__"):
        field = value() if isinstance(value, type) else value  # "doc.Integer" without brackets
        member: Member = field.__shape__(direction)
        return member
    origin = get_origin(value)
    if origin in (typing.NotRequired, typing.Required):
        return Member(get_args(value)[0], required=origin is typing.Required)
    return Member(value)


def _attributes(cls: type) -> Iterator[tuple[str, tuple[Any, Any]]]:
    found: dict[str, tuple[Any, Any]] = {}
    for base in reversed(cls.__mro__[:-1]):
        hints = _annotations(base)
        for name, value in base.__dict__.items():
            if not name.startswith("_") and name != "Meta" and name not in hints and _says(value):
                found[name] = value, msgspec.NODEFAULT
        for name, hint in hints.items():
            if name.startswith("_") or get_origin(hint) is typing.ClassVar:
                continue
            value = base.__dict__.get(name, msgspec.NODEFAULT)
            # "id: int = doc.Integer()": the field says more than the annotation.
            is_field = hasattr(value, "__shape__")
            found[name] = (value, msgspec.NODEFAULT) if is_field else (hint, value)
    yield from found.items()


def _annotations(cls: type) -> dict[str, Any]:
    written = inspect.get_annotations(cls)
    if not written:
        return {}
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except NameError as exc:
        raise TypeError(
            f"{cls.__module__}.{cls.__qualname__}: an annotation names {exc.name!r}, which is not "
            "to be found in its module; import it there, outside of `if TYPE_CHECKING`"
        ) from None
    return {name: hint for name, hint in hints.items() if name in written}


def _says(value: Any) -> bool:
    return (
        isinstance(value, (type, list, dict, Member))
        or hasattr(value, "__shape__")
        or get_origin(value) is not None
    )
