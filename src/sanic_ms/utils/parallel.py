"""Calls in parallel: all succeed, or the rest is cancelled and the first error is raised."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Iterable, Mapping, MutableMapping, Sequence
from typing import Any, TypeVar, overload

__all__ = ["async_execute", "async_request"]

T = TypeVar("T")
K = TypeVar("K")


async def async_request(calls: Iterable[Sequence[Any]]) -> None:
    """Run calls in parallel and put each result where it belongs.

    Args:
        calls: Entries ``[target, key, awaitable]``; ``target[key]`` becomes the awaitable's result.
            None at all is fine.

    The targets are written when every call has succeeded: after an error they are as they were.
    When one fails, the others are cancelled and waited for. Cancelling this cancels them all.

    Raises:
        TypeError: an entry is not of that form. Nothing has run then.
        Exception: the first error of a call, as it was raised.
    """
    entries = list(calls)
    try:
        places = [_entry(position, entry) for position, entry in enumerate(entries)]
    except TypeError:
        for entry in entries:
            _discard(entry if isinstance(entry, Sequence) else [entry])
        raise
    results = await _all([awaitable for _, _, awaitable in places])
    for (target, key, _), result in zip(places, results, strict=True):
        target[key] = result


@overload
async def async_execute(  # type: ignore[overload-overlap] # a mapping is an iterable too
    calls: Mapping[K, Awaitable[T]], /
) -> dict[K, T]: ...
@overload
async def async_execute(calls: Iterable[Awaitable[T]], /) -> list[T]: ...
@overload
async def async_execute(*calls: Awaitable[T]) -> list[T]: ...
async def async_execute(*calls: Any) -> Any:
    """Run awaitables in parallel and give their results, in the order in which they stand.

    Args:
        calls: Awaitables, or one list of them, or one mapping of them: then the result is a dict
            with the same keys.

    When one fails, the others are cancelled and waited for. Cancelling this cancels them all.

    Raises:
        TypeError: something that cannot be awaited is among them. Nothing has run then.
        Exception: the first error of a call, as it was raised.
    """
    keys: list[Any] | None = None
    awaitables = list(calls)
    # A future is iterable too, so what can be awaited is asked first.
    if len(calls) == 1 and not inspect.isawaitable(calls[0]):
        (group,) = calls
        if isinstance(group, Mapping):
            keys, awaitables = list(group), list(group.values())
        elif isinstance(group, Iterable) and not isinstance(group, (str, bytes)):
            awaitables = list(group)
    for awaitable in awaitables:
        if not inspect.isawaitable(awaitable):
            _discard(awaitables)
            raise TypeError(f"async_execute takes awaitables, not {awaitable!r}")
    results = await _all(awaitables)
    return results if keys is None else dict(zip(keys, results, strict=True))


def _entry(position: int, entry: Any) -> tuple[MutableMapping[Any, Any], Any, Awaitable[Any]]:
    if not isinstance(entry, Sequence) or isinstance(entry, str) or len(entry) != 3:
        raise TypeError(
            f"entry {position} of async_request is {entry!r}; write [target, key, awaitable]"
        )
    target, key, awaitable = entry
    if not hasattr(target, "__setitem__"):
        raise TypeError(
            f"entry {position} of async_request: a result cannot be put into {target!r} "
            "(the row that was looked for may be None)"
        )
    if not inspect.isawaitable(awaitable):
        raise TypeError(
            f"entry {position} of async_request: {awaitable!r} cannot be awaited; "
            "call the async function"
        )
    return target, key, awaitable


def _discard(values: Iterable[Any]) -> None:
    # What was never awaited is closed, so that Python does not warn of it besides the error.
    for value in values:
        if inspect.isawaitable(value):
            close = getattr(value, "close", None) or getattr(value, "cancel", None)
            if close is not None:
                close()


async def _all(awaitables: Sequence[Awaitable[T]]) -> list[T]:
    if len(awaitables) == 1:
        return [await awaitables[0]]
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await _settle(tasks)
        raise


async def _settle(tasks: Sequence[asyncio.Future[Any]]) -> None:
    """Wait until every task has ended, whoever cancels the waiting meanwhile."""
    cancelled: asyncio.CancelledError | None = None
    while pending := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(pending)
        except asyncio.CancelledError as exc:
            cancelled = exc
    for task in tasks:
        if not task.cancelled():
            task.exception()  # Read, or asyncio would log it as never retrieved.
    if cancelled is not None:
        raise cancelled
