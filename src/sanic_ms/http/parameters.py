"""Parameters from the path, the query string, headers, cookies and forms: text to typed values."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from functools import partial
from types import NoneType, UnionType
from typing import Any, Union
from urllib.parse import unquote

import msgspec
from sanic import Request

from sanic_ms.exception import BadRequest, FieldError
from sanic_ms.http.cast_values import comes_cast, pass_cast, written
from sanic_ms.http.error_types import MISSING, NOT_UTF8, REPEATED
from sanic_ms.http.fields import field_errors, number_errors, wire_fields
from sanic_ms.http.query import query_of
from sanic_ms.http.received_form import compile_file, form_of
from sanic_ms.http.text_values import (
    allows_none,
    is_empty,
    nullable_fields,
    require_readable,
    without_empty,
)
from sanic_ms.shapes import (
    Filler,
    dec_hook,
    describe,
    filler,
    number_finder,
    to_type,
)
from sanic_ms.shapes.signature import REQUIRED, Parameter

__all__ = ["Reader", "compile_object", "compile_parameter", "object_fields"]

Reader = Callable[[Request, Mapping[str, Any], list[FieldError]], Any]
"""Takes the request, the path's values and a list to add errors to; gives the value."""

_SEQUENCES = (list, set, frozenset, tuple)


def compile_parameter(parameter: Parameter) -> Reader:
    """A function that reads one scalar, list or page parameter from its part of the request.

    Raises:
        TypeError: its type is one that no text can become.
    """
    if parameter.source == "page":
        return compile_object(parameter.annotation, "query", default=parameter.default)
    if parameter.source == "file":
        return compile_file(parameter)
    name, default = parameter.wire_name, parameter.default
    if parameter.source == "path" and comes_cast(parameter.annotation, parameter.gives):
        return lambda request, path, errors: path.get(name, default)
    # Text is never null; msgspec would take the word "null" for it.
    plain = _without_none(parameter.annotation)
    annotation = to_type(plain, "input")
    if object_fields(annotation) is not None:
        fill, default = filler(annotation), parameter.default
        return compile_object(annotation, parameter.source, fill, default=default)
    require_readable(annotation, f"the parameter {parameter.name!r}", parameter.source)
    # The path takes what the router takes: `<id:int>` has no limit.
    kind = plain if parameter.source == "path" else _within_64_bits(plain)
    take = _TAKERS[parameter.source](name, _is_sequence(kind))
    if parameter.is_encoded:
        take = _from_encoded_path(name)
    where = name if parameter.source != "header" else f"header {name}"
    convert = _converter(kind)
    find_number = number_finder(annotation, floats=True)
    empty_is_none = parameter.source in ("query", "form") and allows_none(parameter.annotation)

    def read(request: Request, path: Mapping[str, Any], errors: list[FieldError]) -> Any:
        raw = take(request, path)
        if raw is None:
            if default is REQUIRED:
                errors.append(FieldError(where, "is required", MISSING))
                return None
            return default
        try:
            value = convert(raw)
        except (msgspec.ValidationError, TypeError):
            if empty_is_none and is_empty(raw):
                return None
            return _convert(raw, kind, where, errors)  # once more, to find all that is wrong
        number = None if find_number is None else find_number(value)
        if number is not None:
            errors.extend(number_errors(raw, kind, number, strict=False, root=where))
        return value

    is_text = parameter.source != "path" or parameter.gives is str
    return read if is_text else pass_cast(name, plain, read)


