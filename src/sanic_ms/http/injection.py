"""The dependencies of a route: what its handler asks for, and what runs before it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sanic.response import ResponseStream
from sanic_routing.route import Route

from sanic_ms.container import (
    Container,
    Depends,
    GraphCheck,
    Recipe,
    ServiceProvider,
    ServiceScope,
)
from sanic_ms.exception import FieldError, ValidationError
from sanic_ms.http.arguments import (
    ArgumentReader,
    DeclaredParts,
    place_in_path,
    service_types,
)
from sanic_ms.http.parameters import Reader, compile_parameter
from sanic_ms.http.request import Request
from sanic_ms.shapes.signature import Signature
from sanic_ms.values.depends import dependencies_of
from sanic_ms.values.path import path_parameters
from sanic_ms.values.route import RouteSpec, origin_of, template_of

__all__ = ["Injection", "compile_injection", "path_read_by"]

Serve = Callable[[Request, dict[str, Any]], Any]


def compile_injection(
    container: Container,
    route: Route,
    signature: Signature,
    spec: RouteSpec,
    dependencies: Iterable[Depends] = (),
) -> Injection | None:
    """The dependencies of a route's handler; None where it has none.

    Args:
        container: Where services come from.
        route: The route.
        signature: What the handler takes.
        spec: What it declares.
        dependencies: The functions that run before all handlers of the application. Routes that the
            framework has added itself are left out.

    Raises:
        TypeError: something is missing, needs itself, or cannot be read from the request.
    """
    origin = origin_of(route)
    is_own = origin.name.startswith("sanic_ms.") or getattr(route.ctx, "preflight", False)
    guards = [*(() if is_own else dependencies), *dependencies_of(origin.blueprint), *spec.depends]
    needs = service_types(signature)
    if not guards and not needs:
        return None
    try:
        return Injection(container, route, needs, list(dict.fromkeys(guards)))
    except TypeError as exc:
        raise TypeError(f"{template_of(route)}: {exc}") from exc


def path_read_by(container: Container, route: Route, key: Any) -> frozenset[str]:
    """The names of a route's path that a type or a `Depends` reads, with all that it needs.

    Raises:
        TypeError: see `Injection`.
    """
    check = GraphCheck(container.providers, _RouteParameters(container, route))
    check.visit(key)
    return frozenset(entry.wire_name for entry in check.parameters if entry.source == "path")


class Injection:
    """The dependencies of one route.

    Args:
        container: Where services come from.
        route: The route.
        needs: The parameters of its handler that are dependencies: their types or `Depends`.
        guards: Functions that run before, in order; their values are not passed.

    Attributes:
        parameters: What the dependencies read from the request.

    Raises:
        TypeError: something is missing, needs itself, or cannot be read from the request.
    """

    def __init__(
        self,
        container: Container,
        route: Route,
        needs: Mapping[str, Any],
        guards: Sequence[Depends] = (),
    ) -> None:
        self._container = container
        self._needs = needs
        self._guards = guards
        source = _RouteParameters(container, route)
        self._source = source
        check = GraphCheck(container.providers, source)
        check.visit_all([*guards, *needs.values()])
        self.parameters = tuple(check.parameters)

    def bind(
        self,
        call: Callable[..., Any],
        read_all: ArgumentReader | None,
        answer: Callable[[Any, Any], Any],
        declared: frozenset[str] = frozenset(),
    ) -> Serve:
        """A coroutine function that serves a request with its path.

        What yields is closed after the answer was made, and before it is sent: what fails then is
        the answer. A streamed response is sent before.

        Args:
            call: The handler.
            read_all: Reads what it takes besides; None: nothing.
            answer: Makes the answer of what it returns.
            declared: The items of the request that the route declares.
        """

        async def serve(request: Request, path: dict[str, Any]) -> Any:
            scope = self._container.scope(request, path, self._source)
            try:
                arguments = await self._arguments(scope, request, path, read_all, declared)
                value = call(request, **arguments)
                if inspect.isawaitable(value):
                    value = await value
                made = answer(request, value)
                if scope.exits is not None and isinstance(made, ResponseStream):
                    await _stream(made, request)
                    made = None
            except BaseException as exc:
                await scope.close(exc)
                raise
            if scope.exits is not None:
                await scope.close()
            return made

        return serve

    def guard(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        """A handler that answers by itself, behind the functions that run before it."""
        serve = self.bind(handler, None, lambda _, value: value)

        async def endpoint(request: Request, **path: Any) -> Any:
            return await serve(request, path)

        return endpoint

    async def _arguments(
        self,
        scope: ServiceScope,
        request: Request,
        path: dict[str, Any],
        read_all: ArgumentReader | None,
        declared: frozenset[str],
    ) -> dict[str, Any]:
        """The services, and then the parameters: a caller who is not let in by a service is told
        nothing of what is wrong with the rest."""
        if read_all is None:
            services = await self._fill(scope)
            _raise_all(scope.errors)
            return {**path, **services}
        parts = DeclaredParts(request, path, read_all)
        if not declared:
            services = await self._fill(scope)
        else:
            request.declared = declared, parts
            try:
                services = await self._fill(scope)
            finally:
                del request.declared  # nobody else asks for what is not read yet
        if scope.errors:
            try:
                parts.read()
            except ValidationError as exc:
                scope.errors += [entry for entry in exc.errors if entry not in scope.errors]
            _raise_all(scope.errors)
        return {**parts.read(), **services}

    async def _fill(self, scope: ServiceScope) -> dict[str, Any]:
        for guard in self._guards:
            await scope.get(guard)
        services = {}
        ready = self._container.providers.get
        for name, key in self._needs.items():
            provider = ready(key)
            if provider is not None and provider.ready:
                services[name] = provider.value
            else:
                services[name] = await scope.get(key)
        return services


class _RouteParameters:
    """How the dependencies of a route are called, and what they read from its requests."""

    def __init__(self, container: Container, route: Route) -> None:
        self._providers = container.providers
        self._path = path_parameters(route)
        self._is_encoded = not route.unquote
        self._recipes: dict[ServiceProvider | Depends, Recipe] = {}
        self._readers: dict[int, list[tuple[str, Reader]]] = {}  # by the recipe, kept above

    def recipe(self, holder: ServiceProvider | Depends, call: Callable[..., Any]) -> Recipe:
        """How a class or function is called."""
        recipe = self._recipes.get(holder)
        if recipe is None:
            is_provider = isinstance(holder, ServiceProvider)
            recipe = self._providers.recipe(call, is_provider, frozenset(self._path))
            parameters = place_in_path(recipe.parameters, self._path, self._is_encoded)
            recipe = Recipe(recipe.call, recipe.needs, parameters, recipe.yields)
            self._readers[id(recipe)] = [
                (entry.name, compile_parameter(entry)) for entry in parameters
            ]
            self._recipes[holder] = recipe
        return recipe

    def read(
        self, recipe: Recipe, request: Any, path: Mapping[str, Any], errors: list[FieldError]
    ) -> dict[str, Any]:
        """The arguments that come from the request."""
        found: list[FieldError] = []
        values = {name: read(request, path, found) for name, read in self._readers[id(recipe)]}
        errors += [entry for entry in found if entry not in errors]
        return values


def _raise_all(errors: list[FieldError]) -> None:
    if errors:
        raise ValidationError(errors)


async def _stream(response: ResponseStream, request: Request) -> None:
    """Send a streamed response to its end, while its dependencies are open."""
    await response(request)
    await response.eof()
