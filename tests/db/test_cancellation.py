"""Statements that are cancelled or take too long: nothing leaks and no answers are mixed up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import Awaitable, Callable

import pytest

from sanic_ms.db import ConnectionPool
from sanic_ms.exception import DatabaseUnavailable, PoolExhausted, QueryTimeout

MakePool = Callable[..., Awaitable[ConnectionPool]]
Settled = Callable[[ConnectionPool], Awaitable[None]]

# The full number is 100,000: SANIC_MS_CANCELLATIONS=100000.
CANCELLATIONS = int(os.environ.get("SANIC_MS_CANCELLATIONS", "1500"))


def slow_statement(pool: ConnectionPool) -> str:
    """A statement that takes a minute, or for ever."""
    return {
        "postgresql": "SELECT pg_sleep(60), $1 + 0 AS n",
        "mysql": "SELECT sleep(60), $1 + 0 AS n",
        "sqlite": "WITH RECURSIVE c(n) AS (SELECT $1 UNION ALL SELECT n + 1 FROM c WHERE n < "
        "500000000) SELECT max(n) FROM c",
    }[pool.statements.dialect]


async def test_a_statement_times_out(pool: ConnectionPool, settled: Settled) -> None:
    """504, at its time, and the pool has a good connection at once."""
    begin = time.monotonic()
    with pytest.raises(QueryTimeout) as caught:
        await pool.fetch(slow_statement(pool), 1, timeout=0.1)
    assert 0.05 < time.monotonic() - begin < 30
    assert caught.value.status == 504
    assert await pool.fetchval("SELECT 40 + $1", 2) == 42
    await settled(pool)


async def test_the_timeout_of_the_pool(any_database_url: str, make_pool: MakePool) -> None:
    """It holds for every statement that brings none of its own."""
    pool = await make_pool(any_database_url, statement_timeout=0.1)
    with pytest.raises(QueryTimeout):
        await pool.fetchrow(slow_statement(pool), 1)
    with pytest.raises(QueryTimeout):
        await pool.execute(slow_statement(pool), 1)
    assert await pool.fetchval("SELECT 40 + $1", 2, timeout=60) == 42


async def test_a_select_that_is_long_does_not_hold_up_the_loop(
    pool: ConnectionPool, settled: Settled
) -> None:
    """Other tasks go on while it runs: also on SQLite, which begins it on the event loop."""
    sql = slow_statement(pool)
    if pool.statements.dialect == "sqlite":
        sql = f"SELECT * FROM ({sql})"
    turns = 0

    async def watch() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    watcher = asyncio.create_task(watch())
    with pytest.raises(QueryTimeout):
        await pool.fetch(sql, 1, timeout=0.5)
    watcher.cancel()
    # A statement that kept the loop would leave it only the turns before and behind it.
    assert turns > 100
    await settled(pool)


async def test_cancelled_in_the_middle_of_a_statement(
    pool: ConnectionPool, settled: Settled
) -> None:
    """The cancellation passes at once, and the database stops working for nobody."""
    task = asyncio.create_task(pool.fetch(slow_statement(pool), 1))
    await asyncio.sleep(0.1)
    begin = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - begin < 20
    await settled(pool)
    assert time.monotonic() - begin < 40
    if pool.statements.dialect == "mysql":
        running = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'SELECT sl%'"
    elif pool.statements.dialect == "postgresql":
        running = (
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE "
            "'SELECT pg_sleep(60), $1%' AND datname = current_database()"
        )
    else:
        running = "SELECT 0"
    async with asyncio.timeout(20):
        while await pool.fetchval(running):  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(0.01)


async def test_a_connection_goes_on_after_a_timeout(pool: ConnectionPool, settled: Settled) -> None:
    """In the same block: PostgreSQL and SQLite reset it, MySQL has to close it and says so."""
    async with pool.acquire() as db:
        with pytest.raises(QueryTimeout):
            await db.fetch(slow_statement(pool), 1, timeout=0.05)
        if pool.statements.dialect == "mysql":
            with pytest.raises(DatabaseUnavailable):
                await db.fetchval("SELECT 40 + $1", 2)
        else:
            assert await db.fetchval("SELECT 40 + $1", 2) == 42
    await settled(pool)


async def test_random_cancellations(
    any_database_url: str, make_pool: MakePool, settled: Settled
) -> None:
    """Statements, transactions and waits cancelled at random moments: no connection is lost, every
    answer is that of its question, and afterwards all of the pool is there."""
    pool = await make_pool(any_database_url, max_size=8, acquire_timeout=60.0)
    rng = random.Random(1)
    cancelled = answered = 0

    async def ask(number: int) -> None:
        nonlocal answered
        async with pool.acquire() as db:
            assert await db.fetchval("SELECT $1 + 0", number) == number
            row = await db.fetchrow("SELECT $1 + 0 AS a, $2 + 0 AS b", number, number + 1)
            assert row == {"a": number, "b": number + 1}
        answered += 1

    async def transact(number: int) -> None:
        nonlocal answered
        async with pool.transaction() as db:
            assert await db.fetchval("SELECT $1 + 0", number) == number
        answered += 1

    async def one(number: int) -> None:
        nonlocal cancelled
        work = ask if rng.random() < 0.8 else transact
        task = asyncio.create_task(work(number))
        for _ in range(rng.randrange(6)):
            await asyncio.sleep(0)
        if rng.random() < 0.5:
            await asyncio.sleep(rng.random() * 0.003)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            cancelled += 1

    number = 0
    while cancelled < CANCELLATIONS:
        await asyncio.gather(*(one(number + step) for step in range(16)))
        number += 16
    await settled(pool)
    assert pool.stats().waiting == 0
    assert pool.stats().size <= 8
    assert answered + cancelled == number
    # All of the pool can be had at once, and answers rightly.
    async with contextlib.AsyncExitStack() as stack:
        lent = [await stack.enter_async_context(pool.acquire(timeout=60)) for _ in range(8)]
        for index, db in enumerate(lent):
            assert await db.fetchval("SELECT $1 + 0", index) == index
        with pytest.raises(PoolExhausted):
            async with pool.acquire(timeout=0.01):
                pass


if CANCELLATIONS > 10_000:
    test_random_cancellations = pytest.mark.timeout(3600)(test_random_cancellations)
