"""Errors of the framework as Sanic's: `except`, ``@app.exception`` and the attributes that
applications written for Sanic read."""

from __future__ import annotations

import logging
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sanic.exceptions as sanics
from sanic import Blueprint, HTTPResponse, Sanic
from sanic.handlers import ErrorHandler
from sanic.response import json
from tests.calls import WAYS, asking

from sanic_ms import Service, doc, exception
from sanic_ms.exception import (
    Conflict,
    DatabaseError,
    HTTPError,
    ServerError,
    ServiceCallError,
    ServiceUnavailable,
    UniqueViolation,
    ValidationError,
)
from sanic_ms.testing import TestClient

SAME = (
    "BadRequest",
    "ExpectationFailed",
    "Forbidden",
    "MethodNotAllowed",
    "NotFound",
    "PayloadTooLarge",
    "RangeNotSatisfiable",
    "RequestTimeout",
    "ServerError",
    "ServiceUnavailable",
    "URITooLong",
    "Unauthorized",
)


class Sold(Conflict):
    """Derived from a class of the framework."""

    code = 20001
    headers = {"Retry-After": "9"}  # noqa: RUF012


def secret() -> UniqueViolation:
    """An error of a database, with values of a row in its text."""
    return UniqueViolation("Key (mail)=(ann@example.org) already exists", constraint="users_mail")


def new(**options: Any) -> Service:
    """A service of its own name."""
    return Service(f"errors-{uuid.uuid4().hex}", configure_logging=False, **options)


@pytest.mark.parametrize("name", SAME)
def test_each_error_is_an_instance_of_sanics_class(name: str) -> None:
    """`except` and `isinstance` find it; status, quiet and headers are those of Sanic's own."""
    cls, sanics_own = getattr(exception, name), getattr(sanics, name)
    with pytest.raises(sanics_own) as caught:
        raise cls("why", headers={"X-Why": "1"})
    assert isinstance(caught.value, sanics.SanicException)
    error: Any = caught.value
    bare = sanics_own("why")
    assert (error.status_code, bool(error.quiet)) == (bare.status_code, bool(bare.quiet))
    assert cls.status_code == sanics_own.status_code
    assert error.headers == {"X-Why": "1"}
    assert (error.context, error.extra) == (bare.context, bare.extra)
    assert (error.error, error.code, error.message) == (
        "why",
        10000 + error.status,
        exception.reason(error.status),
    )


def test_an_error_that_sanic_has_no_class_for_is_a_sanic_exception() -> None:
    """Validation, an application's own class, a status without a class, another service."""
    errors: list[Any] = [
        ValidationError([]),
        Sold(),
        HTTPError(status=418),
        ServiceCallError("users"),
    ]
    for error in errors:
        assert error.status_code == error.status
        assert isinstance(error, sanics.SanicException)
        assert isinstance(error, sanics.HTTPException) is isinstance(error, ServerError)
    assert not isinstance(exception.ConfigError("x"), sanics.SanicException)


def test_a_database_error_is_none() -> None:
    """Applications show the text of a `SanicException`; that of a database holds values of rows.
    With bare Sanic it is an error of the driver. Its attributes are there all the same."""
    error = secret()
    assert not isinstance(error, sanics.SanicException)
    assert isinstance(error, ServerError)
    assert (error.status_code, error.quiet, error.headers) == (409, True, {})
    for cls in (DatabaseError, exception.PoolExhausted, exception.DataError):
        assert not issubclass(cls, sanics.SanicException)


def test_the_status_is_one_under_both_names() -> None:
    """A program may set either."""
    error = Sold()
    error.status_code = 410
    assert error.status == 410
    error.status = 503
    assert (error.status_code, error.quiet) == (503, False)


