"""Models without a database: what they build, for which database, and what they refuse."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import peewee
import pytest

from sanic_ms.db import ConnectionPool
from sanic_ms.db.builders import build, prepare_peewee
from sanic_ms.db.builders.peewee_unbound import UNBOUND
from sanic_ms.exception import DatabaseError, StatementError
from sanic_ms.models import peewee_database


@pytest.fixture(autouse=True)
def prepared() -> None:
    """What the construction of a pool does."""
    prepare_peewee()


class Town(peewee.Model):
    """A model without a database."""

    id: Any = peewee.AutoField()
    name = peewee.CharField()
    founded = peewee.DateTimeField(null=True)
    data = peewee.JSONField(default=dict)
    image = peewee.BlobField(null=True)

    class Meta:
        table_name = "unbound_towns"


EXECUTED: dict[str, Callable[[], Any]] = {
    "get": Town.get,
    "get_by_id": lambda: Town.get_by_id(1),
    "get_or_none": lambda: Town.get_or_none(Town.id == 1),
    "get_or_create": lambda: Town.get_or_create(name="x"),  # type: ignore[no-untyped-call]
    "create": lambda: Town.create(name="x"),
    "save": lambda: Town(name="x").save(),
    "bulk_create": lambda: Town.bulk_create([Town(name="x")]),
    "bulk_update": lambda: Town.bulk_update(  # type: ignore[no-untyped-call]
        [Town(id=1, name="x")], [Town.name]
    ),
    "delete_instance": lambda: Town(id=1).delete_instance(),
    "create_table": Town.create_table,
    "table_exists": Town.table_exists,
    "execute": lambda: Town.select().execute(),
    "insert": lambda: Town.insert(name="x").execute(),
    "update": lambda: Town.update(name="x").execute(),
    "list": lambda: list(Town.select()),
    "for": lambda: [town for town in Town],  # noqa: C416
    "in": lambda: 1 in Town,
    "len": lambda: len(Town.select()),
    "index": lambda: Town.select()[0],
    "count": lambda: Town.select().count(),
    "scalar": lambda: Town.select().scalar(),
    "exists": lambda: Town.select().exists(),
    "first": lambda: Town.select().first(),
    "iterator": lambda: Town.select().iterator(),
    "raw": lambda: list(Town.raw("SELECT 1")),
    "atomic": lambda: Town._meta.database.atomic(),
    "connect": lambda: Town._meta.database.connect(),
}


@pytest.mark.parametrize("name", sorted(EXECUTED))
def test_peewee_executes_nothing(name: str) -> None:
    """The error says what to write instead, whichever way Peewee is asked."""
    with pytest.raises(StatementError, match=r"await request\.app\.db\.fetchrow\(") as caught:
        EXECUTED[name]()
    assert isinstance(caught.value, DatabaseError)
    assert caught.value.status == 500


def test_each_query_is_written_for_its_own_database() -> None:
    """One expression, three databases, at the same time: nothing is bound in between."""
    expression = Town.select(Town.founded.year).where(Town.data["a"] == 1)
    texts = {
        "postgresql": "EXTRACT(year FROM",
        "mysql": "json_extract",
        "sqlite": "date_part($1",
    }
    wrong: list[str] = []

    def write(dialect: Any) -> None:
        for _ in range(200):
            text = build(expression, (), dialect).text
            if texts[dialect] not in text or ("`" in text) != (dialect == "mysql"):
                wrong.append(text)

    threads = [threading.Thread(target=write, args=(dialect,)) for dialect in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert Town._meta.database is UNBOUND


def test_mysql_and_mariadb_compare_json_differently() -> None:
    """Where only one of them has the function, the other one's is written."""
    query = Town.select(Town.id).where(Town.data == {"a": 1})
    assert "CAST($1 AS JSON)" in build(query, (), "mysql").text
    assert "CAST" not in build(query, (), "mysql", mariadb=True).text


