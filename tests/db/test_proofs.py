"""What the catalog proves: which statements cost no reset, and when it is asked again."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from tests.db.conftest import MakePool

from sanic_ms.db import ConnectionPool

Settled = Callable[[ConnectionPool], Awaitable[None]]


@pytest.fixture
async def schema(postgres_url: str, make_pool: MakePool) -> AsyncIterator[tuple[str, str]]:
    """A schema of its own, and a URL that finds it."""
    name = f"p_{uuid.uuid4().hex[:12]}"
    admin = await make_pool(postgres_url, max_size=1)
    await admin.execute(f"CREATE SCHEMA {name}")
    yield f"{postgres_url}?search_path={name},public", name
    await admin.execute(f"DROP SCHEMA {name} CASCADE")


async def proven(pool: ConnectionPool, settled: Settled, sql: str, *args: Any) -> bool:
    """Whether a statement that has run once is proven."""
    async with pool.acquire() as connection:
        await connection.fetch(sql, *args)
    await settled(pool)
    return pool.statements.find(sql).harmless


POSTGRES_SETUP = """
CREATE EXTENSION IF NOT EXISTS citext SCHEMA public;
CREATE TYPE colour AS ENUM ('red', 'blue');
CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
CREATE TABLE city (id serial PRIMARY KEY, name text NOT NULL CHECK (length(name) < 100));
CREATE INDEX ON city (lower(name));
CREATE TABLE person (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, city_id int REFERENCES city ON DELETE CASCADE,
    mail email, favourite colour DEFAULT 'red', nick public.citext, tags text[],
    born timestamptz DEFAULT now(), key uuid DEFAULT gen_random_uuid(), data jsonb DEFAULT '{}',
    upper_nick text GENERATED ALWAYS AS (upper(mail::text)) STORED);
