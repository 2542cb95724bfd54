"""The form of answers: data, pages, errors, and the other envelopes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from peewee import AutoField, CharField, Model
from sanic import HTTPResponse, Request
from sanic.exceptions import SanicException
from sanic.response import json, text
from sanic.views import HTTPMethodView
from tests.answers import closed

from sanic_ms import doc
from sanic_ms.exception import (
    HTTPError,
    MethodNotAllowed,
    NotFound,
    ServerError,
    Unauthorized,
    ValidationError,
)
from sanic_ms.http import Envelope, PlainEnvelope, ProblemEnvelope
from sanic_ms.values.page import Pagination

if TYPE_CHECKING:
    from tests.http.conftest import CompiledApp


class Person(Model):
    """A model with a column that must not leave."""

    id = AutoField()
    name = CharField()
    password = CharField()


class Out(msgspec.Struct):
    """An answer."""

    id: int


async def test_plain_data_is_wrapped(app: CompiledApp) -> None:
    """Dicts, lists, scalars, None, and the values of a database row."""
    values: dict[str, Any] = {
        "dict": {"id": 1},
        "list": [1, 2],
        "text": "x",
        "none": None,
        "row": {"at": datetime(2026, 1, 2, tzinfo=UTC), "price": Decimal("1.10")},
    }

    @app.get("/<key>")
    def handler(request: Any, key: str) -> Any:
        return values[key]

    for key, value in values.items():
        answer = await app.call("get", f"/{key}")
        assert answer.json["code"] == 0
        assert answer.headers["content-type"] == "application/json"
        if key != "row":
            assert answer.json["data"] == value
    assert (await app.call("get", "/row")).json["data"]["at"] == "2026-01-02T00:00:00Z"


async def test_a_response_of_the_handlers_own_passes_untouched(app: CompiledApp) -> None:
    """Files, streams and other formats are the handler's business."""

    @app.get("/text")
    async def plain(request: Any) -> HTTPResponse:
        return text("hello")

    @app.get("/json")
    async def own(request: Any) -> HTTPResponse:
        return json({"a": 1}, status=202)

    @app.get("/stream")
    async def stream(request: Any) -> None:
        response = await request.respond(content_type="text/plain")
        await response.send("streamed")
        await response.eof()

    assert (await app.call("get", "/text")).body == b"hello"
    own_answer = await app.call("get", "/json")
    assert (own_answer.status, own_answer.json) == (202, {"a": 1})
    assert (await app.call("get", "/stream")).body == b"streamed"


async def test_the_answer_holds_only_what_the_shape_declares(app: CompiledApp) -> None:
    """A column that the shape does not name never leaves, in rows, lists and nested objects."""

    @app.get("/one")
    @doc.produces({"id": int, "name": str})
    async def one(request: Any) -> Any:
        return {"id": 1, "name": "ann", "password": "x"}

    @app.get("/model")
    @doc.produces({"id": int})
    async def model(request: Any) -> Any:
        return Person(id=1, name="ann", password="x")

    @app.get("/many")
    @doc.produces([{"id": int, "friend": {"id": int}}])
    async def many(request: Any) -> Any:
        return [{"id": 1, "friend": {"id": 2, "password": "x"}, "password": "x"}]

    assert (await app.call("get", "/one")).json["data"] == {"id": 1, "name": "ann"}
    assert (await app.call("get", "/model")).json["data"] == {"id": 1}
    assert (await app.call("get", "/many")).json["data"] == [{"id": 1, "friend": {"id": 2}}]


async def test_a_shape_beside_a_response_still_filters(app: CompiledApp) -> None:
    """`-> Shape | HTTPResponse`: data is projected, a response passes."""

    @app.get("/<kind>")
    async def handler(request: Any, kind: str) -> Out | HTTPResponse:
        return text("own") if kind == "own" else {"id": 1, "password": "x"}  # type: ignore[return-value]

    assert (await app.call("get", "/data")).json["data"] == {"id": 1}
    assert (await app.call("get", "/own")).body == b"own"


async def test_a_declared_tuple_is_no_page(app: CompiledApp) -> None:
    """Only a `Pagination` is one where the handler says what it returns."""

    @app.get("/")
    async def handler(request: Any) -> tuple[int, dict[str, int]]:
        return 1, {"a": 2}

    assert (await app.call("get", "/")).json == {"code": 0, "data": [1, {"a": 2}]}


async def test_the_text_of_sanics_own_5xx_is_kept_back(app: CompiledApp) -> None:
    """It may hold anything, as any other exception's."""

    @app.get("/")
    async def handler(request: Any) -> None:
        raise SanicException("secret", status_code=500, quiet=True)

    assert b"secret" not in (await app.call("get", "/")).body


