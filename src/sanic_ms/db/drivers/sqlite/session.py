"""One connection to SQLite, and how its statements run.

Any number of sessions read a file at the same time (write-ahead log), and one writes: who writes
holds the driver's lock, so that writers of one process queue in order instead of polling for
SQLite's own. Across processes its busy timeout decides.

A short SELECT runs right on the event loop, where it takes a few microseconds; a trip to a thread
and back takes ten times that. It is given a small budget of steps. One that uses it up is stopped,
which is harmless as it only reads, and runs on the session's thread instead, as does everything
else. `docs/design/pool.md` has the numbers.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from sanic_ms.db.base import Arguments, FetchedRows, Row, Rows, Session, TransactionOptions
from sanic_ms.db.deadlines import SessionTimer
from sanic_ms.db.drivers.sqlite.errors import translate
from sanic_ms.db.drivers.sqlite.thread import WorkerThread
from sanic_ms.db.drivers.sqlite.values import adapt, dates_of
from sanic_ms.db.drivers.values import value_at
from sanic_ms.db.request_deadline import raise_timed_out, within_deadline
from sanic_ms.db.sql.statement import Statement
from sanic_ms.exception import (
    DatabaseUnavailable,
    DeadlineExceeded,
    QueryTimeout,
    TransactionConflict,
)

if TYPE_CHECKING:
    from sanic_ms.db.drivers.sqlite.driver import SQLiteDriver

__all__ = ["SQLiteRows", "SQLiteSession"]

Result = TypeVar("Result")

# The budget of a SELECT on the event loop: so many steps of SQLite's machine between two looks, and
# so many looks. About half a millisecond.
_STEPS: Final = 2000
_LOOKS: Final = 4
# Rows of executemany() bound in one go on the thread.
_BATCH: Final = 1000
# Codes that end a SELECT on the event loop without an answer: stopped, or the file is locked.
_TRY_ON_THREAD = frozenset((sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED))


class SQLiteSession(Session):
    """One connection to a SQLite database."""

    __slots__ = ("_closed", "_deadline", "_driver", "_inline", "_locked", "_looks", "_raw",
                 "_readonly", "_transaction", "_worker")  # fmt: skip

    def __init__(self, driver: SQLiteDriver, raw: sqlite3.Connection, worker: WorkerThread) -> None:
        super().__init__()
        self._driver = driver
        self._raw = raw
        self._worker = worker
        self._deadline = SessionTimer(driver.deadlines)
        self._closed = False
        # Whether the connection is set up for the event loop: with a budget, without waiting.
        self._inline = False
        self._looks = 0
        self._locked = False
        self._readonly = False
        self._transaction = False

    @property
    def raw(self) -> sqlite3.Connection:
        """The sqlite3 connection."""
        return self._raw

    async def fetch(
        self, statement: Statement, args: Arguments, timeout: float | None
    ) -> list[Row]:
        """Every row."""
        rows: list[Row] = await self._query(statement, args, _all_rows, timeout)
        return rows

    async def fetchrow(
        self, statement: Statement, args: Arguments, timeout: float | None
    ) -> Row | None:
        """The first row."""
        row: Row | None = await self._query(statement, args, _first_row, timeout)
        return row

    async def fetchval(
        self, statement: Statement, args: Arguments, column: int, timeout: float | None
    ) -> Any:
        """One value of the first row."""
        row = await self._query(statement, args, _first_tuple, timeout)
        return None if row is None else value_at(row, column)

    async def execute(self, statement: Statement, args: Arguments, timeout: float | None) -> int:
        """The number of rows changed."""
        take = _affected_by_with if statement.writes and statement.word == "with" else _affected
        count: int = await self._query(statement, args, take, timeout)
        return count if statement.writes else 0

    async def executemany(
        self, statement: Statement, rows: Iterable[Arguments], timeout: float | None
    ) -> None:
        """Run it for each row of arguments, in one transaction."""
        remaining = iter(rows)
        async with self.all_or_nothing(timeout):
            while batch := [self._checked(statement, row) for row in islice(remaining, _BATCH)]:
                await self._on_thread(
                    partial(_execute_batch, self._raw, statement.text, batch),
                    within_deadline(timeout),
                )

    async def open_rows(self, statement: Statement, args: Arguments, timeout: float | None) -> Rows:
        """A cursor, read on the thread."""
        if statement.writes:
            # RETURNING. Its rows are taken at once: until they are, it is not committed.
            rows = await self.fetch(statement, args, within_deadline(timeout))
            return FetchedRows(rows)
        bound = self._bind(statement, args)
        cursor = await self._on_thread(
            lambda: self._raw.execute(statement.text, bound()), within_deadline(timeout)
        )
        return SQLiteRows(self, cursor, timeout)

    async def begin(self, options: TransactionOptions, timeout: float | None) -> None:
        """BEGIN IMMEDIATE, which takes the write lock at once: a transaction that reads first and
        writes later would find its snapshot too old. One that only reads needs no lock."""
        if options.readonly:
            self._readonly = True
            await self._on_thread(self._begin_readonly, timeout)
        else:
            waited = await self._lock()
            try:
                if waited:
                    timeout = within_deadline(timeout)
                await self._on_thread(lambda: _run(self._raw, "BEGIN IMMEDIATE"), timeout)
            except BaseException:
                # Interrupted, it may have begun all the same: the lock stays until the reset.
                if not self._worker.pending and not self._raw.in_transaction:
                    self._unlock()
                raise
        self._transaction = True

    async def commit(self, timeout: float | None) -> None:
        """COMMIT."""
        await self._on_thread(lambda: _run(self._raw, "COMMIT"), timeout)
        await self._ended()

    async def rollback(self, timeout: float | None) -> None:
        """ROLLBACK, where SQLite has not done it by itself."""
        await self._on_thread(self._roll_back, timeout)
        await self._ended()

    async def command(self, text: str, timeout: float | None) -> None:
        """SAVEPOINT and its kin."""
        await self._on_thread(lambda: _run(self._raw, text), timeout)

    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._transaction or self._raw.in_transaction

    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    async def reset(self) -> None:
        """Wait for an interrupted statement and roll back. A session that may have changed is
        closed, as SQLite cannot forget; the data of one in memory move to a new connection."""
        try:
            await self._on_thread(self._roll_back, None)
            await self._ended()
        except BaseException:
            self.terminate()
            raise
        self.unsettled = False
        if not self.changed:
            return
        if not self._driver.keeps_data:
            self.retired = True
            return
        self._inline = False
        self._raw = await self._on_thread(self._renewed, None)

    def _renewed(self) -> sqlite3.Connection:
        """A new connection in memory with the same data."""
        fresh = self._driver.open()
        self._raw.backup(fresh)
        self._raw.close()
        return fresh

    async def ping(self) -> None:
        """A SELECT on the thread."""
        await self._on_thread(lambda: _run(self._raw, "SELECT 1"), None)

    async def close(self) -> None:
        """Close."""
        self.terminate()

    def give_up(self) -> None:
        """Interrupt what runs. The thread does one thing at a time, so that nothing is mixed up."""
        self.unsettled = True
        self._raw.interrupt()

    def terminate(self) -> None:
        """Close, after what the thread still runs."""
        if self._closed:
            return
        self._closed = True
        self._unlock()
        raw = self._raw
        if self._worker.pending:
            raw.interrupt()
            self._worker.submit(raw.close)
        else:
            raw.close()
        self._worker.end()

    # --- running ---------------------------------------------------------------------------------

    async def _query(
        self,
        statement: Statement,
        args: Arguments,
        take: Callable[[sqlite3.Cursor], Result],
        timeout: float | None,
    ) -> Result:
        bound = self._bind(statement, args)
        if (
            statement.selects
            and not statement.slow
            and self._driver.inline_reads
            and not self._worker.pending
        ):
            try:
                if not self._inline:
                    self._set_inline()
                self._looks = _LOOKS
                return take(self._raw.execute(statement.text, bound()))
            except sqlite3.OperationalError as exc:
                if getattr(exc, "sqlite_errorcode", 0) & 0xFF not in _TRY_ON_THREAD:
                    self._fail(exc)
                statement.slow = self._looks < 0
            except Exception as exc:
                self._fail(exc)
        async with self._writing(statement) as waited:
            if waited:
                timeout = within_deadline(timeout)
            return await self._on_thread(
                lambda: take(self._raw.execute(statement.text, bound())), timeout
            )

    def _set_inline(self) -> None:
        self._raw.execute("PRAGMA busy_timeout = 0")
        self._raw.set_progress_handler(self._look, _STEPS)
        self._inline = True

    def _look(self) -> int:
        self._looks -= 1
        return self._looks < 0

    async def _on_thread(self, function: Callable[[], Result], timeout: float | None) -> Result:
        if self._closed:
            raise DatabaseUnavailable("the connection is closed")
        if self._inline:
            self._inline = False
            function = self._prepared_for_thread(function)
        future = self._worker.submit(function)
        timer = None
        if timeout is not None:
            timer = self._deadline.call_later(timeout, self._expire, future)
        try:
            return await future
        except asyncio.CancelledError:
            self.unsettled = True
            if not self._closed:
                self._raw.interrupt()
            raise
        except BaseException as exc:
            self._fail(exc)
        finally:
            if timer is not None:
                timer.cancel()

    def _prepared_for_thread(self, function: Callable[[], Result]) -> Callable[[], Result]:
        """The connection waits for locks and has no budget there: its handler would have to queue
        for the interpreter's lock every few thousand steps."""

        def prepared() -> Result:
            self._raw.set_progress_handler(None, 0)
            _run(self._raw, f"PRAGMA busy_timeout = {int(self._driver.busy_timeout * 1000)}")
            return function()

        return prepared

    def _expire(self, future: asyncio.Future[Any]) -> None:
        if not future.done():
            self.unsettled = True
            if not self._closed:
                self._raw.interrupt()
            future.set_exception(
                QueryTimeout("the statement took longer than its timeout and was interrupted")
            )

    def _fail(self, exc: BaseException) -> NoReturn:
        if self._transaction and not self._worker.pending and not self._raw.in_transaction:
            # A full disk, for one, rolls back the whole transaction, and what follows would be
            # committed one by one.
            self.aborted = True
        error = exc if isinstance(exc, QueryTimeout) else translate(exc)
        if error is None:
            raise exc
        if isinstance(error, DatabaseUnavailable) and not self._driver.keeps_data:
            self.retired = True
        raise_timed_out(error, exc)

    def _checked(self, statement: Statement, row: Arguments) -> Callable[[], Arguments]:
        statement.check(row)
        return self._bind(statement, row)

    def _bind(self, statement: Statement, args: Arguments) -> Callable[[], Arguments]:
        """What gives the arguments as they are bound, called where the connection is used.

        Raises:
            DataError: one cannot be stored.
        """
        bound = statement.arrange(adapt(args))
        if not any(isinstance(value, datetime) for value in args):
            return lambda: bound

        def with_dates() -> Arguments:
            # SQLite would store a moment whole in a DATE column, where no date is equal to it.
            dates = self._driver.date_arguments(self._raw, statement)
            if not dates:
                return bound
            return statement.arrange(adapt(dates_of(args, dates)))

        return with_dates

    # --- transactions and the write lock ---------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _writing(self, statement: Statement) -> AsyncIterator[bool]:
        """Holds the write lock for a statement that may write, outside of a transaction. Gives
        whether it was waited for."""
        if not statement.writes or self._transaction:
            yield False
            return
        waited = await self._lock()
        try:
            yield waited
        finally:
            # One that was interrupted may still write: the lock goes when it has ended.
            if not self._worker.pending:
                self._unlock()

    async def _lock(self) -> bool:
        """Take the write lock. Gives whether it was waited for."""
        if self._locked:
            return False
        lock = self._driver.write_lock
        waits = lock.locked()
        if waits:
            limit = within_deadline(self._driver.busy_timeout)
            try:
                async with asyncio.timeout(limit):
                    await lock.acquire()
            except TimeoutError:
                if limit != self._driver.busy_timeout:
                    raise DeadlineExceeded(
                        "the deadline was over before the write lock of the database was free"
                    ) from None
                raise TransactionConflict(
                    "another transaction of this process held the write lock for "
                    f"{self._driver.busy_timeout:g} s (busy_timeout): SQLite has one writer at a "
                    "time; keep transactions short, and write on the connection that has one open"
                ) from None
        else:
            await lock.acquire()
        self._locked = True
        return waits

    def _unlock(self) -> None:
        if self._locked:
            self._locked = False
            self._driver.write_lock.release()

    async def _ended(self) -> None:
        self._transaction = False
        self.aborted = False
        if self._readonly:
            self._readonly = False
            await self._on_thread(lambda: _run(self._raw, "PRAGMA query_only = OFF"), None)
        self._unlock()

    def _begin_readonly(self) -> None:
        _run(self._raw, "PRAGMA query_only = ON")
        _run(self._raw, "BEGIN")

    def _roll_back(self) -> None:
        if self._raw.in_transaction:
            _run(self._raw, "ROLLBACK")


