"""What a handler works with: one connection of the pool, lent until its release."""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter
from typing import Any, TypeVar, cast

from sanic_ms.db import calls
from sanic_ms.db.base import Arguments, Row, Rows, Session, TransactionOptions
from sanic_ms.db.calls import Call, Work
from sanic_ms.db.failures import note_statement
from sanic_ms.db.lent_session import LentSession
from sanic_ms.db.request_deadline import check_deadline, time_left, within_deadline
from sanic_ms.db.rows import OpenRows, RowIterator, still_iterating
from sanic_ms.db.sql.statement import Statement
from sanic_ms.db.transaction import After, Before, Transaction, transaction_options
from sanic_ms.exception import (
    DatabaseError,
    DatabaseUnavailable,
    LifecycleError,
    QueryTimeout,
    StatementError,
)
from sanic_ms.resilience.deadline import current_deadline

__all__ = ["Connection"]

Result = TypeVar("Result")


class Connection(LentSession, eq=False):
    """A connection lent by a pool, by its `acquire` and its `transaction`.

    A statement is SQL text with ``$1``, ``$2`` …, on every database; or a Peewee query, or a
    SQLAlchemy Core statement, which bring their own values. Rows are plain dicts.

    ``timeout`` is in seconds: None is the pool's ``statement_timeout``, ``math.inf`` is none.

    Every method raises `LifecycleError` after the release or while another task uses the
    connection, `StatementError` for wrong SQL or a wrong number of arguments, `QueryTimeout`,
    `DeadlineExceeded` when the deadline of the request is over, `DatabaseUnavailable` when the
    connection is lost, and the other errors of `sanic_ms.exception.DatabaseError` as the database
    answers.
    """

    # --- statements ------------------------------------------------------------------------------

    async def fetch(self, statement: object, *args: Any, timeout: float | None = None) -> list[Row]:
        """Every row, as a list of dicts."""
        return await self._run(calls.fetch, statement, args, timeout)

    async def fetchrow(
        self, statement: object, *args: Any, timeout: float | None = None
    ) -> Row | None:
        """The first row as a dict, None if there is none."""
        if type(statement) is not str:
            return await self._run(calls.fetchrow, statement, args, timeout)
        # What `_run` does, without its coroutine: this is the statement of most requests.
        pool = self._pool
        limit = pool.statement_timeout if timeout is None else pool.limit(timeout)
        if (deadline := current_deadline()) is not None:
            limit = time_left(deadline, limit)
        session, known, values = self._prepare(statement, args)
        if self._cursors:
            await self._settle_cursors()
        self._busy = True
        started = perf_counter()
        try:
            row = await pool.watch.traced(known, session.fetchrow(known, values, limit))
            if (metrics := pool.watch.metrics) is not None:
                metrics.done(known.word, started)
            return row
        except BaseException as exc:
            return await self._again(calls.fetchrow, session, known, values, limit, started, exc)
        finally:
            self._busy = self._fresh = False

    async def fetchval(
        self, statement: object, *args: Any, column: int = 0, timeout: float | None = None
    ) -> Any:
        """One value of the first row, None if there is no row.

        Args:
            column: Which one, from 0.

        Raises:
            StatementError: the row has no such column.
        """
        return await self._run(calls.FetchValue(column), statement, args, timeout)

    async def execute(self, statement: object, *args: Any, timeout: float | None = None) -> int:
        """Run it and give the number of rows inserted, updated or deleted; 0 for anything else.

        An UPDATE counts the rows that it matched, on every database.
        """
        return await self._run(calls.execute, statement, args, timeout)

    async def insert(
        self, statement: object, *args: Any, key: str | None = None, timeout: float | None = None
    ) -> Any:
        """Insert a row and give its key: the same on every database, without RETURNING.

        Args:
            statement: An INSERT. Of several rows, the key of the first is given.
            key: The column to give; default: the primary key of a query's table, ``id`` for text.

        Returns:
            None where no row was inserted. On MySQL the number that AUTO_INCREMENT gave, or None.

        Raises:
            StatementError: it is no INSERT.
        """
        query = self._pool.build(statement, args)
        name = query.primary_key if key is None else key
        text, values = self._pool.statements.inserting(query.text, query.args, name)
        return query.key(await self._run(calls.insert, text, values, timeout), name)

    async def executemany(
        self, statement: str, rows: Iterable[Arguments], *, timeout: float | None = None
    ) -> None:
        """Run it for each row of arguments, in as few messages as the database allows.

        All of them or none: outside of a transaction it is one by itself.

        Args:
            statement: SQL text.
            rows: Sequences of arguments; any iterable, read once.
        """
        if not isinstance(statement, str):
            raise StatementError("executemany() takes SQL text: a query brings its own values")
        check_deadline()  # each step has the time that remains then
        session = self._usable()
        known = self._pool.statements.find(statement)
        if self._cursors:
            await self._settle_cursors()
        if not known.harmless:
            session.note(known)
        self._busy = True
        try:
            await self._pool.watch.batch(
                known, session.executemany(known, rows, self._pool.limit(timeout))
            )
        except BaseException as exc:
            note_statement(exc, known)
            raise
        finally:
            self._busy = self._fresh = False

    def iterate(
        self,
        statement: object,
        *args: Any,
        prefetch: int = 500,
        timeout: float | None = None,
    ) -> RowIterator:
        """An asynchronous iterator over the rows, with a server-side cursor: constant memory.

        Inside a transaction other statements may run in between. Outside of one they may not,
        until the iteration has ended: at the last row, at ``break``, or by its `aclose`.

        Args:
            prefetch: Rows fetched from the database at a time.
            timeout: Of each of those fetches.

        Raises:
            ValueError: ``prefetch`` is not positive.
        """
        return RowIterator(self, statement, args, prefetch, timeout)

    # --- transactions ----------------------------------------------------------------------------

    def transaction(
        self, *, isolation: str | None = None, readonly: bool = False, deferrable: bool = False
    ) -> Transaction:
        """A transaction for ``async with``; inside another one, a savepoint.

        Args:
            isolation: ``"read_uncommitted"``, ``"read_committed"``, ``"repeatable_read"`` or
                ``"serializable"``; None is the database's default. SQLite is always serializable.
            readonly: The database refuses to write in it.
            deferrable: With serializable and readonly, PostgreSQL waits for a snapshot that can
                not conflict. The other databases ignore it.

        Raises:
            ValueError: an unknown isolation.
        """
        return Transaction(self, transaction_options(isolation, readonly, deferrable))

    def before_commit(self, function: Before) -> Before:
        """`Transaction.before_commit` of the innermost transaction that is open here.

        Raises:
            LifecycleError: none is open.
        """
        return self._innermost("before_commit").before_commit(function)

    def after_commit(self, function: After) -> After:
        """`Transaction.after_commit` of the innermost transaction that is open here.

        Raises:
            LifecycleError: none is open.
        """
        return self._innermost("after_commit").after_commit(function)

    def _innermost(self, kind: str) -> Transaction:
        self.check_owned()
        if not self.transactions:
            raise LifecycleError(
                f"{kind}() is for an open transaction, and none is open on this connection: call "
                "it inside of `async with` pool.transaction()"
            )
        return self.transactions[-1]

    @property
    def raw(self) -> Any:
        """The driver library's own connection (asyncpg, sqlite3, asyncmy), for what is not here.

        The pool cannot see what is done with it, so the session is reset at its release.
        """
        session = self._usable()
        session.changed = True
        return session.raw

    # --- for other modules of the package -------------------------------------------------------

    async def begin(self, options: TransactionOptions) -> None:
        """Begin a transaction on the session."""
        session = self._usable()
        pool = self._pool
        if self._cursors:
            await self._settle_cursors()
        self._busy = True

        async def begin(session: Session) -> None:
            try:
                work = session.begin(options, within_deadline(pool.statement_timeout))
                await pool.watch.command("BEGIN", work)
            except DatabaseUnavailable:
                # Whether it was sent or not: a transaction that only began has done nothing.
                session.unsent = True
                raise

        try:
            await begin(session)
        except DatabaseUnavailable as exc:
            await self._elsewhere(begin, session, exc)
        finally:
            self._busy = self._fresh = False

    async def commit(self) -> None:
        """Commit on the session, whose cursors end with it."""
        for cursor in list(self._cursors):
            await self.close_rows(cursor)
        session = self._usable()
        self._busy = True
        try:
            work = session.commit(self._pool.statement_timeout)
            await self._pool.watch.command("COMMIT", work)
        except DatabaseError as exc:  # of a constraint that is checked at the end
            exc.statement = exc.statement or "COMMIT"
            if isinstance(exc, DatabaseUnavailable | QueryTimeout) and not session.unsent:
                exc.detail += "; it is not known whether the transaction was committed"
            raise
        finally:
            self._busy = False

    async def rollback(self) -> None:
        """Roll back on the session."""
        session = self.check_owned()
        self._cursors.clear()
        self._busy = True
        try:
            work = session.rollback(self._pool.statement_timeout)
            await self._pool.watch.command("ROLLBACK", work)
        finally:
            self._busy = False

    async def command(self, text: str) -> None:
        """Run SAVEPOINT and its kin on the session."""
        session = self._usable()
        self._busy = True
        try:
            work = session.command(text, within_deadline(self._pool.statement_timeout))
            await self._pool.watch.command(text.rpartition(" ")[0], work)
        finally:
            self._busy = False

    async def open_rows(
        self, statement: object, args: Arguments, timeout: float | None
    ) -> OpenRows:
        """Open a cursor, which is then one of this connection's."""
        check_deadline()
        query = self._pool.build(statement, args)
        session, known, args = self._prepare(query.text, query.args)
        pool = self._pool
        if self._cursors:
            await self._settle_cursors()
        self._busy = True

        def open_rows(session: Session) -> Work[Rows]:
            work = session.open_rows(known, args, pool.limit(timeout))
            return pool.watch.statement(known, work)

        try:
            rows = await open_rows(session)
        except DatabaseUnavailable as exc:
            rows = await self._elsewhere(open_rows, session, exc)
        except BaseException as exc:
            note_statement(exc, known, args)
            raise
        finally:
            self._busy = self._fresh = False
        cursor = OpenRows(rows, known, query)
        self._cursors.append(cursor)
        return cursor

    async def fetch_rows(self, cursor: OpenRows, count: int) -> list[Row]:
        """The next rows of a cursor.

        Raises:
            LifecycleError: the cursor ended with its transaction.
        """
        self._usable()
        if cursor not in self._cursors:
            raise LifecycleError("this iterate() ended with the transaction that it ran in")
        self._busy = True
        try:
            return cursor.query.rows(await cursor.rows.fetch(count))
        except BaseException as exc:
            note_statement(exc, cursor.statement)
            raise
        finally:
            self._busy = False

    async def close_rows(self, cursor: OpenRows) -> None:
        """Close a cursor; nothing where it ended with its transaction or connection."""
        if self._session is None or cursor not in self._cursors:
            return
        self._usable()
        self._cursors.remove(cursor)
        self._busy = True
        try:
            await cursor.rows.close()
        finally:
            self._busy = False

    async def _run(
        self, call: Call[Result], statement: object, args: Arguments, timeout: float | None
    ) -> Result:
        if type(statement) is not str:
            query = self._pool.build(statement, args)
            result = await self._run(call, query.text, query.args, timeout)
            return cast(Result, calls.converted(query, call, result))
        pool = self._pool
        limit = pool.statement_timeout if timeout is None else pool.limit(timeout)
        if (deadline := current_deadline()) is not None:
            limit = time_left(deadline, limit)
        session, known, args = self._prepare(statement, args)
        if self._cursors:
            await self._settle_cursors()
        self._busy = True
        started = perf_counter()
        try:
            result = await pool.watch.traced(known, call(session, known, args, limit))
            if (metrics := pool.watch.metrics) is not None:
                metrics.done(known.word, started)
            return result
        except BaseException as exc:
            return await self._again(call, session, known, args, limit, started, exc)
        finally:
            self._busy = self._fresh = False

    async def _again(
        self,
        call: Call[Result],
        session: Session,
        known: Statement,
        args: Arguments,
        limit: float | None,
        started: float,
        exc: BaseException,
    ) -> Result:
        """Once more on another session, where the one that was lent had been cut while idle. Any
        other error is raised."""
        watch = self._pool.watch
        if watch.metrics is not None:
            watch.metrics.failed(known.word, started, exc)
        note_statement(exc, known, args)
        if not isinstance(exc, DatabaseUnavailable):
            raise exc

        def work(session: Session) -> Work[Result]:
            return watch.statement(known, call(session, known, args, within_deadline(limit)))

        return await self._elsewhere(work, session, exc)

    def _prepare(self, statement: str, args: Arguments) -> tuple[Session, Statement, Arguments]:
        session = self._session
        if session is None or self._busy or session.aborted:
            session = self._usable()
        known, args = self._pool.statements.get(statement, args)
        if not known.harmless:
            session.note(known)
        return session, known, args

    async def _settle_cursors(self) -> None:
        """Before another statement: close what was abandoned, and refuse what cannot be mixed."""
        for cursor in [cursor for cursor in self._cursors if cursor.abandoned]:
            await self.close_rows(cursor)
        if self._cursors and not self.transactions:
            raise still_iterating()
