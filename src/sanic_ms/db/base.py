"""The contract of a database driver: what the pool asks of every kind of database.

A `Driver` knows one database's address and opens `Session`\\ s, its physical connections. A session
runs one thing at a time and raises nothing but errors of `sanic_ms.exception` and `CancelledError`:
the driver's own are translated in the leaf modules, where the table of each stands.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from sanic_ms.db.deadlines import Deadlines
from sanic_ms.db.request_deadline import check_deadline, within_deadline
from sanic_ms.db.session_settings import SessionSettings
from sanic_ms.db.sql.classification import Mentions
from sanic_ms.db.sql.placeholders import Dialect
from sanic_ms.db.sql.statement import Statement, StatementCache

if TYPE_CHECKING:
    from sanic_ms.db.metrics import PoolMetrics
    from sanic_ms.db.sessions import Sessions

__all__ = [
    "Arguments",
    "Driver",
    "FetchedRows",
    "Isolation",
    "Lane",
    "Reads",
    "Row",
    "Rows",
    "Session",
    "Sharer",
    "TransactionOptions",
]

Row = dict[str, Any]
Arguments = Sequence[Any]
Isolation = Literal["read_uncommitted", "read_committed", "repeatable_read", "serializable"]


@dataclass(frozen=True, slots=True)
class TransactionOptions:
    """How a transaction is to run; None as isolation is the database's default."""

    isolation: Isolation | None = None
    readonly: bool = False
    deferrable: bool = False


class Rows(ABC):
    """The rows of one statement, fetched a part at a time with constant memory."""

    @abstractmethod
    async def fetch(self, count: int) -> list[Row]:
        """The next rows, at most ``count``; an empty list at the end."""

    @abstractmethod
    async def close(self) -> None:
        """Give up what is left. Calling it again does nothing."""


class FetchedRows(Rows):
    """Rows that are all here already."""

    __slots__ = ("_rows",)

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    async def fetch(self, count: int) -> list[Row]:
        """The next rows."""
        part, self._rows = self._rows[:count], self._rows[count:]
        return part

    async def close(self) -> None:
        """Forget the rest."""
        self._rows = []


class Lane(ABC):
    """The way of one plain read on a session that does those of several callers at once.

    Whoever gets one notes `uses` and calls one of its three methods at once, and after an exception
    `settle`. What goes wrong may have nothing to do with the read, which is then run again in the
    usual way.

    Attributes:
        uses: How often it was given back. Who hears of an answer is no longer its owner.
    """

    uses: int

    __slots__ = ()

    @abstractmethod
    async def fetch(self, args: Arguments) -> list[Row]:
        """Every row."""

    @abstractmethod
    async def fetchrow(self, args: Arguments) -> Row | None:
        """The first row, None if there is none."""

    @abstractmethod
    async def fetchval(self, args: Arguments, column: int) -> Any:
        """One value of the first row, None if there is no row."""

    @abstractmethod
    def settle(self, uses: int) -> None:
        """After an exception, or instead of a read: nothing is waited for that was never sent.

        Args:
            uses: What was noted. Another one has the lane where that is not true any more.
        """


class Reads(Protocol):
    """A fast path of one pool's plain reads, up to what is awaited, which counts the durations too.

    Each gives None, and has done nothing, where the usual way has to be taken; an awaitable that
    raises an `Exception` has to be followed by the usual way, too.
    """

    def fetch(self, statement: object, args: tuple[Any, ...]) -> Awaitable[list[Row]] | None:
        """Every row."""

    def fetchrow(self, statement: object, args: tuple[Any, ...]) -> Awaitable[Row | None] | None:
        """The first row."""

    def fetchval(
        self, statement: object, args: tuple[Any, ...], column: int
    ) -> Awaitable[Any] | None:
        """One value of the first row."""


