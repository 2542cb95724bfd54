"""Databases that die, restart, freeze and kill connections: fast errors, and recovery by itself."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable

import pytest

from sanic_ms.db import ConnectionPool
from sanic_ms.exception import DatabaseError, DatabaseUnavailable, PoolExhausted, QueryTimeout

MakePool = Callable[..., Awaitable[ConnectionPool]]
Settled = Callable[[ConnectionPool], Awaitable[None]]


async def test_the_server_restarts(proxy: object, make_pool: MakePool) -> None:
    """While it is away: 503 at once, long before a time limit. When it is back: answers, by
    itself."""
    pool = await make_pool(proxy.url, max_size=4, min_size=3)  # type: ignore[attr-defined]
    await asyncio.gather(*(pool.fetchval("SELECT 1 + $1", 1) for _ in range(8)))
    await proxy.down()  # type: ignore[attr-defined]
    for _ in range(10):
        begin = time.monotonic()
        with pytest.raises(DatabaseUnavailable) as caught:
            await pool.fetchval("SELECT 1 + $1", 1)
        assert time.monotonic() - begin < 10
        assert caught.value.status == 503
        assert caught.value.headers["Retry-After"]
        assert not isinstance(caught.value, PoolExhausted)
    assert (await pool.check()).status == "down"
    await proxy.up()  # type: ignore[attr-defined]
    begin = time.monotonic()
    assert await pool.fetchval("SELECT 1 + $1", 1) == 2
    assert time.monotonic() - begin < 20
    assert (await pool.check()).status == "up"


async def test_the_server_dies_under_load(
    proxy: object, make_pool: MakePool, settled: Settled
) -> None:
    """Every caller has an answer or an error of the framework; none hangs, and all recovers."""
    pool = await make_pool(proxy.url, max_size=4)  # type: ignore[attr-defined]
    stop = asyncio.Event()
    outcomes: list[object] = []

    async def client() -> None:
        while not stop.is_set():
            try:
                async with pool.transaction() as db:
                    outcomes.append(await db.fetchval("SELECT 1 + $1", 1))
            except DatabaseError as exc:
                outcomes.append(exc)
                await asyncio.sleep(0.005)

    clients = [asyncio.create_task(client()) for _ in range(16)]

    async def more(wanted: Callable[[object], bool], number: int) -> None:
        """Wait for so many further outcomes of a kind."""
        begin = len(outcomes)
        while sum(map(wanted, outcomes[begin:])) < number:  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(0.005)

    async with asyncio.timeout(60):
        for _ in range(3):
            await more(lambda outcome: outcome == 2, 10)
            await proxy.down()  # type: ignore[attr-defined]
            await more(lambda outcome: isinstance(outcome, DatabaseError), 10)
            await proxy.up()  # type: ignore[attr-defined]
        await more(lambda outcome: outcome == 2, 10)
        stop.set()
        await asyncio.gather(*clients)
    assert {type(outcome) for outcome in outcomes} <= {int, DatabaseUnavailable}
    assert await pool.fetchval("SELECT 1 + $1", 1) == 2
    await settled(pool)
    assert pool.stats().size <= 4


async def test_idle_connections_that_broke_are_not_lent(proxy: object, make_pool: MakePool) -> None:
    """A connection that was cut while idle costs nobody an error."""
    pool = await make_pool(proxy.url, max_size=4, min_size=4)  # type: ignore[attr-defined]
    for _ in range(5):
        proxy.reset_connections()  # type: ignore[attr-defined]
        await asyncio.sleep(0.02)
        for _ in range(4):
            assert await pool.fetchval("SELECT 1 + $1", 1) == 2


async def test_cut_before_its_first_statement(proxy: object, make_pool: MakePool) -> None:
    """A connection that was lent and is lost before anything was sent is replaced: nothing can have
    been executed. Later it is not, and the caller is told."""
    pool = await make_pool(proxy.url, max_size=4)  # type: ignore[attr-defined]
    async with pool.acquire() as db:
        proxy.reset_connections()  # type: ignore[attr-defined]
        await asyncio.sleep(0.02)
        assert await db.fetchval("SELECT 1 + $1", 1) == 2
        proxy.reset_connections()  # type: ignore[attr-defined]
        await asyncio.sleep(0.02)
        with pytest.raises(DatabaseUnavailable):
            await db.fetchval("SELECT 1 + $1", 1)
    assert await pool.fetchval("SELECT 1 + $1", 1) == 2


async def test_the_network_freezes(proxy: object, make_pool: MakePool) -> None:
    """No answer at all: the statement times out, waiting is bounded, the check says so in time, and
    all is well when the network is back."""
    pool = await make_pool(
        proxy.url,  # type: ignore[attr-defined]
        max_size=2,
        statement_timeout=0.2,
        acquire_timeout=0.3,
        connect_timeout=1.0,
        stop_timeout=0.2,
    )
    proxy.freeze()  # type: ignore[attr-defined]
    begin = time.monotonic()
    results = await asyncio.gather(
        *(pool.fetchval("SELECT 1 + $1", 1) for _ in range(6)), return_exceptions=True
    )
    assert time.monotonic() - begin < 20
    assert {type(result) for result in results} <= {
        QueryTimeout,
        DatabaseUnavailable,
        PoolExhausted,
    }
    begin = time.monotonic()
    assert (await pool.check()).status in ("down", "degraded")
    assert time.monotonic() - begin < 20
    proxy.thaw()  # type: ignore[attr-defined]
    async with asyncio.timeout(60):
        while True:
            try:
                assert await pool.fetchval("SELECT 1 + $1", 1) == 2
                break
            except DatabaseError:
                await asyncio.sleep(0.01)


async def kill(pool: ConnectionPool, number: int) -> None:
    """End a connection from the server's side, by another one."""
    if pool.statements.dialect == "postgresql":
        await pool.fetchval("SELECT pg_terminate_backend($1)", number)
    else:
        await pool.execute(f"KILL {number}")


