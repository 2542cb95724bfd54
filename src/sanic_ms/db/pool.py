"""The connection pool: the one object that an application has of a database."""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from sanic_ms.context import RequestContext
from sanic_ms.db.acquire import Acquiring, PoolTransaction
from sanic_ms.db.base import Arguments, Driver, Reads, Row, Session
from sanic_ms.db.builders import BuiltQuery, build, prepare_peewee
from sanic_ms.db.connection import Connection
from sanic_ms.db.drivers import driver_for
from sanic_ms.db.instrumentation import StatementInstrumentation
from sanic_ms.db.lent_session import LentSession
from sanic_ms.db.metrics import PoolMetrics
from sanic_ms.db.reading import UNDONE, PlainRead, alone, in_time, raise_exceeded, together
from sanic_ms.db.refusal import refusal
from sanic_ms.db.request_deadline import check_deadline
from sanic_ms.db.rows import RowIterator
from sanic_ms.db.scheduler import ReadScheduler
from sanic_ms.db.session_settings import SettingsOf
from sanic_ms.db.sessions import PoolLimits, PoolStats, Sessions
from sanic_ms.db.sql.statement import StatementCache
from sanic_ms.db.transaction import transaction_options
from sanic_ms.exception import ConfigError, DatabaseError, LifecycleError
from sanic_ms.lifecycle import Component, Health, State
from sanic_ms.resilience.deadline import deadline_scope
from sanic_ms.telemetry.metrics import Registry
from sanic_ms.values import DatabaseURL

__all__ = ["ConnectionPool"]

log = logging.getLogger("sanic_ms.db")

# Seconds that a health check waits for the database's answer.
_CHECK_LIMIT = 0.4


