"""What is PostgreSQL's alone, and MySQL's."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from sanic_ms.db import ConnectionPool
from sanic_ms.exception import ConfigError, MissingDependency, StatementError, TransactionConflict

MakePool = Callable[..., Awaitable[ConnectionPool]]
Settled = Callable[[ConnectionPool], Awaitable[None]]


async def test_arrays(postgres_url: str, make_pool: MakePool) -> None:
    """PostgreSQL has them: lists go in and come out, of any type and depth."""
    pool = await make_pool(postgres_url)
    ids = [uuid4(), uuid4()]
    row = await pool.fetchrow(
        "SELECT $1::int[] AS a, $2::text[] AS b, $3::uuid[] AS c, $4::jsonb[] AS d",
        [1, None, 3], [["a", "b"], ["c", "d"]], ids, [{"x": 1}, {"y": [2]}],
    )  # fmt: skip
    assert row == {
        "a": [1, None, 3], "b": [["a", "b"], ["c", "d"]], "c": ids, "d": [{"x": 1}, {"y": [2]}],
    }  # fmt: skip
    assert await pool.fetchval("SELECT count(*) WHERE 2 = ANY($1::int[])", [1, 2]) == 1


async def test_json_is_json(postgres_url: str, make_pool: MakePool) -> None:
    """json and jsonb alike; a str is a JSON text, and None is NULL."""
    pool = await make_pool(postgres_url)
    row = await pool.fetchrow(
        "SELECT $1::json AS a, $2::jsonb AS b, $3::jsonb AS c, $4::jsonb AS d",
        {"x": [1.5]}, "text", 5, None,
    )  # fmt: skip
    assert row == {"a": {"x": [1.5]}, "b": "text", "c": 5, "d": None}
    assert await pool.fetchval("SELECT 'null'::jsonb") is None


async def test_a_prepared_statement_is_reused(postgres_url: str, make_pool: MakePool) -> None:
    """The same text is prepared once a connection, and what is forgotten is closed."""
    pool = await make_pool(postgres_url, max_size=1)
    for number in range(10):
        await pool.fetchval("SELECT $1::int AS reused", number)
    sql = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE $1"
    assert await pool.fetchval(sql, "%AS reused") == 1
    for number in range(300):
        await pool.fetchval(f"SELECT $1::int AS n{number}", number)
    assert await pool.fetchval(sql, "SELECT $1::int AS n%") < 260


async def test_without_prepared_statements(postgres_url: str, make_pool: MakePool) -> None:
    """``statement_cache_size=0`` keeps none on the server, for a pgbouncer in transaction mode."""
    pool = await make_pool(f"{postgres_url}?statement_cache_size=0", max_size=1)
    for number in range(5):
        assert await pool.fetchval("SELECT $1::int AS a", number) == number
        assert await pool.fetchrow("SELECT $1::int AS a", number) == {"a": number}
    await pool.executemany("SELECT $1::int", [(1,), (2,)])
    assert [r["n"] async for r in pool.iterate("SELECT generate_series(1, $1) AS n", 3)] == [
        1,
        2,
        3,
    ]
    found = (
        "SELECT count(*) FROM pg_prepared_statements WHERE name <> '' AND statement LIKE '%::int%'"
    )
    assert await pool.fetchval(found) == 0


async def test_options_of_the_url_reach_the_server(postgres_url: str, make_pool: MakePool) -> None:
    """What asyncpg does not know is a setting of the server."""
    pool = await make_pool(f"{postgres_url}?application_name=shop&timezone=Asia/Tokyo")
    assert await pool.fetchval("SHOW application_name") == "shop"
    assert await pool.fetchval("SHOW timezone") == "Asia/Tokyo"


async def test_nothing_of_a_session_is_left(
    postgres_url: str, make_pool: MakePool, settled: Settled
) -> None:
    """Temporary tables, advisory locks, listeners and prepared names go at the release; and the
    statements that were prepared before work again."""
    pool = await make_pool(postgres_url, max_size=1)
    other = await make_pool(postgres_url, max_size=1)
    assert await pool.fetchval("SELECT 1 + $1", 1) == 2
    for sql in (
        "CREATE TEMP TABLE mine (a int)",
        "SELECT pg_advisory_lock(77)",
        "LISTEN jobs",
        "PREPARE mine AS SELECT 1",
        "SET search_path = nowhere",
    ):
        await pool.execute(sql)
        await settled(pool)
    assert await pool.fetchval("SELECT to_regclass('mine')::text") is None
    assert await other.fetchval("SELECT pg_try_advisory_lock(77)") is True
    assert await pool.fetch("SELECT pg_listening_channels()") == []
    await pool.execute("PREPARE mine AS SELECT 1")
    assert "nowhere" not in await pool.fetchval("SHOW search_path")
    assert await pool.fetchval("SELECT 1 + $1", 1) == 2


async def test_a_changed_table_inside_a_transaction(postgres_url: str, make_pool: MakePool) -> None:
    """The plan of the first statement is out of date: the transaction begins again. In front of a
    later one PostgreSQL has failed the transaction, which works when it is repeated."""
    pool = await make_pool(postgres_url, max_size=1)
    other = await make_pool(postgres_url, max_size=1)
    await pool.execute("CREATE TABLE changing (id int)")
    try:
        sql = "SELECT * FROM changing WHERE id > $1"

        async def read() -> list[dict[str, object]]:
            async with pool.transaction() as db:
                return await db.fetch(sql, 0)

        async def read_later() -> list[dict[str, object]]:
            async with pool.transaction() as db:
                await db.fetchval("SELECT 1")
                return await db.fetch(sql, 0)

        for work in (read, read, read_later):  # proven, then prepared to stay
            await work()
        await other.execute("ALTER TABLE changing ADD COLUMN name text")
        await other.execute("INSERT INTO changing VALUES (1, 'x')")
        assert await read() == [{"id": 1, "name": "x"}]
        await other.execute("ALTER TABLE changing ADD COLUMN age int")
        with pytest.raises(TransactionConflict):
            await read_later()
        assert await read_later() == [{"id": 1, "name": "x", "age": None}]
    finally:
        await pool.execute("DROP TABLE changing")


async def test_several_statements_without_arguments(postgres_url: str, make_pool: MakePool) -> None:
    """PostgreSQL takes them in one text, and all of them or none."""
    pool = await make_pool(postgres_url)
    await pool.execute("CREATE TABLE several (id int); INSERT INTO several VALUES (1), (2)")
    assert await pool.fetchval("SELECT count(*) FROM several") == 2
    await pool.execute("DROP TABLE several")


async def test_a_failover_is_noticed(postgres_url: str, make_pool: MakePool) -> None:
    """A server that has become read-only: its connections are not kept."""
    pool = await make_pool(f"{postgres_url}?default_transaction_read_only=on", max_size=1)
    async with pool.acquire() as db:
        session = db.session
        with pytest.raises(Exception, match="read-only"):
            await db.execute("CREATE TABLE nope (id int)")
    assert session.retired
    assert await pool.fetchval("SELECT 1") == 1


async def test_json_of_mariadb_is_known_by_its_check(mysql_url: str, make_pool: MakePool) -> None:
    """The protocol calls it LONGTEXT. A LONGTEXT that only looks like JSON stays a text."""
    pool = await make_pool(mysql_url)
    await pool.execute(
        "CREATE TABLE jsons (j JSON, t LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin)"
    )
    try:
        await pool.execute("INSERT INTO jsons VALUES ($1, $2)", {"a": [1]}, '{"a": [1]}')
        expected = {"j": {"a": [1]}, "t": '{"a": [1]}'}
        assert await pool.fetchrow("SELECT * FROM jsons") == expected
        assert await pool.fetchrow("SELECT * FROM jsons WHERE 1 = $1", 1) == expected
        assert await pool.fetchrow("SELECT x.j AS other FROM jsons AS x") == {"other": {"a": [1]}}
        await pool.execute("ALTER TABLE jsons ADD COLUMN k JSON DEFAULT '[2]'")
        assert await pool.fetchval("SELECT k FROM jsons") == [2]
    finally:
        await pool.execute("DROP TABLE jsons")


async def test_values_of_mysql(mysql_url: str, make_pool: MakePool) -> None:
    """TIME is a timedelta, TINYINT(1) a boolean, BIGINT UNSIGNED a whole number."""
    pool = await make_pool(mysql_url)
    row = await pool.fetchrow(
        "SELECT CAST($1 AS TIME) AS t, CAST($2 AS UNSIGNED) AS u, $3 AS b, $4 AS s",
        timedelta(hours=-1, minutes=5), 2**64 - 1, b"\xff\x00'\\", "é🙂",
    )  # fmt: skip
    assert row == {
        "t": timedelta(hours=-1, minutes=5), "u": 2**64 - 1, "b": b"\xff\x00'\\", "s": "é🙂",
    }  # fmt: skip
    await pool.execute("CREATE TABLE tiny (a BOOLEAN, b TINYINT(1), c TINYINT)")
    await pool.execute("INSERT INTO tiny VALUES (TRUE, 5, 1)")
    assert await pool.fetchrow("SELECT * FROM tiny") == {"a": True, "b": 5, "c": 1}
    await pool.execute("DROP TABLE tiny")
    assert await pool.fetchval("SELECT @@session.time_zone") == "+00:00"
    assert await pool.fetchval("SELECT @@character_set_client") == "utf8mb4"


async def test_what_mysql_cannot_prepare(mysql_url: str, make_pool: MakePool) -> None:
    """Without arguments it is sent as text; with arguments the error says why."""
    pool = await make_pool(mysql_url)
    assert await pool.fetch("SHOW TABLES LIKE 'nothing'") == []
    assert [row async for row in pool.iterate("SHOW VARIABLES LIKE 'port'")]
    with pytest.raises(StatementError):
        await pool.execute("LOCK TABLES x READ, $1 WRITE", 1)
    assert await pool.fetchval("SELECT 1") == 1


@pytest.fixture
def encrypted(tmp_path: Path) -> dict[str, Path]:
    """A certificate and its key, which has a pass phrase."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-passout", "pass:hunter2",
             "-subj", "/CN=x", "-keyout", key, "-out", cert],
            check=True, capture_output=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return {"cert": cert, "key": key}


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ("ssl_ca=/no/ca.pem", "ssl_ca cannot be read: No such file or directory"),
        ("ssl_cert=/no/cert.pem&ssl_key=/no/key.pem", "ssl_cert cannot be read: "),
        ("ssl_key={key}", "ssl_key is of no use without ssl_cert"),
        ("ssl_cert={cert}&ssl_key={key}", "ssl_key is encrypted"),
    ],
)
async def test_files_that_a_mysql_url_names(
    encrypted: dict[str, Path], options: str, line: str
) -> None:
    """One that cannot be used stops the start before anything is sent, and so in the clear; nobody
    is asked for a pass phrase."""
    url = f"mysql://root@127.0.0.1/x?{options.format(**encrypted)}"
    with pytest.raises(ConfigError, match=f"^mysql://.*: {line}"):
        await ConnectionPool(url).start()


async def test_a_missing_driver_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the pip command."""
    monkeypatch.setitem(sys.modules, "asyncmy", None)
    monkeypatch.delitem(sys.modules, "sanic_ms.db.drivers.mysql.driver", raising=False)
    with pytest.raises(MissingDependency, match=r'pip install "sanic-ms\[mysql\]"'):
        await ConnectionPool("mysql://root@127.0.0.1/x").start()


async def test_many_statements_at_once_on_mysql(mysql_url: str, make_pool: MakePool) -> None:
    """More than are kept prepared on one connection: the oldest are closed on the server."""
    pool = await make_pool(mysql_url, max_size=1)
    for number in range(300):
        assert await pool.fetchval(f"SELECT {number} + $1", 0) == number
    rows = await pool.fetch("SHOW SESSION STATUS LIKE 'Prepared_stmt_count'")
    if rows:
        assert int(rows[0]["Value"]) <= 300
    await asyncio.sleep(0)
