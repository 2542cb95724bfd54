"""The end of requests in flight and of background tasks: first with patience, then without."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import Any

from sanic_ms.awake import AwakeClock, wait_awake
from sanic_ms.server.http1.connection import HttpConnection
from sanic_ms.server.http1.protocol import HttpProtocol
from sanic_ms.server.process.periodic import Progress, progress_of

__all__ = ["cancel_tasks", "finish_requests", "finish_tasks"]

log = logging.getLogger("sanic_ms.server")

_LOOK = 0.02  # seconds between two looks at what is left
_ROUND = 2.0  # seconds in which a periodic task may finish its round
_UNWIND = 5.0  # seconds that cancelled handlers have to roll back and end

# The tasks in which handlers run. A handler may outlive its connection, so connections are not
# enough to find them; and noting each in a set would cost something for every request.
_HANDLING = {
    method.__code__
    for method in (
        HttpProtocol._serve_plain,
        HttpProtocol._serve_complete,
        HttpProtocol._serve_refusal,
    )
}


def _handlers(connections: Iterable[Any]) -> set[asyncio.Task[Any]]:
    """The tasks that serve requests now."""
    tasks = {
        task
        for task in asyncio.all_tasks()
        if getattr(task.get_coro(), "cr_code", None) in _HANDLING
    }
    for connection in connections:  # of another protocol
        if not isinstance(connection, HttpConnection) and connection._task is not None:
            tasks.add(connection._task)
    return {task for task in tasks if not task.done()}


async def finish_requests(
    connections: set[Any], grace: float, *, clock: AwakeClock | None = None
) -> bool:
    """Wait until every request is answered and every connection has ended.

    Idle connections are closed after a moment in which a request that was under way is still
    served; web sockets are closed with 1001. What is in flight after ``grace`` seconds is
    cancelled, and waited for: when this returns, no handler runs any more that obeys cancellation.

    Args:
        connections: Those of the server.
        grace: Seconds, by the clock.
        clock: Of the stop; default one that begins now.

    Returns:
        Whether all ended by themselves.
    """
    clock = clock or AwakeClock()
    while True:
        for connection in list(connections):
            connection.close_if_idle()
        tasks = _handlers(connections)
        if not connections and not tasks:
            return True
        if clock.time() >= grace:
            break
        await asyncio.sleep(_LOOK)
    names = ", ".join(sorted({_name(connection) for connection in connections} - {""}))
    log.warning(
        "requests in flight after %g s are cancelled%s", grace, f": {names}" if names else ""
    )
    for connection in list(connections):
        if isinstance(connection, HttpConnection):
            connection.cut()
        else:
            connection.abort()
    held = {c._task for c in connections if c._task is not None}
    for task in tasks - held:  # of a client that is gone; it was cancelled once already
        task.cancel()
    if tasks:
        _, stubborn = await wait_awake(tasks, _UNWIND)
        if stubborn:
            log.error("%d handlers did not end when they were cancelled", len(stubborn))
    for connection in list(connections):
        connection.abort()
    await asyncio.sleep(0)  # so that the sockets are closed
    return False


def _name(connection: Any) -> str:
    """What a connection is busy with, by the name of its route."""
    if not isinstance(connection, HttpProtocol):
        return ""
    exchange = connection.exchange
    request = exchange.request if exchange is not None else connection._request
    return "" if request is None else str(getattr(request, "endpoint", "") or "")


async def finish_tasks(
    tasks: Callable[[], Iterable[asyncio.Task[Any]]], grace: float, clock: AwakeClock
) -> None:
    """Wait until every background task has ended, those too that are begun meanwhile.

    Tasks that go round in a loop for ever are not waited for; one that is in the middle of a round
    may finish it. The log names those that still run at the end of the grace period. Nothing is
    cancelled here.

    Args:
        tasks: Gives those that there are.
        grace: Seconds, by the clock.
        clock: Of the stop.
    """
    limit = min(grace, clock.time() + _ROUND)  # for the rounds of periodic tasks
    while True:
        now = clock.time()
        pending = {
            task: progress_of(task)
            for task in tasks()
            if isinstance(task, asyncio.Task) and not task.done()  # a bare future may never end
        }
        awaited = [
            task
            for task, progress in pending.items()
            if progress is Progress.ENDING or (progress is Progress.ROUND and now < limit)
        ]
        if not awaited:
            return
        if now >= grace:
            break
        await asyncio.wait(awaited, timeout=_LOOK, return_when=asyncio.FIRST_COMPLETED)
    log.warning(
        "background tasks that run after %g s are cancelled: %s",
        grace,
        ", ".join(sorted(task.get_name() for task in awaited)),
    )


async def cancel_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel background tasks, and wait a limited time for their end."""
    pending = {task for task in tasks if not task.done()}
    for task in pending:
        task.cancel()
    if pending:
        _, stubborn = await wait_awake(pending, _UNWIND)
        for task in stubborn:
            log.error("the task %s did not end when it was cancelled", task.get_name())
    for task in pending:
        if task.done() and not task.cancelled():
            with contextlib.suppress(BaseException):
                task.exception()
