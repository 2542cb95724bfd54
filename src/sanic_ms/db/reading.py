"""How a plain read gets its answer: behind those of others, or on a connection of its own."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from enum import Enum
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from sanic_ms.db.acquire import Acquiring
from sanic_ms.db.base import Arguments, Lane
from sanic_ms.db.request_deadline import within_deadline
from sanic_ms.db.scheduler import ReadScheduler
from sanic_ms.db.sql.statement import Statement
from sanic_ms.exception import DatabaseUnavailable, DeadlineExceeded
from sanic_ms.resilience.deadline import Deadline

if TYPE_CHECKING:
    from sanic_ms.db.connection import Connection
    from sanic_ms.db.pool import ConnectionPool

__all__ = ["UNDONE", "PlainRead", "alone", "in_time", "raise_exceeded", "together"]

Result = TypeVar("Result")

PlainRead = tuple[Statement, Arguments, ReadScheduler]
"""What is asked, with what, and who does it together with others."""

# Seconds within which a connection that may have been lost has to answer.
_ANSWER_WITHIN: Final = 0.4


class _Undone(Enum):
    UNDONE = 0


UNDONE: Final = _Undone.UNDONE
"""In place of an answer, which may be anything: a read has to be done on its own."""


async def in_time(
    pool: ConnectionPool, statement: str, deadline: Deadline, answer: Awaitable[Result]
) -> Result:
    """The answer of a plain read, which waits behind others no longer than until the deadline. The
    server is told of one that nobody waits for as of any that is cancelled.

    Raises:
        DeadlineExceeded: it did not come in time.
    """
    sessions, task = pool.lending, asyncio.current_task()
    assert sessions is not None
    assert task is not None
    readers = sessions.readers
    cancelled_before = task.cancelling()
    started = perf_counter()
    readers.add(task, deadline.at)
    is_over: bool | None = None
    try:
        return await answer
    except asyncio.CancelledError as exc:
        is_over = not readers.remove(task)
        # As with asyncio.timeout: where somebody else has cancelled the task too, it is that.
        if not is_over or task.cancelling() - 1 > cancelled_before:
            raise
        exceeded = DeadlineExceeded("the deadline was over before the database answered")
        if (metrics := pool.watch.metrics) is not None:
            metrics.failed(pool.statements.find(statement).word, started, exceeded)
        raise exceeded from exc
    finally:
        if is_over is None:
            is_over = not readers.remove(task)
        if is_over:
            task.uncancel()


def raise_exceeded(exc: Exception) -> None:
    """Raise an error of `in_time`; any other means that the read has to be done again."""
    if isinstance(exc, DeadlineExceeded):
        raise exc


async def together(
    pool: ConnectionPool,
    read: PlainRead,
    ask: Callable[[Lane, Arguments], Coroutine[Any, Any, Result]],
) -> Result | Literal[_Undone.UNDONE]:
    """Do a plain read together with others, and tell of it if it went well; else it has to be done
    again."""
    known, args, sharing = read
    lane = sharing.lane(known) or await sharing.wait(
        known, pool.acquire_timeout, pool.statement_timeout
    )
    if lane is None:
        return UNDONE
    uses = lane.uses
    started = perf_counter()
    try:
        result = await pool.watch.tried(known, ask(lane, args))
    except BaseException as exc:
        lane.settle(uses)
        if not isinstance(exc, Exception):
            raise
        return UNDONE
    if (metrics := pool.watch.metrics) is not None:
        metrics.done(known.word, started)
    return result


async def alone(
    pool: ConnectionPool,
    ask: Callable[[Connection, float | None], Coroutine[Any, Any, Result]],
) -> Result:
    """Do a plain read that got no answer among others on a connection of its own.

    Where one connection was lost, all may be. So where that one is lost as well, the read has one
    more, which is heard of first. It is sent three times at most, and waits and runs no longer than
    one that is sent once.
    """
    limit = pool.statement_timeout
    until = monotonic() + pool.acquire_timeout + (math.inf if limit is None else limit)
    async with Acquiring(pool, None, None) as connection:
        try:
            return await ask(connection, None)
        except DatabaseUnavailable as exc:
            if not connection.is_lost:
                raise
            loss = exc
    for _ in range(pool.max_size):
        left = until - monotonic()
        if left <= 0:
            break
        async with Acquiring(pool, None, min(left, pool.acquire_timeout)) as connection:
            try:
                async with asyncio.timeout(within_deadline(min(left, _ANSWER_WITHIN))):
                    await connection.session.ping()
            except TimeoutError:
                break
            except DatabaseUnavailable as exc:
                loss = exc
                continue
            left = until - monotonic()
            return await ask(connection, None if limit is None else min(left, limit))
    raise loss
