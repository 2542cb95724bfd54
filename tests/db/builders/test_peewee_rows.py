"""Rows of Peewee queries: what is converted, and what is left alone."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import peewee
import pytest
from peewee import Case, fn

from sanic_ms.db import ConnectionPool
from sanic_ms.models import peewee_database, utcnow

AT = dt.datetime(2024, 2, 29, 23, 59, 58, tzinfo=dt.UTC)
UID = uuid.UUID("0c4f1de8-3b1c-4d3f-8a37-2f5b2d0f7a11")
DATA = {"kind": "a", "n": 5, "tags": ["x"], "inner": {"p": None}}


class City(peewee.Model):
    """Where events are."""

    id = peewee.UUIDField(primary_key=True)
    name = peewee.CharField()

    class Meta:
        table_name = f"cities_{uuid.uuid4().hex[:8]}"


class Event(peewee.Model):
    """A row with what a database cannot tell."""

    id = peewee.IntegerField(primary_key=True)
    name = peewee.CharField(default="unnamed")
    at: Any = peewee.DateTimeField(default=utcnow)
    day: Any = peewee.DateField(null=True)
    clock = peewee.TimeField(null=True)
    ok = peewee.BooleanField(default=True)
    data = peewee.JSONField(default=dict)
    uid = peewee.UUIDField(default=uuid.uuid4)
    city = peewee.ForeignKeyField(City, null=True)

    class Meta:
        table_name = f"events_{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def events(pool: ConnectionPool) -> AsyncIterator[ConnectionPool]:
    """A pool with one city and one event in it."""
    assert pool.url is not None
    database = peewee_database(pool.url)
    with database.bind_ctx([City, Event]):
        database.create_tables([City, Event])
    database.close()
    await pool.execute(City.insert(id=UID, name="Oslo"))
    await pool.execute(
        Event.insert(
            id=1, name="Ann.x", at=AT, day=AT.date(), clock=dt.time(1, 2, 3), ok=False, data=DATA,
            uid=UID, city=UID,
        )
    )  # fmt: skip
    yield pool
    for model in (Event, City):
        await pool.execute(f"DROP TABLE {model._meta.table_name}")


async def test_fields_under_other_names_and_of_joined_models(events: ConnectionPool) -> None:
    """An alias, the alias of a model, a foreign key and a joined model's field are converted."""
    query = Event.select(Event.ok.alias("fine"), Event.city, City.id.alias("there"), City.name)
    assert await events.fetchrow(query.join(City)) == {
        "fine": False,
        "city_id": UID,
        "there": UID,
        "name": "Oslo",
    }
    other: Any = Event.alias()
    assert await events.fetchrow(other.select(other.uid, other.data)) == {"uid": UID, "data": DATA}


async def test_functions_that_give_their_argument(events: ConnectionPool) -> None:
    """The largest, the first of several, and the row before are a field's values; not a count."""
    query = Event.select(
        fn.MAX(Event.at).alias("at"),
        fn.MIN(Event.day).alias("day"),
        fn.MAX(Event.clock).alias("clock"),
        fn.COUNT(Event.ok).alias("n"),
        fn.COALESCE(fn.MAX(Event.at), Event.at).alias("nested"),
    ).group_by(Event.at)
    assert await events.fetchrow(query) == {
        "at": AT,
        "day": AT.date(),
        "clock": dt.time(1, 2, 3),
        "n": 1,
        "nested": AT,
    }
    before = Event.select(fn.FIRST_VALUE(Event.uid).over(order_by=[Event.id]).alias("uid"))
    assert await events.fetchval(before) == UID
    assert await events.fetchval(Event.select(fn.COALESCE(Event.uid, Event.uid))) == UID
    assert await events.fetchval(Event.select(fn.COALESCE(Event.data, Event.data))) == DATA
    named = Event.select(fn.MAX(Event.at).python_value(str).alias("at"))
    assert await events.fetchval(named) == str(AT) or events.statements.dialect == "sqlite"


