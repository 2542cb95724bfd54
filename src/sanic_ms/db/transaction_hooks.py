"""Functions that run with the commit of a transaction: just before it, or after it."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import Awaitable, Callable, Container
from typing import TYPE_CHECKING, Any, TypeVar

from sanic_ms.exception import LifecycleError

if TYPE_CHECKING:
    from sanic_ms.db.connection import Connection
    from sanic_ms.db.transaction import Transaction

__all__ = ["AfterCommit", "BeforeCommit", "Mark", "TransactionHooks", "checked_hook"]

log = logging.getLogger("sanic_ms.db")

BeforeCommit = Callable[["Connection"], Awaitable[object]]
AfterCommit = Callable[[], object]
Mark = tuple[int, int]
Hook = TypeVar("Hook", bound=Callable[..., object])

_MOST = 1000
"""How many functions those of `before_commit` may register in turn, in one commit."""

_GRACE = 5.0
"""Seconds that functions of `after_commit` have to end in when their caller is cancelled."""


def checked_hook(kind: str, function: Hook) -> Hook:
    """The function, if it is one.

    Raises:
        TypeError: it is not; the text says what to give.
    """
    given: object = function
    if not callable(given):
        if inspect.iscoroutine(given):
            given.close()  # or Python warns of it besides
        raise TypeError(f"{kind}({given!r}): give the function itself, without calling it")
    return function


class TransactionHooks:
    """The functions registered in one transaction and in its savepoints, in order.

    Each belongs to the transaction or savepoint that was open; a savepoint that is released leaves
    its functions to the one around it, and one that is rolled back drops them.

    Attributes:
        are_running: Whether functions of `before_commit` run at the moment.
        after: The functions of `after_commit`, each with its owner.
    """

    __slots__ = ("_before", "_done", "after", "are_running")

    def __init__(self) -> None:
        self._before: list[tuple[Transaction, BeforeCommit]] = []
        self._done = 0
        self.after: list[tuple[Transaction, AfterCommit]] = []
        self.are_running = False

    def add_before(self, owner: Transaction, function: BeforeCommit) -> None:
        """Register a function to run just before the commit."""
        self._before.append((owner, function))

    def add_after(self, owner: Transaction, function: AfterCommit) -> None:
        """Register a function to run after the commit."""
        self.after.append((owner, function))

    def mark(self) -> Mark:
        """Where a savepoint begins: what is registered in it stands behind that."""
        return len(self._before), len(self.after)

    def hand_over(self, owner: Transaction, heir: Transaction, mark: Mark) -> None:
        """A savepoint, which began at a mark, was released."""
        for entries, start in self._since(mark):
            entries[start:] = [
                (heir if who is owner else who, function) for who, function in entries[start:]
            ]

    def drop(self, owners: Container[Transaction], mark: Mark) -> None:
        """Transactions, the outermost of which began at a mark, were rolled back."""
        for entries, start in self._since(mark):
            entries[start:] = [entry for entry in entries[start:] if entry[0] not in owners]

    def _since(self, mark: Mark) -> tuple[tuple[list[Any], int], tuple[list[Any], int]]:
        return (self._before, mark[0]), (self.after, mark[1])

    async def run_before(self, connection: Connection) -> None:
        """Call what was registered, and what that registers, one after the other.

        Raises:
            TypeError: a function gave nothing to await.
            LifecycleError: they register functions without end.
            BaseException: the first that a function raises; the rest does not run.
        """
        most = len(self._before) + _MOST
        self.are_running = True
        try:
            while self._done < len(self._before):
                _, function = self._before[self._done]
                if self._done == most:
                    raise LifecycleError(
                        f"functions of before_commit have registered more than {_MOST} in turn: "
                        f"the next is {_described(function)}; register work once, and let one "
                        "function do all of it"
                    )
                self._done += 1
                work: Any = function(connection)
                if not inspect.isawaitable(work):
                    raise TypeError(
                        f"before_commit takes an async function, and {_described(function)} gave "
                        f"{work!r}"
                    )
                await work
        finally:
            self.are_running = False

    async def run_after(self, pool: str) -> None:
        """Call what was registered, one after the other; an error is logged and the rest run.

        They run to their end when the caller is cancelled, within some seconds.

        Args:
            pool: The name of the pool, for the log.
        """
        functions = [function for _, function in self.after]
        self.after = []
        task = asyncio.ensure_future(_call_each(functions, pool))
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                await _ended_within(task, _GRACE)
            raise


async def _call_each(functions: list[AfterCommit], pool: str) -> None:
    task = asyncio.current_task()
    for number, function in enumerate(functions, 1):
        try:
            result = function()
            if inspect.isawaitable(result):
                await result
        except Exception:
            _log_failure(pool, function)
        except asyncio.CancelledError:
            if task is None or not task.cancelling():  # of something that the function awaited
                _log_failure(pool, function)
                continue
            log.error(
                "pool %s: %s was cancelled after its commit, and %d registered behind it did not "
                "run; the transaction is committed",
                pool,
                _described(function),
                len(functions) - number,
            )
            raise


async def _ended_within(task: asyncio.Task[None], seconds: float) -> None:
    """Wait for a task, whatever cancellations come in between, and then cancel it."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while not task.done():
        left = until - loop.time()
        if left <= 0:
            task.cancel()
            return
        try:
            await asyncio.wait([task], timeout=left)
        except asyncio.CancelledError:
            continue


def _log_failure(pool: str, function: AfterCommit) -> None:
    log.exception(
        "pool %s: %s failed after the commit; the transaction is committed",
        pool,
        _described(function),
    )


def _described(function: Callable[..., object]) -> str:
    """``name (file.py:12)``."""
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(inspect.unwrap(function), "__code__", None)
    name = getattr(function, "__qualname__", None) or repr(function)
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"
