"""One route of the document: its parameters, its body, its answers."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from sanic_ms.exception import HTTPError, ValidationError, error_for_status, reason
from sanic_ms.openapi.forms import form_body, without_none
from sanic_ms.openapi.raised import by_status, describe_errors, error_examples
from sanic_ms.openapi.schemas import Schema, Schemas
from sanic_ms.shapes import describe, enc_hook
from sanic_ms.values.page import Pagination
from sanic_ms.values.route import DocumentedRoute, EnvelopeSchema, ResponseSpec

__all__ = ["ERRORS", "Operations"]

ERRORS: dict[int, tuple[str, str]] = {
    400: (
        "BadRequest",
        "the request cannot be understood: broken JSON, no body, a number that the "
        "database does not hold",
    ),
    401: ("Unauthorized", "no credentials, or wrong ones"),
    403: ("Forbidden", "the caller is known and may not do this"),
    404: ("NotFound", "there is no such resource"),
    413: ("PayloadTooLarge", "the body is too large"),
    415: ("UnsupportedMediaType", "the body has another media type than the route reads"),
    422: ("ValidationError", "fields that are not valid, all of them at once"),
    500: ("ServerError", "the service is at fault"),
    504: ("DeadlineExceeded", "the deadline of the request was over before its work was done"),
}
"""The errors that the framework itself answers: name among the shared answers, and meaning."""

_EMPTY = frozenset((204, 205, 304))
_BOUNDS = {"enum", "const", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
_NOT_EMPTY = {"enum", "const", "format", "pattern", "minLength"}
_PLACES = (("path", "path"), ("query", "query"), ("headers", "header"))


class Operations:
    """Draws routes as OpenAPI operations.

    Args:
        schemas: Where their schemas go.
        envelope: The form of answers.
        secured: Whether the document asks for credentials on routes that do not say.
    """

    def __init__(self, schemas: Schemas, envelope: EnvelopeSchema, *, secured: bool) -> None:
        self.schemas = schemas
        self.envelope = envelope
        self.secured = secured
        self.errors: set[int] = set()
        """Statuses of shared answers that an operation refers to."""

    def draw(self, route: DocumentedRoute, operation_id: str) -> dict[str, Any]:
        """The operation object of a route.

        Raises:
            TypeError: one of its shapes is none; the text names the route.
        """
        try:
            return self._draw(route, operation_id)
        except TypeError as exc:
            where = f"{'/'.join(route.methods)} {route.path} ({route.name})"
            raise TypeError(f"{where}: {exc}") from exc

    def _draw(self, route: DocumentedRoute, operation_id: str) -> dict[str, Any]:
        spec = route.spec
        summary, description = _texts(route)
        # Answers before requests: where a name is disputed, the answer keeps it.
        responses = self._responses(route)
        parameters = self._parameters(route)
        operation: dict[str, Any] = {"operationId": operation_id}
        tags = spec.tags or ([route.group] if route.group else [])
        if tags:
            operation["tags"] = list(tags)
        if summary:
            operation["summary"] = summary
        if description:
            operation["description"] = description
        if parameters:
            operation["parameters"] = parameters
        if route.body is not None:
            schema = self.schemas.of(route.body, "input")
            operation["requestBody"] = {
                "required": spec.body_required,
                "content": {spec.content_type: {"schema": schema}},
            }
        elif route.form_types:
            operation["requestBody"] = form_body(route, self._form_fields)
        operation["responses"] = responses
        if spec.deprecated:
            operation["deprecated"] = True
        if spec.security is not None:
            operation["security"] = spec.security
        return operation

    # --- what comes in ----------------------------------------------------------------------------

    def _parameters(self, route: DocumentedRoute) -> list[dict[str, Any]]:
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for name in re.findall(r"\{([^}]*)\}", route.path):
            type_, _ = route.path_types.get(name, (str, ...))
            found["path", name] = _parameter("path", name, self.schemas.of(type_, "input"), True)
        for place, types in (
            ("query", route.query_types),
            ("header", route.header_types),
            ("cookie", route.cookie_types),
        ):
            for name, (type_, default) in types.items():
                schema = self.schemas.of(type_, "input")
                if "properties" in self.schemas.resolve(schema):
                    # An object as a parameter of the handler: its fields are the parameters.
                    for key, inner, required in self._properties(type_):
                        self._add(found, place, key, inner, required and default is ...)
                else:
                    described = _with_default(schema, default)
                    found[place, name] = _parameter(place, name, described, default is ...)
        for attribute, place in _PLACES:
            shape = getattr(route.spec, attribute)
            for name, schema, required in self._properties(shape):
                if place == "path" and ("path", name) not in found:
                    continue  # a key of the shape that this path does not have
                self._add(found, place, name, schema, required or place == "path")
        # In the path's order first, then as declared: what a reader looks for.
        return list(found.values())

    def _form_fields(self, type_: Any, default: Any) -> Iterator[tuple[str | None, Schema, bool]]:
        type_ = without_none(type_)
        schema = self.schemas.of(type_, "input")
        if "properties" in self.schemas.resolve(schema):
            for name, inner, required in self._properties(type_):
                yield name, _of_text(inner), required and default is ...
        else:
            yield None, _of_text(_with_default(schema, default)), default is ...

    @staticmethod
    def _add(
        found: dict[tuple[str, str], dict[str, Any]],
        place: str,
        name: str,
        schema: Schema,
        required: bool,
    ) -> None:
        wire = name.replace("_", "-") if place == "header" else name
        found[place, wire] = _parameter(place, wire, schema, required)

    def _properties(self, shape: Any) -> Iterator[tuple[str, Schema, bool]]:
        if shape is None:
            return
        schema = self.schemas.resolve(self.schemas.of(shape, "input"))
        if schema.get("type") != "object":
            raise TypeError(f"parameters are declared with an object, not with {describe(shape)}")
        required = schema.get("required", ())
        for name, inner in schema.get("properties", {}).items():
            yield name, inner, name in required

    # --- what goes out ----------------------------------------------------------------------------

    def _responses(self, route: DocumentedRoute) -> dict[str, Any]:
        spec = route.spec
        status = spec.produces_status
        main = spec.responses.get(status) or ResponseSpec()
        pagination = route.pagination if route.paginated else None
        responses = {status: self._success(status, main, route.produces, pagination)}
        for code, answer in spec.responses.items():
            if code == status:
                continue
            if code < 400:
                responses[code] = self._success(code, answer, answer.shape, None)
            else:
                responses[code] = self._declared_error(code, answer)
        own = list(self._own_errors(route))
        for code, errors in by_status(spec.raises).items():
            responses[code] = self._raised_errors(code, errors, responses.get(code), code in own)
        for code in own:
            if code not in responses:
                self.errors.add(code)
                responses[code] = {"$ref": f"#/components/responses/{ERRORS[code][0]}"}
        return {str(code): responses[code] for code in sorted(responses)}

    def _success(
        self, status: int, answer: ResponseSpec, shape: Any, pagination: type | None
    ) -> dict[str, Any]:
        out: dict[str, Any] = {"description": answer.description or reason(status)}
        if status in _EMPTY or status < 200:
            return out
        if answer.raw:
            is_text = answer.content_type.startswith("text/")
            schema = {"type": "string"} if is_text else {}
            if shape not in (None, bytes, str):
                schema = self.schemas.of(shape, "output")
            out["content"] = {answer.content_type: {"schema": schema}}
            return out
        data = None if shape is None else self.schemas.of(shape, "output")
        if pagination and data is not None and self.schemas.resolve(data).get("type") != "array":
            data = {"type": "array", "items": data}  # the shape of one row was declared
        drawn = self.envelope.success_schema(data, pagination is not None)
        if pagination not in (None, Pagination) and "pagination" in drawn.get("properties", {}):
            schema = self.schemas.of(pagination, "output")
            drawn = {**drawn, "properties": {**drawn["properties"], "pagination": schema}}
        out["content"] = {self.envelope.content_type: {"schema": drawn}}
        return out

    def _declared_error(self, status: int, answer: ResponseSpec) -> dict[str, Any]:
        if answer.shape is None:
            out = self.shared_error(status)
            return {**out, "description": answer.description or out["description"]}
        schema = self.schemas.of(answer.shape, "output")
        return {
            "description": answer.description or reason(status),
            "content": {answer.content_type: {"schema": schema}},
        }

    def _raised_errors(
        self, status: int, errors: list[HTTPError], declared: dict[str, Any] | None, is_own: bool
    ) -> dict[str, Any]:
        """The answer to errors of one status that a handler raises.

        Args:
            declared: What `doc.response` says of the status.
            is_own: Whether the framework itself answers it on this route.
        """
        first = declared["description"] if declared else ""
        if is_own and not first and error_for_status(status) not in map(type, errors):
            first = ERRORS[status][1]
        schemas = [] if declared is None else [declared["content"]]
        kinds = {isinstance(error, ValidationError) for error in errors}
        if is_own and declared is None:
            kinds.add(status == 422)
        schemas += [self._error_content(kind) for kind in sorted(kinds, reverse=True)]
        content = _any_of(schemas)
        examples = error_examples(errors, self.envelope)
        if examples:
            content[self.envelope.error_content_type]["examples"] = examples
        return {"description": describe_errors(errors, first), "content": content}

    def shared_error(self, status: int) -> dict[str, Any]:
        """The answer to an error in the envelope."""
        return {
            "description": ERRORS[status][1] if status in ERRORS else reason(status),
            "content": self._error_content(status == 422),
        }

    def _error_content(self, validation: bool) -> dict[str, Any]:
        name = "ValidationErrors" if validation else "Error"
        schema = self.schemas.add(name, self.envelope.error_schema(validation))
        return {self.envelope.error_content_type: {"schema": schema}}

    def _own_errors(self, route: DocumentedRoute) -> Iterable[int]:
        """The statuses that the framework itself answers on such a route."""
        spec = route.spec
        yield 500
        if spec.deadline is not None and math.isfinite(spec.deadline):
            yield 504
        if "{" in route.path:
            yield 404
        if route.body is not None or route.form_types:
            yield from (400, 413, 415, 422)
        validated = (
            route.query_types
            or route.header_types
            or route.cookie_types
            or spec.query
            or spec.headers
        )
        if validated or spec.path or route.validates_path:
            yield 422
        if validated or "{" in route.path:
            yield 400  # a value that is valid by itself may still not fit into its column
        if spec.security if spec.security is not None else self.secured:
            yield from (401, 403)


def _any_of(contents: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The contents of a response, one for each media type, that may be any of several."""
    found: dict[str, list[Schema]] = {}
    for content in contents:
        for media_type, entry in content.items():
            schemas = found.setdefault(media_type, [])
            if entry["schema"] not in schemas:
                schemas.append(entry["schema"])
    return {
        media_type: {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}
        for media_type, schemas in found.items()
    }


