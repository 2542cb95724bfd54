"""What is provided: types, where their values come from, and what stands for them in tests."""

from __future__ import annotations

import asyncio
import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from sanic_ms.container.recipes import Recipe, read_recipe
from sanic_ms.values.depends import Depends

__all__ = ["Providers", "Scope", "ServiceProvider", "name_of"]

Scope = Literal["singleton", "request"]


@dataclass(slots=True, eq=False)
class ServiceProvider:
    """Where the values of one type come from.

    Attributes:
        make: The class or function that makes one; None where there is an instance.
        scope: ``"singleton"`` or ``"request"``.
        value: The singleton.
        ready: Whether that is there.
        pending: The task that makes it: two that ask first must get the same one.
    """

    make: Callable[..., Any] | None
    scope: Scope
    value: Any = None
    ready: bool = False
    pending: asyncio.Task[Any] | None = None

    def forget_pending(self, done: asyncio.Future[Any]) -> None:
        """Let the next one who asks try again, also after a failure that nobody waited for."""
        self.pending = None
        if not done.cancelled():
            done.exception()

    def reset(self) -> None:
        """Forget the singleton that was made; an instance that was given stays."""
        if self.make is not None:
            self.value, self.ready, self.pending = None, False, None


class Providers:
    """The types that can be injected.

    Args:
        request_types: The types of requests.
    """

    def __init__(self, request_types: tuple[Any, ...]) -> None:
        self._request_types = request_types
        self._providers: dict[Any, ServiceProvider] = {}
        self._functions: dict[Depends, ServiceProvider] = {}  # what stands for functions in tests
        self.get = self._providers.get

    def __iter__(self) -> typing.Iterator[Any]:
        return iter(list(self._providers))

    def __contains__(self, key: object) -> bool:
        try:
            return key in self._providers
        except TypeError:  # an annotation that cannot be hashed is no type
            return False

    def provide(self, key: Any, value: Any, scope: Scope) -> None:
        """See `Container.provide`."""
        if not isinstance(key, type):
            raise TypeError(f"provide({key!r}): the key is a type")
        if scope not in typing.get_args(Scope):
            raise TypeError(
                f'provide({key.__name__}, scope={scope!r}): a scope is "singleton" or "request"'
            )
        made = key if value is None else value
        if isinstance(made, type) or inspect.isroutine(made):
            self._providers[key] = ServiceProvider(made, scope)
        elif isinstance(made, key):
            self._providers[key] = ServiceProvider(None, scope, made, True)
        elif callable(made):
            self._providers[key] = ServiceProvider(made, scope)
        else:
            raise TypeError(f"provide({key.__name__}): {made!r} is not one and does not make one")

    def is_request(self, key: Any) -> bool:
        """Whether a type is one of requests; ``Request[Shop]`` is."""
        try:
            return (typing.get_origin(key) or key) in self._request_types
        except TypeError:
            return False

    def is_service(self, key: Any) -> bool:
        """Whether a parameter of the type is filled by the container."""
        return key in self or self.is_request(key)

    def is_of_request(self, key: Any) -> bool:
        """Whether a service of the type is made for each request."""
        return key in self and self._providers[key].scope == "request"

    def function(self, key: Depends) -> ServiceProvider | None:
        """What stands for a function of `Depends`; None usually."""
        return self._functions.get(key) if self._functions else None

    def recipe(
        self, call: Callable[..., Any], by_type: bool, path_names: frozenset[str] = frozenset()
    ) -> Recipe:
        """How a class or function is called; see `read_recipe`."""
        return read_recipe(
            call,
            by_type=by_type,
            is_service=self.is_service,
            request_type=self._request_types[0],
            path_names=path_names,
        )

    # --- tests -----------------------------------------------------------------------------------

    def override(self, key: Any, value: Any) -> Callable[[], None]:
        """Let a value stand for a type or for a function of `Depends`.

        Returns:
            A function that undoes it.
        """
        if isinstance(key, Depends):
            key = key.dependency
        if isinstance(key, type):
            return self._override_type(key, value)
        if not callable(key):
            raise TypeError(f"override({key!r}): give a type, or the function of a Depends")
        return self._override_function(key, value)

    def _override_type(self, key: type, value: Any) -> Callable[[], None]:
        known = self._providers.get(key)
        before = dict(self._providers)
        dependents = self._dependents(key)
        self.provide(key, value, "singleton" if known is None else known.scope)
        for entry in dependents:
            provider = before[entry]
            self._providers[entry] = ServiceProvider(provider.make, provider.scope)
        undo_function = self._override_function(key, value)  # Depends(key) calls the class

        def undo() -> None:
            undo_function()
            for entry in (key, *dependents):
                if entry in before:
                    self._providers[entry] = before[entry]
                else:
                    self._providers.pop(entry, None)

        return undo

    def _override_function(self, key: Any, value: Any) -> Callable[[], None]:
        if callable(value) and not (isinstance(key, type) and isinstance(value, key)):
            provider = ServiceProvider(value, "request")
        else:
            provider = ServiceProvider(None, "request", value, True)
        entries = [Depends(key), Depends(key, cache=False)]
        before = {entry: self._functions.get(entry) for entry in entries}
        self._functions.update(dict.fromkeys(entries, provider))

        def undo() -> None:
            for entry, earlier in before.items():
                if earlier is None:
                    self._functions.pop(entry, None)
                else:
                    self._functions[entry] = earlier

        return undo

    def _dependents(self, key: Any) -> list[Any]:
        """The singletons that are made with a type, directly or not: they would keep the value that
        they were made with."""
        found = {key}
        grown = True
        while grown:
            grown = False
            for entry, provider in self._providers.items():
                if entry in found or provider.make is None:
                    continue
                needs = {need for _, need in self.recipe(provider.make, True).needs}
                if needs & found:
                    found.add(entry)
                    grown = True
        return [entry for entry in found if entry is not key]


def name_of(key: Any) -> str:
    """A type or a `Depends`, for messages."""
    return key.name if isinstance(key, Depends) else getattr(key, "__qualname__", None) or repr(key)
