"""A shape under a name of its own, for the document."""

from __future__ import annotations

import typing
from typing import Any

from sanic_ms.shapes import Member
from sanic_ms.shapes.classes import is_plain_class

__all__ = ["named"]


def named(shape: Any, name: str) -> type:
    """A class of that name which says the same as a class of fields or a dict shape.

    Raises:
        TypeError: the shape is another one, or the name cannot be one of a class.
    """
    if not (isinstance(name, str) and name.isidentifier()):
        raise TypeError(f"doc.Object(object_name={name!r}): write a name such as 'City'")
    if isinstance(shape, dict) and all(isinstance(key, str) for key in shape):
        hidden = [key for key in shape if key.startswith("_") or key == "Meta"]
        if hidden:
            raise TypeError(f"doc.Object(object_name={name!r}): {hidden[0]!r} cannot be in a class")
        return type(name, (), {key: _member(value) for key, value in shape.items()})
    if is_plain_class(shape):
        said = {"__doc__": shape.__doc__, "__module__": shape.__module__}
        return type(name, (shape,), said)
    raise TypeError(
        f"doc.Object({shape!r}, object_name=…): its name in the document is its own; object_name= "
        "is for a class of fields or a dict shape"
    )


def _member(value: Any) -> Any:
    # What a class does not take for a shape would be left out of it.
    is_said = hasattr(value, "__shape__") or isinstance(value, type | list | dict | Member)
    return value if is_said or typing.get_origin(value) is not None else Member(value)