def test_a_model_that_is_bound_keeps_its_database() -> None:
    """And one that is bound for a while has none afterwards, with all that Peewee asks."""
    database = peewee_database("sqlite://:memory:")
    with database.bind_ctx([Town]):
        assert Town._meta.database is database
        database.create_tables([Town])
        Town.create(name="Oslo", data={"a": [1]}, image=b"\x00", founded=datetime(1048, 1, 1))
        assert Town.get(Town.data["a"][0] == 1).data == {"a": [1]}
        assert Town.select(Town.founded.year).where(Town.name == "Oslo").scalar() == 1048
    database.close()
    assert Town._meta.database is UNBOUND
    with pytest.raises(StatementError, match="has no database"):
        Town.get()
    assert "date_part" in build(Town.select(Town.founded.year), (), "sqlite").text

    class Bound(peewee.Model):
        name = peewee.CharField()

        class Meta:
            database = peewee.SqliteDatabase(":memory:")

    class Below(Bound):
        pass

    assert Below._meta.database is Bound._meta.database
    assert isinstance(Bound._meta.database, peewee.SqliteDatabase)


def test_a_proxy_is_left_alone() -> None:
    """A database that is named later is the application's affair."""
    proxy = peewee.DatabaseProxy()

    class Later(peewee.Model):
        id: Any = peewee.AutoField()
        data = peewee.JSONField()

        class Meta:
            database = proxy

    database = peewee.SqliteDatabase(":memory:")
    proxy.initialize(database)
    database.create_tables([Later])
    assert Later.create(data={"a": 1}).id == 1
    assert Later.get().data == {"a": 1}
    database.close()


def test_models_of_before_and_after() -> None:
    """Models are served that were defined before there was a pool, and after."""
    script = """
import peewee
from playhouse.shortcuts import ThreadSafeDatabaseMetadata
class Before(peewee.Model):
    at = peewee.DateTimeField()
    data = peewee.JSONField()
class Own(peewee.Model):
    data = peewee.JSONField()
    class Meta:
        database = peewee.SqliteDatabase(":memory:")
        model_metadata_class = ThreadSafeDatabaseMetadata
assert Before._meta.database is None
from sanic_ms.db import ConnectionPool
assert Before._meta.database is None, "importing has changed something"
pool = ConnectionPool("sqlite://:memory:")
assert type(Own._meta.database) is peewee.SqliteDatabase
assert type(Own.data._helper) is peewee.SqliteJSONMethods
class After(peewee.Model):
    at = peewee.DateTimeField()
    data = peewee.JSONField()
for model in (Before, After):
    query = model.select(model.at.year).where(model.data["a"] == 1, model.data.contains([1]))
    print(pool.build(query, ()).text)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert len(done.stdout.splitlines()) == 2


def test_what_a_query_looks_like() -> None:
    """A query can be printed, and asked for its SQL, without a pool."""
    query = Town.select(Town.founded.year).where(Town.data["a"] == 1)
    assert "date_part" in str(query)
    text, values = query.sql()
    assert "unbound_towns" in text
    assert values[0] == "year"


async def test_the_table_name_of_peewee_2(pool: ConnectionPool, table: str) -> None:
    """``Meta.db_table`` names the table in queries, whatever the class is called."""
    with pytest.warns(DeprecationWarning, match="db_table"):

        class SomethingElse(peewee.Model):
            id = peewee.IntegerField(primary_key=True)
            name = peewee.CharField()

            class Meta:
                db_table = table

    await pool.execute(SomethingElse.insert(id=1, name="a"))
    assert await pool.fetch(f"SELECT name FROM {table}") == [{"name": "a"}]
    assert await pool.fetch(SomethingElse.select(SomethingElse.name)) == [{"name": "a"}]


async def test_a_query_takes_the_path_of_its_text(pool: ConnectionPool, table: str) -> None:
    """A query without values to convert is a text like any other: known, proven, and pipelined."""

    class Thing(peewee.Model):
        id = peewee.IntegerField(primary_key=True)
        name = peewee.CharField()

        class Meta:
            table_name = table

    query = Thing.select().where(Thing.id == 1)
    built = pool.build(query, ())
    assert built.conversion is None
    await pool.execute(Thing.insert(id=1, name="a"))
    for _ in range(5):
        assert await pool.fetchrow(query) == {"id": 1, "name": "a"}
        assert await pool.fetch(query) == [{"id": 1, "name": "a"}]
        assert await pool.fetchval(query, column=1) == "a"
    assert pool.statements.find(built.text) is pool.statements.get(built.text, built.args)[0]
