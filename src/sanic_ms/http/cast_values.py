"""Values of the path that Sanic's router has cast, for handlers that are annotated."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from datetime import date, time
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union
from uuid import UUID

import msgspec
from sanic import Request

from sanic_ms.exception import FieldError
from sanic_ms.shapes import dec_hook, describe

__all__ = ["comes_cast", "pass_cast", "written"]

_Reader = Callable[[Request, Mapping[str, Any], list[FieldError]], Any]

# What is written in a path as `str` writes it.
_WRITTEN = (str, int, float, Decimal, UUID, date, time)
_LIMITED = (float, Decimal)  # NaN and infinity are none that a handler asks for
_CHECKED = (list, tuple, set, frozenset)  # by what is in them, where the annotation says that


def comes_cast(annotation: Any, gives: type | None) -> bool:
    """Whether the router gives what a handler asks for, so that nothing is read at a request.

    Args:
        annotation: The handler's.
        gives: The class of what the router's cast returns; None where it does not say. An object
            of the application's own is then taken for what the handler asks for: no text is one.
    """
    if gives is str:
        return False  # it is decoded first
    if annotation in (Any, object):
        return True
    kind = typing.get_origin(annotation) or annotation
    if not isinstance(kind, type) or (kind is not annotation and kind in _CHECKED):
        return False
    if gives is not None and issubclass(gives, _LIMITED):
        return False
    if gives is None:
        return not issubclass(kind, (*_WRITTEN, *_CHECKED, bytes, Enum))
    return issubclass(gives, kind)


def pass_cast(name: str, annotation: Any, read: _Reader) -> _Reader:
    """A reader of one path parameter that hands on what the router has cast.

    A value that is an instance of the annotation is passed as it is. A number, a date and the like
    are read again from their text, and other values converted, where the annotation is another.

    Args:
        name: The parameter's name in the path.
        annotation: The handler's.
        read: Reads it from its text.

    The reader raises `TypeError` where the cast of a pattern never gives what the handler takes.
    """
    classes = _classes(annotation)

    def read_cast(request: Request, path: Mapping[str, Any], errors: list[FieldError]) -> Any:
        value = path.get(name)
        if type(value) is str:  # it is decoded
            return read(request, path, errors)
        if isinstance(value, classes) and not isinstance(value, _LIMITED):
            return value
        value = written(value)
        if value is None or type(value) is str:
            return read(request, path, errors)
        return _converted(name, value, annotation, errors)

    return read_cast


def written(value: Any) -> Any:
    """What the router has cast as its text once more; what no text is, such as a list or an object
    of the application's own, as it is."""
    if isinstance(value, Enum):
        value = value.value
    return str(value) if isinstance(value, _WRITTEN) else value


def _converted(name: str, value: Any, annotation: Any, errors: list[FieldError]) -> Any:
    try:
        return msgspec.convert(value, annotation, strict=False, dec_hook=dec_hook)
    except msgspec.ValidationError as exc:
        if not isinstance(value, _origins(annotation)):
            raise TypeError(
                f"the pattern of the path parameter {name!r} gives a {type(value).__qualname__}, "
                f"and the handler takes {describe(annotation)}"
            ) from exc
        errors.append(FieldError(name, str(exc).partition(" - at ")[0]))
        return None


def _classes(annotation: Any) -> tuple[type, ...]:
    """The classes whose instances are all that an annotation means; none for one with limits."""
    if annotation in (Any, object):
        return (object,)
    if typing.get_origin(annotation) in (Union, UnionType):
        return tuple(kind for entry in typing.get_args(annotation) for kind in _classes(entry))
    is_class = isinstance(annotation, type) and not typing.is_typeddict(annotation)
    return (annotation,) if is_class and annotation is not NoneType else ()


def _origins(annotation: Any) -> tuple[type, ...]:
    """The classes behind an annotation: `list` of ``Annotated[list[int], …]``."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _origins(typing.get_args(annotation)[0])
    if origin in (Union, UnionType):
        return tuple(kind for entry in typing.get_args(annotation) for kind in _origins(entry))
    kind = origin or annotation
    return (kind,) if isinstance(kind, type) else ()