@pytest.mark.parametrize("envelope", [Envelope(), ProblemEnvelope()])
async def test_the_context_of_sanics_errors_is_sent(
    app_with: Callable[[Envelope], CompiledApp], envelope: Envelope
) -> None:
    """As Sanic sends it, below 500; that of an error of the service stays, as its text does."""
    app = app_with(envelope)

    @app.get("/<status:int>")
    async def handler(request: Any, status: int) -> None:
        raise SanicException("no", status_code=status, context={"field": "name"}, quiet=True)

    @app.get("/ours")
    async def ours(request: Any) -> None:
        error = NotFound(error="no")
        error.context = {"id": 7}
        raise error

    assert (await app.call("get", "/409")).json["context"] == {"field": "name"}
    assert b"context" not in (await app.call("get", "/503")).body
    assert (await app.call("get", "/ours")).json["context"] == {"id": 7}


async def test_a_sync_decorator_around_an_async_handler_may_answer_itself(
    app: CompiledApp,
) -> None:
    """What the wrapper is decides, not what it wraps."""

    def cached(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
            return {"cached": True}

        return wrapper

    @app.get("/")
    @cached
    async def handler(request: Any) -> Any:
        return None

    assert (await app.call("get", "/")).json["data"] == {"cached": True}


async def test_the_declared_status_is_sent(app: CompiledApp) -> None:
    """201 with data, 204 with none at all."""

    @app.post("/")
    @doc.produces({"id": int}, status=201)
    async def create(request: Any) -> Any:
        return {"id": 1}

    @app.delete("/")
    @doc.produces(None, status=204)
    async def delete(request: Any) -> None: ...

    assert (await app.call("post", "/")).status == 201
    gone = await app.call("delete", "/")
    assert (gone.status, gone.body) == (204, b"")


async def test_data_that_is_not_json_is_the_services_fault(
    app: CompiledApp, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller sees a 500 without details, the log the handler and the type."""

    @app.get("/")
    async def careless(request: Any) -> Any:
        return {"thing": object()}

    answer = await app.call("get", "/")
    assert answer.json == {"code": 10500, "message": "Internal Server Error"}
    assert "careless" in caplog.text
    assert "object" in caplog.text


async def test_errors_are_enveloped(app: CompiledApp) -> None:
    """The framework's with all their parts, Sanic's with theirs, and headers go along."""

    @app.get("/<kind>")
    async def handler(request: Any, kind: str) -> None:
        raise {
            "missing": NotFound(error="no user 7"),
            "own": ServerError(error={"why": 1}, code=10999, message="msg"),
            "auth": Unauthorized(headers={"WWW-Authenticate": "Bearer"}),
            "fields": ValidationError([("name", "is taken")]),
            "teapot": HTTPError("tea", status=418),
        }[kind]

    assert (await app.call("get", "/missing")).json == {
        "code": 10404,
        "message": "Not Found",
        "error": "no user 7",
    }
    own = await app.call("get", "/own")
    assert (own.status, own.json) == (
        500,
        {"code": 10999, "message": "msg", "error": {"why": 1}},
    )
    assert (await app.call("get", "/auth")).headers["www-authenticate"] == "Bearer"
    fields = await app.call("get", "/fields")
    assert fields.json["errors"] == [{"field": "name", "message": "is taken", "type": "invalid"}]
    assert (await app.call("get", "/teapot")).json["message"] == "I'm a Teapot"


async def test_an_unexpected_exception_reaches_the_log_and_never_the_client(
    app: CompiledApp, caplog: pytest.LogCaptureFixture
) -> None:
    """Its text may hold anything."""

    @app.get("/")
    async def handler(request: Any) -> None:
        raise RuntimeError("password=hunter2")

    answer = await app.call("get", "/")
    assert (answer.status, answer.json) == (
        500,
        {"code": 10500, "message": "Internal Server Error"},
    )
    assert "hunter2" in caplog.text


async def test_routing_errors_are_enveloped(app: CompiledApp) -> None:
    """404 and 405, which no handler raises."""

    @app.get("/here")
    async def handler(request: Any) -> Any:
        return 1

    missing = await app.call("get", "/there")
    assert (missing.status, missing.json["code"]) == (404, 10404)
    wrong = await app.call("post", "/here")
    assert (wrong.status, wrong.json["code"]) == (405, 10405)
    assert "GET" in wrong.headers["allow"]


async def test_a_405_names_the_methods_that_are_allowed(app: CompiledApp) -> None:
    """Of all routes of the path (RFC 9110, section 15.5.6); a header that is there is kept."""

    async def handler(request: Request, id: int = 0) -> None:
        return None

    async def refuse(request: Request) -> None:
        raise MethodNotAllowed("not now", headers={"Allow": "PATCH"})

    app.add_route(handler, "/x/<id:int>", methods=["GET"], name="one")
    app.add_route(handler, "/x/<id:int>", methods=["PUT", "DELETE"], name="two")
    app.add_route(handler, "/y", methods=["GET"], name="three")
    app.add_route(refuse, "/z", methods=["GET"], name="four")
    for method, path, allowed in (
        ("post", "/x/1", "GET, PUT, DELETE"),
        ("post", "/y", "GET"),
        ("get", "/z", "PATCH"),
    ):
        answer = await app.call(method, path)
        assert (answer.status, answer.headers["allow"]) == (405, allowed)


async def test_an_exception_handler_of_the_applications_own_wins(app: CompiledApp) -> None:
    """`@app.exception`, as on Sanic."""

    @app.exception(ZeroDivisionError)
    async def divided(request: Any, exception: Exception) -> HTTPResponse:
        return text("infinite", status=400)

    @app.get("/")
    async def handler(request: Any) -> Any:
        return 1 / 0

    assert (await app.call("get", "/")).body == b"infinite"


async def test_class_views_and_decorated_handlers_are_compiled(app: CompiledApp) -> None:
    """Each method of a view has declarations of its own."""

    class View(HTTPMethodView):
        async def get(self, request: Any, low: int = 0) -> Any:
            return {"low": low}

        @doc.consumes({"id": int})
        async def post(self, request: Any) -> Any:
            return request["data"]

    def shout(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
            return (await function(request, *args, **kwargs)).upper()

        return wrapper

    app.add_route(View.as_view(), "/view")

    @app.get("/shout")
    @shout
    async def handler(request: Any, word: str) -> Any:
        return word

    assert (await app.call("get", "/view?low=2")).json["data"] == {"low": 2}
    assert (await app.call("post", "/view", json={"id": 1})).json["data"] == {"id": 1}
    assert (await app.call("post", "/view", json={"id": "x"})).status == 422
    assert (await app.call("get", "/shout?word=hi")).json["data"] == "HI"


@pytest.mark.parametrize(
    ("envelope", "success", "failure", "content_type"),
    [
        (
            PlainEnvelope(),
            {"id": 1},
            {"code": 10404, "message": "Not Found", "error": "gone"},
            "application/json",
        ),
        (
            ProblemEnvelope(),
            {"id": 1},
            {"title": "Not Found", "status": 404, "code": 10404, "detail": "gone"},
            "application/problem+json",
        ),
    ],
)
async def test_the_other_envelopes(
    app_with: Callable[[Envelope], CompiledApp],
    envelope: Envelope,
    success: Any,
    failure: Any,
    content_type: str,
) -> None:
    """Off: the data is the body. Problem: RFC 9457."""
    app = app_with(envelope)

    @app.get("/good")
    async def good(request: Any) -> Any:
        return {"id": 1}

    @app.get("/bad")
    async def bad(request: Any) -> Any:
        raise NotFound("gone")

    assert (await app.call("get", "/good")).json == success
    answer = await app.call("get", "/bad")
    assert msgspec.json.decode(answer.body) == failure
    assert answer.headers["content-type"] == content_type


async def test_an_envelope_of_the_teams_own(
    app_with: Callable[[Envelope], CompiledApp],
) -> None:
    """One subclass changes every answer."""

    class Ours(Envelope):
        def success(self, data: Any) -> bytes:
            return msgspec.json.encode({"ok": True, "result": data})

        def error(self, exc: HTTPError, trace_id: str | None = None) -> bytes:
            return msgspec.json.encode({"ok": False, "why": exc.error})

    app = app_with(Ours())

    @app.get("/")
    async def handler(request: Any) -> Any:
        return 1

    assert (await app.call("get", "/")).json == {"ok": True, "result": 1}
    assert (await app.call("get", "/x")).json["ok"] is False


@pytest.mark.parametrize(
    ("error", "shown"),
    [(object(), None), ("caf\udcff", "caf?"), ({"a": object(), "b": 1}, {"a": None, "b": 1})],
)
def test_an_error_that_is_not_json_is_answered_all_the_same(error: Any, shown: Any) -> None:
    """Whatever the application put into it; no object shows its insides."""
    body = msgspec.json.decode(Envelope().error(ServerError(error=error)))
    assert body == {"code": 10500, "message": "Internal Server Error", "error": shown}


@pytest.mark.parametrize("error", [0, 0.0, False, [], {}], ids=repr)
@pytest.mark.parametrize("envelope", [Envelope, PlainEnvelope, ProblemEnvelope])
def test_only_an_error_of_none_is_left_out(envelope: type[Envelope], error: Any) -> None:
    """A falsy error is one that the application has given: 0 rows, no fields, an empty list."""
    body = msgspec.json.decode(envelope().error(NotFound(error=error)))
    assert body["error"] == error
    assert type(body["error"]) is type(error)
    assert "error" not in msgspec.json.decode(envelope().error(NotFound()))


@pytest.mark.parametrize(
    ("envelope", "key"),
    [(Envelope, "error"), (PlainEnvelope, "error"), (ProblemEnvelope, "detail")],
)
def test_an_error_may_be_an_empty_text(envelope: type[Envelope], key: str) -> None:
    """It stands where every other text stands, and only there."""
    body = msgspec.json.decode(envelope().error(NotFound(error="")))
    assert body[key] == ""
    assert len({"error", "detail"} & set(body)) == 1


def test_a_trace_or_fields_that_are_empty_are_shown() -> None:
    """Only a trace of None is left out, and the fields of a `ValidationError` never are."""
    body = msgspec.json.decode(Envelope().error(ValidationError([]), trace_id=""))
    assert (body["trace_id"], body["errors"]) == ("", [])
    assert "trace_id" not in msgspec.json.decode(Envelope().error(NotFound()))


def test_the_trace_is_shown_where_there_is_one() -> None:
    """So that a user's report leads to the spans."""
    body = msgspec.json.decode(Envelope().error(NotFound(), trace_id="abc"))
    assert body["trace_id"] == "abc"


def spoiled(value: Any) -> Iterator[Any]:
    """A document with one part replaced by None, for each part but the ``error``, which may be
    anything."""
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in list(parts):
        if key == "error":
            continue
        for replacement in (None, *(spoiled(part) if isinstance(part, dict | list) else ())):
            copy = value.copy()
            copy[key] = replacement
            yield copy


def hold(schema: dict[str, Any], bodies: list[bytes]) -> None:
    """Hold a schema against all that is written: it shows each key with its type, and requires
    those that are always there. An ``error`` is never promised."""
    documents = [msgspec.json.decode(body) for body in bodies]
    keys = [document.keys() for document in documents]
    assert set(schema["required"]) == set.intersection(*map(set, keys)) - {"error"}
    assert set(schema["properties"]) == set.union(*map(set, keys))
    Draft202012Validator.check_schema(schema)
    closed(schema)
    validator = Draft202012Validator(schema)
    for document in documents:
        validator.validate(document)
        for other in spoiled(document):
            assert not validator.is_valid(other), other


@pytest.mark.parametrize("envelope", [Envelope, PlainEnvelope, ProblemEnvelope])
def test_the_schemas_show_what_is_written(envelope: type[Envelope]) -> None:
    """Of data, of a page, of an error and of one with fields, whatever it holds."""
    form = envelope()
    error, fields = functools.partial(NotFound, "gone"), [("name", "is taken")]
    # A new schema each time: the test closes them.
    hold(
        msgspec.json.decode(msgspec.json.encode(form.error_schema(False))),
        [
            form.error(NotFound()),
            form.error(error(), trace_id="ab"),
            form.error(NotFound({"id": 7})),
        ],
    )
    hold(
        msgspec.json.decode(msgspec.json.encode(form.error_schema(True))),
        [
            form.error(ValidationError(fields)),
            form.error(ValidationError(fields, "no"), trace_id="ab"),
            form.error(ValidationError(fields, {"id": 7})),
        ],
    )
    numbers = {"type": "array", "items": {"type": "integer"}}
    page = form.success_schema(numbers, True)
    hold(
        msgspec.json.decode(msgspec.json.encode(page)),
        [form.success_page([1], Pagination(1, 20, 1, 1))],
    )
    plain = form.success_schema(numbers, False)
    if plain is not numbers:  # without an envelope the data has its own schema
        hold(plain, [form.success([1])])
        assert not Draft202012Validator(plain).is_valid({"code": 1, "data": [1]})
    else:
        assert msgspec.json.decode(form.success([1])) == [1]


@pytest.mark.parametrize("envelope", [Envelope, PlainEnvelope, ProblemEnvelope])
def test_of_data_that_is_not_declared_nothing_is_said(envelope: type[Envelope]) -> None:
    """It may be anything, within the envelope."""
    schema = envelope().success_schema(None, False)
    Draft202012Validator.check_schema(schema)
    values: list[Any] = [None, 1, [], {"a": 1}]
    for data in values:
        document = msgspec.json.decode(envelope().success(data))
        assert Draft202012Validator(schema).is_valid(document)


@pytest.mark.parametrize(
    ("status", "sent"), [(200, 500), (399, 500), (400, 400), (599, 599), (600, 500)]
)
async def test_an_error_of_sanics_is_never_a_success(
    app: CompiledApp, status: int, sent: int
) -> None:
    """An exception whose status is none of an error is the service's fault, without its text."""

    @app.get("/")
    async def handler(request: Any) -> None:
        raise SanicException("secret", status_code=status, quiet=True)

    answer = await app.call("get", "/")
    assert (answer.status, answer.json["code"]) == (sent, 10000 + sent)
    assert (b"secret" in answer.body) is (sent < 500)
