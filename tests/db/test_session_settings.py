"""Settings that a request brings along: local to each statement or transaction, one round trip."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.db.conftest import MakePool

from sanic_ms.context import current_request
from sanic_ms.db import ConnectionPool
from sanic_ms.db.session_settings import session_settings
from sanic_ms.exception import ConfigError, DatabaseError

Settled = Callable[[ConnectionPool], Awaitable[None]]

TENANT = "SELECT coalesce(nullif(current_setting('app.tenant', true), ''), 'none')"


class FakeRequest:
    """A request of a tenant."""

    def __init__(self, tenant: str, **more: object) -> None:
        self.id = tenant
        self.settings = {"app.tenant": tenant, **more}

    def get(self, key: str, default: Any = None) -> Any:
        return default


def settings_of(request: FakeRequest) -> dict[str, object]:
    """What a service writes as SESSION_SETTINGS."""
    return request.settings


@pytest.fixture
async def tenants(postgres_url: str, make_pool: MakePool) -> ConnectionPool:
    """A pool of one connection whose requests have tenants."""
    return await make_pool(postgres_url, max_size=1, session_settings=settings_of)


async def test_every_way_to_the_database_has_them(tenants: ConnectionPool) -> None:
    """`acquire()`, `transaction()` and the pool itself, for a request that is given or current."""
    for name in ("a", "b", "it's", "back\\slash", "ü"):
        request = FakeRequest(name)
        async with tenants.acquire(request) as connection:
            for _ in range(2):
                assert await connection.fetchval(TENANT) == name
                assert (await connection.fetchrow(TENANT)) == {"coalesce": name}
                assert await connection.fetch(TENANT) == [{"coalesce": name}]
            async with connection.transaction():
                assert await connection.fetchval(TENANT) == name
                async with connection.transaction():
                    assert await connection.fetchval(TENANT) == name
            rows = connection.iterate(TENANT)
            assert [row async for row in rows] == [{"coalesce": name}]
        async with tenants.transaction(request) as connection:
            assert await connection.fetchval(TENANT) == name
        token = current_request.set(request)
        try:
            assert await tenants.fetchval(TENANT) == name
            assert await tenants.fetchrow(TENANT) == {"coalesce": name}
            assert await tenants.fetch(TENANT) == [{"coalesce": name}]
        finally:
            current_request.reset(token)
        assert await tenants.fetchval(TENANT) == "none"


async def test_writes_have_them_as_well(tenants: ConnectionPool) -> None:
    """With and without arguments, several statements in one text, and many rows."""
    table = f"t_{uuid.uuid4().hex[:12]}"
    own = "current_setting('app.tenant')"
    await tenants.execute(f"CREATE TABLE {table} (id int, tenant text DEFAULT {own})")
    try:
        async with tenants.acquire(FakeRequest("a")) as connection:
            assert await connection.execute(f"INSERT INTO {table} VALUES ($1)", 1) == 1
            assert await connection.execute(f"INSERT INTO {table} VALUES (2)") == 1
            await connection.execute(f"INSERT INTO {table} VALUES (3); UPDATE {table} SET id = id")
            await connection.executemany(f"INSERT INTO {table} VALUES ($1)", [(4,), (5,)])
        rows = await tenants.fetch(f"SELECT id, tenant FROM {table} ORDER BY id")
        assert rows == [{"id": number, "tenant": "a"} for number in range(1, 6)]
    finally:
        await tenants.execute(f"DROP TABLE {table}")


async def test_they_cost_no_reset_and_no_round_trip(
    tenants: ConnectionPool, settled: Settled
) -> None:
    """The connection is at rest at once; the statement and its settings leave together."""
    request = FakeRequest("a")
    for _ in range(2):
        async with tenants.acquire(request) as connection:
            await connection.fetchval("SELECT $1 + 1", 1)
        await settled(tenants)
    async with tenants.acquire(request) as connection:
        protocol = connection.session.raw._protocol
        before = protocol.queries_count
        assert await connection.fetchval("SELECT $1 + 1", 1) == 2
        assert protocol.queries_count == before + 1
        connection.session.changed = False  # `raw` was asked for
    assert tenants.stats().idle == 1


async def test_row_level_security(postgres_url: str, make_pool: MakePool) -> None:
    """A policy by the tenant's setting, and a role that owns nothing."""
    name = f"s_{uuid.uuid4().hex[:12]}"
    admin = await make_pool(postgres_url, max_size=1)
    await admin.execute(
        f"CREATE ROLE {name}; CREATE SCHEMA {name}; CREATE TABLE {name}.orders (id int, t text); "
        f"INSERT INTO {name}.orders VALUES (1, 'a'), (2, 'b'); "
        f"ALTER TABLE {name}.orders ENABLE ROW LEVEL SECURITY; "
        f"CREATE POLICY own ON {name}.orders USING (t = current_setting('app.tenant', true)); "
        f"GRANT USAGE ON SCHEMA {name} TO {name}; GRANT ALL ON {name}.orders TO {name}"
    )
    try:
        pool = await make_pool(postgres_url, max_size=2, session_settings=settings_of)
        sql = f"SELECT id FROM {name}.orders WHERE id > $1 ORDER BY id"

        async def seen(tenant: str) -> list[int]:
            request = FakeRequest(tenant, role=name)
            async with pool.acquire(request) as connection:
                return [row["id"] for row in await connection.fetch(sql, 0)]

        results = await asyncio.gather(*(seen("ab"[number % 2]) for number in range(40)))
        assert results == [[1], [2]] * 20
        assert await seen("c") == []
        assert await pool.fetchval("SELECT current_user::text = session_user::text")
    finally:
        await admin.execute(f"DROP SCHEMA {name} CASCADE; DROP ROLE {name}")


