"""The routes of an application: compiled into endpoints, and described for the document."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from urllib.parse import unquote

import msgspec
from sanic import Sanic
from sanic_routing.route import Route

from sanic_ms.container import Container
from sanic_ms.http.endpoint import Endpoint, compile_endpoint
from sanic_ms.http.envelope import Envelope
from sanic_ms.http.request import Request
from sanic_ms.http.static import compile_static
from sanic_ms.http.websockets import compile_websocket, websocket_handler
from sanic_ms.http.wrapping import stand_for
from sanic_ms.shapes import exposed_columns
from sanic_ms.shapes.signature import Parameter, Signature, read_signature, where
from sanic_ms.telemetry.tracing import is_share
from sanic_ms.values.page import Page
from sanic_ms.values.route import DocumentedRoute, RouteSpec, route_spec, template_of

__all__ = ["compile_routes", "describe_routes", "handlers_of", "limit_integers", "whole_number"]


log = logging.getLogger("sanic_ms.http")

_OPERATIONS = "__sanic_ms_operations__"
_ORIGINAL = "__sanic_ms_original__"  # of a handler that stands in its place


@dataclass(frozen=True, slots=True)
class _RouteOperation:
    """One method of one route, as its handler declares it."""

    handler: Callable[..., Any]
    signature: Signature
    spec: RouteSpec


def compile_routes(app: Sanic[Any, Any], *, envelope: Envelope, container: Container) -> None:
    """Replace the handler of each route by its compiled endpoint. Doing it again changes nothing.

    Web sockets get their arguments and services. Static files and streaming handlers answer by
    themselves: they are called as they are, but for what Sanic gets wrong about their paths.

    Raises:
        TypeError: a handler asks for something that nothing gives, or a route declares what is no
            share of its requests to trace.
    """
    warnings: dict[str, None] = {}
    for route in app.router.routes:
        share = getattr(route.ctx, "trace_sample", None)
        if share is not None and not is_share(share):
            raise TypeError(f"/{route.path}: ctx_trace_sample={share!r}: give a number from 0 to 1")
        handler = route.handler
        if _is_ours(route):
            route.handler = _compile(route, envelope, container)
            warnings.update(dict.fromkeys(_exposures(route)))
        elif hasattr(handler, _ORIGINAL):
            pass
        elif hasattr(handler, "is_websocket"):
            route.handler = _compile_websocket(route, container)
        elif getattr(route.extra, "static", False):
            route.handler = compile_static(handler)
        if route.unquote:
            # Sanic would decode paths of other routes as well, by the order of all of them.
            route.unquote = False
            route.handler = _decoded(route.handler)
        if route.handler is not handler:
            setattr(route.handler, _ORIGINAL, getattr(handler, _ORIGINAL, handler))
    for line in warnings:
        log.warning("%s", line)


def _exposures(route: Route) -> Iterator[str]:
    """A line for each body that takes columns of a model which look like the server's own."""
    for operation in getattr(route.handler, _OPERATIONS).values():
        bodies = [e.annotation for e in operation.signature.parameters if e.source == "body"]
        for shape in (operation.spec.body, *bodies):
            for model, columns in exposed_columns(shape).items():
                yield (
                    f"{where(operation.handler)}: the body {model} takes {', '.join(columns)} from "
                    "the client: leave out what is the server's (exclude=), or name what is taken "
                    "(only=, include=)"
                )


def describe_routes(app: Sanic[Any, Any]) -> Iterator[DocumentedRoute]:
    """The compiled routes, one for each path and method, for the OpenAPI document."""
    for route in app.router.routes:
        operations = getattr(route.handler, _OPERATIONS, None)
        if operations is None:
            continue
        for method, operation in sorted(operations.items()):
            if not operation.spec.hidden and method not in ("OPTIONS", "HEAD"):
                yield _describe(app, route, method, operation)


def handlers_of(route: Route) -> dict[str, Callable[..., Any]]:
    """The handler of each method of a route, as the application wrote it."""
    operations = getattr(route.handler, _OPERATIONS, None)
    if operations is None:
        handler = getattr(route.handler, _ORIGINAL, route.handler)
        return dict.fromkeys(sorted(route.methods), handler)
    return {method: operation.handler for method, operation in sorted(operations.items())}


def limit_integers(app: Sanic[Any, Any]) -> None:
    """Let ``<id:int>`` match no number of more than 64 bits: nothing has such an id, and a database
    would fail on it where a 404 is meant."""
    app.router.register_pattern("int", whole_number, r"^-?\d+$")


def whole_number(text: str) -> int:
    """The number of a path's part.

    Raises:
        ValueError: it is none, or has more than 64 bits. Sanic takes the path for another one then.
    """
    value = int(text)
    if -(2**63) <= value < 2**63:
        return value
    raise ValueError(f"{text[:30]} has more than 64 bits")


def _is_ours(route: Route) -> bool:
    handler = route.handler
    return not (
        hasattr(handler, _OPERATIONS)
        or hasattr(handler, "is_websocket")
        or hasattr(handler, "is_stream")
        or getattr(route.extra, "static", False)
        or getattr(route.extra, "stream", False)
    )


def _compile(route: Route, envelope: Envelope, container: Container) -> Endpoint:
    handler = route.handler
    view = getattr(handler, "view_class", None)
    operations = {}
    for method in sorted(route.methods):
        declared = handler if view is None else _view_method(view, method)
        if declared is not None:
            operations[method] = _read(declared, route, container, is_method=view is not None)
    if view is None:
        operation = next(iter(operations.values()))
        endpoint = _compile_one(handler, operation, envelope, container)
    else:
        endpoint = _compile_view(handler, operations, envelope, container)
    endpoint = stand_for(endpoint, handler)
    setattr(endpoint, _OPERATIONS, operations)
    return endpoint


