"""`success` and `failure`: enveloped responses of middleware and exception handlers; and values of
classes that are derived from Python's own."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import http
import logging
import uuid
from typing import Any

import pytest
import sanic.exceptions as sanics
from sanic import HTTPResponse
from tests.calls import WAYS, asking

from sanic_ms import Pagination, Service, doc
from sanic_ms.exception import (
    Conflict,
    HTTPError,
    LifecycleError,
    NotFound,
    UniqueViolation,
    ValidationError,
)
from sanic_ms.http import Envelope, PlainEnvelope, failure, success


def new(**options: Any) -> Service:
    """A service of its own name."""
    return Service(f"enveloped-{uuid.uuid4().hex}", configure_logging=False, **options)


def shown(answer: Any) -> Any:
    """The body without the trace, which not every way keeps."""
    document = answer.json
    if isinstance(document, dict):
        document.pop("trace_id", None)
    return document


@pytest.mark.parametrize("way", WAYS)
async def test_success_is_what_a_handler_that_returns_the_data_gives(way: str) -> None:
    """In the service's own envelope, with status and headers; a status without a body has none."""
    app = new()

    @app.on_response
    async def change(request: Any, response: HTTPResponse) -> HTTPResponse | None:
        match request.path:
            case "/data":
                return success({"id": 1})
            case "/page":
                return success([1, 2], Pagination(page=1, page_size=2, total=5, pages=3))
            case "/made":
                return success(None, status=201, headers={"Location": "/x/1"})
            case "/gone":
                return success(status=204)
        return None

    @app.get("/<name>")
    async def handler(request: Any, name: str) -> Any:
        return "unchanged"

    async with asking(app, way) as ask:
        data = await ask("get", "/data")
        assert (data.status, data.json) == (200, {"code": 0, "data": {"id": 1}})
        assert data.headers["content-type"] == "application/json"
        assert (await ask("get", "/page")).json == {
            "code": 0,
            "data": [1, 2],
            "pagination": {"page": 1, "page_size": 2, "total": 5, "pages": 3},
        }
        made = await ask("get", "/made")
        assert (made.status, made.json, made.headers["location"]) == (
            201,
            {"code": 0, "data": None},
            "/x/1",
        )
        gone = await ask("get", "/gone")
        assert (gone.status, gone.text) == (204, "")
        assert (await ask("get", "/other")).json == {"code": 0, "data": "unchanged"}


