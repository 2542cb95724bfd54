"""Which statements may run twice and behind one another, as far as their text tells."""

from __future__ import annotations

import pytest

from sanic_ms.db.sql.statement import Statement

PLAIN = [
    "SELECT 1",
    "  select id, name from users where id = $1 ",
    "SELECT 1;",
    "-- first\nSELECT /* for update */ 1",
    'SELECT "t1"."id" FROM "users" AS "t1" WHERE ("t1"."id" = $1) AND ("t1"."name" IN ($2, $3))',
    "SELECT count(*), max(age), coalesce(sum(age), 0) FROM users",
    "SELECT * FROM users WHERE name = 'into' AND note = 'nextval(1); for update'",
    "SELECT a::numeric(10, 2), b::varchar (20) FROM t ORDER BY (a) LIMIT (1)",
    "SELECT * FROM a JOIN b USING (id) WHERE EXISTS (SELECT 1 FROM c) UNION (SELECT * FROM d)",
    "SELECT row_number() OVER (PARTITION BY x ORDER BY y) FROM t",
    "SELECT CASE WHEN (a > 1) THEN (b) ELSE (c) END FROM t",
    'SELECT "for", "into" FROM t',
    "SELECT $tag$ nextval('s') $tag$",
]
OTHERS = [
    "INSERT INTO users VALUES ($1)",
    "UPDATE users SET age = 1",
    "WITH gone AS (DELETE FROM users RETURNING id) SELECT * FROM gone",
    "SELECT * INTO copy FROM users",
    "SELECT * FROM users WHERE id = $1 FOR UPDATE",
    "SELECT * FROM users FOR\nSHARE SKIP LOCKED",
    "SELECT nextval('s')",
    "SELECT pg_sleep($1)",
    "SELECT pg_advisory_xact_lock(1)",
    "SELECT set_config('a.b', 'c', false)",
    "SELECT our_own($1)",
    'SELECT "our own"($1)',
    'SELECT "lower"($1)',
    'SELECT "f" /* between */ ($1)',
    "SELECT ours.lower($1)",
    "SELECT ours . lower ($1)",
    'SELECT "ours".lower($1)',
    "SELECT * FROM our_own(1) AS x",
    "SELECT 1; DELETE FROM users",
    "SELECT größe($1)",
    "VALUES (1)",
    "EXPLAIN ANALYZE SELECT 1",
    "SHOW search_path",
    "BEGIN",
    "DECLARE c CURSOR FOR SELECT 1",
    "selection",
]


@pytest.mark.parametrize("sql", PLAIN)
def test_plain(sql: str) -> None:
    """It changes nothing, waits for no locked row, and calls nothing that might."""
    assert Statement(sql, "postgresql").plain


@pytest.mark.parametrize("sql", OTHERS)
def test_not_plain(sql: str) -> None:
    """In doubt, a statement is none."""
    assert not Statement(sql, "postgresql").plain


@pytest.mark.parametrize("dialect", ["sqlite", "mysql"])
def test_only_where_there_are_pipelines(dialect: str) -> None:
    """Other databases' words mean other things."""
    assert not Statement("SELECT 1", dialect).plain  # type: ignore[arg-type]
