"""Numbers that MySQL would round, and integers out of a column's range."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from sanic_ms.db import ConnectionPool
from sanic_ms.exception import DataError

MakePool = Callable[..., Awaitable[ConnectionPool]]


@pytest.fixture
async def pool(mysql_url: str, make_pool: MakePool) -> ConnectionPool:
    """A pool over MySQL or MariaDB."""
    return await make_pool(mysql_url, max_size=2)


@pytest.fixture
async def table(pool: ConnectionPool) -> AsyncIterator[str]:
    """A table of integers and other numbers, with row 1."""
    name = f"n_{uuid.uuid4().hex[:12]}"
    await pool.execute(
        f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, s TINYINT, b BIGINT, d DOUBLE,"
        " p DECIMAL(8, 2), t VARCHAR(20))"
    )
    await pool.execute(f"INSERT INTO {name} (id) VALUES (1)")
    yield name
    await pool.execute(f"DROP TABLE {name}")


@pytest.mark.parametrize("value", [1.9, Decimal("1.9"), 29.999999999999996])
async def test_a_fraction_is_no_integer(pool: ConnectionPool, table: str, value: Any) -> None:
    """It is neither rounded when it is stored nor compared with an integer, where the text of the
    statement tells the column; the error names it, and nothing is stored."""
    for sql, args in (
        (f"INSERT INTO {table} (id, b) VALUES ($1, $2)", (2, value)),
        (f"UPDATE {table} SET b = $1 WHERE id = $2", (value, 1)),
        (f"UPDATE `{table}` SET `p` = $1 WHERE (`id` = $2)", (9.5, value)),
        (f"SELECT id FROM {table} WHERE id = $1", (value,)),
        (f"INSERT INTO {table} VALUES (NULL, $1, NULL, NULL, NULL, NULL)", (value,)),
    ):
        with pytest.raises(DataError, match="is an integer") as caught:
            await pool.execute(sql, *args)
        assert caught.value.column in ("b", "id", None)
        assert caught.value.argument == list(args).index(value) + 1
        assert caught.value.statement == sql
    with pytest.raises(DataError, match="is an integer"):
        await pool.executemany(f"INSERT INTO {table} (id, s) VALUES ($1, $2)", [(3, 1), (4, value)])
    with pytest.raises(DataError, match="is an integer"):
        async for _ in pool.iterate(f"SELECT id FROM {table} WHERE id = $1", value):
            pass
    assert await pool.fetch(f"SELECT id, b, p FROM {table}") == [{"id": 1, "b": None, "p": None}]


async def test_other_columns_take_fractions(pool: ConnectionPool, table: str) -> None:
    """And integer columns whole numbers of every type."""
    sql = f"UPDATE {table} SET d = $1, p = $2, t = $3, b = $4 WHERE id = $5"
    assert await pool.execute(sql, 1.5, Decimal("2.25"), 0.5, 3.0, Decimal("1.0")) == 1
    row = await pool.fetchrow(f"SELECT d, p, t, b FROM {table} WHERE p = $1", Decimal("2.25"))
    assert row == {"d": 1.5, "p": Decimal("2.25"), "t": "0.5", "b": 3}
    with pytest.raises(DataError):
        await pool.execute(f"UPDATE {table} SET p = $1", Decimal("1e1000000"))


async def test_a_column_that_was_an_integer(pool: ConnectionPool, table: str) -> None:
    """A table may change while the service runs: it is looked at once more before it is said."""
    sql = f"UPDATE {table} SET b = $1"
    with pytest.raises(DataError):
        await pool.execute(sql, 1.5)
    await pool.execute(f"ALTER TABLE {table} MODIFY b DOUBLE")
    assert await pool.execute(sql, 1.5) == 1
    assert await pool.fetchval(f"SELECT b FROM {table}") == 1.5


async def test_the_integer_that_is_out_of_range(pool: ConnectionPool, table: str) -> None:
    """It is the one of the column at fault, whatever the size of that column and of others."""
    for sql, args, found in (
        (f"INSERT INTO {table} (id, s) VALUES ($1, $2)", (5, 300), (300,)),
        (f"UPDATE {table} SET b = $1, s = $2 WHERE id = $3", (2**40, 129, 1), (129,)),
        (f"UPDATE {table} SET s = 100 * $1 WHERE id = $2", (2, 1), ()),
    ):
        with pytest.raises(DataError, match="Out of range") as caught:
            await pool.execute(sql, *args)
        assert caught.value.column == "s"
        assert caught.value.out_of_range == found
