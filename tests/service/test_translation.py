"""Errors in other languages: what `Envelope.translate` is given, and what becomes of it."""

from __future__ import annotations

import json
import logging
import socket
import uuid
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import pydantic
import pytest
from tests.calls import WAYS, asking

from sanic_ms import Service, doc
from sanic_ms.exception import Conflict, HTTPError, NotFound, ServerError, ValidationError
from sanic_ms.http import Envelope, ErrorText, ProblemEnvelope, Request
from sanic_ms.http.errors import EnvelopeErrorHandler
from sanic_ms.testing import LiveServer

GERMAN = {
    "not_found": "Nicht gefunden",
    "method_not_allowed": "Methode nicht erlaubt",
    "payload_too_large": "Zu viel",
    "server_error": "Fehler",
    "out_of_stock": "Ausverkauft",
    "validation_error": "Ungültig",
    "validation_error_detail": "{count} Felder",
    "too_long": "höchstens {limit} Zeichen",
    "too_small": "mindestens {limit}",
    "missing": "fehlt",
    "int_type": "{expected}, nicht {got}",
}


class German(Envelope):
    """By the type of each text, with its parameters."""

    def translate(self, error: ErrorText, request: Any) -> str:
        template = GERMAN.get(error.type)
        return error.message if template is None else template.format(**error.params)


class ByLanguage(Envelope):
    """By the header of the request."""

    def translate(self, error: ErrorText, request: Any) -> str:
        language = request.headers.get("accept-language", "en")
        return f"{language}: {error.message}" if language != "en" else error.message


class OutOfStock(Conflict):
    code = 20001
    message = "Out Of Stock"


class Order(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(max_length=3)]
    count: Annotated[int, msgspec.Meta(ge=1)]
    note: str


class Strict(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=2)
    count: int = pydantic.Field(gt=4)


def make(envelope: Envelope) -> Service:
    """A service whose routes fail in each way."""
    app = Service(f"translated-{uuid.uuid4().hex}", envelope=envelope, configure_logging=False)
    app.config.REQUEST_MAX_SIZE = 2000

    @app.get("/stock")
    async def stock(request: Any) -> None:
        raise OutOfStock("no shoes")

    @app.get("/unexpected")
    async def unexpected(request: Any) -> None:
        raise ZeroDivisionError("secret")

    @app.get("/data")
    async def data(request: Any) -> None:
        raise ServerError({"why": 1})

    @app.get("/taken")
    async def taken(request: Any) -> None:
        raise ValidationError([("name", "is taken", "taken", {"by": "ann"})])

    @app.post("/order")
    async def order(request: Any, body: Order) -> Any:
        return body

    @app.post("/strict")
    @doc.consumes(Strict)
    async def strict(request: Any) -> Any:
        return 1

    return app


def shown(answer: Any) -> dict[str, Any]:
    """The body without the trace, which not every way keeps."""
    return {key: value for key, value in answer.json.items() if key != "trace_id"}


@pytest.mark.parametrize("way", WAYS)
async def test_the_texts_of_every_error_are_translated(way: str) -> None:
    """The router's 404 and 405, a body that is too large, an unexpected exception and the
    application's own errors: their messages come from `translate`."""
    async with asking(make(German()), way) as ask:
        missing = await ask("get", "/nowhere")
        assert (missing.status, missing.json["message"]) == (404, "Nicht gefunden")
        wrong = await ask("delete", "/order")
        assert (wrong.status, wrong.json["message"]) == (405, "Methode nicht erlaubt")
        assert "POST" in wrong.headers["allow"]
        large = await ask("post", "/order", json={"name": "x" * 3000})
        assert (large.status, large.json["message"]) == (413, "Zu viel")
        broken = await ask("get", "/unexpected")
        assert (broken.status, shown(broken)) == (500, {"code": 10500, "message": "Fehler"})
        own = await ask("get", "/stock")
        assert own.status == 409
        assert shown(own) == {"code": 20001, "message": "Ausverkauft", "error": "no shoes"}
        data = await ask("get", "/data")
        assert shown(data) == {"code": 10500, "message": "Fehler", "error": {"why": 1}}


@pytest.mark.parametrize("way", WAYS)
async def test_each_entry_is_translated_with_its_parameters(way: str) -> None:
    """A translator makes its own sentence of the type and the limit; type and field stay."""
    async with asking(make(German()), way) as ask:
        answer = await ask("post", "/order", json={"name": "abcd", "count": 0})
        assert answer.json["message"] == "Ungültig"
        assert answer.json["error"] == "3 Felder"
        assert answer.json["errors"] == [
            {"field": "name", "message": "höchstens 3 Zeichen", "type": "too_long"},
            {"field": "count", "message": "mindestens 1", "type": "too_small"},
            {"field": "note", "message": "fehlt", "type": "missing"},
        ]
        answer = await ask("post", "/order", json={"name": "a", "count": "x", "note": ""})
        assert answer.json["errors"][0]["message"] == "int, nicht str"