async def test_a_schema_for_each_tenant(postgres_url: str, make_pool: MakePool) -> None:
    """One text means tables of different columns: each is prepared for its search path, and none is
    answered with an outdated plan."""
    name = f"s_{uuid.uuid4().hex[:12]}"
    admin = await make_pool(postgres_url, max_size=1)
    await admin.execute(
        f"CREATE SCHEMA {name}_a; CREATE SCHEMA {name}_b; "
        f"CREATE TABLE {name}_a.things (id int); INSERT INTO {name}_a.things VALUES (1); "
        f"CREATE TABLE {name}_b.things (id text, n int); "
        f"INSERT INTO {name}_b.things VALUES ('x', 2)"
    )
    try:
        declared = await make_pool(postgres_url, max_size=1, session_settings=settings_of)
        by_hand = await make_pool(postgres_url, max_size=1)
        sql = "SELECT * FROM things"
        rows = {"a": [{"id": 1}], "b": [{"id": "x", "n": 2}]}
        for tenant in "abab":
            request = FakeRequest(tenant, search_path=f"{name}_{tenant}")
            async with declared.acquire(request) as connection:
                assert await connection.fetch(sql) == rows[tenant]
            async with declared.transaction(request) as connection:
                assert await connection.fetch(sql) == rows[tenant]
            async with by_hand.transaction() as connection:
                await connection.execute(f"SET LOCAL search_path = {name}_{tenant}")
                assert await connection.fetch(sql) == rows[tenant]
            async with by_hand.transaction() as connection:
                path = f"{name}_{tenant}"
                await connection.fetchval("SELECT set_config('search_path', $1, true)", path)
                assert await connection.fetch(sql) == rows[tenant]
            async with by_hand.acquire() as connection:
                await connection.execute(f"SET search_path = {name}_{tenant}")
                assert await connection.fetch(sql) == rows[tenant]
        async with by_hand.transaction() as connection:
            await connection.execute(f"SET LOCAL search_path = {name}_a")
            inner = connection.transaction()
            await inner.begin()
            await connection.execute(f"SET LOCAL search_path = {name}_b")
            assert await connection.fetch(sql) == rows["b"]
            await inner.rollback()
            assert await connection.fetch(sql) == rows["a"]
    finally:
        await admin.execute(f"DROP SCHEMA {name}_a CASCADE; DROP SCHEMA {name}_b CASCADE")


