"""Dependency injection by type: a handler that asks for a `UserRepository` gets one.

A type is given as an instance, as a class, or by a function that makes it; what the class or the
function takes is found the same way, by its annotations. The graph is checked when the service
starts, so that nothing is missing or circular at a request.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from sanic_ms.context import RequestContext

__all__ = ["Container", "Scope"]

Scope = Literal["singleton", "request"]

T = TypeVar("T")


@dataclass(slots=True)
class _Provider:
    make: Callable[..., Any] | None
    scope: Scope
    value: Any = None
    ready: bool = False
    # Two requests that ask for a singleton first must get the same one.
    pending: asyncio.Future[Any] | None = None

    def forget_pending(self, done: asyncio.Future[Any]) -> None:
        """One that failed is made again for the next who asks, also when nobody waits any more."""
        self.pending = None
        if not done.cancelled():
            done.exception()


class Container:
    """The types that can be injected, and how each is made.

    Args:
        request_types: Types by which something of request scope asks for the request itself.
    """

    def __init__(self, request_types: tuple[Any, ...] = (RequestContext,)) -> None:
        self._providers: dict[Any, _Provider] = {}
        self._request_types = request_types

    def provide(self, key: type[T], value: Any = None, *, scope: Scope = "singleton") -> None:
        """Say where values of a type come from. A later call for the same type replaces it.

        Args:
            key: The type that handlers ask for by annotation.
            value: An instance of it; or a class or function, sync or async, that makes one and
                whose annotated parameters are injected in turn. Default: ``key`` itself.
            scope: ``"singleton"``: made once, at first use. ``"request"``: made for each request.

        Raises:
            TypeError: ``key`` is not a type, or ``value`` neither is nor makes one.
        """
        if not isinstance(key, type):
            raise TypeError(f"provide({key!r}): the key is a type")
        made = key if value is None else value
        if isinstance(made, type) or inspect.isroutine(made):
            if inspect.isasyncgenfunction(made) or inspect.isgeneratorfunction(made):
                raise TypeError(f"provide({key.__name__}): {made.__name__} yields; return instead")
            self._providers[key] = _Provider(made, scope)
        elif isinstance(made, key):
            self._providers[key] = _Provider(None, scope, made, True)
        else:
            raise TypeError(f"provide({key.__name__}): {made!r} is not one and does not make one")

    def __contains__(self, key: object) -> bool:
        try:
            return key in self._providers
        except TypeError:  # an annotation that cannot be hashed is no type
            return False

    def injects(self, annotation: Any) -> bool:
        """Whether a parameter of this type gets a service or the request."""
        return annotation in self or self._is_request(annotation)

    def check(self) -> None:
        """Go through the whole graph.

        Raises:
            TypeError: something that is taken is not provided, or takes itself. The text shows
                the way there.
        """
        checked: set[Any] = set()
        for key in self._providers:
            self._check(key, (), checked)

    async def get(self, key: type[T], request: Any = None) -> T:
        """A value of a type, for a request where its scope is that of a request.

        Raises:
            TypeError: the type is not provided, or needs a request and there is none.
        """
        return typing.cast(T, await self._get(key, request, {}))

    async def fill(self, needs: Mapping[str, Any], request: Any = None) -> dict[str, Any]:
        """Values for several parameters at once; what has the scope of a request is made once."""
        made: dict[Any, Any] = {}
        return {name: await self._get(key, request, made) for name, key in needs.items()}

    async def _get(self, key: Any, request: Any, made: dict[Any, Any]) -> Any:
        provider = self._providers.get(key)
        if provider is None:
            if request is not None and self._is_request(key):
                return request
            raise TypeError(f"no {_name(key)} is provided: service.provide({_name(key)}, …)")
        if provider.ready:
            return provider.value
        if provider.scope == "request":
            if key not in made:
                made[key] = await self._make(provider, request, made)
            return made[key]
        return await self._singleton(provider)

    async def _singleton(self, provider: _Provider) -> Any:
        if provider.pending is None or provider.pending.done():

            async def create() -> Any:
                value = await self._make(provider, None, {})
                provider.value, provider.ready = value, True
                return value

            # A task of its own: the request that asked first may be cancelled while others wait.
            provider.pending = asyncio.ensure_future(create())
            provider.pending.add_done_callback(provider.forget_pending)
        return await asyncio.shield(provider.pending)

    async def _make(self, provider: _Provider, request: Any, made: dict[Any, Any]) -> Any:
        assert provider.make is not None
        arguments = {}
        for name, key in _needs(provider.make).items():
            arguments[name] = await self._get(key, request, made)
        value = provider.make(**arguments)
        return await value if inspect.isawaitable(value) else value

    def _is_request(self, key: Any) -> bool:
        """Whether a type is one of requests; ``Request[Shop]`` is."""
        return (typing.get_origin(key) or key) in self._request_types

    def _check(self, key: Any, path: tuple[Any, ...], checked: set[Any]) -> None:
        way = " -> ".join(_name(entry) for entry in (*path, key))
        if key in path:
            raise TypeError(f"{way}: a circle")
        provider = self._providers.get(key)
        of_request = self._is_request(key) if provider is None else provider.scope == "request"
        if provider is None and not of_request:
            raise TypeError(f"{way}: no {_name(key)} is provided")
        if path and of_request and self._providers[path[-1]].scope == "singleton":
            raise TypeError(f"{way}: a singleton would keep the {_name(key)} of one request")
        if provider is not None and provider.make is not None and key not in checked:
            for needed in _needs(provider.make).values():
                self._check(needed, (*path, key), checked)
        checked.add(key)


@functools.cache
def _needs(make: Callable[..., Any]) -> dict[str, Any]:
    """The parameters that have no default, with the types that they ask for."""
    function = make.__init__ if isinstance(make, type) else make  # type: ignore[misc]
    if function is object.__init__:
        return {}
    try:
        hints = typing.get_type_hints(function)
    except Exception as exc:
        raise TypeError(f"{_name(make)}: an annotation cannot be resolved: {exc}") from exc
    needs = {}
    for name, parameter in inspect.signature(make).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.default is not parameter.empty:
            continue
        if name not in hints:
            raise TypeError(f"{_name(make)}: the parameter {name!r} has no annotation")
        needs[name] = hints[name]
    return needs


def _name(key: Any) -> str:
    return getattr(key, "__qualname__", None) or repr(key)
