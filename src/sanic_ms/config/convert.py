"""From what stands in a source to a value of the setting's type, and what that type allows.

Sources such as the environment hold text only. Text is turned into plain values by the type that is
wanted, and msgspec then checks type and limits, for text as for values that had a type already.
"""

from __future__ import annotations

import math
from pathlib import PurePath
from typing import Any

import msgspec
from msgspec import inspect

__all__ = ["allowed", "convert"]

_BOOLS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}
_LISTS = (
    inspect.ListType,
    inspect.SetType,
    inspect.FrozenSetType,
    inspect.VarTupleType,
)
_TABLES = (
    inspect.StructType,
    inspect.DataclassType,
    inspect.TypedDictType,
)
# Of a union's members the more particular is tried first: "1" is a number before it is text.
_ORDER = (
    inspect.LiteralType,
    inspect.BoolType,
    inspect.IntType,
    inspect.FloatType,
    inspect.DictType,
    *_TABLES,
    *_LISTS,
)


def convert(value: Any, kind: Any) -> Any:
    """The value as the setting's type.

    Text is converted by the type: ``true/false/1/0/yes/no/on/off``, numbers, lists as
    ``a,b`` or JSON, tables as ``name=value,name=value`` or JSON, and empty text as None, ``""``,
    an empty list or an empty table, whichever the type has. Other values must be of the type.

    Args:
        value: What the source holds.
        kind: The annotation of the setting.

    Raises:
        ValueError: it does not fit. `allowed` says what would.
    """
    node = inspect.type_info(kind)
    text = isinstance(value, str)
    if text:
        value = _from_text(value, node)
    result = msgspec.convert(value, kind, strict=not text, dec_hook=_decode)
    if isinstance(result, float) and not math.isfinite(result):
        raise ValueError("not a finite number")
    return result


def allowed(kind: Any) -> str:
    """What a setting of this type may be, in words: ``"a whole number from 0 to 65535"``."""
    return _words(inspect.type_info(kind))


def _decode(kind: type, value: Any) -> Any:
    if issubclass(kind, PurePath) and isinstance(value, str):
        return kind(value)
    raise ValueError(f"cannot make a {kind.__name__} of it")


def _bare(node: inspect.Type) -> inspect.Type:
    while isinstance(node, inspect.Metadata):
        node = node.type
    return node


def _from_text(text: str, node: inspect.Type) -> Any:
    """Plain values of the text for the type; ValueError where it can only be wrong."""
    node = _bare(node)
    match node:
        case inspect.UnionType():
            return _union(text, node)
        case inspect.BoolType():
            try:
                return _BOOLS[text.strip().lower()]
            except KeyError:
                raise ValueError("not a truth value") from None
        case inspect.IntType():
            return int(text)
        case inspect.FloatType():
            return float(text)
        case inspect.LiteralType():
            return _choice(text, node.values)
        case inspect.EnumType():
            return _choice(text, [member.value for member in node.cls])
        case inspect.NoneType():
            if text.strip():
                raise ValueError("not empty")
            return None
        case inspect.DictType():
            return _table(text, node)
        case _ if isinstance(node, _LISTS):
            if text.lstrip().startswith("["):
                return _json(text)
            parts = [part.strip() for part in text.split(",")]
            return [_from_text(part, node.item_type) for part in parts if part]
        case _ if isinstance(node, (*_TABLES, inspect.TupleType)):
            return _json(text)
    return text


def _union(text: str, node: inspect.UnionType) -> Any:
    members = [_bare(member) for member in node.types]
    if not text.strip() and any(isinstance(member, inspect.NoneType) for member in members):
        return None
    members.sort(key=lambda member: _ORDER.index(type(member)) if type(member) in _ORDER else 99)
    for member in members:
        try:
            return _from_text(text, member)
        except ValueError:
            continue
    raise ValueError("fits none of the allowed types")


def _choice(text: str, values: Any) -> Any:
    for value in values:
        if str(value).lower() == text.strip().lower():
            return value
    raise ValueError("not one of the choices")


def _table(text: str, node: inspect.DictType) -> Any:
    if text.lstrip().startswith("{"):
        return _json(text)
    table = {}
    for part in text.split(","):
        if not part.strip():
            continue
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise ValueError("not name=value")
        table[name.strip()] = _from_text(value.strip(), node.value_type)
    return table


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text.encode())
    except RecursionError:
        raise ValueError("nested too deep") from None


def _words(node: inspect.Type) -> str:
    node = _bare(node)
    match node:
        case inspect.UnionType():
            parts = [member for member in node.types if not isinstance(member, inspect.NoneType)]
            words = " or ".join(_words(member) for member in parts)
            return words if len(parts) == len(node.types) else f"{words}, or nothing"
        case inspect.BoolType():
            return "true or false (also 1/0, yes/no, on/off)"
        case inspect.IntType():
            return f"a whole number{_limits(node)}"
        case inspect.FloatType():
            return f"a number{_limits(node)}"
        case inspect.LiteralType():
            return f"one of {', '.join(map(str, node.values))}"
        case inspect.EnumType():
            return f"one of {', '.join(str(member.value) for member in node.cls)}"
        case inspect.StrType(pattern=str() as pattern):
            return f"text that matches {pattern}"
        case inspect.StrType(min_length=int() as least) if least > 0:
            return "text that is not empty" if least == 1 else f"text of at least {least} letters"
        case inspect.StrType():
            return "text"
        case inspect.DictType():
            return f"a table (name=value,… or JSON) of {_words(node.value_type)}"
        case inspect.StructType() | inspect.DataclassType() | inspect.TypedDictType():
            fields = ", ".join(field.name for field in node.fields)
            return f"a table (JSON) with {fields}"
        case inspect.CustomType(cls=cls):
            return "a path" if issubclass(cls, PurePath) else f"a {cls.__name__}"
        case inspect.NoneType():
            return "nothing"
        case _ if isinstance(node, _LISTS):
            return f"a list (a,b or JSON) of {_words(node.item_type)}"
    return f"a {type(node).__name__.removesuffix('Type').lower()}"


def _limits(node: inspect.IntType | inspect.FloatType) -> str:
    if node.ge is not None and node.le is not None:
        return f" from {node.ge} to {node.le}"
    bounds = {
        "of at least": node.ge,
        "above": node.gt,
        "of at most": node.le,
        "below": node.lt,
    }
    words = [f"{word} {bound}" for word, bound in bounds.items() if bound is not None]
    return f" {' and '.join(words)}" if words else ""
