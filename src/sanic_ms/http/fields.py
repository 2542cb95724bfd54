"""Every wrong field of a value, with its path.

msgspec stops at the first error, which is right for speed and wrong for the person who fixes a
form. This walks a refused value along its type and asks msgspec about each leaf. The work is
bounded in nodes, in depth and in errors, as whoever sent the value may mean harm.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, NotRequired, Required, Union

import msgspec

from sanic_ms.exception import FieldError
from sanic_ms.shapes import dec_hook

__all__ = ["MAX_FIELD_ERRORS", "field_errors", "wire_fields"]

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
    found: list[FieldError] = []
    for error in _Walk(strict).errors(value, annotation, "", 0):
        found.append(error)
        if len(found) == MAX_FIELD_ERRORS:
            break
    first = _first_error(whole)
    if len(found) < MAX_FIELD_ERRORS and not any(_is_within(e.field, first.field) for e in found):
        found.append(first)
    return [error._replace(field=_rooted(error.field, root)) for error in found]


class _Walk:
    """One walk over one value; it counts the nodes that it visits."""

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.nodes = 0

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
                    yield from self.errors(*part, depth + 1)
            return
        try:
            msgspec.convert(value, annotation, strict=self.strict, dec_hook=dec_hook)
        except msgspec.ValidationError as exc:
            inner = _first_error(exc).field
            place = path + inner if inner.startswith("[") else _join(path, inner) if inner else path
            yield from _from_cause(exc, path) or [FieldError(place, _text(exc))]

    def _parts(
        self, value: Any, annotation: Any, path: str
    ) -> Iterator[FieldError | tuple[Any, Any, str]] | None:
        """The parts of a container that fits its type as such, None for anything else."""
        annotation = _bare(annotation, value)
        origin = typing.get_origin(annotation) or annotation
        arguments = typing.get_args(annotation)
        if isinstance(value, dict):
            fields = wire_fields(annotation)
            if fields is not None:
                return _object_parts(value, annotation, fields, path)
            if origin is dict and len(arguments) == 2:
                return ((item, arguments[1], _join(path, str(key))) for key, item in value.items())
        elif isinstance(value, list) and arguments and origin in (list, set, frozenset, tuple):
            if origin is tuple and Ellipsis not in arguments:
                if len(arguments) != len(value):
                    return None
                kinds: Iterator[Any] = iter(arguments)
            else:
                kinds = iter([arguments[0]] * min(len(value), _MAX_NODES))
            return (
                (item, kind, f"{path}[{index}]")
                for index, (item, kind) in enumerate(zip(value, kinds, strict=False))
            )
        return None


def _object_parts(
    value: dict[str, Any], annotation: Any, fields: dict[str, tuple[Any, bool]], path: str
) -> Iterator[FieldError | tuple[Any, Any, str]]:
    for name, (kind, required) in fields.items():
        if name in value:
            yield value[name], kind, _join(path, name)
        elif required:
            yield FieldError(_join(path, name), "is required")
    config = getattr(typing.get_origin(annotation) or annotation, "__struct_config__", None)
    if config is not None and config.forbid_unknown_fields:
        known = {*fields, config.tag_field}
        for name in value:
            if name not in known:
                yield FieldError(_join(path, str(name)), "is not a known field")


def _from_cause(exc: msgspec.ValidationError, path: str) -> list[FieldError]:
    """The errors of a pydantic model, which come as one exception with all of them."""
    errors = getattr(exc.__cause__, "errors", None)
    found = []
    for entry in errors() if callable(errors) else ():
        inner = path
        for step in entry.get("loc", ()):
            inner = f"{inner}[{step}]" if isinstance(step, int) else _join(inner, str(step))
        found.append(FieldError(inner, entry.get("msg", "is not valid")))
    return found


def _first_error(exc: Exception) -> FieldError:
    """msgspec's own error as ours: ``Expected `int`, got `str` - at `$.items[2].price```."""
    match = re.search(r" - at `(?:key in )?\$\.?([^`]*)`$", str(exc))
    return FieldError(match.group(1) if match else "", _text(exc))


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


def _text(exc: Exception) -> str:
    """msgspec's sentence without the path: that stands beside it."""
    text = str(exc).partition(" - at `")[0].replace("`", "")
    return text[:1].lower() + text[1:]
