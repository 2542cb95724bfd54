"""The deadline of the work that is done now: a moment, in a context variable.

A server sets it for a request; a pool and a client read it. A deadline is passed on between
services as the time that remains, because their clocks differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

__all__ = ["Deadline", "current_deadline", "deadline_scope"]


class Deadline:
    """A moment at which work has to end.

    Args:
        at: The moment, by `time.monotonic`. `Deadline.after` takes seconds from now.

    Raises:
        ValueError: it is no finite number.
    """

    __slots__ = ("at",)

    def __init__(self, at: float) -> None:
        if not math.isfinite(at):
            raise ValueError(f"Deadline({at!r}): give a finite moment of time.monotonic()")
        self.at = at

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline in so many seconds.

        Args:
            seconds: Seconds from now; 0 or less: it is over already.

        Raises:
            ValueError: it is no finite number.
        """
        if not math.isfinite(seconds):
            raise ValueError(f"Deadline.after({seconds!r}): give a finite number of seconds")
        return cls(monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """The seconds that are left; 0 where it is over."""
        return max(0.0, self.at - monotonic())

    @property
    def expired(self) -> bool:
        """Whether it is over."""
        return self.at <= monotonic()

    def __repr__(self) -> str:
        return f"<Deadline in {self.at - monotonic():.3f} s>"


_deadline: ContextVar[Deadline | None] = ContextVar("sanic_ms_deadline", default=None)

current_deadline = _deadline.get
"""The deadline of the work that this task does; None: there is none."""


@contextmanager
def deadline_scope(deadline: Deadline | None) -> Iterator[None]:
    """Set the deadline in the block, and in the tasks that are begun there.

    It does not end the work: who waits in the block asks `current_deadline`.

    Args:
        deadline: The deadline. One that is later than the outer one's leaves that in force. None:
            the block has no deadline, as for work that outlives its request.
    """
    outer = _deadline.get()
    if deadline is not None and outer is not None and outer.at < deadline.at:
        deadline = outer
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)
