"""The context managers of a pool: a connection, or a connection with a transaction."""

from __future__ import annotations

from collections.abc import Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sanic_ms.context import RequestContext
from sanic_ms.db.base import TransactionOptions
from sanic_ms.db.connection import Connection
from sanic_ms.db.transaction import Transaction
from sanic_ms.exception import LifecycleError

if TYPE_CHECKING:
    from sanic_ms.db.pool import ConnectionPool

__all__ = ["Acquiring", "PoolTransaction"]


class Acquiring:
    """What `ConnectionPool.acquire` gives: for ``async with``, or for ``await``."""

    __slots__ = ("_connection", "_pool", "_request", "_timeout")

    def __init__(
        self, pool: ConnectionPool, request: RequestContext | None, timeout: float | None
    ) -> None:
        self._pool = pool
        self._request = request
        self._timeout = timeout
        self._connection: Connection | None = None

    async def __aenter__(self) -> Connection:
        if self._connection is not None:
            raise LifecycleError("this acquire() was entered already: call acquire() again")
        session = await self._pool.checkout(self._timeout)
        self._connection = connection = Connection(self._pool, session, self._request)
        return connection

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._connection is not None:
            self._pool.give_back(self._connection)

    def __await__(self) -> Generator[Any, None, Connection]:
        return self.__aenter__().__await__()


class PoolTransaction(Acquiring):
    """What `ConnectionPool.transaction` gives: a connection with a transaction, for ``async
    with``."""

    __slots__ = ("_options", "_transaction")

    def __init__(
        self,
        pool: ConnectionPool,
        request: RequestContext | None,
        timeout: float | None,
        options: TransactionOptions | None,
    ) -> None:
        super().__init__(pool, request, timeout)
        self._options = options
        self._transaction: Transaction | None = None

    async def __aenter__(self) -> Connection:
        connection = await super().__aenter__()
        self._transaction = Transaction(connection, self._options)
        try:
            await self._transaction.begin()
        except BaseException:
            self._pool.give_back(connection)
            raise
        return connection

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._transaction is not None:
                await self._transaction.__aexit__(kind, exc, traceback)
        finally:
            await super().__aexit__(kind, exc, traceback)

    def __await__(self) -> Generator[Any, None, Connection]:
        raise LifecycleError(
            "transaction() is for `async with`, which commits or rolls back at its end"
        )
