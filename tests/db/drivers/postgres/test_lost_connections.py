"""Connections that the server ends, idle or at work: who is answered, and who is told."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from sanic_ms.db import Connection, ConnectionPool
from sanic_ms.db.drivers.postgres.errors import is_farewell, is_unsent
from sanic_ms.exception import DatabaseUnavailable, QueryTimeout

MakePool = Callable[..., Awaitable[ConnectionPool]]
MakeTable = Callable[..., Awaitable[str]]
Settled = Callable[[ConnectionPool], Awaitable[None]]

pytestmark = pytest.mark.usefixtures("way")

UNSENT = "the connection was lost before the statement was sent"


class Parting(asyncio.Protocol):
    """Hears what a server says, and not that it closes the socket: the moment in between lasts."""

    def __init__(self, usual: Any) -> None:
        self._usual = usual
        self.heard = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._usual, name)

    def data_received(self, data: bytes) -> None:
        self._usual.data_received(data)
        self.heard.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._usual.connection_lost(exc)

    def eof_received(self) -> bool:
        return True


async def part(pool: ConnectionPool, other: ConnectionPool) -> None:
    """Have the server end every connection of a pool, which has heard no more than its words."""
    partings = []
    assert pool._sessions is not None
    for session in pool._sessions._all:
        transport = session.raw._transport
        parting = Parting(transport.get_protocol())
        transport.set_protocol(parting)
        partings.append(parting)
        process = session.raw.get_server_pid()
        assert await other.fetchval("SELECT pg_terminate_backend($1)", process)
    for parting in partings:
        await parting.heard.wait()


async def busy(pool: ConnectionPool, size: int) -> None:
    """Open so many connections, each of which has done plain reads of several callers."""
    held = [await pool.acquire() for _ in range(size)]
    for connection in held:
        await pool.release(connection)
    for _ in range(3):
        await asyncio.gather(*(pool.fetchval("SELECT 1 + $1::int", n) for n in range(8 * size)))


@pytest.mark.parametrize("pipeline", [True, False])
async def test_after_the_last_words_of_the_server(
    postgres_url: str, make_pool: MakePool, pipeline: bool
) -> None:
    """A connection that the server has ended costs nobody an error before its socket is closed,
    whatever is done first, and however many there are."""
    pool = await make_pool(postgres_url, max_size=4, pipeline=pipeline)
    other = await make_pool(postgres_url, max_size=1)
    await busy(pool, 4)

    async def row(n: int) -> object:
        row = await pool.fetchrow("SELECT $1::int AS n", n)
        return None if row is None else row["n"]

    async def value(n: int) -> object:
        return await pool.fetchval("SELECT 0 + $1::int", n)

    async def rows(n: int) -> object:
        [row] = await pool.fetch("SELECT $1::int AS n", n)
        return row["n"]

    async def acquired(n: int) -> object:
        async with pool.acquire() as db:
            return await db.fetchval("SELECT 0 + $1::int", n)

    async def in_transaction(n: int) -> object:
        async with pool.transaction() as db:
            return await db.fetchval("SELECT 0 + $1::int", n)

    async def iterated(n: int) -> object:
        [row] = [row async for row in pool.iterate("SELECT $1::int AS n", n)]
        return row["n"]

    async def executed(n: int) -> object:
        return n + await pool.execute("SELECT 1")

    for ask in (row, value, rows, acquired, in_transaction, iterated, executed):
        await part(pool, other)
        assert await asyncio.gather(*(ask(n) for n in range(64))) == list(range(64))
        await busy(pool, 4)


@pytest.mark.parametrize("pipeline", [True, False])
async def test_who_is_told(postgres_url: str, make_pool: MakePool, pipeline: bool) -> None:
    """What was begun on a connection cannot go on elsewhere: the error says what was lost, in words
    of ours."""
    pool = await make_pool(postgres_url, max_size=1, pipeline=pipeline)
    other = await make_pool(postgres_url, max_size=1)
    await busy(pool, 1)

    async def in_transaction() -> None:
        async with pool.transaction() as db:
            assert await db.fetchval("SELECT 1") == 1
            await part(pool, other)
            await db.fetchval("SELECT 1")

    with pytest.raises(DatabaseUnavailable) as caught:
        await in_transaction()
    assert caught.value.detail == UNSENT
    assert caught.value.__cause__ is not None
    assert is_unsent(caught.value.__cause__)
    async with pool.acquire() as db:
        assert await db.fetchval("SELECT 1") == 1
        await part(pool, other)
        with pytest.raises(DatabaseUnavailable) as caught:
            await db.fetchval("SELECT 1")
    assert caught.value.detail == UNSENT
    assert await pool.fetchval("SELECT 1") == 1


@pytest.mark.parametrize("pipeline", [True, False])
@pytest.mark.parametrize("iterated", [True, False])
async def test_what_replaces_a_lost_one_is_reset_as_well(
    postgres_url: str, make_pool: MakePool, settled: Settled, iterated: bool, pipeline: bool
) -> None:
    """A statement that changes the session is no different where it was sent elsewhere."""
    pool = await make_pool(postgres_url, max_size=1, pipeline=pipeline)
    other = await make_pool(postgres_url, max_size=1)
    await busy(pool, 1)
    await part(pool, other)
    if iterated:
        rows = pool.iterate("SELECT set_config('statement_timeout', '4321', false)")
        assert len([row async for row in rows]) == 1
    else:
        await pool.execute("SET statement_timeout = 4321")
    await settled(pool)
    assert await pool.fetchval("SELECT current_setting('statement_timeout')") != "4321ms"


async def test_all_connections_are_ended_at_once(
    postgres_url: str, make_pool: MakePool, settled: Settled
) -> None:
    """Again and again, while many read: every read has its own answer."""
    pool = await make_pool(f"{postgres_url}?application_name=ended", max_size=10)
    other = await make_pool(postgres_url, max_size=1)
    stop = False
    asked = 0

    async def read() -> None:
        nonlocal asked
        while not stop:
            asked += 1
            n = asked
            assert await pool.fetchval("SELECT 0 + $1::int", n) == n
            assert await pool.fetchrow("SELECT $1::int AS n", n) == {"n": n}
            found = await pool.fetch("SELECT $1::int + i AS n FROM generate_series(1, 2) AS i", n)
            assert found == [{"n": n + 1}, {"n": n + 2}]

    readers = [asyncio.create_task(read()) for _ in range(64)]
    try:
        async with asyncio.timeout(120):
            for _ in range(20):
                ended = await other.fetch(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'ended' AND datname = current_database()"
                )
                assert ended
                before = asked
                while not any(reader.done() for reader in readers):
                    await asyncio.sleep(0)
                    if asked >= before + 256:
                        break
    finally:
        stop = True
        await asyncio.gather(*readers)
    await settled(pool)


async def lock_waiter(other: ConnectionPool, table: str) -> int:
    """The process that waits for the lock on a table, as soon as there is one."""
    while True:
        found: int | None = await other.fetchval(
            "SELECT pid FROM pg_locks WHERE NOT granted AND relation = $1::text::regclass", table
        )
        if found is not None:
            return found


@contextlib.asynccontextmanager
async def waiting_read(
    pool: ConnectionPool, other: ConnectionPool
) -> AsyncIterator[tuple[asyncio.Task[Any], str]]:
    """A plain read that is known, and waits for a table until the end; and that table."""
    table = f"t_{uuid.uuid4().hex[:12]}"
    await other.execute(f"CREATE TABLE {table} (n INTEGER)")
    sql = f"SELECT count(*) FROM {table}"
    try:
        for _ in range(2):
            assert await pool.fetchval(sql) == 0
        async with other.transaction() as db:
            await db.execute(f"LOCK TABLE {table}")
            read = asyncio.create_task(pool.fetchval(sql))
            yield read, table
        await asyncio.wait([read])
    finally:
        await other.execute(f"DROP TABLE {table}")


@pytest.mark.parametrize("ends", [1, 2])
async def test_a_read_is_sent_three_times_at_most(
    postgres_url: str, make_pool: MakePool, ends: int
) -> None:
    """Together with others, on a connection of its own, and on one more that was heard of: what is
    lost then as well may be lost because of that read."""
    pool = await make_pool(postgres_url, max_size=2)
    other = await make_pool(postgres_url, max_size=2)
    async with waiting_read(pool, other) as (read, table):
        # The first is given up by the pool itself, as one that takes long.
        seen = {await lock_waiter(other, table)}
        for _ in range(ends):
            while (process := await lock_waiter(other, table)) in seen:
                pass
            seen.add(process)
            assert await other.fetchval("SELECT pg_terminate_backend($1)", process)
        if ends == 2:
            with pytest.raises(DatabaseUnavailable, match="connection was closed"):
                await read
    if ends == 1:
        assert await read == 0


async def test_a_read_that_is_sent_again_has_no_more_time(
    postgres_url: str, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that it waits and runs is within the time that one has which is sent once."""
    pool = await make_pool(postgres_url, max_size=2, acquire_timeout=0.1, statement_timeout=2.0)
    other = await make_pool(postgres_url, max_size=2)
    limits: list[float | None] = []
    usual = Connection.fetchval

    async def fetchval(self: Connection, *args: Any, timeout: float | None, column: int) -> Any:
        if self._pool is pool:
            limits.append(timeout)
        return await usual(self, *args, timeout=timeout, column=column)

    async with waiting_read(pool, other) as (read, table):
        first = await lock_waiter(other, table)
        while (process := await lock_waiter(other, table)) == first:
            pass
        await asyncio.wait([read], timeout=0.7)
        monkeypatch.setattr(Connection, "fetchval", fetchval)
        await other.execute("SELECT pg_terminate_backend($1)", process)
        with pytest.raises(QueryTimeout):
            await read
    [again] = limits
    assert again is not None
    assert again <= 1.4


@pytest.mark.parametrize(
    ("data", "is_last"),
    [
        (b"E\0\0\0\x20SFATAL\0VFATAL\0C57P01\0Mno\0\0Z\0\0\0\x05I", True),
        (b"E\0\0\0\x20SFATAL\0C08P01\0Mno\0\0", True),
        (b"E\0\0\0\x2aSKRITISCH\0VPANIC\0C57P01\0Mno\0\0", True),
        (b"E\0\0\0\x20SERROR\0VERROR\0C57014\0Mno\0\0", False),
        (b"E\0\0\0\x1bSERROR\0VERROR\0C57014\0M\0\0D\0\0\0\x20\0\x01\0\0\0\x08\0VFATAL\0", False),
        (b"E\0\0\0", False),
        (b"N\0\0\0\x20SFATAL\0VFATAL\0C57P01\0Mno\0\0", False),
    ],
)
def test_the_last_words_of_a_server(data: bytes, is_last: bool) -> None:
    """They are known by their severity, whatever language that is told in."""
    assert is_farewell(data) is is_last