def test_the_errors_alone_import_no_sanic() -> None:
    """A class that was derived before the http package came is an error of Sanic's after it."""
    program = """
import sys
from sanic_ms.exception import NotFound
class NoUser(NotFound):
    code = 20404
assert "sanic" not in sys.modules
assert NoUser.__mro__[-3] is Exception and NoUser().code == 20404
import sanic_ms.http
from sanic.exceptions import NotFound as Sanics
try:
    raise NoUser("7")
except Sanics as exc:
    assert (exc.status_code, exc.code, exc.message) == (404, 20404, "Not Found")
print("done")
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout == "done\n", result.stderr


async def answer(request: Any, exc: Any) -> HTTPResponse:
    """A handler as applications on Sanic have it."""
    headers = {"x-class": type(exc).__name__, **exc.headers}
    return json({"status": exc.status_code, "text": str(exc)}, exc.status_code, headers)


@pytest.mark.parametrize("way", WAYS)
async def test_a_handler_for_sanic_exception_gets_every_error(way: str) -> None:
    """Those of validation and of the body, those that handlers raise, Sanic's own, the router's
    404 and 405, and a body that is too large. An unexpected exception is none, as on Sanic."""
    app = new()
    app.config.REQUEST_MAX_SIZE = 1000
    app.exception(sanics.SanicException)(answer)
    raised: dict[str, Exception] = {
        "sold": Sold("no shoes"),
        "server": ServerError("why", code=20002, message="Own"),
        "sanic": sanics.Forbidden("no"),
        "down": ServiceUnavailable(),
        "zero": ZeroDivisionError(),
    }

    @app.get("/raise/<name>")
    async def handler(request: Any, name: str) -> None:
        raise raised[name]

    @app.post("/body")
    @doc.consumes({"id": int})
    async def body(request: Any) -> Any:
        return request["data"]

    async with asking(app, way) as ask:
        for name, status, class_name in (
            ("sold", 409, "Sold"),
            ("server", 500, "ServerError"),
            ("sanic", 403, "Forbidden"),
            ("down", 503, "ServiceUnavailable"),
        ):
            reply = await ask("get", f"/raise/{name}")
            assert (reply.status, reply.json["status"]) == (status, status)
            assert reply.headers["x-class"] == class_name
        assert (await ask("get", "/raise/sold")).headers["retry-after"] == "9"
        assert (await ask("get", "/raise/zero")).json["code"] == 10500
        for method, path, options, status in (
            ("get", "/nowhere", {}, 404),
            ("get", "/body", {}, 405),
            ("post", "/body", {"json": {"id": "x"}}, 422),
            ("post", "/body", {}, 400),
            ("post", "/body", {"json": {"id": 1, "x": "y" * 1000}}, 413),
        ):
            reply = await ask(method, path, **options)
            assert (reply.status, reply.json["status"]) == (status, status)


@pytest.mark.parametrize("way", WAYS)
async def test_handlers_for_sanics_classes_are_found_as_on_sanic(way: str) -> None:
    """The nearest class, those of a blueprint's routes first; sync handlers too."""

    def build(app: Sanic[Any, Any], errors: Any) -> None:
        @app.exception(sanics.NotFound)
        def missing(request: Any, exc: Any) -> HTTPResponse:
            return json({"by": "not found", "status": exc.status_code}, 404)

        @app.exception(sanics.ServerError)
        async def broken(request: Any, exc: Any) -> HTTPResponse:
            return json({"by": "server error"}, 500)

        @app.exception(sanics.ServiceUnavailable)
        async def down(request: Any, exc: Any) -> HTTPResponse:
            return json({"by": "unavailable"}, 503)

        @app.exception(sanics.SanicException)
        async def other(request: Any, exc: Any) -> HTTPResponse:
            return json({"by": "other"}, exc.status_code)

        books = Blueprint("books", url_prefix="/books")

        @books.exception(sanics.Forbidden)  # type: ignore[untyped-decorator]
        async def forbidden(request: Any, exc: Any) -> HTTPResponse:
            return json({"by": "books"}, 403)

        async def handler(request: Any, name: str) -> None:
            raise getattr(errors, name)("text")

        app.add_route(handler, "/<name>", name="handler")
        books.add_route(handler, "/<name>", name="book")
        app.blueprint(books)

    service: Service = new()
    bare: Sanic[Any, Any] = Sanic(f"errors-{uuid.uuid4().hex}", configure_logging=False)
    build(service, exception)
    build(bare, sanics)
    paths = [f"{prefix}/{name}" for prefix in ("", "/books") for name in SAME]
    async with asking(service, way) as ask:
        for path in [*paths, "/no/such/route"]:
            _, expected = await bare.asgi_client.get(path)
            reply = await ask("get", path)
            assert (reply.status, reply.json) == (expected.status, expected.json), path
        assert (await ask("get", "/BadGateway")).json == {"by": "other"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("first", [True, False], ids=["5xx first", "500 first"])
async def test_what_was_looked_up_before_does_not_matter(way: str, first: bool) -> None:
    """The handler for Sanic's 500 gets no other status, whichever error came before."""
    app = new()
    app.exception(sanics.ServerError)(answer)

    @app.get("/<name>")
    async def handler(request: Any, name: str) -> None:
        raise getattr(exception, name)()

    async with asking(app, way) as ask:
        for name in ("BadGateway", "ServerError") if first else ("ServerError", "BadGateway"):
            reply = await ask("get", f"/{name}")
            assert ("x-class" in reply.headers) is (name == "ServerError")


@pytest.mark.parametrize("way", WAYS)
async def test_a_database_error_is_handed_on_without_its_text(way: str) -> None:
    """A handler for Sanic's classes gets an error of the same status, whose cause it is; one for
    the framework's classes, or for `Exception`, gets the error itself."""
    seen: list[Any] = []

    async def noting(request: Any, exc: Any) -> HTTPResponse:
        seen.append(exc)
        return await answer(request, exc)

    for registered, itself in (
        (sanics.SanicException, False),
        (DatabaseError, True),
        (Exception, True),
    ):
        app = new()
        app.exception(registered)(noting)

        @app.get("/")
        async def handler(request: Any) -> None:
            raise secret()

        async with asking(app, way) as ask:
            reply = await ask("get", "/")
        assert reply.status == 409
        error = seen.pop()
        assert isinstance(error if itself else error.__cause__, UniqueViolation)
        assert ("ann@example.org" in reply.text) is itself
        assert itself or isinstance(error, sanics.SanicException)
        assert itself or (error.code, error.error) == (10409, UniqueViolation.public)


async def test_a_500_of_the_database_goes_to_the_handler_for_500() -> None:
    """And a 503 to that for 503."""
    app = new()
    app.exception(sanics.ServerError, sanics.ServiceUnavailable)(answer)

    @app.get("/<name>")
    async def handler(request: Any, name: str) -> None:
        raise getattr(exception, name)("secret")

    async with asking(app, "fast path") as ask:
        for name, status, handed in (
            ("DatabaseError", 500, "ServerError"),
            ("PoolExhausted", 503, "ServiceUnavailable"),
            ("UniqueViolation", 409, None),
        ):
            reply = await ask("get", f"/{name}")
            assert (reply.status, reply.headers.get("x-class")) == (status, handed)
            assert "secret" not in reply.text


@pytest.mark.parametrize("way", WAYS)
async def test_a_decorator_around_a_handler_catches_it(way: str) -> None:
    """``except SanicException``, in code that knows Sanic alone."""

    def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
        async def wrapper(request: Any) -> Any:
            try:
                return await function(request)
            except sanics.NotFound as exc:
                return json({"caught": exc.status_code}, 404)

        return wrapper

    app = new()

    @app.get("/")
    @guarded
    async def handler(request: Any) -> Any:
        raise exception.NotFound("no user")

    async with asking(app, way) as ask:
        assert (await ask("get", "/")).json == {"caught": 404}


async def test_an_error_in_an_exception_handler_is_answered_as_on_sanic() -> None:
    """Sanic answers a `SanicException` that a handler raises, and nothing else."""
    app = new()

    @app.exception(LookupError)
    async def lookup(request: Any, exc: Exception) -> None:
        raise exception.Gone("moved")

    @app.get("/")
    async def handler(request: Any) -> None:
        raise KeyError("x")

    async with asking(app, "full path") as ask:
        reply = await ask("get", "/")
        assert (reply.status, reply.json["error"]) == (410, "moved")


async def test_a_missing_static_file_is_sanics_file_not_found(tmp_path: Path) -> None:
    """``@app.exception(FileNotFound)`` is how applications answer it."""
    app = new()
    app.static("/files", tmp_path)

    @app.exception(sanics.FileNotFound)
    async def gone(request: Any, exc: Any) -> HTTPResponse:
        return json([str(exc.path), exc.relative_url], 404)

    async with asking(app, "fast path") as ask:
        reply = await ask("get", "/files/nothing.txt")
        assert (reply.status, reply.json) == (404, [str(tmp_path), "nothing.txt"])


async def test_sanics_own_error_pages_show_an_error() -> None:
    """An application with an error handler of its own class: status and headers are those of the
    error; a database error is an unexpected one, whose text is kept back."""

    class Own(ErrorHandler):
        pass

    app = new(error_handler=Own())
    app.config.FALLBACK_ERROR_FORMAT = "text"

    @app.get("/<name>")
    async def handler(request: Any, name: str) -> None:
        raise Sold("no shoes") if name == "sold" else secret()

    async with asking(app, "fast path") as ask:
        sold = await ask("get", "/sold")
        assert (sold.status, sold.headers["retry-after"]) == (409, "9")
        assert "no shoes" in sold.text
        hidden = await ask("get", "/database")
        assert hidden.status == 500
        assert "ann@example.org" not in hidden.text


async def test_an_error_of_a_web_socket_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Its client sees that the socket was closed and nothing else: an error of the framework is
    not quiet there."""
    app = new()

    @app.websocket("/ws")
    async def handler(request: Any, ws: Any) -> None:
        await ws.recv()
        raise exception.NotFound("no such room")

    async with TestClient(app) as client, client.websocket("/ws") as socket:
        await socket.send_str("hello")
        message = await socket.receive()
        assert message.data == 1011
    logged = [r for r in caplog.records if "no such room" in r.getMessage()]
    assert [r.exc_info is not None for r in logged] == [True]


async def test_sanics_own_errors_are_enveloped(caplog: pytest.LogCaptureFixture) -> None:
    """As before: status, headers and, below 500, text are kept."""
    caplog.set_level(logging.CRITICAL)
    app = new()

    @app.get("/<status:int>")
    async def handler(request: Any, status: int) -> None:
        raise sanics.SanicException("told", status_code=status, headers={"X-A": "1"})

    async with asking(app, "fast path") as ask:
        for status, shown in ((404, "told"), (418, "told"), (422, "told"), (500, None)):
            reply = await ask("get", f"/{status}")
            assert (reply.status, reply.json["code"]) == (status, 10000 + status)
            assert (reply.json.get("error"), reply.headers["x-a"]) == (shown, "1")