class SQLiteRows(Rows):
    """An open cursor."""

    __slots__ = ("_cursor", "_session", "_timeout")

    def __init__(
        self, session: SQLiteSession, cursor: sqlite3.Cursor, timeout: float | None
    ) -> None:
        self._session = session
        self._cursor: sqlite3.Cursor | None = cursor
        self._timeout = timeout

    async def fetch(self, count: int) -> list[Row]:
        """The next rows."""
        cursor = self._cursor
        if cursor is None or cursor.description is None:
            return []
        names = [column[0] for column in cursor.description]
        return await self._session._on_thread(
            lambda: [dict(zip(names, row, strict=True)) for row in cursor.fetchmany(count)],
            within_deadline(self._timeout),
        )

    async def close(self) -> None:
        """Close the cursor."""
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            await self._session._on_thread(cursor.close, self._timeout)


def _run(raw: sqlite3.Connection, text: str) -> None:
    raw.execute(text).close()


def _all_rows(cursor: sqlite3.Cursor) -> list[Row]:
    if cursor.description is None:
        return []
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _first_row(cursor: sqlite3.Cursor) -> Row | None:
    row = _first_tuple(cursor)
    return None if row is None else dict(zip([c[0] for c in cursor.description], row, strict=True))


def _first_tuple(cursor: sqlite3.Cursor) -> tuple[Any, ...] | None:
    row: tuple[Any, ...] | None = None if cursor.description is None else cursor.fetchone()
    # At once, and not when the cursor is collected: until then a statement that writes is not
    # committed, and one that reads holds its snapshot.
    cursor.close()
    return row


def _affected(cursor: sqlite3.Cursor) -> int:
    if cursor.description is not None:
        # RETURNING: SQLite counts what has been fetched.
        cursor.fetchall()
    count = cursor.rowcount
    cursor.close()
    return max(count, 0)


def _affected_by_with(cursor: sqlite3.Cursor) -> int:
    """For ``WITH … INSERT``, which sqlite3 does not see as a statement that changes rows."""
    cursor.fetchall()
    cursor.close()
    (count,) = cursor.connection.execute("SELECT changes()").fetchone()
    return int(count)


def _execute_batch(raw: sqlite3.Connection, text: str, rows: list[Callable[[], Arguments]]) -> None:
    raw.executemany(text, [bound() for bound in rows]).close()
