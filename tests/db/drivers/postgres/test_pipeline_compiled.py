"""The compiled pipeline does what the Python one does, and what it does beyond that keeps nobody
waiting."""

from __future__ import annotations

import asyncio
import itertools
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from tests.db.test_metrics import shown
from tests.telemetry.collected import recording

from sanic_ms.db import ConnectionPool
from sanic_ms.db.drivers.postgres import driver as postgres
from sanic_ms.db.drivers.postgres import pipeline as postgres_pipeline
from sanic_ms.db.sql.statement import Statement
from sanic_ms.exception import DatabaseError, LifecycleError
from sanic_ms.telemetry.metrics import Registry

MakePool = Callable[..., Awaitable[ConnectionPool]]
Settled = Callable[[ConnectionPool], Awaitable[None]]

core: Any = postgres_pipeline._core
pytestmark = pytest.mark.skipif(core is None, reason="it was not compiled")

# What is asked, and with what.
ASKED: list[tuple[str, tuple[Any, ...]]] = [
    ("SELECT 1 AS one", ()),
    ("SELECT 1 AS a, 2 AS a, 3 AS b", ()),
    ("SELECT $1::int AS n, $2::text AS t", (7, "ü")),
    ("SELECT $1::int AS n, $2::text AS t", (None, None)),
    ("SELECT $1::int AS n, $2::text AS t", ("seven", "x")),
    ("SELECT $1::int AS n, $2::text AS t", (2**40, "x")),
    ("SELECT $1::int AS n, $2::text AS t", (1,)),
    ("SELECT 10 / $1::int AS n", (0,)),
    ("SELECT NULL AS nothing", ()),
    ("SELECT 1 WHERE false", ()),
    ("SELECT", ()),
    ("SELECT n, repeat('x', n) AS t FROM generate_series(1, $1::int) AS n", (300,)),
    ("SELECT repeat('x', $1::int) AS t", (3_000_000,)),
    ("SELECT $1::jsonb AS j, $2::numeric AS d, $3::timestamptz AS m", ({"a": [1]}, 1, None)),
    ("SELECT ARRAY[1, 2, NULL] AS list, ROW(1, 'x') AS pair", ()),
    ("SELEC 1", ()),
    ("SELECT * FROM no_such_table", ()),
]


async def outcome(work: Awaitable[Any]) -> Any:
    """What it gives, or what is known of its error."""
    try:
        return await work
    except Exception as exc:
        return type(exc), getattr(exc, "sqlstate", None), str(exc)


async def test_the_same_answers(
    postgres_url: str, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch, settled: Settled
) -> None:
    """Of everything that can be asked, many at once and in any order."""
    compiled = await make_pool(postgres_url, max_size=2)
    with monkeypatch.context() as patch:
        patch.setattr(postgres, "_core", None)
        patch.setattr(postgres_pipeline, "_core", None)
        python = await make_pool(postgres_url, max_size=2)
        usual = [await answers(python, sql, args) for sql, args in ASKED]
        await settled(python)
    assert compiled._reads is not None
    assert python._reads is None
    for _ in range(3):
        order = random.sample(range(len(ASKED)), len(ASKED)) * 3
        found = await asyncio.gather(*(answers(compiled, *ASKED[index]) for index in order))
        assert found == [usual[index] for index in order]
    await settled(compiled)


async def answers(pool: ConnectionPool, sql: str, args: tuple[Any, ...]) -> list[Any]:
    """Of all three kinds of reads."""
    return [
        await outcome(pool.fetch(sql, *args)),
        await outcome(pool.fetchrow(sql, *args)),
        await outcome(pool.fetchval(sql, *args)),
        await outcome(pool.fetchval(sql, *args, column=1)),
        await outcome(pool.fetchval(sql, *args, column=-1)),
        await outcome(pool.fetchval(sql, *args, column=10**30)),
    ]


