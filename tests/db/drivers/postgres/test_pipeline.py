"""Plain reads of several callers on one connection: each gets its own answer, whatever happens to
the others."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from asyncpg import connect_utils
from tests.db.test_metrics import shown

from sanic_ms.db import ConnectionPool, sessions
from sanic_ms.db.drivers.postgres import pipeline as postgres_pipeline
from sanic_ms.db.drivers.postgres.pipeline import Pipeline, PostgresLane
from sanic_ms.exception import (
    DatabaseError,
    DataError,
    LifecycleError,
    QueryTimeout,
    StatementError,
)
from sanic_ms.telemetry.metrics import Registry

MakePool = Callable[..., Awaitable[ConnectionPool]]
MakeTable = Callable[..., Awaitable[str]]
Settled = Callable[[ConnectionPool], Awaitable[None]]

pytestmark = pytest.mark.usefixtures("way")

ECHO = "SELECT $1::int AS id, repeat($2, $1) AS text"
# Takes seconds; a plain read all the same.
LONG = "SELECT count(*) FROM (SELECT generate_series(1, $1::bigint)) AS a"


@pytest.fixture
async def pool(postgres_url: str, make_pool: MakePool) -> ConnectionPool:
    """Few connections for many callers."""
    return await make_pool(postgres_url, max_size=2)


async def echo(pool: ConnectionPool, number: int) -> None:
    """Ask, and compare the answer with the question."""
    assert await pool.fetchrow(ECHO, number, "ü") == {"id": number, "text": "ü" * number}


# --- answers --------------------------------------------------------------------------------------


async def test_each_gets_its_own_answer(pool: ConnectionPool, settled: Settled) -> None:
    """Hundreds at once, of all three kinds; all connections are idle afterwards."""

    async def ask(number: int) -> None:
        await echo(pool, number)
        assert await pool.fetchval(ECHO, number, "x", column=1) == "x" * number
        rows = await pool.fetch("SELECT * FROM generate_series(1, $1) AS n", number)
        assert [row["n"] for row in rows] == list(range(1, number + 1))
        assert await pool.fetchrow("SELECT 1 AS one WHERE $1 < 0", number) is None
        assert await pool.fetchval("SELECT 1 AS one WHERE $1 < 0", number) is None

    await asyncio.gather(*(ask(number) for number in range(300)))
    await settled(pool)
    assert pool.stats().size == 2


async def test_readers_do_not_wait_for_a_connection(
    postgres_url: str, make_pool: MakePool, settled: Settled
) -> None:
    """While one connection is all there is, and it is busy."""
    pool = await make_pool(postgres_url, max_size=1)
    await echo(pool, 1)
    tasks = [asyncio.create_task(echo(pool, number)) for number in range(64)]
    while pool.stats().idle:  # noqa: ASYNC110 - nothing signals it
        await asyncio.sleep(0)
    assert pool.stats() == (1, 0, 0)
    await asyncio.gather(*tasks)
    await settled(pool)


async def test_each_is_a_transaction_by_itself(pool: ConnectionPool) -> None:
    """The time of `now()` is that of a transaction's begin."""
    moments = await asyncio.gather(*(pool.fetchval("SELECT now()") for _ in range(50)))
    assert len(set(moments)) > 2


async def test_an_error_is_that_of_one_caller(pool: ConnectionPool, settled: Settled) -> None:
    """Of the server, and of the arguments, which are refused before anything is sent."""
    statement = "SELECT 10 / $1::int AS n"
    await pool.fetchrow(statement, 1)

    async def divide(by: object) -> object:
        try:
            return (await pool.fetchrow(statement, by) or {})["n"]
        except DatabaseError as exc:
            return type(exc)

    asked: list[object] = [5, 0, 2, "no number", 1, None, 2**40] * 20
    expected = [2, DataError, 5, DataError, 10, None, DataError] * 20
    assert await asyncio.gather(*(divide(by) for by in asked)) == expected
    await settled(pool)


async def test_long_answers_among_short_ones(pool: ConnectionPool, settled: Settled) -> None:
    """They come in many pieces."""
    lengths = [0, 1, 3_000_000, 5, 70_000, 2_000_000, 65_530] * 3

    async def ask(length: int) -> int:
        return len(await pool.fetchval("SELECT repeat('x', $1)", length))

    assert await asyncio.gather(*map(ask, lengths)) == lengths
    await settled(pool)


