"""One load for all who ask for the same at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from sanic_ms.resilience import deadline_scope

__all__ = ["Flights"]


class Flights:
    """The loads that run, by key."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[Any]] = {}

    def __len__(self) -> int:
        return len(self._running)

    def __contains__(self, key: str) -> bool:
        return key in self._running

    def begin(self, key: str, load: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
        """The load of a key that runs, or a new one."""
        task = self._running.get(key)
        if task is None:
            with deadline_scope(None):  # that of one caller is not that of the others
                task = asyncio.get_running_loop().create_task(load(), name=f"cache load {key}")
            self._running[key] = task
            task.add_done_callback(lambda task: self._ended(key, task))
        return task

    async def join(self, key: str, load: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """What the load of a key gives, or raises. Who is cancelled while waiting cancels no
        load: it goes on, for the others and for the cache."""
        return await asyncio.shield(self.begin(key, load))

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

    def _ended(self, key: str, task: asyncio.Task[Any]) -> None:
        if self._running.get(key) is task:
            del self._running[key]
        if not task.cancelled():
            task.exception()  # its callers have it; where all have left, nobody wants it
