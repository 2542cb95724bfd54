"""The key that an INSERT of a query builder gives."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import peewee
import pytest
import sqlalchemy

from sanic_ms.db import ConnectionPool
from sanic_ms.exception import StatementError

MakeTable = Callable[..., Awaitable[str]]

KEY = uuid.UUID(int=7)


def model_of(table: str, **fields: Any) -> Any:
    primary_key = fields.pop("primary_key", None)
    options = {"table_name": table, **({"primary_key": primary_key} if primary_key else {})}
    return type("Row", (peewee.Model,), {**fields, "Meta": type("Meta", (), options)})


async def test_the_key_is_the_primary_key_of_the_model(
    pool: ConnectionPool, make_table: MakeTable
) -> None:
    """Whatever it is called, as the field's value; MySQL tells only numbers that it gave itself."""
    mysql = pool.statements.dialect == "mysql"
    table = await make_table("row_key {uuid} PRIMARY KEY, name VARCHAR(20)")
    row = model_of(
        table,
        key=peewee.UUIDField(primary_key=True, column_name="row_key"),
        name=peewee.CharField(),
    )
    assert await pool.insert(row.insert(key=KEY, name="ann")) == (None if mysql else KEY)
    core = sqlalchemy.Table(
        table,
        sqlalchemy.MetaData(),
        sqlalchemy.Column("row_key", sqlalchemy.String, primary_key=True),
        sqlalchemy.Column("name", sqlalchemy.String),
    )
    if pool.statements.dialect == "sqlite":
        assert await pool.insert(sqlalchemy.insert(core).values(row_key="k", name="bob")) == "k"
    assert await pool.fetchval(f"SELECT name FROM {table} WHERE row_key = $1", KEY) == "ann"
    if not mysql:
        other = row.insert(key=uuid.UUID(int=8), name="cy")
        assert await pool.insert(other, key="name") == "cy"


async def test_a_number_of_the_database_is_the_key_under_any_name(
    pool: ConnectionPool, make_table: MakeTable
) -> None:
    """Of the pool, a connection and a transaction, for Peewee and SQLAlchemy."""
    table = await make_table("number {serial}, name VARCHAR(20)")
    row = model_of(table, number=peewee.AutoField(), name=peewee.CharField())
    core = sqlalchemy.Table(
        table,
        sqlalchemy.MetaData(),
        sqlalchemy.Column("number", sqlalchemy.Integer, primary_key=True),
        sqlalchemy.Column("name", sqlalchemy.String),
    )
    first = await pool.insert(row.insert(name="ann"))
    assert isinstance(first, int)
    async with pool.acquire() as db:
        assert await db.insert(sqlalchemy.insert(core).values(name="bob")) == first + 1
    async with pool.transaction() as db:
        assert await db.insert(row.insert(name="cy")) == first + 2


async def test_a_key_of_several_columns_gives_its_first(
    pool: ConnectionPool, make_table: MakeTable
) -> None:
    """The first one of the composite key."""
    table = await make_table("a INTEGER, b INTEGER, PRIMARY KEY (a, b)")
    row = model_of(
        table,
        a=peewee.IntegerField(),
        b=peewee.IntegerField(),
        primary_key=peewee.CompositeKey("a", "b"),
    )
    key = await pool.insert(row.insert(a=3, b=4))
    assert key == (None if pool.statements.dialect == "mysql" else 3)


@pytest.mark.parametrize("key", ["", 'a"b'])
async def test_a_key_that_is_no_name_is_refused(pool: ConnectionPool, key: str) -> None:
    """An empty one does not mean the default."""
    if pool.statements.dialect == "mysql":
        pytest.skip("MySQL takes no key")
    with pytest.raises(StatementError, match="is no name of a column"):
        await pool.insert("INSERT INTO nothing (a) VALUES (1)", key=key)