async def test_a_table_that_changes(
    postgres_url: str, make_pool: MakePool, settled: Settled
) -> None:
    """The plan of the prepared statement is refused by the server; nobody hears of it."""
    pool = await make_pool(postgres_url, max_size=2)
    name = f"changing_{random.getrandbits(48):x}"
    await pool.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)")
    try:
        await pool.execute(f"INSERT INTO {name} VALUES (1)")
        statement = f"SELECT * FROM {name} WHERE id = $1"
        for column in ("a", "b", "c"):
            await asyncio.gather(*(pool.fetchrow(statement, 1) for _ in range(20)))
            await pool.execute(f"ALTER TABLE {name} ADD COLUMN {column} int DEFAULT 7")
            rows = await asyncio.gather(*(pool.fetchrow(statement, 1) for _ in range(20)))
            assert all(row is not None and row[column] == 7 for row in rows)
        await settled(pool)
    finally:
        await pool.execute(f"DROP TABLE {name}")


# --- who has a connection of its own --------------------------------------------------------------


async def test_the_session_of_an_acquired_connection_is_not_shared(
    pool: ConnectionPool, settled: Settled
) -> None:
    """What was set on it is seen there alone, also after it came back."""
    statement = "SELECT current_date::text AS day, '1 day'::interval::text AS span"
    usual = await pool.fetchrow(statement)
    async with pool.acquire() as connection:
        await connection.execute("SET intervalstyle = 'iso_8601'")
        assert await connection.fetchrow(statement) != usual
        answers = await asyncio.gather(*(pool.fetchrow(statement) for _ in range(20)))
        assert answers == [usual] * 20
    answers = await asyncio.gather(*(pool.fetchrow(statement) for _ in range(20)))
    assert answers == [usual] * 20
    await settled(pool)


async def test_who_waits_for_a_connection_gets_one(postgres_url: str, make_pool: MakePool) -> None:
    """However many read without a pause, on the only connection there is."""
    pool = await make_pool(postgres_url, max_size=1)
    stop = False
    count = 0

    async def read() -> None:
        nonlocal count
        while not stop:
            await echo(pool, 3)
            count += 1

    readers = [asyncio.create_task(read()) for _ in range(20)]
    async with asyncio.timeout(60):
        for _ in range(20):
            before = count
            async with pool.transaction() as connection:
                assert await connection.fetchval("SELECT 1 + $1", 1) == 2
            while count == before:  # noqa: ASYNC110 - nothing signals it
                await asyncio.sleep(0.001)
    stop = True
    await asyncio.gather(*readers)


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ({"pipeline": False}, ""),
        ({"statement_timeout": 0.9}, ""),
        ({}, "statement_cache_size=0"),
    ],
)
async def test_it_can_be_switched_off(
    postgres_url: str, make_pool: MakePool, options: dict[str, Any], query: str
) -> None:
    """Then each read waits for a connection."""
    join = "&" if "?" in postgres_url else "?"
    pool = await make_pool(f"{postgres_url}{join}{query}", max_size=1, **options)
    await echo(pool, 1)
    tasks = [asyncio.create_task(echo(pool, number)) for number in range(8)]
    while pool.stats().idle:  # noqa: ASYNC110 - nothing signals it
        await asyncio.sleep(0)
    assert pool.stats().waiting == 7
    await asyncio.gather(*tasks)


async def test_a_limit_of_its_own(pool: ConnectionPool, settled: Settled) -> None:
    """A call with a time limit is not sent behind others."""
    with pytest.raises(QueryTimeout):
        await pool.fetchval(LONG, 10**9, timeout=0.05)
    await settled(pool)


async def cancel_at_work(
    reader: asyncio.Task[Any], watcher: ConnectionPool, application: str
) -> None:
    """Cancel a reader whose `LONG` is at work on the server, and wait until that has ended."""
    active = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE application_name = $1 AND state = 'active' AND query = $2"
    )
    async with asyncio.timeout(60):
        while not await watcher.fetchval(active, application, LONG):  # noqa: ASYNC110 - no signal
            await asyncio.sleep(0.001)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        while await watcher.fetchval(active, application, LONG):  # noqa: ASYNC110 - no signal
            await asyncio.sleep(0.01)


# --- what goes wrong ------------------------------------------------------------------------------


