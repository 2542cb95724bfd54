"""What is SQLite's alone."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import pytest

from sanic_ms.db import ConnectionPool
from sanic_ms.exception import (
    ConfigError,
    DatabaseError,
    LifecycleError,
    ReadOnlyViolation,
    StatementError,
    StorageFull,
    TransactionConflict,
)

MakePool = Callable[..., Awaitable[ConnectionPool]]
Settled = Callable[[ConnectionPool], Awaitable[None]]


async def test_a_full_disk(sqlite_url: str, make_pool: MakePool, settled: Settled) -> None:
    """507, the transaction is undone, and reading goes on."""
    pool = await make_pool(sqlite_url, max_size=2)
    await pool.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)")
    await pool.execute("INSERT INTO t VALUES (1, $1)", b"kept")
    async with pool.acquire() as db:
        # A limit on the number of pages is SQLite's own way to say that the disk is full.
        pages = await db.fetchval("PRAGMA page_count")
        await db.execute(f"PRAGMA max_page_count = {pages + 5}")

        async def fill() -> None:
            async with db.transaction():
                for number in range(2, 100):
                    await db.execute("INSERT INTO t VALUES ($1, zeroblob(4000))", number)

        with pytest.raises(StorageFull) as caught:
            await fill()
        assert caught.value.status == 507
        assert await db.fetch("SELECT * FROM t") == [{"id": 1, "data": b"kept"}]
        with pytest.raises(StorageFull):
            await db.execute("INSERT INTO t VALUES (2, zeroblob(100000))")
        assert await db.fetchval("SELECT count(*) FROM t") == 1
    await settled(pool)
    await pool.execute("INSERT INTO t VALUES (2, zeroblob(100000))")
    assert await pool.fetchval("SELECT count(*) FROM t") == 2


async def test_a_full_disk_caught_inside(sqlite_url: str, make_pool: MakePool) -> None:
    """SQLite ends the transaction by itself. What follows in the block would be stored one by one:
    it is refused, and so is the commit."""
    pool = await make_pool(sqlite_url, max_size=2)
    await pool.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)")

    async def work() -> None:
        async with pool.transaction() as db:
            pages = await db.fetchval("PRAGMA page_count")
            await db.execute("INSERT INTO t VALUES (1, 'x')")
            await db.execute(f"PRAGMA max_page_count = {pages}")
            with pytest.raises(StorageFull):
                await db.execute("INSERT INTO t VALUES (2, zeroblob(1000000))")
            if not db.session.raw.in_transaction:
                with pytest.raises(TransactionConflict, match="by itself"):
                    await db.execute("INSERT INTO t VALUES (3, 'x')")
            else:
                raise TransactionConflict("SQLite undid the statement alone")

    with pytest.raises(TransactionConflict):
        await work()
    assert await pool.fetchval("SELECT count(*) FROM t") == 0


async def test_files_are_set_up(sqlite_url: str, make_pool: MakePool) -> None:
    """Write-ahead log, foreign keys, and no fsync a transaction; or what the URL says."""
    pool = await make_pool(sqlite_url)
    assert await pool.fetchval("PRAGMA journal_mode") == "wal"
    assert await pool.fetchval("PRAGMA foreign_keys") == 1
    assert await pool.fetchval("PRAGMA synchronous") == 1
    other = await make_pool(f"{sqlite_url}2?journal_mode=delete&synchronous=full")
    assert await other.fetchval("PRAGMA journal_mode") == "delete"
    assert await other.fetchval("PRAGMA synchronous") == 2
    with pytest.raises(ConfigError, match="not a word"):
        await ConnectionPool(f"{sqlite_url}?journal_mode=wal;drop").start()


async def test_many_open_a_new_file_at_once(tmp_path: Path) -> None:
    """As the workers of a service do when it starts for the first time: all of them succeed."""
    for attempt in range(5):
        url = f"sqlite:///{tmp_path / f'{attempt}.db'}"
        pools = [ConnectionPool(url, min_size=4) for _ in range(4)]
        await asyncio.gather(*(pool.start() for pool in pools))
        await asyncio.gather(*(pool.stop() for pool in pools))


async def test_a_read_only_file(sqlite_url: str, make_pool: MakePool) -> None:
    """``mode=ro`` reads, and makes no file."""
    with pytest.raises(LifecycleError, match="mode=ro"):
        await ConnectionPool(f"{sqlite_url}?mode=ro").start()
    pool = await make_pool(sqlite_url)
    await pool.execute("CREATE TABLE t (id INTEGER)")
    reader = await make_pool(f"{sqlite_url}?mode=ro")
    assert await reader.fetch("SELECT * FROM t") == []
    with pytest.raises(ReadOnlyViolation):
        await reader.execute("INSERT INTO t VALUES (1)")


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """The start says so."""
    path = tmp_path / "x.db"
    path.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(LifecycleError, match="not a database"):
        await ConnectionPool(f"sqlite:///{path}").start()
    assert path.read_bytes().startswith(b"this is no")


async def test_odd_values_do_not_break_a_row(sqlite_url: str, make_pool: MakePool) -> None:
    """SQLite lets anything into any column: what is not of its type comes as the text it is."""
    pool = await make_pool(sqlite_url)
    await pool.execute(
        "CREATE TABLE t (d DATE, dt DATETIME, ti TIME, n DECIMAL(5, 2), u UUID, j JSON, b BOOLEAN)"
    )
    await pool.execute("INSERT INTO t VALUES ('x', 'y', 'z', 'a', 'b', '{', 'maybe')")
    assert await pool.fetchrow("SELECT * FROM t") == {
        "d": "x", "dt": "y", "ti": "z", "n": "a", "u": "b", "j": "{", "b": "maybe",
    }  # fmt: skip
    await pool.execute("DELETE FROM t")
    await pool.execute(
        "INSERT INTO t VALUES ($1, $2, $3, $4, NULL, $5, $6)",
        date(2024, 1, 2), datetime(2024, 1, 2, 3, 4, tzinfo=UTC), time(5, 6), Decimal("1.10"), [1],
        False,
    )  # fmt: skip
    assert await pool.fetchrow("SELECT * FROM t") == {
        "d": date(2024, 1, 2), "dt": datetime(2024, 1, 2, 3, 4, tzinfo=UTC), "ti": time(5, 6),
        "n": Decimal("1.1"), "u": None, "j": [1], "b": False,
    }  # fmt: skip


async def test_a_short_select_needs_no_thread(make_pool: MakePool, tmp_path: Path) -> None:
    """It runs on the event loop; a long one moves to the thread by itself, and is remembered."""
    pool = await make_pool(f"sqlite:///{tmp_path / 'x.db'}", max_size=1)
    await pool.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    await pool.executemany("INSERT INTO t VALUES ($1)", [(n,) for n in range(2000)])
    threads: list[int] = []
    async with pool.acquire() as db:
        db.session.raw.create_function("seen", 0, lambda: threads.append(threading.get_ident()))
        here = threading.get_ident()
        await db.fetchval("SELECT seen()")
        await db.fetchrow("SELECT seen() AS a WHERE 1 = $1", 1)
        assert threads == [here, here]
        await db.execute("CREATE TABLE u AS SELECT seen() AS a")
        assert threads.pop() != here
        sql = "SELECT count(*) AS n, seen() FROM t AS a, t AS b WHERE a.id <> b.id"
        assert await db.fetchval(sql) == 2000 * 1999
        assert threads[-1] != here
        statement, _ = pool.statements.get(sql, ())
        assert statement.slow


async def test_reads_can_be_kept_off_the_loop(sqlite_url: str, make_pool: MakePool) -> None:
    """``inline_reads=0``: for a file on a slow disk."""
    pool = await make_pool(f"{sqlite_url}?inline_reads=0", max_size=1)
    threads: list[int] = []
    async with pool.acquire() as db:
        db.session.raw.create_function("seen", 0, lambda: threads.append(threading.get_ident()))
        await db.fetchval("SELECT seen()")
    assert threads != [threading.get_ident()]


async def test_a_locked_file_does_not_hold_up_the_loop(
    sqlite_url: str, make_pool: MakePool, tmp_path: Path
) -> None:
    """Another process has the file for itself: readers wait on their threads, with a limit."""
    pool = await make_pool(f"{sqlite_url}?journal_mode=delete&busy_timeout=0.3")
    await pool.execute("CREATE TABLE t (id INTEGER)")
    patient = await make_pool(f"{sqlite_url}?journal_mode=delete&busy_timeout=60")
    assert await patient.fetch("SELECT * FROM t") == []  # what it does not know it cannot look up
    other = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    with pytest.raises(TransactionConflict, match="locked"):
        await pool.fetch("SELECT * FROM t")
    assert ticks > 100
    ticking.cancel()
    waiting = asyncio.create_task(patient.fetch("SELECT * FROM t"))
    await asyncio.sleep(0.05)
    other.execute("COMMIT")
    other.close()
    assert await waiting == []


async def test_with_insert_counts(sqlite_url: str, make_pool: MakePool) -> None:
    """A common table expression in front of an INSERT: rows are counted as for any other."""
    pool = await make_pool(sqlite_url)
    await pool.execute("CREATE TABLE t (id INTEGER)")
    sql = "WITH n(x) AS (SELECT 1 UNION ALL SELECT 2) INSERT INTO t SELECT x FROM n"
    assert await pool.execute(sql) == 2


async def test_one_statement_a_text(sqlite_url: str, make_pool: MakePool) -> None:
    """sqlite3 takes one at a time, and the error says so."""
    pool = await make_pool(sqlite_url)
    with pytest.raises(StatementError, match="one statement at a time"):
        await pool.execute("CREATE TABLE a (x); CREATE TABLE b (x)")


async def test_surrogates_and_huge_numbers(sqlite_url: str, make_pool: MakePool) -> None:
    """What cannot be stored is refused as the value that it is."""
    pool = await make_pool(sqlite_url)
    for value in ("\ud800", 2**64):
        with pytest.raises(DatabaseError) as caught:
            await pool.fetchval("SELECT $1", value)
        assert caught.value.status == 500


async def test_threads_end_with_the_pool(sqlite_url: str) -> None:
    """No thread is left behind by a stop."""
    pool = ConnectionPool(sqlite_url, max_size=3)
    await pool.start()
    async with pool.acquire() as first, pool.acquire() as second:
        await first.execute("CREATE TABLE t (id INTEGER)")
        await second.execute("INSERT INTO t VALUES (1)")
    assert any(thread.name.startswith("sqlite") for thread in threading.enumerate())
    await pool.stop()
    async with asyncio.timeout(60):
        while any(thread.name == "sqlite test.db" for thread in threading.enumerate()):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
