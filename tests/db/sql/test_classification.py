"""What a text proves about its session, and which statements may run behind one another."""

from __future__ import annotations

import pytest

from sanic_ms.db.sql.classification import classify, mentions_of_expression
from sanic_ms.db.sql.placeholders import Dialect, scan
from sanic_ms.db.sql.statement import Statement, StatementCache

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
    'SELECT "lower"($1)',
    "SELECT pg_catalog.lower($1)",
    "SELECT data ->> 'a', data ? 'b' FROM t AS x(data)",
    "SELECT count(*) FILTER (WHERE a) FROM t",
    f"SELECT * FROM {'v' * 63}",
    "SELECT operator FROM t",
]
# Proven by their text as well, and not sent behind others: they write, wait, or have an effect in
# their transaction.
PROVABLE = [
    "INSERT INTO users VALUES ($1)",
    "INSERT INTO users(name, city_id) VALUES ($1, $2) RETURNING id",
    "INSERT INTO s.users (name) SELECT name FROM old ON CONFLICT (name) DO UPDATE SET name = 'x'",
    "UPDATE users SET (age, name) = (1, 'x') WHERE id IN ($1)",
    "DELETE FROM users USING old WHERE old.id = users.id",
    "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = s.v",
    "WITH gone AS (DELETE FROM users RETURNING id) SELECT * FROM gone",
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c",
    "WITH c AS NOT MATERIALIZED (SELECT 1) SELECT * FROM c",
    "WITH c AS (SELECT 1), d AS (SELECT 2) INSERT INTO t SELECT * FROM c",
    "SELECT a OPERATOR(pg_catalog.+) 1 FROM t FOR SHARE",
    "SELECT * FROM users WHERE id = $1 FOR UPDATE",
    "SELECT * FROM users FOR\nSHARE SKIP LOCKED",
    "SELECT pg_sleep($1)",
    "SELECT pg_advisory_xact_lock(1)",
    "SELECT pg_notify('a', 'b')",
    "SELECT set_config('a.b', $1, true)",
    "VALUES (1)",
    "TABLE users",
    "SHOW search_path",
    "NOTIFY jobs, 'x'",
    "SET LOCAL search_path = x",
    "SET TRANSACTION READ ONLY",
    "SET CONSTRAINTS ALL DEFERRED",
]
NEVER = [
    "SELECT * INTO copy FROM users",
    "SELECT 1 AS insert INTO TEMP k",
    "SELECT (1) insert INTO TEMP k",
    "WITH x AS (SELECT 1) SELECT (1) merge INTO pg_temp.k",
    "SELECT 1into TEMP k",
    "SET local.tenant = 'a'",
    "SET transaction.x = 'a'",
    r"SELECT '\', set_config($a$x.y$a$, $a$z$a$, false) --'",
    f"SELECT * FROM {'v' * 64}",
    "SELECT nextval('s')",
    "SELECT currval('s')",
    "SELECT lastval()",
    "SELECT set_config('a.b', 'c', false)",
    "SELECT set_config('a.b', 'c', NOT true)",
    "SELECT set_config('a.b', 'c', (false, true))",
    "SELECT set_config('a.b', 'true', $1)",
    "SELECT our_own($1)",
    'SELECT "our own"($1)',
    'SELECT "LOWER"($1)',
    'SELECT "select"($1)',
    'SELECT "f" /* between */ ($1)',
    "SELECT ours.lower($1)",
    "SELECT ours . lower ($1)",
    'SELECT "ours".lower($1)',
    "SELECT a.pg_catalog.lower($1)",
    "SELECT * FROM our_own(1) AS x",
    "SELECT 1; DELETE FROM users",
    "SELECT größe($1)",
    "SELECT \u212aust($1)",  # the sign of Kelvin, which Python lowers to a k
    'SELECT U&"\\0061"',
    "EXPLAIN ANALYZE SELECT 1",
    "BEGIN",
    "DECLARE c CURSOR FOR SELECT 1",
    "selection",
    "SET search_path = x",
    "SET",
    "COPY users TO STDOUT",
    "LOCK TABLE users",
    "TRUNCATE users",
    "CREATE TABLE t (a int)",
    "SELECT pg_advisory_lock(1)",
    "SELECT query_to_xml('SELECT 1', true, true, '')",
    "SELECT $1" + " + 1" * 3000,
]