async def test_what_is_no_fields_value_is_left_alone(events: ConnectionPool) -> None:
    """An expression, a cast, a count, raw SQL, and a field that is told not to be converted."""
    query = Event.select(
        (Event.id + 1).alias("ok"),
        Event.uid.cast("CHAR(36)").alias("uid"),
        fn.COUNT(Event.uid).alias("n"),
        peewee.SQL("0").alias("zero"),
        fn.SUM(Event.id).alias("sum"),
    ).group_by(Event.id, Event.uid)
    row = await events.fetchrow(query)
    assert row is not None
    assert (row["ok"], row["uid"].strip(), row["n"], row["zero"], int(row["sum"])) == (
        2, str(UID), 1, 0, 1,
    )  # fmt: skip
    if events.statements.dialect == "sqlite":
        raw = Event.select(Event.ok.coerce(False).alias("ok"))
        assert await events.fetchval(raw) is not False


async def test_subqueries_and_compound_selects(events: ConnectionPool) -> None:
    """The field is found through a subquery, a common table expression, and both sides of UNION."""
    inner = Event.select(Event.uid.alias("u"), fn.MAX(Event.at).alias("latest"), Event.data)
    sub: Any = inner.group_by(Event.uid, Event.data).alias("sub")
    rows = await events.fetch(peewee.Select([sub], [sub.c.u, sub.c.latest, sub.c.data]))
    assert rows == [{"u": UID, "latest": AT, "data": DATA}]
    cte: Any = Event.select(Event.uid, Event.data, Event.clock).cte("c")
    rows = await events.fetch(cte.select_from(cte.c.uid, cte.c.data, cte.c.clock))
    assert rows == [{"uid": UID, "data": DATA, "clock": dt.time(1, 2, 3)}]
    one = Event.select(Event.uid, Event.ok, Event.data).where(Event.id == 1)
    two = Event.select(Event.uid, Event.ok, Event.data).where(Event.id == 2)
    assert await events.fetch(one | two) == [{"uid": UID, "ok": False, "data": DATA}]
    latest = Event.select(fn.MAX(Event.clock))
    row = await events.fetchrow(City.select(City.id, latest.alias("latest")))
    assert row == {"id": UID, "latest": dt.time(1, 2, 3)}


async def test_two_columns_with_one_name(events: ConnectionPool) -> None:
    """A row has the last of them, and so has the conversion."""
    query = Event.select(Event.uid.alias("x"), Event.ok.alias("x"), Event.id)
    assert await events.fetchrow(query) == {"x": False, "id": 1}
    query = Event.select(Event.id.alias("x"), Event.uid.alias("x"))
    assert await events.fetch(query) == [{"x": UID}]
    assert await events.fetchval(query) == 1
    assert await events.fetchval(query, column=1) == UID
    assert await events.fetchval(query, column=-1) == UID


async def test_returning_and_keys(events: ConnectionPool) -> None:
    """What a write gives back is converted as what a read does, and the key of a new row."""
    if events.statements.dialect != "mysql":
        added = Event.insert(id=2, name="b", data={"n": 1}).returning(Event.data, Event.ok)
        assert await events.fetchrow(added) == {"data": {"n": 1}, "ok": True}
        changed = Event.update(ok=False).where(Event.id == 2).returning(Event.ok)
        assert await events.fetch(changed) == [{"ok": False}]
        removed = Event.delete().where(Event.id == 2).returning(Event.uid, Event.clock)
        row = await events.fetchrow(removed)
        assert row is not None
        assert isinstance(row["uid"], uuid.UUID)
        assert row["clock"] is None
        other = uuid.uuid4()
        assert await events.insert(City.insert(id=other, name="Bergen")) == other
        third = uuid.uuid4()
        query = City.insert(id=third, name="Moss").returning(City.id)
        assert await events.insert(query) == third
    # A list of columns and rows without names for them.
    many = Event.insert_many([(7, "x"), (8, "y")], fields=[Event.id, Event.name])
    assert await events.execute(many) == 2
    found = await events.fetch(Event.select(Event.ok, Event.data).where(Event.id > 6))
    assert found == [{"ok": True, "data": {}}] * 2


