"""Every wrong field of a value, with its path.

msgspec stops at the first error, which is right for speed and wrong for the person who fixes a
form. This walks a refused value along its type and asks msgspec about each leaf. The work is
bounded in nodes, in depth and in errors, as whoever sent the value may mean harm.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
import types
import typing
from collections.abc import Iterator
from decimal import Decimal
from math import isfinite
from typing import Annotated, Any, NotRequired, Required, Union

import msgspec

from sanic_ms.exception import FieldError
from sanic_ms.http.error_types import (
    INVALID,
    MISSING,
    UNKNOWN_FIELD,
    error_params,
    error_type,
    pydantic_error_params,
    pydantic_error_type,
)
from sanic_ms.shapes import UnusableNumber, dec_hook, holds_decimals, unusable_number

__all__ = ["MAX_FIELD_ERRORS", "field_errors", "number_errors", "wire_fields", "with_numbers"]

MAX_FIELD_ERRORS = 100
"""No answer lists more."""

_MAX_NODES = 10_000
_MAX_DEPTH = 40


def field_errors(
    value: Any,
    annotation: Any,
    whole: Exception,
    *,
    strict: bool = True,
    root: str = "body",
) -> list[FieldError]:
    """What is wrong with a plain value that should become a type.

    Args:
        value: Plain data: dict, list, str, int, float, bool, None.
        annotation: What msgspec refused to make of it.
        whole: The error that it raised. Among those found it comes last, unless the walk has found
            the same place.
        strict: False where text stands for numbers, as in a query string.
        root: The name of the whole value in an error about it.

    Returns:
        At least one error, at most `MAX_FIELD_ERRORS`.
    """
    found = _Walk(strict).found(value, annotation)
    first = _first_error(whole)
    if len(found) < MAX_FIELD_ERRORS and not any(_is_within(e.field, first.field) for e in found):
        found.append(first)
    return [error._replace(field=_rooted(error.field, root)) for error in found]


def number_errors(
    value: Any,
    annotation: Any,
    number: UnusableNumber,
    *,
    strict: bool = True,
    root: str = "body",
) -> list[FieldError]:
    """What is wrong with a plain value that msgspec took, although a number in it cannot be used.

    Args:
        value, annotation, strict, root: As in `field_errors`.
        number: The first such number, where a number is all that is wrong.

    Returns:
        Nothing where the value holds no such number: the type's own default does.
    """
    walk = _Walk(strict)
    found = walk.found(value, annotation)
    if not found and walk.nodes > _MAX_NODES:  # it has not seen all
        found = [FieldError(*number)]
    return [error._replace(field=_rooted(error.field, root)) for error in found]


def with_numbers(value: Any, annotation: Any) -> Any:
    """Plain data with each number as its place takes it. The data is changed in place.

    A whole `float` becomes an `int` where that is wanted: 1.0 is an integer to JSON Schema, and so
    to the document, but not to msgspec. A `Decimal` becomes a `float` where none is wanted.
    """
    walk = _Walk(strict=True)
    value = walk.with_numbers(value, annotation, 0)
    # A value too large to be walked along its type is changed without regard to it.
    return value if walk.nodes <= _MAX_NODES else _whole(value)


def _as_floats(value: Any) -> Any:
    """Plain data without a `Decimal`, but for those that no float holds."""
    if isinstance(value, Decimal):
        number = float(value)
        return number if isfinite(number) else value
    if isinstance(value, list):
        return [_as_floats(item) for item in value]
    if isinstance(value, dict):
        return {key: _as_floats(item) for key, item in value.items()}
    return value


def _whole(value: Any) -> Any:
    """Plain data with whole numbers as `int`, as far as a `float` holds them exactly."""
    if isinstance(value, float | Decimal):
        # No `abs`: of a huge `Decimal` it raises.
        return int(value) if -(2**53) <= value <= 2**53 and value == int(value) else value
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return value


class _Walk:
    """One walk over one value; it counts the nodes that it visits."""

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.nodes = 0

    def found(self, value: Any, annotation: Any) -> list[FieldError]:
        """The first errors, at most as many as an answer lists."""
        return [*itertools.islice(self.errors(value, annotation, "", 0), MAX_FIELD_ERRORS)]

    def errors(self, value: Any, annotation: Any, path: str, depth: int) -> Iterator[FieldError]:
        self.nodes += 1
        if self.nodes > _MAX_NODES:
            return
        parts = None if depth == _MAX_DEPTH else self._parts(value, annotation, path)
        if parts is not None:
            # A container is not converted itself: each level would go over all below it again.
            for part in parts:
                if isinstance(part, FieldError):
                    yield part
                else:
                    key, kind, place = part
                    yield from self.errors(value[key], kind, place, depth + 1)
            return
        try:
            made = msgspec.convert(value, annotation, strict=self.strict, dec_hook=dec_hook)
        except msgspec.ValidationError as exc:
            inner = _first_error(exc).field
            yield from _from_cause(exc, path) or [_error(_inside(path, inner), _text(exc))]
        else:
            number = unusable_number(made, annotation)
            if number is not None:
                yield FieldError(_inside(path, number.place), number.message, number.type)

    def with_numbers(self, value: Any, annotation: Any, depth: int) -> Any:
        """See the function of that name."""
        self.nodes += 1
        if self.nodes > _MAX_NODES:
            return value
        parts = None if depth == _MAX_DEPTH else self._parts(value, annotation, "")
        if parts is not None:
            for part in parts:
                if not isinstance(part, FieldError):
                    key, kind, _ = part
                    value[key] = self.with_numbers(value[key], kind, depth + 1)
            return value
        if not isinstance(value, float | Decimal | list | dict):
            return value
        if not holds_decimals(annotation):
            value = _as_floats(value)
        if _fits(value, annotation):
            return value
        whole = _whole(value)
        return whole if _fits(whole, annotation) else value

    def _parts(
        self, value: Any, annotation: Any, path: str
    ) -> Iterator[FieldError | tuple[Any, Any, str]] | None:
        """The parts of a container that fits its type as such: key or index, type and path; None
        for anything else."""
        annotation = _bare(annotation, value)
        origin = typing.get_origin(annotation) or annotation
        arguments = typing.get_args(annotation)
        if isinstance(value, dict):
            fields = wire_fields(annotation)
            if fields is not None:
                return _object_parts(value, annotation, fields, path)
            if origin is dict and len(arguments) == 2:
                return ((key, arguments[1], _join(path, str(key))) for key in value)
        elif isinstance(value, list) and arguments and origin in (list, set, frozenset, tuple):
            if origin is tuple and Ellipsis not in arguments:
                if len(arguments) != len(value):
                    return None
                kinds: Iterator[Any] = iter(arguments)
            else:
                kinds = iter([arguments[0]] * min(len(value), _MAX_NODES))
            return (
                (index, kind, f"{path}[{index}]")
                for index, (_, kind) in enumerate(zip(value, kinds, strict=False))
            )
        return None


def _object_parts(
    value: dict[str, Any], annotation: Any, fields: dict[str, tuple[Any, bool]], path: str
) -> Iterator[FieldError | tuple[Any, Any, str]]:
    for name, (kind, required) in fields.items():
        if name in value:
            yield name, kind, _join(path, name)
        elif required:
            yield FieldError(_join(path, name), "is required", MISSING)
    config = getattr(typing.get_origin(annotation) or annotation, "__struct_config__", None)
    if config is not None and config.forbid_unknown_fields:
        known = {*fields, config.tag_field}
        for name in value:
            if name not in known:
                yield FieldError(_join(path, str(name)), "is not a known field", UNKNOWN_FIELD)


def _from_cause(exc: msgspec.ValidationError, path: str) -> list[FieldError]:
    """The errors of a pydantic model, which come as one exception with all of them."""
    errors = getattr(exc.__cause__, "errors", None)
    found = []
    for entry in errors() if callable(errors) else ():
        inner = path
        for step in entry.get("loc", ()):
            inner = f"{inner}[{step}]" if isinstance(step, int) else _join(inner, str(step))
        kind = pydantic_error_type(str(entry.get("type", INVALID)))
        params = pydantic_error_params(entry.get("ctx") or {})
        found.append(FieldError(inner, entry.get("msg", "is not valid"), kind, params))
    return found


def _first_error(exc: Exception) -> FieldError:
    """msgspec's own error as ours: ``Expected `int`, got `str` - at `$.items[2].price```."""
    match = re.search(r" - at `(?:key in )?\$\.?([^`]*)`$", str(exc))
    return _error(match.group(1) if match else "", _text(exc))


