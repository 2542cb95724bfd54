"""What a repository costs above the pool under it, and what a page far down a list costs.

Measures, on SQLite in memory and on PostgreSQL, one call at a time:

get       ``pool.fetchrow`` with the same text, `Repository.get`, and that with a Struct for rows
create    ``pool.fetchrow("INSERT … RETURNING …")`` and `Repository.create`
update    the same of an UPDATE
list      ``pool.fetch`` of 20 rows with the statement of `Repository.list`, and `Repository.list`

beside advanced-alchemy (get, list) where it can be imported: a session for each call, as for each
request. Then a table of a million rows, ordered by a moment and the key, is walked by cursors to
page 10,000 of 20 rows, which is compared with the first, and with pages by number.

The ways take turns in rounds, and the medians over the rounds are shown: of calls the processor
time of this process, without that of the database's server, and of pages the time that passes.
Of pages by a cursor it is the quickest tenth of the rounds. Bias: one caller, the server on the
same machine, small rows.

Usage: python -m benchmarks.repository [--rounds 15] [--calls 300] [--rows 1000000]
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import peewee
import uvloop

from sanic_ms import Cursor, Page
from sanic_ms.db import ConnectionPool
from sanic_ms.repository import Repository

POSTGRES = "postgresql://postgres@127.0.0.1:5432/postgres"
TABLE = "bench_repository"
KEY = {"sqlite": "INTEGER PRIMARY KEY", "postgresql": "SERIAL PRIMARY KEY"}
COLUMNS = "id, name, age, city_id"

Way = Callable[[], Awaitable[Any]]


def show(line: str) -> None:
    """Write a line of the report."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class BenchUser(peewee.Model):
    """The small table."""

    name = peewee.CharField()
    age = peewee.IntegerField()
    city_id = peewee.IntegerField(null=True)

    class Meta:
        table_name = TABLE


class BenchEntry(peewee.Model):
    """The long table."""

    moment = peewee.IntegerField()
    text = peewee.CharField()

    class Meta:
        table_name = "bench_entries"


class UserRow(msgspec.Struct):
    """A row as a Struct."""

    id: int
    name: str
    age: int
    city_id: int | None


