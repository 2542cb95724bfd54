"""The connections to one address: who gets what becomes free."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from sanic_ms.client.transport.connection import ClientConnection
from sanic_ms.client.transport.pool import Pool, PoolClosed

ServeRaw = Callable[..., Awaitable[Any]]


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Stay connected until the other side leaves."""
    await reader.read()


@pytest.fixture
async def pool(serve_raw: ServeRaw) -> AsyncIterator[Pool]:
    """A pool of one connection."""
    raw = await serve_raw(hold)
    pool = Pool(
        "127.0.0.1",
        raw.port,
        loop=asyncio.get_running_loop(),
        limit=1,
        keep_alive=600,
        max_age=600,
    )
    yield pool
    pool.close()
    await pool.gone


async def waiting(pool: Pool, number: int) -> list[asyncio.Task[ClientConnection]]:
    """So many calls that wait for a connection."""
    tasks = [asyncio.ensure_future(pool.acquire()) for _ in range(number)]
    await asyncio.sleep(0)
    return tasks


async def cancelled(task: asyncio.Task[ClientConnection]) -> None:
    """Cancel it, and let it notice."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("following", [0, 1])
async def test_a_connection_given_to_a_call_that_is_cancelled_goes_on(
    pool: Pool, following: int
) -> None:
    """It was handed over, and the call was cancelled before it knew: the next in line gets the
    connection, or it is kept for the next call."""
    connection = await pool.acquire()
    first, *others = await waiting(pool, 1 + following)
    pool.released(connection)
    await cancelled(first)
    again = others or await waiting(pool, 1)
    assert await asyncio.wait_for(again[0], 20) is connection


@pytest.mark.parametrize("following", [0, 1])
async def test_a_place_given_to_a_call_that_is_cancelled_goes_on(
    pool: Pool, following: int
) -> None:
    """The connection was closed, so its place is handed over, and the call was cancelled before it
    knew: another call opens the next connection in it."""
    connection = await pool.acquire()
    first, *others = await waiting(pool, 1 + following)
    pool.lost(connection)
    await cancelled(first)
    again = others or await waiting(pool, 1)
    assert await asyncio.wait_for(again[0], 20) is not connection
    connection.drop()


async def test_a_connection_that_ended_on_its_way_to_a_cancelled_call_is_dropped(
    pool: Pool,
) -> None:
    """Its place is free as soon as its socket is closed."""
    connection = await pool.acquire()
    [first] = await waiting(pool, 1)
    pool.released(connection)
    connection.drop()
    await cancelled(first)
    [second] = await waiting(pool, 1)
    assert await asyncio.wait_for(second, 20) is not connection


async def test_a_call_that_leaves_the_line_is_forgotten(pool: Pool) -> None:
    """A pool that nobody waits for is unused, also after thousands that were cancelled."""
    connection = await pool.acquire()
    for task in await waiting(pool, 1000):
        await cancelled(task)
    assert not pool._waiters
    connection.drop()
    async with asyncio.timeout(20):
        while not pool.is_unused:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_a_cancelled_attempt_to_connect_gives_its_place_back(pool: Pool) -> None:
    """At whatever moment: the next call connects."""
    for turns in range(8):
        task = asyncio.ensure_future(pool.acquire())
        for _ in range(turns):
            await asyncio.sleep(0)
        if not task.done():
            await cancelled(task)
        else:
            task.result().drop()
    connection = await asyncio.wait_for(pool.acquire(), 20)
    assert connection.usable(pool.loop.time())


async def test_those_that_wait_at_the_end_are_told(pool: Pool) -> None:
    """Closing the pool fails them, and a later call as well."""
    await pool.acquire()
    tasks = await waiting(pool, 2)
    pool.close()
    for task in (*tasks, asyncio.ensure_future(pool.acquire())):
        with pytest.raises(PoolClosed):
            await task
