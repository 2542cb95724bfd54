"""Database errors that no handler catches: whose fault they are, and what the log says of them."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.paths import take_full_path

from sanic_ms import Service
from sanic_ms.db import ConnectionPool
from sanic_ms.testing import TestClient

FAR = 99_999_999_999  # fits into 64 bits and not into 32


async def keep(request: Any, sql: str, *args: Any) -> int:
    """A function between a handler and its statement."""
    return int(await request.app.db.execute(sql, *args))


def make(url: str, *, full: bool) -> Service:
    """A service over a table ``items`` of its own database."""
    app = Service(f"dberr_{uuid.uuid4().hex}", configure_logging=False)
    app.configure(db_url=url)
    if full:
        take_full_path(app)

    @app.post("/null", name="null")
    async def null(request: Any) -> Any:
        return await request.app.db.execute(f"INSERT INTO {app.ctx.table} (id) VALUES (1)")

    @app.post("/check", name="check")
    async def check(request: Any) -> Any:
        return await keep(
            request, f"INSERT INTO {app.ctx.table} (id, name, n) VALUES (1, 'ann', $1)", -1
        )

    @app.post("/twice", name="twice")
    async def twice(request: Any) -> Any:
        for _ in range(2):
            await keep(request, f"INSERT INTO {app.ctx.table} (id, name) VALUES ($1, 'ann')", 1)

    @app.post("/orphan", name="orphan")
    async def orphan(request: Any) -> Any:
        return await keep(
            request, f"INSERT INTO {app.ctx.table} (id, name, parent) VALUES (2, 'ann', $1)", 99
        )

    @app.get("/own", name="own")
    async def own(request: Any) -> Any:
        return await request.app.db.execute(
            f"INSERT INTO {app.ctx.table} (id, name, big) VALUES (1, 'ann', $1)", 2**70
        )

    @app.post("/<id:int>", name="path")
    async def path(request: Any, id: int) -> Any:
        return await request.app.db.execute(
            f"INSERT INTO {app.ctx.table} (id, name) VALUES ($1, 'ann')", id
        )

    @app.get("/far", name="far")
    async def far(request: Any, since: int, limit: int = 3) -> Any:
        return await request.app.db.execute(
            f"UPDATE {app.ctx.table} SET n = $1 WHERE id < $2", since, limit
        )

    @app.get("/raw/<number:str>", name="raw")
    async def raw(request: Any, number: str) -> Any:
        sql = f"SELECT id FROM {app.ctx.table} WHERE big = $1"
        return await request.app.db.fetch(sql, int(number))

    @app.get("/text/<number:str>", name="as_text")
    async def as_text(request: Any, number: str) -> Any:
        return await request.app.db.fetch(f"SELECT id FROM {app.ctx.table} WHERE id = $1", number)

    return app


@pytest.fixture(params=["fast", "full"])
async def service(
    request: pytest.FixtureRequest, any_database_url: str, empty_folder: None
) -> AsyncIterator[tuple[Service, TestClient]]:
    """A started service, on the fast and on the full path, over each kind of database."""
    app = make(any_database_url, full=request.param == "full")
    app.ctx.table = table = f"items_{uuid.uuid4().hex[:8]}"
    pool = ConnectionPool(any_database_url)
    await pool.start()
    await pool.execute(
        f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, name VARCHAR(5) NOT NULL, n INTEGER,"
        f" big BIGINT, parent INTEGER, CONSTRAINT {table}_n CHECK (n > 0),"
        f" CONSTRAINT {table}_p FOREIGN KEY (parent) REFERENCES {table} (id))"
    )
    try:
        async with TestClient(app) as client:
            yield app, client
    finally:
        await pool.execute(f"DROP TABLE {table}")
        await pool.stop()


Lines = Callable[[int], list[str]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """The lines of the logger ``sanic_ms.http`` of a level."""
    caplog.set_level(logging.INFO, "sanic_ms.http")

    def of(level: int) -> list[str]:
        return [
            record.getMessage()
            for record in caplog.records
            if record.name == "sanic_ms.http" and record.levelno == level
        ]

    return of


async def rows(app: Service) -> int:
    """How many rows the table has."""
    return int(await app.db.fetchval(f"SELECT count(*) FROM {app.ctx.table}"))


async def test_a_missing_value_is_an_error_of_the_service(
    service: tuple[Service, TestClient], lines: Lines
) -> None:
    """An INSERT without a NOT NULL column is a 500: the log has the database's text, the column,
    the statement, and the handler's file and line; the caller is told nothing of it."""
    app, client = service
    answer = await client.post("/null")
    assert answer.status == 500
    assert "error" not in answer.json
    assert answer.json["code"] == 10500
    (line,) = lines(logging.ERROR)
    assert line.startswith("POST /null: NotNullViolation: ")
    assert f"statement: INSERT INTO {app.ctx.table} (id) VALUES (?)" in line
    assert "column: " in line
    assert "name" in line.partition("column: ")[2].partition(";")[0]
    assert f"at {__file__}:" in line
    assert line.endswith("null")
    assert await rows(app) == 0