class Sharer(Protocol):
    """Who lends a session to several callers at once."""

    def rested(self, session: Session) -> None:
        """All reads on a session have ended, or it is lost."""

    def stalled(self, session: Session) -> None:
        """The read whose turn it is takes long, or nobody waits for any of them. They go on unless
        `Session.drop_reads` is called."""


class Session(ABC):
    """One physical connection.

    Attributes:
        unsettled: It must be reset before the next user gets it: a statement was interrupted.
        changed: Its session may differ from a new one: a statement ran on it that is not proven to
            leave it as it was.
        unproven: Those statements.
        settings: Those that go with each statement of its user; None: none do.
        aborted: The database ended the open transaction by itself, and what follows would run
            outside of it. Set by drivers whose database goes on in silence; cleared by `rollback`.
        lost: The last statement has no answer, as the connection was lost. Set by drivers with
            pipelines.
        unsent: It was lost before the last statement was sent: nothing of that can have happened.
        retired: It is to be closed at its next release.
        fresh: It was used since the pool last looked: the pool's own mark.
        born, idle_since: Loop times in seconds, the pool's own.
    """

    __slots__ = ("aborted", "born", "changed", "fresh", "idle_since", "lost", "retired",
                 "settings", "unproven", "unsent", "unsettled")  # fmt: skip

    def __init__(self) -> None:
        self.unsettled = False
        self.changed = False
        self.unproven: set[Statement] = set()
        self.settings: SessionSettings | None = None
        self.aborted = False
        self.lost = False
        self.unsent = False
        self.retired = False
        self.fresh = True
        self.born = 0.0
        self.idle_since = 0.0

    def note(self, statement: Statement) -> None:
        """A statement runs that is not proven to leave the session as it was."""
        self.changed = True
        self.unproven.add(statement)

    async def prove(self, mentions: Mentions) -> str | None:
        """Ask the catalog about what a statement mentions; on a session that was just reset.

        Returns:
            Why the statement is not proven; None: it is.
        """
        return "this database has no catalog to ask"

    @property
    @abstractmethod
    def raw(self) -> Any:
        """The driver library's own connection."""

    @abstractmethod
    async def fetch(
        self, statement: Statement, args: Arguments, timeout: float | None
    ) -> list[Row]:
        """Every row."""

    @abstractmethod
    async def fetchrow(
        self, statement: Statement, args: Arguments, timeout: float | None
    ) -> Row | None:
        """The first row, None if there is none."""

    @abstractmethod
    async def fetchval(
        self, statement: Statement, args: Arguments, column: int, timeout: float | None
    ) -> Any:
        """One value of the first row, None if there is no row."""

    @abstractmethod
    async def execute(self, statement: Statement, args: Arguments, timeout: float | None) -> int:
        """The number of rows that were inserted, updated or deleted; 0 for anything else."""

    async def insert(self, statement: Statement, args: Arguments, timeout: float | None) -> Any:
        """The key of the row that an INSERT has made, its first value; None: it has made none."""
        return await self.fetchval(statement, args, 0, timeout)

    @abstractmethod
    async def executemany(
        self, statement: Statement, rows: Iterable[Arguments], timeout: float | None
    ) -> None:
        """Run it for each row of arguments: all of them or none. ``timeout`` is that of each step,
        or what remains until the deadline of the request, if that is less."""

    @abstractmethod
    async def open_rows(self, statement: Statement, args: Arguments, timeout: float | None) -> Rows:
        """Begin to fetch a part at a time; ``timeout`` is that of each part, or what remains until
        the deadline of the request, if that is less."""

    @abstractmethod
    async def begin(self, options: TransactionOptions, timeout: float | None) -> None:
        """Begin a transaction."""

    @abstractmethod
    async def commit(self, timeout: float | None) -> None:
        """Commit the open transaction."""

    @abstractmethod
    async def rollback(self, timeout: float | None) -> None:
        """Roll the open transaction back, also one that the database has ended itself."""

    @asynccontextmanager
    async def all_or_nothing(self, timeout: float | None) -> AsyncIterator[None]:
        """For several statements: a transaction of their own, unless one is open."""
        if self.in_transaction():
            yield
            return
        await self.begin(TransactionOptions(), within_deadline(timeout))
        try:
            yield
            check_deadline()
        except BaseException:
            if not self.is_closed():
                with suppress(Exception):
                    await self.rollback(None)
            raise
        await self.commit(timeout)

    @abstractmethod
    async def command(self, text: str, timeout: float | None) -> None:
        """Run SAVEPOINT and its kin."""

    @abstractmethod
    def in_transaction(self) -> bool:
        """Whether a transaction is open, as far as the last answer told."""

    @abstractmethod
    def is_closed(self) -> bool:
        """Whether it is known to be lost. Cheap: asks no one."""

    async def prepare(self, statement: Statement, timeout: float | None) -> None:
        """Make it ready for `lane`; for drivers that have pipelines."""
        raise NotImplementedError

    def lane(self, statement: Statement, sharer: Sharer, *, pressed: bool) -> Lane | None:
        """A way for a plain read behind those that are under way.

        Args:
            sharer: Is told how it goes.
            pressed: No other session is idle: it may be kept waiting by those before it.

        Returns:
            None: the statement has to be prepared first, or there is no way now.
        """
        return None

    def drop_reads(self) -> Statement | None:
        """Tell all whose reads are under way that the session is lost, and name the one that took
        long. The session can only be thrown away after that, by `kill`."""
        return None

    async def kill(self) -> None:
        """End what it does on the server, and close it."""
        self.terminate()

    @abstractmethod
    async def reset(self) -> None:
        """Bring it back to what a new one is, for the next user: no statement running, no
        transaction, no changed session. Raises where that cannot be had; it is closed then."""

    @abstractmethod
    async def ping(self) -> None:
        """Raise if the database does not answer."""

    @abstractmethod
    async def close(self) -> None:
        """Say goodbye and close."""

    def is_reusable(self) -> bool:
        """Whether the next user may have it as it is. As cheap as `is_closed`."""
        return not (
            self.unsettled
            or self.changed
            or self.retired
            or self.is_closed()
            or self.in_transaction()
        )

    def give_up(self) -> None:
        """Its user has gone while another task is in the middle of a statement, whose answer must
        reach no one else."""
        self.terminate()

    @abstractmethod
    def terminate(self) -> None:
        """Close at once, whatever it does. Never raises; calling it again does nothing."""


