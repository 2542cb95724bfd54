"""The container of a service: its types, its singletons, and the scopes of its requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from sanic_ms.awake import wait_awake
from sanic_ms.container.graph import GraphCheck
from sanic_ms.container.providers import Providers, Scope, ServiceProvider, name_of
from sanic_ms.container.scope import ParameterSource, RecipeBook, ServiceScope
from sanic_ms.context import RequestContext
from sanic_ms.exception import LifecycleError
from sanic_ms.values.depends import Depends

__all__ = ["Container"]

log = logging.getLogger("sanic_ms.container")

T = TypeVar("T")


class Container:
    """The types that can be injected, and how each is made.

    Args:
        request_types: Types by which something of request scope asks for the request itself; the
            first is also that of a parameter ``request`` without an annotation.
    """

    def __init__(self, request_types: tuple[Any, ...] = (RequestContext,)) -> None:
        self.providers = Providers(request_types)
        self._recipes = RecipeBook(self.providers)
        self._made: list[tuple[str, ServiceScope]] = []  # the singletons that yield
        self._closed = False

    def provide(self, key: type[T], value: Any = None, *, scope: Scope = "singleton") -> None:
        """Say where values of a type come from. A later call for the same type replaces it.

        Args:
            key: The type that handlers ask for by annotation.
            value: An instance of it; or a class or function that makes one and whose annotated
                parameters are injected in turn. A function may be sync or async, and may yield the
                value: what stands behind the ``yield`` is run when it is no longer needed.
                Default: ``key`` itself.
            scope: ``"singleton"``: made once, at first use. ``"request"``: made for each request.

        Raises:
            TypeError: ``key`` is not a type, or ``value`` neither is nor makes one.
        """
        self.providers.provide(key, value, scope)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, Depends) or key in self.providers

    @contextmanager
    def override(self, key: Any, value: Any) -> Iterator[None]:
        """Let something stand for a type or a function of `Depends` in the block, for tests.

        Singletons that need the type are made anew in the block, and again after it.

        Args:
            key: The type, or the function.
            value: For a type what `provide` takes. For a function one that is called in its place,
                or the value itself.

        Raises:
            TypeError: it does not fit.
        """
        undo = self.providers.override(key, value)
        try:
            yield
        finally:
            undo()

    # --- checks ----------------------------------------------------------------------------------

    def check(self, keys: Iterable[Any] | None = None, *, has_request: bool = True) -> None:
        """Go through the whole graph.

        Args:
            keys: What is needed besides: types, or `Depends`. Default: everything provided.
            has_request: Whether there will be a request.

        Raises:
            TypeError: something that is taken is not provided, or takes itself, or a singleton
                takes what belongs to one request. The text shows the path.
        """
        check = GraphCheck(self.providers, self._recipes, has_request=has_request)
        check.visit_all(self.providers if keys is None else keys)

    # --- values ----------------------------------------------------------------------------------

    async def resolve(self, key: type[T]) -> T:
        """A singleton, made if it is not there yet.

        Raises:
            LifecycleError: it is made for each request, or the service has stopped.
            TypeError: the type is not provided.
        """
        provider = None if isinstance(key, Depends) else self.providers.get(key)
        if provider is None and not isinstance(key, Depends) and not self.providers.is_request(key):
            raise TypeError(f"no {name_of(key)} is provided: service.provide({name_of(key)}, …)")
        if provider is None or provider.scope == "request":
            raise LifecycleError(
                f"{name_of(key)} is made for each request: take it as a parameter of the handler, "
                "or write async with app.scope() as scope: await scope.resolve(…)"
            )
        self._require_open(key)
        value = provider.value if provider.ready else await self._singleton(key, provider)
        return cast(T, value)

    def scope(
        self,
        request: Any = None,
        path: Mapping[str, Any] | None = None,
        source: ParameterSource | None = None,
    ) -> ServiceScope:
        """A scope: what is made in it is closed at its end.

        Args:
            request: The request; None outside of one.
            path: The values of its path.
            source: How values are made. Default: without reading the request.
        """
        return ServiceScope(self.providers, self._singleton, source or self._recipes, request, path)

    async def _singleton(self, key: Any, provider: ServiceProvider) -> Any:
        if provider.pending is None or provider.pending.done():
            self._require_open(key)
            # A task of its own: the request that asked first may be cancelled while others wait.
            provider.pending = asyncio.ensure_future(self._create(key, provider))
            provider.pending.add_done_callback(provider.forget_pending)
        return await asyncio.shield(provider.pending)

    async def _create(self, key: Any, provider: ServiceProvider) -> Any:
        scope = self.scope()
        value = await scope.make(provider, provider.make)
        if scope.exits is not None:
            self._made.append((name_of(key), scope))
        provider.value, provider.ready = value, True
        return value

    def _require_open(self, key: Any) -> None:
        if self._closed:
            raise LifecycleError(f"{name_of(key)}: the service has stopped")

    # --- life ------------------------------------------------------------------------------------

    def open(self) -> None:
        """Make singletons again after `close`, for a service that is started again."""
        self._closed = False

    async def close(self, timeout: float = 10.0) -> None:
        """Close the singletons that yield, in reverse order, and forget all that were made. One
        that fails is logged and the others are closed. Again: does nothing.

        Args:
            timeout: Seconds that one may take before it is cancelled. Default 10.
        """
        self._closed = True
        made = [self.providers.get(key) for key in self.providers]
        pending = [entry.pending for entry in made if entry and entry.pending]
        await _cancel(pending)
        while self._made:
            name, scope = self._made.pop()
            await _end(name, scope.close, timeout)
        for entry in made:
            if entry is not None:
                entry.reset()


async def _cancel(tasks: list[asyncio.Task[Any]]) -> None:
    """Cancel what is being made, and wait for its end."""
    loop = asyncio.get_running_loop()
    tasks = [task for task in tasks if task.get_loop() is loop and not task.done()]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


async def _end(name: str, close: Callable[[], Any], timeout: float) -> None:
    ending = asyncio.ensure_future(close())
    done, _ = await wait_awake([ending], timeout)
    if not done:
        ending.cancel()
        log.error("%s did not close within %g s", name, timeout)
    elif ending.cancelled() or ending.exception() is not None:
        log.error(
            "%s failed to close: %r", name, None if ending.cancelled() else ending.exception()
        )
