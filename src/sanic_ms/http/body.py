"""The body of a request as the shape that the route declares."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from sanic import Request

from sanic_ms.exception import BadRequest, FieldError, UnsupportedMediaType, ValidationError
from sanic_ms.http.decode import compile_decoder
from sanic_ms.http.fields import field_errors, number_errors
from sanic_ms.http.media import content_type as sent_type
from sanic_ms.http.media import fits, is_json
from sanic_ms.http.parameters import Reader, object_fields
from sanic_ms.http.text_values import nullable_fields, without_empty
from sanic_ms.shapes import dec_hook, describe, filler, number_finder, to_type
from sanic_ms.shapes.signature import REQUIRED

__all__ = ["compile_body", "typed_body"]

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def compile_body(
    shape: Any, content_type: str = "application/json", *, default: Any = REQUIRED
) -> Reader:
    """A function that reads the body.

    Args:
        shape: The declared shape.
        content_type: The media type that the route reads: JSON (any ``…+json`` fits too), or one
            of the two of HTML forms.
        default: The value for a request without a body; default: such a request is refused.

    The function raises `UnsupportedMediaType` for another content type, `BadRequest` for an empty
    body or what cannot be parsed; fields that are wrong go to the list of errors.
    """
    annotation = to_type(shape, "input")
    fill = filler(shape)
    complete = _mentions_dataclass(annotation)
    if content_type in _FORMS:
        decode = _form_decoder(annotation, content_type)
    elif is_json(content_type):
        decode = _json_decoder(annotation)
    else:
        raise TypeError(
            f"a body of {content_type} cannot be read into {describe(shape)}: "
            "declare JSON or a form, or read request.body yourself"
        )
    expected = describe(shape)

    def read(request: Request, path: Mapping[str, Any], errors: list[FieldError]) -> Any:
        if not request.body:
            if default is not REQUIRED:
                return default
            raise BadRequest(f"the body is empty; send {expected} as {content_type}")
        sent = sent_type(request)
        if sent is not None and sent != content_type and not fits(sent, content_type):
            raise UnsupportedMediaType(f"send the body as {content_type}, not as {sent[:100]}")
        try:
            value = decode(request)
        except ValidationError as exc:
            # The other parts of the request may be wrong too: one answer names it all.
            errors.extend(exc.errors)
            return None
        if fill is not None:
            fill(value)
        return _complete(value) if complete else value

    return read


@functools.cache  # one for each type that the program asks for
def typed_body(kind: Any, content_type: str) -> Reader:
    """A function that reads the body as an instance of a type, for a handler that asks by itself.

    Args:
        kind: A Struct, dataclass, TypedDict or pydantic model, or a list of one.
        content_type: As for `compile_body`.

    Raises:
        TypeError: it is no shape, or one whose values are dicts, as those of a Peewee model are.
    """
    is_class = isinstance(kind, type) and typing.get_origin(kind) is None
    if not is_class and typing.get_origin(kind) is None:
        raise TypeError(f"a body is read into a type, and {kind!r} is none")
    if is_class and typing.is_typeddict(to_type(kind, "input")) and not typing.is_typeddict(kind):
        raise TypeError(
            f"a body of {describe(kind)} is a dict, and no {kind.__name__}: declare it with "
            "@doc.consumes and read request['data']"
        )
    return compile_body(kind, content_type)


def _json_decoder(annotation: Any) -> Callable[[Request], Any]:
    decode = compile_decoder(annotation, _required_keys(annotation))
    return lambda request: decode(request.body)


def _form_decoder(annotation: Any, content_type: str) -> Callable[[Request], Any]:
    lists = object_fields(annotation) or {}
    nullable = nullable_fields(annotation)
    find_number = number_finder(annotation, floats=True)

    def decode(request: Request) -> Any:
        # An empty field is the empty text, as in the query string.
        form: Mapping[str, list[Any]] = request.get_form(keep_blank_values=True) or {}
        plain = {
            name: values[0] if len(values) == 1 and not lists.get(name) else values
            for name, values in form.items()
        }
        if nullable:
            plain = without_empty(plain, nullable)
        try:
            value = msgspec.convert(plain, annotation, strict=False, dec_hook=dec_hook)
        except msgspec.ValidationError as exc:
            raise ValidationError(field_errors(plain, annotation, exc, strict=False)) from None
        number = None if find_number is None else find_number(value)
        errors = number and number_errors(plain, annotation, number, strict=False)
        if errors:
            raise ValidationError(errors)
        return value

    return decode


def _mentions_dataclass(annotation: Any) -> bool:
    return dataclasses.is_dataclass(annotation) or any(
        map(_mentions_dataclass, typing.get_args(annotation))
    )


def _complete(value: Any) -> Any:
    """Set the fields of a dataclass that the body left out, also of those inside it.

    msgspec leaves a plain default on the class, where reading finds it and encoding does not: sent
    on, the object would lose the field.
    """
    if isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            _complete(item)
    elif dataclasses.is_dataclass(value):
        present = getattr(value, "__dict__", None)  # one with slots has every field set
        for entry in dataclasses.fields(value):
            inner = getattr(value, entry.name)
            if present is not None and entry.name not in present:
                object.__setattr__(value, entry.name, inner)
            _complete(inner)
    return value


def _required_keys(annotation: Any) -> int:
    """How many keys such a body has at least; 0 where that is not known."""
    if typing.is_typeddict(annotation):
        return len(annotation.__required_keys__)
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        if annotation.__struct_config__.array_like:
            return 0
        return sum(entry.required for entry in msgspec.structs.fields(annotation))
    return 0
