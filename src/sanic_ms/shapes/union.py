"""Unions that msgspec has no decoder for: of two objects, of two lists, of a pydantic model and
something else. They become a class of their own, which the codec's hooks read and document."""

from __future__ import annotations

import inspect
import typing
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

__all__ = ["OneOf", "join"]

_LISTS = ("list", "set", "frozenset", "tuple", "Sequence", "Collection", "MutableSequence", "Set")
_DICTS = ("dict", "Mapping", "MutableMapping")


class _AnyInstance(type):
    """What a `OneOf` reads is an instance of one of its members, which msgspec cannot check."""

    def __instancecheck__(cls, instance: object) -> bool:
        return True


class OneOf(metaclass=_AnyInstance):
    """Data that fits one of ``members``; the first that it fits is taken."""

    members: typing.ClassVar[tuple[Any, ...]] = ()


def join(members: tuple[Any, ...]) -> Any:
    """The union of types, as msgspec takes it."""
    kinds = [_kind(member) for member in members if member is not type(None)]
    if Any in members or not _is_ambiguous(kinds):
        return Union[members]  # noqa: UP007
    rest = tuple(member for member in members if member is not type(None))
    names = "Or".join(getattr(member, "__name__", "Value") for member in rest)
    one_of = _AnyInstance(names, (OneOf,), {"members": rest, "__module__": "sanic_ms.shapes"})
    return one_of if len(rest) == len(members) else Union[one_of, None]  # noqa: UP007


def _is_ambiguous(kinds: list[str]) -> bool:
    if "custom" in kinds and len(kinds) > 1:
        return True
    objects = kinds.count("object") + ("tagged" in kinds)
    return objects > 1 or kinds.count("list") > 1


def _kind(type_: Any) -> str:
    """Told by the looks alone: the type may not have its keys yet, and msgspec remembers what it
    has once seen."""
    while get_origin(type_) is Annotated:
        type_ = get_args(type_)[0]
    cls = get_origin(type_) or type_
    name = getattr(cls, "__name__", "")
    if not inspect.isclass(cls) or getattr(cls, "__module__", "") == "datetime":
        return "scalar"
    if typing.is_typeddict(cls) or hasattr(cls, "__dataclass_fields__") or name in _DICTS:
        return "object"
    if issubclass(cls, msgspec.Struct):
        if cls.__struct_config__.array_like:
            return "list"
        return "object" if cls.__struct_config__.tag is None else "tagged"
    if issubclass(cls, tuple) or name in _LISTS:
        return "list"
    try:
        info = msgspec.inspect.type_info(cls)
    except TypeError:
        return "custom"
    return "custom" if isinstance(info, msgspec.inspect.CustomType) else "scalar"