async def test_a_broken_check_is_an_error_of_the_service(
    service: tuple[Service, TestClient], lines: Lines
) -> None:
    """A CHECK that does not hold is a 500. The log names the constraint, the function that ran the
    statement and the handler that called it; no string of the statement's text."""
    app, client = service
    assert (await client.post("/check")).status == 500
    (line,) = lines(logging.ERROR)
    assert "CheckViolation: " in line
    assert f"constraint: {app.ctx.table}_n" in line
    assert f"VALUES (?, ?, ${1})" in line
    where = line.rpartition("; at ")[2]
    assert where.startswith(f"{__file__}:")
    assert "in keep, called by " in where
    assert where.endswith("check")
    assert await rows(app) == 0


async def test_conflicts_are_409_and_told_at_info(
    service: tuple[Service, TestClient], lines: Lines
) -> None:
    """Unique and foreign-key violations stay 409. The log has one line at INFO with the constraint
    and without the values of the row."""
    app, client = service
    answer = await client.post("/twice")
    assert (answer.status, answer.json["error"]) == (
        409,
        "a row with the same unique value already exists",
    )
    assert (await client.post("/orphan")).status == 409
    assert lines(logging.ERROR) == []
    first, second = lines(logging.INFO)
    assert first.startswith("POST /twice: UniqueViolation: constraint: ")
    assert "not named" not in first
    assert second.startswith("POST /orphan: ForeignKeyViolation: constraint: ")
    if app.db.statements.dialect != "sqlite":  # which does not say it
        assert f"{app.ctx.table}_p" in second
    assert f"at {__file__}:" in first
    assert await rows(app) == 1


async def test_a_value_of_the_handlers_own_is_an_error_of_the_service(
    service: tuple[Service, TestClient], lines: Lines
) -> None:
    """A handler's own integer that does not fit is a 500."""
    app, client = service
    assert (await client.get("/own")).status == 500
    # The same number elsewhere in the request makes no difference to another argument.
    assert (await client.get("/own?n=5")).status == 500
    assert len(lines(logging.ERROR)) == 2
    assert all("DataError: " in line for line in lines(logging.ERROR))
    assert await rows(app) == 0


async def test_an_integer_of_the_path_that_fits_no_column_is_a_404(
    service: tuple[Service, TestClient], lines: Lines
) -> None:
    """There is no row of such a number. It is the caller's fault, and no ERROR."""
    app, client = service
    if app.db.statements.dialect != "sqlite":  # every integer column there has 64 bits
        assert (await client.post(f"/{FAR}")).status == 404
    assert (await client.get(f"/raw/{2**70}")).status == 404
    assert (await client.post(f"/{2**70}")).status == 404
    assert (await client.post(f"/-{2**70}")).status == 404
    assert lines(logging.ERROR) == []
    assert await rows(app) == 0


async def test_an_integer_of_the_query_that_fits_no_column_is_a_422(
    service: tuple[Service, TestClient], lines: Lines
) -> None:
    """The answer names the parameter."""
    app, client = service
    if app.db.statements.dialect == "sqlite":
        pytest.skip("every integer column has 64 bits, and so has the parameter")
    await app.db.execute(f"INSERT INTO {app.ctx.table} (id, name) VALUES (1, 'ann')")
    answer = await client.get(f"/far?since={FAR}")
    assert answer.status == 422
    assert [(entry["field"], entry["type"]) for entry in answer.json["errors"]] == [
        ("since", "out_of_range")
    ]
    assert lines(logging.ERROR) == []


async def test_text_for_a_number_is_an_error_of_the_service(
    service: tuple[Service, TestClient], lines: Lines
) -> None:
    """The type of an argument is the handler's choice, also where the text is of the request."""
    app, client = service
    if app.db.statements.dialect != "postgresql":
        pytest.skip("the other databases convert the text")

    for _ in range(3):  # by itself, prepared, and pipelined
        assert (await client.get("/text/1")).status == 500
    assert all("DataError: invalid input for query argument $1" in x for x in lines(logging.ERROR))
