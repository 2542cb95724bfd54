"""Peewee queries and SQLAlchemy Core statements, wherever SQL text is taken."""

from __future__ import annotations

import enum
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import peewee
import pytest
import sqlalchemy as sa

from sanic_ms.db import ConnectionPool
from sanic_ms.exception import StatementError


class Colour(enum.Enum):
    RED = 1


class Upper(sa.types.TypeDecorator[str]):
    """Stored in capitals: a type that the application made."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else value.upper()


@pytest.fixture
def model(table: str) -> Any:
    """A Peewee model that is bound to no database."""

    class Thing(peewee.Model):
        id = peewee.IntegerField(primary_key=True)
        name = peewee.CharField()

        class Meta:
            table_name = table

    return Thing


async def test_peewee_queries(pool: ConnectionPool, model: Any) -> None:
    """Insert, select, update, delete; joins, functions, limits: in the pool's own dialect."""
    assert await pool.execute(model.insert(id=1, name="it's $1 %s ? 100%")) == 1
    assert await pool.execute(model.insert_many([{"id": 2, "name": "b"}, {"id": 3, "name": "c"}]))
    row = await pool.fetchrow(model.select().where(model.id == 1))
    assert row == {"id": 1, "name": "it's $1 %s ? 100%"}
    query = (
        model.select(model.id, peewee.fn.UPPER(model.name).alias("upper"))
        .where((model.id > 1) & (model.name.in_(["b", "c", "$1"])))
        .order_by(model.id.desc())
        .limit(5)
        .offset(0)
    )
    assert await pool.fetch(query) == [{"id": 3, "upper": "C"}, {"id": 2, "upper": "B"}]
    assert [row["id"] async for row in pool.iterate(query)] == [3, 2]
    assert await pool.fetchval(model.select(peewee.fn.COUNT(model.id))) == 3
    assert await pool.execute(model.update(name="x").where(model.id.between(2, 3))) == 2
    async with pool.transaction() as db:
        assert await db.execute(model.delete().where(model.id == 1)) == 1
    other = model.alias()
    joined = model.select(model.id, other.name).join(other, on=(model.id == other.id))
    assert len(await pool.fetch(joined)) == 2


async def test_peewee_without_a_model(pool: ConnectionPool, table: str) -> None:
    """Plain tables work as well."""
    things: Any = peewee.Table(table, ("id", "name"))
    await pool.execute(things.insert({things.id: 1, things.name: "a"}))
    assert await pool.fetchrow(things.select(things.name).where(things.id == 1)) == {"name": "a"}


async def test_a_query_bound_to_another_database(pool: ConnectionPool, model: Any) -> None:
    """The pool's dialect counts, and the model's database is never connected to."""
    for database in (
        peewee.SqliteDatabase("/no/such/folder/x.db"),
        peewee.PostgresqlDatabase("nope", host="203.0.113.1"),
        peewee.MySQLDatabase("nope", host="203.0.113.1"),
    ):
        model.bind(database)
        assert await pool.fetch(model.select().where(model.name.contains("%x_"))) == []


async def test_peewee_values(pool: ConnectionPool, make_table: Any) -> None:
    """Values are bound as Python's own."""
    table = await make_table("id INTEGER, u {uuid}, dt {datetime}, ok BOOLEAN")

    class Thing(peewee.Model):
        id = peewee.IntegerField()
        u = peewee.UUIDField()
        dt = peewee.DateTimeField()
        ok = peewee.BooleanField()

        class Meta:
            table_name = table
            primary_key = False

    values = {"id": 1, "u": uuid4(), "dt": datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "ok": True}
    await pool.execute(Thing.insert(values))
    row = await pool.fetchrow(Thing.select().where(Thing.u == values["u"], Thing.ok == True))  # noqa: E712
    assert row is not None
    assert {**row, "u": UUID(str(row["u"]))} == values


