"""The compiled routes of an application, described for the OpenAPI document."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
from sanic import Sanic
from sanic_routing.route import Route

from sanic_ms.http.routes import RouteOperation
from sanic_ms.shapes.signature import Parameter
from sanic_ms.values.page import PAGINATIONS, Pagination
from sanic_ms.values.path import PathParameter, path_parameters
from sanic_ms.values.route import DocumentedRoute, compiled_route, origin_of, template_of

__all__ = ["describe_routes"]


def describe_routes(app: Sanic[Any, Any]) -> Iterator[DocumentedRoute]:
    """The compiled routes, one for each path and method, for the OpenAPI document."""
    for route in app.router.routes:
        compiled = compiled_route(route)
        if compiled is None:
            continue
        for method, operation in sorted(compiled.operations.items()):
            if operation.problem or operation.spec.hidden:
                continue
            if method not in ("OPTIONS", "HEAD"):
                yield _describe(app, route, method, operation)


def _describe(
    app: Sanic[Any, Any], route: Route, method: str, operation: RouteOperation
) -> DocumentedRoute:
    spec, signature = operation.spec, operation.signature
    by_source: dict[str, dict[str, tuple[Any, Any]]] = defaultdict(dict)
    files = {e.wire_name: e.rules for e in signature.parameters if e.source == "file"}
    body = spec.body
    pagination = signature.pagination
    for entry in signature.parameters:
        if entry.source == "body":
            body = entry.annotation
            spec = replace(spec, body_required=entry.required)
        elif entry.source == "page":
            by_source["query"].update(_page_parameters(entry.annotation))
            if signature.returns is None:
                pagination = PAGINATIONS[entry.annotation]
        elif entry.source != "service":
            source = "form" if entry.source == "file" else entry.source
            by_source[source][entry.wire_name] = (entry.annotation, _default(entry))
    for entry in () if operation.injection is None else operation.injection.parameters:
        if entry.source == "page":
            by_source["query"].update(_page_parameters(entry.annotation))
        else:  # what the handler says of the same one counts
            shape = (entry.annotation, _default(entry))
            by_source[entry.source].setdefault(entry.wire_name, shape)
    path = path_parameters(route)
    declared = {name: type_ for name, (type_, _) in by_source["path"].items()}
    shapes = {name: _path_shape(entry, declared.get(name, Any)) for name, entry in path.items()}
    by_source["path"] = {name: (shape, ...) for name, shape in shapes.items()}
    origin = origin_of(route)
    name = origin.name
    return DocumentedRoute(
        path=template_of(route),
        methods=(method,),
        name=name if len(route.methods - {"HEAD", "OPTIONS"}) == 1 else f"{name}_{method.lower()}",
        spec=spec,
        path_types=by_source["path"],
        query_types=by_source["query"],
        header_types=by_source["header"],
        cookie_types=by_source["cookie"],
        form_types=by_source["form"],
        files=files,
        # What the route's pattern has let through is always text, and of its own type.
        validates_path=any(
            type_ not in (str, Any, path[name].gives) for name, type_ in declared.items()
        ),
        body=body,
        produces=spec.produces if spec.produces is not None else signature.returns,
        paginated=pagination is not None,
        pagination=pagination or Pagination,
        group=origin.group,
        doc=inspect.getdoc(operation.handler) or "",
    )


def _path_shape(entry: PathParameter, declared: Any) -> Any:
    """The shape of a path parameter's text: the handler's, where that reads the text itself."""
    reads_text = entry.gives is str or entry.gives is entry.shape
    return declared if reads_text and declared not in (str, Any) else entry.shape


def _page_parameters(page: Any) -> dict[str, tuple[Any, Any]]:
    return {entry.name: (entry.type, entry.default) for entry in msgspec.structs.fields(page)}


def _default(entry: Parameter) -> Any:
    return ... if entry.required else entry.default
