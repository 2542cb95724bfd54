"""Types of one value, which text of a query string can become, and lists of those."""

from __future__ import annotations

import types
import typing
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Union
from uuid import UUID

__all__ = ["is_scalar", "type_of_default"]

_SCALARS = (str, int, float, bool, bytes, Decimal, UUID, datetime, date, time, timedelta)
_LISTS = (list, set, frozenset, tuple)


def is_scalar(annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is Annotated:
        return is_scalar(arguments[0])
    if hasattr(annotation, "__supertype__"):  # a NewType
        return is_scalar(annotation.__supertype__)
    if origin is Literal:
        return True
    if origin in (Union, types.UnionType):
        return all(entry is type(None) or is_scalar(entry) for entry in arguments)
    if origin in _LISTS:
        return all(entry is Ellipsis or is_scalar(entry) for entry in arguments)
    if annotation in _LISTS:
        return True  # without a word about its items, which are text then
    return isinstance(annotation, type) and issubclass(annotation, (*_SCALARS, Enum))


def type_of_default(value: Any) -> Any:
    """The annotation that a default stands for: ``limit=10`` is ``limit: int = 10``.

    None where it stands for none: `None` itself, a list and any other object say nothing of the
    text that would come.
    """
    return type(value) if isinstance(value, (*_SCALARS, Enum)) else None
