"""What a client reads of the data that a handler returns, held against the OpenAPI document."""

from __future__ import annotations

from typing import Any

import msgspec
from jsonschema import Draft202012Validator

from sanic_ms.http.envelope import Envelope
from sanic_ms.openapi import build
from sanic_ms.shapes import projector, to_type
from sanic_ms.values.page import Pagination
from sanic_ms.values.route import DocumentedRoute, RouteSpec

__all__ = ["answered", "input_of", "output"]

PAGE = Pagination(1, 20, 1, 1)


def answered(shape: Any, data: Any, *, paginated: bool = False, strict: bool = True) -> Any:
    """What a client reads of data; the document of the route is held against it."""
    project = projector(shape, strict=strict)
    kept = data if project is None else project(data)
    envelope = Envelope()
    body = envelope.success_page(kept, PAGE) if paginated else envelope.success(kept)
    answer = msgspec.json.decode(body)
    if strict:
        validate(shape, answer, paginated)
    return answer["data"]


def validate(shape: Any, answer: Any, paginated: bool = False) -> None:
    """Hold an answer against the document of a route that declares the shape, where no key may be
    that the document does not show."""
    route = DocumentedRoute("/x", ("GET",), "x", RouteSpec(), produces=shape, paginated=paginated)
    document = build([route], envelope=Envelope(), title="t", version="1")
    pointer = "#/paths/~1x/get/responses/200/content/application~1json/schema"
    closed(document)
    checker = Draft202012Validator.FORMAT_CHECKER
    Draft202012Validator({**document, "$ref": pointer}, format_checker=checker).validate(answer)


def closed(node: Any) -> None:
    """No object of a document takes more keys than it shows."""
    if isinstance(node, dict):
        if node.get("type") == "object" and "properties" in node:
            node.setdefault("additionalProperties", False)
        for value in node.values():
            closed(value)
    elif isinstance(node, list):
        for value in node:
            closed(value)


def output(shape: Any) -> dict[str, Any]:
    """The schema of an object in answers."""
    route = DocumentedRoute("/x", ("GET",), "x", RouteSpec(), produces=shape)
    document = build([route], envelope=Envelope(), title="t", version="1")
    response = document["paths"]["/x"]["get"]["responses"]["200"]
    schema: dict[str, Any] = response["content"]["application/json"]["schema"]
    schema = schema["properties"]["data"]
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def input_of(shape: Any) -> dict[str, Any]:
    """The schema of an object in requests."""
    schema: dict[str, Any] = msgspec.json.schema(to_type(shape, "input"))
    defs = schema.get("$defs", {})
    found: dict[str, Any] = defs[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return found
