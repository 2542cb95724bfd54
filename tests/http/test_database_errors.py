"""Database errors without a database: whose fault they are, and the line in the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from sanic_ms.exception import (
    CheckViolation,
    DatabaseError,
    DataError,
    StatementError,
    UniqueViolation,
)
from sanic_ms.http.database_errors import describe_conflict, describe_failure, input_error

if TYPE_CHECKING:
    from tests.http.conftest import CompiledApp

FAR = 99_999_999_999


def far(*numbers: int) -> DataError:
    """An integer that does not fit its column."""
    error = DataError("value out of range")
    error.out_of_range = numbers
    return error


@pytest.mark.parametrize(
    ("url", "numbers", "status"),
    [
        (f"/rows/{FAR}", (FAR,), 404),
        (f"/rows/1?since={FAR}", (FAR,), 422),
        (f"/rows/1?since=x&since={FAR}", (FAR,), 422),
        (f"/rows/{FAR}?since={FAR}", (FAR,), 404),
        (f"/rows/1?since={FAR}", (7, FAR), 422),
        (f"/rows/{FAR}", (FAR + 1,), 500),
        (f"/rows/{FAR}", (), 500),
        ("/rows/text?since=text", (FAR,), 500),
    ],
)
async def test_an_integer_of_the_request_is_the_callers(
    app: CompiledApp, url: str, numbers: tuple[int, ...], status: int
) -> None:
    """Of the path 404, of the query 422 with its name, else 500; the path counts first."""

    @app.get("/rows/<id>")
    async def row(request: Any, id: str) -> None:
        raise far(*numbers)

    answer = await app.call("get", url)
    assert answer.status == status
    if status == 422:
        assert answer.json["errors"] == [
            {"field": "since", "message": "is out of range", "type": "out_of_range"}
        ]


@pytest.mark.parametrize(
    ("error", "status"),
    [(StatementError("secret"), 500), (UniqueViolation("secret"), 409), (KeyError("secret"), 500)],
    ids=["statement", "unique", "key"],
)
async def test_other_errors_are_as_they_are(
    app: CompiledApp, error: Exception, status: int
) -> None:
    """Also where the path has a number; no text of the database is sent."""

    @app.get("/rows/<id:int>")
    async def row(request: Any, id: int) -> None:
        raise error

    answer = await app.call("get", f"/rows/{FAR}")
    assert answer.status == status
    assert b"secret" not in answer.body


def test_without_a_request_of_ours_nothing_is_the_callers() -> None:
    """As where none could be read."""
    assert input_error(None, far(FAR)) is None
    assert input_error(object(), far(FAR)) is None  # type: ignore[arg-type]


def raised(error: DatabaseError, *, deeper: bool) -> DatabaseError:
    """An error that went through one function, or two."""

    def statement() -> None:
        raise error

    def caller() -> None:
        statement()

    with pytest.raises(DatabaseError):
        caller() if deeper else statement()
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_name not in (
        "statement",
        "caller",
    ):
        traceback = traceback.tb_next
    return error.with_traceback(traceback)  # without this function, which is no handler


def test_the_log_has_what_is_known_of_a_failure() -> None:
    """In one line: kind, text, column, constraint, statement and places, each if there is one."""
    error = CheckViolation("a\n  b", column="n", constraint="n_positive")
    error.statement = "UPDATE items SET n = ?"
    start = "CheckViolation: a b; column: n; constraint: n_positive; statement: UPDATE items SET n "
    place = f"at {__file__}:"
    line = describe_failure(raised(error, deeper=False))
    assert line.startswith(f"{start}= ?; {place}")
    assert line.endswith("raised.<locals>.statement")
    assert "called by" not in line
    line = describe_failure(raised(error, deeper=True))
    assert line.startswith(f"{start}= ?; {place}")
    assert " in raised.<locals>.statement, called by " in line
    assert line.endswith("raised.<locals>.caller")
    assert describe_failure(StatementError("a")) == "StatementError: a"


def test_a_conflicts_line_has_no_value_of_a_row() -> None:
    """The database's text would have."""
    error = UniqueViolation("Key (name)=(ann) exists", constraint="items_name")
    assert describe_conflict(error) == "UniqueViolation: constraint: items_name"
    error = UniqueViolation("Key (name)=(ann) exists")
    error.statement = "INSERT INTO items VALUES (?)"
    assert describe_conflict(error) == (
        "UniqueViolation: constraint: not named by the database; "
        "statement: INSERT INTO items VALUES (?)"
    )


async def test_which_line_is_logged(app: CompiledApp, caplog: pytest.LogCaptureFixture) -> None:
    """A conflict as information, a failure as an error with its stack."""
    errors = {"twice": UniqueViolation("secret"), "wrong": StatementError("no table")}

    @app.get("/<kind>")
    async def fail(request: Any, kind: str) -> None:
        raise errors[kind]

    with caplog.at_level(logging.INFO, "sanic_ms.http"):
        await app.call("get", "/twice")
        await app.call("get", "/wrong")
    conflict, failure = [each for each in caplog.records if each.name == "sanic_ms.http"]
    assert (conflict.levelno, failure.levelno) == (logging.INFO, logging.ERROR)
    assert "UniqueViolation: constraint: not named by the database; at " in conflict.getMessage()
    assert "secret" not in caplog.text
    assert "StatementError: no table; at " in failure.getMessage()
    assert failure.exc_info
