"""Defaults: what stands in a request's data for keys that were left out."""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable
from typing import Any, Union, get_args, get_origin

from sanic_ms.shapes.build import to_type
from sanic_ms.shapes.describe import unwrapped
from sanic_ms.shapes.member import DEFAULTS

__all__ = ["Filler", "defaults_of", "filler", "filler_of"]

Filler = Callable[[Any], None]


def defaults_of(shape: Any) -> dict[str, Any]:
    """The defaults of a shape's outermost object, by key: a value, or a function without arguments
    that makes it. A nullable key without a default has None.

    Empty for Structs, dataclasses and pydantic models, whose values know their own.
    """
    type_ = unwrapped(to_type(shape, "input"))
    return dict(getattr(type_, DEFAULTS, {}))


def filler(shape: Any) -> Filler | None:
    """A function that puts the defaults into decoded data, in place and at every depth.

    Args:
        shape: The shape of a request.

    Returns:
        The function, or None where nothing has a default.

    Raises:
        TypeError: it is not a shape.
    """
    type_ = to_type(shape, "input")
    try:
        return filler_of(type_)
    except TypeError:  # metadata of Annotated that cannot be hashed
        return _DefaultsCompiler().compile(type_)


@functools.lru_cache(maxsize=4096)  # the codec asks at requests too
def filler_of(type_: Any) -> Filler | None:
    """The `filler` of a type that `to_type` made."""
    return _DefaultsCompiler().compile(type_)


class _DefaultsCompiler:
    def __init__(self) -> None:
        self.done: dict[Any, Filler | None] = {}

    def compile(self, type_: Any) -> Filler | None:
        type_ = unwrapped(type_)
        origin, args = get_origin(type_), get_args(type_)
        if origin is list:
            return _each(self.compile(args[0]), list, lambda data: data)
        if origin is dict:
            return _each(self.compile(args[1]), dict, dict.values)
        if origin in (Union, types.UnionType):
            # One member of it is an object at most; scalars and lists pass it by.
            found = [made for arg in args if (made := self.compile(arg)) is not None]
            return _all(found) if found else None
        if not typing.is_typeddict(type_) or not hasattr(type_, DEFAULTS):
            return None
        if type_ not in self.done:
            # A type that leads back to itself: what it is becomes known when it is finished.
            self.done[type_] = lambda data: (
                None if (made := self.done[type_]) is None else made(data)
            )
            self.done[type_] = self._object(type_)
        return self.done[type_]

    def _object(self, type_: Any) -> Filler | None:
        defaults = getattr(type_, DEFAULTS)
        plain = tuple((key, value) for key, value in defaults.items() if not callable(value))
        made = tuple((key, make) for key, make in defaults.items() if callable(make))
        children = tuple(
            (key, child)
            for key, hint in type_.__annotations__.items()
            if (child := self.compile(hint)) is not None
        )
        if not (plain or made or children):
            return None

        def fill(data: Any) -> None:
            if type(data) is not dict:
                return
            for key, value in plain:
                if key not in data:
                    data[key] = value
            for key, make in made:
                if key not in data:
                    data[key] = make()
            for key, child in children:
                if key in data:
                    child(data[key])

        return fill


def _each(child: Filler | None, of: type, items: Callable[[Any], Any]) -> Filler | None:
    if child is None:
        return None

    def fill(data: Any) -> None:
        if type(data) is of:
            for item in items(data):
                child(item)

    return fill


def _all(found: list[Filler]) -> Filler:
    if len(found) == 1:
        return found[0]

    def fill(data: Any) -> None:
        for child in found:
            child(data)

    return fill
