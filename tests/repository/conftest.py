"""One table on each kind of database, described by each library."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import peewee
import pytest
import sqlalchemy as sa

from sanic_ms.db import ConnectionPool
from sanic_ms.models import on_update
from sanic_ms.repository import Repository

TYPES = {
    "postgresql": {"serial": "SERIAL PRIMARY KEY", "moment": "TIMESTAMPTZ", "uuid": "UUID",
                   "json": "JSONB"},
    "mysql": {"serial": "INTEGER PRIMARY KEY AUTO_INCREMENT", "moment": "DATETIME(6)",
              "uuid": "CHAR(36)", "json": "JSON"},
    "sqlite": {"serial": "INTEGER PRIMARY KEY", "moment": "DATETIME", "uuid": "CHAR(36)",
               "json": "JSON"},
}  # fmt: skip

COLUMNS = (
    "id {serial}, name VARCHAR(50) NOT NULL UNIQUE, age INTEGER, city_id INTEGER, "
    "rating DOUBLE PRECISION, uid {uuid}, data {json}, role VARCHAR(20) NOT NULL DEFAULT 'none', "
    "seen {moment}, updated {moment}, version INTEGER NOT NULL DEFAULT 1"
)

FIRST = datetime(2024, 1, 1, tzinfo=UTC)


class Clock:
    """Moments of `updated`: one a second later with each call."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> datetime:
        self.calls += 1
        return FIRST.replace(second=self.calls)


def peewee_model(table: str, clock: Clock) -> Any:
    """The table as a Peewee model; ``city`` is the attribute of a column of another name."""

    class Person(peewee.Model):
        name = peewee.CharField(unique=True)
        age = peewee.IntegerField(null=True)
        city = peewee.IntegerField(null=True, column_name="city_id")
        rating = peewee.FloatField(null=True)
        uid = peewee.UUIDField(null=True)
        data = peewee.JSONField(null=True)
        role = peewee.CharField(default="user")
        seen = peewee.DateTimeField(null=True)
        updated = on_update(peewee.DateTimeField(null=True), clock)
        version = peewee.IntegerField(default=1)

        class Meta:
            table_name = table

    return Person


def sqlalchemy_table(table: str, clock: Clock) -> Any:
    """The same as a SQLAlchemy table."""
    return sa.Table(
        table,
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(50), nullable=False, unique=True),
        sa.Column("age", sa.Integer),
        sa.Column("city_id", sa.Integer, key="city"),
        sa.Column("rating", sa.Float),
        # Text on the databases that have no such type, with the hyphens that the pool writes.
        sa.Column("uid", sa.Uuid().with_variant(HyphenatedUUID(), "mysql", "sqlite")),
        sa.Column("data", sa.JSON(none_as_null=True)),
        sa.Column("role", sa.String(20), nullable=False, default="user"),
        sa.Column("seen", sa.DateTime(timezone=True)),
        sa.Column("updated", sa.DateTime(timezone=True), onupdate=clock),
        sa.Column("version", sa.Integer, nullable=False, default=1),
    )


class HyphenatedUUID(sa.TypeDecorator[uuid.UUID]):
    impl = sa.String(36)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return None if value is None else str(value)

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return None if value is None else uuid.UUID(value)


MAKERS: dict[str, Callable[[str, Clock], Any]] = {
    "peewee": peewee_model,
    "sqlalchemy": sqlalchemy_table,
}


METHODS = ("fetch", "fetchrow", "fetchval", "execute", "executemany", "insert")


@contextlib.contextmanager
def counted(pool: ConnectionPool) -> Iterator[list[str]]:
    """The texts of the statements that the pool runs meanwhile."""
    texts: list[str] = []

    def noted(method: Any) -> Any:
        def call(statement: str, *args: Any, **options: Any) -> Any:
            texts.append(statement)
            return method(statement, *args, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in METHODS:
            patch.setattr(pool, name, noted(getattr(pool, name)))
        yield texts


@pytest.fixture
async def pool(any_database_url: str) -> AsyncIterator[ConnectionPool]:
    """A pool over each kind of database in turn."""
    pool = ConnectionPool(
        any_database_url, max_size=4, acquire_timeout=60.0, connect_timeout=60.0, stop_timeout=0.5
    )
    await pool.start()
    yield pool
    await pool.stop()


@pytest.fixture
def clock() -> Clock:
    """What `updated` is stamped by."""
    return Clock()


@pytest.fixture
async def table(pool: ConnectionPool) -> AsyncIterator[str]:
    """The name of an empty table with `COLUMNS`."""
    name = f"people_{uuid.uuid4().hex[:12]}"
    columns = COLUMNS.format(**TYPES[pool.statements.dialect])
    await pool.execute(f"CREATE TABLE {name} ({columns})")
    yield name
    await pool.execute(f"DROP TABLE {name}")


@pytest.fixture(params=sorted(MAKERS))
def model(request: pytest.FixtureRequest, table: str, clock: Clock) -> Any:
    """The table as each library describes it."""
    return MAKERS[request.param](table, clock)


@pytest.fixture
def people(model: Any, pool: ConnectionPool) -> Repository[dict[str, Any]]:
    """A repository without a class."""
    return Repository(model, pool)


@pytest.fixture
def column(model: Any) -> Callable[[str], Any]:
    """A column of the model, for expressions."""
    if isinstance(model, sa.Table):
        return lambda name: model.c[name]
    return lambda name: getattr(model, name)
