"""The spans of statements and transactions."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from opentelemetry.trace import SpanKind
from tests.telemetry.collected import recording

from sanic_ms.db import ConnectionPool
from sanic_ms.db.sql.placeholders import Dialect, scan
from sanic_ms.exception import DatabaseError, DeadlineExceeded, QueryTimeout, UniqueViolation
from sanic_ms.resilience import Deadline, deadline_scope
from sanic_ms.values import DatabaseURL

SECRET = "hunter2"

MakePool = Callable[..., Awaitable[ConnectionPool]]
MakeTable = Callable[..., Awaitable[str]]


async def test_a_statement_is_a_span(any_database_url: str, make_pool: MakePool) -> None:
    """A client's span that says which database, what was done, and the text; never the values."""
    pool = await make_pool(any_database_url)
    url = DatabaseURL.parse(any_database_url)
    with recording() as spans:
        async with pool.acquire() as connection:
            row = await connection.fetchrow("SELECT $1 AS a, 'swordfish' AS b, 42 AS c", SECRET)
    assert row is not None
    span = spans.named("SELECT")
    assert span.kind is SpanKind.CLIENT
    assert span.attributes["db.query.text"] == "SELECT $1 AS a, ? AS b, ? AS c"
    assert span.attributes["db.operation.name"] == "SELECT"
    assert span.attributes["db.system.name"] == url.scheme
    assert span.attributes["db.namespace"] == url.database
    if url.scheme != "sqlite":
        assert span.attributes["server.address"] == url.host
        assert span.attributes["server.port"] == url.port
    assert SECRET not in repr(span.attributes)
    assert span.parent_id == spans.named("root").span_id


async def test_every_way_of_running_a_statement_is_a_span(sqlite_url: str) -> None:
    """Fetching, executing, many rows at once, a cursor, and what a pool does for itself."""
    pool = ConnectionPool(sqlite_url)
    await pool.start()
    with recording() as spans:
        await pool.execute("CREATE TABLE cities(id INTEGER)")
        await pool.executemany("INSERT INTO cities VALUES($1)", [[1], [2]])
        await pool.fetch("SELECT * FROM cities")
        await pool.fetchval("SELECT count(*) FROM cities WHERE id > 1")
        assert [row["id"] async for row in pool.iterate("SELECT id FROM cities ORDER BY id")]
    await pool.stop()
    assert [span.name for span in spans] == [
        "CREATE cities",
        "BATCH INSERT cities",
        "SELECT cities",
        "SELECT cities",
        "SELECT cities",
        "root",
    ]
    assert {span.attributes.get("db.collection.name") for span in spans[:-1]} == {"cities"}
    assert spans[1].attributes["db.operation.name"] == "BATCH INSERT"
    assert spans[3].attributes["db.query.text"] == "SELECT count(*) FROM cities WHERE id > ?"


async def test_transactions_and_savepoints_are_spans(
    any_database_url: str, make_pool: MakePool
) -> None:
    """Each trip to the database is one, whether the transaction ends well or not."""
    pool = await make_pool(any_database_url)
    with recording() as spans:
        async with pool.transaction() as connection:
            with contextlib.suppress(ZeroDivisionError):
                async with connection.transaction():
                    await connection.fetchval("SELECT 1")
                    raise ZeroDivisionError
        with contextlib.suppress(ZeroDivisionError):
            async with pool.transaction() as connection:
                raise ZeroDivisionError
    assert [span.name for span in spans] == [
        "BEGIN",
        "SAVEPOINT",
        "SELECT",
        "ROLLBACK TO SAVEPOINT",
        "RELEASE SAVEPOINT",
        "COMMIT",
        "BEGIN",
        "ROLLBACK",
        "root",
    ]
    assert {span.parent_id for span in spans[:-1]} == {spans[-1].span_id}


async def test_a_statement_that_fails_says_so_without_values(
    any_database_url: str, make_pool: MakePool
) -> None:
    """The class and the database's own code are told; its text, which shows rows, is not."""
    pool = await make_pool(any_database_url)
    table = "watched_" + pool.statements.dialect
    await pool.execute(f"DROP TABLE IF EXISTS {table}")
    await pool.execute(f"CREATE TABLE {table}(name VARCHAR(20) PRIMARY KEY)")
    await pool.execute(f"INSERT INTO {table} VALUES($1)", SECRET)
    with recording() as spans, pytest.raises(UniqueViolation) as caught:
        await pool.execute(f"INSERT INTO {table} VALUES($1)", SECRET)
    span = spans.named(f"INSERT {table}")
    assert span.status == 2
    assert span.attributes["error.type"] == "sanic_ms.exception.UniqueViolation"
    assert span.attributes.get("db.response.status_code") == caught.value.sqlstate
    assert SECRET not in f"{span.attributes} {span.description}"
    root = spans.named("root")
    root.stop = 0
    root.record_exception(caught.value)
    assert SECRET not in repr(root.events)
    await pool.execute(f"DROP TABLE {table}")


