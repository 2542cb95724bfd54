"""Changing rows: `create`, `create_many`, `update`, `upsert`, `delete`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from msgspec import UNSET, UnsetType
from tests.repository.conftest import FIRST, Clock, counted

from sanic_ms.db import ConnectionPool
from sanic_ms.exception import Conflict, NotFound, NotNullViolation, StaleVersion, UniqueViolation
from sanic_ms.repository import Repository

People = Repository[dict[str, Any]]


class Change(msgspec.Struct):
    name: str | UnsetType = UNSET
    age: int | UnsetType | None = UNSET


@dataclass
class NewPerson:
    name: str
    age: int


async def test_create_fills_in_defaults(people: People) -> None:
    """What is left out has the model's default; None that is passed is NULL all the same."""
    row = await people.create({"name": "ann"})
    assert (row["role"], row["version"], row["age"]) == ("user", 1, None)
    assert (await people.create({"name": "bob", "role": "admin"}))["role"] == "admin"
    with pytest.raises(NotNullViolation):
        await people.create({"name": "cy", "role": None})
    assert await people.count() == 2


async def test_data_may_be_an_instance(people: People) -> None:
    """A Struct or a dataclass is as good as a mapping, and its `UNSET` fields are left out."""
    row = await people.create(NewPerson("ann", 30))
    assert (row["name"], row["age"]) == ("ann", 30)
    changed = await people.update(row["id"], Change(age=None), required=True)
    assert (changed["name"], changed["age"]) == ("ann", None)
    assert (await people.create(Change(name="bob")))["role"] == "user"
    with pytest.raises(TypeError, match="a mapping or a Struct, not list"):
        await people.create([("name", "ann")])


async def test_a_column_may_be_named_by_its_attribute(people: People) -> None:
    """``city`` is the column ``city_id``; both together are a mistake."""
    row = await people.create({"name": "ann", "city": 7})
    assert row["city_id"] == 7
    assert (await people.update(row["id"], {"city": 8}) or {})["city_id"] == 8
    with pytest.raises(ValueError, match="city_id stands twice"):
        await people.create({"name": "bob", "city": 7, "city_id": 7})


async def test_create_gives_the_key_that_the_database_or_the_caller_chose(people: People) -> None:
    """The row is the one that was inserted, also where its key was passed."""
    first, second = await people.create({"name": "a"}), await people.create({"name": "b"})
    assert second["id"] > first["id"]
    assert (await people.create({"id": 500, "name": "c"}))["id"] == 500
    with pytest.raises(UniqueViolation):
        await people.create({"name": "a"})
    assert await people.count() == 3


async def test_create_takes_expressions(people: People, column: Callable[[str], Any]) -> None:
    """The database computes them; JSON beside them is stored as ever."""
    row = await people.create({"name": "ann", "age": 30, "data": [1]})
    changed = await people.update(
        row["id"], {"age": column("age") + 12, "data": {"a": 1}}, required=True
    )
    assert (changed["age"], changed["data"]) == (42, {"a": 1})
    assert await people.get(row["id"]) == changed


async def test_create_many_is_all_or_none(people: People) -> None:
    """The number of rows is given; one that fails undoes the others."""
    assert await people.create_many([{"name": f"n{n}", "age": n} for n in range(5)]) == 5
    assert await people.create_many([{"name": f"j{n}", "data": {"n": n}} for n in range(3)]) == 3
    assert (await people.get_by(name="j2") or {})["data"] == {"n": 2}
    for extra in ({}, {"data": [1]}):
        with pytest.raises(UniqueViolation):
            await people.create_many([{"name": "x", **extra}, {"name": "n1", **extra}])
    assert await people.count() == 8
    # The order of the keys of a row means nothing.
    await people.create_many([{"name": "y", "age": 1}, {"age": 2, "name": "z"}])
    assert (await people.get_by(name="z") or {})["age"] == 2


async def test_create_many_of_rows_that_differ(people: People, pool: ConnectionPool) -> None:
    """No row is no statement; rows with different columns are a mistake."""
    with counted(pool) as texts:
        assert await people.create_many([]) == 0
        assert await people.create_many(iter(())) == 0
        with pytest.raises(ValueError, match="row 1 has not the columns of row 0: age"):
            await people.create_many([{"name": "a", "age": 1}, {"name": "b"}])
    assert texts == []


async def test_update_writes_what_is_passed(people: People) -> None:
    """None is NULL, UNSET and what is left out stay."""
    row = await people.create({"name": "ann", "age": 30, "city_id": 7})
    changed = await people.update(row["id"], {"age": None, "name": UNSET}, required=True)
    assert changed == {**row, "age": None, "updated": changed["updated"]}
    assert await people.get(row["id"]) == changed
    assert (await people.update("ann", {"data": "text"}, by="name") or {})["data"] == "text"


