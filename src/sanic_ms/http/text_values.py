"""Values that come as text: parameters and the fields of a form.

What no text can become is refused at start; the empty text is None where that is a value.
"""

from __future__ import annotations

import typing
from types import NoneType, UnionType
from typing import Any, NotRequired, Required, Union

import msgspec

from sanic_ms.http.fields import wire_fields
from sanic_ms.shapes import dec_hook, describe, inner_shapes

__all__ = ["allows_none", "is_empty", "nullable_fields", "require_readable", "without_empty"]

_OBJECTS = (
    "DictType",
    "FrozenDictType",
    "TypedDictType",
    "NamedTupleType",
    "DataclassType",
    "StructType",
)


def require_readable(annotation: Any, subject: str, source: str) -> None:
    """Refuse at start a parameter that no request could fill.

    Raises:
        TypeError: the parameters of that part are text, and no text becomes such a value.
    """
    if _is_readable(msgspec.inspect.type_info(annotation)):
        return
    raise TypeError(
        f"{subject} comes from the {source}, which holds text, and no text becomes "
        f"{describe(annotation)}: declare a Struct, whose fields are the parameters, or read it "
        "from the body"
    )


def _is_readable(node: Any) -> bool:
    if isinstance(node, msgspec.inspect.Metadata):
        return _is_readable(node.type)
    if isinstance(node, msgspec.inspect.UnionType):
        return any(
            _is_readable(inner)
            for inner in node.types
            if not isinstance(inner, msgspec.inspect.NoneType)
        )
    if isinstance(node, msgspec.inspect.TupleType):
        return all(map(_is_readable, node.item_types))
    if hasattr(node, "item_type"):
        return _is_readable(node.item_type) and not _is_list(node.item_type)
    if isinstance(node, msgspec.inspect.CustomType):
        inner = inner_shapes(node.cls, "input")
        if inner:
            return any(_is_readable(msgspec.inspect.type_info(entry)) for entry in inner)
        return not hasattr(node.cls, "model_fields")
    return type(node).__name__ not in _OBJECTS


def _is_list(node: Any) -> bool:
    if isinstance(node, msgspec.inspect.Metadata):
        return _is_list(node.type)
    return hasattr(node, "item_type") or isinstance(node, msgspec.inspect.TupleType)


# --- empty text -----------------------------------------------------------------------------------


def allows_none(annotation: Any) -> bool:
    """Whether None is a value of a type by being named in a union."""
    while typing.get_origin(annotation) in (typing.Annotated, NotRequired, Required):
        annotation = typing.get_args(annotation)[0]
    is_union = typing.get_origin(annotation) in (Union, UnionType)
    return is_union and any(
        entry is NoneType or allows_none(entry) for entry in typing.get_args(annotation)
    )


def is_empty(raw: Any) -> bool:
    """Whether a parameter or a field of a form has a name and no value: ``?q=``."""
    return raw in ("", [""])


def nullable_fields(annotation: Any) -> frozenset[str]:
    """The fields of an object that may be None and that the empty text is no value of."""
    kind = typing.get_origin(annotation) or annotation
    if hasattr(kind, "model_fields"):
        types = {entry.alias or name: entry.annotation for name, entry in kind.model_fields.items()}
    else:
        types = {name: type_ for name, (type_, _) in (wire_fields(annotation) or {}).items()}
    return frozenset(
        name for name, type_ in types.items() if allows_none(type_) and not _takes_empty(type_)
    )


def _takes_empty(type_: Any) -> bool:
    try:
        return msgspec.convert("", type_, strict=False, dec_hook=dec_hook) is not None
    except (msgspec.ValidationError, TypeError):
        return False


def without_empty(raw: dict[str, Any], nullable: frozenset[str]) -> dict[str, Any]:
    """Parameters or the fields of a form with None for those that are empty and may be None."""
    return {
        name: None if name in nullable and is_empty(value) else value for name, value in raw.items()
    }
