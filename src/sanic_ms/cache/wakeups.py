"""Waiting for what another process does with a key."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterator

__all__ = ["Wakeup", "Wakeups"]

_LOST = 1.0  # seconds after which the caller looks itself: a message may be lost


class Wakeup:
    """Waits for one message."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    async def wait(self, most: float) -> None:
        """Wait for the message, so many seconds at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.001, min(most, _LOST))):
                await self._event.wait()

    def wake(self) -> None:
        """End the wait."""
        self._event.set()


class Wakeups:
    """Those who wait, by key."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[Wakeup]] = defaultdict(set)

    @contextlib.contextmanager
    def of(self, key: str) -> Iterator[Wakeup]:
        """One for messages of a key, from now to the end of the block."""
        wakeup = Wakeup()
        self._waiting[key].add(wakeup)
        try:
            yield wakeup
        finally:
            self._waiting[key].discard(wakeup)
            if not self._waiting[key]:
                del self._waiting[key]

    def wake(self, key: str) -> None:
        """Wake all who wait for a key."""
        for wakeup in self._waiting.get(key, ()):
            wakeup.wake()
