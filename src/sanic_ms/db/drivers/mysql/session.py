"""One connection to MySQL or MariaDB, and how its statements run.

Statements with arguments are prepared on the server and their values sent in binary form: nothing
is ever pasted into SQL text, and bytes arrive as they are. asyncmy's own cursors are not used.

A statement that is cancelled or runs too long takes its connection with it, as the protocol has no
way to stop one: the connection is thrown away, and the server is told to kill it by another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from asyncmy import errors as my

from sanic_ms.db.base import Arguments, Row, Rows, Session, TransactionOptions
from sanic_ms.db.deadlines import SessionTimer
from sanic_ms.db.drivers.mysql import values
from sanic_ms.db.drivers.mysql.cursor import MySQLRows, open_cursor
from sanic_ms.db.drivers.mysql.errors import translate
from sanic_ms.db.drivers.mysql.proof import prove
from sanic_ms.db.drivers.mysql.values import is_fraction
from sanic_ms.db.drivers.values import value_at
from sanic_ms.db.request_deadline import raise_timed_out, within_deadline
from sanic_ms.db.sql.classification import Mentions
from sanic_ms.db.sql.statement import Statement
from sanic_ms.exception import (
    DatabaseUnavailable,
    DataError,
    QueryTimeout,
    ReadOnlyViolation,
    StatementError,
    TransactionConflict,
)

if TYPE_CHECKING:
    from sanic_ms.db.drivers.mysql.driver import MySQLDriver

__all__ = ["SESSION_START", "MySQLSession"]

Result = TypeVar("Result")

_PREPARED_LIMIT: Final = 256
_IN_TRANSACTION: Final = 1  # of the server's status
_BATCH: Final = 500
# A value longer than this is sent by itself, so that a batch stays below max_allowed_packet.
_LONG_VALUE: Final = 8192
# The server will not prepare this kind of statement; it takes it as text.
_NOT_PREPARABLE: Final = 1295
_DEADLOCK: Final = 1213
_RESET_CONNECTION: Final = 0x1F  # COM_RESET_CONNECTION
_CATALOG_LIMIT: Final = 5.0  # seconds

SESSION_START: Final = (
    "SET NAMES utf8mb4, autocommit = 1, time_zone = '+00:00', character_set_client = utf8mb4"
)
"""What every session is told: text in UTF-8, no transaction unless begun, times in UTC."""


class _ResultShape:
    """The columns of a result: their names, and what decodes those that need it."""

    __slots__ = ("decoders", "fields", "names")

    def __init__(
        self, fields: list[Any], names: list[str], decoders: list[values.Decoder | None]
    ) -> None:
        self.fields = fields
        self.names = names
        self.decoders = decoders if any(decoders) else None

    def row(self, row: tuple[Any, ...]) -> Row:
        """A row as a dict."""
        if self.decoders is None:
            return dict(zip(self.names, row, strict=True))
        return {
            name: value if decode is None else decode(value)
            for name, value, decode in zip(self.names, row, self.decoders, strict=True)
        }


class MySQLSession(Session):
    """One connection to MySQL."""

    __slots__ = ("_database", "_deadline", "_driver", "_expired", "_prepared", "_raw", "_readonly",
                 "_shapes", "_transaction")  # fmt: skip

    def __init__(self, driver: MySQLDriver, raw: Any, database: str) -> None:
        super().__init__()
        self._driver = driver
        self._raw = raw
        self._database = database
        self._deadline = SessionTimer(driver.deadlines)
        self._expired = False
        self._prepared: dict[str, Any] = {}
        self._shapes: dict[str, _ResultShape] = {}
        self._readonly = False
        self._transaction = False

    @property
    def raw(self) -> Any:
        """The asyncmy connection."""
        return self._raw

    async def fetch(
        self, statement: Statement, args: Arguments, timeout: float | None
    ) -> list[Row]:
        """Every row."""
        result = await self._run(statement, args, timeout)
        if not result.rows:
            return []
        shape = await self._shape(statement, result)
        return [shape.row(row) for row in result.rows]

    async def fetchrow(
        self, statement: Statement, args: Arguments, timeout: float | None
    ) -> Row | None:
        """The first row."""
        result = await self._run(statement, args, timeout)
        if not result.rows:
            return None
        return (await self._shape(statement, result)).row(result.rows[0])

    async def fetchval(
        self, statement: Statement, args: Arguments, column: int, timeout: float | None
    ) -> Any:
        """One value of the first row."""
        result = await self._run(statement, args, timeout)
        return await self._value(statement, result, column) if result.rows else None

    async def insert(self, statement: Statement, args: Arguments, timeout: float | None) -> Any:
        """The number that AUTO_INCREMENT gave, or the first value of RETURNING (MariaDB)."""
        result = await self._run(statement, args, timeout)
        if statement.returns:
            return await self._value(statement, result, 0) if result.rows else None
        return int(result.insert_id) or None

    async def _value(self, statement: Statement, result: Any, column: int) -> Any:
        shape = await self._shape(statement, result)
        row = result.rows[0]
        value = value_at(row, column)
        decode = shape.decoders[column] if shape.decoders is not None else None
        return value if decode is None else decode(value)

    async def execute(self, statement: Statement, args: Arguments, timeout: float | None) -> int:
        """The number of rows changed."""
        result = await self._run(statement, args, timeout)
        # With rows (RETURNING, of MariaDB) the count is theirs.
        return int(result.affected_rows) if statement.writes else 0

    async def executemany(
        self, statement: Statement, rows: Iterable[Arguments], timeout: float | None
    ) -> None:
        """Run it for each row of arguments; on MariaDB, many rows a message."""
        remaining = iter(rows)
        async with self.all_or_nothing(timeout):
            while rows_now := list(islice(remaining, _BATCH)):
                batch = [self._bound(statement, row) for row in rows_now]
                await self._check_fractions(statement, rows_now)
                await self._limited(
                    partial(self._send_batch, statement, batch), within_deadline(timeout)
                )

    async def open_rows(self, statement: Statement, args: Arguments, timeout: float | None) -> Rows:
        """A cursor on the server."""
        bound = self._bound(statement, args)
        await self._check_fractions(statement, (args,))
        cursor = await self._limited(
            lambda: open_cursor(self._raw, statement.text, bound), within_deadline(timeout)
        )
        shape = await self._shape_of(cursor.fields)
        return MySQLRows(cursor, shape.row, self._limited, timeout)

    async def begin(self, options: TransactionOptions, timeout: float | None) -> None:
        """START TRANSACTION, with its options."""
        if options.isolation is not None:
            level = options.isolation.replace("_", " ").upper()
            await self.command(f"SET TRANSACTION ISOLATION LEVEL {level}", timeout)
            timeout = within_deadline(timeout)
        self._readonly = options.readonly
        await self.command(
            "START TRANSACTION READ ONLY" if options.readonly else "START TRANSACTION", timeout
        )
        self._transaction = True

    async def commit(self, timeout: float | None) -> None:
        """COMMIT."""
        await self.command("COMMIT", timeout)
        self._ended()

    async def rollback(self, timeout: float | None) -> None:
        """ROLLBACK."""
        await self.command("ROLLBACK", timeout)
        self._ended()

    async def command(self, text: str, timeout: float | None) -> None:
        """SAVEPOINT and its kin."""
        await self._limited(lambda: self._raw.query(text), timeout)

    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._transaction or bool(self._raw.server_status & _IN_TRANSACTION)

    def is_closed(self) -> bool:
        """Whether the connection is lost."""
        return not self._raw.connected or self._raw._stream_broken

    async def reset(self) -> None:
        """Roll back, and make the session a new one: the server's own reset, and what every
        connection of ours is told at its beginning."""
        if self.unsettled or self.is_closed():
            self.terminate()
            raise DatabaseUnavailable("the connection was given up")
        if not self.changed:
            await self.rollback(None)
            return
        self._prepared.clear()
        self._shapes.clear()
        try:
            await self._raw._execute_command(_RESET_CONNECTION, b"")
            await self._raw._read_ok_packet()
            await self._raw.select_db(self._database)
            await self._raw.query(SESSION_START)
            # The server's reset keeps a role that was set.
            self.retired = self.retired or await self.current_role() != self._driver.role
        except BaseException as exc:
            self.terminate()
            self._fail(exc)
        self._ended()

    async def current_role(self) -> str | None:
        """The role of the session; None: none, or the server knows no roles."""
        try:
            await self._raw.query("SELECT CURRENT_ROLE()")
        except my.MySQLError:
            return None
        role: str | None = self._raw._result.rows[0][0]
        return role

    async def prove(self, mentions: Mentions) -> str | None:
        """Ask the catalog."""
        return await prove(self._rows, mentions)

    async def _rows(self, query: str, args: Sequence[str]) -> Sequence[Any]:
        work = self._send(Statement(query, "mysql"), tuple(args))
        rows: Sequence[Any] = (await self._limited(lambda: work, _CATALOG_LIMIT)).rows or ()
        return rows

    async def ping(self) -> None:
        """A ping."""
        await self._limited(lambda: self._raw.ping(reconnect=False), None)

    async def close(self) -> None:
        """Close."""
        try:
            await self._raw.ensure_closed()
        except Exception as exc:
            self._fail(exc)

    def terminate(self) -> None:
        """Close at once."""
        self._prepared.clear()
        self._shapes.clear()
        self._raw.close()

    # --- running ---------------------------------------------------------------------------------

    @staticmethod
    def _bound(statement: Statement, args: Arguments) -> tuple[Any, ...]:
        statement.check(args)
        return values.adapt(statement.arrange(args))

    async def _run(self, statement: Statement, args: Arguments, timeout: float | None) -> Any:
        bound = self._bound(statement, args)
        await self._check_fractions(statement, (args,))
        return await self._limited(lambda: self._send(statement, bound), timeout)

    async def _check_fractions(self, statement: Statement, rows: Sequence[Arguments]) -> None:
        """Reject a number with a fraction that is stored in an integer column or compared with one,
        where the text tells: MySQL would round it.

        Raises:
            DataError: there is one.
        """
        fractions = {n for row in rows for n, value in enumerate(row, 1) if is_fraction(value)}
        if not fractions or (targets := statement.targets) is None:
            return
        for number, column in targets.columns:
            if number in fractions:
                for anew in (False, True):  # before it is said, the table is looked at once more
                    table = (targets.schema, targets.table)
                    if column not in await self._driver.integer_columns(table, anew=anew):
                        break
                else:
                    error = DataError(
                        f"argument ${number} has a fraction, and its column is an integer",
                        column=column if isinstance(column, str) else None,
                    )
                    error.argument = number
                    raise error

    async def _send(self, statement: Statement, args: tuple[Any, ...]) -> Any:
        if args:
            return await (await self._prepare(statement)).execute(args)
        raw = self._raw
        await raw.query(statement.text)
        result = raw._result
        while raw._result.has_next:
            # Of several statements in one text, the last one counts, as on PostgreSQL.
            await raw.next_result()
            result = raw._result
        return result

    async def _send_batch(self, statement: Statement, rows: list[tuple[Any, ...]]) -> None:
        prepared = await self._prepare(statement)
        long = any(
            isinstance(value, str | bytes) and len(value) > _LONG_VALUE
            for row in rows
            for value in row
        )
        if self._raw._bulk_supported and rows[0] and not long:
            try:
                await prepared.execute_bulk(rows)
                return
            except ValueError:
                pass  # rows of different types; said before anything was sent
        for row in rows:
            await prepared.execute(row)

    async def _prepare(self, statement: Statement) -> Any:
        text = statement.text
        prepared = self._prepared.get(text)
        if prepared is None:
            try:
                prepared = await self._raw.prepare(text)
            except my.MySQLError as exc:
                if exc.args and exc.args[0] == _NOT_PREPARABLE:
                    raise StatementError(
                        f"MySQL takes no arguments in this kind of statement: {exc.args[1]}"
                    ) from exc
                raise
            if len(self._prepared) >= _PREPARED_LIMIT:
                oldest = next(iter(self._prepared))
                self._shapes.pop(oldest, None)
                await self._prepared.pop(oldest).close()
            self._prepared[text] = prepared
        return prepared

    async def _limited(
        self, work: Callable[[], Awaitable[Result]], timeout: float | None
    ) -> Result:
        if self.is_closed():
            self.unsent = True
            self._raw.close()
            raise DatabaseUnavailable("the connection is closed")
        task = asyncio.current_task()
        assert task is not None
        cancelled_before = task.cancelling()
        self._expired = False
        timer = None
        if timeout is not None:
            timer = self._deadline.call_later(timeout, self._expire, task)
        try:
            return await work()
        except (TimeoutError, asyncio.CancelledError) as exc:
            # Its answer would be taken for that of the next statement.
            self.unsettled = True
            self.terminate()
            self._driver.kill(self._raw.thread_id())
            # As with asyncio.timeout: where somebody else has cancelled the task too, it is that.
            by_limit = self._expired and task.cancelling() - 1 <= cancelled_before
            if isinstance(exc, asyncio.CancelledError) and not by_limit:
                raise
            raise_timed_out(
                QueryTimeout(
                    "the statement took longer than its timeout; its connection was closed"
                ),
                exc,
            )
        except BaseException as exc:
            self._fail(exc)
        finally:
            if timer is not None:
                timer.cancel()
            if self._expired:
                task.uncancel()

    def _expire(self, task: asyncio.Task[Any]) -> None:
        self._expired = True
        task.cancel()

    def _fail(self, exc: BaseException) -> NoReturn:
        error = translate(exc)
        if error is None:
            raise exc
        if isinstance(error, DatabaseUnavailable):
            self.terminate()
        elif isinstance(error, ReadOnlyViolation) and not self._readonly:
            # The server has become a replica: the next connection may find the new primary.
            self.retired = True
        elif isinstance(error, TransactionConflict) and exc.args[0] == _DEADLOCK:
            self.aborted = self._transaction
        raise_timed_out(error, exc)

    def _ended(self) -> None:
        self._transaction = self._readonly = self.aborted = False

    async def _shape(self, statement: Statement, result: Any) -> _ResultShape:
        """The columns of a result; kept for a prepared statement, whose column objects stay the
        same until the table changes."""
        shape = self._shapes.get(statement.text)
        if shape is None or shape.fields is not result.fields:
            shape = await self._shape_of(result.fields)
            if statement.text in self._prepared:
                self._shapes[statement.text] = shape
        return shape

    async def _shape_of(self, fields: list[Any]) -> _ResultShape:
        decoders = [values.decoder_for(field) for field in fields]
        if self._driver.is_mariadb:
            for position, field in enumerate(fields):
                if values.may_be_json(field):
                    table = values.table_of(field)
                    if field.org_name in await self._driver.json_columns(table, {field.org_name}):
                        decoders[position] = values.decode_json
        return _ResultShape(fields, [field.name for field in fields], decoders)
