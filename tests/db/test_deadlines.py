"""The time limits of statements: kept by one timer of the event loop for all of a pool."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.db.test_cancellation import slow_statement

from sanic_ms.db import ConnectionPool
from sanic_ms.db.deadlines import Deadlines, SessionTimer, TaskLimits
from sanic_ms.exception import LifecycleError, QueryTimeout

MakePool = Callable[..., Awaitable[ConnectionPool]]
Settled = Callable[[ConnectionPool], Awaitable[None]]


@pytest.fixture
async def deadlines() -> Deadlines:
    """Of the test's own event loop."""
    return Deadlines(asyncio.get_running_loop())


class Timers:
    """Counts the timers that are made on the running loop; ``pending`` are those to come."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._loop = asyncio.get_running_loop()
        self.made: list[asyncio.TimerHandle] = []
        call_at = self._loop.call_at

        def counted(when: float, callback: Any, *args: Any, context: Any = None) -> Any:
            handle = call_at(when, callback, *args, context=context)
            self.made.append(handle)
            return handle

        monkeypatch.setattr(self._loop, "call_at", counted)

    def pending(self) -> int:
        """How many of them the loop still waits for."""
        now = self._loop.time()
        return sum(not timer.cancelled() and timer.when() > now for timer in self.made)


# --- what the limits of one pool share ------------------------------------------------------------


async def test_a_limit_that_passes_makes_the_call_once(deadlines: Deadlines) -> None:
    """With its argument, at its time, and never again."""
    called = asyncio.get_running_loop().create_future()
    begin = time.monotonic()
    deadline = SessionTimer(deadlines)
    deadline.call_later(0.05, called.set_result, "argument")
    assert await called == "argument"
    assert 0.045 < time.monotonic() - begin < 20
    assert deadlines.wakes_at == math.inf


async def test_one_timer_serves_many_limits(
    deadlines: Deadlines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit that is noted and forgotten sets no timer where one is set already."""
    timers = Timers(monkeypatch)
    many = [SessionTimer(deadlines) for _ in range(10)]
    for _ in range(100):
        for deadline in many:
            deadline.call_later(30, pytest.fail, "nothing took 30 s").cancel()
    assert len(timers.made) == 1
    deadlines.close()
    assert timers.pending() == 0


async def test_different_limits_end_in_their_order(deadlines: Deadlines) -> None:
    """Each at its own time, whichever was noted first."""
    ended: list[float] = []
    done = asyncio.Event()
    limits = (0.06, 30.0, 0.02, 0.04, 0.08)
    many = [SessionTimer(deadlines) for _ in limits]
    for deadline, limit in zip(many, limits, strict=True):
        deadline.call_later(limit, ended.append, limit)
    last = SessionTimer(deadlines)
    last.call_later(0.1, lambda _: done.set(), None)
    await done.wait()
    assert ended == [0.02, 0.04, 0.06, 0.08]
    assert deadlines.wakes_at == many[1].moment
    many[1].cancel()
    deadlines.close()


async def test_a_short_limit_is_not_held_up_by_a_long_one(deadlines: Deadlines) -> None:
    """The timer that waits for the long one is set anew."""
    long, short = SessionTimer(deadlines), SessionTimer(deadlines)
    long.call_later(600, pytest.fail, "too early")
    called = asyncio.get_running_loop().create_future()
    short.call_later(0.01, called.set_result, None)
    await called
    assert deadlines.wakes_at == long.moment
    deadlines.close()


async def test_the_timer_stops_when_nothing_runs(
    deadlines: Deadlines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wakes once for limits that were forgotten, and not again."""
    timers = Timers(monkeypatch)
    deadline = SessionTimer(deadlines)
    for _ in range(10):
        deadline.call_later(0.01, pytest.fail, "it was taken back").cancel()
    woke = asyncio.Event()
    # Behind the timer of ours, by the time that it is set for.
    asyncio.get_running_loop().call_later(0.02, woke.set)
    await woke.wait()
    assert deadlines.wakes_at == math.inf
    assert timers.pending() == 0


async def test_two_limits_at_once_are_both_kept(deadlines: Deadlines) -> None:
    """A session has one at a time; should a driver want another, the loop's own timer has it."""
    loop = asyncio.get_running_loop()
    deadline = SessionTimer(deadlines)
    first, second = loop.create_future(), loop.create_future()
    deadline.call_later(0.01, first.set_result, 1)
    other = deadline.call_later(0.02, second.set_result, 2)
    assert other is not deadline
    assert await first == 1
    assert await second == 2


async def test_a_call_that_fails_does_not_keep_the_others(deadlines: Deadlines) -> None:
    """The loop is told of the failure, and each of the other limits still ends."""
    loop = asyncio.get_running_loop()
    told: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: told.append(context))
    bad, good = SessionTimer(deadlines), SessionTimer(deadlines)
    called = loop.create_future()

    def fail(_: object) -> None:
        raise ValueError("broken")

    bad.call_later(0.01, fail, None)
    good.call_later(0.01, called.set_result, None)
    await called
    async with asyncio.timeout(20):
        while not told:  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(0)
    assert isinstance(told[0]["exception"], ValueError)


