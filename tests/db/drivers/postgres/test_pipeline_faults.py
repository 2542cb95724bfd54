"""What nearly went wrong with plain reads that share a connection."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable

import pytest
from tests.telemetry.collected import recording

from sanic_ms.db import ConnectionPool
from sanic_ms.db.base import Arguments
from sanic_ms.db.drivers.postgres.pipeline import PostgresLane
from sanic_ms.db.sql.placeholders import scan
from sanic_ms.db.sql.statement import Statement
from sanic_ms.exception import DatabaseError, DataError, QueryTimeout, TransactionConflict

MakePool = Callable[..., Awaitable[ConnectionPool]]

pytestmark = pytest.mark.usefixtures("way")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT €count(1)",
        "SELECT lower€(1)",
        "SELECT €5(1)",
        "SELECT touche\N{COMBINING ACUTE ACCENT}(1)",
        "SELECT lower\N{NO-BREAK SPACE}(1)",
        "SELECT \N{ARABIC-INDIC DIGIT ONE}lower(1)",
        "SELECT ran\N{KELVIN SIGN}(1)",
        "SELECT * FROM t -- all\rFOR UPDATE",
        "SELECT 1 AS a -- all\r INTO t",
        "SELECT $€$'$€$, 1 FROM t FOR UPDATE",
        "SELECT 1 AS €$$ FROM t FOR UPDATE -- $$",
        r"SELECT €e'\', 1 FROM t FOR UPDATE --'",
    ],
)
def test_what_only_looks_like_a_plain_read(sql: str) -> None:
    """PostgreSQL's own rules say where a name, a string and a comment end: a function of the
    application, a lock and a new table are seen as what they are."""
    assert not Statement(sql, "postgresql").plain


def test_a_comment_ends_at_a_carriage_return() -> None:
    """As it does for PostgreSQL."""
    assert scan("SELECT $1 -- $2\r, $2", "postgresql").numbers == (1, 2)
    assert Statement("SELECT * FROM t -- all\rWHERE a = $1", "postgresql").plain


async def test_a_failed_read_takes_nobody_elses_way(
    postgres_url: str, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Who hears of an error has no lane any more: it may be that of the next one in the queue."""
    pool = await make_pool(postgres_url, max_size=1, max_waiters=1)
    assert await pool.fetchval("SELECT 1 / $1::int", 1) == 1
    assert await pool.fetchval("SELECT 1 + $1::int", 1) == 2
    errors: list[BaseException] = []
    usual = PostgresLane.fetchval

    async def fetchval(lane: PostgresLane, args: Arguments, column: int) -> object:
        try:
            return await usual(lane, args, column)
        except BaseException as exc:
            errors.append(exc)
            raise

    monkeypatch.setattr(PostgresLane, "fetchval", fetchval)
    # No more than one at a time: the second waits in the queue, and gets the lane of the first.
    failing = asyncio.create_task(pool.fetchval("SELECT 1 / $1::int", 0))
    waiting = asyncio.create_task(pool.fetchval("SELECT 1 + $1::int", 2))
    with pytest.raises(DatabaseError) as caught:
        await failing
    assert caught.value.sqlstate == "22012"
    assert await waiting == 3
    if way == "python":
        assert [type(exc).__name__ for exc in errors] == ["DivisionByZeroError"]


async def test_a_stop_waits_for_slow_reads(postgres_url: str, make_pool: MakePool) -> None:
    """A read that is under way when the pool is stopped has its answer, however slow it is: it
    could not be run again."""
    pool = await make_pool(postgres_url, max_size=1, stop_timeout=60.0)
    table = f"t_{uuid.uuid4().hex[:12]}"
    await pool.execute(f"CREATE TABLE {table} (n INTEGER)")
    assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0
    other = await make_pool(postgres_url, max_size=1)
    async with other.transaction() as db:
        await db.execute(f"LOCK TABLE {table}")
        read = asyncio.create_task(pool.fetchval(f"SELECT count(*) FROM {table}"))
        await asyncio.sleep(0)
        stop = asyncio.create_task(pool.stop())
        # Twice as long as it would have before it counts as slow.
        await asyncio.wait([read, stop], timeout=0.12)
        assert not read.done()
    assert await read == 0
    await stop
    await other.execute(f"DROP TABLE {table}")


@pytest.mark.parametrize("pipeline", [True, False])
async def test_wrong_arguments_leave_no_lock(
    postgres_url: str, make_pool: MakePool, pipeline: bool
) -> None:
    """A statement that was prepared and then never sent keeps nobody from altering its table."""
    pool = await make_pool(postgres_url, max_size=1, pipeline=pipeline)
    table = f"t_{uuid.uuid4().hex[:12]}"
    other = await make_pool(postgres_url, max_size=1)
    await other.execute(f"CREATE TABLE {table} (n INTEGER)")
    assert await pool.fetchval("SELECT 1") == 1
    with pytest.raises(DataError):
        await pool.fetch(f"SELECT n FROM {table} WHERE n = $1", "one")
    try:
        await other.execute(f"ALTER TABLE {table} ADD COLUMN m INTEGER", timeout=10)
        assert await pool.fetch(f"SELECT n FROM {table} WHERE n = $1", 1) == []
    finally:
        await pool.stop()
        await other.execute(f"DROP TABLE {table}")