@pytest.mark.parametrize("sql", PLAIN)
def test_plain(sql: str) -> None:
    """It changes nothing, waits for no locked row, and calls nothing that might."""
    mentions, plain = classify(scan(sql, "postgresql").bare, "postgresql")
    assert mentions is not None
    assert plain
    assert not mentions.writes


@pytest.mark.parametrize("sql", PROVABLE)
def test_provable_and_not_plain(sql: str) -> None:
    """Its connection need not be reset, if the catalog agrees; it has one of its own."""
    mentions, plain = classify(scan(sql, "postgresql").bare, "postgresql")
    assert mentions is not None
    assert not plain


@pytest.mark.parametrize("sql", NEVER, ids=lambda sql: sql[:50])
def test_never_proven(sql: str) -> None:
    """In doubt nothing is proven, whatever the catalog says."""
    assert classify(scan(sql, "postgresql").bare, "postgresql") == (None, False)


def test_what_is_mentioned() -> None:
    """Every name but words that no name can be, every call, and every operator as the server reads
    it."""
    sql = 'SELECT "Up", lower(u.name) FROM s.users u WHERE a=-1 AND b <-> c @> $1 AND x IN (2)'
    mentions, _ = classify(scan(sql, "postgresql").bare, "postgresql")
    assert mentions is not None
    assert mentions.names == {"Up", "u", "name", "s", "users", "a", "b", "c", "x"}
    assert mentions.called == {"lower"}
    implicit = {"=", "<>", "<", ">", "<=", ">=", "~~", "!~~", "~~*", "!~~*", "~"}  # of IN and LIKE
    assert mentions.operators - implicit == {"-", "<->", "@>"}
    assert implicit <= mentions.operators
    assert not mentions.writes


@pytest.mark.parametrize(
    ("sql", "writes"),
    [
        ("INSERT INTO t VALUES (1)", True),
        ("WITH x AS (UPDATE t SET a = 1) SELECT 1", True),
        ("SELECT * FROM t FOR UPDATE", False),
        ("SELECT * FROM t FOR NO KEY UPDATE", False),
        ('SELECT "update" FROM t', False),
    ],
)
def test_what_writes(sql: str, writes: bool) -> None:
    """Triggers, defaults and checks count where rows are written."""
    mentions, _ = classify(scan(sql, "postgresql").bare, "postgresql")
    assert mentions is not None
    assert mentions.writes is writes


@pytest.mark.parametrize(
    ("text", "writes", "proven"),
    [
        ("nextval('ids'::regclass)", True, True),
        ("nextval('ids'::regclass)", False, False),
        ("(tenant = current_setting('app.tenant'::text))", False, True),
        ("set_tenant('a'::text)", True, False),
        (" SELECT users.id,\n    users.name\n   FROM users;", False, True),
        (" SELECT set_config('a.b'::text, 'c'::text, false) AS v;", False, False),
    ],
)
def test_expressions_of_the_catalog(text: str, writes: bool, proven: bool) -> None:
    """Policies, defaults, checks and views prove harmless by the same rule."""
    assert (mentions_of_expression(text, writes=writes) is not None) is proven


@pytest.mark.parametrize(
    ("dialect", "sql", "harmless"),
    [
        ("mysql", "SELECT 1", True),
        ("mysql", 'SELECT NOW(), "x" IS NULL', None),
        ("mysql", "SELECT * FROM t", None),
        ("mysql", "INSERT INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE a = VALUES(a)", None),
        ("mysql", "SELECT 'a@b.c', 1 /* @a := 1 */", True),
        ("mysql", "SELECT @a", False),
        ("mysql", "SELECT * FROM 1view", False),
        ("mysql", "SELECT 1f()", False),
        ("mysql", "SHOW TABLES", True),
        ("mysql", "SHOW TABLES WHERE f() = 1", False),
        ("mysql", "SELECT f(1)", False),
        ("mysql", "SELECT d.now()", False),
        ("mysql", "SELECT /*!1*/ 1", False),
        ("mysql", "SELECT a INTO OUTFILE 'x' FROM t", False),
        ("mysql", "CREATE TABLE t (a INT)", False),
        ("sqlite", "SELECT anything(1) FROM t", True),
        ("sqlite", "UPDATE t SET a = $1", True),
        ("sqlite", "CREATE TABLE template (temperature)", True),
        ("sqlite", "PRAGMA table_info(t)", True),
        ("sqlite", "PRAGMA main.index_list(t)", True),
        ("sqlite", "PRAGMA foreign_keys", True),
        ("sqlite", "PRAGMA foreign_keys = OFF", False),
        ("sqlite", "ATTACH 'x.db' AS x", False),
        ("sqlite", "BEGIN", False),
    ],
)
def test_other_databases(dialect: Dialect, sql: str, harmless: bool | None) -> None:
    """None: the catalog decides. Nothing is pipelined there."""
    statement = Statement(sql, dialect)
    assert statement.harmless is (harmless is True)
    assert (statement.mentions is None) is (harmless is False)
    assert not statement.plain


