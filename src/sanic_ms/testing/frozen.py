"""The clock of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sanic_ms._extras import require

__all__ = ["FrozenTime", "frozen"]


class FrozenTime:
    """The time of day, which stands still until it is told otherwise.

    It is what `datetime.now`, `time.time` and everything that stands on them say, anywhere in the
    process. What measures durations goes on: event loops, time limits, `time.monotonic`.
    """

    def __init__(self, travelled: Any) -> None:
        self._travelled = travelled

    @property
    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.now(UTC)

    def move_to(self, moment: datetime) -> None:
        """Set the clock; a moment without a zone is in UTC.

        Raises:
            TypeError: it is no datetime.
        """
        if not isinstance(moment, datetime):
            raise TypeError(f"move_to({moment!r}): give a datetime")
        self._travelled.move_to(moment if moment.tzinfo else moment.replace(tzinfo=UTC))

    def tick(self, seconds: float | timedelta = 1.0) -> None:
        """Move the clock on, or back.

        Raises:
            TypeError: it is neither a number nor a timedelta.
        """
        if not isinstance(seconds, (int, float, timedelta)):
            raise TypeError(f"tick({seconds!r}): give seconds, or a timedelta")
        self._travelled.shift(seconds)


@contextmanager
def frozen(moment: datetime | None = None) -> Iterator[FrozenTime]:
    """Stop the clock for a block.

    Args:
        moment: Where; default now, in whole seconds.

    Raises:
        MissingDependency: time-machine is not installed.
    """
    require("time_machine", "testing", purpose="frozen clocks")
    import time_machine

    start = moment or datetime.now(UTC).replace(microsecond=0)
    with time_machine.travel(start, tick=False) as travelled:
        yield FrozenTime(travelled)
