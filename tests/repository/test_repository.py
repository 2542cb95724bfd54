"""`Repository` itself: how it is made, injected, and what rows are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict, TypeVar
from uuid import UUID, uuid4

import msgspec
import peewee
import pytest
import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.orm import DeclarativeBase, mapped_column

from sanic_ms import Cursor, CursorPagination, Offset, OffsetPagination, Page, Pagination, Service
from sanic_ms.db import ConnectionPool, Row
from sanic_ms.exception import LifecycleError
from sanic_ms.http import Body
from sanic_ms.models import on_update
from sanic_ms.repository import Repository, fetch_page
from sanic_ms.testing import TestClient

T = TypeVar("T")


class User(peewee.Model):
    name = peewee.CharField(unique=True)
    age = peewee.IntegerField(null=True)

    class Meta:
        table_name = "users"


class UserRow(msgspec.Struct):
    id: int
    name: str
    age: int | None


class Users(Repository[UserRow]):
    model = User


@pytest.fixture
async def pool() -> AsyncIterator[ConnectionPool]:
    """SQLite in memory, with the table of `User`."""
    pool = ConnectionPool("sqlite://:memory:")
    await pool.start()
    await pool.execute(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name VARCHAR(50) UNIQUE, age INTEGER)"
    )
    yield pool
    await pool.stop()


async def test_every_method_gives_the_class(pool: ConnectionPool) -> None:
    """Wherever a row is given it is an instance, and None stays None."""
    users = Users(pool)
    ann = await users.create({"name": "ann"})
    assert ann == UserRow(1, "ann", None)
    assert await users.update(1, {"age": 3}) == UserRow(1, "ann", 3)
    assert await users.update(1, {}) == UserRow(1, "ann", 3)
    assert await users.upsert({"name": "ann", "age": 4}, by="name") == UserRow(1, "ann", 4)
    row = UserRow(1, "ann", 4)
    assert await users.get(1) == row
    assert await users.get_many([1, 2, 1]) == [row, None, row]
    assert await users.get_by(name="ann") == row
    assert await users.list() == ([row], 1)
    assert await users.list(limit=1) == ([row], 1)
    assert await users.page(Page()) == ([row], Pagination(1, 20, 1, 1))
    assert await users.page(Cursor()) == ([row], CursorPagination(20, None))
    assert await users.get(2) is None
    assert await users.get_by(name="x") is None
    assert await users.update(2, {"age": 1}) is None


class Renamed(msgspec.Struct, rename="camel"):
    id: int
    name: str
    age: int | None


@dataclass
class AsDataclass:
    id: int
    name: str


class AsModel(BaseModel):
    id: int
    name: str


class AsDict(TypedDict):
    id: int


async def test_rows_may_be_of_several_kinds_of_class(pool: ConnectionPool) -> None:
    """Structs, with other names on the wire too; dataclasses, pydantic models, and dicts."""
    await Repository(User, pool).create({"name": "ann", "age": 3})
    whole = {"id": 1, "name": "ann", "age": 3}
    for type_, expected in (
        (Renamed, Renamed(1, "ann", 3)),
        (AsDataclass, AsDataclass(1, "ann")),
        (AsModel, AsModel(id=1, name="ann")),
        (AsDict, whole),
        (dict, whole),
        (Row, whole),
    ):
        assert await Repository(User, pool, type=type_).get(1) == expected
    for wrong in (int, list[int], "UserRow", User):
        with pytest.raises(TypeError, match="rows can be a Struct"):
            Repository(User, pool, type=wrong)  # type: ignore[arg-type]


async def test_a_class_may_stand_between(pool: ConnectionPool) -> None:
    """A generic base of the application's own, and a subclass of a repository."""

    class Base(Repository[T]):
        async def first(self) -> T | None:
            rows, _ = await self.list(limit=1)
            return rows[0] if rows else None

    class People(Base[UserRow]):
        model = User

    class Adults(People):
        async def names(self) -> list[Any]:
            rows = await self.db.fetch("SELECT name FROM users WHERE age > 17")
            return [row["name"] for row in rows]

    adults = Adults(pool)
    assert await adults.first() is None
    await adults.create({"name": "ann", "age": 30})
    assert await adults.first() == UserRow(1, "ann", 30)
    async with pool.transaction() as tx:
        mine = adults.using(tx)
        assert (type(mine), await mine.names()) == (Adults, ["ann"])


async def test_mistakes_in_making_one(pool: ConnectionPool) -> None:
    """They are told when it is made, and say what is wrong."""
    for model in (object, "users", Service, None, 5):
        with pytest.raises(TypeError):
            Repository(model, pool)
    with pytest.raises(TypeError, match="db is a ConnectionPool or a Connection"):
        Users("sqlite://")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="has no model"):
        Repository(pool)
    with pytest.raises(TypeError, match="a connection or a pool"):
        Users(pool).using(None)  # type: ignore[arg-type]
    broken = type("Broken", (Users,), {"version": "version"})
    with pytest.raises(ValueError, match="user has no column 'version'; it has id, name, age"):
        broken(pool)
    assert "user" in repr(Users(pool))


async def test_a_pool_that_has_not_started(pool: ConnectionPool) -> None:
    """The repository may be made before; a call says what is missing, and works afterwards."""
    later = ConnectionPool("sqlite://:memory:")
    users = Users(later)
    with pytest.raises(LifecycleError):
        await users.get(1)
    await later.start()
    await later.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, age INTEGER)")
    assert await users.create({"name": "ann"}) == UserRow(1, "ann", None)
    await later.stop()
    with pytest.raises(LifecycleError):
        await users.get(1)


