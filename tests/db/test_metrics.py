"""What metrics show of a pool."""

from __future__ import annotations

import asyncio

import pytest

from sanic_ms.db import ConnectionPool
from sanic_ms.exception import DatabaseError, LifecycleError, PoolExhausted
from sanic_ms.telemetry.metrics import Registry


def shown(registry: Registry, name: str) -> dict[tuple[str, ...], float]:
    """A gauge's values, or a histogram's counts, by label values without the pool's name."""
    registry.sample()
    for family in registry.families():
        if family.definition.name == name:
            counts = family.definition.kind == "histogram"
            return {
                labels[1:]: sum(numbers[:-1]) if counts else numbers[0]
                for labels, numbers in family.cells.items()
            }
    return {}


async def test_connections_are_read_from_the_pool(any_database_url: str) -> None:
    """Open, idle, used and the most: at each sample, for each pool by its name."""
    registry = Registry()
    pool = ConnectionPool(any_database_url, max_size=3)
    pool.measure(registry)
    pool.measure(registry)
    assert shown(registry, "db_pool_connections") == {("idle",): 0, ("used",): 0}
    await pool.start()
    try:
        async with pool.acquire():
            assert shown(registry, "db_pool_connections") == {("idle",): 0, ("used",): 1}
        assert shown(registry, "db_pool_connections") == {("idle",): 1, ("used",): 0}
        assert shown(registry, "db_pool_max_connections") == {(): 3}
        with pytest.raises(LifecycleError, match="has started already"):
            pool.measure(registry)
    finally:
        await pool.stop()


async def test_waiting_is_counted_in_vain_or_not(sqlite_url: str) -> None:
    """Who finds an idle connection does not wait; all others are timed."""
    registry = Registry()
    pool = ConnectionPool(sqlite_url, max_size=1)
    pool.measure(registry)
    await pool.start()
    try:
        async with pool.acquire():
            waiting = asyncio.create_task(pool.fetchval("SELECT 1"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert shown(registry, "db_pool_waiting") == {(): 1}
            with pytest.raises(PoolExhausted):
                await pool.acquire(timeout=0.001)
        assert await waiting == 1
        assert shown(registry, "db_pool_waiting") == {(): 0}
        assert shown(registry, "db_pool_wait_seconds") == {(): 2}
    finally:
        await pool.stop()


async def test_statements_are_timed_by_their_first_word(any_database_url: str) -> None:
    """Those that fail too, and transactions; a word that is no SQL is other."""
    registry = Registry()
    pool = ConnectionPool(any_database_url)
    pool.measure(registry)
    await pool.start()
    try:
        async with pool.transaction() as connection:
            assert await connection.fetchval("select 1") == 1
            assert await connection.fetch("/* why */ SELECT 2 AS n") == [{"n": 2}]
        with pytest.raises(DatabaseError):
            await pool.execute("SELEKT 1")
        found = shown(registry, "db_query_duration_seconds")
        assert found == {
            ("BEGIN", "ok"): 1,
            ("SELECT", "ok"): 2,
            ("COMMIT", "ok"): 1,
            ("other", "error"): 1,
        }
    finally:
        await pool.stop()


async def test_a_cancelled_statement_is_counted_as_cancelled(postgres_url: str) -> None:
    """And not as an error of the database."""
    registry = Registry()
    pool = ConnectionPool(postgres_url)
    pool.measure(registry)
    await pool.start()
    try:
        async with pool.acquire() as connection:  # opening one is not what is timed
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await connection.fetchval("SELECT pg_sleep(60)")
        assert shown(registry, "db_query_duration_seconds") == {("SELECT", "cancelled"): 1}
    finally:
        await pool.stop()
