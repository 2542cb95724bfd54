"""A model means the same everywhere: each type of column on each database, through SQL text, Peewee
and SQLAlchemy."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import peewee
import pytest
import sqlalchemy as sa

from sanic_ms.db import ConnectionPool
from sanic_ms.models import peewee_database
from sanic_ms.shapes import dec_hook, to_type

UTC = dt.UTC
MOMENT = dt.datetime(2024, 2, 29, 23, 59, 58, 123456, tzinfo=UTC)
WHOLE = MOMENT.replace(microsecond=0)
UID = uuid.UUID("0c4f1de8-3b1c-4d3f-8a37-2f5b2d0f7a11")


class Upper(peewee.CharField):
    """An application's own field: capitals in the table, small letters in Python."""

    def db_value(self, value: Any) -> Any:
        return None if value is None else value.upper()

    def python_value(self, value: Any) -> Any:
        return None if value is None else value.lower()


class Tags(peewee.TextField):
    """A list as text with commas."""

    def db_value(self, value: Any) -> Any:
        return None if value is None else ",".join(value)

    def python_value(self, value: Any) -> Any:
        return None if value is None else value.split(",")


def fixed_char(**options: Any) -> Any:
    """A field of eight characters."""
    return peewee.FixedCharField(max_length=8, **options)  # type: ignore[call-overload]


@dataclass(frozen=True)
class Case:
    """One type of column.

    Attributes:
        field: Makes the Peewee field.
        value: What is written and read back.
        type: SQLAlchemy's for the same column; None: there is none.
        raw: What the table holds, as SQL text writes it; ``...``: the value itself.
    """

    field: Any
    value: Any
    type: Any = None
    raw: Any = ...


CASES: dict[str, Case] = {
    "big_bit": Case(peewee.BigBitField, b"\x05\x00\xff", sa.LargeBinary()),
    "big_integer": Case(peewee.BigIntegerField, -(2**62), sa.BigInteger()),
    "binary_uuid": Case(peewee.BinaryUUIDField, UID, None, UID.bytes),
    "bit": Case(peewee.BitField, 6, sa.BigInteger()),
    "blob": Case(peewee.BlobField, b"\x00\xff\x80 '\\", sa.LargeBinary()),
    "boolean_false": Case(peewee.BooleanField, False, sa.Boolean()),
    "boolean_true": Case(peewee.BooleanField, True, sa.Boolean()),
    "char": Case(peewee.CharField, "Ann's $1 é", sa.String(255)),
    "date": Case(peewee.DateField, dt.date(2024, 2, 29), sa.Date()),
    "datetime": Case(peewee.DateTimeField, MOMENT, sa.DateTime(timezone=True)),
    "decimal": Case(peewee.DecimalField, Decimal("-12.50000"), sa.Numeric(10, 5)),
    "double": Case(peewee.DoubleField, 0.1, sa.Double()),
    "fixed_char": Case(fixed_char, "abc", None, "abc"),
    "float": Case(peewee.FloatField, 0.25, sa.Float()),
    "integer": Case(peewee.IntegerField, -5, sa.Integer()),
    "ip": Case(peewee.IPField, "10.0.255.1", None, 167837441),
    "json_bool": Case(peewee.JSONField, True, sa.JSON()),
    "json_dict": Case(peewee.JSONField, {"a": [1, None, "é"], "b": {"c": 0.5}}, sa.JSON()),
    "json_list": Case(peewee.JSONField, [1, "two", None], sa.JSON()),
    "json_number": Case(peewee.JSONField, 5, sa.JSON()),
    "json_text": Case(peewee.JSONField, "plain", sa.JSON()),
    "json_text_of_json": Case(peewee.JSONField, '{"a": 1}', sa.JSON()),
    "json_text_of_number": Case(peewee.JSONField, "5", sa.JSON()),
    "small_integer": Case(peewee.SmallIntegerField, 7, sa.SmallInteger()),
    "text": Case(peewee.TextField, "two\nlines", sa.Text()),
    "time": Case(peewee.TimeField, dt.time(1, 2, 3, 456789), sa.Time()),
    "time_whole": Case(peewee.TimeField, dt.time(0, 0), sa.Time()),
    "timestamp": Case(
        lambda **o: peewee.TimestampField(utc=True, **o),
        WHOLE,
        None,
        1709251198,
    ),
    "timestamp_fine": Case(
        lambda **o: peewee.TimestampField(resolution=6, utc=True, **o),
        MOMENT,
        None,
        1709251198123456,
    ),
    "own_upper": Case(Upper, "ann", None, "ANN"),
    "own_tags": Case(Tags, ["a", "b"], None, "a,b"),
    "uuid": Case(peewee.UUIDField, UID, None),
}


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    """Each type of column in turn."""
    return CASES[request.param]


