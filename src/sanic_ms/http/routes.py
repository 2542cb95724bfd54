"""The routes of an application: compiled into endpoints, and described for the document."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from sanic import Sanic
from sanic.router import Router
from sanic_routing.route import Route

from sanic_ms.container import Container, Depends
from sanic_ms.http.arguments import explained, place_in_path
from sanic_ms.http.contradictions import check_body, check_decorators, check_produces
from sanic_ms.http.deadlines import route_deadlines, with_deadline
from sanic_ms.http.declarations import (
    declared_spec,
    is_sanic_handler,
    unseen_declarations,
)
from sanic_ms.http.endpoint import Endpoint, compile_endpoint
from sanic_ms.http.envelope import Envelope
from sanic_ms.http.injection import Injection, compile_injection, path_read_by
from sanic_ms.http.path_spelling import check_path
from sanic_ms.http.request import Request
from sanic_ms.http.response_checks import ResponseChecks, RouteChecks
from sanic_ms.http.shielding import shield
from sanic_ms.http.static import compile_static
from sanic_ms.http.sync_handlers import beside_loop
from sanic_ms.http.views import types_in, view_method
from sanic_ms.http.websockets import compile_websocket, websocket_handler
from sanic_ms.http.wrapping import decode_path, stand_for
from sanic_ms.shapes import exposed_columns
from sanic_ms.shapes.decorator_source import forget_sources
from sanic_ms.shapes.signature import (
    Signature,
    UnfilledParameter,
    read_signature,
    where,
)
from sanic_ms.telemetry.tracing import is_share
from sanic_ms.values.path import path_parameters
from sanic_ms.values.route import (
    BODY_MAY_BE_THERE,
    CompiledRoute,
    RouteSpec,
    compiled_route,
    endpoint_of,
    keep_compiled,
    template_of,
)

__all__ = ["RouteOperation", "compile_routes", "operations_of"]

log = logging.getLogger("sanic_ms.http")


@dataclass(frozen=True, slots=True)
class RouteOperation:
    """One method of one route, as its handler declares it.

    Attributes:
        handler: As the application wrote it.
        signature: What it takes and gives.
        spec: What its decorators declare.
        problem: Why it cannot be called on this route; empty where it can.
        injection: Its dependencies; None where it has none.
    """

    handler: Callable[..., Any]
    signature: Signature
    spec: RouteSpec
    problem: str = ""
    injection: Injection | None = None


def compile_routes(
    app: Sanic[Any, Any],
    *,
    envelope: Envelope,
    container: Container,
    checks: ResponseChecks | None = None,
    threads: bool = False,
    deadline: float | None = None,
    dependencies: Sequence[Depends] = (),
) -> None:
    """Compile the handler of each route to an endpoint, which the router then gives in its place.
    Doing it again changes nothing.

    ``route.handler`` stays the application's. Web sockets get their arguments and services. Static
    files and streaming handlers answer by themselves: they are called as they are, but for what
    Sanic gets wrong about their paths.

    Args:
        app: The application.
        envelope: The form of answers.
        container: Where services come from.
        checks: What is done about answers that are not as declared.
        threads: Whether handlers that are plain functions run in threads.
        deadline: Seconds for the work of a request, on routes that declare no other; None: no
            deadline.
        dependencies: Functions that run before all handlers of the application.

    Raises:
        TypeError: a handler asks for something that nothing gives, or a route declares what is no
            share of its requests to trace, or what it cannot have.
    """
    compiler = _RouteCompiler(
        envelope, container, checks or ResponseChecks(), threads, dependencies, deadline
    )
    routes = [route for route in app.router.routes if compiled_route(route) is None]
    for route in routes:
        share = getattr(route.ctx, "trace_sample", None)
        if share is not None and not is_share(share):
            raise TypeError(f"/{route.path}: ctx_trace_sample={share!r}: give a number from 0 to 1")
    compiler.compile(routes)
    _give_endpoints(app.router)


def _give_endpoints(router: Any) -> None:
    """Let a router find endpoints where it would find handlers."""
    # Sanic's own router remembers what this one of its methods has found.
    name = "_get" if type(router).get is Router.get else "get"
    find = getattr(router, name)
    if hasattr(find, "gives_endpoints"):
        return

    @functools.wraps(find)
    def find_endpoint(*args: Any, **keywords: Any) -> tuple[Route, Any, dict[str, Any]]:
        route, handler, params = find(*args, **keywords)
        return route, handler if handler is None else endpoint_of(route), params

    find_endpoint.gives_endpoints = True  # type: ignore[attr-defined]
    setattr(router, name, find_endpoint)


class _RouteCompiler:
    """Compiles routes; its arguments are those of `compile_routes`."""

    def __init__(
        self,
        envelope: Envelope,
        container: Container,
        checks: ResponseChecks,
        threads: bool,
        dependencies: Sequence[Depends],
        deadline: float | None,
    ) -> None:
        self._envelope = envelope
        self._container = container
        self._checks = checks
        self._threads = threads
        self._dependencies = dependencies
        self._deadline = deadline

    def compile(self, routes: list[Route]) -> None:
        """Compile them and remember what comes out.

        Raises:
            TypeError: one cannot be served.
        """
        warnings: list[str] = []
        try:
            operations = []
            for route in routes:
                warnings += check_path(route, _handlers(route))
                operations.append(self._operations(route))
        finally:
            forget_sources()
        warnings += _problems(routes, operations)
        for route, found in zip(routes, operations, strict=True):
            warnings += _warnings(route, found)
            keep_compiled(route, self._compile(route, found))
        for line in dict.fromkeys(warnings):
            log.warning("%s", line)
        notes = (entry.signature.notes for found in operations for entry in found.values())
        for line in dict.fromkeys(chain.from_iterable(notes)):
            log.info("%s", line)

    def compile_again(self, route: Route) -> CompiledRoute:
        """A route that has another handler now."""
        self.compile([route])
        compiled = compiled_route(route)
        assert compiled is not None
        return compiled

    def _operations(self, route: Route) -> dict[str, RouteOperation]:
        """What a handler declares for each method; nothing for one that answers by itself."""
        if not _is_ours(route):
            return {}
        handler = route.handler
        view = getattr(handler, "view_class", None)
        if view is None:
            operation = self._injected(_read(handler, route, self._container), route)
            return dict.fromkeys(sorted(route.methods), operation)
        operations = {}
        for method in sorted(route.methods):
            declared = view_method(view, method)
            if declared is not None:
                operation = _read(
                    declared.function,
                    route,
                    self._container,
                    is_method=declared.takes_self,
                    method=method,
                )
                operations[method] = self._injected(operation, route)
        return operations

    def _injected(self, operation: RouteOperation, route: Route) -> RouteOperation:
        """An operation with its dependencies."""
        injection = compile_injection(
            self._container, route, operation.signature, operation.spec, self._dependencies
        )
        return replace(operation, injection=injection)

    def _compile(self, route: Route, operations: dict[str, RouteOperation]) -> CompiledRoute:
        handler = route.handler
        endpoint: Callable[..., Any] = handler
        if _is_ours(route):
            checks = self._checks.route(template_of(route))
            endpoint = self._endpoint(route, operations, checks)
        elif hasattr(handler, "is_websocket"):
            endpoint = self._websocket(route)
        else:
            if getattr(route.extra, "static", False):
                endpoint = compile_static(handler)
            endpoint = self._guarded(endpoint, route)
        around = getattr(route.extra, "around", None)
        if around is not None:
            endpoint = around(endpoint)
        if route.unquote or getattr(route.extra, "unquotes", False):
            # Sanic would decode paths of other routes as well, by the order of all of them.
            route.unquote, route.extra.unquotes = False, True
            endpoint = decode_path(endpoint)
        if any(entry.signature.takes_files for entry in operations.values()):
            endpoint.is_stream = BODY_MAY_BE_THERE  # type: ignore[union-attr]
        specs = {method: operation.spec for method, operation in operations.items()}
        deadlines = route_deadlines(route, specs, self._deadline)
        return CompiledRoute(handler, endpoint, operations, self.compile_again, deadlines)

    def _guarded(self, handler: Callable[..., Any], route: Route) -> Callable[..., Any]:
        """A handler that answers by itself, behind the functions that run before it."""
        operation = RouteOperation(handler, Signature(), declared_spec(route.handler))
        guard = self._injected(operation, route).injection
        return handler if guard is None else stand_for(guard.guard(handler), handler)

    def _websocket(self, route: Route) -> Callable[..., Any]:
        declared = websocket_handler(route.handler)
        if declared is None:  # it was not registered by Sanic
            return self._guarded(route.handler, route)
        operation = _read(declared, route, self._container, is_websocket=True)
        if operation.problem:
            raise UnfilledParameter(operation.problem)
        for line in operation.signature.warnings:
            log.warning("%s", line)
        injection = self._injected(operation, route).injection
        return compile_websocket(route.handler, operation.signature, injection)

    def _endpoint(
        self,
        route: Route,
        operations: dict[str, RouteOperation],
        checks: RouteChecks,
    ) -> Endpoint:
        handler = route.handler
        if hasattr(handler, "view_class"):
            endpoint = self._view_endpoint(route, operations, checks)
        else:
            endpoint = self._compile_one(handler, next(iter(operations.values())), checks)
        return stand_for(endpoint, handler)

    def _view_endpoint(
        self,
        route: Route,
        operations: dict[str, RouteOperation],
        checks: RouteChecks,
    ) -> Endpoint:
        """A class view has a handler for each method; the view makes the instance and calls it."""
        view = route.handler
        endpoints = {
            method: self._compile_one(view, operation, checks)
            for method, operation in operations.items()
        }
        # A view may answer further methods in ways of its own.
        undeclared = RouteOperation(view, Signature(), declared_spec(view))
        other = self._compile_one(view, self._injected(undeclared, route), checks)
        receiving = {name for name, entry in operations.items() if entry.signature.takes_files}

        async def endpoint(request: Request, **path: Any) -> Any:
            if receiving and request.method not in receiving:
                await request.receive_body()  # Sanic has left it to the view as a whole
            return await endpoints.get(request.method, other)(request, **path)

        return endpoint

    def _compile_one(
        self, call: Callable[..., Any], operation: RouteOperation, checks: RouteChecks
    ) -> Endpoint:
        signature = operation.signature
        if self._threads and not operation.spec.in_loop:
            call = beside_loop(call, operation.handler)
        if signature.shared:
            call = explained(call, signature.shared)
        try:
            endpoint = compile_endpoint(
                call,
                signature,
                operation.spec,
                envelope=self._envelope,
                checks=checks,
                injection=operation.injection,
            )
        except TypeError as exc:
            raise TypeError(
                f"{where(operation.handler)}: {exc} (a type that is a service is made known with "
                "service.provide)"
            ) from exc
        if operation.spec.shielded:
            return shield(endpoint, where(operation.handler))
        return with_deadline(endpoint, operation.spec, self._deadline)


def _problems(routes: list[Route], operations: list[dict[str, RouteOperation]]) -> list[str]:
    """A line for each method of a route that cannot be called there, while the same handler or
    class view serves another one.

    Raises:
        UnfilledParameter: a handler can be called nowhere.
    """
    by_handler: dict[int, list[tuple[Route, str, RouteOperation]]] = {}
    for route, found in zip(routes, operations, strict=True):
        handler = getattr(route.handler, "view_class", route.handler)
        handler = getattr(handler, "__func__", handler)  # a bound method is another one each time
        entries = by_handler.setdefault(id(handler), [])
        entries += [(route, method, operation) for method, operation in found.items()]
    lines = []
    for entries in by_handler.values():
        failing = [entry for entry in entries if entry[2].problem]
        if failing and len(failing) == len(entries):
            raise UnfilledParameter(failing[0][2].problem)
        lines += [
            f"{operation.problem}: {method} /{route.path} will fail with 500"
            for route, method, operation in failing
        ]
    return lines


def _warnings(route: Route, operations: dict[str, RouteOperation]) -> list[str]:
    lines = [*unseen_declarations(route.handler)] if operations else []
    for method, operation in operations.items():
        methods = {method} if hasattr(route.handler, "view_class") else route.methods
        signature, spec = operation.signature, operation.spec
        lines += signature.warnings
        lines += check_body(operation.handler, methods, signature, spec)
        lines += _exposures(operation)
    return lines


def _exposures(operation: RouteOperation) -> Iterator[str]:
    """A line for each body that takes columns of a model which look like the server's own."""
    bodies = [e.annotation for e in operation.signature.parameters if e.source == "body"]
    for shape in (operation.spec.body, *bodies):
        for model, columns in exposed_columns(shape).items():
            yield (
                f"{where(operation.handler)}: the body {model} takes {', '.join(columns)} from "
                "the client: leave out what is the server's (exclude=), or name what is taken "
                "(only=, include=)"
            )


