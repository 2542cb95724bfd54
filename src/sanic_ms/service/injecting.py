"""Dependency injection of a service: what is provided, resolved, and run before handlers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

from sanic import Sanic

from sanic_ms.container import Container, Depends, Scope, ServiceScope
from sanic_ms.exception import LifecycleError
from sanic_ms.values.depends import as_dependencies
from sanic_ms.values.route import compiled_route

if TYPE_CHECKING:
    from sanic_ms.lifecycle import Lifecycle

__all__ = ["InjectingSanic"]

T = TypeVar("T")


class InjectingSanic(Sanic[Any, Any]):
    """``app.provide``, ``app.resolve``, ``app.scope``, ``app.depends`` and ``app.override``."""

    __slots__ = ()
    container: Container
    lifecycle: Lifecycle
    _dependencies: Sequence[Depends]

    def provide(self, key: type[T], value: Any = None, *, scope: Scope = "singleton") -> None:
        """Make a type injectable; see `Container.provide`."""
        self.container.provide(key, value, scope=scope)

    async def resolve(self, key: type[T]) -> T:
        """A singleton by its type: in listeners, background tasks, jobs and tests.

        Args:
            key: The type.

        Raises:
            LifecycleError: it is made for each request (a handler takes it as a parameter, other
                code uses `scope`), or the service has stopped.
            TypeError: the type is not provided.
        """
        return await self.container.resolve(key)

    def scope(self, request: Any = None) -> ServiceScope:
        """What handlers get, for one unit of work outside of them: ``async with app.scope() as
        scope: users = await scope.resolve(UserRepository)``.

        What has the scope of a request is made once in the block. What yields is closed at its end;
        an exception that ends the block is thrown in.

        Args:
            request: The request, for what asks for it. Default: there is none.
        """
        return self.container.scope(request)

    def depends(self, *functions: Callable[..., Any] | Depends) -> None:
        """Run functions before every handler of the application; see `sanic_ms.doc.depends`.

        Static files, streaming handlers and web sockets count. The framework's own routes (docs,
        metrics, health, preflights of CORS) do not.

        Raises:
            TypeError: none is given, or one cannot be called.
            LifecycleError: the routes are compiled already.
        """
        added = as_dependencies("depends", functions)
        if any(compiled_route(route) is not None for route in self.router.routes):
            raise LifecycleError(
                "app.depends: the routes are compiled already; call it before the start, compile() "
                "and openapi()"
            )
        self._dependencies = (*self._dependencies, *added)

    def override(self, key: Any, value: Any) -> AbstractContextManager[None]:
        """Let something stand for a type, or for a function of `Depends`, in the block, for tests:
        ``with app.override(current_user, User("ann")):``. See `Container.override`."""
        return self.container.override(key, value)

    async def _stop_components(self) -> None:
        """Close the singletons, and then the pools that they use."""
        try:
            await self.container.close(self.lifecycle.stop_timeout)
        finally:
            await self.lifecycle.stop()