def _texts(route: DocumentedRoute) -> tuple[str, str]:
    """Summary and description: as declared, or from the docstring."""
    first, _, rest = inspect.cleandoc(route.doc).partition("\n")
    summary = route.spec.summary or first.strip()
    return summary, route.spec.description or rest.strip()


def _parameter(place: str, name: str, schema: Schema, required: bool) -> dict[str, Any]:
    out: dict[str, Any] = {"name": name, "in": place, "required": required}
    plain = _without_null(schema)
    if place == "query" and plain is not schema and not _takes_empty(plain):
        out["allowEmptyValue"] = True  # it is None then
    schema = plain
    if description := schema.get("description"):
        out["description"] = description
        schema = {key: value for key, value in schema.items() if key != "description"}
    # The framework takes no larger numbers there; in the path it takes what the router does.
    out["schema"] = schema if place == "path" else _of_text(schema)
    return out


def _of_text(schema: Schema) -> Schema:
    """The schema of a value that comes as text."""
    schema = _without_null(schema)
    if schema.get("type") == "integer" and not _BOUNDS & schema.keys():
        return {"type": "integer", "format": "int64", **schema}
    return schema


def _takes_empty(schema: Schema) -> bool:
    return schema.get("type") == "string" and not _NOT_EMPTY & schema.keys()


def _without_null(schema: Schema) -> Schema:
    """A parameter is text, or not there: what may be None in Python never comes as null."""
    members = [entry for entry in schema.get("anyOf", ()) if entry != {"type": "null"}]
    if len(members) == len(schema.get("anyOf", ())):
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**members[0], **rest} if len(members) == 1 else {**rest, "anyOf": members}


def _with_default(schema: Schema, default: Any) -> Schema:
    if default is ... or default is None or "default" in schema:
        return schema
    try:
        plain = msgspec.to_builtins(default, enc_hook=enc_hook, str_keys=True)
    except (TypeError, ValueError):
        return schema  # not a value that JSON has
    return {**schema, "default": plain}