def _error(field: str, sentence: str) -> FieldError:
    return FieldError(field, sentence, error_type(sentence), error_params(sentence))


def _fits(value: Any, annotation: Any) -> bool:
    try:
        msgspec.convert(value, annotation, dec_hook=dec_hook)
    except msgspec.ValidationError:
        return False
    return True


def _is_within(field: str, place: str) -> bool:
    """Whether an error is about a place or something inside it."""
    # What msgspec calls [...] is some key of a dict, which the walk has by its name.
    place = place.partition("[...]")[0]
    return field == place or not place or field.startswith((f"{place}.", f"{place}["))


def _rooted(field: str, root: str) -> str:
    """The whole value has a name of its own, and a list's items stand behind it."""
    return field if field and not field.startswith("[") else root + field


def wire_fields(annotation: Any) -> dict[str, tuple[Any, bool]] | None:
    """Name on the wire -> type and whether it must be there; None for what has no fields."""
    kind = typing.get_origin(annotation) or annotation
    if not isinstance(kind, type):
        return None
    if issubclass(kind, msgspec.Struct):
        # `fields` of a generic alias (Box[int]) has the type variables filled in.
        return {
            entry.encode_name: (entry.type, entry.required)
            for entry in msgspec.structs.fields(annotation)
        }
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind, include_extras=True)
        missing = dataclasses.MISSING
        return {
            entry.name: (
                hints[entry.name],
                entry.default is missing and entry.default_factory is missing,
            )
            for entry in dataclasses.fields(kind)
            if entry.init
        }
    if typing.is_typeddict(kind):
        hints = typing.get_type_hints(kind, include_extras=True)
        required = kind.__required_keys__  # type: ignore[attr-defined]
        return {name: (_unwrap(hint), name in required) for name, hint in hints.items()}
    return None