async def test_one_that_another_ended_is_not_called(deadlines: Deadlines) -> None:
    """Of two that are due at once, the first to be called may take the other one back."""
    loop = asyncio.get_running_loop()
    called: list[int] = []
    done = loop.create_future()
    pair = [SessionTimer(deadlines), SessionTimer(deadlines)]

    def end(number: int) -> None:
        called.append(number)
        pair[1 - number].cancel()
        done.set_result(None)

    for number, deadline in enumerate(pair):
        deadline.call_later(0.01, end, number)
    # Late enough for both to be due in the same sweep.
    time.sleep(0.02)  # noqa: ASYNC251
    await done
    assert len(called) == 1


async def test_the_timer_keeps_no_request_alive(deadlines: Deadlines) -> None:
    """It runs in a context of its own, and not in that of the task that happened to set it."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    variable.set("a request")
    found = asyncio.get_running_loop().create_future()
    deadline = SessionTimer(deadlines)
    deadline.call_later(0.01, lambda _: found.set_result(variable.get()), None)
    assert await found == "none"


async def test_limits_of_lost_sessions_are_forgotten(deadlines: Deadlines) -> None:
    """Nothing has to be said when a session is thrown away."""
    SessionTimer(deadlines).call_later(0.01, pytest.fail, "nobody waits for it")
    gc.collect()
    woke = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, woke.set)
    await woke.wait()
    assert deadlines.wakes_at == math.inf


async def test_tasks_are_cancelled_at_their_moment(deadlines: Deadlines) -> None:
    """Each at its own, whatever order they came in; one that was taken back is not."""
    limits = TaskLimits(deadlines)
    ended: list[str] = []

    async def wait(name: str) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append(name)
            raise

    now = time.monotonic()
    tasks = {name: asyncio.create_task(wait(name)) for name in ("late", "soon", "never")}
    await asyncio.sleep(0)
    for name, seconds in (("late", 0.1), ("soon", 0.05), ("never", 0.02)):
        limits.add(tasks[name], now + seconds)
    assert limits.remove(tasks["never"])
    assert not limits.remove(tasks["never"])
    assert limits.moment == pytest.approx(now + 0.02)
    await asyncio.wait([tasks["late"], tasks["soon"]], timeout=20)
    assert ended == ["soon", "late"]
    assert time.monotonic() - now > 0.09
    assert not limits.remove(tasks["late"])
    assert limits.moment == deadlines.wakes_at == math.inf
    assert not tasks["never"].done()
    tasks["never"].cancel()


# --- of a pool ------------------------------------------------------------------------------------


async def test_statements_share_the_timer(
    pool: ConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred statements with a limit make one timer at most."""
    await pool.execute("SELECT 1")
    timers = Timers(monkeypatch)
    async with pool.acquire() as db:
        for number in range(50):
            assert await db.fetchval("SELECT $1 + 0", number) == number
            await db.execute("SELECT 1")
    assert len(timers.made) <= 1


async def test_many_statements_with_limits_of_their_own(
    any_database_url: str, make_pool: MakePool, settled: Settled
) -> None:
    """Those that are too slow end, each not before its time; the others get their answers."""
    pool = await make_pool(any_database_url, max_size=6)
    sql = slow_statement(pool)

    async def slow(limit: float) -> float:
        async with pool.acquire() as db:
            begin = time.monotonic()
            with pytest.raises(QueryTimeout):
                await db.fetch(sql, 1, timeout=limit)
            return time.monotonic() - begin

    async def quick(number: int) -> int:
        value: int = await pool.fetchval("SELECT $1 + 0", number, timeout=60)
        return value

    limits = (0.3, 0.05, 0.2, 0.1)
    passed, answers = await asyncio.gather(
        asyncio.gather(*map(slow, limits)), asyncio.gather(*map(quick, range(50)))
    )
    assert answers == list(range(50))
    for limit, time_passed in zip(limits, passed, strict=True):
        assert limit - 0.01 < time_passed < limit + 20
    await settled(pool)


