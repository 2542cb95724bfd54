"""Values that PostgreSQL has and Python has not, and numbers that are no integers: on every path of
a statement, compiled and in Python."""

from __future__ import annotations

import math
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import asyncpg
import pytest

from sanic_ms.db import ConnectionPool
from sanic_ms.exception import DataError

MakePool = Callable[..., Awaitable[ConnectionPool]]

pytestmark = pytest.mark.usefixtures("way")

LAST, FIRST = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)


@pytest.fixture
async def postgres(postgres_url: str, make_pool: MakePool) -> ConnectionPool:
    """A pool with one connection, on which every statement is prepared when it runs again."""
    return await make_pool(postgres_url, max_size=1)


@pytest.fixture
async def numbers(postgres: ConnectionPool) -> AsyncIterator[str]:
    """A table of integers of all sizes, with row 1."""
    name = f"n_{uuid.uuid4().hex[:12]}"
    await postgres.execute(
        f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, s SMALLINT, b BIGINT, a INTEGER[],"
        " r INT4RANGE, d DOUBLE PRECISION)"
    )
    await postgres.execute(f"INSERT INTO {name} (id) VALUES (1)")
    yield name
    await postgres.execute(f"DROP TABLE {name}")


async def everywhere(pool: ConnectionPool, sql: str, *args: Any) -> list[Any]:
    """The value of a SELECT, or what it raises, on each path: by itself, prepared, pipelined, on an
    acquired connection, and by a cursor."""

    async def iterated() -> Any:
        rows = [row async for row in pool.iterate(sql, *args)]
        return next(iter(rows[0].values()))

    async def acquired() -> Any:
        async with pool.acquire() as connection:
            return await connection.fetchval(sql, *args)

    async def fetched() -> Any:
        return next(iter((await pool.fetch(sql, *args))[0].values()))

    found = []
    for ask in (*[lambda: pool.fetchval(sql, *args)] * 4, fetched, acquired, iterated):
        try:
            found.append(await ask())
        except Exception as exc:
            found.append(exc)
    return found


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("'infinity'::timestamptz", LAST),
        ("'-infinity'::timestamptz", FIRST),
        ("'infinity'::timestamp", LAST),
        ("'-infinity'::timestamp", FIRST),
        ("'infinity'::date", date.max),
        ("'-infinity'::date", date.min),
        ("'9999-12-31'::date", date.max),
        ("'0001-01-01'::date", date.min),
        ("'9999-12-31 23:59:59.999999+00'::timestamptz", LAST),
        ("'0001-01-01 00:00+00'::timestamptz", FIRST),
        (
            "ARRAY['infinity'::timestamptz, '2024-01-02+00']",
            [LAST, datetime(2024, 1, 2, tzinfo=UTC)],
        ),
        ("ARRAY['infinity'::date]", [date.max]),
        ("'[2024-01-01+00,infinity)'::tstzrange", None),
    ],
)
async def test_infinity_is_the_last_moment_and_has_a_zone(
    postgres: ConnectionPool, sql: str, value: Any
) -> None:
    """Every moment comes in UTC and says so, an infinite one too, also in an array or a range."""
    for found in await everywhere(postgres, f"SELECT {sql}"):
        if value is None:
            assert (found.lower.tzinfo, found.upper) == (UTC, LAST)
        else:
            assert found == value
            assert type(found) is type(value)


@pytest.mark.parametrize(
    "sql",
    [
        "'0044-03-15 BC'::date",
        "'0044-03-15 BC'::timestamp",
        "'0044-03-15 BC'::timestamptz",
        "'12000-01-01'::date",
        "'12000-01-01'::timestamp",
        "'12000-01-01'::timestamptz",
        "'24:00'::time",
        "'24:00+01'::timetz",
        "'100000000 years'::interval",
        "'1e400'::json",
        "'[1, {\"a\": -1e400}]'::json",
        "'\"\\ud800\"'::json",
        "ARRAY['24:00'::time]",
        "ROW(1, '12000-01-01'::date)",
        "'[2024-01-01,12000-01-01]'::daterange",
    ],
)
async def test_what_python_cannot_hold_is_a_data_error(postgres: ConnectionPool, sql: str) -> None:
    """The statement is named, and the connection stays as good as it was."""
    for error in await everywhere(postgres, f"SELECT {sql} FROM generate_series(1, 3)"):
        assert type(error) is DataError, repr(error)
        assert "Python" in str(error)
        assert error.statement is not None
        assert error.statement.startswith("SELECT ")
    assert await postgres.fetchval("SELECT 7") == 7
    assert postgres.stats() == (1, 1, 0)