async def test_the_same_is_told(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Durations by their outcome, and a span for each statement of what is recorded."""
    told = []
    for is_compiled in (True, False):
        with monkeypatch.context() as patch:
            if not is_compiled:
                patch.setattr(postgres, "_core", None)
                patch.setattr(postgres_pipeline, "_core", None)
            registry = Registry()
            pool = ConnectionPool(postgres_url, max_size=1)
            pool.measure(registry)
            await pool.start()
            try:
                await asyncio.gather(*(outcome(pool.fetchrow(*flat)) for flat in FLAT * 3))
                with recording() as spans:
                    await asyncio.gather(*(outcome(pool.fetchval(*flat)) for flat in FLAT))
                names = sorted((span.name, str(span.attributes)) for span in spans)
                told.append((shown(registry, "db_query_duration_seconds"), names))
            finally:
                await pool.stop()
    assert told[0] == told[1]


async def test_a_count_that_fails_reaches_its_caller_alone(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for ever, and the connection goes on."""
    pool = ConnectionPool(postgres_url, max_size=1)
    pool.measure(Registry())
    await pool.start()
    try:
        for _ in range(3):
            assert await pool.fetchval("SELECT 1") == 1
        assert pool._metrics is not None
        for cell in pool._metrics._cells.values():
            monkeypatch.setattr(cell, "_values", "these can only be read")
        for _ in range(2):
            with pytest.raises((IndexError, TypeError)):
                await pool.fetchval("SELECT 1")
        monkeypatch.undo()
        assert await pool.fetchval("SELECT 1") == 1
    finally:
        await pool.stop()


FLAT = [(sql, *args) for sql, args in ASKED if not sql.startswith("SELEC ")]


async def test_an_answer_does_not_wait_for_a_slow_one(
    postgres_url: str, make_pool: MakePool, settled: Settled
) -> None:
    """Where many answers come at once the process is not woken for each. One of them that takes
    long keeps those before it no longer than two looks."""
    pool = await make_pool(postgres_url, max_size=1)
    # Takes about 30 ms for the largest, a few microseconds for the others.
    sql = "SELECT count(*) FROM (SELECT generate_series(1, $1::bigint)) AS a"
    await pool.fetchval(sql, 1)
    begin = time.monotonic()
    await pool.fetchval(sql, 100_000)
    slow = int(100_000 * 0.03 / (time.monotonic() - begin))
    known = pool.statements.find(sql)
    waited: list[float] = []

    async def ask(count: int) -> None:
        begin = time.monotonic()
        assert await pool.fetchval(sql, count) == count
        if count == 1:
            waited.append(time.monotonic() - begin)

    for _ in range(10):
        known.together, known.slow = 32, False
        waited.clear()
        await asyncio.gather(*(ask(count) for count in (1, 1, 1, slow, *[1] * 20)))
        if sorted(waited)[2] < 0.02:
            break
    else:
        pytest.fail(f"those before it waited: {waited}")
    await settled(pool)
    (session,) = pool._sessions.idle  # type: ignore[union-attr]
    shared: Any = session
    assert shared._pipeline._wakes_at == 1


def message(kind: bytes, body: bytes = b"") -> bytes:
    """One message of the server."""
    return kind + (len(body) + 4).to_bytes(4, "big") + body


class Transport:
    """Notes what is sent, and whether it was aborted."""

    def __init__(self) -> None:
        self.sent = b""
        self.aborted = False

    def set_protocol(self, protocol: object) -> None:
        """Whose it is does not matter."""

    def get_extra_info(self, name: str) -> None:
        """Nothing is known of a socket."""

    def is_closing(self) -> bool:
        """It is open."""
        return False

    def write(self, data: bytes) -> None:
        """Send."""
        self.sent += data

    def abort(self) -> None:
        """Close."""
        self.aborted = True


class Kept(list[bytes]):
    """What the connection's own protocol object receives."""


async def state_of(sql: str, postgres_url: str, make_pool: MakePool) -> tuple[Any, Statement]:
    """asyncpg's prepared statement."""
    pool = await make_pool(postgres_url, max_size=1)
    await pool.fetch(sql, 1)
    (session,) = pool._sessions.idle  # type: ignore[union-attr]
    real: Any = session
    return real._prepared[sql]._state, pool.statements.find(sql)


async def test_every_cut(postgres_url: str, make_pool: MakePool) -> None:
    """Wherever what comes is cut: each gets its rows, and what comes after the last belongs to the
    connection. No message, whatever it is, reaches another one."""
    state, statement = await state_of("SELECT $1::int AS n", postgres_url, make_pool)

    def row(number: int) -> bytes:
        return message(b"D", b"\0\1\0\0\0\4" + number.to_bytes(4, "big"))

    end = message(b"C", b"SELECT 1\0") + message(b"Z", b"I")
    bound = message(b"2")
    parts = [
        (bound + row(5) + row(6) + end, [{"n": 5}, {"n": 6}]),
        (bound + end, []),
        (bound + message(b"N", b"a notice\0") + row(0x5A000000) + end, [{"n": 0x5A000000}]),
        (message(b"E", b"SERROR\0\0") + message(b"Z", b"I"), core.Unanswered),
        (bound + message(b"D", b"\0\2short") + end, core.Unanswered),
        (bound + message(b"?", b"x" * 300) + row(1) + end, [{"n": 1}]),
    ]
    unasked = message(b"S", b"TimeZone\0UTC\0")
    stream = b"".join(part for part, _ in parts) + unasked
    for size in range(1, 600, 5):
        rested: list[bool] = []
        kept = Kept()
        transport = Transport()
        raw = SimpleNamespace(
            _protocol=SimpleNamespace(data_received=kept.append), _transport=transport
        )
        made: Any = postgres_pipeline.pipeline(
            raw,
            [],
            partial(rested.append, True),
            lambda: None,
            lambda: None,
        )
        lanes = [made.admit(statement, state) for _ in parts]
        asked = [lane.fetch((7,)) for lane in lanes]
        made._flush()
        cuts = [0, *range(size, len(stream), size), len(stream)]
        for start, stop in itertools.pairwise(cuts):
            made.data_received(stream[start:stop])
        for future, (_, expected) in zip(asked, parts, strict=True):
            if expected is core.Unanswered:
                assert isinstance(future.exception(), core.Unanswered)
            else:
                assert future.result() == expected
        assert b"".join(kept) == unasked
        assert rested == [True]
        made.give_up()


async def test_bytes_of_any_kind(postgres_url: str, make_pool: MakePool) -> None:
    """Whatever comes in place of answers: each caller hears of its end, and the process lives."""
    state, statement = await state_of("SELECT $1::int AS n", postgres_url, make_pool)
    answer = message(b"2") + message(b"D", b"\0\1\0\0\0\4\0\0\0\7") + message(b"Z", b"I")
    chance = random.Random(7)
    for _ in range(3000):
        transport = Transport()
        raw = SimpleNamespace(
            _protocol=SimpleNamespace(data_received=lambda data: None), _transport=transport
        )
        made: Any = postgres_pipeline.pipeline(raw, [], lambda: None, lambda: None, lambda: None)
        ways = ((made.admit(statement, state), chance.choice(("fetch", "fetchrow"))) for _ in "123")
        asked = [getattr(lane, method)((7,)) for lane, method in ways]
        made._flush()
        stream = bytearray(answer * 3)
        for _ in range(chance.randrange(1, 6)):
            stream[chance.randrange(len(stream))] = chance.randrange(256)
        while stream:
            size = chance.randrange(1, 100)
            made.data_received(bytes(stream[:size]))
            del stream[:size]
        made.give_up()
        assert all(future.done() for future in asked)
        for future in asked:
            future.exception()


def test_wrong_objects() -> None:
    """Are refused, and nothing else happens."""

    async def run() -> None:
        made = core.Core(asyncio.get_running_loop())
        for statement, state in ((None, None), ("SELECT 1", object()), (object(), None)):
            with pytest.raises(TypeError):
                made.admit(statement, state)
        lane = core.CompiledLane()
        asks: list[Callable[[], Any]] = [
            lambda: lane.fetch(()),
            lambda: lane.fetchrow(()),
            lambda: lane.fetchval((), 0),
        ]
        for ask in asks:
            with pytest.raises(RuntimeError):
                ask()
        lane.settle(0)
        lane.lose(None)
        with pytest.raises((TypeError, AttributeError)):
            core.Reads(None, None, None, None, None)

    asyncio.run(run())


async def test_a_lane_is_used_once(postgres_url: str, make_pool: MakePool) -> None:
    """It is nobody's after its answer."""
    state, statement = await state_of("SELECT $1::int AS n", postgres_url, make_pool)
    transport = Transport()
    raw = SimpleNamespace(_protocol=None, _transport=transport)
    made: Any = postgres_pipeline.pipeline(raw, [], lambda: None, lambda: None, lambda: None)
    lane = made.admit(statement, state)
    asked = lane.fetchrow((1,))
    with pytest.raises(RuntimeError):
        lane.fetchrow((1,))
    made.give_up()
    with pytest.raises(core.Unanswered):
        await asked
    with pytest.raises(RuntimeError):
        lane.fetchrow((1,))
    with pytest.raises(ConnectionResetError):
        made.admit(statement, state).fetchrow((1,))


async def test_the_same_is_sent(postgres_url: str, make_pool: MakePool) -> None:
    """Byte for byte what asyncpg's protocol object sends."""
    state, statement = await state_of("SELECT $1::int AS n", postgres_url, make_pool)
    sent = []
    loop = asyncio.get_running_loop()
    for kind in (postgres_pipeline._CompiledPipeline, postgres_pipeline.Pipeline):
        transport = Transport()
        raw = SimpleNamespace(_protocol=None, _transport=transport)
        made: Any = kind(raw, [], lambda: None, lambda: None, lambda: None)
        for method, args in (("fetch", ()), ("fetchrow", ()), ("fetchval", (0,))):
            lane = made.admit(statement, state)
            task = asyncio.ensure_future(getattr(lane, method)((7,), *args), loop=loop)
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.sleep(0)
        made._flush()
        sent.append(transport.sent)
        made.give_up()
    assert sent[0]
    assert sent[0] == sent[1]


def test_another_version_of_asyncpg() -> None:
    """With any other than that which it was compiled for, the Python is used."""
    code = (
        "import asyncpg; asyncpg.__version__ = '0.1'\n"
        "from sanic_ms.db.drivers.postgres import driver as postgres\n"
        "from sanic_ms.db.drivers.postgres import pipeline as postgres_pipeline\n"
        "assert postgres._core is None and postgres_pipeline._core is None"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


async def test_another_loop(postgres_url: str, make_pool: MakePool) -> None:
    """A pool is used on the loop that started it, and nobody is answered on another one."""
    pool = await make_pool(postgres_url, max_size=1)
    await pool.fetchval("SELECT 1")
    with pytest.raises((LifecycleError, DatabaseError)):
        await asyncio.to_thread(asyncio.run, pool.fetchval("SELECT 1"))