CREATE VIEW people AS SELECT p.id, c.name FROM person p JOIN city c ON c.id = p.city_id;
CREATE MATERIALIZED VIEW names AS SELECT name FROM city;
CREATE TABLE parted (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE owned (id int, tenant text);
ALTER TABLE owned ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON owned USING (tenant = current_setting('app.tenant', true));
"""


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM city WHERE id = 1",
        "SELECT p.nick, c.name FROM person p JOIN city c ON c.id = p.city_id ORDER BY 1 LIMIT 3",
        "SELECT count(*) FROM person WHERE favourite = 'red'::colour AND mail = 'a@b'::email",
        "SELECT * FROM person WHERE nick = 'x'",
        "SELECT tags[1], data ->> 'a' FROM person WHERE tags && ARRAY['a'] AND data @> '{}'",
        "SELECT * FROM people",
        "SELECT name FROM names",
        "SELECT * FROM parted WHERE at > '2026-01-01'",
        "SELECT * FROM owned",
        "SELECT relname FROM pg_class LIMIT 1",
        "INSERT INTO city (name) VALUES ('x') RETURNING id",
        "INSERT INTO person (mail) VALUES ('a@b')",
        "UPDATE person SET favourite = 'blue', nick = 'y'",
        "DELETE FROM city WHERE name = 'nobody'",
        "INSERT INTO parted VALUES (1, '2026-05-05')",
        "INSERT INTO owned VALUES (1, 'a')",
        "SELECT * FROM city WHERE id = 1 FOR UPDATE",
    ],
)
async def test_the_usual_statement_is_proven(
    sql: str, schema: tuple[str, str], make_pool: MakePool, settled: Settled
) -> None:
    """Tables with all that is common cost one reset, at the first run, and none afterwards."""
    url, _ = schema
    pool = await make_pool(url, max_size=1)
    await pool.execute(POSTGRES_SETUP)
    await settled(pool)
    assert await proven(pool, settled, sql)
    async with pool.acquire() as connection:
        backend = await connection.fetchval("SELECT 1")
        await connection.fetch(sql)
        assert not connection.session.changed
    assert backend == 1
    assert pool.stats().idle == 1  # at once


async def test_a_plain_read_is_pipelined_once_it_is_proven(
    schema: tuple[str, str], make_pool: MakePool, settled: Settled
) -> None:
    """It has a connection of its own before."""
    pool = await make_pool(schema[0], max_size=1)
    await pool.execute(POSTGRES_SETUP)
    sql = "SELECT name FROM city WHERE id = $1"
    assert not pool.statements.find(sql).plain
    assert await pool.fetchrow(sql, 1) is None
    await settled(pool)
    assert pool.statements.find(sql).plain
    assert await pool.fetchrow(sql, 1) is None


async def test_texts_that_differ_in_values_share_a_proof(
    schema: tuple[str, str], make_pool: MakePool, settled: Settled
) -> None:
    """A program that writes values into its texts costs one look at the catalog, and one reset."""
    pool = await make_pool(schema[0], max_size=1)
    await pool.execute(POSTGRES_SETUP)
    assert await proven(pool, settled, "SELECT name FROM city WHERE id IN (1)")
    assert pool.statements.find("SELECT name FROM city WHERE id IN (2, 3, $1)").harmless
    assert not pool.statements.find("SELECT id FROM person WHERE id IN (2)").harmless
    pool.statements.forget_proofs()
    assert not pool.statements.find("SELECT name FROM city WHERE id IN (5)").harmless


async def test_a_trigger_that_another_process_adds_is_seen_when_proofs_are_old(
    schema: tuple[str, str],
    make_pool: MakePool,
    settled: Settled,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The catalog is asked again after a minute, and at once after a change of this pool's own."""
    url, name = schema
    pool = await make_pool(url, max_size=1)
    await pool.execute(POSTGRES_SETUP)
    sql = "INSERT INTO city (name) VALUES ('x')"
    assert await proven(pool, settled, sql)
    other = await make_pool(url, max_size=1)
    await other.execute(
        f"CREATE FUNCTION {name}.act() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM set_config('app.tenant', 'a', false); RETURN NEW; END $$; "
        f"CREATE TRIGGER act BEFORE INSERT ON {name}.city FOR EACH ROW EXECUTE FUNCTION act()"
    )
    pool.statements.forget_proofs()  # what the pool does after a minute
    assert not await proven(pool, settled, sql)
    await pool.execute("DROP TRIGGER act ON city")
    await settled(pool)
    assert await proven(pool, settled, sql)


async def test_every_connection_is_reset_where_that_is_wanted(
    postgres_url: str, make_pool: MakePool, settled: Settled
) -> None:
    """``reset="always"``: not even ``SELECT 1`` is taken for harmless."""
    pool = await make_pool(postgres_url, max_size=1, reset="always")
    async with pool.acquire() as connection:
        assert await connection.fetchval("SELECT 1") == 1
        assert connection.session.changed
    await settled(pool)
    assert not pool.statements.find("SELECT 1").harmless
    with pytest.raises(ValueError, match="reset='never': allowed are auto, always"):
        ConnectionPool(postgres_url, reset="never")  # type: ignore[arg-type]


async def test_the_log_says_why_a_statement_is_not_proven(
    schema: tuple[str, str],
    make_pool: MakePool,
    settled: Settled,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One line on DEBUG names the statement and the reason."""
    pool = await make_pool(schema[0], max_size=1)
    await pool.execute("CREATE TABLE ruled (id int)")
    await pool.execute("CREATE RULE r AS ON INSERT TO ruled DO INSTEAD NOTHING")
    with caplog.at_level(logging.DEBUG, "sanic_ms.db"):
        assert not await proven(pool, settled, "INSERT INTO ruled VALUES (1)")
    assert "INSERT INTO ruled VALUES (1)" in caplog.text
    assert "it mentions a table with rules" in caplog.text


async def test_a_catalog_that_cannot_be_read_proves_nothing(
    schema: tuple[str, str],
    make_pool: MakePool,
    settled: Settled,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The statement stays unproven, the request has its result, and the pool goes on."""
    pool = await make_pool(schema[0], max_size=1)
    await pool.execute("CREATE TABLE t (id int)")
    await settled(pool)
    monkeypatch.setattr("sanic_ms.db.drivers.postgres.proof._QUERY", "SELECT broken")
    assert not await proven(pool, settled, "SELECT id FROM t")
    monkeypatch.undo()
    assert await proven(pool, settled, "SELECT id FROM t")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT v FROM k WHERE id = 1", True),
        ("INSERT INTO k (id, v) VALUES (2, 'x') ON DUPLICATE KEY UPDATE v = 'y'", True),
        ("UPDATE k SET v = CONCAT(v, 'x')", True),
        ("SELECT TABLE_NAME FROM information_schema.TABLES LIMIT 1", True),
        ("SELECT * FROM seen", False),
    ],
)
async def test_mysql(
    sql: str, expected: bool, mysql_url: str, make_pool: MakePool, settled: Settled
) -> None:
    """Plain tables are proven, views are not."""
    name = f"p_{uuid.uuid4().hex[:12]}"
    admin = await make_pool(mysql_url, max_size=1)
    await admin.execute(f"CREATE DATABASE {name}")
    try:
        pool = await make_pool(mysql_url.rpartition("/")[0] + f"/{name}", max_size=1)
        await pool.execute("CREATE TABLE k (id INT PRIMARY KEY, v VARCHAR(50))")
        await pool.execute("CREATE VIEW seen AS SELECT v FROM k")
        await settled(pool)
        assert await proven(pool, settled, sql) is expected
        thread = await pool.fetchval("SELECT CONNECTION_ID()")  # is reset, and not opened anew
        await settled(pool)
        assert await pool.fetchval("SELECT CONNECTION_ID()") == thread
    finally:
        await admin.execute(f"DROP DATABASE {name}")