async def test_update_stamps_the_columns_that_are_marked(people: People, clock: Clock) -> None:
    """The column has a new value with each update, unless one is passed."""
    row = await people.create({"name": "ann"})
    assert (row["updated"], clock.calls) == (None, 0)
    changed = await people.update(row["id"], {"age": 1}, required=True)
    assert changed["updated"] == FIRST.replace(second=1)
    changed = await people.update(row["id"], {"age": 2, "updated": FIRST}, required=True)
    assert (changed["updated"], clock.calls) == (FIRST, 1)


async def test_update_with_nothing_to_write(people: People, clock: Clock) -> None:
    """An empty change, as of a PATCH with ``{}``, leaves the row as it is."""
    row = await people.create({"name": "ann"})
    assert await people.update(row["id"], {}) == row
    assert await people.update(row["id"], Change()) == row
    assert await people.update(row["id"], {"id": row["id"]}) == row
    assert await people.update(99, {}) is None
    assert clock.calls == 0


async def test_update_of_a_missing_row(people: People) -> None:
    """None, or 404 where it is required."""
    assert await people.update(99, {"age": 1}) is None
    with pytest.raises(NotFound, match="99"):
        await people.update(99, {"age": 1}, required=True)
    assert await people.count() == 0


async def test_update_to_the_same_values_gives_the_row(people: People) -> None:
    """A row that is matched and not changed is no missing row."""
    row = await people.create({"name": "ann", "age": 1, "updated": FIRST})
    assert await people.update(row["id"], {"age": 1, "updated": FIRST}) == row


async def test_update_may_change_the_column_that_it_finds_by(people: People) -> None:
    """The row is given with the new value; the primary key stays."""
    row = await people.create({"name": "ann"})
    changed = await people.update("ann", {"name": "bob"}, by="name", required=True)
    assert (changed["id"], changed["name"]) == (row["id"], "bob")
    whole = {**changed, "age": 5}
    assert (await people.update(row["id"], whole) or {})["age"] == 5
    with pytest.raises(ValueError, match="does not change the primary key 'id'"):
        await people.update(row["id"], {"id": row["id"] + 1})
    with pytest.raises(ValueError, match="does not change the primary key 'id'"):
        await people.update("bob", {"id": row["id"]}, by="name")


async def test_update_by_a_column_of_several_rows_is_a_mistake(people: People) -> None:
    """Only one row is changed, so the column must be unique."""
    await people.create_many([{"name": "a", "age": 1}, {"name": "b", "age": 1}])
    with pytest.raises(ValueError, match="age may be that of several rows"):
        await people.update(1, {"age": 2}, by="age")
    assert await people.count(age=1) == 2
    row = await people.update(("a", 1), {"age": 2}, by=("name", "age"), required=True)
    assert (row["name"], row["age"]) == ("a", 2)


async def test_delete_gives_the_number_of_rows(people: People) -> None:
    """0 or 1 by primary key, any number by another column."""
    row = await people.create({"name": "ann"})
    await people.create_many([{"name": "b", "age": 1}, {"name": "c", "age": 1}])
    assert (await people.delete(row["id"]), await people.delete(row["id"])) == (1, 0)
    assert await people.delete(1, by="age") == 2
    assert await people.count() == 0


async def test_upsert_inserts_or_changes(people: People, clock: Clock) -> None:
    """Defaults are for a new row; a row that is there gets what is passed, and the stamp."""
    created = await people.upsert({"name": "ann", "age": 1, "role": "admin"}, by="name")
    assert (created["age"], created["role"], created["updated"]) == (1, "admin", None)
    changed = await people.upsert({"name": "ann", "age": None, "data": [1]}, by="name")
    assert changed == {
        **created, "age": None, "data": [1], "updated": FIRST.replace(second=clock.calls)
    }  # fmt: skip
    assert await people.upsert({"name": "ann"}, by="name") == {
        **changed, "updated": FIRST.replace(second=clock.calls)
    }  # fmt: skip
    by_key = await people.upsert({"id": created["id"], "name": "bob"})
    assert (by_key["id"], by_key["name"], by_key["age"]) == (created["id"], "bob", None)
    assert await people.count() == 1


async def test_upsert_needs_the_columns_that_it_finds_by(people: People) -> None:
    """Without them it is a mistake."""
    for data in ({"age": 1}, {"name": None, "age": 1}, {"name": UNSET}):
        with pytest.raises(ValueError, match="needs name"):
            await people.upsert(data, by="name")


async def test_many_upserts_at_once_are_one_row(people: People) -> None:
    """It is one statement: there is no gap between looking and inserting."""
    rows = await asyncio.gather(*(people.upsert({"name": "ann", "age": n}, by="name")
                                  for n in range(8)))  # fmt: skip
    assert len({row["id"] for row in rows}) == 1
    assert await people.count() == 1