async def main() -> None:
    """Run all comparisons and print their tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    for url in ("sqlite://:memory:", POSTGRES):
        async with started(url) as pool:
            await calls(pool, options.rounds, options.calls)
    with tempfile.TemporaryDirectory() as folder:
        for url in (f"sqlite:///{Path(folder) / 'entries.db'}", POSTGRES):
            async with started(url) as pool:
                await pages(pool, options.rows)


@asynccontextmanager
async def started(url: str) -> AsyncIterator[ConnectionPool]:
    """A pool."""
    pool = ConnectionPool(url, statement_timeout=None)
    await pool.start()
    try:
        yield pool
    finally:
        await pool.stop()


async def calls(pool: ConnectionPool, rounds: int, count: int) -> None:
    """Print what single calls cost."""
    dialect = pool.statements.dialect
    await pool.execute(f"DROP TABLE IF EXISTS {TABLE}")
    await pool.execute(
        f"CREATE TABLE {TABLE} (id {KEY[dialect]}, name VARCHAR(50), age INTEGER, city_id INTEGER)"
    )
    users = Repository(BenchUser, pool)
    structs = Repository(BenchUser, pool, type=UserRow)
    await users.create_many({"name": f"n{n}", "age": n, "city_id": 1} for n in range(1000))
    numbers = itertools.count()
    get_text = f'SELECT {COLUMNS} FROM "{TABLE}" WHERE "id" = $1'
    insert = f"INSERT INTO {TABLE} (name, age) VALUES ($1, $2) RETURNING {COLUMNS}"
    update = f"UPDATE {TABLE} SET age = $1 WHERE id = $2 RETURNING {COLUMNS}"
    base = f"(SELECT {COLUMNS} FROM {TABLE})"
    list_text = (
        f"SELECT p.*, c.n FROM (SELECT count(*) AS n FROM {base} AS a) AS c LEFT JOIN (SELECT r.*, "
        f"1 AS b FROM {base} AS r ORDER BY r.id LIMIT $1 OFFSET $2) AS p ON 1 = 1 ORDER BY p.id"
    )
    ways: dict[str, Way] = {
        "get: fetchrow": lambda: pool.fetchrow(get_text, 7),
        "get: Repository": lambda: users.get(7),
        "get: Repository, Struct": lambda: structs.get(7),
        "create: fetchrow": lambda: pool.fetchrow(insert, "x", next(numbers)),
        "create: Repository": lambda: users.create({"name": "x", "age": next(numbers)}),
        "update: fetchrow": lambda: pool.fetchrow(update, next(numbers), 7),
        "update: Repository": lambda: users.update(7, {"age": next(numbers)}),
        "list of 20: fetch": lambda: pool.fetch(list_text, 20, 40),
        "list of 20: Repository": lambda: users.list(limit=20, offset=40),
        "list of 20: Repository, Struct": lambda: structs.list(limit=20, offset=40),
    }
    async with AsyncExitStack() as stack:
        if dialect == "postgresql":
            ways.update(await peer(stack))
        medians = await measure(ways, rounds, count)
    show(f"\n{dialect}: microseconds of processor time a call, and above the first")
    for name, median in medians.items():
        what = name.partition(":")[0]
        raw = next(value for other, value in medians.items() if other.startswith(what))
        show(f"  {name:32} {median:8.1f}  {median - raw:+8.1f}")
    await pool.execute(f"DROP TABLE {TABLE}")


async def measure(
    ways: dict[str, Way],
    rounds: int,
    count: int,
    clock: Callable[[], float] = time.process_time,
    *,
    quietest: bool = False,
) -> dict[str, float]:
    """The median microseconds of each way, which take turns; with ``quietest`` the median of the
    quickest tenth of the rounds, as other processes slow down the rest."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, way in ways.items():
            begun = clock()
            for _ in range(count):
                await way()
            times[name].append((clock() - begun) / count * 1e6)
    if quietest:
        return {
            name: statistics.median(sorted(entries[1:])[: max(rounds // 10, 1)])
            for name, entries in times.items()
        }
    return {name: statistics.median(entries[1:]) for name, entries in times.items()}


async def peer(stack: AsyncExitStack) -> dict[str, Way]:
    """Calls of advanced-alchemy; none where it is not installed."""
    try:
        filters = importlib.import_module("advanced_alchemy.filters")
        peers = importlib.import_module("advanced_alchemy.repository")
        from sqlalchemy import Integer, String
        from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
        from sqlalchemy.orm import DeclarativeBase, mapped_column
    except ImportError as exc:
        show(f"without advanced-alchemy: {exc}")
        return {}

    class Base(DeclarativeBase):
        pass

    class User(Base):
        __tablename__ = TABLE
        id = mapped_column(Integer, primary_key=True)
        name = mapped_column(String(50))
        age = mapped_column(Integer)
        city_id = mapped_column(Integer)

    repository = type("Users", (peers.SQLAlchemyAsyncRepository[User],), {"model_type": User})

    engine = create_async_engine(POSTGRES.replace("postgresql:", "postgresql+asyncpg:"))
    stack.push_async_callback(engine.dispose)
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    async def get() -> Any:
        async with sessions() as session:
            return await repository(session=session).get(7)

    async def list_and_count() -> Any:
        async with sessions() as session:
            return await repository(session=session).list_and_count(filters.LimitOffset(20, 40))

    return {"get: advanced-alchemy": get, "list of 20: advanced-alchemy": list_and_count}


async def pages(pool: ConnectionPool, rows: int) -> None:
    """Print what pages of a long table cost."""
    dialect = pool.statements.dialect
    await pool.execute("DROP TABLE IF EXISTS bench_entries")
    await pool.execute(
        f"CREATE TABLE bench_entries (id {KEY[dialect]}, moment INTEGER NOT NULL, text VARCHAR(50))"
    )
    numbers = (
        f"generate_series(1, {rows}) AS n"
        if dialect == "postgresql"
        else f"(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows}) "
        "SELECT n FROM s)"
    )
    await pool.execute(
        f"INSERT INTO bench_entries (moment, text) SELECT n / 5, 'entry ' || n FROM {numbers}"
    )
    await pool.execute("CREATE INDEX bench_entries_moment ON bench_entries (moment, id)")
    await pool.execute("ANALYZE bench_entries")
    entries = Repository(BenchEntry, pool)
    order, last = "-moment", min(10_000, rows // 20)
    cursor = None
    for _ in range(last - 1):
        _, page = await entries.page(Cursor(cursor), order_by=order)
        cursor = page.next
    _, page = await entries.page(Cursor(), order_by=order)
    ways: dict[str, Way] = {
        "1": lambda: entries.page(Cursor(), order_by=order),
        "2": lambda: entries.page(Cursor(page.next), order_by=order),
        f"{last}": lambda: entries.page(Cursor(cursor), order_by=order),
    }
    times = await measure(ways, rounds=201, count=5, clock=time.perf_counter, quietest=True)
    show(f"\n{dialect}: microseconds for a page of 20 in {rows:,} rows")
    for number, median in times.items():
        show(f"  cursor, page {number:<8}            {median:10.0f}   x {median / times['1']:.2f}")
    numbered: dict[str, Way] = {
        "1": lambda: entries.page(Page(), order_by=order),
        f"{last}": lambda: entries.page(Page(last), order_by=order),
    }
    for number, median in (await measure(numbered, 5, 1, time.perf_counter)).items():
        show(f"  with the total, page {number:<8}    {median:10.0f}")
    await pool.execute("DROP TABLE bench_entries")


if __name__ == "__main__":
    uvloop.run(main())
    sys.exit(0)