class ConnectionPool(Component):
    """Connections to one database. Constructing one connects to nothing.

    Args:
        url: ``postgresql://…``, ``mysql://…`` or ``sqlite://…``; a `DatabaseURL`; or a mapping
            ``{host, user, password, port, database}``, which means PostgreSQL. None: `init`
            is given it.
        loop: Ignored. The pool belongs to the event loop that starts it.
        name: Shown in logs, health answers and messages.
        min_size: Connections opened at the start and kept.
        max_size: The most connections. A ``:memory:`` database has one, whatever this says.
        acquire_timeout: Seconds to wait for a free connection, then `PoolExhausted`.
        max_waiters: Callers that may wait at once; one more gets `PoolExhausted` at once.
        statement_timeout: Seconds that a statement may take, then `QueryTimeout`; None: no limit.
        connect_timeout: Seconds to open a connection.
        idle_timeout: Seconds after which an unused connection above ``min_size`` is closed.
        max_lifetime: Seconds after which a connection is replaced, so that a database that moved
            is found again and memory is given back.
        reset: ``"auto"``: a connection is reset at its release unless each statement on it was
            proven to leave the session as it was. ``"always"``: it is reset at each release, and
            nothing is pipelined.
        session_settings: Gives the settings of a request's session (its tenant, role, search path),
            which go with each of its statements; PostgreSQL only, and nothing is pipelined.
        pipeline: Send plain reads of several callers on one connection, one behind the other,
            where the database can do that (PostgreSQL). It is about `fetch`, `fetchrow` and
            `fetchval` of the pool itself.
        stop_timeout: Seconds that `stop` waits for connections in use before it closes them.

    Raises:
        ValueError: the URL or an option is wrong. The text never holds the password.
    """

    def __init__(
        self,
        url: str | DatabaseURL | Mapping[str, Any] | None = None,
        *,
        loop: object = None,
        name: str = "default",
        min_size: int = 0,
        max_size: int = 10,
        acquire_timeout: float = 5.0,
        max_waiters: int = 1000,
        statement_timeout: float | None = 30.0,
        connect_timeout: float = 5.0,
        idle_timeout: float = 300.0,
        max_lifetime: float = 3600.0,
        pipeline: bool = True,
        reset: Literal["auto", "always"] = "auto",
        session_settings: SettingsOf | None = None,
        stop_timeout: float = 5.0,
    ) -> None:
        if not 0 <= min_size <= max_size or max_size < 1:
            raise ValueError(
                f"min_size={min_size}, max_size={max_size}: 0 <= min_size <= max_size, and at "
                "least one connection"
            )
        if reset not in ("auto", "always"):
            raise ValueError(f"reset={reset!r}: allowed are auto, always")
        if max_waiters < 0:
            raise ValueError(f"max_waiters={max_waiters}: at least 0")
        seconds = {
            "acquire_timeout": acquire_timeout,
            "connect_timeout": connect_timeout,
            "idle_timeout": idle_timeout,
            "max_lifetime": max_lifetime,
            "statement_timeout": 1.0 if statement_timeout is None else statement_timeout,
        }
        for option, value in seconds.items():
            if not value > 0:
                raise ValueError(f"{option}={value}: a number of seconds above 0")
        self.name = name
        self.url = None if url is None else DatabaseURL.parse(url)
        self.acquire_timeout = acquire_timeout
        self.statement_timeout = statement_timeout
        self.stop_timeout = stop_timeout
        self._reset = reset
        self.settings_of = session_settings
        # A read that is late in a pipeline is begun anew, which must not take a good part of the
        # time that it has.
        self.pipeline = pipeline and (statement_timeout is None or statement_timeout >= 1.0)
        self._limits = PoolLimits(
            min_size, max_size, max_waiters, connect_timeout, idle_timeout, max_lifetime
        )
        self.state = State.NEW
        self.statements = StatementCache("postgresql")
        self.watch = StatementInstrumentation(self.url)
        self._metrics: PoolMetrics | None = None
        self._sessions: Sessions | None = None
        # The same while the pool runs, and None otherwise.
        self.lending: Sessions | None = None
        self._sharing: ReadScheduler | None = None
        self._reads: Reads | None = None
        self._pid = 0
        self._driver: Driver | None = None
        self.is_mariadb = False  # until the first connection has told
        prepare_peewee()

    # --- life ------------------------------------------------------------------------------------

    async def init(self, url: str | DatabaseURL | Mapping[str, Any]) -> ConnectionPool:
        """Set the database and start: ``pool = await ConnectionPool().init(DB_CONFIG)``.

        Raises:
            LifecycleError: the database cannot be reached, or the pool runs already.
        """
        if self.state not in (State.NEW, State.STOPPED):
            raise LifecycleError(f"cannot init the pool {self.name!r}: it is {self.state.value}")
        self.url = DatabaseURL.parse(url)
        await self.start()
        return self

    async def start(self) -> None:
        """Open the first connections: ``min_size``, and at least one, so that a wrong setting
        stops the service here and not at its first request.

        Raises:
            ConfigError: an option of the URL is wrong.
            LifecycleError: the database cannot be reached (the one-line text says why and what to
                do), no URL was given, or the pool runs already.
        """
        if self.state not in (State.NEW, State.STOPPED):
            raise LifecycleError(f"cannot start the pool {self.name!r}: it is {self.state.value}")
        if self.url is None:
            raise LifecycleError(
                f"the pool {self.name!r} has no database: give ConnectionPool(url), or set DB_URL"
            )
        self.state = State.STARTING
        self._pid = os.getpid()
        prepare_peewee()
        try:
            driver = self._driver = driver_for(self.url)
            if self.settings_of is not None and not driver.has_settings:
                raise ConfigError(
                    f"SESSION_SETTINGS needs PostgreSQL: the database {self.name!r} is "
                    f"{self.url.masked}"
                )
            self.statements = StatementCache(driver.dialect, prove=self._reset == "auto")
            self.watch = StatementInstrumentation(self.url, self._metrics)
            waited = None if self._metrics is None else self._metrics.waited
            self._sessions = Sessions(self.name, driver, self._limits, self.statements, waited)
            await self._sessions.open()
            self.is_mariadb = driver.is_mariadb
        except BaseException as exc:
            await self._shut()
            if isinstance(exc, DatabaseError):
                raise LifecycleError(
                    f"the database {self.name!r} at {self.url.masked} cannot be used: "
                    f"{' '.join(exc.detail.split())}"
                ) from exc
            raise
        self.state = State.RUNNING
        self.lending = self._sessions
        if self.pipeline and driver.pipelines and self.settings_of is None:
            self._sharing = self._sessions.sharing
            self._reads = driver.reads(self._sessions, self.statements, self._metrics)

    async def stop(self) -> None:
        """Close every connection: the idle ones now, those in use when they are released, and
        after ``stop_timeout`` seconds whatever they do. Who waits gets a `LifecycleError`.

        Calling it again, or before `start`, does nothing.
        """
        if self.state is not State.RUNNING or self._sessions is None:
            return
        self.state = State.STOPPING
        self.lending = self._sharing = self._reads = None
        try:
            await self._sessions.drain(self.stop_timeout)
        finally:
            await self._shut()

    async def _shut(self) -> None:
        self.state = State.STOPPED
        self.lending = self._sharing = self._reads = None
        sessions, self._sessions = self._sessions, None
        if sessions is not None:
            await sessions.shut()

    close = stop

    async def check(self) -> Health:
        """Whether the database answers, within half a second.

        All connections being in use is ``degraded``: the database may be well.
        """
        sessions = self._sessions
        if self.state is not State.RUNNING or sessions is None:
            return Health("down", f"the pool is {self.state.value}")
        stats = sessions.stats()
        if not stats.idle and stats.size >= sessions.max_size:
            return Health("degraded", f"all {stats.size} connections in use, {stats.waiting} wait")
        try:
            with deadline_scope(None):  # it has a limit of its own, and its result is others' too
                async with (
                    asyncio.timeout(_CHECK_LIMIT),
                    self.acquire(timeout=_CHECK_LIMIT) as connection,
                ):
                    await connection.session.ping()
        except DatabaseError as exc:
            return Health("down", exc.public or type(exc).__name__)
        except TimeoutError:
            return Health("down", f"no answer within {_CHECK_LIMIT:g} s")
        return Health("up")

    def stats(self) -> PoolStats:
        """The pool's numbers now."""
        return PoolStats(0, 0, 0) if self._sessions is None else self._sessions.stats()

    @property
    def max_size(self) -> int:
        """The most connections; once it runs, as the driver allows it."""
        return self._limits.max_size if self._sessions is None else self._sessions.max_size

    def measure(self, registry: Registry) -> None:
        """Show the pool's numbers among the metrics: connections, waiting, durations of statements.
        A service does so for its own pools.

        Args:
            registry: ``app.metrics``.

        Raises:
            LifecycleError: the pool has started.
        """
        if self.state not in (State.NEW, State.STOPPED):
            raise LifecycleError(f"cannot measure the pool {self.name!r}: it has started already")
        if self._metrics is None:
            self._metrics = PoolMetrics(registry, self)

    # --- connections -----------------------------------------------------------------------------

    def acquire(
        self, request: RequestContext | None = None, *, timeout: float | None = None
    ) -> Acquiring:
        """A connection for ``async with``; each statement on it is by itself.

        ``connection = await pool.acquire()`` is possible too, with `release` in a ``finally``.

        Args:
            request: The request that it is for: `Connection.request`.
            timeout: Seconds to wait for a free one; None is the pool's ``acquire_timeout``.

        Raises (when entered):
            PoolExhausted: none became free in time, or too many wait already.
            DeadlineExceeded: the deadline of the request was over before one became free.
            DatabaseUnavailable: the database cannot be reached.
            LifecycleError: the pool has not started, is stopped, or belongs to another event loop.
        """
        return Acquiring(self, request, timeout)

    def transaction(
        self,
        request: RequestContext | None = None,
        *,
        isolation: str | None = None,
        readonly: bool = False,
        deferrable: bool = False,
        timeout: float | None = None,
    ) -> PoolTransaction:
        """A connection with a transaction on it, for ``async with``: committed at the end, rolled
        back if an exception passes, `CancelledError` included.

        Args:
            request, timeout: As for `acquire`.
            isolation, readonly, deferrable: As for `Connection.transaction`.

        Raises:
            ValueError: an unknown isolation.
        """
        options = transaction_options(isolation, readonly, deferrable)
        return PoolTransaction(self, request, timeout, _options=options)

    async def release(self, connection: Connection) -> None:
        """Give back what ``await pool.acquire()`` gave. A second time does nothing."""
        self.give_back(connection)

    async def fetch(self, statement: object, *args: Any, timeout: float | None = None) -> list[Row]:
        """`Connection.fetch` by itself: on a connection of its own, or, where it is a plain read,
        behind those of other callers."""
        if type(statement) is not str:
            query = self.build(statement, args)
            return query.rows(await self.fetch(query.text, *query.args, timeout=timeout))
        deadline = check_deadline()
        if (
            timeout is None
            and (reads := self._reads) is not None
            and (asked := reads.fetch(statement, args)) is not None
        ):
            try:
                return await (
                    asked if deadline is None else in_time(self, statement, deadline, asked)
                )
            except Exception as exc:
                raise_exceeded(exc)  # else a connection of its own will tell what went wrong
        elif timeout is None and (read := self._plain_read(statement, args)) is not None:
            work = together(self, read, lambda lane, args: lane.fetch(args))
            rows = await (work if deadline is None else in_time(self, statement, deadline, work))
            if rows is not UNDONE:
                return rows
        else:
            async with Acquiring(self, None, None) as connection:
                return await connection.fetch(statement, *args, timeout=timeout)
        return await alone(
            self, lambda connection, limit: connection.fetch(statement, *args, timeout=limit)
        )

    async def fetchrow(
        self, statement: object, *args: Any, timeout: float | None = None
    ) -> Row | None:
        """`Connection.fetchrow` by itself, like `fetch`."""
        if type(statement) is not str:
            query = self.build(statement, args)
            return query.row(await self.fetchrow(query.text, *query.args, timeout=timeout))
        deadline = check_deadline()
        if (
            timeout is None
            and (reads := self._reads) is not None
            and (asked := reads.fetchrow(statement, args)) is not None
        ):
            try:
                return await (
                    asked if deadline is None else in_time(self, statement, deadline, asked)
                )
            except Exception as exc:
                raise_exceeded(exc)  # else a connection of its own will tell what went wrong
        elif timeout is None and (read := self._plain_read(statement, args)) is not None:
            work = together(self, read, lambda lane, args: lane.fetchrow(args))
            row = await (work if deadline is None else in_time(self, statement, deadline, work))
            if row is not UNDONE:
                return row
        else:
            async with Acquiring(self, None, None) as connection:
                return await connection.fetchrow(statement, *args, timeout=timeout)
        return await alone(
            self, lambda connection, limit: connection.fetchrow(statement, *args, timeout=limit)
        )

    async def fetchval(
        self, statement: object, *args: Any, column: int = 0, timeout: float | None = None
    ) -> Any:
        """`Connection.fetchval` by itself, like `fetch`."""
        if type(statement) is not str:
            query = self.build(statement, args)
            value = await self.fetchval(query.text, *query.args, column=column, timeout=timeout)
            return query.value(value, column)
        deadline = check_deadline()
        if (
            timeout is None
            and (reads := self._reads) is not None
            and (asked := reads.fetchval(statement, args, column)) is not None
        ):
            try:
                return await (
                    asked if deadline is None else in_time(self, statement, deadline, asked)
                )
            except Exception as exc:
                raise_exceeded(exc)  # else a connection of its own will tell what went wrong
        elif timeout is None and (read := self._plain_read(statement, args)) is not None:
            work = together(self, read, lambda lane, args: lane.fetchval(args, column))
            value = await (work if deadline is None else in_time(self, statement, deadline, work))
            if value is not UNDONE:
                return value
        else:
            async with Acquiring(self, None, None) as connection:
                return await connection.fetchval(statement, *args, column=column, timeout=timeout)
        return await alone(
            self,
            lambda connection, limit: connection.fetchval(
                statement, *args, column=column, timeout=limit
            ),
        )

    async def execute(self, statement: object, *args: Any, timeout: float | None = None) -> int:
        """`Connection.execute` on a connection of its own."""
        async with Acquiring(self, None, None) as connection:
            return await connection.execute(statement, *args, timeout=timeout)

    async def insert(
        self, statement: object, *args: Any, key: str | None = None, timeout: float | None = None
    ) -> Any:
        """`Connection.insert` on a connection of its own."""
        async with Acquiring(self, None, None) as connection:
            return await connection.insert(statement, *args, key=key, timeout=timeout)

    async def executemany(
        self, statement: str, rows: Iterable[Arguments], *, timeout: float | None = None
    ) -> None:
        """`Connection.executemany` on a connection of its own."""
        async with Acquiring(self, None, None) as connection:
            await connection.executemany(statement, rows, timeout=timeout)

    def iterate(
        self, statement: object, *args: Any, prefetch: int = 500, timeout: float | None = None
    ) -> RowIterator:
        """`Connection.iterate` on a connection of its own, which it keeps until it ends."""
        return RowIterator(None, statement, args, prefetch, timeout, pool=self)

    def _plain_read(self, statement: str, args: Arguments) -> PlainRead | None:
        """What may be done together with others, None for anything else."""
        sharing = self._sharing
        if sharing is None or asyncio.get_running_loop() is not sharing.loop:
            return None
        known, args = self.statements.get(statement, args)
        return None if known.slow or not known.plain else (known, args, sharing)

    # --- for other modules of the package -------------------------------------------------------

    def build(self, statement: object, args: Arguments) -> BuiltQuery:
        """A statement of any kind as SQL text, with the conversion of its rows.

        Raises:
            StatementError: it is of no kind, or cannot be written for this database.
        """
        return build(statement, args, self.statements.dialect, mariadb=self.is_mariadb)

    async def checkout(self, timeout: float | None) -> Session:
        """A session for the caller alone, waited for if need be."""
        sessions = self.lending
        if sessions is None or asyncio.get_running_loop() is not sessions.loop:
            raise refusal(self.name, self.state, self._pid)
        return sessions.take() or await sessions.wait(
            self.acquire_timeout if timeout is None else timeout
        )

    async def exchange(self, lost: Session, timeout: float) -> Session:
        """Another session for one that was lost, within so many seconds."""
        if self._sessions is not None:
            self._sessions.take_back(lost)
        return await self.checkout(timeout)

    def give_back(self, connection: LentSession) -> None:
        """Take a connection back without waiting. A second time does nothing."""
        session = connection.detach()
        if session is None:
            return
        if connection.transactions:
            log.warning(
                "pool %s: a connection was released inside of an open transaction, which is "
                "rolled back: leave transaction() before acquire()",
                self.name,
            )
        if self._sessions is None:
            session.terminate()
        else:
            self._sessions.take_back(session)

    def limit(self, timeout: float | None) -> float | None:
        """The timeout of a statement: the caller's own, else the pool's; None for no limit.

        Raises:
            ValueError: it is no number.
        """
        if timeout is None:
            return self.statement_timeout
        if math.isnan(timeout):
            raise ValueError("timeout=nan: give seconds, or math.inf for no limit")
        return None if timeout == math.inf else timeout
