"""The decorator ``@cached``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, ParamSpec, Protocol, TypeVar

from sanic_ms.cache.cache import Cache
from sanic_ms.cache.keys import CallKey, ServiceTypes, formatted, of_request_text
from sanic_ms.cache.policy import DEFAULT_STALE, MOST_LIFE, CachePolicy
from sanic_ms.context import current_service
from sanic_ms.values.handlers import HANDLER_CHECK

__all__ = ["cached"]

P = ParamSpec("P")
R = TypeVar("R")


class _Host(ServiceTypes, Protocol):
    """A service, as far as the decorator knows it."""

    cache: Cache


def cached(
    *,
    ttl: float,
    key: str | Callable[..., str] | None = None,
    tags: Sequence[str] = (),
    stale: float | None = None,
    early: float | None = None,
    none_ttl: float | None = None,
) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]:
    """Cache what an async function, a method of a service or a handler returns.

    The key is the function's name and the values of its declared parameters. ``self``, the request
    and injected services are no part of it. The cache is that of the running service.

    ::

        @cached(ttl=300, tags=["cities", "city:{city_id}"])
        async def city(city_id: int) -> City: ...

    ``city.invalidate(7)`` drops one value, and ``city.key(7)`` gives its key. A value that is read
    from Redis has the type that the function is annotated to return. Do not change a value that
    you got: it is the cached object itself.

    Args:
        ttl: Seconds for which a value is fresh, 5 % more or less.
        key: A text with ``{parameter}`` in it, or a function of the same arguments that gives one.
            Default: all declared values.
        tags: Names by which values are invalidated together; ``{parameter}`` stands for a value.
        stale: Seconds after ``ttl`` for which a value still serves where the function or Redis
            fails. Default: a day, or what is left of 30 days.
        early: The share of ``ttl`` after which a hit calls the function in the background; None:
            never.
        none_ttl: Seconds for which None is kept; None: it is not.

    Raises:
        TypeError, ValueError: an argument is wrong, or what is decorated is no async function.

    A call raises `LifecycleError` where no service runs, and `TypeError` where a value of a
    parameter is no data, or is a service that is made for each request: it may be that of one
    caller. Handlers with such a parameter, or that declare none at all, stop the start of their
    service, unless ``key=`` is given: the response of one caller would be that of others.
    """
    if stale is None:
        stale = min(DEFAULT_STALE, max(0.0, MOST_LIFE - ttl))
    if isinstance(tags, str):
        raise TypeError(f"tags={tags!r}: give a list of texts")
    base = CachePolicy(ttl=ttl, stale=stale, early=early, none_ttl=none_ttl)

    def decorate(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"cached: {function!r} is no async function")
        return _decorated(function, base, CallKey(function, key), tuple(tags), key is not None)

    return decorate


def _decorated(
    function: Callable[P, Awaitable[R]],
    base: CachePolicy,
    keys: CallKey,
    tags: tuple[str, ...],
    has_key: bool,
) -> Callable[P, Awaitable[R]]:
    policies: dict[tuple[str, ...], CachePolicy] = {}

    def policy_of(arguments: dict[str, Any]) -> CachePolicy:
        names = tuple(formatted(tag, arguments) if "{" in tag else tag for tag in tags)
        policy = policies.get(names)
        if policy is None:
            policy = CachePolicy(
                base.ttl, names, base.stale, base.early, base.none_ttl, keys.returned(), keys.name
            )
            if names == tags:  # others have as many as there are values
                policies[names] = policy
        return policy

    def key_of(*args: P.args, **keywords: P.kwargs) -> str:
        """The key of a call."""
        return keys.key(keys.arguments(args, keywords), _service())

    async def invalidate(*args: P.args, **keywords: P.kwargs) -> None:
        """Drop the value of a call."""
        await _service().cache.delete(key_of(*args, **keywords))

    @functools.wraps(function)
    async def wrapper(*args: P.args, **keywords: P.kwargs) -> R:
        service = _service()
        arguments = keys.arguments(args, keywords)
        key = keys.key(arguments, service)
        value: R = await service.cache.load_with(
            key, lambda: function(*args, **keywords), policy_of(arguments)
        )
        return value

    def check(parameters: Collection[str], has_parts: bool, of_request: Sequence[str]) -> None:
        if has_key:
            return
        if has_parts:
            raise TypeError(
                "cached: what a decorator declares (request['data'] and its like) is no part of "
                "the key: take it as parameters, or give key="
            )
        if not parameters:
            raise TypeError(
                "cached: the handler declares no parameters, so all its responses would be one: "
                "declare what it reads, or give key="
            )
        if of_request:
            raise TypeError(f"cached: {of_request_text(of_request[0])}")

    setattr(wrapper, HANDLER_CHECK, check)
    wrapper.key = key_of  # type: ignore[attr-defined]
    wrapper.invalidate = invalidate  # type: ignore[attr-defined]
    return wrapper


def _service() -> _Host:
    service: _Host = current_service()
    return service