OWN_NUMBER = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}


async def test_killed_by_the_server(pool: ConnectionPool, settled: Settled) -> None:
    """Idle, in a statement, and in a transaction: an error where something was lost, else none."""
    dialect = pool.statements.dialect
    if dialect == "sqlite":
        pytest.skip("SQLite has no server")
    own = OWN_NUMBER[dialect]
    number = await pool.fetchval(own)
    await settled(pool)
    async with pool.acquire() as held:
        other = await pool.acquire()
        assert await held.fetchval(own) == number
        slow = "SELECT pg_sleep(60)" if dialect == "postgresql" else "SELECT sleep(60)"
        task = asyncio.create_task(held.fetch(slow))
        await asyncio.sleep(0.05)
        await other.execute(
            f"SELECT pg_terminate_backend({number})"
            if dialect == "postgresql"
            else f"KILL {number}"
        )
        with pytest.raises(DatabaseUnavailable):
            await task
        await pool.release(other)

    async def in_transaction() -> None:
        async with pool.transaction() as db:
            await kill(pool, await db.fetchval(own))
            await db.fetchval("SELECT 1 + $1", 1)

    with pytest.raises(DatabaseUnavailable):
        await in_transaction()
    await settled(pool)
    assert await pool.fetchval("SELECT 1 + $1", 1) == 2


async def test_too_many_connections_for_the_server(postgres_url: str, make_pool: MakePool) -> None:
    """A pool larger than what the role may have: callers share what there is."""
    admin = await make_pool(postgres_url)
    role = f"sanic_ms_few_{uuid.uuid4().hex[:12]}"  # roles are for all databases of the server
    await admin.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 2")
    try:
        pool = await make_pool(postgres_url.replace("postgres@", f"{role}@"), max_size=10)
        results = await asyncio.gather(*(pool.fetchval("SELECT 1 + $1", n) for n in range(50)))
        assert results == list(range(1, 51))
        await pool.stop()
    finally:
        await admin.execute(f"DROP ROLE {role}")
