"""The sessions of one pool: those idle, those lent, and those being opened and closed.

The session that came back last is lent next: its caches are warm, and the others grow idle and are
closed. Coming back costs no round trip, unless a statement was interrupted or is not proven to
leave the session as it was: then it is reset in the background. Callers that wait are served in
order, with a session handed over directly.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, NamedTuple

from sanic_ms.db.base import Driver, Lane, Session
from sanic_ms.db.deadlines import TaskLimits
from sanic_ms.db.scheduler import ReadScheduler
from sanic_ms.db.sql.statement import Statement, StatementCache
from sanic_ms.db.waiters import Waiters
from sanic_ms.exception import (
    DatabaseError,
    DatabaseUnavailable,
    DeadlineExceeded,
    LifecycleError,
    PoolExhausted,
)
from sanic_ms.resilience.deadline import current_deadline, deadline_scope

__all__ = ["PoolLimits", "PoolStats", "Sessions"]

log = logging.getLogger("sanic_ms.db")

# Seconds that a session may take to be reset or closed before it is thrown away.
_SETTLE_LIMIT = 5.0
# Seconds until the catalog is asked again: another process may have changed a table.
_PROOFS_LAST = 60.0


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """The numbers that bound a pool; `ConnectionPool` says what each means."""

    min_size: int
    max_size: int
    max_waiters: int
    connect_timeout: float
    idle_timeout: float
    max_lifetime: float


class PoolStats(NamedTuple):
    """A pool's numbers at one moment: open connections, those idle, and callers that wait."""

    size: int
    idle: int
    waiting: int