@pytest.mark.parametrize(
    ("sql", "writes"),
    [("SELECT * FROM t", False), ("REPLACE INTO t VALUES (1)", True), ("DELETE FROM t", True)],
)
def test_what_writes_on_mysql(sql: str, writes: bool) -> None:
    """Triggers count there alone."""
    mentions, _ = classify(scan(sql, "mysql").bare, "mysql")
    assert mentions is not None
    assert mentions.writes is writes
    assert "t" in mentions.names


def test_a_column_called_operator_is_a_name() -> None:
    """Only in front of a parenthesis it is a word of the language."""
    mentions, _ = classify(scan("SELECT operator FROM t", "postgresql").bare, "postgresql")
    assert mentions is not None
    assert mentions.names == {"operator", "t"}


def test_a_proof_is_confirmed_and_forgotten() -> None:
    """What the text alone proves stays; what the catalog has confirmed is asked again."""
    cache = StatementCache("postgresql")
    text, catalog, never = (
        cache.find(sql) for sql in ("SELECT 1", "SELECT id FROM t", "SET x = 1")
    )
    assert (text.harmless, text.plain) == (True, True)
    assert (catalog.harmless, catalog.plain) == (False, False)
    catalog.confirm(True)
    assert (catalog.harmless, catalog.plain) == (True, True)
    cache.forget_proofs()
    assert (text.harmless, catalog.harmless, catalog.plain, never.harmless) == (
        True,
        False,
        False,
        False,
    )


def test_texts_that_mention_the_same_share_a_proof_until_it_is_forgotten() -> None:
    """They differ in their values alone. What the catalog denied is no proof, and what is forgotten
    is asked again for texts to come as well."""
    cache = StatementCache("postgresql")
    first = cache.find("SELECT id FROM t WHERE id = 1")
    assert first.mentions is not None
    assert cache.proof_of(first.mentions) is None
    cache.keep_proof(first.mentions, True)
    assert cache.proof_of(first.mentions) is True
    assert cache.find("SELECT id FROM t WHERE id = 2").harmless
    cache.forget_proofs()
    assert cache.proof_of(first.mentions) is None
    assert not cache.find("SELECT id FROM t WHERE id = 3").harmless
    cache.keep_proof(first.mentions, False)
    assert cache.proof_of(first.mentions) is False
    assert not cache.find("SELECT id FROM t WHERE id = 4").harmless


def test_proofs_and_texts_are_bounded_and_the_oldest_goes_first() -> None:
    """Names that a program makes up cannot fill the memory."""
    cache = StatementCache("postgresql", limit=3)
    found = [cache.find(f"SELECT id FROM t{number}") for number in range(5)]
    for statement in found:
        assert statement.mentions is not None
        cache.keep_proof(statement.mentions, True)
    kept = [cache.proof_of(statement.mentions) for statement in found if statement.mentions]
    assert kept == [None, None, True, True, True]
    again = [cache.find(statement.sql) is statement for statement in reversed(found)]
    assert again == [True, True, True, False, False]


@pytest.mark.parametrize(("length", "kept"), [(16_384, True), (16_385, False)])
def test_a_long_text_is_not_kept(length: int, kept: bool) -> None:
    """It is read anew each time."""
    cache = StatementCache("postgresql")
    sql = "SELECT 1 -- ".ljust(length, "x")
    assert (cache.find(sql) is cache.find(sql)) == kept


def test_nothing_is_proven_where_every_connection_is_reset() -> None:
    """``DB_RESET=always``."""
    statement = StatementCache("postgresql", prove=False).find("SELECT 1")
    assert (statement.harmless, statement.plain, statement.mentions) == (False, False, None)


def test_a_long_text_is_not_sent_behind_others() -> None:
    """Nobody would remember that it takes long."""
    statement = Statement("SELECT 1 -- " + "x" * 20_000, "postgresql")
    assert statement.harmless
    assert not statement.plain
