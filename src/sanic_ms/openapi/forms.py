"""The body of a route whose handler takes fields and files of a form."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator
from types import NoneType, UnionType
from typing import Any, Union

from sanic_ms.openapi.schemas import Schema
from sanic_ms.values.route import DocumentedRoute

__all__ = ["form_body", "without_none"]

_MULTIPART = "multipart/form-data"
_URLENCODED = "application/x-www-form-urlencoded"
_OCTETS = "application/octet-stream"

FieldsOf = Callable[[Any, Any], Iterator[tuple[str | None, Schema, bool]]]
"""Gives name, schema and whether it is required of each field of an object of fields; for any other
type one entry without a name."""


def form_body(route: DocumentedRoute, fields_of: FieldsOf) -> dict[str, Any]:
    """The request body of a route with ``form_types``. A form without files may have both media
    types of HTML forms."""
    properties: dict[str, Schema] = {}
    required: list[str] = []
    encoding: dict[str, Any] = {}
    for name, (type_, default) in route.form_types.items():
        rules = route.files.get(name)
        if rules is None:
            for key, schema, is_required in fields_of(type_, default):
                properties[key or name] = schema
                if is_required:
                    required.append(key or name)
            continue
        properties[name] = _file_schema(type_, rules)
        if rules.content_types:
            encoding[name] = {"contentType": ", ".join(rules.content_types)}
        if default is ...:
            required.append(name)
    whole: Schema = {"type": "object", "properties": properties}
    if required:
        whole["required"] = required
    content: dict[str, Any] = {"schema": whole}
    if encoding:
        content["encoding"] = encoding
    kinds = [_MULTIPART] if route.files else [_URLENCODED, _MULTIPART]
    return {"required": bool(required), "content": dict.fromkeys(kinds, content)}


def _file_schema(type_: Any, rules: Any) -> Schema:
    """``contentMediaType`` is what OpenAPI 3.1 asks for; many tools still look for ``format``."""
    exact = [entry for entry in rules.content_types if not entry.endswith("*")]
    media_type = exact[0] if len(exact) == len(rules.content_types) == 1 else _OCTETS
    schema: Schema = {"type": "string", "format": "binary", "contentMediaType": media_type}
    if rules.max_size is not None:
        schema["description"] = f"at most {rules.max_size} bytes"
    if typing.get_origin(without_none(type_)) is list:
        return {"type": "array", "items": schema, "maxItems": rules.max_count}
    return schema


def without_none(type_: Any) -> Any:
    """A type without the None that it may be: a field that is left out is no value of it."""
    if typing.get_origin(type_) not in (Union, UnionType):
        return type_
    members = [entry for entry in typing.get_args(type_) if entry is not NoneType]
    return Union[tuple(members)]  # noqa: UP007