class Sessions:
    """The sessions of one driver, on one event loop, from `open` to `shut`.

    Args:
        name: The pool's, for messages.
        driver: Opens them.
        limits: How many, and for how long.
        statements: Those of the pool, to be proven.
        waited: Gets the seconds of each `wait`.

    Attributes:
        idle: Those that may be lent, the one that came back last at the end.
        waiters: The callers that wait.
        readers: The tasks that wait for a read among others, until the deadline of their request.
        sharing: Has the sessions that do plain reads of several callers.
        draining: Nothing is lent any more.
    """

    def __init__(
        self,
        name: str,
        driver: Driver,
        limits: PoolLimits,
        statements: StatementCache,
        waited: Callable[[float], None] | None = None,
    ) -> None:
        self._waited = waited
        self._statements = statements
        self._proofs_since = 0.0
        self.name = name
        self.driver = driver
        if driver.keeps_data:
            # The data would go with the session.
            limits = replace(limits, idle_timeout=math.inf, max_lifetime=math.inf)
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self.max_size = min(limits.max_size, driver.max_sessions or limits.max_size)
        self.idle: list[Session] = []
        self._all: set[Session] = set()
        # Open and being opened. The latter are counted before they exist, so that two callers
        # never open one too many.
        self._size = 0
        self.waiters = Waiters(driver.deadlines)
        self.readers = TaskLimits(driver.deadlines)
        self.sharing = ReadScheduler(self)
        self._tasks: set[asyncio.Task[None]] = set()
        self.draining = False
        self._drained: asyncio.Future[None] | None = None

    # --- life ------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the first ones: ``min_size`` of them, and at least one.

        Raises:
            DatabaseUnavailable: one could not be opened. `shut` closes the others.
        """
        count = min(max(self.limits.min_size, 1), self.max_size)
        self._size = count
        opened = await asyncio.gather(
            *(self.driver.connect(self.limits.connect_timeout) for _ in range(count)),
            return_exceptions=True,
        )
        for session in opened:
            if isinstance(session, Session):
                self._enlist(session)
                self.idle.append(session)
        self._size = len(self._all)
        for failure in opened:
            if isinstance(failure, BaseException):
                raise failure
        self._run(self._maintain())

    async def drain(self, timeout: float) -> None:
        """Lend no more, close the idle ones, and wait for the others to come back."""
        self.draining = True
        self.waiters.refuse(LifecycleError(f"the pool {self.name!r} is stopping"))
        while self.idle:
            self._run(self._close(self.idle.pop()))
        if not self._size:
            return
        self._drained = self.loop.create_future()
        try:
            async with asyncio.timeout(timeout):
                await self._drained
        except TimeoutError:
            log.warning(
                "pool %s: %d connections were still in use after %g s; they are closed now",
                self.name,
                self._size,
                timeout,
            )

    async def shut(self) -> None:
        """Close all that is open, whatever it does."""
        self.draining = True
        for session in self._all:
            session.terminate()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # Those that a task had just opened.
        for session in self._all:
            session.terminate()
        self._all.clear()
        self.idle.clear()
        self._size = 0
        await self.driver.close()

    def stats(self) -> PoolStats:
        """The numbers now."""
        return PoolStats(self._size, len(self.idle), self.waiters.count())

    # --- lending ---------------------------------------------------------------------------------

    def take(self) -> Session | None:
        """An idle session, None if there is none."""
        idle = self.idle
        while idle:
            session = idle.pop()
            if not session.is_closed():
                return session
            self._discard(session)
        return None

    async def wait(self, timeout: float) -> Session:
        """A session as soon as there is one; another one is opened meanwhile, if there may be.

        Raises:
            PoolExhausted: none came within ``timeout`` seconds, or too many wait already.
            DeadlineExceeded: none came before the deadline of the request.
            DatabaseUnavailable: none could be opened, and none is open.
        """
        session = await self.wait_for(None, timeout)
        assert isinstance(session, Session)
        return session

    async def wait_for(self, read: Statement | None, timeout: float) -> Session | Lane:
        """The same for a plain read, which may get a lane instead.

        Raises:
            PoolExhausted: none came within ``timeout`` seconds, or too many wait already.
            DeadlineExceeded: none came before the deadline of the request.
            DatabaseUnavailable: none could be opened, and none is open.
        """
        waiters = self.waiters
        if len(waiters.queue) >= self.limits.max_waiters:
            raise PoolExhausted(
                f"pool {self.name}: {len(waiters.queue)} callers wait already for one of "
                f"{self.max_size} connections (max_waiters, max_size)"
            )
        started = monotonic()
        until = started + timeout
        deadline = current_deadline()
        if deadline is not None and deadline.at < until:
            until = deadline.at
        place = waiters.join(until, read)
        self.grow()
        try:
            found = await place[1]
        except BaseException:
            # Cancelled between being served and waking up: the next one gets it.
            served = waiters.leave(place)
            if isinstance(served, Session):
                self.take_back(served)
            elif served is not None:
                served.settle(served.uses)
            raise
        finally:
            if self._waited is not None:
                self._waited(monotonic() - started)
        if found is None:
            if deadline is not None and until == deadline.at:
                raise DeadlineExceeded(
                    "the deadline was over before a connection to the database was free"
                )
            raise PoolExhausted(
                f"pool {self.name}: none of {self.max_size} connections became free within "
                f"{timeout:g} s (acquire_timeout, max_size)"
            )
        return found

    def hand_over(self, session: Session) -> None:
        """A session that is at rest: to the first who waits, else to the idle ones."""
        waiters = self.waiters
        first = waiters.first()
        if first is None:
            self.idle.append(session)
            return
        read = first[2]
        lane = None if read is None else self.sharing.begin(session, read)
        waiters.serve(session if lane is None else lane)
        self.sharing.admit()

    def take_back(self, session: Session) -> None:
        """A session comes back: to the next who waits, to the idle ones, or to be reset first."""
        if session.is_reusable() and not self.draining:
            session.fresh = True
            self.hand_over(session)
        elif session.is_closed():
            self._discard(session)
        elif session.unsettled or session.changed or session.in_transaction():
            self._run(self._reset(session))
        else:
            self._run(self._close(session))

    def throw_away(self, session: Session) -> None:
        """One that is still at work comes back: it is ended on the server and closed."""
        self._run(self._kill(session))

    def grow(self) -> None:
        """Begin to open one more, if there may be one more."""
        if self._size < self.max_size and not self.draining:
            self._size += 1
            self._run(self._open_one())

    # --- opening and closing ---------------------------------------------------------------------

    async def _open_one(self) -> None:
        try:
            session = await self.driver.connect(self.limits.connect_timeout)
        except BaseException as exc:
            self._shrink()
            if not isinstance(exc, Exception):
                raise
            if not isinstance(exc, DatabaseError):
                log.error("pool %s: a connection could not be opened", self.name, exc_info=exc)
                exc = DatabaseUnavailable(f"{type(exc).__name__}: {exc}")
            if not self._size:
                # While another one is open, or being opened, it may yet come to who waits. With
                # none left nobody would, so all are told at once.
                self.waiters.refuse(exc)
            return
        self._enlist(session)
        self.take_back(session)

    def _enlist(self, session: Session) -> None:
        self._all.add(session)
        session.born = session.idle_since = self.loop.time()

    async def _reset(self, session: Session) -> None:
        try:
            async with asyncio.timeout(_SETTLE_LIMIT):
                await session.reset()
        except TimeoutError:
            # The request to cancel its statement may have come before the statement.
            await self._kill(session)
            return
        except BaseException as exc:
            self._discard(session)
            if not isinstance(exc, DatabaseError):
                raise
            log.debug("pool %s: a connection could not be reset: %s", self.name, exc)
            return
        session.unsettled = session.changed = False
        await self._prove(session)
        self.take_back(session)

    async def _prove(self, session: Session) -> None:
        """Ask the catalog about the statements for which a session had to be reset: those that are
        proven cost no further reset."""
        statements = self._noted(session)
        for statement in statements:
            mentions = statement.mentions
            if statement.harmless or mentions is None or self.draining:
                continue
            known = self._statements.proof_of(mentions)
            if known is not None:
                statement.confirm(known)
                continue
            try:
                async with asyncio.timeout(_SETTLE_LIMIT):
                    reason = await session.prove(mentions)
            except Exception as exc:
                # The statement stays unproven, and a session that is lost is thrown away.
                log.debug("pool %s: the catalog was not read: %s", self.name, exc)
                session.unsettled = True
                return
            self._statements.keep_proof(mentions, reason is None)
            statement.confirm(reason is None)
            if reason is not None:
                log.debug(
                    "pool %s: a connection is reset after %r: it mentions %s",
                    self.name,
                    statement,
                    reason,
                )

    async def _kill(self, session: Session) -> None:
        try:
            async with asyncio.timeout(_SETTLE_LIMIT):
                await session.kill()
        finally:
            self._discard(session)

    async def _close(self, session: Session) -> None:
        try:
            async with asyncio.timeout(_SETTLE_LIMIT):
                await session.close()
        except (DatabaseError, TimeoutError) as exc:
            log.debug("pool %s: a connection did not close well: %s", self.name, exc)
        finally:
            self._discard(session)

    def _noted(self, session: Session) -> set[Statement]:
        """The statements for which a session has to be reset. Where one of them may have changed
        tables, nothing is proven any more."""
        statements, session.unproven = session.unproven, set()
        if any(statement.changes_schema for statement in statements):
            self._statements.forget_proofs()
        return statements

    def _discard(self, session: Session) -> None:
        """Throw a session away; another one is opened if someone waits."""
        self._noted(session)
        session.terminate()
        if session in self._all:
            self._all.remove(session)
            self._shrink()
        if self.waiters.queue:
            self.grow()

    def _shrink(self) -> None:
        self._size -= 1
        if not self._size and self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    async def _maintain(self) -> None:
        """Close what has been idle or alive for too long, and keep ``min_size`` open."""
        limits = self.limits
        while True:
            await asyncio.sleep(min(limits.idle_timeout, limits.max_lifetime, 30.0) / 4)
            now = self.loop.time()
            if now - self._proofs_since > _PROOFS_LAST:
                self._proofs_since = now
                self._statements.forget_proofs()
            for session in self._all:
                if now - session.born > limits.max_lifetime:
                    session.retired = True
            for session in list(self.idle):
                if session.fresh:
                    # A mark at each release costs less than a look at the clock.
                    session.fresh = False
                    session.idle_since = now
                unused = now - session.idle_since > limits.idle_timeout
                if (
                    session.retired
                    or session.is_closed()
                    or (unused and self._size > limits.min_size)
                ):
                    self.idle.remove(session)
                    self._run(self._close(session))
            for _ in range(limits.min_size - self._size):
                self.grow()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        with deadline_scope(None):  # the request in which it happens to begin may end before
            task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            log.error("pool %s: an internal task failed", self.name, exc_info=failure)
