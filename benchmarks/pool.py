"""What the pool costs beyond the driver under it.

Measures one request's worth of database work, one row by its key, done in each of these ways:

PostgreSQL  raw          one asyncpg connection, held for ever: ``fetchrow``, then a dict
            asyncpg.Pool ``async with pool.acquire()``, ``fetchrow``, then a dict
            ours         ``async with pool.acquire()``, ``fetchrow``
SQLite      raw          one sqlite3 connection, on the event loop: nothing of asyncio at all
            executor     the same through ``run_in_executor`` (what aiosqlite and its kin do)
            thread       ours with ``inline_reads=0``: a trip to our own thread
            ours         ours as it is by default

The ways take turns in rounds of random order, one task at a time, and the medians over the rounds
are compared: a machine that is busy slows all of them alike. Both the time that passes and the
processor time of this process are shown; the database server's is in the former alone.

Bias: one client task, a server on the same machine, a tiny row. A real network makes every ratio
smaller, and a round trip more (asyncpg.Pool's reset) larger.

Usage: python benchmarks/pool.py [--rounds 15] [--calls 500] [postgresql://…]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import uvloop

from sanic_ms.db import ConnectionPool

Way = Callable[[], Awaitable[Any]]

POSTGRES = "postgresql://postgres@127.0.0.1:5432/postgres"
QUERY = "SELECT id, name, age, city_id FROM (VALUES (1, 'ann', 30, 5)) AS t(id, name, age, city_id)"
POSTGRES_QUERY = f"{QUERY} WHERE id = $1"
SQLITE_TABLE = (
    "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, age INTEGER, city_id INTEGER)"
)
SQLITE_QUERY = "SELECT * FROM users WHERE id = ?"


async def main() -> None:
    """Run both comparisons and print their tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("url", nargs="?", default=POSTGRES)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=500)
    options = parser.parse_args()
    async with contextlib.AsyncExitStack() as stack:
        ways = await sqlite_ways(stack)
        report("SQLite", await measure(ways, options.rounds, options.calls))
        try:
            ways = await postgres_ways(stack, options.url)
        except OSError as exc:
            sys.exit(f"PostgreSQL at {options.url} does not answer: {exc}")
        report("PostgreSQL", await measure(ways, options.rounds, options.calls))


async def postgres_ways(stack: contextlib.AsyncExitStack, url: str) -> dict[str, Way]:
    """The ways for PostgreSQL, ready to be called."""
    raw = await asyncpg.connect(url)
    stack.push_async_callback(raw.close)
    theirs = await stack.enter_async_context(asyncpg.create_pool(url, min_size=1, max_size=10))
    ours = ConnectionPool(url, max_size=10)
    await ours.start()
    stack.push_async_callback(ours.stop)

    async def with_raw() -> dict[str, Any]:
        return dict(await raw.fetchrow(POSTGRES_QUERY, 1))

    async def with_raw_timeout() -> dict[str, Any]:
        return dict(await raw.fetchrow(POSTGRES_QUERY, 1, timeout=30))

    async def with_theirs() -> dict[str, Any]:
        async with theirs.acquire() as connection:
            return dict(await connection.fetchrow(POSTGRES_QUERY, 1))

    async def with_ours() -> dict[str, Any] | None:
        async with ours.acquire() as connection:
            return await connection.fetchrow(POSTGRES_QUERY, 1)

    async def with_ours_no_timeout() -> dict[str, Any] | None:
        async with ours.acquire() as connection:
            return await connection.fetchrow(POSTGRES_QUERY, 1, timeout=float("inf"))

    return {
        "raw": with_raw,
        "raw, timeout 30 s": with_raw_timeout,
        "asyncpg.Pool": with_theirs,
        "ours, no timeout": with_ours_no_timeout,
        "ours (timeout 30 s)": with_ours,
    }


async def sqlite_ways(stack: contextlib.AsyncExitStack) -> dict[str, Way]:
    """The ways for SQLite, ready to be called."""
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    path = f"{folder}/bench.db"
    raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    stack.callback(raw.close)
    raw.execute("PRAGMA journal_mode = wal")
    raw.execute(SQLITE_TABLE)
    raw.executemany("INSERT INTO users VALUES (?, 'ann', 30, 5)", [(n,) for n in range(1000)])
    executor = stack.enter_context(ThreadPoolExecutor(1))
    loop = asyncio.get_running_loop()
    ours = ConnectionPool(f"sqlite:///{path}")
    threaded = ConnectionPool(f"sqlite:///{path}?inline_reads=0")
    for pool in (ours, threaded):
        await pool.start()
        stack.push_async_callback(pool.stop)

    def read() -> dict[str, Any]:
        cursor = raw.execute(SQLITE_QUERY, (1,))
        return dict(
            zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True)
        )

    async def with_raw() -> dict[str, Any]:
        return read()

    async def with_executor() -> dict[str, Any]:
        return await loop.run_in_executor(executor, read)

    async def with_thread() -> dict[str, Any] | None:
        async with threaded.acquire() as connection:
            return await connection.fetchrow("SELECT * FROM users WHERE id = $1", 1)

    async def with_ours() -> dict[str, Any] | None:
        async with ours.acquire() as connection:
            return await connection.fetchrow("SELECT * FROM users WHERE id = $1", 1)

    return {
        "raw": with_raw,
        "executor": with_executor,
        "thread": with_thread,
        "ours": with_ours,
    }


async def measure(ways: dict[str, Way], rounds: int, calls: int) -> dict[str, tuple[float, float]]:
    """Median microseconds a call for each way: time passed, and processor time."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    names = list(ways)
    for _ in range(rounds):
        random.shuffle(names)
        for name in names:
            way = ways[name]
            await way()
            passed, worked = time.perf_counter(), time.process_time()
            for _ in range(calls):
                await way()
            passed, worked = time.perf_counter() - passed, time.process_time() - worked
            found[name].append((passed / calls * 1e6, worked / calls * 1e6))
    return {
        name: (
            statistics.median(pair[0] for pair in pairs),
            statistics.median(pair[1] for pair in pairs),
        )
        for name, pairs in found.items()
    }


def report(title: str, medians: dict[str, tuple[float, float]]) -> None:
    """Print a table: microseconds a call, and how many times those of the raw driver."""
    base = medians["raw"]
    lines = [f"{title:<22} {'passed µs':>10} {'ratio':>7} {'cpu µs':>9} {'ratio':>7}"]
    lines += [
        f"{name:<22} {passed:>10.1f} {passed / base[0]:>7.2f} {cpu:>9.1f} {cpu / base[1]:>7.2f}"
        for name, (passed, cpu) in medians.items()
    ]
    sys.stdout.write("\n".join(lines) + "\n\n")


if __name__ == "__main__":
    uvloop.run(main())