@pytest.mark.parametrize("way", WAYS)
async def test_failure_is_what_the_service_answers(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Status, code, headers and entries of the error; of an unexpected exception a 500 without its
    text, which is in the log with its stack."""
    app = new()
    errors: dict[str, Any] = {
        "class": NotFound,
        "own": Conflict("taken", code=20001, headers={"X-A": "1"}),
        "fields": ValidationError([("name", "is taken", "taken")]),
        "sanic": sanics.Forbidden("no"),
        "database": UniqueViolation("Key (mail)=(ann@example.org)"),
        "other": ZeroDivisionError("secret"),
    }

    @app.exception(KeyError)
    async def handle(request: Any, exc: KeyError) -> HTTPResponse:
        return failure(errors[exc.args[0]])

    @app.get("/<name>")
    async def handler(request: Any, name: str) -> None:
        raise KeyError(name)

    async with asking(app, way) as ask:
        replies = {name: await ask("get", f"/{name}") for name in errors}
    bodies = {name: (reply.status, shown(reply)) for name, reply in replies.items()}
    assert bodies == {
        "class": (404, {"code": 10404, "message": "Not Found"}),
        "own": (409, {"code": 20001, "message": "Conflict", "error": "taken"}),
        "fields": (
            422,
            {
                "code": 10422,
                "message": "Unprocessable Content",
                "error": "1 field is not valid",
                "errors": [{"field": "name", "message": "is taken", "type": "taken"}],
            },
        ),
        "sanic": (403, {"code": 10403, "message": "Forbidden", "error": "no"}),
        "database": (
            409,
            {"code": 10409, "message": "Conflict", "error": UniqueViolation.public},
        ),
        "other": (500, {"code": 10500, "message": "Internal Server Error"}),
    }
    assert replies["own"].headers["x-a"] == "1"
    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize("way", WAYS)
async def test_it_is_the_envelope_of_the_application(way: str) -> None:
    """Another one, and one of the team's own with its translation."""

    class Shouting(Envelope):
        def translate(self, error: Any, request: Any) -> str:
            return str(error.message).upper()

    for envelope, good, bad in (
        (PlainEnvelope(), 1, {"code": 10404, "message": "Not Found"}),
        (Shouting(), {"code": 0, "data": 1}, {"code": 10404, "message": "NOT FOUND"}),
    ):
        app = new(envelope=envelope)

        @app.on_request
        async def answer(request: Any) -> HTTPResponse:
            return success(1) if request.path == "/good" else failure(NotFound)

        @app.get("/<name>")
        async def handler(request: Any, name: str) -> None: ...

        async with asking(app, way) as ask:
            assert (await ask("get", "/good")).json == good
            reply = await ask("get", "/bad")
            assert (reply.status, shown(reply)) == (404, bad)


async def test_wrong_use_has_a_clear_text() -> None:
    """Outside of a request there is no application to ask; an error is no success."""
    with pytest.raises(LifecycleError, match="while a request is served"):
        success(1)
    with pytest.raises(LifecycleError, match="while a request is served"):
        failure(NotFound())
    with pytest.raises(TypeError, match="give an exception"):
        failure("not found")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="give an exception"):
        failure(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no success"):
        success(1, status=404)
    with pytest.raises(TypeError, match="integer"):
        success(1, status="200")  # type: ignore[arg-type]


# --- values of derived classes --------------------------------------------------------------------


class Text(str):
    """Shows itself in another way than it is."""

    def __str__(self) -> str:
        return "shown"


class Number(int):
    def __int__(self) -> int:
        return -1

    def __str__(self) -> str:
        return "shown"


class Ratio(float):
    pass


class Rows(list[Any]):
    pass


class Row(dict[str, Any]):
    pass


class Moment(datetime.datetime):
    pass


class Day(datetime.date):
    pass


class Price(decimal.Decimal):
    pass


class Data(bytes):
    pass


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


VALUES: list[tuple[Any, Any]] = [
    (Text("a"), "a"),
    (Number(7), 7),
    (Number(2**63), 2**63),
    (Ratio(-0.5), -0.5),
    (Rows([Text("a"), Rows()]), ["a", []]),
    (Row(a=Number(1), b=Row(c=Text("d"))), {"a": 1, "b": {"c": "d"}}),
    (collections.OrderedDict(a=Text("b")), {"a": "b"}),
    (collections.Counter({Text("a"): 2}), {"a": 2}),
    (Moment(2026, 1, 2, tzinfo=datetime.UTC), "2026-01-02T00:00:00Z"),
    (Day(2026, 1, 2), "2026-01-02"),
    (Price("1.10"), "1.10"),
    (Data(b"x"), "eA=="),
    (Colour.RED, "red"),
    (Level.LOW, 1),
    ({Text("a"): 1, "b": [{Text("c"): Text("d")}]}, {"a": 1, "b": [{"c": "d"}]}),
    ({Number(1): 1, Level.LOW: 2}, {"1": 2}),
    ({Colour.RED: {Number(3): (Text("x"),)}}, {"red": {"3": ["x"]}}),
]


@pytest.mark.parametrize("way", WAYS)
async def test_values_of_derived_classes_are_written_as_what_they_are(way: str) -> None:
    """At any depth, as keys too; methods that a class overrides are not asked."""
    app = new()

    @app.get("/plain/<number:int>")
    async def plain(request: Any, number: int) -> Any:
        return VALUES[number][0]

    @app.get("/deep/<number:int>")
    async def deep(request: Any, number: int) -> Any:
        return {"a": [{"b": VALUES[number][0]}]}

    async with asking(app, way) as ask:
        for number, (_, expected) in enumerate(VALUES):
            assert (await ask("get", f"/plain/{number}")).json == {"code": 0, "data": expected}
            reply = await ask("get", f"/deep/{number}")
            assert reply.json == {"code": 0, "data": {"a": [{"b": expected}]}}


@pytest.mark.parametrize("way", WAYS)
async def test_a_declared_shape_filters_them(way: str) -> None:
    """A list or a dict of a derived class is one to its shape."""
    app = new()

    @app.get("/")
    @doc.produces([{"name": str, "level": int, "tags": [{"n": int}]}])
    async def handler(request: Any) -> Any:
        tags = Rows([Row(n=Number(1), secret=1)])
        return Rows([Row(name=Text("a"), level=Level.LOW, tags=tags, secret=Text("x"))])

    async with asking(app, way) as ask:
        assert (await ask("get", "/")).json["data"] == [
            {"name": "a", "level": 1, "tags": [{"n": 1}]}
        ]


class Paused(HTTPError):
    status = http.HTTPStatus.SERVICE_UNAVAILABLE
    code = Level.LOW
    message = Text("m")


@pytest.mark.parametrize("way", WAYS)
async def test_errors_take_them_too(way: str) -> None:
    """In the sentence, the code and the status, of a class and of an instance."""
    app = new()

    @app.get("/<name>")
    async def handler(request: Any, name: str) -> None:
        if name == "class":
            raise Paused
        status = http.HTTPStatus.GONE
        raise HTTPError({"why": Text("a")}, Level.LOW, Text("m"), status=status)

    async with asking(app, way) as ask:
        reply = await ask("get", "/class")
        assert (reply.status, shown(reply)) == (503, {"code": 1, "message": "m"})
        reply = await ask("get", "/instance")
        assert reply.status == 410
        assert shown(reply) == {"code": 1, "message": "m", "error": {"why": "a"}}