def _read(
    declared: Callable[..., Any], route: Route, container: Container, *, is_method: bool
) -> _RouteOperation:
    path_names = frozenset(param.name for param in route.defined_params.values())
    signature = read_signature(
        declared, path_names, is_service=container.__contains__, is_method=is_method
    )
    is_encoded = not route.unquote  # else `_decoded` has done it
    numbers = {p.name for p in route.defined_params.values() if p.cast is whole_number}
    parameters = tuple(
        _placed(entry, is_encoded, numbers) if entry.source == "path" else entry
        for entry in signature.parameters
    )
    spec = route_spec(_function_of(declared))
    signature = replace(signature, parameters=parameters, path_is_encoded=is_encoded)
    return _RouteOperation(declared, signature, spec)


def _placed(entry: Parameter, is_encoded: bool, numbers: set[str]) -> Parameter:
    is_cast = entry.annotation is int and entry.name == entry.wire_name and entry.name in numbers
    return replace(entry, is_encoded=is_encoded, is_cast=is_cast)


def _decoded(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler of a route that wants the text in its path decoded (``unquote=True``)."""

    def decoded(request: Request, **path: Any) -> Any:
        for name, value in path.items():
            if isinstance(value, str):
                path[name] = unquote(value)
        request._match_info = path.copy()
        return handler(request, **path)

    return stand_for(decoded, handler)


def _compile_websocket(route: Route, container: Container) -> Callable[..., Any]:
    handler = route.handler
    declared = websocket_handler(handler)
    if declared is None:  # it was not registered by Sanic
        return handler
    # The request and the web socket are passed by position, as `self` and the request of a view.
    operation = _read(declared, route, container, is_method=True)
    return compile_websocket(handler, operation.signature, container)


def _function_of(declared: Callable[..., Any]) -> Callable[..., Any]:
    """What can carry a `RouteSpec`: a bound method or a partial cannot, what is behind it can."""
    while isinstance(declared, functools.partial):
        declared = declared.func
    return getattr(declared, "__func__", declared)


def _compile_one(
    call: Callable[..., Any], operation: _RouteOperation, envelope: Envelope, container: Container
) -> Endpoint:
    try:
        return compile_endpoint(
            call, operation.signature, operation.spec, envelope=envelope, container=container
        )
    except TypeError as exc:
        raise TypeError(
            f"{where(operation.handler)}: {exc} (a type that is a service is made known with "
            "service.provide)"
        ) from exc


def _compile_view(
    view: Callable[..., Any],
    operations: dict[str, _RouteOperation],
    envelope: Envelope,
    container: Container,
) -> Endpoint:
    """A class view has a handler for each method; the view makes the instance and calls it."""
    endpoints = {
        method: _compile_one(view, operation, envelope, container)
        for method, operation in operations.items()
    }

    async def endpoint(request: Request, **path: Any) -> Any:
        return await endpoints[request.method](request, **path)

    return endpoint


def _view_method(view: type, method: str) -> Callable[..., Any] | None:
    handler = getattr(view, method.lower(), None)
    if handler is None and method == "HEAD":
        handler = getattr(view, "get", None)
    return handler


def _describe(
    app: Sanic[Any, Any], route: Route, method: str, operation: _RouteOperation
) -> DocumentedRoute:
    spec, signature = operation.spec, operation.signature
    by_source: dict[str, dict[str, tuple[Any, Any]]] = {"path": {}, "query": {}, "header": {}}
    body = spec.body
    pages = any(entry.source == "page" for entry in signature.parameters)
    for entry in signature.parameters:
        if entry.source == "body":
            body = entry.annotation
            spec = replace(spec, body_required=entry.required)
        elif entry.source == "page":
            by_source["query"].update(_page_parameters())
        elif entry.source != "service":
            by_source[entry.source][entry.wire_name] = (entry.annotation, _default(entry))
    casts = {param.name: _cast_of(param) for param in route.defined_params.values()}
    declared = {name: type_ for name, (type_, _) in by_source["path"].items()}
    by_source["path"] = {
        name: by_source["path"].get(name, (cast, ...)) for name, cast in casts.items()
    }
    # "app.users.get_user", "app.users.get_user_example_com": the last part is the handler's name.
    _, _, local = route.name.partition(".")
    group, _, name = local.rpartition(".")
    return DocumentedRoute(
        path=template_of(route),
        methods=(method,),
        name=name if len(route.methods - {"HEAD", "OPTIONS"}) == 1 else f"{name}_{method.lower()}",
        spec=spec,
        path_types=by_source["path"],
        query_types=by_source["query"],
        header_types=by_source["header"],
        # What the route's pattern has let through is always text, and of its own type.
        validates_path=any(type_ not in (str, casts.get(name)) for name, type_ in declared.items()),
        body=body,
        produces=spec.produces if spec.produces is not None else signature.returns,
        paginated=signature.paginated or (pages and signature.returns is None),
        group=group,
        doc=inspect.getdoc(operation.handler) or "",
    )


_CASTS: dict[str, type] = {"int": int, "ymd": date}


def _cast_of(param: Any) -> Any:
    """The type of a path parameter; a few of Sanic's casts are functions."""
    return param.cast if isinstance(param.cast, type) else _CASTS.get(param.label, str)


def _page_parameters() -> dict[str, tuple[Any, Any]]:
    return {entry.name: (entry.type, entry.default) for entry in msgspec.structs.fields(Page)}


def _default(entry: Parameter) -> Any:
    return ... if entry.required else entry.default