async def test_cancelled_at_the_limit_is_cancelled(pool: ConnectionPool, settled: Settled) -> None:
    """Both in the same turn of the loop, in either order: the cancellation is not lost, and the
    pool is well."""
    sql = slow_statement(pool)
    for cancel_first in (True, False):
        started = asyncio.Event()

        async def ask(started: asyncio.Event = started) -> None:
            async with pool.acquire() as db:
                session = db.session
                started.set()
                await session.fetch(pool.statements.get(sql, (1,))[0], (1,), 0.05)

        task = asyncio.create_task(ask())
        await started.wait()
        deadlines = pool._sessions.driver.deadlines  # type: ignore[union-attr]
        async with asyncio.timeout(20):
            while deadlines.wakes_at == math.inf:  # noqa: ASYNC110 - nothing signals it
                await asyncio.sleep(0)
        time.sleep(0.06)  # noqa: ASYNC251 - the loop finds the limit passed when it goes on
        if cancel_first:
            task.cancel()
            deadlines._sweep()
        else:
            deadlines._sweep()
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
    await settled(pool)
    assert await pool.fetchval("SELECT 40 + $1", 2) == 42


async def test_random_limits_and_cancellations(
    any_database_url: str, make_pool: MakePool, settled: Settled
) -> None:
    """Statements that end, are cancelled and run into limits at about the same moments: each task
    ends by one of the three, every answer is that of its question, and all of the pool is there."""
    pool = await make_pool(any_database_url, max_size=4)
    sql = {
        "postgresql": "SELECT $1 + 0 AS n FROM (SELECT pg_sleep($2)) t",
        "mysql": "SELECT $1 + 0 AS n FROM (SELECT sleep($2)) t",
        "sqlite": "WITH t(n, s) AS (VALUES ($1 + 0, $2)) SELECT n FROM t",
    }[pool.statements.dialect]
    rng = random.Random(2)

    async def ask(number: int) -> None:
        async with pool.acquire() as db:
            limit = 0.0005 + rng.random() * 0.004
            with contextlib.suppress(QueryTimeout):
                found = await db.fetchval(sql, number, rng.random() * 0.004, timeout=limit)
                assert found == number

    async def one(number: int) -> None:
        task = asyncio.create_task(ask(number))
        if cancelled := rng.random() < 0.5:
            await asyncio.sleep(rng.random() * 0.006)
            task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            assert cancelled

    # MariaDB has 151 connections, may be slow to notice that one is gone, and loses one by each
    # statement that is interrupted.
    for start in range(0, 112 if pool.statements.dialect == "mysql" else 240, 8):
        await asyncio.gather(*(one(start + step) for step in range(8)))
    await settled(pool)
    assert await asyncio.gather(*(pool.fetchval("SELECT $1 + 0", n) for n in range(8))) == [
        *range(8)
    ]


async def test_a_limit_leaves_no_cancellation_behind(pool: ConnectionPool) -> None:
    """After `QueryTimeout` the task goes on as if nobody had ever cancelled it."""
    task = asyncio.current_task()
    assert task is not None
    with pytest.raises(QueryTimeout):
        await pool.fetch(slow_statement(pool), 1, timeout=0.05)
    assert task.cancelling() == 0
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await pool.fetch(slow_statement(pool), 1, timeout=60)
    assert task.cancelling() == 0


async def test_a_stopped_pool_has_no_timer(
    any_database_url: str, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it wakes the loop any more; started again, its limits hold again."""
    timers = Timers(monkeypatch)
    pool = await make_pool(any_database_url)
    await pool.execute("SELECT 1", timeout=600)
    await pool.stop()
    assert timers.pending() == 0
    await pool.start()
    with pytest.raises(QueryTimeout):
        await pool.fetch(slow_statement(pool), 1, timeout=0.05)


def test_each_event_loop_has_its_own_timer(any_database_url: str) -> None:
    """One after the other: what the first loop left behind does not keep the second from waking."""

    async def use() -> None:
        pool = ConnectionPool(any_database_url, connect_timeout=60.0)
        await pool.start()
        try:
            with pytest.raises(QueryTimeout):
                await pool.fetch(slow_statement(pool), 1, timeout=0.05)
        finally:
            await pool.stop()

    for _ in range(2):
        asyncio.run(use())


async def test_two_pools_in_one_loop(any_database_url: str, make_pool: MakePool) -> None:
    """Stopping one takes nothing from the limits of the other."""
    first, second = [await make_pool(any_database_url) for _ in range(2)]
    task = asyncio.create_task(second.fetch(slow_statement(second), 1, timeout=0.1))
    await first.execute("SELECT 1")
    await first.stop()
    with pytest.raises(QueryTimeout):
        await task
    with pytest.raises(LifecycleError):
        await first.execute("SELECT 1")
