"""The session that a connection of the pool was lent: who may use it, and until when."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

import msgspec

from sanic_ms.context import RequestContext, current_request
from sanic_ms.db.base import Session
from sanic_ms.db.calls import Work
from sanic_ms.db.rows import OpenRows
from sanic_ms.exception import DatabaseUnavailable, LifecycleError, TransactionConflict
from sanic_ms.lifecycle import State

if TYPE_CHECKING:
    from sanic_ms.db.pool import ConnectionPool
    from sanic_ms.db.transaction import Transaction

__all__ = ["LentSession"]

Result = TypeVar("Result")


class LentSession(msgspec.Struct, eq=False):  # whose constructor runs in C: one for each acquire()
    """A session of the pool, lent until its release: the part of a `Connection` that is not about
    statements.

    Attributes:
        transactions: Those that are open, the outermost first.
    """

    _pool: ConnectionPool
    _session: Session | None
    _request: RequestContext | None
    _busy: bool = False
    _fresh: bool = True
    _cursors: list[OpenRows] = []
    transactions: list[Transaction] = []

    __repr__ = object.__repr__

    @property
    def request(self) -> RequestContext | None:
        """The request that this connection works for: the one that the pool was given, else the one
        that the current task serves."""
        return self._request if self._request is not None else current_request.get()

    @property
    def is_lost(self) -> bool:
        """Whether its last statement has no answer because the session was lost."""
        return self._session is not None and self._session.lost

    def is_released(self) -> bool:
        """Whether it went back to the pool."""
        return self._session is None

    # --- for other modules of the package -------------------------------------------------------

    @property
    def pool(self) -> ConnectionPool:
        """The pool that has lent it."""
        return self._pool

    @property
    def pool_name(self) -> str:
        """The name of the pool that has lent it."""
        return self._pool.name

    @property
    def session(self) -> Session:
        """The physical connection.

        Raises:
            LifecycleError: the connection was released.
        """
        return self.check_owned()

    def check_owned(self) -> Session:
        """The session, or an error if it went back to the pool."""
        session = self._session
        if session is None:
            raise LifecycleError(
                "this connection was released to the pool: use it inside of the `async with` "
                "that acquired it, and acquire another one for later"
            )
        return session

    def give_back(self) -> None:
        """Go back to the pool without waiting: nearly always with a session that is at rest, which
        the next may have at once. A second time does nothing."""
        session = self._session
        sessions = self._pool.lending
        if (
            session is None
            or sessions is None
            or self._busy
            or self._cursors
            or self.transactions
            or not session.is_reusable()
        ):
            self._pool.give_back(self)
            return
        self._session = None
        session.fresh = True
        if sessions.waiters.queue:
            sessions.hand_over(session)
        else:
            sessions.idle.append(session)

    def detach(self) -> Session | None:
        """Take the session away, for the pool; None if that was done before."""
        session = self._session
        if session is None:
            return None
        self._session = None
        if self._busy:
            session.give_up()
        elif self._cursors:
            session.unsettled = True
            self._cursors.clear()
        return session

    def _usable(self) -> Session:
        session = self._session
        if session is None or self._busy:
            self.check_owned()
            raise LifecycleError(
                "another task uses this connection: a connection does one thing at a time; "
                "acquire one for each task"
            )
        if session.aborted and self.transactions:
            raise TransactionConflict(
                "the database has rolled this transaction back by itself after an earlier error "
                "in it: leave its `async with`, and begin again"
            )
        return session

    async def _elsewhere(
        self, work: Callable[[Session], Work[Result]], lost: Session, exc: DatabaseUnavailable
    ) -> Result:
        """The first statement on another session, where the one that was lent had been cut while
        idle: the statement was never sent, so that nothing can happen twice. Else ``exc``.

        Where one was cut others may have been, which is found out in the same way.
        """
        pool = self._pool
        until = monotonic() + pool.acquire_timeout
        for _ in range(pool.max_size):
            left = until - monotonic()
            if not (self._fresh and lost.unsent and left > 0 and pool.state is State.RUNNING):
                break
            changed, unproven = lost.changed, lost.unproven  # by the statement itself
            settings = lost.settings
            self._session = None
            self._session = lost = await pool.exchange(lost, left)
            lost.changed = lost.changed or changed
            lost.unproven = lost.unproven | unproven
            lost.settings = settings
            try:
                return await work(lost)
            except DatabaseUnavailable as another:
                exc = another
        raise exc
