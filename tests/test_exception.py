"""The error tree: statuses, codes, and what shows of an error."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from sanic_ms import exception
from sanic_ms.exception import (
    CustomException,
    DatabaseError,
    HTTPError,
    NotFound,
    ServerError,
    UniqueViolation,
    ValidationError,
    error_for_status,
)

CLASSES = [
    value
    for value in vars(exception).values()
    if inspect.isclass(value) and issubclass(value, HTTPError)
]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_class_has_a_status_and_its_code(cls: type[HTTPError]) -> None:
    """The code is 10000 + status unless one is given, and every class is in the drawn tree."""
    error = cls([]) if cls is ValidationError else cls()
    assert 400 <= error.status <= 599
    assert error.code == 10000 + error.status
    assert error.message
    assert cls.__doc__


def test_the_first_generation_spelling() -> None:
    """`raise ServerError(error=…, code=…, message=…)` keeps all three."""
    error = ServerError(error="no luck", code=10999, message="msg")
    assert (error.status, error.code, error.message, error.error) == (500, 10999, "msg", "no luck")
    assert str(error) == "500 msg: no luck"


def test_the_first_generation_called_the_status_otherwise() -> None:
    """``status_code`` of a call and of a class; every error is a ``CustomException``."""

    class Teapot(CustomException):
        status_code = 418
        code = 20001
        message = "Teapot"

    class Kettle(Teapot):
        status = 419

    error = Teapot(error="short")
    assert (error.status, error.status_code, error.code, error.message) == (
        418, 418, 20001, "Teapot",
    )  # fmt: skip
    assert (Kettle().status, Kettle().status_code, Kettle.status_code) == (419, 419, 419)
    assert (Teapot(code=1, message="x").code, Teapot(code=1, message="x").message) == (1, "x")
    gone = ServerError(status_code=410)
    assert (gone.status, gone.status_code, gone.code, gone.message) == (410, 410, 10410, "Gone")
    assert ServerError.status == ServerError.status_code == 500
    assert isinstance(NotFound(), CustomException)
    with pytest.raises(ValueError, match="between 400 and 599"):
        CustomException(status_code=200)


def test_a_status_of_an_instance_wins_over_the_class() -> None:
    """One may answer with a status that has no class of its own."""
    error = HTTPError("tea", status=418)
    assert (error.status, error.code) == (418, 10418)
    with pytest.raises(ValueError, match="between 400 and 599"):
        HTTPError("fine", status=200)


def test_validation_errors_are_listed_and_counted() -> None:
    """All fields at once, with a sentence for the whole."""
    error = ValidationError([("name", "is required"), ("age", "expected int, got str")])
    assert error.errors[0].field == "name"
    assert error.error == "2 fields are not valid"
    assert ValidationError([("name", "is required")]).error == "1 field is not valid"


def test_a_database_error_keeps_the_drivers_text_for_the_log() -> None:
    """The driver's text may hold values of other people's rows."""
    error = UniqueViolation("Key (mail)=(ann@example.org) already exists", sqlstate="23505")
    assert "ann@example.org" in str(error)
    assert "ann@example.org" not in str(error.error)
    assert error.status == 409
    assert DatabaseError("boom").error is None


def test_the_table_of_the_docs_is_complete() -> None:
    """Each class stands in docs/errors.md with its status, code and message."""
    table = (Path(__file__).parents[1] / "docs" / "errors.md").read_text()
    for cls in CLASSES:
        if cls not in (HTTPError, exception.ClientError):
            error = cls([]) if cls is ValidationError else cls()
            row = f"| {error.status} | {error.code} | `{cls.__name__}` | {error.message} |"
            assert row in table


@pytest.mark.parametrize(("status", "name"), [(404, "NotFound"), (418, "ClientError")])
def test_a_class_is_found_by_status(status: int, name: str) -> None:
    """Every status of an error has a class, if only that of its hundred."""
    assert error_for_status(status).__name__ == name


def test_a_status_that_is_no_error_has_no_class() -> None:
    """A caller that passes 200 has made a mistake."""
    with pytest.raises(ValueError, match="200"):
        error_for_status(200)
    assert issubclass(error_for_status(599), ServerError)


def test_headers_go_with_an_error() -> None:
    """Retry-After and its like are part of the error."""
    assert NotFound(headers={"X-Why": "gone"}).headers == {"X-Why": "gone"}
    assert exception.PoolExhausted().headers == {"Retry-After": "1"}