@pytest.mark.parametrize("way", WAYS)
async def test_the_request_is_given(way: str) -> None:
    """So that the language can be the one that its header names."""
    async with asking(make(ByLanguage()), way) as ask:
        for path, message in (("/stock", "Out Of Stock"), ("/nowhere", "Not Found")):
            answer = await ask("get", path, headers={"Accept-Language": "fr"})
            assert answer.json["message"] == f"fr: {message}"
            answer = await ask("get", path, headers={"Accept-Language": "en"})
            assert answer.json["message"] == message
        large = {"name": "x" * 3000}
        answer = await ask("post", "/order", json=large, headers={"Accept-Language": "fr"})
        assert answer.json["message"] == "fr: Content Too Large"


async def test_what_a_translator_is_given() -> None:
    """Every text once, with what identifies it; the parameters of pydantic's errors and those of
    the application's own entries too."""
    seen: list[ErrorText] = []

    class Noting(Envelope):
        def translate(self, error: ErrorText, request: Any) -> str:
            seen.append(error)
            return error.message

    async with asking(make(Noting()), "fast path") as ask:
        await ask("get", "/stock")
        assert [(e.part, e.type, e.message) for e in seen] == [
            ("message", "out_of_stock", "Out Of Stock"),
            ("error", "out_of_stock_detail", "no shoes"),
        ]
        assert {(e.code, e.status, e.field, type(e.exception)) for e in seen} == {
            (20001, 409, None, OutOfStock)
        }
        seen.clear()
        await ask("get", "/taken")
        assert (seen[-1].part, seen[-1].field, seen[-1].type) == ("field", "name", "taken")
        assert dict(seen[-1].params) == {"by": "ann"}
        assert dict(seen[0].params) == {"count": 1}
        seen.clear()
        await ask("post", "/strict", json={"name": "abc", "count": 4})
        name, count = seen[2:]
        assert (name.type, name.params["limit"]) == ("too_long", 2)
        assert (count.type, count.params["limit"], count.params["inclusive"]) == (
            "too_small",
            4,
            False,
        )


def test_a_request_that_cannot_be_read_is_translated_too() -> None:
    """The translator gets a request without headers, of the method NONE."""
    methods: list[str] = []

    class Noting(German):
        def translate(self, error: ErrorText, request: Any) -> str:
            methods.append(f"{request.method} {len(request.headers)}")
            return error.message.upper()

    with (
        LiveServer(make(Noting())) as server,
        socket.create_connection((server.host, server.port), timeout=10) as connection,
    ):
        connection.sendall(b"nonsense\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    document = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert document["message"] == "BAD REQUEST"
    assert set(methods) == {"NONE 0"}


def test_without_a_request_there_is_none() -> None:
    """A connection that is turned away has sent nothing yet."""
    given: list[Any] = []

    class Noting(Envelope):
        def translate(self, error: ErrorText, request: Any) -> str:
            given.append(request)
            return "voll"

    response = EnvelopeErrorHandler(Noting()).render(NotFound())
    assert json.loads(response.body or b"")["message"] == "voll"
    assert given == [None]


def raising(error: ErrorText, request: Any) -> str:
    raise LookupError("no catalog")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "translate",
    [raising, lambda error, request: None, lambda error, request: error.missing],
    ids=["raises", "gives None", "attribute"],
)
async def test_a_translator_that_fails_is_logged(
    way: str, translate: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The error is answered as it is, with its status and headers; the log has an ERROR with the
    stack."""

    class Failing(Envelope):
        def translate(self, error: ErrorText, request: Any) -> str:
            text: str = translate(error, request)
            return text

    async with asking(make(Failing()), way) as ask:
        answer = await ask("get", "/stock")
    assert answer.status == 409
    assert shown(answer) == {"code": 20001, "message": "Out Of Stock", "error": "no shoes"}
    (record,) = [r for r in caplog.records if "Envelope.translate" in r.getMessage()]
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None


def test_an_async_translator_is_refused() -> None:
    """An error is answered without waiting; the mistake shows where the class is defined."""
    with pytest.raises(TypeError, match="write `def`"):

        class Wrong(Envelope):
            async def translate(  # type: ignore[override]
                self, error: ErrorText, request: Request | None
            ) -> str:
                return ""


def test_the_error_itself_is_not_changed() -> None:
    """One that is kept and raised twice is translated anew; attributes of its own are there."""

    class Priced(Conflict):
        def __init__(self, price: int) -> None:
            super().__init__("too expensive")
            self.price = price

    class Noting(ProblemEnvelope):
        def translate(self, error: ErrorText, request: Any) -> str:
            assert isinstance(error.exception, Priced)
            return f"{error.exception.price} €"

        def error(self, exc: HTTPError, trace_id: str | None = None) -> bytes:
            assert isinstance(exc, Priced)
            return super().error(exc, trace_id)

    error = Priced(7)
    for _ in range(2):
        body = json.loads(EnvelopeErrorHandler(Noting()).render(error).body or b"")
        assert body == {"title": "7 €", "status": 409, "code": 10409, "detail": "7 €"}
    assert (error.message, error.error) == ("Conflict", "too expensive")
