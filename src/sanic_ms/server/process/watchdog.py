"""A watch over the event loop: what blocks it is named in the log, with its stack."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from types import FrameType

__all__ = ["Watchdog"]

log = logging.getLogger("sanic_ms.server")

_QUIET = 10.0  # seconds after a report, in which further ones are only counted
_LIBRARIES = ("asyncio/", "uvloop/", "selectors.py", "sanic_ms/server/")


class Watchdog:
    """A thread that looks at the loop's thread several times in ``threshold`` seconds.

    Nothing is done per request, and the loop is not woken: while the thread is in no code but the
    loop's own, it waits or is between two steps. What is in the same step at each look for
    ``threshold`` seconds blocks it.

    Args:
        loop: The event loop. The function that makes this object must be the one that runs it.
        threshold: Seconds; 0 watches nothing.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, threshold: float) -> None:
        self._loop = loop
        self._threshold = threshold
        self._thread = threading.get_ident()
        self._base = sys._getframe(1)
        self._ended = threading.Event()
        self._muted_until = 0.0
        self._muted = 0

    def start(self) -> None:
        """Begin to watch, unless the threshold is 0."""
        if self._threshold > 0:
            threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Watch no longer."""
        self._ended.set()

    def _watch(self) -> None:
        pause = self._threshold / 4
        step: FrameType | None = None
        blocked = 0.0  # seconds for which it has been in this step
        answered = threading.Event()
        told = False
        looked_at, used = time.monotonic(), time.process_time()
        while not self._ended.wait(pause):
            now, cpu = time.monotonic(), time.process_time()
            # What the process does while it is stopped (docker pause, SIGSTOP) blocks nothing. A
            # gap that it spends in code which lets no other thread run costs processor time.
            ran = min(now - looked_at, 2 * pause + cpu - used)
            looked_at, used = now, cpu
            stack = self._stack()
            current = stack[0] if stack else None
            if current is None or current is not step or answered.is_set():
                step, blocked, told = current, 0.0, False
                answered.clear()
                if current is not None:
                    # A step that goes on lets others run in between, and this among them.
                    try:
                        self._loop.call_soon_threadsafe(answered.set)
                    except RuntimeError:
                        return
                continue
            blocked += ran
            if blocked >= self._threshold and not told:
                told = True
                self._report(stack, blocked)

    def _stack(self) -> list[FrameType]:
        """The frames above the loop's own, outermost first; empty while it waits."""
        frame = sys._current_frames().get(self._thread)
        stack: list[FrameType] = []
        while frame is not None and frame is not self._base:
            stack.append(frame)
            frame = frame.f_back
        stack.reverse()
        for number, entry in enumerate(stack):
            if not any(part in entry.f_code.co_filename for part in _LIBRARIES):
                return stack[number:]
        return []

    def _report(self, stack: list[FrameType], seconds: float) -> None:
        now = time.monotonic()
        if now < self._muted_until:
            self._muted += 1
            return
        more = f" ({self._muted} more since the last report)" if self._muted else ""
        self._muted, self._muted_until = 0, now + _QUIET
        text = "".join(traceback.format_stack(stack[-1]))
        log.warning(
            "the event loop is blocked for %.0f ms by %s%s\n%s",
            seconds * 1000,
            _name(stack),
            more,
            text,
        )


def _name(stack: list[FrameType]) -> str:
    """The function of the application that blocks: the outermost that is no library's."""
    own = (
        frame
        for frame in stack
        if "site-packages" not in frame.f_code.co_filename
        and "sanic_ms/" not in frame.f_code.co_filename
    )
    frame = next(own, stack[0])
    return f"{frame.f_code.co_qualname} ({frame.f_code.co_filename}:{frame.f_lineno})"