class Driver(ABC):
    """One database.

    Attributes:
        dialect: How its SQL is written.
        max_sessions: How many sessions it can have; None: as many as the pool wants.
        pipelines: Its sessions can do plain reads of several callers at once.
        has_settings: Its sessions have settings that end with a transaction.
        keeps_data: The data live in the session, which is therefore never closed for its age.
        is_mariadb: It is MariaDB, as the first session tells.
    """

    dialect: Dialect
    max_sessions: int | None = None
    pipelines: bool = False
    has_settings: bool = False
    keeps_data: bool = False
    is_mariadb: bool = False
    _deadlines: Deadlines | None = None

    @property
    def deadlines(self) -> Deadlines:
        """The time limits of all that its sessions do on the running event loop."""
        loop = asyncio.get_running_loop()
        if self._deadlines is None or self._deadlines.loop is not loop:
            self._deadlines = Deadlines(loop)
        return self._deadlines

    @abstractmethod
    async def connect(self, timeout: float) -> Session:
        """Open a session, within ``timeout`` seconds.

        Raises:
            DatabaseUnavailable: it cannot be reached or refuses. The text says why.
        """

    def reads(
        self, sessions: Sessions, statements: StatementCache, metrics: PoolMetrics | None
    ) -> Reads | None:
        """A fast path for plain reads, where the driver has one."""
        return None

    async def close(self) -> None:
        """Give back what belongs to no session. All sessions are closed before."""
        if self._deadlines is not None:
            self._deadlines.close()
