"""Waiting for a connection: in order, each until its own limit, with one timer for all."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import math
import time
import weakref
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
from tests.db.test_deadlines import Timers

from sanic_ms.db import ConnectionPool
from sanic_ms.db.base import Session
from sanic_ms.db.deadlines import Deadlines, SessionTimer
from sanic_ms.db.sessions import Sessions
from sanic_ms.db.waiters import Waiters
from sanic_ms.exception import LifecycleError, PoolExhausted

MakePool = Callable[..., Awaitable[ConnectionPool]]
Settled = Callable[[ConnectionPool], Awaitable[None]]

SESSION = cast(Session, object())


@pytest.fixture
async def deadlines() -> Deadlines:
    """Of the test's own event loop."""
    return Deadlines(asyncio.get_running_loop())


@pytest.fixture
async def waiters(deadlines: Deadlines) -> Waiters:
    """Nobody yet."""
    return Waiters(deadlines)


# --- the queue ------------------------------------------------------------------------------------


async def test_each_place_ends_at_its_own_moment(waiters: Waiters, deadlines: Deadlines) -> None:
    """Not before it, whichever was taken first; the timer is then set for exactly the next."""
    begin = time.monotonic()
    long, late, soon = (waiters.join(begin + limit) for limit in (600.0, 0.06, 0.02))
    assert deadlines.wakes_at == soon[0]
    assert await soon[1] is None
    assert time.monotonic() > begin + 0.02 - 0.002
    assert not late[1].done()
    assert deadlines.wakes_at == waiters.moment == late[0]
    assert await late[1] is None
    assert time.monotonic() > begin + 0.06 - 0.002
    assert not long[1].done()
    assert deadlines.wakes_at == waiters.moment == long[0]
    assert list(waiters.queue) == [long]
    deadlines.close()


async def test_served_in_order(waiters: Waiters, deadlines: Deadlines) -> None:
    """Limits change nothing in it; who has given up is passed over."""
    begin = time.monotonic()
    first, gone, second = (waiters.join(begin + limit) for limit in (600.0, 300.0, 60.0))
    gone[1].cancel()
    assert waiters.count() == 2
    assert waiters.serve(SESSION)
    assert (first[1].done(), second[1].done()) == (True, False)
    assert waiters.serve(SESSION)
    assert await second[1] is SESSION
    assert not waiters.serve(SESSION)
    deadlines.close()


async def test_the_timer_wakes_once_for_those_who_were_served(
    waiters: Waiters, deadlines: Deadlines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One timer for all of them, and none when nobody waits any more."""
    timers = Timers(monkeypatch)
    for _ in range(100):
        waiters.join(time.monotonic() + 0.01)
        waiters.serve(SESSION)
    assert len(timers.made) == 1
    woke = asyncio.Event()
    # Behind the timer of ours, by the time that it is set for.
    asyncio.get_running_loop().call_later(0.02, woke.set)
    await woke.wait()
    assert deadlines.wakes_at == waiters.moment == math.inf
    assert timers.pending() == 0


async def test_places_and_statements_share_a_timer(waiters: Waiters, deadlines: Deadlines) -> None:
    """Whichever is due first sets it, and it is then set for the other."""
    statement = SessionTimer(deadlines)
    called = asyncio.get_running_loop().create_future()
    statement.call_later(0.04, called.set_result, None)
    place = waiters.join(time.monotonic() + 0.01)
    assert deadlines.wakes_at == place[0]
    assert await place[1] is None
    assert deadlines.wakes_at == statement.moment
    place = waiters.join(time.monotonic() + 600)
    await called
    assert deadlines.wakes_at == place[0]
    deadlines.close()


async def test_a_closed_timer_is_set_anew(waiters: Waiters, deadlines: Deadlines) -> None:
    """Also for a moment after one that was noted before."""
    waiters.join(time.monotonic() + 0.01)
    deadlines.close()
    assert await waiters.join(time.monotonic() + 0.02)[1] is None


async def test_an_endless_limit_sets_no_timer(waiters: Waiters, deadlines: Deadlines) -> None:
    """Whoever waits with ``math.inf`` waits for a session alone."""
    waiters.join(math.inf)
    assert deadlines.wakes_at == waiters.moment == math.inf


async def test_who_gave_up_is_forgotten(waiters: Waiters, deadlines: Deadlines) -> None:
    """At once when it says so, else at the next look."""
    place = waiters.join(time.monotonic() + 600)
    forgotten = weakref.ref(place[1])
    place[1].cancel()
    assert waiters.leave(place) is None
    assert waiters.leave(place) is None
    assert not waiters.queue
    del place
    gc.collect()
    assert forgotten() is None
    waiters.join(time.monotonic() + 0.01)[1].cancel()
    waiters.expire(math.inf)
    assert not waiters.queue
    assert waiters.moment == math.inf
    deadlines.close()


async def test_the_timer_knows_no_request(waiters: Waiters) -> None:
    """It runs in a context of its own, so that it keeps nothing of who set it alive."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    variable.set("a request")
    found: list[str] = []
    place = waiters.join(time.monotonic() + 0.01)
    expire = Waiters.expire

    def seen(self: Waiters, now: float) -> None:
        found.append(variable.get())
        expire(self, now)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Waiters, "expire", seen)
        await place[1]
    assert found == ["none"]


