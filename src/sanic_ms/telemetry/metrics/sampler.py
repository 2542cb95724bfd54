"""The part of a service that keeps its numbers current while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from sanic_ms.exception import LifecycleError
from sanic_ms.lifecycle import Component
from sanic_ms.telemetry.metrics.process import watch_process
from sanic_ms.telemetry.metrics.registry import Registry

__all__ = ["Sampler"]

_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Sampler(Component):
    """Opens the registry's file, calls its samplers once a second, and measures how late each of
    these calls is: that is how long anything else on the event loop waited too.

    Args:
        registry: The service's.
        folder: Gives the folder to count in when the part starts; None: in memory.
        interval: Seconds from one sample to the next. Default 1.
    """

    name = "metrics"

    def __init__(
        self, registry: Registry, folder: Callable[[], Path | None], *, interval: float = 1.0
    ) -> None:
        self._registry = registry
        self._folder = folder
        self._interval = interval
        self._task: asyncio.Task[None] | None = None
        self._lag = registry.histogram(
            "event_loop_lag_seconds",
            "How late the event loop came to a call that was due, tried once a second.",
            buckets=_BOUNDS,
        )
        watch_process(registry)

    async def start(self) -> None:
        """Begin.

        Raises:
            LifecycleError: the folder cannot be used.
        """
        folder = self._folder()
        if folder is not None:
            try:
                self._registry.open(folder)
            except OSError as exc:
                raise LifecycleError(
                    f"metrics cannot be kept in {folder}: {exc.strerror or exc}; set METRICS_DIR, "
                    "or METRICS=false"
                ) from exc
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Take a last sample. What parts count that stop later is in the file too."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
            self._registry.sample()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._registry.sample()
            due = loop.time() + self._interval
            await asyncio.sleep(self._interval)
            self._lag.observe(max(0.0, loop.time() - due))
