"""Large results a part at a time: constant memory, on every database."""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import Awaitable, Callable

import pytest

from sanic_ms.db import ConnectionPool
from sanic_ms.exception import LifecycleError, QueryTimeout, StatementError

Settled = Callable[[ConnectionPool], Awaitable[None]]


def numbers(pool: ConnectionPool, count: int) -> str:
    """A statement of ``count`` rows, made by the database itself."""
    return {
        "postgresql": f"SELECT n, repeat('x', 500) AS pad FROM generate_series(1, {count}) AS n",
        "sqlite": "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < "
        f"{count}) SELECT n, '{'x' * 500}' AS pad FROM c",
        "mysql": f"SELECT seq AS n, repeat('x', 500) AS pad FROM seq_1_to_{count}",
    }[pool.statements.dialect]


async def test_a_large_result_in_constant_memory(pool: ConnectionPool) -> None:
    """About 150 MB as dicts pass, and the process grows by next to nothing."""
    scale = 1 if sys.platform == "darwin" else 1024
    count = total = 0
    peak_before = 0
    async for row in pool.iterate(numbers(pool, 200_000), prefetch=1000):
        count += 1
        total += row["n"]
        if count == 10_000:
            peak_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale - peak_before
    assert (count, total) == (200_000, 20_000_100_000)
    assert grown < 32 * 1024 * 1024


@pytest.mark.parametrize("prefetch", [1, 3, 10, 11, 500])
async def test_every_row_once(pool: ConnectionPool, prefetch: int) -> None:
    """Whatever is fetched at a time, each row comes once and in its order."""
    found = [row["n"] async for row in pool.iterate(numbers(pool, 10), prefetch=prefetch)]
    assert found == list(range(1, 11))


async def test_no_rows(pool: ConnectionPool, table: str) -> None:
    """An empty result ends at once, and so does a statement that has none."""
    assert [row async for row in pool.iterate(f"SELECT * FROM {table}")] == []
    assert [row async for row in pool.iterate(f"INSERT INTO {table} VALUES (1, 'a')")] == []
    assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 1


async def test_a_wrong_prefetch(pool: ConnectionPool) -> None:
    """At least one row at a time."""
    with pytest.raises(ValueError, match="prefetch=0"):
        pool.iterate("SELECT 1", prefetch=0)


async def test_break_gives_the_connection_back(pool: ConnectionPool, settled: Settled) -> None:
    """A loop that is left early needs no care, on the pool and on a connection."""
    for _ in range(10):
        async for row in pool.iterate(numbers(pool, 20_000)):
            assert row["n"] == 1
            break
    await settled(pool)
    assert pool.stats().size <= 4
    async with pool.acquire() as db:
        for _ in range(3):
            async for _row in db.iterate(numbers(pool, 20_000)):
                break
        assert await db.fetchval("SELECT 1") == 1


async def test_writes_after_break_are_kept(
    pool: ConnectionPool, table: str, settled: Settled
) -> None:
    """What PostgreSQL needs a transaction for must not swallow what comes after it."""
    async with pool.acquire() as db:
        async for _row in db.iterate(numbers(pool, 20_000)):
            break
        await db.execute(f"INSERT INTO {table} VALUES (1, 'a')")
    await settled(pool)
    assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 1


async def test_closing_early(pool: ConnectionPool, settled: Settled) -> None:
    """By aclose, twice, or by the end of an ``async with``; nothing comes after it."""
    rows = pool.iterate(numbers(pool, 1000))
    assert (await anext(rows))["n"] == 1
    await rows.aclose()
    await rows.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(rows)
    async with pool.iterate(numbers(pool, 1000)) as rows:
        assert (await anext(rows))["n"] == 1
    unused = pool.iterate("SELECT 1")
    await unused.aclose()
    await settled(pool)
    assert pool.stats().idle == pool.stats().size


async def test_statements_in_between(pool: ConnectionPool, table: str) -> None:
    """Inside of a transaction they may run; outside of one they are refused, with the reason."""
    async with pool.transaction() as db:
        async for row in db.iterate(numbers(pool, 1200), prefetch=500):
            if row["n"] % 100 == 0:
                await db.execute(f"INSERT INTO {table} VALUES ($1, 'x')", row["n"])
        assert await db.fetchval(f"SELECT count(*) FROM {table}") == 12
    async with pool.acquire() as db:
        rows = db.iterate(numbers(pool, 1200))
        await anext(rows)
        with pytest.raises(LifecycleError, match="iterate"):
            await db.fetchval("SELECT 1")
        with pytest.raises(LifecycleError, match="iterate"):
            await db.transaction().begin()
        assert len([row async for row in rows]) == 1199
        assert await db.fetchval("SELECT 1") == 1


async def test_two_iterations_in_one_transaction(pool: ConnectionPool) -> None:
    """Each keeps its own place."""
    async with pool.transaction() as db:
        first = db.iterate(numbers(pool, 30), prefetch=7)
        second = db.iterate(numbers(pool, 30), prefetch=5)
        pairs = [(row["n"], (await anext(second))["n"]) async for row in first]
    assert pairs == [(n, n) for n in range(1, 31)]


async def test_an_iteration_ends_with_its_transaction(pool: ConnectionPool) -> None:
    """After the commit it says so."""
    async with pool.acquire() as db:
        async with db.transaction():
            rows = db.iterate(numbers(pool, 30), prefetch=5)
            for _ in range(5):
                await anext(rows)
        with pytest.raises(LifecycleError, match="ended with the transaction"):
            await anext(rows)
        assert await db.fetchval("SELECT 1") == 1


async def test_an_error_in_the_middle(pool: ConnectionPool) -> None:
    """It is raised where it happens, and the connection is good again."""
    with pytest.raises(StatementError):
        async for _row in pool.iterate("SELECT * FROM no_such_table"):
            pass
    with pytest.raises(StatementError, match="takes 1 argument"):
        await anext(pool.iterate("SELECT $1"))
    assert await pool.fetchval("SELECT 1") == 1


async def test_cancelled_in_the_middle(pool: ConnectionPool, settled: Settled) -> None:
    """The connection comes back, and its next user gets his own answers."""
    for delay in (0.0, 0.001, 0.005, 0.02):

        async def read() -> None:
            async for _row in pool.iterate(numbers(pool, 200_000), prefetch=200):
                pass

        task = asyncio.create_task(read())
        await asyncio.sleep(delay)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await pool.fetchval("SELECT 41 + $1", 1) == 42
    await settled(pool)


async def test_a_slow_part_times_out(pool: ConnectionPool, settled: Settled) -> None:
    """The timeout is that of each fetch."""
    slow = {
        "postgresql": "SELECT pg_sleep(60)",
        "mysql": "SELECT sleep(60)",
        "sqlite": "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < "
        "500000000) SELECT max(n) FROM c",
    }[pool.statements.dialect]
    with pytest.raises(QueryTimeout):
        await anext(pool.iterate(slow, timeout=0.05))
    assert await pool.fetchval("SELECT 1") == 1
    await settled(pool)
