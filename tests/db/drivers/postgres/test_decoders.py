"""What a decoder of the application's own raises is its caller's, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from sanic_ms.db import ConnectionPool

MakePool = Callable[..., Awaitable[ConnectionPool]]
Settled = Callable[[ConnectionPool], Awaitable[None]]

pytestmark = pytest.mark.usefixtures("way")

SQL = "SELECT $1::int AS n, $2::uuid AS u"
GOOD, BAD = UUID(int=1), UUID(int=2)


class Ending(BaseException):
    """Like KeyboardInterrupt, which would end the test as well."""


async def with_codec(
    pool: ConnectionPool, *, decodes: type[BaseException] | None, encodes: Any = None
) -> int:
    """Set a codec on the one connection of a pool that raises for `BAD`; the process behind it."""

    def decode(text: str) -> UUID:
        if UUID(text) == BAD and decodes is not None:
            raise decodes("bad")
        return UUID(text)

    def encode(value: UUID) -> str:
        if value == BAD and encodes is not None:
            raise encodes("bad")
        return str(value)

    assert pool._sessions is not None
    [session] = pool._sessions._all
    await session.raw.set_type_codec(
        "uuid", schema="pg_catalog", encoder=encode, decoder=decode, format="text"
    )
    for _ in range(2):
        assert await pool.fetchrow(SQL, 0, GOOD) == {"n": 0, "u": GOOD}
    process: int = session.raw.get_server_pid()
    return process


@pytest.mark.parametrize("kind", ["fetch", "fetchrow", "fetchval"])
@pytest.mark.parametrize("error", [Ending, asyncio.CancelledError, GeneratorExit])
async def test_what_a_decoder_raises(
    postgres_url: str,
    make_pool: MakePool,
    settled: Settled,
    error: type[BaseException],
    kind: str,
) -> None:
    """In the middle of others' answers, and of its own: the caller gets it, all others get theirs,
    and the connection goes on."""
    pool = await make_pool(postgres_url, max_size=1)
    process = await with_codec(pool, decodes=error)
    sql = {
        "fetch": "SELECT $1::int AS n, u FROM unnest(ARRAY[$3::uuid, $2::uuid, $3::uuid]) AS u",
        "fetchrow": "SELECT $1::int AS n, $2::uuid AS u, $3::uuid AS w",
        "fetchval": "SELECT $1::int AS n, $2::uuid AS u, $3::uuid AS w",
    }[kind]

    async def ask(n: int) -> object:
        return await getattr(pool, kind)(sql, n, BAD if n % 7 == 3 else GOOD, GOOD)

    await ask(0)
    for _ in range(3):
        found = await asyncio.gather(*map(ask, range(64)), return_exceptions=True)
        for n, answer in enumerate(found):
            if n % 7 == 3:
                assert type(answer) is error
            elif kind == "fetch":
                assert answer == [{"n": n, "u": GOOD}] * 3
            elif kind == "fetchrow":
                assert answer == {"n": n, "u": GOOD, "w": GOOD}
            else:
                assert answer == n
    await settled(pool)
    assert pool.stats() == (1, 1, 0)
    async with pool.acquire() as db:
        assert db.raw.get_server_pid() == process


async def test_in_an_answer_of_many_pieces(
    postgres_url: str, make_pool: MakePool, settled: Settled
) -> None:
    """What comes of an answer after its caller was told is nobody's."""
    pool = await make_pool(postgres_url, max_size=1)
    process = await with_codec(pool, decodes=Ending)
    sql = "SELECT $1::uuid AS u, repeat('x', 100000) AS t FROM generate_series(1, 30) AS n"
    assert len(await pool.fetch(sql, GOOD)) == 30
    found = await asyncio.gather(
        pool.fetchval("SELECT 1 + $1::int", 1),
        pool.fetch(sql, BAD),
        pool.fetchval("SELECT 1 + $1::int", 2),
        pool.fetch(sql, BAD),
        pool.fetch(sql, GOOD),
        return_exceptions=True,
    )
    assert [found[0], found[2]] == [2, 3]
    assert [type(found[1]), type(found[3])] == [Ending, Ending]
    assert isinstance(found[4], list)
    assert len(found[4]) == 30
    await settled(pool)
    async with pool.acquire() as db:
        assert db.raw.get_server_pid() == process


