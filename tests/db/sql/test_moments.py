"""Moments as arguments: one instant is one value, however it is written, on every database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import peewee
import pytest
import sqlalchemy

from sanic_ms.db import ConnectionPool
from sanic_ms.exception import DataError

MakeTable = Callable[..., Awaitable[str]]

WHOLE = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
EAST = timezone(timedelta(hours=3))
WEST = timezone(timedelta(hours=-5))


def statements(table: str) -> dict[str, tuple[Callable[..., Any], Callable[..., Any]]]:
    """An INSERT and a search for each way to write a statement, as arguments of the pool."""
    meta = type("Meta", (), {"table_name": table})
    fields = {"id": peewee.IntegerField(primary_key=True), "at": peewee.DateTimeField()}
    model: Any = type("Moment", (peewee.Model,), {**fields, "Meta": meta})
    core = sqlalchemy.table(
        table,
        sqlalchemy.column("id", sqlalchemy.Integer),
        sqlalchemy.column("at", sqlalchemy.DateTime),
    )
    return {
        "text": (
            lambda id, at: (f"INSERT INTO {table} (id, at) VALUES ($1, $2)", id, at),
            lambda at: (f"SELECT count(*) FROM {table} WHERE at = $1", at),
        ),
        "peewee": (
            lambda id, at: (model.insert(id=id, at=at),),
            lambda at: (model.select(peewee.fn.COUNT(model.id)).where(model.at == at),),
        ),
        "sqlalchemy": (
            lambda id, at: (sqlalchemy.insert(core).values(id=id, at=at),),
            lambda at: (
                sqlalchemy.select(sqlalchemy.func.count()).select_from(core).where(core.c.at == at),
            ),
        ),
    }


@pytest.mark.parametrize("column", ["datetime", "instant"])
@pytest.mark.parametrize("moment", [WHOLE, WHOLE.replace(microsecond=123456)], ids=["s", "us"])
async def test_one_instant_is_found_by_every_spelling(
    pool: ConnectionPool, make_table: MakeTable, column: str, moment: datetime
) -> None:
    """With a zone, in another zone or without one, which is UTC, stored and searched by any kind of
    statement; and the value of a row finds its row."""
    table = await make_table(f"id INTEGER PRIMARY KEY, at {{{column}}}")
    spellings = (moment, moment.astimezone(EAST), moment.replace(tzinfo=None))
    ways = statements(table).values()
    number = 0
    for insert, _ in ways:
        for spelling in spellings:
            number += 1
            await pool.execute(*insert(number, spelling))
    for _, count in ways:
        for spelling in spellings:
            assert await pool.fetchval(*count(spelling)) == number
    for row in await pool.fetch(f"SELECT at FROM {table}"):
        assert row["at"] == moment
        assert row["at"].tzinfo is UTC
    assert await pool.fetchval(f"SELECT count(DISTINCT at) FROM {table}") == 1


@pytest.mark.parametrize(
    "moment",
    [datetime.max.replace(tzinfo=WEST), datetime.min.replace(tzinfo=EAST)],
    ids=["latest", "earliest"],
)
async def test_a_moment_that_utc_does_not_have_is_a_data_error(
    pool: ConnectionPool, make_table: MakeTable, moment: datetime
) -> None:
    """In UTC it is in the year 10000 or 0."""
    table = await make_table("id INTEGER PRIMARY KEY, at {datetime}, day DATE")
    for column in ("at", "day"):
        with pytest.raises(DataError):
            await pool.execute(f"INSERT INTO {table} (id, {column}) VALUES (1, $1)", moment)
    with pytest.raises(DataError):
        await pool.executemany(f"INSERT INTO {table} (id, at) VALUES ($1, $2)", [(1, moment)])
    assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0
