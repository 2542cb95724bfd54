"""Finding rows: `get`, `get_many`, `get_by`, `exists`, `count`."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import peewee
import pytest
from tests.repository.conftest import counted

from sanic_ms.db import ConnectionPool
from sanic_ms.exception import NotFound, StatementError
from sanic_ms.repository import Repository

People = Repository[dict[str, Any]]


async def create(people: People, *names: str, **columns: Any) -> list[int]:
    return [(await people.create({"name": name, **columns}))["id"] for name in names]


async def test_a_row_has_the_values_of_its_columns(people: People) -> None:
    """A row reads as a query of the pool does, alike on every database and with both libraries."""
    uid, seen = uuid.uuid4(), datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
    values = {"name": "ann", "age": 3, "city_id": 7, "rating": 0.5, "uid": uid, "seen": seen}
    created = await people.create({**values, "data": {"tags": ["a"], "n": None}})
    row = await people.get(created["id"])
    assert row == created
    assert row == {
        **values,
        "id": created["id"],
        "data": {"tags": ["a"], "n": None},
        "role": "user",
        "updated": None,
        "version": 1,
    }
    assert [*row] == ["id", "name", "age", "city_id", "rating", "uid", "data", "role", "seen",
                      "updated", "version"]  # fmt: skip


async def test_get_of_none_sends_nothing(people: People, pool: ConnectionPool) -> None:
    """NULL is the key of no row."""
    with counted(pool) as texts:
        assert await people.get(None) is None
        assert await people.delete(None) == 0
        assert await people.update(None, {"age": 1}) is None
        with pytest.raises(NotFound):
            await people.get(None, required=True)
    assert texts == []


async def test_get_by_another_column(people: People) -> None:
    """``by`` is a column by its name or attribute; of several rows the first by key is given."""
    first, second = await create(people, "ann", "bob", city_id=5)
    assert (await people.get("bob", by="name") or {})["id"] == second
    assert (await people.get(5, by="city_id") or {})["id"] == first
    assert (await people.get(5, by="city") or {})["id"] == first
    assert await people.get("cy", by="name") is None
    assert (await people.get(("bob", 5), by=("name", "city")) or {})["id"] == second
    assert await people.get(("bob", 6), by=("name", "city")) is None


async def test_a_missing_row_is_not_found_where_it_is_required(people: People) -> None:
    """The error is 404 and names what was looked for."""
    with pytest.raises(NotFound, match=r"no \w+ 99$") as caught:
        await people.get(99, required=True)
    assert caught.value.status == 404
    with pytest.raises(NotFound, match="with name ann"):
        await people.get("ann", by="name", required=True)


async def test_get_many_is_in_the_order_of_its_keys(people: People, pool: ConnectionPool) -> None:
    """One entry for each key: None for a missing one, a row of its own for one that comes twice."""
    one, two = await create(people, "ann", "bob")
    with counted(pool) as texts:
        rows = await people.get_many([two, None, 99, one, two])
    assert [row and row["name"] for row in rows] == ["bob", None, None, "ann", "bob"]
    assert len(texts) == 1
    assert rows[0] is not None
    rows[0]["name"] = "changed"
    assert rows[4] is not None
    assert rows[4]["name"] == "bob"


async def test_get_many_takes_no_single_text(people: People) -> None:
    """Its letters are no keys."""
    with pytest.raises(TypeError, match="give a list of keys"):
        await people.get_many("ann", by="name")


async def test_get_many_of_nothing_sends_nothing(people: People, pool: ConnectionPool) -> None:
    """No key, or none but None, is no statement."""
    with counted(pool) as texts:
        assert await people.get_many([]) == []
        assert await people.get_many([None, None]) == [None, None]
    assert texts == []


async def test_get_many_of_thousands_is_a_few_statements(
    people: People, pool: ConnectionPool
) -> None:
    """A huge list goes in parts, whose texts are few however many lengths lists have."""
    keys = list(range(1, 3001))
    await people.create_many({"id": key, "name": f"n{key}"} for key in keys)
    with counted(pool) as texts:
        rows = await people.get_many(keys)
        for length in range(1, 40):
            await people.get_many(keys[:length])
    assert [row and row["id"] for row in rows] == keys
    assert texts[:3] == [texts[0]] * 2 + [texts[2]]
    assert len(set(texts)) <= 8


async def test_get_many_by_another_column(people: People) -> None:
    """By any column; of several rows with a value the first by key is given."""
    first, _, third = await create(people, "ann", "bob", "cy", city_id=5)
    await people.update(third, {"city_id": 6})
    rows = await people.get_many([6, 5, 7], by="city")
    assert [row and row["id"] for row in rows] == [third, first, None]
    rows = await people.get_many([("bob", 5), ("bob", 6)], by=("name", "city_id"))
    assert [row and row["name"] for row in rows] == ["bob", None]


async def test_get_many_finds_what_the_database_takes_for_equal(
    people: People, pool: ConnectionPool
) -> None:
    """A key of another form, or another case where the collation says so, is found as by `get`."""
    uid = uuid.uuid4()
    await people.create({"name": "ann", "uid": uid})
    by_uid = await people.get_many([str(uid), uid], by="uid")
    assert [row and row["name"] for row in by_uid] == ["ann", "ann"]
    (other_case,) = await people.get_many(["ANN"], by="name")
    assert other_case == await people.get("ANN", by="name")
    assert (other_case is not None) == (pool.statements.dialect == "mysql")


async def test_get_by_values(people: People, column: Callable[[str], Any]) -> None:
    """By values of columns: None is NULL, a list is one of them; or by an expression."""
    one, two, three = await create(people, "ann", "bob", "cy")
    await people.update(two, {"age": 30})
    await people.update(three, {"age": 40})
    assert (await people.get_by(age=None) or {})["id"] == one
    assert (await people.get_by(age=[40, 30]) or {})["id"] == two
    assert (await people.get_by(age=[40, None]) or {})["id"] == one
    assert await people.get_by(age=[]) is None
    assert (await people.get_by(age=(40,), name="cy") or {})["id"] == three
    assert await people.get_by(age=40, name="ann") is None
    assert (await people.get_by(column("age") > 30) or {})["id"] == three
    assert (await people.get_by({"age": 40}) or {})["id"] == three


async def test_count_and_exists(people: People, column: Callable[[str], Any]) -> None:
    """Of all rows, by values, or by an expression."""
    assert (await people.count(), await people.exists()) == (0, False)
    await create(people, "ann", "bob", age=30)
    await create(people, "cy")
    assert (await people.count(), await people.exists()) == (3, True)
    assert (await people.count(age=30), await people.count(age=None)) == (2, 1)
    assert (await people.count(column("age") > 30), await people.count({"age": [30, None]})) == (
        0,
        3,
    )
    assert await people.exists(age=None)
    assert not await people.exists(name="bob", age=None)
    assert await people.exists(column("age") == 30)


async def test_mistakes_in_reading_are_programming_errors(
    people: People, column: Callable[[str], Any], pool: ConnectionPool
) -> None:
    """They name what is wrong, and nothing is sent."""
    with counted(pool) as texts:
        for mistake in (
            lambda: people.get(1, by="nme"),
            lambda: people.get_many([1], by="name; DROP TABLE people"),
            lambda: people.get_by(nme=1),
            lambda: people.count(nme=1),
            lambda: people.exists({"nme": 1}),
            lambda: people.list(order_by="nme"),
            lambda: people.delete(1, by='name" = "name'),
        ):
            with pytest.raises(ValueError, match="has no column") as caught:
                await mistake()
            assert "city_id" in str(caught.value)  # it says which there are
        for wrong in (
            lambda: people.get_by(),
            lambda: people.get(1, by=5),  # type: ignore[call-overload]
            lambda: people.get("ann", by=("name", "age")),
            lambda: people.get(("ann",), by=("name", "age")),
            lambda: people.get_by("name = 'ann'"),
            lambda: people.get_by(column("age") > 3, name="ann"),
            lambda: people.list(from_="SELECT 1"),
        ):
            with pytest.raises(TypeError):
                await wrong()
        with pytest.raises(ValueError, match="by="):
            await people.get(1, by=())
    assert texts == []


async def test_a_table_without_a_primary_key(pool: ConnectionPool, table: str) -> None:
    """Rows are found by columns that are named; the error says so."""

    class View(peewee.Model):
        name = peewee.CharField()

        class Meta:
            table_name = table
            primary_key = False

    view = Repository(View, pool)
    await pool.execute(f"INSERT INTO {table} (name) VALUES ('ann')")
    assert await view.get("ann", by="name") == {"name": "ann"}
    assert await view.get_by(name="ann") == {"name": "ann"}
    assert await view.list() == ([{"name": "ann"}], 1)
    with pytest.raises(TypeError, match="no primary key: say by="):
        await view.get(1)
    with pytest.raises(ValueError, match="may be that of several rows"):
        await view.update("ann", {"name": "bob"}, by="name")


async def test_a_composite_primary_key_is_a_tuple(pool: ConnectionPool) -> None:
    """In the order of the key's columns; anything else is a `TypeError` that says so."""
    table = f"seats_{uuid.uuid4().hex[:8]}"

    class Seat(peewee.Model):
        hall = peewee.IntegerField()
        number = peewee.IntegerField()
        guest = peewee.CharField(null=True)

        class Meta:
            table_name = table
            primary_key = peewee.CompositeKey("hall", "number")

    await pool.execute(
        f"CREATE TABLE {table} (hall INTEGER, number INTEGER, guest VARCHAR(20), "
        "PRIMARY KEY (hall, number))"
    )
    seats = Repository(Seat, pool)
    try:
        assert await seats.create({"hall": 1, "number": 2, "guest": "ann"}) == {
            "hall": 1, "number": 2, "guest": "ann"}  # fmt: skip
        await seats.create_many([{"hall": 1, "number": 1}, {"hall": 2, "number": 1}])
        assert (await seats.get((1, 2)) or {})["guest"] == "ann"
        rows = await seats.get_many([(2, 1), (1, 2), (9, 9), [1, 1]])
        assert [row and (row["hall"], row["number"]) for row in rows] == [
            (2, 1),
            (1, 2),
            None,
            (1, 1),
        ]
        assert (await seats.update((1, 1), {"guest": "bob"}, required=True))["guest"] == "bob"
        assert (await seats.upsert({"hall": 2, "number": 1, "guest": "cy"}))["guest"] == "cy"
        listed, total = await seats.list(order_by="-hall", limit=2)
        assert [(row["hall"], row["number"]) for row in listed] == [(2, 1), (1, 2)]
        assert (total, await seats.delete((2, 1)), await seats.count()) == (3, 1, 2)
        for key in (1, (1,), (1, 2, 3), "12"):
            with pytest.raises(TypeError, match="a tuple of hall, number"):
                await seats.get(key)
    finally:
        await pool.execute(f"DROP TABLE {table}")