def _bare(annotation: Any, value: Any) -> Any:
    """The annotation without its wrapping; of a union the member that the value is meant for."""
    annotation = _unwrap(annotation)
    while typing.get_origin(annotation) is Annotated:
        annotation = _unwrap(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) not in (Union, types.UnionType):
        return annotation
    members = [_bare(entry, value) for entry in typing.get_args(annotation)]
    if isinstance(value, dict):
        return _tagged([entry for entry in members if wire_fields(entry) is not None], value)
    lists = [entry for entry in members if typing.get_origin(entry) in (list, set, frozenset)]
    return lists[0] if isinstance(value, list) and len(lists) == 1 else None


def _tagged(objects: list[Any], value: dict[str, Any]) -> Any:
    """Of several kinds of object the one that the value's tag names."""
    if len(objects) == 1:
        return objects[0]
    for entry in objects:
        config = getattr(entry, "__struct_config__", None)
        if config is not None and value.get(config.tag_field) == config.tag:
            return entry
    return None


def _unwrap(annotation: Any) -> Any:
    while typing.get_origin(annotation) in (Required, NotRequired):
        annotation = typing.get_args(annotation)[0]
    return annotation


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _inside(path: str, inner: str) -> str:
    """The path of a place inside another, which may be an item or the place itself."""
    if not inner:
        return path
    return path + inner if inner.startswith("[") else _join(path, inner)


def _text(exc: Exception) -> str:
    """msgspec's sentence without the path: that stands beside it."""
    text = str(exc).partition(" - at `")[0].replace("`", "")
    return text[:1].lower() + text[1:]
