"""Fields of values that hold others: lists, tuples, mappings and objects."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sanic_ms.doc.fields import Field
from sanic_ms.doc.naming import named
from sanic_ms.shapes import Direction, JoinedColumns, Member, require_shape

__all__ = ["Dictionary", "List", "Object", "Tuple"]


class _Container(Field):
    def __init__(self, inner: Any, description: str, options: dict[str, Any]) -> None:
        if isinstance(inner, str) and not description:
            inner, description = Any, inner  # doc.List("names of the tags")
        require_shape(inner)
        self.inner = inner
        super().__init__(description, **options)

    def _is_simple(self) -> bool:
        return self.inner is Any


class List(_Container):
    """A list.

    Args:
        items: The shape of each item; default anything. ``[Shape]`` is taken as ``Shape``.
        min_items, max_items: How many.

    The other arguments are those of `Field`.
    """

    type = list

    def __init__(
        self,
        items: Any = Any,
        description: str = "",
        *,
        min_items: int | None = None,
        max_items: int | None = None,
        **options: Any,
    ) -> None:
        self.min_items = min_items
        self.max_items = max_items
        if isinstance(items, list) and len(items) == 1:
            items = items[0]
        super().__init__(items, description, options)

    def _shape(self) -> Any:
        return [self.inner]

    def _constraints(self) -> dict[str, Any]:
        limits = {"min_length": self.min_items, "max_length": self.max_items}
        return {key: value for key, value in limits.items() if value is not None}


class Dictionary(_Container):
    """An object with any keys, or with the given ones.

    Args:
        values: The shape of each value; default anything.
        fields: The shape of each key's value, for an object that has these keys: as `Object` of a
            dict shape.

    The other arguments are those of `Field`.

    Raises:
        TypeError: both are given.
    """

    type = dict

    def __init__(
        self,
        values: Any = Any,
        description: str = "",
        *,
        fields: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if fields and values is not Any and not isinstance(values, str):
            raise TypeError("doc.Dictionary: give values= (any keys) or fields= (these keys)")
        self.fields = dict(fields or {})
        require_shape(self.fields)
        super().__init__(values, description, options)

    def _is_simple(self) -> bool:
        return super()._is_simple() and not self.fields

    def _shape(self) -> Any:
        return self.fields if self.fields else {str: self.inner}


class Object(_Container):
    """An object of a shape: a class, a model or a dict shape.

    Args:
        shape: What it looks like.
        prefix: How the columns of the object begin where a row has them beside its own, as a JOIN
            selects them: with ``"city_"`` an answer has of ``city_id`` and ``city_name`` the object
            ``{"id": …, "name": …}``. With ``null=True`` columns that are all None are null. A row
            that has the object itself keeps it.
        object_name: Its name in the document, for a class of fields or a dict shape; default that
            of the class, and none for a dict shape.

    The other arguments are those of `Field`.

    Raises:
        TypeError: it is no shape, or ``object_name`` is given for one that has a name already.
    """

    type = dict

    def __init__(
        self,
        shape: Any,
        description: str = "",
        *,
        prefix: str | None = None,
        object_name: str | None = None,
        **options: Any,
    ) -> None:
        if isinstance(shape, str):
            raise TypeError(f"doc.Object({shape!r}): the first argument is the object's shape")
        self.prefix = prefix
        super().__init__(shape, description, options)
        if object_name is not None:
            self.inner = named(shape, object_name)

    def __shape__(self, direction: Direction) -> Member:
        """The same, and in answers out of the columns with the prefix."""
        member = super().__shape__(direction)
        if direction == "input" or self.prefix is None:
            return member
        return replace(member, lookup=JoinedColumns(self.prefix, self.null))

    def _shape(self) -> Any:
        return self.inner


class Tuple(_Container):
    """A list of so many items, each of a shape of its own.

    Args:
        items: The shape of each item, in order; default any number of items of any kind.

    The other arguments are those of `Field`.
    """

    type = list

    def __init__(
        self, items: Sequence[Any] | str = (), description: str = "", **options: Any
    ) -> None:
        shapes: tuple[Any, ...]
        if isinstance(items, str):
            description, shapes = description or items, ()
        else:
            shapes = tuple(items)
        for shape in shapes:
            require_shape(shape)
        inner = types.GenericAlias(tuple, shapes) if shapes else Any
        super().__init__(inner, description, options)

    def _shape(self) -> Any:
        return [Any] if self.inner is Any else self.inner
