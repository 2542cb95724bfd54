"""Components that are added while a service runs."""

from __future__ import annotations

import asyncio

from sanic_ms.lifecycle import Component, Lifecycle
from sanic_ms.service.failures import log_failure

__all__ = ["LateComponents"]


class LateComponents:
    """Components that are added while the service runs, in a listener say.

    Each starts at once, in the background of the call that adds it.

    Args:
        lifecycle: The life that they enter.
    """

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._starting: list[asyncio.Task[None]] = []

    def add(self, component: Component) -> None:
        """Begin to start one. A failure is logged, and raised by `started`."""
        task = asyncio.get_running_loop().create_task(self._lifecycle.enter(component))
        task.add_done_callback(log_failure)
        self._starting.append(task)

    async def started(self) -> None:
        """Wait until all of them have started: a service that is ready has all its components."""
        while self._starting:
            await self._starting.pop(0)

    def clear(self) -> None:
        """Forget those that still start: the lifecycle stops them."""
        self._starting.clear()
