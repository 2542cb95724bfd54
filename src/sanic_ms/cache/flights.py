"""One load for all who ask for the same at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

from sanic_ms.resilience import deadline_scope

__all__ = ["Flights"]

_Load = tuple["Flights", str, "asyncio.Task[Any] | None"]

_loading: ContextVar[_Load | None] = ContextVar("sanic_ms_cache_load", default=None)
"""The load that the current task runs, or was begun by: where, of which key, in which task."""


class Flights:
    """The loads that run, by key."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[Any]] = {}
        self._waits: dict[str, list[str]] = {}  # the loads that wait, and for which

    def __len__(self) -> int:
        return len(self._running)

    def __contains__(self, key: str) -> bool:
        return key in self._running

    def begin(self, key: str, load: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
        """The load of a key that runs, or a new one."""
        task = self._running.get(key)
        if task is None:
            with deadline_scope(None):  # that of one caller is not that of the others
                name = f"cache load {key}"
                task = asyncio.get_running_loop().create_task(self._run(key, load), name=name)
            self._running[key] = task
            task.add_done_callback(lambda task: self._ended(key, task))
        return task

    async def join(self, key: str, load: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """What the load of a key gives, or raises. Who is cancelled while waiting cancels no
        load: it goes on, for the others and for the cache.

        Raises:
            RecursionError: a load asks that this one waits for, so that both would never end.
        """
        flights, asking, task = _loading.get() or (None, "", None)
        if flights is not self or task is None or task.done():
            return await asyncio.shield(self.begin(key, load))
        if self._waits_for(key, asking):
            raise RecursionError(f"cache: the load of {asking} waits for {key}, which waits for it")
        waits = self._waits.setdefault(asking, [])
        waits.append(key)
        try:
            return await asyncio.shield(self.begin(key, load))
        finally:
            waits.remove(key)
            if not waits:
                self._waits.pop(asking, None)

    def forget(self, key: str) -> None:
        """Let the next who asks begin a load of its own: the one that runs has read old data."""
        self._running.pop(key, None)

    def is_current(self, key: str) -> bool:
        """Whether the load of the current task is still the one of its key."""
        return self._running.get(key) is asyncio.current_task()

    async def stop(self) -> None:
        """Cancel all loads, and wait for their end."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, key: str, load: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        _loading.set((self, key, asyncio.current_task()))
        return await load()

    def _waits_for(self, key: str, other: str) -> bool:
        """Whether the load of a key is, or waits for, another one."""
        return key == other or any(
            self._waits_for(next_, other) for next_ in self._waits.get(key, ())
        )

    def _ended(self, key: str, task: asyncio.Task[Any]) -> None:
        if self._running.get(key) is task:
            del self._running[key]
        if not task.cancelled():
            task.exception()  # its callers have it; where all have left, nobody wants it
