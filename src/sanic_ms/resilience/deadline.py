"""The deadline of the work that is done now: a moment, in a context variable.

A server sets it for a request; a pool and a client read it. A deadline is passed on between
services as the time that remains, because their clocks differ.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from time import monotonic
from types import TracebackType
from typing import Self

from sanic_ms.exception import DeadlineExceeded

__all__ = ["Deadline", "current_deadline", "deadline_scope"]


class Deadline:
    """A moment at which work has to end.

    ``async with Deadline.after(0.3):`` ends the block at that moment: what it waits for is
    cancelled, and the block raises `DeadlineExceeded`. The deadline is the current one in the block
    (see `deadline_scope`). Blocks may be nested, and one deadline may be used for several of them.
    A cancellation that comes from outside at the same time wins.

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

    @property
    def lifted(self) -> bool:
        """Whether it does not count any more. Never true, but for subclasses: that of a request
        does not count once the response has begun."""
        return False

    async def __aenter__(self) -> Self:
        if self.expired and not self.lifted:
            raise DeadlineExceeded(_OVER)
        block = _Block(self)
        _blocks.set((*_blocks.get(), block))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        *outer, block = _blocks.get()
        _blocks.set(tuple(outer))
        if block.end(exc_type):
            raise DeadlineExceeded(_OVER) from exc

    def __repr__(self) -> str:
        return f"<Deadline in {self.at - monotonic():.3f} s>"


_OVER = "the deadline is over"

_deadline: ContextVar[Deadline | None] = ContextVar("sanic_ms_deadline", default=None)


class _Block:
    """One ``async with`` of a deadline: as `asyncio.timeout`, which cannot look at `lifted` in the
    moment in which it cancels."""

    __slots__ = ("_cancelling", "_deadline", "_fired", "_task", "_timer", "_token")

    def __init__(self, deadline: Deadline) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("async with Deadline: only inside a task")
        self._deadline = deadline
        self._task = task
        self._cancelling = task.cancelling()
        self._fired = False
        self._token = _set(deadline)
        self._timer = task.get_loop().call_later(deadline.remaining, self._fire)

    def _fire(self) -> None:
        if not self._deadline.lifted:
            self._fired = True
            self._task.cancel()

    def end(self, exc_type: type[BaseException] | None) -> bool:
        """Whether the block was cancelled by its deadline, and by nothing else."""
        self._timer.cancel()
        _deadline.reset(self._token)
        # The count is higher where somebody else has cancelled as well: that goes on.
        is_alone = self._fired and self._task.uncancel() <= self._cancelling
        return is_alone and exc_type is asyncio.CancelledError


_blocks: ContextVar[tuple[_Block, ...]] = ContextVar("sanic_ms_deadline_blocks", default=())


def current_deadline() -> Deadline | None:
    """The deadline of the work that this task does; None: there is none."""
    deadline = _deadline.get()
    return None if deadline is None or deadline.lifted else deadline


def _set(deadline: Deadline | None) -> Token[Deadline | None]:
    outer = current_deadline()
    if deadline is not None and outer is not None and outer.at < deadline.at:
        deadline = outer
    return _deadline.set(deadline)


@contextmanager
def deadline_scope(deadline: Deadline | None) -> Iterator[None]:
    """Set the deadline in the block, and in the tasks that are begun there.

    It does not end the work, as ``async with deadline`` does: who waits in the block asks
    `current_deadline`.

    Args:
        deadline: The deadline. One that is later than the outer one's leaves that in force. None:
            the block has no deadline, as for work that outlives its request.
    """
    token = _set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)
