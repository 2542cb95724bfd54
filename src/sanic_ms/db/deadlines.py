"""The time limits of a pool's statements and of those who wait for a connection, watched by one
timer of the event loop for all of them.

A statement nearly always ends long before its limit, and a timer of the loop for each is made to be
taken back. Here a statement only notes the moment, and forgets it. The one timer wakes at the
moment that was the nearest when it was set, whether that statement still runs or not, and is then
set for the nearest of those that do. In between it is set anew only for a limit that ends earlier.
So limits are kept as exactly as the loop's own timers keep them, a pool whose statements have 30
seconds wakes about twice a minute, and one that does nothing sleeps.
"""

from __future__ import annotations

import math
from asyncio import AbstractEventLoop, Task, TimerHandle
from collections.abc import Callable
from contextvars import Context
from time import monotonic
from typing import Any, Protocol
from weakref import WeakSet

__all__ = ["Deadlines", "Handle", "Limited", "SessionTimer", "TaskLimits"]

# Loops round their timers to a millisecond: what is due within one is due now.
_RESOLUTION = 0.001


class Handle(Protocol):
    """What takes a call back that was put off."""

    def cancel(self) -> None:
        """Do not make the call."""


class Limited(Protocol):
    """What has a limit in time.

    Attributes:
        moment: When something of it may be due, by `time.monotonic`; infinity: nothing is.
    """

    moment: float

    def expire(self, now: float) -> None:
        """End what is due at ``now``, and note the next moment. Never raises."""


class Deadlines:
    """The limits of all sessions of one driver, and of who waits for one.

    Args:
        loop: Whose timer it is.

    Attributes:
        wakes_at: When the timer wakes, by `time.monotonic`; infinity: it is not set.
    """

    __slots__ = ("_context", "_known", "_timer", "loop", "wakes_at")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.loop = loop
        self.wakes_at = math.inf
        self._timer: TimerHandle | None = None
        # Those of sessions that were thrown away go by themselves.
        self._known: WeakSet[Limited] = WeakSet()
        # Not that of the request whose statement happens to set the timer: it would be kept alive.
        self._context = Context()

    def enlist(self, limited: Limited) -> None:
        """Look at this one as well."""
        self._known.add(limited)

    def wake_at(self, moment: float) -> None:
        """Set the timer, where it was to wake later."""
        if self._timer is not None:
            self._timer.cancel()
        self.wakes_at = moment
        self._timer = self.loop.call_later(
            max(moment - monotonic(), 0.0), self._sweep, context=self._context
        )

    def close(self) -> None:
        """Take the timer back. A limit that is noted later sets it again."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self.wakes_at = math.inf

    def _sweep(self) -> None:
        self._timer = None
        self.wakes_at = math.inf
        now = monotonic() + _RESOLUTION
        noted = [one for one in self._known if one.moment < math.inf]
        nearest = min((one.moment for one in noted if one.moment > now), default=math.inf)
        if nearest < math.inf:
            self.wake_at(nearest)
        for one in noted:
            # Asked again: a call that was made before may have ended this one.
            if one.moment <= now:
                one.expire(now)


class SessionTimer:
    """The limit of what one session does now: at most one at a time.

    It has the `call_later` of an event loop, as drivers call it.

    Attributes:
        moment: When it ends, by `time.monotonic`; infinity: there is none now.
    """

    __slots__ = ("__weakref__", "_all", "_argument", "_callback", "moment")

    def __init__(self, deadlines: Deadlines) -> None:
        self._all = deadlines
        self._callback: Callable[[Any], object] | None = None
        self._argument: Any = None
        self.moment = math.inf
        deadlines.enlist(self)

    def call_later(self, delay: float, callback: Callable[[Any], object], argument: Any) -> Handle:
        """Call ``callback(argument)`` in ``delay`` seconds, unless `cancel` comes first.

        Where one call waits already, the loop's own timer makes the second.
        """
        if self._callback is not None:
            return self._all.loop.call_later(delay, callback, argument)
        self._callback = callback
        self._argument = argument
        self.moment = moment = monotonic() + delay
        if moment < self._all.wakes_at:
            self._all.wake_at(moment)
        return self

    def cancel(self) -> None:
        """Forget it. Doing so again does nothing."""
        self._callback = self._argument = None
        self.moment = math.inf

    def expire(self, now: float) -> None:
        """Make the call, once. What it raises is the loop's to tell."""
        callback, argument = self._callback, self._argument
        self.cancel()
        if callback is None:
            return
        try:
            callback(argument)
        except Exception as exc:
            self._all.loop.call_exception_handler(
                {"message": "a statement's time limit could not be enforced", "exception": exc}
            )


class TaskLimits:
    """The limits of tasks, each of which is cancelled at its moment. A task has one at most.

    Attributes:
        moment: No limit ends before it, by `time.monotonic`; infinity: there is none.
    """

    __slots__ = ("__weakref__", "_all", "_moments", "moment")

    def __init__(self, deadlines: Deadlines) -> None:
        self._all = deadlines
        self._moments: dict[Task[Any], float] = {}
        self.moment = math.inf
        deadlines.enlist(self)

    def add(self, task: Task[Any], moment: float) -> None:
        """Cancel a task at a moment, unless `remove` comes first."""
        self._moments[task] = moment
        if moment < self.moment:
            self.moment = moment
            if moment < self._all.wakes_at:
                self._all.wake_at(moment)

    def remove(self, task: Task[Any]) -> bool:
        """Forget the limit of a task. Gives whether there was one, as it had not ended."""
        return self._moments.pop(task, None) is not None

    def expire(self, now: float) -> None:
        """Cancel the tasks whose moment has come."""
        due = [task for task, moment in self._moments.items() if moment <= now]
        for task in due:
            del self._moments[task]
            task.cancel()
        self.moment = nearest = min(self._moments.values(), default=math.inf)
        if nearest < self._all.wakes_at:
            self._all.wake_at(nearest)