@pytest.fixture
async def model(pool: ConnectionPool, case: Case) -> AsyncIterator[Any]:
    """A model with such a column, whose table is made as migrations make it."""

    class Thing(peewee.Model):
        id = peewee.IntegerField(primary_key=True)
        value = case.field(null=True, default=None)

        class Meta:
            table_name = f"t_{uuid.uuid4().hex[:12]}"

    assert pool.url is not None
    database = peewee_database(pool.url)
    with database.bind_ctx([Thing]):
        database.create_tables([Thing])
    database.close()
    yield Thing
    await pool.execute(f"DROP TABLE {Thing._meta.table_name}")


def equal(model: Any, value: Any) -> Any:
    """The column is the value; Peewee would take a list for several."""
    is_json = isinstance(model.value, peewee.JSONField)
    return model.value == (value if is_json else peewee.Value(value, unpack=False))


def assert_same(found: Any, expected: Any) -> None:
    """The same value, and the same type: ``1 == True`` and ``Decimal(1) == 1.0``."""
    assert found == expected
    assert isinstance(found, type(expected))


async def test_peewee(pool: ConnectionPool, model: Any, case: Case) -> None:
    """A value is written, read the same, and found; NULL too; by each method of a pool, and of a
    connection."""
    await pool.execute(model.insert(id=1, value=case.value))
    await pool.execute(model.insert_many([{"id": 2, "value": None}]))
    everything = model.select().order_by(model.id)
    found = await pool.fetch(everything)
    assert [row["id"] for row in found] == [1, 2]
    assert_same(found[0]["value"], case.value)
    assert found[1]["value"] is None
    one = model.select(model.value.alias("it")).where(equal(model, case.value))
    row = await pool.fetchrow(one)
    assert row is not None
    assert_same(row["it"], case.value)
    assert_same(await pool.fetchval(one), case.value)
    assert await pool.fetchval(model.select(model.id).where(model.value.is_null())) == 2
    assert_same((await anext(pool.iterate(everything)))["value"], case.value)
    async with pool.transaction() as db:
        assert_same((await db.fetch(everything))[0]["value"], case.value)
        assert_same(await db.fetchval(one), case.value)
        row = await db.fetchrow(everything)
        assert row is not None
        assert_same(row["value"], case.value)
        async with db.iterate(everything) as rows:
            assert_same((await anext(rows))["value"], case.value)
        changed = await db.execute(model.update(value=case.value).where(model.id == 2))
        assert changed == 1
    assert await pool.fetchval(model.select(peewee.fn.COUNT(model.id)).where(one._where)) == 2


async def test_what_openapi_says_is_answered(pool: ConnectionPool, model: Any, case: Case) -> None:
    """A row of a query, as JSON, is of the model's shape in an answer."""
    if case.field is Tags:
        pytest.skip("a field of the application's own is documented as the one that it extends")
    await pool.execute(model.insert(id=1, value=case.value))
    row = await pool.fetchrow(model.select())
    shape = to_type(model, "output")
    answer = msgspec.json.encode(row)
    decoded = msgspec.json.decode(answer, type=shape, dec_hook=dec_hook)
    assert decoded["value"] == case.value


async def test_what_peewee_wrote_is_found_by_sql_text_and_back(
    pool: ConnectionPool, model: Any, case: Case
) -> None:
    """Both mean the same by a value: what one has stored the other finds."""
    raw = case.value if case.raw is ... else case.raw
    if isinstance(model.value, peewee.JSONField) and pool.statements.dialect != "postgresql":
        pytest.skip("SQL text cannot tell a text from JSON, and JSON is compared by a function")
    table = model._meta.table_name
    await pool.execute(model.insert(id=1, value=case.value))
    await pool.execute(f"INSERT INTO {table} (id, value) VALUES ($1, $2)", 2, raw)
    ids = await pool.fetch(f"SELECT id FROM {table} WHERE value = $1 ORDER BY id", raw)
    assert ids == [{"id": 1}, {"id": 2}]
    query = model.select().where(equal(model, case.value)).order_by(model.id)
    for row in await pool.fetch(query):
        assert_same(row["value"], case.value)
    assert [row["id"] for row in await pool.fetch(query)] == [1, 2]