async def test_a_timeout_ends_the_span(postgres_url: str, make_pool: MakePool) -> None:
    """A statement that was given up lasts as long as it was waited for."""
    pool = await make_pool(postgres_url)
    with recording() as spans, pytest.raises(QueryTimeout):
        await pool.fetchval("SELECT pg_sleep(60)", timeout=0.05)
    span = spans.named("SELECT")
    assert span.attributes["error.type"] == "sanic_ms.exception.QueryTimeout"
    assert 0.04e9 < span.stop - span.start < 50e9


async def test_the_deadline_is_an_error_of_its_own(postgres_url: str, make_pool: MakePool) -> None:
    """A span tells a statement that the deadline has ended from one that took too long."""
    pool = await make_pool(postgres_url)
    scope = deadline_scope(Deadline.after(0.05))
    with recording() as spans, scope, pytest.raises(DeadlineExceeded):
        await pool.fetchval("SELECT pg_sleep(60)")
    span = spans.named("SELECT")
    assert (span.status, span.attributes["error.type"]) == (
        2,
        "sanic_ms.exception.DeadlineExceeded",
    )


@pytest.mark.parametrize("ratio", [0, 1])
async def test_nothing_is_made_where_nothing_is_recorded(sqlite_url: str, ratio: float) -> None:
    """Neither in a trace that is not sampled, nor outside of any."""
    pool = ConnectionPool(sqlite_url)
    await pool.start()
    with recording(ratio) as spans:
        if ratio == 0:
            await pool.fetchval("SELECT 1")
    await pool.fetchval("SELECT 1")
    await pool.stop()
    assert [span.name for span in spans] == ["root"] * int(ratio)


@pytest.mark.parametrize(
    ("dialect", "sql", "shown"),
    [
        ("postgresql", "SELECT 'it''s', $1, \"a'b\" FROM t1", 'SELECT ?, $1, "a\'b" FROM t1'),
        ("postgresql", "SELECT E'a\\'b', $x$se'cret$x$, 1.5e3", "SELECT ?, ?, ?"),
        (
            "postgresql",
            "SELECT 1 -- secret\n, 0x1F /* s /* x */ y */ + .5",
            "SELECT ?  \n, ?   + ?",
        ),
        (
            "postgresql",
            "SELECT a[1], t2.c3::numeric(10,2), $1",
            "SELECT a[?], t2.c3::numeric(?,?), $1",
        ),
        ("mysql", 'SELECT "it\\"s", `a"b`, \'x\' # secret', 'SELECT ?, `a"b`, ?  '),
        ("sqlite", "SELECT \"name\", [na'me], 'x' LIMIT 10", 'SELECT "name", [na\'me], ? LIMIT ?'),
        ("sqlite", "SELECT 'never closed", "SELECT ?"),
    ],
)
def test_text_is_shown_without_data(dialect: Dialect, sql: str, shown: str) -> None:
    """Strings and numbers are nobody's business; names and placeholders stay."""
    assert " ".join(scan(sql, dialect).shown.split()) == " ".join(shown.split())


def test_errors_are_told_by_their_public_text() -> None:
    """What a database says of an error holds values, through the whole chain of exceptions."""
    from sanic_ms.telemetry.tracing.errors import error_stack, error_text

    def fail() -> None:
        try:
            raise RuntimeError(f"Key (email)=({SECRET}) already exists")
        except RuntimeError as exc:
            raise UniqueViolation(f"Key (email)=({SECRET}) already exists") from exc

    caught: list[Any] = []
    try:
        try:
            fail()
        except DatabaseError as exc:
            raise ValueError("the user is known") from exc
    except ValueError as exc:
        caught.append(exc)
    stack = error_stack(caught[0])
    assert SECRET not in stack
    assert "ValueError: the user is known" in stack
    assert "UniqueViolation: a row with the same unique value already exists" in stack
    assert "RuntimeError\n" in stack
    assert error_text(caught[0].__cause__) == "a row with the same unique value already exists"
