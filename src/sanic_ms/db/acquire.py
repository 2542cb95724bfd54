"""The context managers of a pool: a connection, or a connection with a transaction."""

from __future__ import annotations

from asyncio import get_running_loop
from collections.abc import Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from sanic_ms.context import RequestContext, current_request
from sanic_ms.db.base import TransactionOptions
from sanic_ms.db.connection import Connection
from sanic_ms.db.request_deadline import time_left
from sanic_ms.db.session_settings import session_settings
from sanic_ms.db.transaction import Transaction
from sanic_ms.exception import LifecycleError
from sanic_ms.resilience.deadline import current_deadline

if TYPE_CHECKING:
    from sanic_ms.db.pool import ConnectionPool

__all__ = ["Acquiring", "PoolTransaction"]


class Acquiring(msgspec.Struct, eq=False):  # whose constructor runs in C
    """What `ConnectionPool.acquire` gives: for ``async with``, or for ``await``."""

    _pool: ConnectionPool
    _request: RequestContext | None
    _timeout: float | None
    _connection: Connection | None = None

    __repr__ = object.__repr__

    async def __aenter__(self) -> Connection:
        if self._connection is not None:
            raise LifecycleError("this acquire() was entered already: call acquire() again")
        pool = self._pool
        if (deadline := current_deadline()) is not None:
            time_left(deadline, None)
        sessions = pool.lending
        if sessions is None or get_running_loop() is not sessions.loop:
            session = await pool.checkout(self._timeout)
        else:
            # What `checkout` does, without its coroutine.
            timeout = self._timeout
            session = sessions.take() or await sessions.wait(
                pool.acquire_timeout if timeout is None else timeout
            )
        if pool.settings_of is not None:
            request = self._request if self._request is not None else current_request.get()
            try:
                session.settings = session_settings(pool.settings_of, request)
            except BaseException:
                sessions = pool.lending
                if sessions is not None:
                    sessions.take_back(session)
                raise
        self._connection = connection = Connection(pool, session, self._request)
        return connection

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._connection is not None:
            self._connection.give_back()

    def __await__(self) -> Generator[Any, None, Connection]:
        return self.__aenter__().__await__()


class PoolTransaction(Acquiring, eq=False):
    """What `ConnectionPool.transaction` gives: a connection with a transaction, for ``async
    with``."""

    _options: TransactionOptions | None = None
    _transaction: Transaction | None = None

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
        transaction = self._transaction
        try:
            if transaction is not None:
                await transaction.leave(exc)
        finally:
            if self._connection is not None:
                self._connection.give_back()
            if transaction is not None and transaction.has_hooks:
                await transaction.run_after_commit()

    def __await__(self) -> Generator[Any, None, Connection]:
        raise LifecycleError(
            "transaction() is for `async with`, which commits or rolls back at its end"
        )