async def test_defaults_of_a_model(events: ConnectionPool) -> None:
    """They are given to what Peewee inserts, each row its own; SQL text has no model."""
    await events.execute(Event.insert(id=2))
    await events.execute(Event.insert_many([{"id": 3}, {"id": 4, "name": "given"}]))
    rows = await events.fetch(Event.select().where(Event.id > 1).order_by(Event.id))
    assert [row["name"] for row in rows] == ["unnamed", "unnamed", "given"]
    assert [row["data"] for row in rows] == [{}, {}, {}]
    assert len({row["uid"] for row in rows}) == 3
    assert all(abs(row["at"] - utcnow()) < dt.timedelta(seconds=60) for row in rows)


PARTS: dict[str, Callable[[], Any]] = {
    "year": lambda: Event.at.year,
    "month": lambda: Event.at.month,
    "day": lambda: Event.day.day,
    "hour": lambda: Event.clock.hour,
    "second": lambda: Event.at.second,
    "beginning": lambda: Event.at.truncate("month").alias("beginning"),
    "year_of_day": lambda: Event.day.truncate("year").alias("year_of_day"),
    "seconds": lambda: Event.at.to_timestamp().alias("seconds"),
    "kind": lambda: Event.data["kind"],
    "n": lambda: Event.data["n"],
    "inner": lambda: Event.data["inner"],
    "missing": lambda: Event.data["missing"],
    "first": lambda: Event.data["tags"][0].alias("first"),
    "text": lambda: Event.data["kind"].as_text().alias("text"),
    "number": lambda: Event.data["n"].as_int().alias("number"),
    "ratio": lambda: Event.data["n"].as_float().alias("ratio"),
}
EXPECTED = {
    "year": 2024, "month": 2, "day": 29, "hour": 1, "second": 58,
    "beginning": dt.datetime(2024, 2, 1, tzinfo=dt.UTC),
    "year_of_day": dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
    "seconds": int(AT.timestamp()), "kind": "a", "n": 5, "inner": {"p": None}, "missing": None,
    "first": "x", "text": "a", "number": 5, "ratio": 5.0,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PARTS))
async def test_parts_of_dates_and_json(events: ConnectionPool, name: str) -> None:
    """They are selected under one name, and with one value, on every database."""
    assert await events.fetchrow(Event.select(PARTS[name]())) == {name: EXPECTED[name]}
    both = Event.select(PARTS[name]()) | Event.select(PARTS[name]())
    assert await events.fetch(both) == [{name: EXPECTED[name]}]


TRUE: dict[str, Callable[[], Any]] = {
    "year": lambda: Event.at.year == 2024,
    "month of a day": lambda: Event.day.month.in_([1, 2]),
    "truncated": lambda: Event.at.truncate("day") < AT,
    "path": lambda: Event.data["kind"] == "a",
    "path to a number": lambda: Event.data["n"] > 4,
    "path in": lambda: Event.data["kind"].in_(["a", "b"]),
    "path to an object": lambda: Event.data["inner"] == {"p": None},
    "no path": lambda: Event.data["missing"].is_null(),
    "whole": lambda: Event.data == DATA,
    "contains": lambda: Event.data.contains({"kind": "a"}),
    "contained": lambda: Event.data.contained_by({**DATA, "more": 1}),
    "key": lambda: Event.data.has_key("kind"),
    "keys": lambda: Event.data.has_keys(["kind", "n"]),
    "any key": lambda: Event.data.has_any_keys(["kind", "q"]),
    "length": lambda: Event.data["tags"].length() == 1,
    "cast": lambda: Event.data["n"].as_int() == 5,
    "text contains": lambda: Event.name.contains("ANN."),
    "text starts": lambda: Event.name.startswith("ann"),
    "regexp": lambda: Event.name.regexp("^A.n"),
    "ilike": lambda: Event.name.ilike("ann%"),
    "function": lambda: fn.LOWER(Event.name) == "ann.x",
    "joined text": lambda: (Event.name + "!") == "Ann.x!",
    "among ids": lambda: Event.uid.in_([UID, uuid.uuid4()]),
    "id as text": lambda: Event.uid == str(UID),
    "id as 32 digits": lambda: Event.uid == UID.hex,
    "foreign key": lambda: Event.city == UID,
    "model": lambda: Event.city == City(id=UID),
    "subquery": lambda: Event.city.in_(City.select(City.id).where(City.id == UID)),
    "case": lambda: Case(None, [(Event.at.year == 2024, Event.id)], 0) == 1,
}
FALSE: dict[str, Callable[[], Any]] = {
    "year": lambda: Event.at.year == 2023,
    "path": lambda: Event.data["kind"] == "b",
    "contains": lambda: Event.data.contains({"kind": "b"}),
    "contained": lambda: Event.data.contained_by({"kind": "a"}),
    "key": lambda: Event.data.has_key("q"),
    "regexp": lambda: Event.name.regexp("^a.n"),
    "whole": lambda: Event.data == {},
}