async def test_a_repository_of_a_connection(pool: ConnectionPool) -> None:
    """`Repository(model, connection)` is as good as `using`."""
    async with pool.acquire() as db:
        users = Repository(User, db)
        await users.create({"name": "ann"})
        assert await users.count() == 1
    with pytest.raises(LifecycleError):
        await users.count()


async def test_a_class_of_the_orm_has_a_table(pool: ConnectionPool) -> None:
    """SQLAlchemy's ORM only describes it."""

    class Base(DeclarativeBase):
        pass

    class Person(Base):
        __tablename__ = "users"
        id = mapped_column(sa.Integer, primary_key=True)
        name = mapped_column(sa.String(50))

    people = Repository(Person, pool)
    assert await people.create({"name": "ann"}) == {"id": 1, "name": "ann"}
    assert await people.list(Person.name == "ann") == ([{"id": 1, "name": "ann"}], 1)


async def test_values_of_fields_of_the_applications_own(pool: ConnectionPool) -> None:
    """What a field class says of its values counts, as in a query; so does a foreign key."""
    await pool.execute("CREATE TABLE tags (id CHAR(36) PRIMARY KEY, words TEXT, user_id INTEGER)")

    class WordsField(peewee.TextField):
        def db_value(self, value: Any) -> Any:
            return None if value is None else ",".join(value)

        def python_value(self, value: Any) -> Any:
            return None if value is None else value.split(",")

    class Tag(peewee.Model):
        id = peewee.UUIDField(primary_key=True, default=uuid4)
        words = WordsField(null=True)
        user = peewee.ForeignKeyField(User, null=True)

        class Meta:
            table_name = "tags"

    tags = Repository(Tag, pool)
    user = User(id=7, name="ann")
    row = await tags.create({"words": ["a", "b"], "user": user})
    assert (row["words"], row["user_id"], type(row["id"])) == (["a", "b"], 7, UUID)
    assert await tags.get(row["id"].hex) == row  # any form of a UUID
    assert await tags.get_by(user=user, words=None) is None
    assert await tags.get_by(user=7) == row
    assert (await tags.update(row["id"], {"words": ["c"]}) or {})["words"] == ["c"]
    with pytest.raises(ValueError, match="badly formed"):
        await tags.get("no uuid")


def test_on_update_needs_a_value() -> None:
    """A field without a default has nothing to write."""
    with pytest.raises(ValueError, match="a value, or a field with a default"):
        on_update(peewee.DateTimeField())
    field = on_update(peewee.IntegerField(default=0), 5)
    assert vars(field)["value_on_update"] == 5


async def test_on_update_may_be_a_plain_value(pool: ConnectionPool) -> None:
    """Not only a function."""

    class Counted(peewee.Model):
        name = peewee.CharField()
        age = on_update(peewee.IntegerField(null=True), 99)

        class Meta:
            table_name = "users"

    counted = Repository(Counted, pool)
    row = await counted.create({"name": "ann"})
    assert (await counted.update(row["id"], {"name": "bob"}) or {})["age"] == 99


class NewUser(msgspec.Struct):
    name: str
    age: int | None = None


async def test_a_service_injects_it_and_pages_through_it(
    monkeypatch: pytest.MonkeyPatch, empty_folder: None
) -> None:
    """By its type; each kind of page is a parameter, and the document shows it."""
    monkeypatch.setenv("DB_URL", "sqlite://:memory:")
    app = Service("repository-service")
    app.provide(Users)

    @app.post("/users")
    async def create(request: Any, body: Annotated[NewUser, Body()], users: Users) -> UserRow:
        return await users.create(body)

    @app.get("/users/<id:int>")
    async def one(request: Any, id: int, users: Users) -> UserRow:
        return await users.get(id, required=True)

    @app.get("/feed")
    async def feed(
        request: Any, cursor: Cursor, users: Users
    ) -> tuple[list[UserRow], CursorPagination]:
        return await users.page(cursor, order_by="-name")

    @app.get("/rows")
    async def rows(request: Any, part: Offset) -> tuple[list[UserRow], OffsetPagination]:
        return await fetch_page(app.db, part, "SELECT * FROM users")  # type: ignore[return-value]

    async with TestClient(app) as client:
        await app.db.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, age INTEGER)")
        for name in "abc":
            assert (await client.post("/users", json={"name": name})).status == 200
        assert (await client.get("/users/2")).json["data"] == {"id": 2, "name": "b", "age": None}
        missing = await client.get("/users/9")
        assert (missing.status, missing.json["error"]) == (404, "no user 9")
        first = (await client.get("/feed?limit=2")).json
        assert [row["name"] for row in first["data"]] == ["c", "b"]
        assert first["pagination"]["limit"] == 2
        last = (await client.get(f"/feed?limit=2&cursor={first['pagination']['next']}")).json
        assert [row["name"] for row in last["data"]] == ["a"]
        assert last["pagination"] == {"limit": 2, "next": None}
        forged = await client.get("/feed?cursor=forged")
        assert (forged.status, forged.json["code"]) == (400, 10400)
        answer = (await client.get("/rows?offset=9")).json
        assert answer == {
            "code": 0,
            "data": [],
            "pagination": {"offset": 9, "limit": 20, "total": 3},
        }
        document = app.openapi()
    operation = document["paths"]["/feed"]["get"]
    assert [entry["name"] for entry in operation["parameters"]] == ["cursor", "limit"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["code", "data", "pagination"]
    shown = schema["properties"]["pagination"]
    shown = document["components"]["schemas"][shown["$ref"].rpartition("/")[2]]
    assert [*shown["properties"]] == ["limit", "next"]
    assert "null" in str(shown["properties"]["next"])
