"""Shapes in words, for messages."""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any, Union, get_args, get_origin

from sanic_ms.shapes.selection import Selection

__all__ = ["describe", "not_a_shape", "require_shape", "unwrapped"]

_WORDS: dict[Any, str] = {
    bool: "true or false",
    bytes: "base64 text",
    dict: "an object",
    float: "a number",
    int: "an integer",
    list: "a list",
    str: "text",
    type(None): "nothing",
}


def describe(shape: Any) -> str:
    """A few words for messages: ``a User object``, ``a list of User objects``, ``an integer``."""
    if isinstance(shape, list):
        return f"a list of {_plural(describe(shape[0]))}" if shape else "a list"
    if isinstance(shape, dict):
        keys = [key for key in shape if isinstance(key, str)]
        shown = ", ".join(keys[:5]) + (", …" if len(keys) > 5 else "")
        return f"an object with {shown}" if keys else "an object"
    if shape is None:
        return "nothing"
    if shape is Any:
        return "any value"
    if isinstance(shape, Selection):
        return describe(shape.cls)
    if hasattr(shape, "__shape__"):
        field = shape() if isinstance(shape, type) else shape
        return describe(field.__shape__("output").shape)
    inner = unwrapped(shape)
    origin, args = get_origin(inner), get_args(inner)
    if origin in (list, set, frozenset) and args:
        return f"a list of {_plural(describe(args[0]))}"
    if origin is typing.Literal:
        return "one of " + ", ".join(map(repr, args))
    if origin in (Union, types.UnionType):
        return " or ".join(describe(arg) for arg in args if arg is not type(None))
    cls = origin or inner
    if cls in _WORDS:
        return _WORDS[cls]
    name = getattr(cls, "__name__", str(cls))
    if getattr(cls, "__module__", "") in ("datetime", "uuid", "decimal"):
        return f"a {name}"
    # "a User", "a One": only by its sound, and near enough.
    vowel = name[:1].lower() in "aeio" and not name.lower().startswith("one")
    return f"{'an' if vowel else 'a'} {name} object"


def _plural(text: str) -> str:
    for article in ("an ", "a "):
        if text.startswith(article):
            text = text.removeprefix(article)
            return f"{text}s" if text.endswith(("object", "integer", "number", "list")) else text
    return text


def unwrapped(type_: Any) -> Any:
    """The type without Annotated, and without None beside it."""
    while get_origin(type_) is Annotated:
        type_ = get_args(type_)[0]
    if get_origin(type_) in (Union, types.UnionType):
        rest = [arg for arg in get_args(type_) if arg is not type(None)]
        if len(rest) == 1:
            return unwrapped(rest[0])
    return type_


def not_a_shape(shape: Any, where: str) -> str:
    """The message for something that is not a shape; ``where`` is its path, empty at the top."""
    text = repr(shape)
    text = text if len(text) <= 60 else f"{text[:57]}..."
    if isinstance(shape, str):
        hint = "it is text: write the class itself"
    elif isinstance(shape, (bytes, float, int, set, tuple)):
        hint = f"it is a value: write its type ({type(shape).__name__})"
    else:
        hint = (
            "write a model, a Struct, a dataclass, a TypedDict, {'key': type}, [Shape] or a field "
            "of sanic_ms.doc"
        )
    return f"{text}{f' at {where}' if where else ''} is not a shape; {hint}"


def require_shape(shape: Any, where: str = "") -> None:
    """Refuse what can be no shape. It looks at no class: a decorator runs while the module is being
    imported, when models may not yet know one another. `to_type` does the rest at start.

    Raises:
        TypeError: it is a value, text, or a container of such.
    """
    if isinstance(shape, dict):
        for key, value in shape.items():
            if not isinstance(key, (str, type)):
                raise TypeError(f"the key {key!r} of a dict shape is not text")
            require_shape(value, f"{where}.{key}" if where else str(key))
    elif isinstance(shape, list):
        if len(shape) > 1:
            raise TypeError(f"a list shape has one element, this one has {len(shape)}: {shape!r}")
        for item in shape:
            require_shape(item, f"{where}[]")
    elif not (
        shape is None
        or shape is Any
        or isinstance(shape, (type, typing.TypeVar, Selection))
        or hasattr(shape, "__shape__")
        or hasattr(shape, "__supertype__")
        or get_origin(shape) is not None
        or type(shape).__name__ == "TypeAliasType"
    ):
        raise TypeError(not_a_shape(shape, where))