async def test_json_is_compared_by_an_expression(any_database_url: str) -> None:
    """Databases do not agree on its form, so a plain comparison is a mistake; NULL is fine."""

    class Entry(peewee.Model):
        data = peewee.JSONField(null=True)

        class Meta:
            table_name = f"entries_{uuid.uuid4().hex[:8]}"

    pool = ConnectionPool(any_database_url)
    await pool.start()
    entries = Repository(Entry, pool)
    try:
        for wrong in (
            lambda: entries.get_by(data={"a": 1}),
            lambda: entries.get({"a": 1}, by="data"),
            lambda: entries.count(data=[1]),
        ):
            with pytest.raises(TypeError, match="data has no plain values to compare"):
                await wrong()
        with pytest.raises(StatementError):  # there is no table: it was sent
            await entries.count(data=None)
    finally:
        await pool.stop()


async def test_a_row_that_a_trigger_swallows(
    people: People, pool: ConnectionPool, table: str
) -> None:
    """`create` says that there is no row to give."""
    if pool.statements.dialect != "postgresql":
        pytest.skip("a trigger cannot do that there")
    await pool.execute(
        f"CREATE FUNCTION swallow_{table}() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RETURN NULL; END $$"
    )
    await pool.execute(
        f"CREATE TRIGGER swallow BEFORE INSERT ON {table} FOR EACH ROW "
        f"EXECUTE FUNCTION swallow_{table}()"
    )
    with pytest.raises(StatementError, match="cannot be read"):
        await people.create({"name": "ann"})