async def test_what_peewee_itself_wrote_is_found(
    pool: ConnectionPool, model: Any, case: Case
) -> None:
    """A script's and a migration's rows are like those of the pool."""
    assert pool.url is not None
    database = peewee_database(pool.url)
    with database.bind_ctx([model]):
        model.insert(id=1, value=case.value).execute()
    database.close()
    row = await pool.fetchrow(model.select().where(equal(model, case.value)))
    assert row is not None
    assert_same(row["value"], case.value)


async def test_sqlalchemy(pool: ConnectionPool, model: Any, case: Case) -> None:
    """The same table through SQLAlchemy's types."""
    if case.type is None:
        pytest.skip("SQLAlchemy has no such type")
    things = sa.table(
        model._meta.table_name, sa.column("id", sa.Integer), sa.column("value", case.type)
    )
    await pool.execute(sa.insert(things).values(id=1, value=case.value))
    await pool.execute(sa.insert(things).values(id=2, value=sa.null()))
    everything = sa.select(things).order_by(things.c.id)
    found = await pool.fetch(everything)
    assert_same(found[0]["value"], case.value)
    assert found[1]["value"] is None
    row = await pool.fetchrow(sa.select(things.c.value.label("it")).where(things.c.id == 1))
    assert row is not None
    assert_same(row["it"], case.value)
    assert_same((await anext(pool.iterate(everything)))["value"], case.value)
    if not isinstance(case.type, sa.JSON):
        by_value = sa.select(things.c.id).where(things.c.value == case.value)
        assert await pool.fetchval(by_value) == 1
        assert await pool.fetchval(sa.select(things.c.id).where(things.c.value.in_([case.value])))
    assert await pool.fetchval(sa.select(things.c.id).where(things.c.value.is_(sa.null()))) == 2
    peewee_row = await pool.fetchrow(model.select().where(model.id == 1))
    assert peewee_row is not None
    assert_same(peewee_row["value"], case.value)


class Colour(enum.Enum):
    """A type of the application's."""

    RED = 1


class LocalDateTime(sa.types.TypeDecorator[dt.datetime]):
    """Moments in a zone of the application's."""

    impl = sa.DateTime
    cache_ok = True
    zone = dt.timezone(dt.timedelta(hours=2))

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return None if value is None else value.astimezone(self.zone)


TYPES: dict[str, tuple[Any, Any]] = {
    "decorator": (LocalDateTime(), WHOLE.astimezone(LocalDateTime.zone)),
    "enum": (sa.Enum(Colour, native_enum=False), Colour.RED),
    "enum_of_texts": (sa.Enum("a", "b", native_enum=False), "b"),
    "float": (sa.Float(), 1.5),
    "interval": (sa.Interval(), dt.timedelta(days=2, seconds=3)),
    "numeric_as_float": (sa.Numeric(10, 2, asdecimal=False), 1.5),
    "pickle": (sa.PickleType(), {"a": (1, 2)}),
    "uuid": (sa.Uuid(), UID),
    "uuid_as_text": (sa.Uuid(as_uuid=False), str(UID)),
}


@pytest.mark.parametrize("name", sorted(TYPES))
async def test_types_of_sqlalchemy(pool: ConnectionPool, name: str) -> None:
    """Types that only SQLAlchemy and the application know, in a table that SQLAlchemy makes; lists
    of `IN`, and what RETURNING gives, too."""
    type_, value = TYPES[name]
    things = sa.Table(
        f"t_{uuid.uuid4().hex[:12]}",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("value", type_, nullable=True),
    )
    await pool.execute(sa.schema.CreateTable(things))
    try:
        await pool.execute(sa.insert(things).values([{"id": 1, "value": value}]))
        await pool.execute(sa.insert(things).values(id=2, value=sa.null()))
        found = await pool.fetch(sa.select(things).order_by(things.c.id))
        assert_same(found[0]["value"], value)
        assert found[1]["value"] is None
        if name != "pickle":
            assert await pool.fetchval(sa.select(things.c.id).where(things.c.value == value)) == 1
            among = sa.select(things.c.id).where(things.c.value.in_([value]))
            assert await pool.fetchval(among) == 1
        latest = await pool.fetchval(sa.select(things.c.id, things.c.value), column=1)
        assert_same(latest, value)
        if pool.statements.dialect != "mysql":
            kept = sa.insert(things).values(id=3, value=value).returning(things.c.value)
            assert_same(await pool.fetchval(kept), value)
    finally:
        await pool.execute(sa.schema.DropTable(things))
