"""Which session does a plain read together with others.

A read that finds no idle session need not wait for one: it is sent behind those that are under way
on a session which does nothing but plain reads. So the server has the next one at hand, and neither
side pays for a message of its own for each. Where the server answers sooner than this process asks,
a few reads are even sent behind one another while other sessions are idle.

Nobody overtakes: where callers wait for a session of their own, a read waits behind them. A read
that takes long would hold up those behind it, so its session is given up: all are run again, each
on a session of its own, and that statement has one each time for a while.
"""

from __future__ import annotations

from contextvars import Context
from typing import TYPE_CHECKING, Final

from sanic_ms.db.base import Lane, Session
from sanic_ms.db.sql.statement import Statement
from sanic_ms.exception import DeadlineExceeded, QueryTimeout

if TYPE_CHECKING:
    from sanic_ms.db.sessions import Sessions

__all__ = ["ReadScheduler"]

# Seconds for which a statement that took long is not sent together with others: at first, and at
# most. Each time is twice as long as the one before.
_SLOW_FOR: Final = 30.0
_SLOW_FOR_LONG: Final = 3600.0


class ReadScheduler:
    """The plain reads of one pool.

    Args:
        sessions: Of the pool.
    """

    __slots__ = ("_busy", "_sessions", "_turn", "loop")

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self.loop = sessions.loop
        self._busy: list[Session] = []
        self._turn = 0

    def lane(self, read: Statement) -> Lane | None:
        """A way for a plain read at once: on the first busy session where nobody is kept waiting by
        that, on an idle session, or on any busy one.

        Returns:
            None: it has to `wait` for one.
        """
        sessions = self._sessions
        busy, idle = self._busy, sessions.idle
        if not idle:
            if sessions.waiters.queue or not busy:
                return None
            sessions.grow()
        # Those that were begun first are filled first, so that the others can rest.
        for session in busy:
            lane = session.lane(read, self, pressed=False)
            if lane is not None:
                return lane
        if not idle:
            return self._behind(read)
        lane = self.begin(idle[-1], read)
        if lane is not None:
            idle.pop()
        return lane

    async def wait(self, read: Statement, timeout: float, limit: float | None) -> Lane | None:
        """A way for a plain read, for which the next session that is free prepares it if need be.

        Args:
            timeout: Seconds to wait for a session.
            limit: Seconds for preparing, None: no limit.

        Returns:
            None: it could not be prepared. Why, a session of its own will tell.

        Raises:
            PoolExhausted, DatabaseUnavailable: as of `Sessions.wait`.
            QueryTimeout: preparing took longer than ``limit``.
        """
        sessions = self._sessions
        found = sessions.take() or await sessions.wait_for(read, timeout)
        if isinstance(found, Lane):
            return found
        lane = None
        try:
            await found.prepare(read, limit)
            lane = self.begin(found, read)
        except (QueryTimeout, DeadlineExceeded):
            raise
        except Exception:
            return None
        finally:
            if lane is None:
                sessions.take_back(found)
        return lane

    def begin(self, session: Session, read: Statement) -> Lane | None:
        """The first lane of a session that is free, None if it has to be prepared there first."""
        lane = session.lane(read, self, pressed=True)
        if lane is not None:
            self._busy.append(session)
        return lane

    def admit(self) -> None:
        """Give lanes to who waits for a plain read, up to the first who waits for a session."""
        waiters = self._sessions.waiters
        while (first := waiters.first()) is not None and (read := first[2]) is not None:
            lane = self._behind(read)
            if lane is None:
                return
            waiters.serve(lane)

    def _behind(self, read: Statement) -> Lane | None:
        """A lane behind those of a busy session, of each in turn."""
        busy = self._busy
        count = len(busy)
        for _ in range(count):
            self._turn = turn = (self._turn + 1) % count
            lane = busy[turn].lane(read, self, pressed=True)
            if lane is not None:
                return lane
        return None

    def rested(self, session: Session) -> None:
        """All reads on a session have ended, or it is lost."""
        if session in self._busy:
            self._busy.remove(session)
            self._sessions.take_back(session)

    def stalled(self, session: Session) -> None:
        """The read whose turn it is takes long. Where the pool stops, none could be run again."""
        if self._sessions.draining:
            return
        self._busy.remove(session)
        slow = session.drop_reads()
        if slow is not None and not slow.slow:
            slow.slow = True
            slow.alone_for = min(max(slow.alone_for * 2, _SLOW_FOR), _SLOW_FOR_LONG)
            self.loop.call_later(slow.alone_for, _forgive, slow, context=Context())
        self._sessions.throw_away(session)


def _forgive(statement: Statement) -> None:
    statement.slow = False
