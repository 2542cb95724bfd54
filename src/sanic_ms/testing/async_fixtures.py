"""Asynchronous fixtures as plain ones, which pytest can run."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

__all__ = ["as_plain", "refused"]


def as_plain(
    function: Callable[..., Any], runner: asyncio.Runner, instance: object | None
) -> Callable[..., Any]:
    """A fixture that pytest can run, for one that must be awaited.

    Args:
        function: A coroutine function, or an asynchronous generator that yields once.
        runner: Runs it; it must be open until the fixture has ended.
        instance: The object of the test class that the test runs on, None outside of a class.
    """
    if instance is not None and inspect.ismethod(function):
        # pytest binds a method to another object at collection, and again when it runs it.
        function = function.__func__.__get__(instance)
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        def run(**arguments: Any) -> Any:
            return runner.run(function(**arguments))

        return run

    @functools.wraps(function)
    def steps(**arguments: Any) -> Iterator[Any]:
        generator = function(**arguments)
        yield runner.run(_begin(generator))
        runner.run(_end(generator))

    return steps


def refused(name: str, reason: str) -> Callable[..., Any]:
    """A fixture that says why it cannot be run: it has no event loop, or not that of its test.

    It says so when pytest runs it: pytest would keep half a fixture if the hook itself failed, and
    say no more than AssertionError for each test after it.
    """

    def refuse(**arguments: Any) -> None:
        pytest.fail(
            f"no plugin runs the async fixture {name!r}, and sanic-ms does not, as {reason}: write "
            "@pytest_asyncio.fixture for it or set asyncio_mode = auto (anyio_mode = auto); or "
            "leave scope= and the marker of the test out",
            pytrace=False,
        )

    return refuse


async def _begin(generator: Any) -> Any:
    try:
        return await anext(generator)
    except StopAsyncIteration:
        pytest.fail(f"the fixture {generator.__name__!r} did not yield a value", pytrace=False)


async def _end(generator: Any) -> None:
    async for _ in generator:
        await generator.aclose()
        pytest.fail(f"the fixture {generator.__name__!r} yields more than once", pytrace=False)
