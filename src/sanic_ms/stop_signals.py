"""A second signal ends a process at once; the echo of the first one does not."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["StopSignals"]

# Seconds in which the same signal is the one before once more. What runs a command often passes a
# signal on that the whole process group has had already: timeout, npm, make, a shell's trap. It
# follows within milliseconds; a person needs longer to press Ctrl+C again.
_ECHO = 0.1


class StopSignals:
    """The signals that ask one process to stop.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: tuple[int, float] | None = None

    def is_echo(self, number: int) -> bool:
        """Whether this signal only repeats the one before. Call it once for each that comes."""
        now = self._clock()
        last, self._last = self._last, (number, now)
        return last is not None and last[0] == number and now - last[1] <= _ECHO
