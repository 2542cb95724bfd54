"""No state of a session reaches the next request, whatever changed it.

Each case runs on a pool of one connection: a statement that changes the session, the release, and
a look by what another request would use: `acquire()`, `transaction()`, and the pool itself. It must
show what a new connection shows. Each case runs twice, since the pool asks the catalog about a
statement after its first run, and must not take it for proven.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple

import psycopg
import pymysql
import pytest
from tests.db.conftest import MakePool

from sanic_ms.db import ConnectionPool
from sanic_ms.exception import DatabaseError
from sanic_ms.values import DatabaseURL

# --- PostgreSQL ----------------------------------------------------------------------------------

TENANT = "SELECT coalesce(nullif(current_setting('app.tenant', true), ''), 'none')"
LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
CHANNELS = "SELECT count(*) FROM pg_listening_channels()"
PREPARED = "SELECT count(*) FROM pg_prepared_statements WHERE from_sql"
CURSORS = "SELECT count(*) FROM pg_cursors WHERE is_holdable"
PATH = "SELECT current_setting('search_path')"
ZONE = "SELECT current_setting('timezone')"
ROLE = "SELECT current_user::text || session_user::text"
K = "SELECT v FROM k"
TEMPORARY = (
    "SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema() AND relkind <> 't'"
)
TEMPORARY_TYPES = "SELECT count(*) FROM pg_type WHERE typnamespace = pg_my_temp_schema()"
TEMPORARY_FUNCTIONS = "SELECT count(*) FROM pg_proc WHERE pronamespace = pg_my_temp_schema()"
SEQUENCE = "SELECT currval('ids')"

SET = "set_config('app.tenant', 'a', false)"
LONG_NAME = "a_view_with_a_name_of_more_than_63_bytes_" + "x" * 30
POSTGRES_SETUP = f"""
CREATE TABLE k (id int PRIMARY KEY, v text);
INSERT INTO k VALUES (1, 'true');
CREATE SEQUENCE ids;
CREATE FUNCTION set_tenant(t text) RETURNS text LANGUAGE sql
    AS $$ SELECT set_config('app.tenant', t, false) $$;
