"""Invalidations that Redis has not taken yet, repeated until it has."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from sanic_ms.cache.events import RETRY_AFTER
from sanic_ms.cache.shared import SharedStore
from sanic_ms.exception import RedisUnavailable

__all__ = ["Invalidations"]

log = logging.getLogger("sanic_ms.cache")

_MOST = 10_000  # keys and tags that are kept; above it, all is deleted instead


class Invalidations:
    """Sends invalidations to Redis, and repeats those that fail.

    Args:
        shared: Where they go.
    """

    def __init__(self, shared: SharedStore) -> None:
        self._shared = shared
        self._keys: set[str] = set()
        self._stamps: dict[str, str] = {}
        self._clears = False
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._keys) + len(self._stamps) + self._clears

    async def send(self, keys: Sequence[str], stamps: Mapping[str, str]) -> int:
        """Send one now, or later where Redis is away.

        Returns:
            How many entries there were in Redis; 0 where that is not known.
        """
        if not self:
            try:
                return await self._shared.invalidate(keys, stamps)
            except RedisUnavailable:
                pass
        self.add(keys, stamps)
        return 0

    def add(self, keys: Sequence[str], stamps: Mapping[str, str]) -> None:
        """Send one in the background, until Redis takes it."""
        self._keys.update(keys)
        self._stamps.update(stamps)
        if len(self) > _MOST:
            self.add_clear()
        self._begin()

    def add_clear(self) -> None:
        """Delete everything in the background, as soon as Redis takes it."""
        self._clears = True
        self._keys.clear()
        self._stamps.clear()
        self._begin()

    async def stop(self) -> None:
        """Give up. What was not sent is said in the log."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        if self:
            log.error("cache: %d invalidations did not reach Redis, which is away", len(self))

    def _begin(self) -> None:
        if self._task is None or self._task.done():
            loop = asyncio.get_running_loop()
            self._task = loop.create_task(self._repeat(), name="cache invalidations")

    async def _repeat(self) -> None:
        while self:
            clears, keys, stamps = self._clears, list(self._keys), dict(self._stamps)
            try:
                if clears:
                    await self._shared.clear()
                if keys or stamps:
                    await self._shared.invalidate(keys, stamps)
            except RedisUnavailable:
                await asyncio.sleep(RETRY_AFTER)
                continue
            # Those that were added meanwhile stay.
            self._clears = self._clears and not clears
            self._keys.difference_update(keys)
            for tag, stamp in stamps.items():
                if self._stamps.get(tag) == stamp:
                    del self._stamps[tag]