HIDDEN = """
CREATE TABLE k (id int, j json);
CREATE FUNCTION act(a int, b text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
    AS $$ BEGIN PERFORM set_config('app.tenant', 'a', false); RETURN true; END $$;
"""
COMPARE = """
CREATE FUNCTION cmp(a json, b json) RETURNS int LANGUAGE plpgsql IMMUTABLE
    AS $$ BEGIN PERFORM set_config('app.tenant', 'a', false); RETURN 0; END $$;
CREATE FUNCTION lt(a json, b json) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT false $$;
CREATE OPERATOR <<< (LEFTARG = json, RIGHTARG = json, FUNCTION = lt);
CREATE OPERATOR <<= (LEFTARG = json, RIGHTARG = json, FUNCTION = lt);
CREATE OPERATOR === (LEFTARG = json, RIGHTARG = json, FUNCTION = lt);
CREATE OPERATOR >>= (LEFTARG = json, RIGHTARG = json, FUNCTION = lt);
CREATE OPERATOR >>> (LEFTARG = json, RIGHTARG = json, FUNCTION = lt);
CREATE OPERATOR CLASS by_text DEFAULT FOR TYPE json USING btree AS
    OPERATOR 1 <<<, OPERATOR 2 <<=, OPERATOR 3 ===, OPERATOR 4 >>=, OPERATOR 5 >>>,
    FUNCTION 1 cmp(json, json);
"""
EVIL = """
CREATE SCHEMA evil;
CREATE VIEW evil.pg_trigger AS SELECT * FROM pg_catalog.pg_trigger WHERE false;
CREATE FUNCTION on_insert() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN PERFORM set_config('app.tenant', 'a', false); RETURN NEW; END $$;
CREATE TRIGGER t BEFORE INSERT ON k FOR EACH ROW EXECUTE FUNCTION on_insert();
"""


@pytest.mark.parametrize(
    ("setup", "sql"),
    [
        ("CREATE OPERATOR <> (LEFTARG = int, RIGHTARG = text, FUNCTION = act)",
         "SELECT 1 != $1::text"),
        ("CREATE OPERATOR = (LEFTARG = int, RIGHTARG = text, FUNCTION = act)",
         "SELECT id FROM k WHERE id IN ($1::text)"),
        ("CREATE OPERATOR ~~ (LEFTARG = int, RIGHTARG = text, FUNCTION = act)",
         "SELECT id FROM k WHERE id LIKE $1::text"),
        (COMPARE, "SELECT DISTINCT j FROM k"),
        (EVIL, "INSERT INTO k VALUES (1)"),
    ],
    ids=["unequal", "in", "like", "operator class", "search path"],
)  # fmt: skip
async def test_what_the_text_does_not_show_is_not_proven(
    setup: str, sql: str, postgres_url: str, make_pool: MakePool, settled: Settled
) -> None:
    """Operators behind other words, operator classes, and a search path before ``pg_catalog``; in a
    database of their own, since they count for every schema of theirs."""
    name = f"p_{uuid.uuid4().hex[:12]}"
    admin = await make_pool(postgres_url, max_size=1)
    await admin.execute(f"CREATE DATABASE {name}")
    try:
        url = postgres_url.rpartition("/")[0] + f"/{name}"
        first = await make_pool(url, max_size=1)
        await first.execute(HIDDEN)
        await first.execute(setup)
        await first.stop()
        pool = await make_pool(f"{url}?search_path=evil,pg_catalog,public", max_size=1)
        for _ in range(2):
            async with pool.acquire() as connection:
                await connection.fetch(sql, *(("1",) if "$1" in sql else ()))
            await settled(pool)
            assert not pool.statements.find(sql).harmless
            tenant = "SELECT coalesce(nullif(current_setting('app.tenant', true), ''), 'none')"
            assert await pool.fetchval(tenant) == "none"
            await settled(pool)
        await pool.stop()
    finally:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
