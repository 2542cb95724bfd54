"""Dependency injection by type."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from sanic_ms.container import Container
from sanic_ms.context import RequestContext


class Clock:
    """Needs nothing."""


class Repository:
    """Needs a clock."""

    def __init__(self, clock: Clock, limit: int = 3) -> None:
        self.clock = clock
        self.limit = limit


class Current:
    """Belongs to one request."""

    def __init__(self, request: RequestContext, clock: Clock) -> None:
        self.request = request
        self.clock = clock


async def test_a_graph_is_built_by_annotations() -> None:
    """What a class takes is found the same way; parameters with a default keep it."""
    container = Container()
    container.provide(Clock)
    container.provide(Repository)
    container.check()
    repository = await container.resolve(Repository)
    assert repository.clock is await container.resolve(Clock)
    assert repository.limit == 3


async def test_a_singleton_is_made_once_however_many_ask_first() -> None:
    """Two requests at the same moment share it, also when one of them goes away."""
    made = 0

    async def make() -> Clock:
        nonlocal made
        made += 1
        await asyncio.sleep(0)
        return Clock()

    container = Container()
    container.provide(Clock, make)
    first = asyncio.create_task(container.resolve(Clock))
    others = [asyncio.create_task(container.resolve(Clock)) for _ in range(5)]
    await asyncio.sleep(0)
    first.cancel()
    clocks = await asyncio.gather(*others)
    assert made == 1
    assert len(set(map(id, clocks))) == 1
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_singleton_that_failed_is_tried_again() -> None:
    """The first failure is the first caller's; the next may have more luck."""
    attempts = 0

    def make() -> Clock:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise OSError("not yet")
        return Clock()

    container = Container()
    container.provide(Clock, make)
    with pytest.raises(OSError, match="not yet"):
        await container.resolve(Clock)
    assert isinstance(await container.resolve(Clock), Clock)


async def test_a_failure_that_nobody_waited_for_is_not_kept() -> None:
    """The next who asks starts anew."""
    made = 0

    async def make() -> Clock:
        nonlocal made
        made += 1
        await asyncio.sleep(0)
        if made == 1:
            raise OSError("not yet")
        return Clock()

    container = Container()
    container.provide(Clock, make)
    first = asyncio.create_task(container.resolve(Clock))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    while made == 1:
        with contextlib.suppress(OSError):
            assert isinstance(await container.resolve(Clock), Clock)


def test_a_graph_of_diamonds_is_checked_once() -> None:
    """Thirty levels that each take the one below twice are not a billion checks."""
    container = Container()
    below: type = Clock
    container.provide(Clock)
    for _ in range(30):

        def init(self: Any, a: Any, b: Any) -> None: ...

        init.__annotations__ = {"a": below, "b": below}
        below = type("Level", (), {"__init__": init})
        container.provide(below)
    container.check()


async def test_request_scope_is_made_once_for_a_request() -> None:
    """Two parameters of one handler share it, two requests do not; it may take the request."""
    container = Container()
    container.provide(Clock)
    container.provide(Current, scope="request")
    container.check()
    request = object()
    filled = await container.scope(request).fill({"a": Current, "b": Current})
    assert filled["a"] is filled["b"]
    assert filled["a"].request is request
    assert (await container.scope(object()).fill({"a": Current}))["a"] is not filled["a"]


async def test_instances_and_functions_stand_for_a_type() -> None:
    """An instance as it is; a subclass for its base."""

    class Slow(Clock):
        pass

    clock = Clock()
    container = Container()
    container.provide(Clock, clock)
    assert await container.resolve(Clock) is clock
    container.provide(Clock, Slow)
    assert isinstance(await container.resolve(Clock), Slow)


def test_a_gap_or_a_cycle_is_found_at_start() -> None:
    """The message shows the way to it."""
    container = Container()
    container.provide(Repository)
    with pytest.raises(TypeError, match="Repository -> Clock: no Clock is provided"):
        container.check()

    def make(repository: Repository) -> Clock:
        return repository.clock

    container.provide(Clock, make)
    with pytest.raises(TypeError, match="Repository -> Clock -> Repository: a cycle"):
        container.check()


def test_a_singleton_cannot_hold_what_belongs_to_a_request() -> None:
    """It would keep the first request's for ever."""
    container = Container()
    container.provide(Clock, scope="request")
    container.provide(Repository)
    with pytest.raises(TypeError, match="a singleton would keep the Clock"):
        container.check()


async def test_what_is_not_provided_is_named() -> None:
    """With what to write."""
    with pytest.raises(TypeError, match=r"service\.provide\(Clock"):
        await Container().resolve(Clock)


@pytest.mark.parametrize("value", [3, "text"])
def test_a_value_must_be_one_or_make_one(value: object) -> None:
    """A wrong instance is refused when it is provided."""
    with pytest.raises(TypeError, match="does not make one"):
        Container().provide(Clock, value)


def test_keys_are_types_and_scopes_are_known() -> None:
    """A typing mistake is no third scope."""
    with pytest.raises(TypeError, match="the key is a type"):
        Container().provide("clock")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match='a scope is "singleton" or "request"'):
        Container().provide(Clock, scope="session")  # type: ignore[arg-type]
