"""Patience that is measured in the time in which this process runs.

A process that is stopped (``docker pause``, SIGSTOP, a debugger) finds all its deadlines passed
when it goes on, although nothing that it waits for could be done, or heard of, in between. Here
such a gap counts as `LONGEST_LOOK` at most.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

__all__ = ["LONGEST_LOOK", "AwakeClock", "AwakeTimer", "wait_awake"]

LONGEST_LOOK = 1.0
"""Seconds that count of a longer gap between two looks at an `AwakeClock`."""

_LOOK = 0.25  # seconds between two looks of what waits here

F = TypeVar("F", bound="asyncio.Future[Any]")


class AwakeClock:
    """A monotonic clock that stands still while this process is stopped.

    It has to be read at least once in `LONGEST_LOOK` seconds: of a longer gap between two readings
    the rest counts as time in which the process did not run.
    """

    __slots__ = ("_read_at", "_time")

    def __init__(self) -> None:
        self._read_at = time.monotonic()
        self._time = 0.0

    def time(self) -> float:
        """Seconds since the clock was made."""
        now = time.monotonic()
        self._time += min(now - self._read_at, LONGEST_LOOK)
        self._read_at = now
        return self._time


class AwakeTimer:
    """Calls a function in a thread of its own, once the process has run for a while.

    Args:
        seconds: For how long.
        call: Called then, unless the timer was cancelled.
    """

    def __init__(self, seconds: float, call: Callable[[], object]) -> None:
        self._seconds = seconds
        self._call = call
        self._cancelled = threading.Event()
        threading.Thread(target=self._wait, name="timer", daemon=True).start()

    def cancel(self) -> None:
        """Do not call the function any more. Calling it again does nothing."""
        self._cancelled.set()

    def _wait(self) -> None:
        clock = AwakeClock()
        while (left := self._seconds - clock.time()) > 0:
            if self._cancelled.wait(min(left, _LOOK)):
                return
        self._call()


async def wait_awake(
    futures: Iterable[F],
    seconds: float,
    *,
    return_when: str = asyncio.ALL_COMPLETED,
) -> tuple[set[F], set[F]]:
    """As `asyncio.wait` with a timeout, which counts only while the process runs.

    Args:
        futures: Tasks and futures; not empty.
        seconds: How long to wait for them.
        return_when: One of asyncio's constants.

    Returns:
        Those that are done, and the others.
    """
    waited = set(futures)
    clock = AwakeClock()
    while True:
        left = max(0.0, seconds - clock.time())
        done, pending = await asyncio.wait(
            waited, timeout=min(left, _LOOK), return_when=return_when
        )
        enough = done and return_when != asyncio.ALL_COMPLETED
        if not pending or enough or left <= 0:
            return done, pending
