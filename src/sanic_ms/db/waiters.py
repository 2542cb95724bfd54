"""The queue of callers that wait for a session, each until a moment of its own.

Nearly all are served long before, so none has a timer of its own: `Deadlines` has one for a pool's
statements and for these.
"""

from __future__ import annotations

import math
from asyncio import Future
from collections import deque
from contextlib import suppress

from sanic_ms.db.base import Lane, Session
from sanic_ms.db.deadlines import Deadlines
from sanic_ms.db.sql.statement import Statement
from sanic_ms.exception import DatabaseError, SanicMSError

__all__ = ["Place", "Waiters"]

# When it ends, by `time.monotonic`; what is awaited: a session, or None when none came in time; and
# the plain read that it is for, which may get a lane instead. None: it must be a session.
Place = tuple[float, Future[Session | Lane | None], Statement | None]


class Waiters:
    """Who waits for a session of one pool, in order.

    Args:
        deadlines: The pool's, whose timer ends the waiting.

    Attributes:
        queue: The places; some may have given up.
        moment: No place ends before it; infinity: nobody waits.
    """

    __slots__ = ("__weakref__", "_deadlines", "moment", "queue")

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self.queue: deque[Place] = deque()
        self.moment = math.inf
        deadlines.enlist(self)

    def join(self, moment: float, read: Statement | None = None) -> Place:
        """The last place, until ``moment``. Whoever is interrupted there must `leave` it."""
        deadlines = self._deadlines
        place = (moment, deadlines.loop.create_future(), read)
        self.queue.append(place)
        if moment < self.moment:
            self.moment = moment
        if moment < deadlines.wakes_at:
            deadlines.wake_at(moment)
        return place

    def leave(self, place: Place) -> Session | Lane | None:
        """Give a place up: what had been handed to it, None if it had nothing."""
        waiter = place[1]
        if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            return waiter.result()
        with suppress(ValueError):
            self.queue.remove(place)
        return None

    def first(self) -> Place | None:
        """The first place, None if nobody waits."""
        queue = self.queue
        while queue:
            if not queue[0][1].done():
                return queue[0]
            queue.popleft()
        return None

    def serve(self, found: Session | Lane) -> bool:
        """Hand a session or a lane to the first in the queue; False: nobody waits."""
        place = self.first()
        if place is None:
            return False
        self.queue.popleft()
        place[1].set_result(found)
        return True

    def refuse(self, exc: SanicMSError) -> None:
        """End every place with an error."""
        while self.queue:
            waiter = self.queue.popleft()[1]
            if waiter.done():
                continue
            # One error each: an exception object takes the traceback of whoever raises it.
            if isinstance(exc, DatabaseError):
                error: SanicMSError = type(exc)(exc.detail, sqlstate=exc.sqlstate)
            else:
                error = type(exc)(*exc.args)
            error.__cause__ = exc
            waiter.set_exception(error)

    def expire(self, now: float) -> None:
        """End the places whose moment has come, with None."""
        places = list(self.queue)
        self.queue.clear()
        nearest = math.inf
        for place in places:
            moment, waiter, _ = place
            if moment > now:
                self.queue.append(place)
                nearest = min(nearest, moment)
            elif not waiter.done():
                waiter.set_result(None)
        self.moment = nearest
        if nearest < self._deadlines.wakes_at:
            self._deadlines.wake_at(nearest)

    def count(self) -> int:
        """How many wait now."""
        return sum(not waiter.done() for _, waiter, _ in self.queue)