def compile_object(
    annotation: Any,
    source: str,
    fill: Filler | None = None,
    *,
    default: Any = REQUIRED,
    is_encoded: bool = False,
) -> Reader:
    """A function that reads an object whose fields are the parameters of one part of the request.

    Args:
        annotation: A Struct, a TypedDict, a dataclass or a pydantic model.
        source: The part: ``"query"``, ``"header"``, ``"cookie"``, ``"form"`` or ``"path"``.
        fill: Puts the defaults in where the type itself cannot.
        default: The value where none of the parameters is given.
        is_encoded: The values are percent-encoded, as Sanic leaves parts of the path.

    Raises:
        TypeError: it is none of these, or a field that must be there has a type that no text can
            become.
    """
    fields = object_fields(annotation)
    if fields is None:
        require_readable(annotation, "the object of parameters", source)
        raise TypeError(
            f"{describe(annotation)} has no fields that could be the parameters of the {source}: "
            "declare a Struct, a dataclass or {'name': type}"
        )
    for name, (type_, required) in (wire_fields(annotation) or {}).items():
        if required:
            require_readable(type_, f"the field {name!r} of {describe(annotation)}", source)
    takers = []
    for name, is_list in fields.items():
        wire_name = name.replace("_", "-") if source == "header" else name
        take = _TAKERS[source](wire_name, is_list)
        takers.append((name, _from_encoded_path(name) if is_encoded else take))
    find_number = number_finder(annotation, floats=True)
    nullable = nullable_fields(annotation) if source in ("query", "form") else frozenset()

    def read(request: Request, path: Mapping[str, Any], errors: list[FieldError]) -> Any:
        found = {}
        for name, take in takers:
            raw = take(request, path)
            if raw is not None:
                found[name] = raw
        if not found and default is not REQUIRED:
            return default
        if nullable:
            found = without_empty(found, nullable)
        value = _convert(found, annotation, source, errors)
        if value is None:
            return None
        number = None if find_number is None else find_number(value)
        if number is not None:
            wrong = number_errors(found, annotation, number, strict=False, root=source)
            if wrong:
                errors.extend(wrong)
                return None
        if fill is not None:
            fill(value)
        return value

    return read


def _converter(kind: Any) -> Callable[[Any], Any]:
    """`msgspec.convert` for one type, lenient.

    msgspec looks at a union anew at each call (3.4 µs), but remembers the fields of a Struct (1.3).
    """
    if typing.get_origin(kind) not in (Union, UnionType):
        return partial(msgspec.convert, type=kind, strict=False, dec_hook=dec_hook)
    box: Any = msgspec.defstruct("Box", [("value", kind)])
    return lambda raw: msgspec.convert({"value": raw}, box, strict=False, dec_hook=dec_hook).value


def _convert(raw: Any, kind: Any, where: str, errors: list[FieldError]) -> Any:
    if isinstance(raw, _Unreadable):
        errors.append(FieldError(where, raw.message, raw.type))
        return None
    if isinstance(raw, dict):
        wrong = {name: value for name, value in raw.items() if isinstance(value, _Unreadable)}
        errors.extend(FieldError(name, value.message, value.type) for name, value in wrong.items())
        if wrong:
            return None
    try:
        return msgspec.convert(raw, kind, strict=False, dec_hook=dec_hook)
    except TypeError:  # "sNaN" has no hash, so that no set holds it
        errors.append(FieldError(where, "expected a finite number", "finite_number"))
        return None
    except msgspec.ValidationError as exc:
        for error in field_errors(raw, kind, exc, strict=False, root=where):
            # Everything is text here; "got str" would only puzzle.
            message = error.message.removesuffix(", got str").replace("bool", "true or false")
            errors.append(error._replace(message=message))
        return None


class _Unreadable:
    """What stands for a value that cannot be read, and why."""

    __slots__ = ("message", "type")

    def __init__(self, message: str, type: str) -> None:
        self.message = message
        self.type = type


def _one_or_all(values: list[Any] | None, is_list: bool) -> Any:
    if is_list or not values:
        return values or None
    if len(values) == 1:
        return values[0]
    # Which one is meant is a guess that two servers in a row would make differently.
    return _Unreadable(f"is given {len(values)} times and takes one value", REPEATED)