@pytest.mark.parametrize("name", sorted(TRUE))
async def test_conditions_that_hold(events: ConnectionPool, name: str) -> None:
    """What Peewee asks a model's database for works without one, in each dialect."""
    assert await events.fetch(Event.select(Event.id).where(TRUE[name]())) == [{"id": 1}]


@pytest.mark.parametrize("name", sorted(FALSE))
async def test_conditions_that_do_not_hold(events: ConnectionPool, name: str) -> None:
    """And is not true of everything."""
    assert await events.fetch(Event.select(Event.id).where(FALSE[name]())) == []


CHANGES: dict[str, tuple[Callable[[], Any], Any]] = {
    "set": (lambda: Event.data["new"].set([1]), {**DATA, "new": [1]}),
    "set null": (lambda: Event.data["new"].set(None), {**DATA, "new": None}),
    "set true": (lambda: Event.data["new"].set(True), {**DATA, "new": True}),
    "insert": (lambda: Event.data["n"].insert(6), DATA),
    "replace": (lambda: Event.data["n"].replace(6), {**DATA, "n": 6}),
    "append": (lambda: Event.data["tags"].append("y"), {**DATA, "tags": ["x", "y"]}),
    "remove": (lambda: Event.data["inner"].remove(), {"kind": "a", "n": 5, "tags": ["x"]}),
    "update": (lambda: Event.data.update({"n": 7}), {**DATA, "n": 7}),
    "case": (
        lambda: Case(Event.id, [(1, Event.data.case_value({"c": 1}))], Event.data),
        {"c": 1},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CHANGES))
async def test_changes_of_json(events: ConnectionPool, name: str) -> None:
    """A part of a JSON column is changed in the database."""
    change, expected = CHANGES[name]
    assert await events.execute(Event.update(data=change()).where(Event.id == 1)) == 1
    assert await events.fetchval(Event.select(Event.data).where(Event.id == 1)) == expected


async def test_conflicts_and_rows_of_defaults(events: ConnectionPool, make_table: Any) -> None:
    """`on_conflict`, and an insert without values."""
    keep = {} if events.statements.dialect == "mysql" else {"conflict_target": [City.id]}
    again = City.insert(id=UID, name="Kristiania").on_conflict(preserve=[City.name], **keep)
    await events.execute(again)
    assert await events.fetchval(City.select(City.name)) == "Kristiania"
    await events.execute(City.insert(id=UID, name="x").on_conflict_ignore())
    assert await events.fetchval(City.select(City.name)) == "Kristiania"
    table = await make_table("id {serial}, name VARCHAR(9)")

    class Plain(peewee.Model):
        name = peewee.CharField(null=True)

        class Meta:
            table_name = table

    assert await events.insert(Plain.insert()) == 1
    assert await events.fetch(Plain.noop()) == []
