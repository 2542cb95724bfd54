"""Transactions and savepoints: one state machine over every database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Any, get_args

from sanic_ms.db.base import Isolation, TransactionOptions
from sanic_ms.exception import DatabaseError, LifecycleError, TransactionConflict

if TYPE_CHECKING:
    from sanic_ms.db.connection import Connection

__all__ = ["Transaction", "TransactionState", "transaction_options"]

log = logging.getLogger("sanic_ms.db")


class TransactionState(Enum):
    """Where a `Transaction` stands."""

    NEW = "not begun"
    OPEN = "open"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"
    FAILED = "failed"


def transaction_options(
    isolation: str | None, readonly: bool, deferrable: bool
) -> TransactionOptions | None:
    """Checked options; None where all are the defaults.

    Raises:
        ValueError: ``isolation`` is not one of the four levels of the SQL standard.
    """
    if isolation is None:
        if not readonly and not deferrable:
            return None
        return TransactionOptions(None, readonly, deferrable)
    level = isolation.lower().replace(" ", "_")
    levels: tuple[Isolation, ...] = get_args(Isolation)
    for known in levels:
        if level == known:
            return TransactionOptions(known, readonly, deferrable)
    raise ValueError(f"isolation={isolation!r}: allowed are {', '.join(levels)}")


class Transaction:
    """One transaction, or a savepoint inside another: made by `Connection.transaction`.

    An ``async with`` commits at its end, and rolls back when an exception passes, `CancelledError`
    included. It gives the `Connection`.

    A commit that has begun is carried through: a cancellation that comes in between is raised when
    the database has answered, so that a transaction is never in doubt because of it.
    """

    __slots__ = ("_connection", "_name", "_options", "state")

    def __init__(self, connection: Connection, options: TransactionOptions | None) -> None:
        self._connection = connection
        self._options = options
        self._name = ""
        self.state = TransactionState.NEW

    async def __aenter__(self) -> Connection:
        await self.begin()
        return self._connection

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc is None:
            await self._end(commit=True)
            return
        connection = self._connection
        if connection.is_released() or self.state is not TransactionState.OPEN:
            # A generator that was never finished is closed long after its connection went back to
            # the pool, which has rolled back: nothing is left to do, and `exc` says the rest.
            self.state = TransactionState.ROLLED_BACK
            return
        try:
            await self._end(commit=False)
        except DatabaseError as failure:
            # The exception that passes is the reason; the connection is thrown away at its release.
            log.debug("rollback failed: %s", failure)

    async def begin(self) -> None:
        """Begin: what ``async with`` does first.

        Raises:
            LifecycleError: it has begun before, or the connection is in use or released.
            DatabaseError: the database refused.
        """
        if self.state is not TransactionState.NEW:
            raise LifecycleError(
                f"this transaction is {self.state.value}: each transaction() is for one `async "
                "with`; call transaction() again for the next"
            )
        connection = self._connection
        stack = connection.transactions
        if stack:
            if self._options is not None:
                raise LifecycleError(
                    "isolation, readonly and deferrable belong to the outermost transaction(); "
                    "inside of it there are only savepoints"
                )
            self._name = f"sp_{len(stack)}"
            await connection.command(f"SAVEPOINT {self._name}")
        else:
            await connection.begin(self._options or TransactionOptions())
        stack.append(self)
        self.state = TransactionState.OPEN

    async def commit(self) -> None:
        """Commit; a savepoint becomes a part of the transaction around it.

        Raises:
            LifecycleError: it is not open, or one inside of it still is.
            TransactionConflict: the database had rolled it back by itself.
            DatabaseError: the commit failed; nothing was stored, unless the text says otherwise.
        """
        await self._end(commit=True)

    async def rollback(self) -> None:
        """Undo all that was done since `begin`, in those that began inside of it as well.

        Raises:
            LifecycleError: it is not open.
        """
        await self._end(commit=False)

    async def _end(self, *, commit: bool) -> None:
        connection = self._connection
        connection.check_owned()
        if self.state is not TransactionState.OPEN:
            raise LifecycleError(f"cannot end this transaction: it is {self.state.value}")
        stack = connection.transactions
        if commit and stack[-1] is not self:
            # Committing it would commit those inside of it, behind the back of their owners.
            raise LifecycleError(
                "cannot commit this transaction: one that began inside of it is still open. "
                "Transactions end in the reverse of the order in which they began; a generator "
                "that holds one open must be closed first (contextlib.aclosing)"
            )
        while stack[-1] is not self:
            stack.pop().state = TransactionState.ROLLED_BACK
        self.state = TransactionState.FAILED
        try:
            await _carried_through(self._ending(commit=commit))
        finally:
            stack.pop()

    async def _ending(self, *, commit: bool) -> None:
        connection = self._connection
        session = connection.session
        if session.aborted and commit:
            await connection.rollback()
            raise TransactionConflict(
                "the database had rolled this transaction back by itself after an earlier error "
                "in it; nothing was stored"
            )
        if self._name:
            if commit:
                await connection.command(f"RELEASE SAVEPOINT {self._name}")
            elif not session.aborted:
                await connection.command(f"ROLLBACK TO SAVEPOINT {self._name}")
                await connection.command(f"RELEASE SAVEPOINT {self._name}")
        elif commit:
            await connection.commit()
        else:
            await connection.rollback()
        self.state = TransactionState.COMMITTED if commit else TransactionState.ROLLED_BACK


async def _carried_through(work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` to its end also when the caller is cancelled; then raise the cancellation.

    ``work`` has a limit in time of its own, so that this one cannot be held for ever.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as exc:
            cancelled = exc
        except Exception:
            break
    if cancelled is not None:
        if not task.cancelled() and (failure := task.exception()) is not None:
            log.debug("the transaction failed to end while its task was cancelled: %s", failure)
        raise cancelled
    task.result()