def _utf8(raw: Any) -> Any:
    """The text or texts of a header, where they are UTF-8: Sanic keeps other bytes as halves of
    surrogates, which no database and no answer takes."""
    for text in raw if type(raw) is list else (raw,):
        if type(text) is str and not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                return _Unreadable("is not text in UTF-8", NOT_UTF8)
    return raw


def _from_query(name: str, is_list: bool) -> Callable[[Request, Mapping[str, Any]], Any]:
    def take(request: Request, path: Mapping[str, Any]) -> Any:
        try:
            query = request.parsed_query  # type: ignore[attr-defined]
        except AttributeError:
            query = query_of(request)
        return _one_or_all(query.get(name), is_list)

    return take


def _from_header(name: str, is_list: bool) -> Callable[[Request, Mapping[str, Any]], Any]:
    def take(request: Request, path: Mapping[str, Any]) -> Any:
        return _utf8(_one_or_all(request.headers.getall(name, None), is_list))

    return take


def _from_cookie(name: str, is_list: bool) -> Callable[[Request, Mapping[str, Any]], Any]:
    def take(request: Request, path: Mapping[str, Any]) -> Any:
        values = request.cookies.getlist(name)
        # A browser sends the cookie of the longer path first (RFC 6265, section 5.4), and no page
        # can keep it from sending both.
        return _utf8(values if is_list else values[0]) if values else None

    return take


def _from_form(name: str, is_list: bool) -> Callable[[Request, Mapping[str, Any]], Any]:
    def take(request: Request, path: Mapping[str, Any]) -> Any:
        return _one_or_all(form_of(request).fields.get(name), is_list)

    return take


def _from_path(name: str, is_list: bool) -> Callable[[Request, Mapping[str, Any]], Any]:
    def take(request: Request, path: Mapping[str, Any]) -> Any:
        # As text again: the router has cast it, and the handler may want another type.
        text = written(path.get(name))
        if (
            type(text) is str and "\ufffd" in text
        ):  # Sanic has decoded it, and puts this in the place of what it cannot
            _decoded(request.raw_url.partition(b"?")[0].decode("latin-1"))
        return text

    return take


def _from_encoded_path(name: str) -> Callable[[Request, Mapping[str, Any]], Any]:
    def take(request: Request, path: Mapping[str, Any]) -> Any:
        text = written(path.get(name))
        return _decoded(text) if type(text) is str and "%" in text else text

    return take


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise BadRequest("the path is not UTF-8") from None


_TAKERS = {
    "query": _from_query,
    "header": _from_header,
    "cookie": _from_cookie,
    "form": _from_form,
    "path": _from_path,
}


_INT64 = typing.Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


def _within_64_bits(annotation: Any) -> Any:
    """The annotation; for an integer without bounds, with those that the document says (int64).

    What is behind a service holds no larger ones: they would come back as an error of the database.
    """
    return _INT64 if annotation is int else annotation


def _is_sequence(annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    if origin in _SEQUENCES or annotation in _SEQUENCES:
        return True
    if origin is None:
        return False
    arguments = typing.get_args(annotation)
    inner = arguments[:1] if origin is typing.Annotated else arguments
    return any(_is_sequence(entry) for entry in inner if entry is not NoneType)


def _without_none(annotation: Any) -> Any:
    if typing.get_origin(annotation) not in (Union, UnionType):
        return annotation
    members = [entry for entry in typing.get_args(annotation) if entry is not NoneType]
    return Union[tuple(members)]  # noqa: UP007


def object_fields(annotation: Any) -> dict[str, bool] | None:
    """Name -> whether it takes a list, for an object; None for anything else."""
    kind = typing.get_origin(annotation) or annotation
    if hasattr(kind, "model_fields"):  # pydantic's, which is not imported here
        return {
            entry.alias or name: _is_sequence(entry.annotation)
            for name, entry in kind.model_fields.items()
        }
    fields = wire_fields(annotation)
    if fields is None:
        return None
    return {name: _is_sequence(type_) for name, (type_, _) in fields.items()}