async def test_unknown_columns_are_a_mistake(people: People, pool: ConnectionPool) -> None:
    """They are named, whatever writes, and nothing is sent: no column is written by accident."""
    with counted(pool) as texts:
        for write in (
            lambda data: people.create(data),
            lambda data: people.create_many([data]),
            lambda data: people.update(1, data),
            lambda data: people.upsert(data, by="name"),
        ):
            with pytest.raises(ValueError, match=r"has no column 'nme'; it has id, name, age"):
                await write({"name": "ann", "nme": 1})
            with pytest.raises(ValueError, match="has no column 5"):
                await write({5: 1})
    assert texts == []


class TestVersions:
    """A version column: an update is based on what was read."""

    @pytest.fixture
    def people(self, model: Any, pool: ConnectionPool) -> People:
        kind = type("Versioned", (Repository,), {"version": "version"})
        repository: People = kind(model, pool)
        return repository

    async def test_each_update_counts(self, people: People) -> None:
        """A new row has version 1, and each update adds 1, whoever writes the statement."""
        row = await people.create({"name": "ann"})
        assert row["version"] == 1
        row = await people.update(row["id"], {"age": 1, "version": 1}, required=True)
        assert (row["version"], row["age"]) == (2, 1)
        row = await people.update(row["id"], {**row, "data": [1]}, required=True)
        assert (row["version"], row["data"]) == (3, [1])

    async def test_a_stale_version_is_a_conflict(self, people: People) -> None:
        """409, and nothing is written, also where there is nothing to write."""
        row = await people.create({"name": "ann"})
        await people.update(row["id"], {"age": 1, "version": 1})
        for data in ({"age": 2}, {"data": [1]}, {}):
            with pytest.raises(StaleVersion) as caught:
                await people.update(row["id"], {**data, "version": 1})
            assert isinstance(caught.value, Conflict)
            assert caught.value.status == 409
        now = await people.get(row["id"], required=True)
        assert (now["age"], now["version"]) == (1, 2)
        assert await people.update(row["id"], {"version": 2}) == now

    async def test_a_missing_row_is_not_stale(self, people: People) -> None:
        """It is None or 404, as without a version."""
        assert await people.update(99, {"age": 2, "version": 1}) is None
        with pytest.raises(NotFound):
            await people.update(99, {"age": 2, "version": 1}, required=True)

    async def test_the_version_must_be_passed(self, people: People) -> None:
        """An update without it is a mistake of the program."""
        row = await people.create({"name": "ann"})
        for data in ({"age": 1}, {"age": 1, "version": None}):
            with pytest.raises(ValueError, match="the 'version' that was read"):
                await people.update(row["id"], data)

    async def test_of_several_at_once_one_wins(self, people: People) -> None:
        """The others are stale."""
        row = await people.create({"name": "ann"})
        done = await asyncio.gather(
            *(people.update(row["id"], {"age": n, "version": 1}) for n in range(4)),
            return_exceptions=True,
        )
        assert sum(isinstance(entry, StaleVersion) for entry in done) == 3
        assert (await people.get(row["id"], required=True))["version"] == 2

    async def test_upsert_counts_too(self, people: People) -> None:
        """It asks for no version, and the one in its data is not written."""
        first = await people.upsert({"name": "ann", "version": 7}, by="name")
        again = await people.upsert({"name": "ann", "age": 1}, by="name")
        assert (first["version"], again["version"]) == (1, 2)


async def test_using_runs_in_the_callers_transaction(people: People, pool: ConnectionPool) -> None:
    """What `using` writes is rolled back with the rest, and read before the commit."""
    before = await people.create({"name": "ann"})
    with pytest.raises(RuntimeError):  # noqa: PT012
        async with pool.transaction() as tx:
            mine = people.using(tx)
            created = await mine.create({"name": "bob"})
            await mine.update(before["id"], {"age": 1})
            await mine.upsert({"name": "cy"}, by="name")
            await mine.create_many([{"name": "dd", "data": [1]}])
            assert await mine.get(created["id"]) == created
            assert await mine.count() == 4
            raise RuntimeError
    assert await people.list() == ([before], 1)
    async with pool.transaction() as tx:
        await people.using(tx).create({"name": "bob"})
    assert await people.count() == 2


async def test_a_cancelled_write_leaves_the_pool_whole(
    people: People, pool: ConnectionPool
) -> None:
    """Its connection comes back, whatever it was at."""
    for steps in range(6):
        task = asyncio.ensure_future(people.create({"name": f"n{steps}"}))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    row = await people.create({"name": "last"})
    assert await people.get(row["id"]) == row
    async with asyncio.timeout(30):
        while pool.stats().idle != pool.stats().size:  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(0.005)
