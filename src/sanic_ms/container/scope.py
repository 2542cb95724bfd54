"""A scope: what is made for one request or one unit of work, and closed at its end."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Protocol, TypeVar, cast, overload

from sanic_ms.container.generated import GeneratedValue
from sanic_ms.container.providers import Providers, ServiceProvider, name_of
from sanic_ms.container.recipes import Recipe
from sanic_ms.exception import FieldError, LifecycleError
from sanic_ms.shapes.annotations import where
from sanic_ms.values.depends import Depends

__all__ = ["ParameterSource", "RecipeBook", "ServiceScope"]

T = TypeVar("T")


class ParameterSource(Protocol):
    """How values are made in a scope, and what their parameters read from the request."""

    def recipe(self, holder: ServiceProvider | Depends, call: Callable[..., Any]) -> Recipe:
        """How a class or function is called; ``holder`` is what names it."""

    def read(
        self, recipe: Recipe, request: Any, path: Mapping[str, Any], errors: list[FieldError]
    ) -> dict[str, Any]:
        """The arguments that come from the request; what is wrong is added to the errors."""


class RecipeBook:
    """The source of scopes outside of handlers: nothing is read from a request there."""

    def __init__(self, providers: Providers) -> None:
        self._providers = providers
        self._recipes: dict[ServiceProvider | Depends, Recipe] = {}

    def recipe(self, holder: ServiceProvider | Depends, call: Callable[..., Any]) -> Recipe:
        """How a class or function is called."""
        recipe = self._recipes.get(holder)
        if recipe is None:
            recipe = self._providers.recipe(call, isinstance(holder, ServiceProvider))
            self._recipes[holder] = recipe
        return recipe

    def read(
        self, recipe: Recipe, request: Any, path: Mapping[str, Any], errors: list[FieldError]
    ) -> dict[str, Any]:
        """Nothing is read.

        Raises:
            LifecycleError: always.
        """
        names = ", ".join(entry.name for entry in recipe.parameters)
        raise LifecycleError(
            f"{where(recipe.call)} reads {names} from the request: only handlers can ask for it"
        )


class ServiceScope:
    """What is made for one request, or in the block ``async with app.scope() as scope:``.

    Values of request scope are made once in it, and those that yield are closed at its end, in
    reverse order. An exception that ends the block is thrown in at their ``yield``.

    Args:
        providers: What is provided.
        singleton: Gives a singleton.
        source: How values are made.
        request: The request; None outside of one.
        path: The values of its path.
    """

    __slots__ = (
        "_lock",
        "_made",
        "_path",
        "_providers",
        "_request",
        "_singleton",
        "_source",
        "_state",
        "errors",
        "exits",
    )

    def __init__(
        self,
        providers: Providers,
        singleton: Callable[[Any, ServiceProvider], Awaitable[Any]],
        source: ParameterSource,
        request: Any = None,
        path: Mapping[str, Any] | None = None,
    ) -> None:
        self._providers = providers
        self._singleton = singleton
        self._source = source
        self._request = request
        self._path = {} if path is None else path
        self._made: dict[Any, Any] = {}
        self._state = "new"
        self._lock: asyncio.Lock | None = None
        self.exits: AsyncExitStack | None = None
        self.errors: list[FieldError] = []

    # --- for applications ------------------------------------------------------------------------

    async def __aenter__(self) -> ServiceScope:
        if self._state != "new":
            raise LifecycleError("a scope is entered once: app.scope() makes another one")
        self._state = "open"
        self._lock = asyncio.Lock()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._state = "closed"
        await self.close(exc)

    @overload
    async def resolve(self, key: type[T]) -> T: ...
    @overload
    async def resolve(self, key: Depends) -> Any: ...
    async def resolve(self, key: type[T] | Depends) -> Any:
        """A value of a type, or that of a function: ``await scope.resolve(Depends(function))``.

        Raises:
            LifecycleError: outside of the block, or something reads the request and there is none.
            TypeError: the type is not provided.
        """
        if self._state != "open" or self._lock is None:
            raise LifecycleError(
                f"resolve({name_of(key)}): the scope is {self._state}; "
                "write async with app.scope() as scope: …"
            )
        async with self._lock:  # two that ask at once get the same one
            return await self.get(key)

    # --- for the framework -----------------------------------------------------------------------

    async def fill(self, needs: Mapping[str, Any]) -> dict[str, Any]:
        """Values for several parameters."""
        return {name: await self.get(key) for name, key in needs.items()}

    async def get(self, key: Any) -> Any:
        """A value of a type or of a `Depends`.

        Once a parameter of the request is wrong (`errors`), nothing is made any more: the other
        parameters are still read, so that the client hears of all mistakes.

        Raises:
            LifecycleError: something needs the request, and there is none.
            TypeError: the type is not provided.
        """
        if type(key) is Depends:
            return await self._dependency(key)
        provider = self._providers.get(key)
        if provider is None:
            return self._of_request(key)
        if provider.ready:
            return provider.value
        if provider.scope == "singleton":
            return None if self.errors else await self._singleton(key, provider)
        if key not in self._made:
            self._made[key] = await self.make(provider, provider.make)
        return self._made[key]

    def _of_request(self, key: Any) -> Any:
        if not self._providers.is_request(key):
            name = name_of(key)
            raise TypeError(f"no {name} is provided: service.provide({name}, …)")
        if self._request is None:
            raise LifecycleError(
                f"{name_of(key)}: no request is being served here (app.scope(request) has one)"
            )
        return self._request

    async def _dependency(self, key: Depends) -> Any:
        override = self._providers.function(key)
        if override is not None and override.ready:
            return override.value
        if key.cache and key in self._made:
            return self._made[key]
        if override is None:
            value = await self.make(key, key.dependency)
        else:
            value = await self.make(Depends(override.make), override.make)
        if key.cache:
            self._made[key] = value
        return value

    async def make(self, holder: ServiceProvider | Depends, call: Any) -> Any:
        """Call a class or function; None, without a call, where the request has errors."""
        recipe = self._source.recipe(holder, call)
        arguments = {name: await self.get(key) for name, key in recipe.needs}
        if recipe.parameters:
            arguments |= self._source.read(recipe, self._request, self._path, self.errors)
        if self.errors:
            return None
        value = recipe.call(**arguments)
        if recipe.yields:
            return await self._enter(GeneratedValue(recipe.call, value))
        return await value if inspect.isawaitable(value) else value

    async def _enter(self, generated: GeneratedValue) -> Any:
        value = await generated.start()
        if self.exits is None:
            self.exits = AsyncExitStack()
        self.exits.push_async_exit(cast(Any, generated.end))
        return value

    async def close(self, exc: BaseException | None = None) -> None:
        """Close what yields, in reverse order. Again: does nothing.

        Args:
            exc: The exception that ends the scope; it is thrown in, and not raised again here.

        Raises:
            Exception: what has failed while it was closed, after all others were closed.
        """
        exits, self.exits = self.exits, None
        if exits is None:
            return
        if exc is None:
            await exits.aclose()
        else:
            await exits.__aexit__(type(exc), exc, exc.__traceback__)