async def test_reads_of_callers_who_have_gone_hold_up_nobody(
    postgres_url: str, make_pool: MakePool
) -> None:
    """Where all callers are cancelled, what they had sent is not executed one by one."""
    pool = await make_pool(postgres_url, max_size=1)
    sql = "SELECT count(*) FROM generate_series(1, 100000)"
    assert await pool.fetchval(sql) == 100_000
    begin = time.monotonic()
    assert await pool.fetchval(sql) == 100_000
    each = time.monotonic() - begin
    reads = [asyncio.create_task(pool.fetchval(sql)) for _ in range(300)]
    await asyncio.sleep(0.01)
    for read in reads:
        read.cancel()
    await asyncio.gather(*reads, return_exceptions=True)
    begin = time.monotonic()
    assert await pool.execute("SELECT 1") == 0
    assert time.monotonic() - begin < 100 * each


async def test_a_long_text_costs_no_connection(postgres_url: str, make_pool: MakePool) -> None:
    """A statement that is too long to be remembered is not shared: that it is slow would be found
    anew each time, and end a connection each time."""
    pool = await make_pool(postgres_url, max_size=1)
    table = f"t_{uuid.uuid4().hex[:12]}"
    await pool.execute(f"CREATE TABLE {table} (n INTEGER)")
    other = await make_pool(postgres_url, max_size=1)
    sql = f"SELECT count(*) FROM {table} -- {'long ' * 4000}"
    assert await pool.fetchval(sql) == 0
    backend = await pool.fetchval("SELECT pg_backend_pid()")
    async with other.transaction() as db:
        await db.execute(f"LOCK TABLE {table}")
        read = asyncio.create_task(pool.fetchval(sql))
        # Twice as long as it would have before it counts as slow.
        await asyncio.wait([read], timeout=0.12)
        assert not read.done()
    assert await read == 0
    assert await pool.fetchval("SELECT pg_backend_pid()") == backend
    await other.execute(f"DROP TABLE {table}")


@pytest.mark.parametrize("pipeline", [True, False])
async def test_a_type_that_was_altered(
    postgres_url: str, make_pool: MakePool, pipeline: bool
) -> None:
    """A read that met a composite type of another shape says to try again, and then it works."""
    pool = await make_pool(postgres_url, max_size=1, pipeline=pipeline)
    other = await make_pool(postgres_url, max_size=1)
    kind = f"t_{uuid.uuid4().hex[:12]}"
    await other.execute(f"CREATE TYPE {kind} AS (a INTEGER)")
    await other.execute(f"CREATE TABLE of_{kind} (c {kind})")
    await other.execute(f"INSERT INTO of_{kind} VALUES (ROW(1))")
    try:
        assert (await pool.fetchval(f"SELECT c FROM of_{kind}"))["a"] == 1
        await other.execute(f"ALTER TYPE {kind} ADD ATTRIBUTE b INTEGER")
        with pytest.raises(TransactionConflict):
            await pool.fetchval(f"SELECT c FROM of_{kind}")
        assert tuple(await pool.fetchval(f"SELECT c FROM of_{kind}")) == (1, None)
    finally:
        await other.execute(f"DROP TABLE of_{kind}")
        await other.execute(f"DROP TYPE {kind}")


async def test_preparing_counts(postgres_url: str, make_pool: MakePool) -> None:
    """A read whose preparing takes all the time that a statement may take is not begun anew."""
    pool = await make_pool(postgres_url, max_size=2, statement_timeout=1.5)
    other = await make_pool(postgres_url, max_size=1)
    table = f"t_{uuid.uuid4().hex[:12]}"
    await other.execute(f"CREATE TABLE {table} (n INTEGER)")
    async with other.transaction() as db:
        await db.execute(f"LOCK TABLE {table}")
        begin = time.monotonic()
        with pytest.raises(QueryTimeout):
            await pool.fetch(f"SELECT n FROM {table}")
        assert time.monotonic() - begin < 2.9
    await other.execute(f"DROP TABLE {table}")


async def test_what_is_done_again_is_told_once(postgres_url: str, make_pool: MakePool) -> None:
    """A read that failed on a shared connection and is run again is one span, by its last run, and
    no driver's text with values in it reaches a span."""
    pool = await make_pool(postgres_url, max_size=1)
    assert await pool.fetchval("SELECT 1 / $1::int", 1) == 1
    with recording() as spans, pytest.raises(DataError):
        await pool.fetchval("SELECT 1 / $1::int", "hunter2")
    told = [span for span in spans if span.name == "SELECT"]
    assert [span.attributes["error.type"] for span in told] == ["sanic_ms.exception.DataError"]
    assert not any("hunter2" in span.description for span in told)


async def test_waiting_behind_others_has_a_limit(postgres_url: str, make_pool: MakePool) -> None:
    """Nobody waits for longer than ``acquire_timeout`` and ``statement_timeout`` together, however
    many reads of others were sent before."""
    pool = await make_pool(postgres_url, max_size=1, acquire_timeout=0.2, statement_timeout=1.0)
    sql = "SELECT count(*) FROM generate_series(1, 100000)"
    assert await pool.fetchval(sql) == 100_000
    begin = time.monotonic()
    assert await pool.fetchval(sql) == 100_000
    count = min(900, int(3.0 / (time.monotonic() - begin)))
    begin = time.monotonic()
    await asyncio.gather(*(pool.fetchval(sql) for _ in range(count)), return_exceptions=True)
    assert time.monotonic() - begin < 2.0
