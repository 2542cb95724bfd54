"""Rows of a large result, one after the other, fetched a part at a time."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from sanic_ms.db.base import Arguments, Row, Rows
from sanic_ms.db.builders import BuiltQuery
from sanic_ms.db.sql.statement import Statement
from sanic_ms.exception import LifecycleError

if TYPE_CHECKING:
    from sanic_ms.db.connection import Connection
    from sanic_ms.db.pool import ConnectionPool

__all__ = ["OpenRows", "RowIterator", "still_iterating"]


class OpenRows:
    """The cursor behind a `RowIterator`, as its connection holds it.

    The caller alone holds the iterator, so that one who leaves its loop with ``break`` drops it;
    ``abandoned`` is how the connection learns of that.
    """

    __slots__ = ("abandoned", "query", "rows", "statement")

    def __init__(self, rows: Rows, statement: Statement, query: BuiltQuery) -> None:
        self.rows = rows
        self.statement = statement
        self.query = query
        self.abandoned = False


class RowIterator:
    """The rows of one statement, for ``async for``: made by `Connection.iterate`.

    Args:
        connection: The one to use; None: one of ``pool``, for this iteration alone.

    The statement runs when the first row is asked for. `aclose` gives up the rest, as does leaving
    an ``async with`` around it; a loop left by ``break`` needs neither.

    Raises:
        ValueError: ``prefetch`` is not positive.
    """

    __slots__ = ("_args", "_buffer", "_connection", "_done", "_open", "_pool", "_prefetch",
                 "_statement", "_timeout")  # fmt: skip

    def __init__(
        self,
        connection: Connection | None,
        statement: object,
        args: Arguments,
        prefetch: int,
        timeout: float | None,
        pool: ConnectionPool | None = None,
    ) -> None:
        if prefetch < 1:
            raise ValueError(f"prefetch={prefetch}: at least 1")
        self._open: OpenRows | None = None
        self._connection = connection
        self._statement = statement
        self._args = args
        self._prefetch = prefetch
        self._timeout = timeout
        self._pool = pool
        self._done = False
        self._buffer: Iterator[Row] = iter(())

    def __aiter__(self) -> RowIterator:
        return self

    async def __anext__(self) -> Row:
        row = next(self._buffer, None)
        if row is not None:
            return row
        if self._done:
            raise StopAsyncIteration
        try:
            connection = self._connection
            if connection is None:
                assert self._pool is not None
                connection = self._connection = await self._pool.acquire()
            if self._open is None:
                self._open = await connection.open_rows(self._statement, self._args, self._timeout)
            rows = await connection.fetch_rows(self._open, self._prefetch)
        except BaseException:
            self._give_up()
            raise
        if not rows:
            await self.aclose()
            raise StopAsyncIteration
        self._buffer = iter(rows)
        return next(self._buffer)

    async def aclose(self) -> None:
        """Give up the rest of the rows. Calling it again does nothing."""
        if self._done:
            return
        self._done = True
        self._buffer = iter(())
        cursor, self._open = self._open, None
        try:
            if cursor is not None and self._connection is not None:
                await self._connection.close_rows(cursor)
        finally:
            self._release()

    async def __aenter__(self) -> RowIterator:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        self._give_up()

    def _give_up(self) -> None:
        """Without waiting: the connection closes the cursor before it does anything else."""
        if getattr(self, "_done", True):
            return
        self._done = True
        if self._open is not None:
            self._open.abandoned = True
        self._release()

    def _release(self) -> None:
        if self._pool is not None and self._connection is not None:
            self._pool.give_back(self._connection)


def still_iterating() -> LifecycleError:
    """The error of another statement on a connection whose `iterate` has not ended."""
    return LifecycleError(
        "iterate() is still running on this connection: finish it, close it with aclose(), or "
        "open a transaction around both to run statements in between"
    )
