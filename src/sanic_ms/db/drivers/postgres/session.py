"""One connection to PostgreSQL, and how its statements run.

The hot way goes below asyncpg's `Connection.fetchrow`: prepared statements are kept here, and are
bound and executed by the protocol object itself (`bind_execute`, which asyncpg's own
`PreparedStatement` calls the same way). `docs/design/pool.md` has the numbers.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Final, NoReturn

import asyncpg
from asyncpg import connect_utils
from asyncpg import exceptions as pg

from sanic_ms.db.base import Arguments, Lane, Row, Rows, Session, Sharer, TransactionOptions
from sanic_ms.db.drivers.postgres.errors import is_unsent, translate, undecoded
from sanic_ms.db.drivers.postgres.pipeline import Pipeline, PostgresLane, pipeline
from sanic_ms.db.drivers.postgres.proof import prove
from sanic_ms.db.drivers.postgres.rows import PostgresRows
from sanic_ms.db.drivers.postgres.values import check_integers
from sanic_ms.db.drivers.values import value_at
from sanic_ms.db.request_deadline import raise_timed_out, within_deadline
from sanic_ms.db.sql.classification import Mentions
from sanic_ms.db.sql.statement import Statement
from sanic_ms.exception import DatabaseUnavailable, ReadOnlyViolation, StatementError

__all__ = ["PostgresSession"]

# Prepared statements kept by one connection; the one prepared first goes first.
_PREPARED_LIMIT: Final = 256
# Seconds after each request to cancel a statement.
_CANCEL_PAUSES: Final = (0.1, 0.5, 1.0)
# All that DISCARD ALL does, but for prepared statements, ours among them, and their plans; its last
# statement counts those that SQL has prepared. (PostgreSQL's documentation, "DISCARD".) The seed of
# random(), which DISCARD ALL leaves as it is, is set as well.
_DISCARD: Final = """
CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *;
SELECT pg_catalog.pg_advisory_unlock_all(), pg_catalog.setseed({seed});
DISCARD TEMP; DISCARD SEQUENCES; SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql
"""
_COUNTED = frozenset(("INSERT", "UPDATE", "DELETE", "MERGE", "COPY"))


class PostgresSession(Session):
    """One connection to PostgreSQL.

    Args:
        raw: asyncpg's connection.
        lanes: Those of the pool that nobody uses.
        keep_prepared: Statements are prepared with a name.
    """

    __slots__ = ("_begun", "_bind_execute", "_in_transaction", "_is_connected", "_is_exposed",
                 "_is_untouched", "_keep_prepared", "_lanes", "_lasting", "_pipeline", "_prepared",
                 "_process", "_raw", "_readonly", "_variant")  # fmt: skip

    def __init__(self, raw: Any, lanes: list[PostgresLane], *, keep_prepared: bool) -> None:
        super().__init__()
        self._raw = raw
        self._lanes = lanes
        self._pipeline: Pipeline | None = None
        protocol = raw._protocol
        # Kept, as a connection that was closed has forgotten them.
        self._process: tuple[int, int] = protocol.backend_pid, protocol.backend_secret
        self._bind_execute = protocol.bind_execute
        self._in_transaction = protocol.is_in_transaction
        self._is_connected = protocol.is_connected
        self._keep_prepared = keep_prepared
        self._prepared: dict[str, Any] = {}
        self._readonly = False
        self._is_exposed = False
        self._begun = ""
        self._is_untouched = False  # in a transaction in which nothing has run yet
        # The statements that have set something until the reset; and those, with the ones that have
        # set something until the end of the transaction.
        self._lasting = self._variant = ""

    @property
    def raw(self) -> Any:
        """The asyncpg connection."""
        self._is_exposed = True
        return self._raw

    async def fetch(
        self, statement: Statement, args: Arguments, timeout: float | None
    ) -> list[Row]:
        """Every row."""
        rows = await self._run(statement, args, 0, False, timeout)
        return [dict(row.items()) for row in rows]

    async def fetchrow(
        self, statement: Statement, args: Arguments, timeout: float | None
    ) -> Row | None:
        """The first row."""
        prepared = self._prepared.get(statement.text)
        if prepared is None or statement.sets or self._variant or self.settings is not None:
            rows = await self._run(statement, args, 1, False, timeout)
        else:
            self._is_untouched = False
            try:
                check_integers(prepared._state, args)
                rows = await self._bind_execute(prepared._state, args, "", 1, False, timeout)
            except BaseException as exc:
                rows = await self._retry(exc, statement, args, 1, False, timeout)
        return dict(rows[0].items()) if rows else None

    async def fetchval(
        self, statement: Statement, args: Arguments, column: int, timeout: float | None
    ) -> Any:
        """One value of the first row."""
        rows = await self._run(statement, args, 1, False, timeout)
        return value_at(rows[0], column) if rows else None

    async def execute(self, statement: Statement, args: Arguments, timeout: float | None) -> int:
        """The number of rows changed."""
        if statement.count or statement.text in self._prepared:
            _, status, _ = await self._run(statement, args, 0, True, timeout)
            return _affected(status.decode())
        # Without arguments nothing is prepared: most such statements are run once.
        self._is_untouched = False
        text = statement.text
        if self.settings is not None and not self._in_transaction():
            text = f"{self.settings.sql}; {text}"
        self._vary(statement, args)
        return _affected(await self._simple(text, timeout))

    async def executemany(
        self, statement: Statement, rows: Iterable[Arguments], timeout: float | None
    ) -> None:
        """Run it for each row of arguments, streamed to the server in one implicit transaction."""
        self._is_untouched = False
        is_new = self._key(statement) not in self._prepared
        try:
            prepared = await self._ready(statement, within_deadline(timeout))
            self._send_settings()
            checked = _checked(statement, prepared, rows)
            await prepared.executemany(checked, timeout=within_deadline(timeout))
        except BaseException as exc:
            self._note_unsynced(exc, is_new)
            self._fail(exc, decodes=False)  # the rows of arguments may raise what they like

    async def open_rows(self, statement: Statement, args: Arguments, timeout: float | None) -> Rows:
        """A portal, in a transaction of its own where none is open."""
        own = not self._in_transaction()
        try:
            if own:
                await self._raw.execute(self._with_settings("BEGIN"), timeout=timeout)
            self._is_untouched = False
            prepared = await self._prepare(statement, within_deadline(timeout))
            check_integers(prepared._state, args)
            cursor = await prepared.cursor(*args, timeout=within_deadline(timeout))
        except BaseException as exc:
            self.unsettled = True
            self._fail(exc)
        end = partial(self._simple, "COMMIT", timeout) if own else None
        return PostgresRows(cursor, timeout, self._fail, end)

    async def begin(self, options: TransactionOptions, timeout: float | None) -> None:
        """BEGIN, with its options."""
        text = "BEGIN"
        if options.isolation is not None:
            text += f" ISOLATION LEVEL {options.isolation.replace('_', ' ').upper()}"
        if options.readonly:
            text += " READ ONLY"
        if options.deferrable:
            text += " DEFERRABLE"
        self._readonly = options.readonly
        self._begun = text = self._with_settings(text)
        await self._simple(text, timeout)
        self._is_untouched = True

    async def commit(self, timeout: float | None) -> None:
        """COMMIT. PostgreSQL answers it with ROLLBACK where a statement had failed before."""
        self._ended()
        status = await self._simple("COMMIT", timeout)
        if status == "ROLLBACK":
            raise StatementError(
                "the transaction was rolled back instead of committed: a statement in it had "
                "failed, and its error was caught inside of the transaction. Put what may fail "
                "into a transaction() of its own, which is a savepoint",
                sqlstate="25P02",
            )

    async def rollback(self, timeout: float | None) -> None:
        """ROLLBACK."""
        self._ended()
        await self._simple("ROLLBACK", timeout)

    async def command(self, text: str, timeout: float | None) -> None:
        """SAVEPOINT and its kin."""
        self._is_untouched = False
        if self._variant:
            self._variant += text  # after ROLLBACK TO, a setting may be what it was before
        await self._simple(text, timeout)

    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return bool(self._in_transaction())

    def is_closed(self) -> bool:
        """Whether the connection is lost."""
        return not self._is_connected()

    def is_reusable(self) -> bool:
        """Whether the next user may have it as it is."""
        return not (
            self.unsettled
            or self.changed
            or self.retired
            or not self._is_connected()
            or self._in_transaction()
        )

    async def prepare(self, statement: Statement, timeout: float | None) -> None:
        """Prepare it, with a name."""
        try:
            if statement.text not in self._prepared:
                await self._prepare(statement, timeout)
                if self._pipeline is not None:
                    self._pipeline.prepared()
        except BaseException as exc:
            self._fail(exc)

    def lane(self, statement: Statement, sharer: Sharer, *, pressed: bool) -> Lane | None:
        """A way for a statement that was prepared on this connection."""
        prepared = self._prepared.get(statement.text)
        if prepared is None or self.retired or not self._is_connected():
            return None
        shared = self._pipeline
        if shared is None:
            shared = self._pipeline = pipeline(
                self._raw,
                self._lanes,
                partial(sharer.rested, self),
                partial(sharer.stalled, self),
                partial(setattr, self, "unsettled", True),
            )
        elif shared.count >= (shared.depth if pressed else shared.together):
            return None
        return shared.admit(statement, prepared._state)

    def drop_reads(self) -> Statement | None:
        """Tell all who wait for an answer."""
        if (shared := self._pipeline) is None:
            return None
        statement = shared.late
        shared.give_up()
        return statement

    async def kill(self) -> None:
        """Cancel what runs, by another connection as the protocol has it, and close.

        A request to cancel may be forgotten by the server, and nothing tells; so it is repeated
        until the server is heard.
        """
        raw, shared = self._raw, self._pipeline
        heard = raw._loop.create_future() if shared is None else shared.silence
        for pause in _CANCEL_PAUSES:
            with suppress(OSError):
                await connect_utils._cancel(
                    loop=raw._loop,
                    addr=raw._addr,
                    params=raw._params,
                    backend_pid=self._process[0],
                    backend_secret=self._process[1],
                )
            await asyncio.wait({heard}, timeout=pause)
            if heard.done():
                break
        self.terminate()

    async def reset(self) -> None:
        """Wait for an interrupted statement, roll back, and forget what the session was told."""
        try:
            # Nothing is known about a transaction before an interrupted statement has ended; an
            # empty one waits for that.
            if self.unsettled:
                with suppress(pg.InFailedSQLTransactionError):
                    await self._raw.execute("SELECT 1")
            if self._raw.is_in_transaction():
                await self._raw.execute("ROLLBACK")
            if self.changed:
                await self._discard()
            self._lasting = self._variant = ""
        except BaseException as exc:
            self.terminate()
            self._fail(exc)

    async def _discard(self) -> None:
        discard = _DISCARD.format(seed=random.uniform(-1, 1))
        if not self._is_exposed and await self._raw.execute(discard) == "SELECT 0":
            return
        if self._is_exposed:
            self._is_exposed = False
            await self._raw.reset()  # its listeners are asyncpg's to forget
        await self._raw.execute("DISCARD ALL")
        self._prepared.clear()

    async def prove(self, mentions: Mentions) -> str | None:
        """Ask the catalog, by queries that are not prepared and under a search path of their own:
        that of the application may give their names another meaning."""
        raw = self._raw
        try:
            # Compiling the query would take seconds, for what runs in milliseconds.
            await raw.execute("BEGIN; SET LOCAL search_path = pg_catalog; SET LOCAL jit = off")
            reason = await prove(raw.fetch, mentions, raw.get_server_version().major)
            await raw.execute("ROLLBACK")
        except BaseException as exc:
            self.unsettled = True
            self._fail(exc)
        return reason

    async def ping(self) -> None:
        """A SELECT."""
        await self._simple("SELECT 1", None)

    async def close(self) -> None:
        """Close."""
        self._prepared.clear()
        try:
            await self._raw.close()
        except BaseException as exc:
            self._fail(exc)

    def terminate(self) -> None:
        """Close at once."""
        self._prepared.clear()
        if not self._raw.is_closed():
            self._raw.terminate()

    async def _run(
        self, statement: Statement, args: Arguments, limit: int, status: bool, timeout: float | None
    ) -> Any:
        is_new = self._key(statement) not in self._prepared
        try:
            prepared = await self._ready(statement, timeout)
            if is_new:
                timeout = within_deadline(timeout)
            check_integers(prepared._state, args)
            self._send_settings()
            result = await self._bind_execute(prepared._state, args, "", limit, status, timeout)
        except BaseException as exc:
            self._note_unsynced(exc, is_new)
            result = await self._retry(exc, statement, args, limit, status, timeout)
        self._is_untouched = False
        self._vary(statement, args)
        return result

    async def _retry(
        self,
        exc: BaseException,
        statement: Statement,
        args: Arguments,
        limit: int,
        status: bool,
        timeout: float | None,
    ) -> Any:
        """Once more where a table had changed under the prepared statement: PostgreSQL refuses that
        one before it executes anything. In a transaction this is possible for its first statement,
        for which the transaction is begun again. Any other error is raised."""
        if isinstance(exc, pg.InvalidCachedStatementError | pg.OutdatedSchemaCacheError):
            self._prepared.clear()
        if isinstance(exc, pg.OutdatedSchemaCacheError):
            # Asks nobody: it forgets the types, which are looked up when a statement is prepared.
            await self._raw.reload_schema_state()
        began = self.in_transaction()
        if not isinstance(exc, pg.InvalidCachedStatementError) or (
            began and not self._is_untouched
        ):
            self._fail(exc)
        try:
            if began:
                await self._raw.execute("ROLLBACK", timeout=timeout)
                await self._raw.execute(self._begun, timeout=timeout)
            prepared = await self._ready(statement, within_deadline(timeout))
            timeout = within_deadline(timeout)
            self._send_settings()
            return await self._bind_execute(prepared._state, args, "", limit, status, timeout)
        except BaseException as second:
            self._fail(second)

    def _note_unsynced(self, exc: BaseException, is_new: bool) -> None:
        """Note what an error of ours leaves behind. Nothing was sent that ends the transaction that
        preparing, or the settings, have begun, with a lock on each table."""
        if (is_new or self.settings is not None) and getattr(exc, "severity", None) is None:
            self.unsettled = True

    def _key(self, statement: Statement) -> str:
        """By what a prepared statement is kept: its text, and the settings that may change which
        tables its names mean."""
        settings = self.settings
        path = "" if settings is None else settings.search_path
        if path or self._variant:
            return f"{path}\0{self._variant}\0{statement.text}"
        return statement.text

    def _vary(self, statement: Statement, args: Arguments) -> None:
        """Note a statement that sets something, until the transaction ends or the reset."""
        if not statement.sets:
            return
        setting = f"{statement.text}\0{args!r}\0"
        if statement.mentions is None:
            self._lasting += setting
        if statement.mentions is None or self._in_transaction():
            self._variant += setting

    def _with_settings(self, begin: str) -> str:
        return begin if self.settings is None else f"{begin}; {self.settings.sql}"

    def _send_settings(self) -> None:
        """Send the settings in front of a statement, with which they are one transaction."""
        if self.settings is not None and not self._in_transaction():
            self._raw._transport.write(self.settings.messages)

    def _ended(self) -> None:
        self._readonly = self._is_untouched = False
        self._variant = self._lasting

    async def _ready(self, statement: Statement, timeout: float | None) -> Any:
        """The prepared statement. Where it is prepared now, its names mean what they mean under the
        settings of the request."""
        prepared = self._prepared.get(self._key(statement))
        if prepared is not None:
            return prepared
        if self.settings is None or self._in_transaction():
            return await self._prepare(statement, timeout)
        await self._raw.execute(self._with_settings("BEGIN"), timeout=timeout)
        try:
            return await self._prepare(statement, timeout)
        finally:
            if not self._raw.is_closed():
                await self._raw.execute("ROLLBACK")

    async def _prepare(self, statement: Statement, timeout: float | None) -> Any:
        text = statement.text
        if not self._keep_prepared:
            return await self._raw.prepare(text, timeout=timeout)
        # The name True makes asyncpg choose a unique one.
        prepared = await self._raw.prepare(text, name=True, timeout=timeout)
        if len(self._prepared) >= _PREPARED_LIMIT:
            del self._prepared[next(iter(self._prepared))]
        self._prepared[self._key(statement)] = prepared
        return prepared

    async def _simple(self, text: str, timeout: float | None) -> str:
        try:
            status: str = await self._raw.execute(text, timeout=timeout)
        except BaseException as exc:
            self._fail(exc)
        return status

    def _is_refusal(self, exc: BaseException) -> bool:
        return isinstance(exc, pg.InterfaceError) and not self._raw.is_closed()

    def _fail(self, exc: BaseException, *, decodes: bool = True) -> NoReturn:
        if isinstance(exc, asyncio.CancelledError | TimeoutError):
            self.unsettled = True
        is_loss = isinstance(exc, pg.ConnectionDoesNotExistError)
        if is_loss and (cause := exc.__cause__) and not isinstance(cause, Exception):
            # A decoder of the application's own raised it. asyncpg lets that pass, and its object
            # was left in the middle of the answer.
            self.terminate()
            raise cause
        error = translate(exc)
        if error is None and decodes:
            error = undecoded(exc)
        if error is None:
            raise exc
        if isinstance(error, DatabaseUnavailable) and self._is_refusal(exc):
            # Refused by asyncpg itself, on a connection that is well: the call was wrong.
            raise StatementError(error.detail) from exc
        if isinstance(error, DatabaseUnavailable):
            self.unsent = is_unsent(exc)
            self.lost = is_loss or not isinstance(exc, asyncpg.PostgresError)
            self.terminate()
            if self.unsent:
                error = DatabaseUnavailable("the connection was lost before the statement was sent")
        elif isinstance(error, ReadOnlyViolation) and not self._readonly:
            # The server has become a replica: the next connection may find the new primary.
            self.retired = True
        raise_timed_out(error, exc)


def _checked(statement: Statement, prepared: Any, rows: Iterable[Arguments]) -> Iterable[Arguments]:
    for row in rows:
        statement.check(row)
        check_integers(prepared._state, row)
        yield row


def _affected(status: str) -> int:
    """The count of ``INSERT 0 3``, ``UPDATE 2`` …; 0 for what changes no rows."""
    word, _, rest = status.partition(" ")
    return int(rest.rpartition(" ")[2]) if word in _COUNTED and rest else 0