async def test_a_slow_read_holds_nobody_up(pool: ConnectionPool, settled: Settled) -> None:
    """It is cancelled on the server, and begun anew on a connection of its own, as are those behind
    it; after that it has one from the beginning."""
    rows = 16_000_000  # also a fast machine needs more time for them than until they seem slow
    await pool.fetchval(LONG, 1)
    await echo(pool, 1)
    known = pool.statements.find(LONG)
    slow = asyncio.create_task(pool.fetchval(LONG, rows))
    await asyncio.sleep(0)
    await asyncio.gather(*(echo(pool, number) for number in range(50)))
    assert known.slow
    assert known.alone_for == 30.0
    assert await slow == rows
    assert await pool.fetchval(LONG, 5) == 5
    known.slow = False
    assert await pool.fetchval(LONG, rows) == rows
    assert known.alone_for == 60.0
    await settled(pool)


@pytest.mark.parametrize("text", ["SELECT 1\0", "SELECT '\udc00'"])
async def test_a_text_that_cannot_be_sent(pool: ConnectionPool, text: str) -> None:
    """It is refused before it costs a connection."""
    async with pool.acquire() as db:
        for call in (pool.fetch, pool.execute, db.fetch, db.execute):
            with pytest.raises(StatementError, match=r"NUL|UTF-8"):
                await call(text)
        assert await db.fetchval("SELECT 1") == 1
    assert await pool.fetchval("SELECT 1") == 1