@pytest.mark.parametrize("error", [Ending, asyncio.CancelledError])
async def test_what_an_encoder_raises(
    postgres_url: str, make_pool: MakePool, settled: Settled, error: type[BaseException]
) -> None:
    """Nothing was sent, so nothing is waited for."""
    pool = await make_pool(postgres_url, max_size=1)
    await with_codec(pool, decodes=None, encodes=error)
    for _ in range(3):
        found = await asyncio.gather(
            *(pool.fetchrow(SQL, n, BAD if n % 7 == 3 else GOOD) for n in range(64)),
            return_exceptions=True,
        )
        for n, answer in enumerate(found):
            if n % 7 == 3:
                assert type(answer) is error
            else:
                assert answer == {"n": n, "u": GOOD}
    await settled(pool)
    assert pool.stats() == (1, 1, 0)


@pytest.mark.parametrize("pipeline", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        StopIteration,
        FileNotFoundError,
        TimeoutError,
        EOFError,
        asyncpg.InterfaceError,
        asyncpg.ConnectionDoesNotExistError,
        asyncpg.UniqueViolationError,
    ],
)
async def test_an_error_like_those_of_a_connection(
    postgres_url: str, make_pool: MakePool, error: type[Exception], pipeline: bool
) -> None:
    """It is told apart by its name, everywhere, and the connection is as good as before."""
    pool = await make_pool(postgres_url, max_size=1, pipeline=pipeline)
    process = await with_codec(pool, decodes=error)

    async def acquired() -> object:
        async with pool.acquire() as db:
            return await db.fetchrow(SQL, 1, BAD)

    async with asyncio.timeout(30):
        found = await asyncio.gather(
            *(pool.fetchrow(SQL, n, GOOD) for n in range(8)),
            pool.fetchval(SQL, 1, BAD, column=1),
            pool.fetch(SQL, 1, BAD),
            acquired(),
            *(pool.fetchrow(SQL, n, GOOD) for n in range(8)),
            return_exceptions=True,
        )
    assert found[:8] == found[11:] == [{"n": n, "u": GOOD} for n in range(8)]
    for raised in found[8:11]:
        assert type(raised) is RuntimeError
        assert type(raised.__cause__) is error
        assert f"'uuid' raised {error.__name__}" in str(raised)
    async with pool.acquire() as db:
        assert db.raw.get_server_pid() == process


@pytest.mark.parametrize("pipeline", [True, False])
@pytest.mark.parametrize("error", [Ending, asyncio.CancelledError])
async def test_on_a_connection_of_its_own(
    postgres_url: str, make_pool: MakePool, pipeline: bool, error: type[BaseException]
) -> None:
    """asyncpg's object is left in the middle of the answer there: the connection is closed, and the
    caller gets what was raised all the same."""
    pool = await make_pool(postgres_url, max_size=1, pipeline=pipeline)
    await with_codec(pool, decodes=error)

    async def ask() -> object:
        async with pool.acquire() as db:
            return await db.fetchrow(SQL, 1, BAD)

    [answer] = await asyncio.gather(asyncio.create_task(ask()), return_exceptions=True)
    assert type(answer) is error
    assert await pool.fetchrow(SQL, 2, BAD) == {"n": 2, "u": BAD}


async def test_a_decoder_that_ends_its_own_connection(
    postgres_url: str, make_pool: MakePool, settled: Settled
) -> None:
    """Everybody's read is run again on another one."""
    pool = await make_pool(postgres_url, max_size=1)
    assert pool._sessions is not None
    [session] = pool._sessions._all

    def decode(text: str) -> UUID:
        if UUID(text) == BAD:
            session.raw.terminate()
        return UUID(text)

    await session.raw.set_type_codec(
        "uuid", schema="pg_catalog", encoder=str, decoder=decode, format="text"
    )
    for _ in range(2):
        assert await pool.fetchrow(SQL, 0, GOOD) == {"n": 0, "u": GOOD}
    asked = [(n, BAD if n == 5 else GOOD) for n in range(16)]
    found = await asyncio.gather(*(pool.fetchrow(SQL, *each) for each in asked))
    assert found == [{"n": n, "u": u} for n, u in asked]
    await settled(pool)
    assert pool.stats().size == 1
