"""Which handlers need a task."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from sanic_ms.inline import needs_task, result_of
from sanic_ms.loggers import logger


async def numbers() -> AsyncIterator[int]:
    """Something to wait for."""
    yield 1


class Handlers:
    """Every way to write one."""

    async def straight(self) -> int:
        return sum(number for number in range(3))

    async def awaits(self) -> None:
        await asyncio.sleep(0)

    async def iterates(self) -> None:
        async for _ in numbers():
            pass

    async def comprehends(self) -> list[int]:
        return [number async for number in numbers()]

    async def enters(self) -> None:
        async with contextlib.AsyncExitStack():
            pass

    async def asks(self) -> Any:
        return asyncio.current_task()

    async def asks_within(self) -> Any:
        return [(lambda: asyncio.current_task())() for _ in range(2)]

    async def makes_one(self) -> Callable[[], Any]:
        async def inner() -> None:
            await asyncio.sleep(0)

        return inner

    def plain(self) -> None:
        pass

    def plainly_asks(self) -> Any:
        return asyncio.current_task()

    async def long(self) -> list[int]:
        """With so many names and jumps that instructions need an EXTENDED_ARG."""
        found = []
        for number in range(400):
            if number % 2:
                found.append(number)
        return found


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("straight", False),
        ("awaits", True),
        ("iterates", True),
        ("comprehends", True),
        ("enters", True),
        ("asks", True),
        ("asks_within", True),
        ("makes_one", False),
        ("plain", False),
        ("plainly_asks", True),
        ("long", False),
    ],
)
def test_a_handler_that_may_wait_or_asks_for_its_task_needs_one(name: str, needs: bool) -> None:
    """As a function and as a method; what a function inside of it does is that one's matter."""
    assert needs_task(getattr(Handlers, name)) is needs
    assert needs_task(getattr(Handlers(), name)) is needs


def around(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that waits, and copies all that tells of what it wraps."""

    @functools.wraps(function)
    async def wrapper(*args: Any) -> Any:
        await asyncio.sleep(0)
        return await function(*args)

    return wrapper


@pytest.mark.parametrize(
    ("function", "needs"),
    [
        (logger(Handlers.straight), False),
        (logger(tracing=False)(logger(Handlers.straight)), False),
        (logger(Handlers.plain), False),
        (logger(Handlers.awaits), True),
        (logger(Handlers.asks), True),
        (logger(Handlers.plainly_asks), True),
        (logger(around(Handlers.straight)), True),
        (around(logger(Handlers.straight)), True),
        (functools.update_wrapper(logger(Handlers.awaits), Handlers.straight), True),
        # That one takes whatever comes.
        (logger(args=True)(Handlers.straight), True),
    ],
)
def test_a_logged_handler_needs_one_where_it_would_without(
    function: Callable[..., Any], needs: bool
) -> None:
    """`@logger` waits for nothing itself; what stands around it may."""
    assert needs_task(function) is needs


def test_of_other_callables_nothing_is_known() -> None:
    """They need a task, whatever is behind them."""

    class Called:
        async def __call__(self) -> None: ...

    assert needs_task(Called())
    assert needs_task(functools.partial(Handlers().straight))
    assert needs_task(print)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="functions cannot be marked before")
def test_a_function_that_is_marked_as_a_coroutine_function_needs_a_task() -> None:
    """Whose coroutine it gives, and whether that one waits, is not known."""

    def marked() -> Any:
        return Handlers().awaits()

    mark = getattr(inspect, "markcoroutinefunction")  # noqa: B009  # unknown to 3.11's types
    assert needs_task(mark(marked))


def test_a_specialised_function_is_still_seen_through() -> None:
    """The interpreter rewrites what ran often; it is the written instructions that count."""
    handlers = Handlers()
    for _ in range(100):
        assert result_of(handlers.straight()) == 3
        assert len(result_of(handlers.long())) == 200
    assert not needs_task(handlers.straight)
    assert not needs_task(handlers.long)
    for _ in range(100):
        asyncio.run(handlers.awaits())
    assert needs_task(handlers.awaits)


def test_a_result_is_given_or_raised() -> None:
    """As `await` would."""

    async def fails() -> None:
        raise ValueError("on purpose")

    async def stops() -> None:
        raise StopIteration(7)

    with pytest.raises(ValueError, match="on purpose"):
        result_of(fails())
    with pytest.raises(RuntimeError, match="StopIteration"):
        result_of(stops())
    with pytest.raises(RuntimeError, match=r"awaits.*has no task"):
        result_of(Handlers().awaits())