CREATE FUNCTION set_a() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM {SET}; RETURN 1; END $$;
CREATE FUNCTION set_stable(i int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
    AS $$ BEGIN PERFORM {SET}; RETURN true; END $$;
CREATE FUNCTION set_immutable() RETURNS int LANGUAGE plpgsql IMMUTABLE
    AS $$ BEGIN PERFORM {SET}; RETURN 1; END $$;
CREATE FUNCTION "Set Tenant"() RETURNS int LANGUAGE sql AS $$ SELECT set_a() $$;
CREATE FUNCTION max(a text, b text) RETURNS text LANGUAGE sql AS $$ SELECT set_tenant(a) $$;
CREATE FUNCTION lower(i int) RETURNS text LANGUAGE sql AS $$ SELECT set_tenant('a') $$;
CREATE FUNCTION overlaps(i int) RETURNS int LANGUAGE sql AS $$ SELECT set_a() $$;
CREATE FUNCTION filter(i int) RETURNS int LANGUAGE sql AS $$ SELECT set_a() $$;
CREATE FUNCTION lock_it() RETURNS void LANGUAGE sql AS $$ SELECT pg_advisory_lock(7) $$;
CREATE FUNCTION rows_of() RETURNS SETOF int LANGUAGE sql AS $$ SELECT set_a() $$;
CREATE FUNCTION dynamic() RETURNS void LANGUAGE plpgsql
    AS $$ BEGIN EXECUTE 'SET app.tenant = ''a'''; END $$;
CREATE FUNCTION temporary() RETURNS void LANGUAGE plpgsql
    AS $$ BEGIN EXECUTE 'CREATE TEMP TABLE k (v text)'; END $$;
CREATE PROCEDURE proc() LANGUAGE plpgsql AS $$ BEGIN PERFORM set_a(); END $$;
CREATE TABLE fields (id int, name text);
INSERT INTO fields VALUES (1, 'x');
CREATE FUNCTION computed(f fields) RETURNS int LANGUAGE sql AS $$ SELECT set_a() $$;
CREATE FUNCTION of_any(f anyelement) RETURNS int LANGUAGE sql AS $$ SELECT set_a() $$;
CREATE VIEW bad_view AS SELECT set_a() AS v;
CREATE VIEW view_of_view AS SELECT v FROM bad_view;
CREATE VIEW builtin_view AS SELECT {SET} AS v;
CREATE OPERATOR ### (LEFTARG = text, RIGHTARG = text, FUNCTION = max);
CREATE FUNCTION state(a text, b text) RETURNS text LANGUAGE sql AS $$ SELECT set_tenant('a') $$;
CREATE AGGREGATE collect(text) (SFUNC = state, STYPE = text, INITCOND = '');
CREATE DOMAIN positive AS int CHECK (set_stable(VALUE));
CREATE TYPE wrapped AS (i int);
CREATE FUNCTION wrap(i int) RETURNS wrapped LANGUAGE plpgsql
    AS $$ BEGIN PERFORM set_a(); RETURN ROW(i)::wrapped; END $$;
CREATE FUNCTION on_change() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN PERFORM set_a(); RETURN NEW; END $$;
CREATE TABLE triggered (id int PRIMARY KEY, v text);
CREATE TRIGGER change AFTER INSERT OR UPDATE OR DELETE ON triggered
    FOR EACH ROW EXECUTE FUNCTION on_change();
CREATE TABLE statement_triggered (id int);
CREATE TRIGGER change AFTER INSERT ON statement_triggered EXECUTE FUNCTION on_change();
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (parent_id int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE);
INSERT INTO parent VALUES (1);
INSERT INTO child VALUES (1);
CREATE TRIGGER change BEFORE DELETE OR UPDATE ON child
    FOR EACH ROW EXECUTE FUNCTION on_change();
CREATE TABLE inherited (id int);
CREATE TABLE heir () INHERITS (inherited);
INSERT INTO heir VALUES (1);
CREATE TRIGGER change AFTER UPDATE ON heir FOR EACH ROW EXECUTE FUNCTION on_change();
CREATE TABLE parted (id int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);
CREATE TRIGGER change AFTER INSERT ON part_1 FOR EACH ROW EXECUTE FUNCTION on_change();
CREATE TABLE ruled (id int);
CREATE RULE change AS ON INSERT TO ruled DO ALSO SELECT set_a();
CREATE TABLE defaulted (id int, v int DEFAULT set_a());
CREATE TABLE builtin_default (id int, v text DEFAULT {SET});
CREATE TABLE checked (id int CHECK (set_stable(id)));
CREATE TABLE generated (id int, g boolean GENERATED ALWAYS AS (set_stable(id)) STORED);
CREATE TABLE indexed (id int);
CREATE INDEX ON indexed (set_stable(id));
CREATE TABLE partial (id int);
CREATE INDEX ON partial (id) WHERE set_stable(id);
CREATE TABLE of_domain (id positive);
CREATE TABLE guarded (id int);
INSERT INTO guarded VALUES (1);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
ALTER TABLE guarded FORCE ROW LEVEL SECURITY;
CREATE POLICY all_rows ON guarded USING (set_stable(id));
CREATE MATERIALIZED VIEW stored AS SELECT 1 AS id;
CREATE DOMAIN positive_2 AS positive;
CREATE TYPE holder AS (a positive, b text);
CREATE TABLE of_nested (id positive_2);
CREATE TABLE of_holder (h holder);
CREATE VIEW position AS SELECT set_a() AS v;
CREATE VIEW {LONG_NAME} AS SELECT set_a() AS v;
CREATE FUNCTION like_it(i int, t text) RETURNS boolean LANGUAGE plpgsql
    AS $$ BEGIN PERFORM set_a(); RETURN true; END $$;
CREATE TABLE split (id int) PARTITION BY RANGE ((id + set_immutable()));
CREATE TABLE split_1 PARTITION OF split FOR VALUES FROM (0) TO (100);
CREATE TABLE planned (id int CHECK (id + set_immutable() > 0));
GRANT ALL ON ALL TABLES IN SCHEMA {{schema}} TO {{role}};
GRANT USAGE ON SCHEMA {{schema}} TO {{role}};
"""


class Case(NamedTuple):
    """A statement that changes the session, a look at it, and arguments."""

    sql: str
    look: str
    args: tuple[Any, ...] = ()


def tenant(*statements: str) -> list[Case]:
    """Cases that set ``app.tenant``."""
    return [Case(sql, TENANT) for sql in statements]


POSTGRES = [
    # the language's own commands
    *tenant(
        "SET app.tenant = 'a'",
        "SET SESSION app.tenant TO 'a'",
        "set\tapp.tenant\n=\n'a'",
        "/* x */ SET app.tenant = 'a'",
        "SELECT 1; SET app.tenant = 'a'",
        "SET LOCAL app.x = 'b'; SET app.tenant = 'a'",
        "DO $$ BEGIN PERFORM set_config('app.tenant', 'a', false); END $$",
        "CALL proc()",
        "EXPLAIN ANALYZE SELECT set_a()",
    ),
    Case("SET search_path = pg_catalog", PATH),
    Case("SET SCHEMA 'pg_catalog'", PATH),
    Case("SET TIME ZONE 'Asia/Tokyo'", ZONE),
    Case("SET timezone TO 'Asia/Tokyo'", ZONE),
    Case("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
         "SHOW default_transaction_read_only"),
    Case("SET default_transaction_read_only = on", "SHOW default_transaction_read_only"),
    Case("SET statement_timeout = 60000", "SHOW statement_timeout"),
    Case("SET NAMES 'LATIN1'", "SHOW client_encoding"),
    Case("SET ROLE {role}", ROLE),
    Case("SET SESSION AUTHORIZATION {role}", ROLE),
    Case("SET local.tenant = 'a'", TENANT.replace("app.", "local.")),
    Case("SELECT 'false'::text AS v, 1 insert INTO TEMP k", K),
    Case("LISTEN jobs", CHANNELS),
    Case('listen "Jobs"', CHANNELS),
    Case("PREPARE p AS SELECT 1", PREPARED),
    Case("DECLARE c CURSOR WITH HOLD FOR SELECT 1", CURSORS),
    Case("DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT generate_series(1, 5)", CURSORS),
    # temporary objects
    Case("CREATE TEMP TABLE k (v text)", K),
    Case("CREATE TEMPORARY TABLE k (v text)", K),
    Case("CREATE LOCAL TEMP TABLE k (v text)", K),
    Case("CREATE GLOBAL TEMPORARY TABLE k (v text)", K),
    Case("CREATE TEMP TABLE IF NOT EXISTS k (v text)", K),
    Case("CREATE TABLE pg_temp.k (v text)", K),
    Case('CREATE TABLE "pg_temp".k (v text)', K),
    Case("CREATE TABLE U&\"pg\\005ftemp\".k (v text)", K),
    Case("CREATE TEMP TABLE k AS SELECT 'false'::text AS v", K),
    Case("CREATE TABLE pg_temp.k AS SELECT 'false'::text AS v", K),
    Case("SELECT 'false'::text AS v INTO TEMP k", K),
    Case("SELECT 'false'::text AS v INTO pg_temp.k", K),
    Case("SELECT 'false'::text AS v INTO TEMPORARY TABLE k", K),
    Case("WITH x AS (SELECT 'false'::text AS v) SELECT v INTO pg_temp.k FROM x", K),
    Case("CREATE TEMP VIEW k AS SELECT 'false'::text AS v", K),
    Case("CREATE OR REPLACE TEMP VIEW k AS SELECT 'false'::text AS v", K),
    Case("CREATE VIEW pg_temp.k AS SELECT 'false'::text AS v", K),
    Case("CREATE TEMP RECURSIVE VIEW k (v) AS SELECT 'false'::text", K),
    Case("CREATE TEMP SEQUENCE s", TEMPORARY),
    Case("CREATE SEQUENCE pg_temp.s", TEMPORARY),
    Case("CREATE TYPE pg_temp.t AS (a int)", TEMPORARY_TYPES),
    Case("CREATE TYPE pg_temp.e AS ENUM ('a')", TEMPORARY_TYPES),
    Case("CREATE DOMAIN pg_temp.d AS int", TEMPORARY_TYPES),
    Case("CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", TEMPORARY_FUNCTIONS),
    Case("SELECT temporary()", K),
    # functions of the server
    *tenant(
        f"SELECT {SET}",
        "SELECT set_config('app.tenant', $1, false)",
        "SELECT set_config('app.tenant', 'a', NOT true)",
        "SELECT set_config('app.tenant', 'a', 1 = 2)",
        "SELECT set_config('app.tenant', 'a', (true AND false))",
        "SELECT pg_catalog.set_config('app.tenant', 'a', false)",
        'SELECT "set_config"(\'app.tenant\', \'a\', false)',
        'SELECT "pg_catalog"."set_config"(\'app.tenant\', \'a\', false)',
        'SELECT U&"set\\005fconfig"(\'app.tenant\', \'a\', false)',
        "SELECT set_config /* between */ ('app.tenant', 'a', false)",
        "SELECT set_config\n-- (\n('app.tenant', 'a', false)",
        "SELECT SET_CONFIG('app.tenant', 'a', false)",
        f"SELECT 1 WHERE {SET} = 'a'",
        f"SELECT 1 ORDER BY {SET}",
        f"SELECT id FROM k LIMIT (SELECT 1 WHERE {SET} = 'a')",
        f"WITH x AS MATERIALIZED (SELECT {SET}) SELECT * FROM x",
        f"VALUES ({SET})",
        f"SELECT * FROM {SET}",
        f"SELECT * FROM k, LATERAL (SELECT {SET}) x",
        f"SELECT count(*) FILTER (WHERE {SET} = 'a') FROM k",
        f"SELECT sum(1) OVER (ORDER BY {SET}) FROM k",
        f"SELECT CASE WHEN {SET} = 'a' THEN 1 END",
        f"SELECT ARRAY[{SET}]",
        f"SELECT ({SET})::text",
        f"UPDATE k SET v = 'true' WHERE {SET} = 'a'",
        f"UPDATE k SET v = 'true' RETURNING {SET}",
        f"INSERT INTO k SELECT 2, {SET} WHERE false OR length({SET}) = 5",
        f"DELETE FROM k WHERE id = 77 OR {SET} = 'x'",
        "UPDATE pg_settings SET setting = 'a' WHERE name = 'app.tenant'",
        f"SELECT query_to_xml('SELECT {SET.replace(chr(39), chr(39) * 2)}', true, true, '')",
    )[:-2],
    Case("UPDATE pg_settings SET setting = '60000' WHERE name = 'statement_timeout'",
         "SHOW statement_timeout"),
    Case("UPDATE pg_catalog.pg_settings SET setting = 'Asia/Tokyo' WHERE name = 'TimeZone'", ZONE),
    Case("SELECT query_to_xml('SELECT set_a()', true, true, '')", TENANT),
    Case("SELECT * FROM ts_stat('SELECT to_tsvector(set_tenant(''a''))')", TENANT),
    Case("SELECT pg_advisory_lock(1)", LOCKS),
    Case("SELECT pg_advisory_lock(1, 2)", LOCKS),
    Case("SELECT pg_advisory_lock_shared(1)", LOCKS),
    Case("SELECT pg_try_advisory_lock($1)", LOCKS, (1,)),
    Case("SELECT pg_try_advisory_lock_shared(1)", LOCKS),
    Case('SELECT "pg_advisory_lock"(1)', LOCKS),
    Case("SELECT lock_it()", LOCKS),
    Case("SELECT nextval('ids')", SEQUENCE),
    Case("SELECT setval('ids', 5)", SEQUENCE),
    # the application's own
    *tenant(
        "SELECT set_tenant('a')",
        "SELECT set_a()",
        'SELECT "Set Tenant"()',
        'SELECT "set_tenant"(\'a\')',
        "SELECT {schema}.set_tenant('a')",
        "SELECT dynamic()",
        "SELECT * FROM rows_of()",
        "SELECT * FROM rows_of() AS x(a)",
        "SELECT ROW(set_a())",
        "SELECT max('a'::text, 'b'::text)",
        "SELECT lower(5)",
        'SELECT "overlaps"(5)',
        "SELECT filter(5)",
        "SELECT f.computed FROM fields f",
        "SELECT fields.computed FROM fields",
        'SELECT f."computed" FROM fields f',
        "SELECT (f).computed FROM fields f",
        "SELECT computed(f) FROM fields f",
        "SELECT f.of_any FROM fields f",
        "SELECT id FROM fields f ORDER BY f.computed",
        "SELECT * FROM bad_view",
        "TABLE bad_view",
        'SELECT v FROM "bad_view"',
        "SELECT * FROM {schema}.bad_view",
        "SELECT * FROM view_of_view",
        "SELECT * FROM builtin_view",
        "SELECT id FROM k WHERE EXISTS (SELECT v FROM bad_view)",
        "SELECT 'a'::text ### 'b'::text",
        "SELECT 'a'::text OPERATOR({schema}.###) 'b'::text",
        "SELECT collect(v) FROM k",
        "SELECT 5::positive",
        "SELECT CAST(5 AS positive)",
        "SELECT wrap(1)",
        "SELECT set_stable(1)",
        "SELECT 5::positive_2",
        "SELECT ROW(5, 'x')::holder",
        "SELECT (jsonb_populate_record(NULL::holder, jsonb_build_object('a', 5))).a",
        "SELECT * FROM position",
        f"SELECT * FROM {LONG_NAME}",
        "SET local.tenant = 'b'; SET app.tenant = 'a'",
    ),
    # what tables bring along
    *tenant(
        "INSERT INTO triggered VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET v = 'y'",
        "INSERT INTO statement_triggered VALUES (1)",
        "WITH x AS (INSERT INTO statement_triggered VALUES (1) RETURNING id) SELECT * FROM x",
        "UPDATE parent SET id = id + 1",
        "WITH p AS (UPDATE parent SET id = id + 1 RETURNING id) SELECT * FROM p",
        "UPDATE inherited SET id = 1",
        "INSERT INTO parted VALUES (1)",
        "INSERT INTO part_1 VALUES (1)",
        "INSERT INTO ruled VALUES (1)",
        "INSERT INTO defaulted (id) VALUES (1)",
        "INSERT INTO builtin_default (id) VALUES (1)",
        "INSERT INTO checked VALUES (1)",
        "INSERT INTO generated (id) VALUES (1)",
        "INSERT INTO indexed VALUES (1)",
        "INSERT INTO partial VALUES (1)",
        "INSERT INTO of_domain VALUES (1)",
        "INSERT INTO of_nested VALUES (1)",
        "INSERT INTO of_holder VALUES (ROW(1, 'x'))",
        "INSERT INTO split_1 VALUES (1)",
        "INSERT INTO planned VALUES (1)",
        "MERGE INTO triggered t USING (SELECT 3 AS id) s ON t.id = s.id "
        "WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'x') WHEN MATCHED THEN UPDATE SET v = 'z'",
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def postgres_schema(postgres_url: str) -> Iterator[tuple[str, str, str]]:
    """A schema with all that POSTGRES needs, a role, and a URL whose search path finds it."""
    name = f"s_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE r{name}".encode())
        admin.execute(f"CREATE SCHEMA {name}".encode())
        admin.execute(f"SET search_path = {name}, public".encode())
        admin.execute(
            POSTGRES_SETUP.replace("{schema}", name).replace("{role}", f"r{name}").encode()
        )
    url = f"{postgres_url}?search_path={name},public"
    yield url, name, f"r{name}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"DROP SCHEMA {name} CASCADE".encode())
        admin.execute(f"DROP OWNED BY r{name}".encode())
        admin.execute(f"DROP ROLE r{name}".encode())


# --- MariaDB -------------------------------------------------------------------------------------

MYSQL_SETUP = """
CREATE TABLE k (v VARCHAR(9));
INSERT INTO k VALUES ('true');
CREATE TABLE locked (id INT);
CREATE SEQUENCE ids;
CREATE FUNCTION set_a() RETURNS INT DETERMINISTIC NO SQL BEGIN SET @a = 1; RETURN 1; END;
CREATE FUNCTION `max`(i INT) RETURNS INT DETERMINISTIC NO SQL BEGIN SET @a = 1; RETURN 1; END;
CREATE VIEW 1view AS SELECT set_a() AS v;
CREATE VIEW BadView AS SELECT set_a() AS v;
CREATE PROCEDURE proc() SET @a = 1;
CREATE VIEW bad_view AS SELECT set_a() AS v;
CREATE VIEW view_of_view AS SELECT v FROM bad_view;
CREATE TABLE triggered (id INT);
INSERT INTO triggered VALUES (5);
CREATE TRIGGER on_insert AFTER INSERT ON triggered FOR EACH ROW SET @a = NEW.id;
CREATE TRIGGER on_update BEFORE UPDATE ON triggered FOR EACH ROW SET @a = NEW.id;
CREATE TRIGGER on_delete AFTER DELETE ON triggered FOR EACH ROW SET @a = OLD.id;
CREATE VIEW updatable AS SELECT id FROM triggered
"""
VARIABLE = "SELECT coalesce(@a, 'none')"
MY_K = "SELECT count(*) FROM k"
IS_FREE = "SELECT IS_FREE_LOCK('l')"


def variable(*statements: str) -> list[Case]:
    """Cases that set ``@a``."""
    return [Case(sql, VARIABLE) for sql in statements]


MYSQL = [
    *variable(
        "SET @a = 1",
        "SET @`a` = 1",
        "SET @'a' := 1",
        "SELECT @a := 1",
        "SELECT @A:=1",
        "SELECT @`a` := 1",
        "SELECT 1 INTO @a",
        "SELECT 1 INTO @`a`",
        'SELECT 1 INTO @"a"',
        "SELECT 1 FROM k WHERE (@a := 2) = 2",
        "SELECT /*! @a := */ 1",
        "SELECT /*!50000 @a := */ 1",
        "SELECT /*M! @a := */ 1",
        "DO @a := 1",
        "EXECUTE IMMEDIATE 'SET @a = 1'",
        "PREPARE p FROM 'SET @a = 1'; EXECUTE p",
        "CALL proc()",
        "SELECT set_a()",
        "SELECT `set_a`()",
        "SELECT {schema}.set_a()",
        "SELECT * FROM bad_view",
        "SELECT * FROM `bad_view`",
        "SELECT * FROM view_of_view",
        "SELECT * FROM 1view",
        "SELECT * FROM BadView",
        "SELECT max (5)",
        "SELECT max/**/(5)",
        "INSERT INTO triggered VALUES (5)",
        "INSERT triggered VALUES (5)",
        "INSERT INTO {schema}.triggered VALUES (5)",
        "REPLACE INTO triggered VALUES (5)",
        "UPDATE triggered SET id = 6",
        "DELETE FROM triggered WHERE id > 0 LIMIT 1",
        "INSERT INTO updatable VALUES (5)",
        "UPDATE updatable SET id = 7",
        "BEGIN NOT ATOMIC SET @a = 1; END",
    ),
    Case("SET NAMES latin1", "SELECT @@character_set_client"),
    Case("SET time_zone = '+05:00'", "SELECT @@time_zone"),
    Case("SET SESSION sql_mode = ''", "SELECT @@sql_mode"),
    Case("SET @@session.sql_mode = ''", "SELECT @@sql_mode"),
    Case("SET autocommit = 0", "SELECT @@autocommit"),
    Case("SET SESSION TRANSACTION READ ONLY", "SELECT @@tx_read_only"),
    Case("SET STATEMENT max_statement_time = 9 FOR SET @a = 1", VARIABLE),
    Case("USE information_schema", "SELECT DATABASE()"),
    Case("SET ROLE {role}", "SELECT CURRENT_ROLE()"),
    Case("CREATE TEMPORARY TABLE k (v INT)", MY_K),
    Case("CREATE OR REPLACE TEMPORARY TABLE k (v INT)", MY_K),
    Case("CREATE TEMPORARY TABLE IF NOT EXISTS k (v INT)", MY_K),
    Case("CREATE TEMPORARY TABLE k SELECT 1 AS v WHERE false", MY_K),
    Case("CREATE TEMPORARY SEQUENCE k", MY_K),
    Case("SELECT GET_LOCK('l', 1)", IS_FREE),
    Case("SELECT get_lock ( 'l' , 1 )", IS_FREE),
    Case("DO GET_LOCK('l', 1)", IS_FREE),
    Case("LOCK TABLES k READ", "SELECT count(*) FROM triggered WHERE id < 0"),
    Case("LOCK TABLES k WRITE", "SELECT count(*) FROM triggered WHERE id < 0"),
    Case("HANDLER k OPEN", "HANDLER k READ FIRST"),
    Case("SELECT LAST_INSERT_ID(7)", "SELECT LAST_INSERT_ID()"),
    Case("SELECT NEXT VALUE FOR ids", "SELECT PREVIOUS VALUE FOR ids"),
    Case("SELECT NEXTVAL(ids)", "SELECT LASTVAL(ids)"),
]
# Locks of the whole server: alone, and not while other tests write.
MYSQL_SERVER_LOCKS = ["FLUSH TABLES locked WITH READ LOCK", "BACKUP LOCK locked"]


@pytest.fixture(scope="module")
def mysql_schema(mysql_url: str) -> Iterator[tuple[str, str, str]]:
    """A database with all that MYSQL needs."""
    url = DatabaseURL.parse(mysql_url)
    name = f"s_{uuid.uuid4().hex[:12]}"
    options: Any = {"host": url.host, "port": url.port, "user": url.user, "autocommit": True}
    with contextlib.closing(pymysql.connect(**options, password=url.password or "")) as admin:
        cursor = admin.cursor()
        cursor.execute(f"CREATE DATABASE {name}")
        cursor.execute(f"USE {name}")
        for statement in MYSQL_SETUP.replace("RETURN 1; END", "RETURN 1// END").split(";\n"):
            cursor.execute(statement.replace("// END", "; END"))
        cursor.execute(f"CREATE ROLE r{name}")
        own = DatabaseURL(url.scheme, name, url.host, url.port, url.user, url.password)
        yield own.url, name, f"r{name}"
        cursor.execute(f"DROP DATABASE {name}")
        cursor.execute(f"DROP ROLE r{name}")


# --- SQLite --------------------------------------------------------------------------------------

SQLITE_K = "SELECT count(*) FROM k"
OBJECTS = "SELECT count(*) FROM sqlite_temp_master"
DATABASES = "SELECT count(*) FROM pragma_database_list WHERE name NOT IN ('main', 'temp')"
SQLITE = [
    Case("CREATE TEMP TABLE k (v)", SQLITE_K),
    Case("CREATE TEMPORARY TABLE k (v)", SQLITE_K),
    Case("CREATE TABLE temp.k (v)", SQLITE_K),
    Case("CREATE TABLE TEMP . k (v)", SQLITE_K),
    Case('CREATE TABLE "temp".k (v)', SQLITE_K),
    Case("CREATE TABLE [temp].k (v)", SQLITE_K),
    Case("CREATE TABLE `temp`.k (v)", SQLITE_K),
    Case("CREATE TABLE 'temp'.k (v)", SQLITE_K),
    Case("CREATE TABLE temp.k AS SELECT 1 AS v WHERE false", SQLITE_K),
    Case("CREATE TEMP VIEW k AS SELECT 1 AS v WHERE false", SQLITE_K),
    Case("CREATE VIEW temp.k AS SELECT 1 AS v WHERE false", SQLITE_K),
    Case("CREATE /* x */ TEMP TABLE k (v)", SQLITE_K),
    Case("CREATE TEMP TRIGGER tr AFTER INSERT ON main.k BEGIN SELECT 1; END", OBJECTS),
    Case("CREATE VIRTUAL TABLE temp.k USING fts5(v)", SQLITE_K),
    Case("PRAGMA query_only = 1", "PRAGMA query_only"),
    Case("PRAGMA query_only(1)", "PRAGMA query_only"),
    Case("pragma main.query_only=1", "PRAGMA query_only"),
    Case("EXPLAIN PRAGMA query_only=1", "PRAGMA query_only"),
    Case("EXPLAIN QUERY PLAN PRAGMA query_only=1", "PRAGMA query_only"),
    Case("PRAGMA foreign_keys = OFF", "PRAGMA foreign_keys"),
    Case("PRAGMA recursive_triggers = 1", "PRAGMA recursive_triggers"),
    Case("PRAGMA ignore_check_constraints = 1", "PRAGMA ignore_check_constraints"),
    Case("PRAGMA writable_schema = 1", "PRAGMA writable_schema"),
    Case("PRAGMA case_sensitive_like = 1", "SELECT 'a' LIKE 'A'"),
    Case("PRAGMA temp_store = 2", "PRAGMA temp_store"),
    Case("PRAGMA cache_size = 77", "PRAGMA cache_size"),
    Case("ATTACH ':memory:' AS other", DATABASES),
    Case("ATTACH DATABASE ':memory:' AS other", DATABASES),
]

# --- the rule ------------------------------------------------------------------------------------

Look = Callable[[ConnectionPool, str], Awaitable[Any]]


async def by_acquire(pool: ConnectionPool, sql: str) -> Any:
    """As a handler that acquires a connection."""
    async with pool.acquire() as connection:
        return await connection.fetchval(sql)


async def by_transaction(pool: ConnectionPool, sql: str) -> Any:
    """As a handler with a transaction."""
    async with pool.transaction() as connection:
        return await connection.fetchval(sql)


async def by_pool(pool: ConnectionPool, sql: str) -> Any:
    """As a handler that asks the pool."""
    return await pool.fetchval(sql)


LOOKS = [by_acquire, by_transaction, by_pool]


async def seen(look: Look, pool: ConnectionPool, sql: str) -> Any:
    """What a look shows: a value, or the kind of error."""
    try:
        return await look(pool, sql)
    except DatabaseError as exc:
        return type(exc).__name__


async def holds(
    pool: ConnectionPool, fresh: ConnectionPool, case: Case, names: tuple[str, str]
) -> None:
    """Run a case, and compare with a connection on which nothing ran."""
    schema, role = names
    sql = case.sql.replace("{schema}", schema).replace("{role}", role)
    args = case.args or (("a",) if "$1" in sql else ())
    expected = await seen(by_acquire, fresh, case.look)
    for _ in range(2):
        async with pool.acquire() as connection:
            if args:
                await connection.fetch(sql, *args)
            else:
                await connection.execute(sql)
        assert [await seen(look, pool, case.look) for look in LOOKS] == [expected] * len(LOOKS)
    # The same in a transaction, where the database allows it.
    with contextlib.suppress(DatabaseError):
        async with pool.transaction() as connection:
            await connection.fetch(sql, *args)
    assert await seen(by_acquire, pool, case.look) == expected
    # And by the pool itself, which may have taken it for a plain read.
    for _ in range(3):
        with contextlib.suppress(DatabaseError):
            await pool.fetchval(sql, *args)
        assert await seen(by_pool, pool, case.look) == expected


def name_of(case: Case) -> str:
    """A short name of a case."""
    return " ".join(case.sql.split())[:60]


@pytest.mark.parametrize("case", POSTGRES, ids=name_of)
async def test_postgres(
    case: Case, postgres_schema: tuple[str, str, str], make_pool: MakePool
) -> None:
    """A new request finds the session as a new connection has it."""
    url, *names = postgres_schema
    pool, fresh = await make_pool(url, max_size=1), await make_pool(url, max_size=1)
    await holds(pool, fresh, case, (names[0], names[1]))


@pytest.mark.parametrize("case", MYSQL, ids=name_of)
async def test_mysql(case: Case, mysql_schema: tuple[str, str, str], make_pool: MakePool) -> None:
    """A new request finds the session as a new connection has it."""
    url, *names = mysql_schema
    pool, fresh = await make_pool(url, max_size=1), await make_pool(url, max_size=1)
    await holds(pool, fresh, case, (names[0], names[1]))


@pytest.mark.parametrize("sql", MYSQL_SERVER_LOCKS)
async def test_mysql_locks_end_with_their_request(
    sql: str, mysql_schema: tuple[str, str, str], make_pool: MakePool
) -> None:
    """A lock that stayed in the pool would stop every other client of the server."""
    url, *_ = mysql_schema
    pool, other = await make_pool(url, max_size=1), await make_pool(url, max_size=1)
    async with pool.acquire() as connection:
        await connection.execute(sql)
    async with asyncio.timeout(30):
        await other.execute("ALTER TABLE locked COMMENT = 'free'")
    assert await pool.fetchval("SELECT 1") == 1


@pytest.mark.parametrize("memory", [False, True], ids=["file", "memory"])
@pytest.mark.parametrize("case", SQLITE, ids=name_of)
async def test_sqlite(case: Case, memory: bool, tmp_path: Any, make_pool: MakePool) -> None:
    """A new request finds the session as a new connection has it, and the data in memory."""
    pools = []
    for name in ("a.db", "b.db"):
        pool = await make_pool(
            "sqlite://" if memory else f"sqlite:///{tmp_path / name}", max_size=1
        )
        await pool.execute("CREATE TABLE k (v)")
        await pool.execute("INSERT INTO k VALUES ('true')")
        pools.append(pool)
    await holds(pools[0], pools[1], case, ("main", ""))
    assert await pools[0].fetchval("SELECT v FROM main.k") == "true"


def test_the_suite_is_large() -> None:
    """At least 150 statements."""
    assert len({case.sql for case in [*POSTGRES, *MYSQL, *SQLITE]}) >= 150


# --- at the same time, with cancellations and killed backends -------------------------------------


@pytest.fixture
async def tenants(postgres_schema: tuple[str, str, str], make_pool: MakePool) -> ConnectionPool:
    """A pool of three connections for many requests."""
    return await make_pool(postgres_schema[0], max_size=3)


async def test_concurrent_requests_see_no_tenant_but_their_own(
    tenants: ConnectionPool, postgres_schema: tuple[str, str, str]
) -> None:
    """300 requests of ten tenants, some cancelled and some with their backend killed."""
    chance = random.Random(17)
    wrong: list[str] = []

    async def request(number: int) -> None:
        own = f"t{number % 10}"
        async with tenants.acquire() as connection:
            before = await connection.fetchval(TENANT)
            if before != "none":
                wrong.append(f"{own} found {before}")
            await connection.fetchval("SELECT set_tenant($1)", own)
            await asyncio.sleep(0)
            after = await connection.fetchval(TENANT)
            if after != own:
                wrong.append(f"{own} became {after}")
            if number % 29 == 0:
                await connection.fetchval("SELECT pg_terminate_backend(pg_backend_pid())")

    async def look() -> None:
        found = await tenants.fetchval(TENANT)
        if found != "none":
            wrong.append(f"the pool found {found}")

    tasks = []
    for number in range(300):
        tasks.append(asyncio.ensure_future(request(number)))
        tasks.append(asyncio.ensure_future(look()))
        if chance.random() < 0.3:
            await asyncio.sleep(0.001)
            chance.choice(tasks).cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    unexpected = [
        result
        for result in results
        if isinstance(result, BaseException)
        and not isinstance(result, DatabaseError | asyncio.CancelledError)
    ]
    assert unexpected == []
    assert wrong == []
    assert [await seen(look, tenants, TENANT) for look in LOOKS] == ["none"] * 3