async def test_an_error_takes_nothing_along(tenants: ConnectionPool, settled: Settled) -> None:
    """A wrong statement, a wrong argument, a role that does not exist: the next request is well."""
    request = FakeRequest("a")
    for _ in range(2):
        async with tenants.acquire(request) as connection:
            with pytest.raises(DatabaseError):
                await connection.fetchval("SELECT 1 / $1", 0)
            with pytest.raises(DatabaseError):
                await connection.fetchval("SELECT $1 + 1", "no number")
            assert await connection.fetchval(TENANT) == "a"
        with pytest.raises(DatabaseError, match="no_such_role"):
            async with tenants.acquire(FakeRequest("b", role="no_such_role")) as connection:
                await connection.fetchval("SELECT $1 + 1", 1)
        await settled(tenants)
        assert await tenants.fetchval(TENANT) == "none"


async def test_a_cancelled_request_takes_nothing_along(
    tenants: ConnectionPool, settled: Settled
) -> None:
    """Neither its settings nor a transaction stay."""

    async def wait() -> None:
        async with tenants.acquire(FakeRequest("a")) as connection:
            await connection.fetchval("SELECT pg_sleep($1)", 60)

    await tenants.fetchval("SELECT 1")
    task = asyncio.ensure_future(wait())
    async with asyncio.timeout(30):
        while tenants.stats().idle:  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await settled(tenants)
    assert await tenants.fetchval(TENANT) == "none"


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ({"app.tenant": None}, TypeError, "app.tenant=None: a value is text, a number or a bool"),
        ({"app.tenant'": "a"}, ValueError, "no name of a setting"),
        ({1: "a"}, ValueError, "no name of a setting"),
        ({"app.tenant": "a\0"}, ValueError, "a NUL in the value of app.tenant"),
        ("app.tenant=a", TypeError, "gives str: give a mapping"),
    ],
)
async def test_a_wrong_function_is_an_error_of_the_program(
    value: Any, kind: type[Exception], message: str, postgres_url: str, make_pool: MakePool
) -> None:
    """Nothing is sent without the settings that were meant, and the connection is not lost."""
    pool = await make_pool(postgres_url, max_size=1, session_settings=lambda request: value)
    with pytest.raises(kind, match=message):
        async with pool.acquire(FakeRequest("a")):
            pass
    assert pool.stats() == (1, 1, 0)


async def test_an_async_function_is_refused() -> None:
    """It could not be awaited where it is called."""

    async def settings(request: object) -> dict[str, str]:
        return {}

    coroutine: Any = settings(None)
    with pytest.raises(TypeError, match="async function"):
        session_settings(lambda request: coroutine, object())
    coroutine.close()


@pytest.mark.parametrize(
    ("value", "text"), [(True, "on"), (False, "off"), (5, "5"), ("x", "x")], ids=repr
)
def test_values(value: object, text: str) -> None:
    """Numbers and bools are written as PostgreSQL reads them."""
    settings = session_settings(lambda request: {"app.x": value}, object())
    assert settings is not None
    assert f"pg_catalog.set_config('app.x', '{text}', true)" in settings.sql


def test_no_settings() -> None:
    """Outside of a request, and for one without."""
    assert session_settings(lambda request: {"app.x": "y"}, None) is None
    assert session_settings(lambda request: None, object()) is None
    assert session_settings(lambda request: {}, object()) is None


@pytest.mark.parametrize("kind", ["mysql", "sqlite"])
async def test_other_databases_refuse(kind: str, request: pytest.FixtureRequest) -> None:
    """The start says so: no request must run without its tenant."""
    url = "sqlite://" if kind == "sqlite" else request.getfixturevalue("mysql_url")
    pool = ConnectionPool(url, session_settings=settings_of)
    with pytest.raises(ConfigError, match="SESSION_SETTINGS needs PostgreSQL"):
        await pool.start()
    assert pool.state.value == "stopped"
