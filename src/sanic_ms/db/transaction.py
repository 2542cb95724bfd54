"""Transactions and savepoints: one state machine over every database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from sanic_ms.db.base import Isolation, TransactionOptions
from sanic_ms.db.request_deadline import check_deadline
from sanic_ms.db.transaction_hooks import (
    AfterCommit,
    BeforeCommit,
    Mark,
    TransactionHooks,
    checked_hook,
)
from sanic_ms.exception import DatabaseError, LifecycleError, TransactionConflict
from sanic_ms.resilience.deadline import current_deadline, deadline_scope

if TYPE_CHECKING:
    from sanic_ms.db.connection import Connection

__all__ = ["After", "Before", "Transaction", "TransactionState", "transaction_options"]

log = logging.getLogger("sanic_ms.db")

Before = TypeVar("Before", bound=BeforeCommit)
After = TypeVar("After", bound=AfterCommit)


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
    the database has answered, so that a transaction is never in doubt because of it. Nor does the
    deadline of the request cut it short: that is looked at before the commit, and one that is over
    rolls back.
    """

    __slots__ = ("_connection", "_hooks", "_mark", "_name", "_options", "state")

    def __init__(self, connection: Connection, options: TransactionOptions | None) -> None:
        self._connection = connection
        self._options = options
        self._name = ""
        self._hooks: TransactionHooks | None = None  # of the outermost alone, once there are any
        self._mark: Mark = (0, 0)  # where it begins among them
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
        try:
            await self.leave(exc)
        finally:
            if self._hooks is not None:
                await self.run_after_commit()

    async def leave(self, exc: BaseException | None) -> None:
        """Commit, or roll back where an exception passes: what the end of ``async with`` does
        before `run_after_commit`."""
        if exc is None:
            await self._end(commit=True)
            return
        connection = self._connection
        if connection.is_released() or self.state is not TransactionState.OPEN:
            # A generator that was never finished is closed long after its connection went back to
            # the pool, which has rolled back: nothing is left to do, and `exc` says the rest.
            self.state = TransactionState.ROLLED_BACK
            return
        await self._roll_back_quietly()

    @property
    def has_hooks(self) -> bool:
        """Whether functions were registered with it."""
        return self._hooks is not None

    async def run_after_commit(self) -> None:
        """Run the functions of `after_commit`, if it is committed; again: does nothing."""
        hooks = self._hooks
        if hooks is not None and hooks.after and self.state is TransactionState.COMMITTED:
            await hooks.run_after(self._connection.pool_name)

    def before_commit(self, function: Before) -> Before:
        """Run an async function just before the commit, inside of the transaction: what must be
        stored together with the rest or not at all.

        Functions run in the order in which they were registered. They may register further ones, up
        to 1000. The first that raises ends it: the transaction is rolled back, and the error raised
        by the commit. In a savepoint it waits for the commit of the outermost transaction, and is
        forgotten if the savepoint, or one around it, is rolled back.

        Args:
            function: Called with the `Connection`, which runs its statements.

        Returns:
            The function, so that this can be a decorator.

        Raises:
            LifecycleError: the transaction is not open.
            TypeError: it is no function.
        """
        self._open_hooks("before_commit").add_before(self, checked_hook("before_commit", function))
        return function

    def after_commit(self, function: After) -> After:
        """Run a function when the commit has succeeded: what others are told, such as a cache or a
        queue. It runs outside of the transaction, and, with `ConnectionPool.transaction`, when the
        connection is back in the pool.

        Functions run in the order in which they were registered. An error of one is logged with the
        function's place; the others run and the transaction stays committed. After a rollback, and
        where the connection is lost during the commit, so that its outcome is not known, none runs.
        In a savepoint it waits for the commit of the outermost transaction, and is forgotten if the
        savepoint, or one around it, is rolled back. The deadline of the request is in force in it:
        `sanic_ms.resilience.deadline_scope` drops that for work that has to be done.

        Args:
            function: Called without arguments; what it gives is awaited if it can be. When the task
                is cancelled meanwhile, the functions have 5 seconds to end.

        Returns:
            The function, so that this can be a decorator.

        Raises:
            LifecycleError: the transaction is not open.
            TypeError: it is no function.
        """
        self._open_hooks("after_commit").add_after(self, checked_hook("after_commit", function))
        return function

    def _open_hooks(self, kind: str) -> TransactionHooks:
        self._connection.check_owned()
        if self.state is not TransactionState.OPEN:
            raise LifecycleError(
                f"{kind}() is for an open transaction: this one is {self.state.value}"
            )
        outermost = self._connection.transactions[0]
        if outermost._hooks is None:
            outermost._hooks = TransactionHooks()
        return outermost._hooks

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
            if (hooks := stack[0]._hooks) is not None:
                self._mark = hooks.mark()
        else:
            await connection.begin(self._options or TransactionOptions())
        stack.append(self)
        self.state = TransactionState.OPEN

    async def commit(self) -> None:
        """Commit; a savepoint becomes a part of the transaction around it.

        Raises:
            LifecycleError: it is not open, or one inside of it still is.
            TransactionConflict: the database had rolled it back by itself.
            DeadlineExceeded: the deadline of the request was over before; it is rolled back.
            DatabaseError: the commit failed; nothing was stored, unless the text says otherwise.
            BaseException: what a function of `before_commit` raised; it is rolled back.
        """
        try:
            await self._end(commit=True)
        finally:
            if self._hooks is not None:
                await self.run_after_commit()

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
        hooks = stack[0]._hooks
        if hooks is not None and hooks.are_running:
            self._check_not_committing(stack)
        if commit:
            self._check_innermost(stack)
            await self._before_commit(hooks if len(stack) == 1 else None)
        elif hooks is not None:
            hooks.drop(stack[stack.index(self) :], self._mark)
        while stack[-1] is not self:
            stack.pop().state = TransactionState.ROLLED_BACK
        self.state = TransactionState.FAILED
        work = self._ending(commit=commit)
        if current_deadline() is not None:
            work = _without_deadline(work)
        try:
            await _carried_through(work)
        finally:
            stack.pop()
            if hooks is not None and stack:
                if self.state is TransactionState.COMMITTED:
                    hooks.hand_over(self, stack[-1], self._mark)
                else:
                    hooks.drop((self,), self._mark)

    def _check_innermost(self, stack: list[Transaction]) -> None:
        if stack[-1] is not self:
            # Committing it would commit those inside of it, behind the back of their owners.
            raise LifecycleError(
                "cannot commit this transaction: one that began inside of it is still open. "
                "Transactions end in the reverse of the order in which they began; a generator "
                "that holds one open must be closed first (contextlib.aclosing)"
            )

    def _check_not_committing(self, stack: list[Transaction]) -> None:
        if stack[0] is self:
            raise LifecycleError(
                "this transaction is being committed: a function of before_commit cannot end it; "
                "an exception that it raises rolls it back"
            )

    async def _before_commit(self, hooks: TransactionHooks | None) -> None:
        """Run the functions of `before_commit`, and see that there is time for the commit; roll
        back if one fails, or if there is none."""
        connection = self._connection
        if connection.session.aborted:
            return  # it is rolled back in any case, and why is said then
        try:
            check_deadline()
            if hooks is not None:
                await hooks.run_before(connection)
                self._check_innermost(connection.transactions)
                check_deadline()
        except BaseException:
            if not connection.is_released():
                await self._roll_back_quietly()
            raise

    async def _roll_back_quietly(self) -> None:
        """Roll back because of an exception, which is what the caller will see."""
        try:
            await self._end(commit=False)
        except DatabaseError as failure:
            # The connection is thrown away at its release.
            log.debug("rollback failed: %s", failure)

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


async def _without_deadline(work: Coroutine[Any, Any, None]) -> None:
    """A commit that has begun, and a roll-back, are done also when the deadline is over."""
    with deadline_scope(None):
        await work


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