async def test_sqlalchemy_statements(pool: ConnectionPool, table: str) -> None:
    """Core statements compile for the pool's database; IN lists, limits and types included."""
    things = sa.table(table, sa.column("id", sa.Integer), sa.column("name", Upper))
    assert await pool.execute(sa.insert(things).values(id=1, name="it's $1 %s ? 100%")) == 1
    assert await pool.execute(sa.insert(things).values([{"id": 2, "name": "b"}])) == 1
    assert await pool.fetchrow(sa.select(things).where(things.c.id == 1)) == {
        "id": 1,
        "name": "IT'S $1 %S ? 100%",
    }
    query = (
        sa.select(things.c.id, (things.c.id % 2).label("odd"))
        .where(things.c.id.in_([1, 2, 3]))
        .order_by(things.c.id)
        .limit(10)
    )
    assert await pool.fetch(query) == [{"id": 1, "odd": 1}, {"id": 2, "odd": 0}]
    assert [row["id"] async for row in pool.iterate(query)] == [1, 2]
    assert await pool.execute(sa.update(things).where(things.c.id > 0).values(name="x")) == 2
    assert await pool.fetchval(sa.text(f"SELECT name FROM {table} WHERE id = :id").bindparams(id=2))
    assert await pool.execute(sa.delete(things)) == 2
    enums = sa.table(
        table, sa.column("id", sa.Integer), sa.column("name", sa.Enum(Colour, native_enum=False))
    )
    await pool.execute(sa.insert(enums).values(id=9, name=Colour.RED))
    assert await pool.fetchval(f"SELECT name FROM {table} WHERE id = 9") == "RED"


async def test_sqlalchemy_json(pool: ConnectionPool, make_table: Any) -> None:
    """A value of a type that the database has is left to the driver, and not encoded twice."""
    table = await make_table("id INTEGER, j {json}")
    things = sa.table(table, sa.column("id", sa.Integer), sa.column("j", sa.JSON))
    await pool.execute(sa.insert(things).values(id=1, j={"a": [1]}))
    assert await pool.fetchval(f"SELECT j FROM {table}") == {"a": [1]}


async def test_lists_and_tuples_of_sqlalchemy(pool: ConnectionPool, table: str) -> None:
    """Each value of a list is of its column's type, however long; tuples, and a list of nothing."""
    things = sa.table(table, sa.column("id", sa.Integer), sa.column("name", Upper))
    await pool.execute(sa.insert(things).values([{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]))
    names = ["a", *(f"n{number}" for number in range(2000))]
    found = sa.select(things.c.id).where(things.c.name.in_(names))
    assert await pool.fetch(found) == [{"id": 1}]
    assert await pool.fetch(sa.select(things.c.id).where(things.c.name.in_([]))) == []
    pairs = sa.tuple_(things.c.id, things.c.name).in_([(1, "a"), (2, "x")])
    assert await pool.fetch(sa.select(things.c.id).where(pairs)) == [{"id": 1}]


async def test_a_query_takes_no_further_arguments(pool: ConnectionPool, model: Any) -> None:
    """It brings its own; what cannot be compiled is refused with the reason."""
    with pytest.raises(StatementError, match="brings its own values"):
        await pool.fetch(model.select(), 1)
    with pytest.raises(StatementError, match="SQL text already"):
        await pool.fetch(peewee.RawQuery("SELECT 1"))
    with pytest.raises(StatementError, match="SQL text"):
        await pool.executemany(model.insert(id=1), [])
    with pytest.raises(StatementError, match="SQLAlchemy cannot write this"):
        await pool.fetch(sa.select(sa.bindparam("missing", required=True)))


def test_neither_library_is_imported() -> None:
    """A service that uses neither does not pay for them; nor does importing the package load a
    driver."""
    script = (
        "import sys, sanic_ms.db\n"
        "names = 'peewee sqlalchemy asyncpg asyncmy sanic sqlite3'.split()\n"
        "print([name for name in names if name in sys.modules])"
    )
    # Measuring coverage would import sqlite3 itself.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=env
    )
    assert done.stdout.strip() == "[]"
