"""What it costs that no state of a session reaches the next request.

Measures one row by its key on PostgreSQL, with 16 callers and a pool of 4 connections:

pool        ``pool.fetchrow``: a proven plain read, pipelined
acquire     ``async with pool.acquire()``, ``fetchrow``: proven, no reset
local       ``async with pool.transaction()``, ``set_config(…, true)``, ``fetchrow``
settings    ``acquire`` with SESSION_SETTINGS, which go with the statement
function    ``acquire`` with ``SELECT set_tenant($1)`` before: not proven, a reset for each request

The ways take turns in rounds; the medians over the rounds are shown in requests a second. Bias: the
database on the same machine, so that a round trip, and with it a reset, is cheap.

Usage: python -m benchmarks.sessions [--rounds 7] [--seconds 1] [postgresql://…]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from sanic_ms.context import current_request
from sanic_ms.db import ConnectionPool

CALLERS = 16
SQL = "SELECT id, name FROM bench_sessions WHERE id = $1"
SETUP = """
DROP TABLE IF EXISTS bench_sessions;
CREATE TABLE bench_sessions (id int PRIMARY KEY, name text);
INSERT INTO bench_sessions SELECT n, 'name ' || n FROM generate_series(1, 1000) n;
CREATE OR REPLACE FUNCTION bench_set_tenant(t text) RETURNS text LANGUAGE sql
    AS $$ SELECT set_config('app.tenant', t, false) $$
"""

Way = Callable[[int], Awaitable[Any]]


async def rate(way: Way, seconds: float) -> float:
    """Calls a second of all callers."""
    until = time.perf_counter() + seconds

    async def call() -> int:
        count = 0
        while time.perf_counter() < until:
            await way(count % 1000 + 1)
            count += 1
        return count

    started = time.perf_counter()
    counts = await asyncio.gather(*(call() for _ in range(CALLERS)))
    return sum(counts) / (time.perf_counter() - started)


async def measure(url: str, rounds: int, seconds: float) -> None:
    """Run all ways in turn and print their medians."""
    pool = ConnectionPool(url, max_size=4)
    await pool.start()
    await pool.execute(SETUP)
    ways: dict[str, Way] = {"pool": lambda key: pool.fetchrow(SQL, key)}

    async def acquire(key: int) -> None:
        async with pool.acquire() as connection:
            await connection.fetchrow(SQL, key)

    async def local(key: int) -> None:
        async with pool.transaction() as connection:
            await connection.fetchval("SELECT set_config('app.tenant', $1, true)", "a")
            await connection.fetchrow(SQL, key)

    async def function(key: int) -> None:
        async with pool.acquire() as connection:
            await connection.fetchval("SELECT bench_set_tenant($1)", "a")
            await connection.fetchrow(SQL, key)

    ways |= {"acquire": acquire, "local": local, "function": function}
    pools = [pool]
    if "session_settings" in (ConnectionPool.__init__.__kwdefaults__ or {}):
        tenants = ConnectionPool(
            url, max_size=4, session_settings=lambda request: {"app.tenant": "a"}
        )
        await tenants.start()
        pools.append(tenants)

        async def settings(key: int) -> None:
            async with tenants.acquire() as connection:
                await connection.fetchrow(SQL, key)

        ways["settings"] = settings
    request: Any = object()
    current_request.set(request)
    for way in ways.values():
        await rate(way, 0.3)  # statements are prepared, and proven
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            rates[name].append(await rate(way, seconds))
    for name, values in rates.items():
        sys.stdout.write(f"{name:10} {statistics.median(values):8.0f} a second\n")
    await pool.execute("DROP TABLE bench_sessions; DROP FUNCTION bench_set_tenant")
    for each in pools:
        await each.stop()


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("url", nargs="?", default="postgresql://postgres@127.0.0.1/postgres")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    uvloop.run(measure(options.url, options.rounds, options.seconds))


if __name__ == "__main__":
    main()