def operations_of(route: Route) -> dict[str, RouteOperation]:
    """What each method of a route has for a handler, and what that declares. A class view is taken
    apart when it is compiled."""
    compiled = compiled_route(route)
    if compiled is not None and compiled.operations:
        return dict(compiled.operations)
    handler = route.handler
    if hasattr(handler, "is_websocket"):
        handler = websocket_handler(handler) or handler
    operation = RouteOperation(handler, Signature(), declared_spec(handler))
    return dict.fromkeys(sorted(route.methods), operation)


def _handlers(route: Route) -> list[Callable[..., Any]]:
    """The functions that serve a route, as the application wrote them."""
    if getattr(route.extra, "static", False):
        return []
    handler = route.handler
    view = getattr(handler, "view_class", None)
    if view is not None:
        methods = (view_method(view, method) for method in sorted(route.methods))
        return [entry.function for entry in methods if entry is not None]
    if hasattr(handler, "is_websocket"):
        handler = websocket_handler(handler) or handler
    return [handler]


def _is_ours(route: Route) -> bool:
    handler = route.handler
    return not (
        hasattr(handler, "is_websocket")
        or hasattr(handler, "is_stream")
        or getattr(route.extra, "static", False)
        or getattr(route.extra, "stream", False)
    )


def _read(
    declared: Callable[..., Any],
    route: Route,
    container: Container,
    *,
    is_method: bool = False,
    is_websocket: bool = False,
    method: str = "",
) -> RouteOperation:
    path = path_parameters(route)
    path_names = frozenset(path)
    view = getattr(route.handler, "view_class", None)
    around = None if view is None else route.handler
    spec = declared_spec(declared, around, method)
    if is_sanic_handler(declared, around):
        return RouteOperation(declared, Signature(path_names=path_names), spec)
    try:
        signature = read_signature(
            declared,
            path_names,
            is_service=container.__contains__,
            is_method=is_method,
            is_websocket=is_websocket,
            around=around,
            scope={} if view is None else types_in(view),
            reads_path=functools.partial(path_read_by, container, route),
        )
    except UnfilledParameter as exc:
        return RouteOperation(declared, Signature(path_names=path_names), spec, str(exc))
    check_decorators(declared, signature, spec, container)
    # What the whole of a class view declares is a default, and no contradiction.
    check_produces(declared, signature, declared_spec(declared))
    is_encoded = not route.unquote  # else `decode_path` has done it
    parameters = place_in_path(signature.parameters, path, is_encoded)
    signature = replace(signature, parameters=parameters, path_is_encoded=is_encoded)
    return RouteOperation(declared, signature, spec)