# --- of a pool ------------------------------------------------------------------------------------


def lending(pool: ConnectionPool) -> Sessions:
    """What a running pool lends from."""
    assert pool.lending is not None
    return pool.lending


async def waiting(pool: ConnectionPool, count: int) -> None:
    """Until so many callers wait."""
    async with asyncio.timeout(20):
        while pool.stats().waiting < count:  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(0)


async def enter(pool: ConnectionPool, timeout: float) -> float:
    """Acquire and release; gives the seconds that passed."""
    begin = time.monotonic()
    try:
        async with pool.acquire(timeout=timeout):
            pass
    except PoolExhausted as exc:
        assert f"within {timeout:g} s" in str(exc)  # noqa: PT017
        return time.monotonic() - begin
    return 0.0


async def test_callers_with_different_limits(any_database_url: str, make_pool: MakePool) -> None:
    """Each is told of its own one, at its time; who has more of it gets the connection."""
    pool = await make_pool(any_database_url, max_size=1)
    limits = (0.08, 0.02, 60.0, 0.05)
    async with pool.acquire():
        tasks = [asyncio.create_task(enter(pool, limit)) for limit in limits]
        passed = [await tasks[number] for number in (1, 3, 0)]
        assert not tasks[2].done()
    assert await tasks[2] == 0.0
    for limit, seconds in zip((0.02, 0.05, 0.08), passed, strict=True):
        assert limit - 0.002 < seconds < limit + 20


async def test_callers_share_a_timer(
    any_database_url: str, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of a hundred sets it, the others set none; all are served."""
    pool = await make_pool(any_database_url, max_size=1)
    async with pool.acquire():
        tasks = [asyncio.create_task(enter(pool, 60))]
        await waiting(pool, 1)
        timers = Timers(monkeypatch)
        tasks += [asyncio.create_task(enter(pool, 60)) for _ in range(99)]
        await asyncio.sleep(0)  # they begin
        assert pool.stats().waiting == 100
        assert not timers.made
    assert await asyncio.gather(*tasks) == [0.0] * 100


async def test_a_loop_that_was_blocked_past_the_limit(
    any_database_url: str, make_pool: MakePool
) -> None:
    """What came back meanwhile is still handed over; who got nothing is told."""
    pool = await make_pool(any_database_url, max_size=1)
    held = await pool.acquire()
    tasks = [asyncio.create_task(enter(pool, 0.02)) for _ in range(3)]
    await waiting(pool, 3)
    time.sleep(0.04)  # noqa: ASYNC251
    session = held.session
    held.give_back()
    assert lending(pool).stats() == (1, 0, 2)
    passed = await asyncio.gather(*tasks)
    assert passed[0] == 0.0
    assert lending(pool).idle == [session]


async def test_cancelled_at_the_limit(
    any_database_url: str, make_pool: MakePool, settled: Settled
) -> None:
    """Both in the same turn of the loop, in either order: it is cancelled, and the connection is
    the next one's."""
    pool = await make_pool(any_database_url, max_size=1)
    for cancel_first in (True, False):
        async with pool.acquire():
            task = asyncio.create_task(enter(pool, 0.02))
            other = asyncio.create_task(enter(pool, 60))
            await waiting(pool, 2)
            time.sleep(0.03)  # noqa: ASYNC251 - the loop finds the limit passed when it goes on
            if cancel_first:
                task.cancel()
            lending(pool).driver.deadlines._sweep()
            if not cancel_first:
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert pool.stats().waiting == 1
        assert await other == 0.0
        assert not lending(pool).waiters.queue
    await settled(pool)


async def test_a_caller_who_is_cancelled_leaves_nothing(
    any_database_url: str, make_pool: MakePool
) -> None:
    """Neither a place nor what its task held."""

    class Held:
        pass

    pool = await make_pool(any_database_url, max_size=1)

    async def wait(held: Held) -> None:
        await enter(pool, 600)
        del held

    async with pool.acquire():
        held = Held()
        forgotten = weakref.ref(held)
        task = asyncio.create_task(wait(held))
        del held
        await waiting(pool, 1)
        task.cancel()
        await asyncio.wait([task])
        del task
        assert not lending(pool).waiters.queue
        gc.collect()
        assert forgotten() is None


async def test_a_stop_leaves_no_timer_for_those_who_waited(
    any_database_url: str, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are refused, nothing of the pool wakes the loop any more; started again, limits hold."""
    timers = Timers(monkeypatch)
    pool = await make_pool(any_database_url, max_size=1)
    async with pool.acquire():
        task = asyncio.create_task(enter(pool, 600))
        await waiting(pool, 1)
        stopping = asyncio.create_task(pool.stop())
        with pytest.raises(LifecycleError, match="stopping"):
            await task
    await stopping
    assert timers.pending() == 0
    await pool.start()
    async with pool.acquire():
        assert await enter(pool, 0.01) > 0.005
