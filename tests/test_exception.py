"""The error tree: statuses, codes, and what shows of an error."""

from __future__ import annotations

import copy
import inspect
import pickle
from pathlib import Path
from typing import Any

import pytest

from sanic_ms import exception
from sanic_ms.exception import (
    Conflict,
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


class OutOfStock(Conflict):
    """An application's own."""

    code = 20001
    message = "Out Of Stock"
    error = "come back tomorrow"
    headers = {"Retry-After": "60", "X-Shelf": "7"}  # noqa: RUF012


class SoldOut(OutOfStock):
    status = 410
    code = 20002


class NeedsArguments(Conflict):
    """Its constructor takes others than `HTTPError`'s."""

    def __init__(self, sku: str, *, left: int) -> None:
        super().__init__(f"{sku}: {left} left")
        self.sku = sku
        self.left = left


def test_class_attributes_count() -> None:
    """Also where the class is raised without a call."""
    with pytest.raises(OutOfStock) as caught:
        raise OutOfStock
    error = caught.value
    assert (error.status, error.code, error.message) == (409, 20001, "Out Of Stock")
    assert error.error == "come back tomorrow"
    assert error.headers == {"Retry-After": "60", "X-Shelf": "7"}
    assert str(error) == "409 Out Of Stock: come back tomorrow"


def test_arguments_win_over_class_attributes() -> None:
    """Each for itself; headers by their name, whatever its letters."""
    error = OutOfStock("no shoes", 1, "No", status=503, headers={"retry-after": "5"})
    assert (error.status, error.code, error.message) == (503, 1, "No")
    assert error.error == "no shoes"
    assert error.headers == {"retry-after": "5", "X-Shelf": "7"}
    assert OutOfStock(code=0).code == 0
    assert OutOfStock().headers is not OutOfStock().headers


def test_subclasses_inherit_and_override() -> None:
    """The code of a class that gives none follows its status."""

    class Gone(NotFound):
        status = 410

    class Database(UniqueViolation):
        code = 20003
        message = "Taken"

    assert (SoldOut().status, SoldOut().code, SoldOut().message) == (410, 20002, "Out Of Stock")
    assert (Gone().status, Gone().code, Gone().message) == (410, 10410, "Gone")
    error = Database("secret", constraint="users_mail")
    assert (error.code, error.message, error.error) == (20003, "Taken", UniqueViolation.public)


def test_sanics_name_for_the_status_counts() -> None:
    """``status_code = 418``, as in a class for bare Sanic."""

    class Teapot(HTTPError):
        status_code = 418

    class Pot(Teapot):
        pass

    for cls in (Teapot, Pot):
        assert (cls.status, cls.status_code, cls().status, cls().code) == (418, 418, 418, 10418)
        assert (cls().status_code, cls().quiet, cls(status=500).status_code) == (418, True, 500)


@pytest.mark.parametrize(
    ("attribute", "value", "kind", "text"),
    [
        ("code", "20001", TypeError, "a code is an integer"),
        ("code", True, TypeError, "a code is an integer"),
        ("code", None, TypeError, "a code is an integer"),
        ("code", 0, ValueError, "means success"),
        ("status", "409", TypeError, "a status is an integer"),
        ("status", 200, ValueError, "between 400 and 599"),
        ("status", 600, ValueError, "between 400 and 599"),
        ("status_code", None, TypeError, "a status is an integer"),
        ("status_code", 200, ValueError, "between 400 and 599"),
        ("message", b"x", TypeError, "a message is text"),
        ("message", "", TypeError, "a message is text"),
        ("error", print, TypeError, "text, or a JSON value"),
        ("error", property(str), TypeError, "text, or a JSON value"),
        ("headers", {"Retry-After": 1}, TypeError, "text to text"),
        ("headers", [("a", "b")], TypeError, "text to text"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_wrong_class_attribute_is_refused_at_the_definition(
    attribute: str, value: Any, kind: type[Exception], text: str
) -> None:
    """With the class, the attribute and what would be right; not when the error is raised."""
    with pytest.raises(kind, match=text) as caught:
        type("Wrong", (Conflict,), {attribute: value})
    assert f"Wrong.{attribute}" in str(caught.value)


def test_two_statuses_are_refused() -> None:
    """Both names for the status, with two values."""
    with pytest.raises(TypeError, match="differ"):
        type("Wrong", (Conflict,), {"status": 409, "status_code": 410})


@pytest.mark.parametrize(
    "error",
    [
        OutOfStock(),
        SoldOut("no shoes", headers={"X-A": "1"}, status=503),
        NeedsArguments("shoe", left=0),
        ValidationError([("name", "is too long", "too_long", {"limit": 3})]),
        UniqueViolation("secret", constraint="users_mail"),
        exception.ServiceCallError("users", service="users"),
        HTTPError("tea", status=418),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_an_error_can_be_copied_and_pickled(error: HTTPError, copied: Any) -> None:
    """With all its attributes, whatever its constructor takes."""
    error.add_note("seen")
    again = copied(error)
    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert (str(again), again.args, again.status) == (str(error), error.args, error.status)
    assert again.__notes__[-1] == "seen"