async def test_a_slow_read_whose_caller_has_gone(
    postgres_url: str, make_pool: MakePool, settled: Settled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not go on working on the server."""
    # Long enough to see it at work before it is begun anew.
    monkeypatch.setattr(postgres_pipeline, "_PATIENCE", 2.0)
    name = f"gone_{random.getrandbits(48):x}"
    pool = await make_pool(f"{postgres_url}?application_name={name}", max_size=1)
    watcher = await make_pool(postgres_url, max_size=1)
    await pool.fetchval(LONG, 1)
    reader = asyncio.create_task(pool.fetchval(LONG, 10**10))
    await cancel_at_work(reader, watcher, name)
    await echo(pool, 2)
    await settled(pool)


async def test_a_cancellation_that_comes_too_early(
    postgres_url: str, make_pool: MakePool, settled: Settled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that has not begun with a statement forgets the request to cancel it: it is asked
    again before the connection is thrown away, and does not work on for nobody."""
    real = connect_utils._cancel
    requests: list[int] = []

    async def cancel(**keywords: Any) -> None:
        requests.append(1)
        if len(requests) > 1:
            await real(**keywords)

    monkeypatch.setattr(connect_utils, "_cancel", cancel)
    monkeypatch.setattr(sessions, "_SETTLE_LIMIT", 2.0)
    name = f"early_{random.getrandbits(48):x}"
    pool = await make_pool(f"{postgres_url}?application_name={name}", max_size=1, pipeline=False)
    watcher = await make_pool(postgres_url, max_size=1)
    reader = asyncio.create_task(pool.fetchval(LONG, 10**10))
    await cancel_at_work(reader, watcher, name)
    assert len(requests) > 1
    await echo(pool, 2)
    await settled(pool)


async def test_the_loop_was_busy_and_not_the_server(pool: ConnectionPool, settled: Settled) -> None:
    """Answers that lay there while the loop did something else are not late."""
    await echo(pool, 1)
    known = pool.statements.find(ECHO)
    for _ in range(3):
        tasks = [asyncio.create_task(echo(pool, number)) for number in range(20)]
        for _ in range(3):
            await asyncio.sleep(0)
        time.sleep(0.12)  # noqa: ASYNC251 - the loop is to be held up
        await asyncio.gather(*tasks)
        assert not known.slow
    await settled(pool)


async def test_callers_that_go(pool: ConnectionPool, settled: Settled) -> None:
    """Their answers reach nobody, and the others have theirs."""
    await echo(pool, 1)
    chance = random.Random(7)

    async def ask(number: int) -> None:
        for _ in range(20):
            try:
                async with asyncio.timeout(chance.choice((0.0, 0.0005, 0.001, 0.002, 5.0))):
                    await echo(pool, number)
            except TimeoutError:
                pass

    await asyncio.gather(*(ask(number) for number in range(100)))
    await asyncio.gather(*(echo(pool, number) for number in range(100)))
    await settled(pool)


@pytest.mark.parametrize("proxy", ["postgresql"], indirect=True)
async def test_the_connection_is_lost(proxy: Any, make_pool: MakePool, settled: Settled) -> None:
    """With reads under way on it: they are answered on another one."""
    pool = await make_pool(proxy.url, max_size=3)
    await asyncio.gather(*(echo(pool, number) for number in range(20)))
    for _ in range(10):
        tasks = [asyncio.create_task(echo(pool, number)) for number in range(100)]
        await asyncio.sleep(random.uniform(0, 0.01))
        proxy.reset_connections()
        failed = [
            exc
            for exc in await asyncio.gather(*tasks, return_exceptions=True)
            if exc is not None and not isinstance(exc, DatabaseError)
        ]
        assert failed == []
    await asyncio.gather(*(echo(pool, number) for number in range(20)))
    await settled(pool)


async def test_the_pool_stops_with_reads_under_way(postgres_url: str, make_pool: MakePool) -> None:
    """Those that were sent are answered; who comes later hears why there is no answer."""
    pool = await make_pool(postgres_url, max_size=2)
    await echo(pool, 1)
    tasks = [asyncio.create_task(echo(pool, number)) for number in range(100)]
    await asyncio.sleep(0)
    await pool.stop()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert result is None or isinstance(result, LifecycleError)
    with pytest.raises(LifecycleError):
        await echo(pool, 1)


async def test_connections_are_still_replaced(postgres_url: str, make_pool: MakePool) -> None:
    """At the end of their life, although they are never idle."""
    pool = await make_pool(postgres_url, max_size=1, max_lifetime=0.2)
    pids: set[int] = set()
    # The number of the process, without a function's parentheses.
    statement = "SELECT pid FROM pg_stat_activity WHERE query = $1 AND state = 'active'"

    async def read() -> None:
        while len(pids) < 3:
            pids.add(await pool.fetchval(statement, statement))

    async with asyncio.timeout(60):
        await asyncio.gather(*(read() for _ in range(8)))


async def test_durations_are_counted(postgres_url: str) -> None:
    """Like those of any other statement."""
    registry = Registry()
    pool = ConnectionPool(postgres_url, max_size=1)
    pool.measure(registry)
    await pool.start()
    try:
        await asyncio.gather(*(echo(pool, number) for number in range(30)))
    finally:
        await pool.stop()
    counted = shown(registry, "db_query_duration_seconds")
    assert counted == {("SELECT", "ok"): 30}


# --- cutting what comes ---------------------------------------------------------------------------


class FakeLane:
    """Notes what it receives."""

    statement = None
    is_spoiled = True

    def __init__(self) -> None:
        self.data = b""
        self.has_left = False

    def receive(self, data: bytes) -> None:
        """A part of the answer."""
        assert data
        assert not self.has_left
        self.data += data

    def leave(self) -> None:
        """The whole answer is here."""
        self.has_left = True


def message(kind: bytes, body: bytes = b"") -> bytes:
    """One message of the server."""
    return kind + (len(body) + 4).to_bytes(4, "big") + body


ANSWERS = [
    message(b"2") + message(b"D", b"Z\0\0\0\5IZ\0\0\0\5I") + message(b"C", b"SELECT 1\0"),
    message(b"2") + message(b"C", b"SELECT 0\0"),
    message(b"N", b"a notice\0") + message(b"E", b"SERROR\0\0"),
    b"",
    message(b"2") + message(b"D", b"x" * 300) + message(b"s"),
]
UNASKED = message(b"S", b"TimeZone\0UTC\0")


@pytest.mark.parametrize("size", range(1, 400, 7))
async def test_every_cut(size: int) -> None:
    """Wherever what comes is cut: each lane gets its answer, up to its ReadyForQuery, and what
    comes after the last belongs to the connection."""
    ready = message(b"Z", b"I")
    stream = b"".join(answer + ready for answer in ANSWERS) + UNASKED
    rested: list[bool] = []
    own: list[bytes] = []
    raw = SimpleNamespace(
        _protocol=SimpleNamespace(data_received=own.append),
        _transport=SimpleNamespace(set_protocol=lambda protocol: None),
    )
    for first in range(size):
        pipeline = Pipeline(raw, [], lambda: rested.append(True), lambda: None, lambda: None)
        lanes = [FakeLane() for _ in ANSWERS]
        pipeline.turns = cast("deque[PostgresLane]", deque(lanes))
        pipeline.count = len(lanes)
        own.clear()
        rested.clear()
        cuts = [0, *range(first + 1, len(stream), size), len(stream)]
        for start, end in itertools.pairwise(cuts):
            pipeline.data_received(stream[start:end])
        assert [lane.data for lane in lanes] == [answer + ready for answer in ANSWERS]
        assert all(lane.has_left for lane in lanes)
        assert b"".join(own) == UNASKED
        assert rested == [True]