async def test_moments_round_trip(postgres: ConnectionPool) -> None:
    """One without a zone counts as UTC, for both types; a date is its midnight in UTC."""
    paris = timezone(timedelta(hours=1))
    for kind in ("timestamp", "timestamptz"):
        sql = f"SELECT $1::{kind}"
        for value, stored in (
            (datetime(2024, 1, 2, 3, 4, 5, 6), datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC)),
            (datetime(2024, 1, 2, tzinfo=paris), datetime(2024, 1, 1, 23, tzinfo=UTC)),
            (date(2024, 1, 2), datetime(2024, 1, 2, tzinfo=UTC)),
            (datetime.max, LAST),
            (LAST, LAST),
            (FIRST, FIRST),
        ):
            assert await everywhere(postgres, sql, value) == [stored] * 7
        assert await postgres.fetchval(f"SELECT $1::{kind}::text", LAST) == "infinity"
        assert await postgres.fetchval(f"SELECT $1::{kind}::text", datetime.min) == "-infinity"
        for beyond in (
            datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
            datetime.min.replace(tzinfo=paris),
        ):
            for error in await everywhere(postgres, sql, beyond):
                assert type(error) is DataError
                assert "1 to 9999" in str(error)


@pytest.mark.parametrize(
    "value", [1.9, Decimal("1.9"), 0.999999, math.nan, math.inf, Fraction(3, 2)]
)
async def test_a_fraction_is_no_integer(postgres: ConnectionPool, numbers: str, value: Any) -> None:
    """It is neither cut off when it is stored nor when it is compared; the error has its number."""
    for column in ("id", "s", "b"):
        found = await everywhere(postgres, f"SELECT id FROM {numbers} WHERE {column} = $1", value)
        for error in found:
            assert type(error) is DataError
            assert "query argument $1: " in str(error)
            assert "not an integer" in str(error)
    for sql, argument in (
        (f"UPDATE {numbers} SET b = $1 WHERE id = 1", value),
        (f"SELECT id FROM {numbers} WHERE id = ANY($1)", [[1], [value]][1]),
        (f"UPDATE {numbers} SET a = $1", [1, value]),
        (f"UPDATE {numbers} SET r = $1", asyncpg.Range(0, value)),
        (f"INSERT INTO {numbers} (id) VALUES ($1)", value),
    ):
        for _ in range(3):
            with pytest.raises(DataError, match="not an integer"):
                await postgres.execute(sql, argument)
    with pytest.raises(DataError, match="not an integer"):
        await postgres.executemany(f"INSERT INTO {numbers} (id) VALUES ($1)", [(2,), (value,)])
    assert await postgres.fetch(f"SELECT id, s, b, a, r FROM {numbers}") == [
        {"id": 1, "s": None, "b": None, "a": None, "r": None}
    ]
    assert postgres.stats() == (1, 1, 0)


async def test_a_whole_number_is_an_integer(postgres: ConnectionPool, numbers: str) -> None:
    """``1.0`` loses nothing. A floating column takes every number."""
    for value in (1, 1.0, Decimal("1"), Decimal("1.00"), True):
        sql = f"SELECT id FROM {numbers} WHERE id = $1"
        assert await everywhere(postgres, sql, value) == [1] * 7
        assert await postgres.fetchval(f"SELECT id FROM {numbers} WHERE id = ANY($1)", [value]) == 1
    for value in (1.9, Decimal("0.5")):
        assert await postgres.execute(f"UPDATE {numbers} SET d = $1", value) == 1
        found = await everywhere(postgres, f"SELECT d FROM {numbers} WHERE d = $1", value)
        assert found == [float(value)] * 7


async def test_a_decoder_of_the_application_raises_what_it_likes(postgres: ConnectionPool) -> None:
    """Its ValueError is its own: it is none of asyncpg's, and stays as it is."""

    def decode(text: str) -> Any:
        raise ValueError("mine")

    assert postgres._sessions is not None
    [session] = postgres._sessions._all
    await session.raw.set_type_codec(
        "uuid", schema="pg_catalog", encoder=str, decoder=decode, format="text"
    )
    for error in await everywhere(postgres, "SELECT $1::uuid", uuid.UUID(int=1)):
        assert type(error) is ValueError
        assert str(error) == "mine"
        assert "decoder of 'uuid'" in error.__notes__[0]
    assert await postgres.fetchval("SELECT 7") == 7


async def test_rows_of_arguments_raise_what_they_like(
    postgres: ConnectionPool, numbers: str
) -> None:
    """A ValueError of the iterable given to `executemany` is the caller's own."""

    def rows() -> Any:
        yield (2,)
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        await postgres.executemany(f"INSERT INTO {numbers} (id) VALUES ($1)", rows())
    assert await postgres.fetchval(f"SELECT count(*) FROM {numbers}") == 1
