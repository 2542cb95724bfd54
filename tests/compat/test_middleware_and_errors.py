"""Middleware and errors: the same on Sanic and on a service, but for the envelope."""

from __future__ import annotations

from typing import Any

import pytest
from sanic import Blueprint, HTTPResponse, Request, json, text
from sanic.exceptions import (
    Forbidden,
    InvalidUsage,
    MethodNotAllowed,
    NotFound,
    SanicException,
    ServerError,
    Unauthorized,
)
from sanic.handlers import ErrorHandler
from tests.compat.comparison import Ask, Comparison, Differs, ask


async def test_order_of_middleware(compare: Comparison) -> None:
    """Priorities, the order without them, of both kinds; of applications before blueprints."""

    def build(app: Any) -> None:
        app.ctx.log = []
        books = Blueprint("books", url_prefix="/books")

        def before(label: str, target: Any, priority: int = 0) -> None:
            @target.on_request(priority=priority)
            async def note(request: Request) -> None:
                app.ctx.log.append(f"+{label}")

            @target.on_response(priority=priority)
            async def note_response(request: Request, response: HTTPResponse) -> None:
                app.ctx.log.append(f"-{label}")

        before("first", app)
        before("second", app)
        before("urgent", app, 9)
        before("late", app, -1)
        before("books", books)
        before("books-urgent", books, 99)

        @app.get("/")
        @books.get("/")
        async def handler(request: Request) -> HTTPResponse:
            response = text(" ".join(app.ctx.log))
            app.ctx.log.append("handler")
            return response

        app.blueprint(books)

        @app.get("/log", name="log")
        async def log(request: Request) -> HTTPResponse:
            return text(" ".join(app.ctx.log))

    await compare(build, ask("GET", "/"), ask("GET", "/books/"), ask("GET", "/log"))


async def test_middleware_that_answers(compare: Comparison) -> None:
    """Middleware that gives a response: the handler is not called, middleware for responses is."""

    def build(app: Any) -> None:
        @app.on_request
        async def early(request: Request) -> HTTPResponse | None:
            return text("early", status=203) if "early" in request.args else None

        @app.on_request
        def sync(request: Request) -> HTTPResponse | None:
            return text("sync") if "sync" in request.args else None

        @app.on_response
        async def mark(request: Request, response: HTTPResponse) -> None:
            response.headers["x-route"] = str(request.route is not None)

        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            app.ctx.events.append("called")
            return text("handler")

    await compare(
        build,
        ask("GET", "/?early=1"),
        ask("GET", "/?sync=1"),
        ask("GET", "/"),
        ask("GET", "/nowhere?early=1"),
    )


async def test_middleware_that_replaces(compare: Comparison) -> None:
    """Middleware for responses that gives another response; those after it see that one."""

    def build(app: Any) -> None:
        @app.on_response
        async def last(request: Request, response: HTTPResponse) -> None:
            response.headers["x-last"] = "yes"

        @app.on_response
        async def replace(request: Request, response: HTTPResponse) -> HTTPResponse | None:
            if request.path == "/":
                return text("replaced", status=202)
            return None

        @app.get("/<path:path>")
        async def handler(request: Request, path: str) -> HTTPResponse:
            return text("handler", headers={"x-lost": "yes"})

    await compare(build, ask("GET", "/"), ask("GET", "/other"))


async def test_named_middleware(compare: Comparison) -> None:
    """``register_named_middleware`` acts on routes of these names alone."""

    def build(app: Any) -> None:
        async def named(request: Request) -> HTTPResponse | None:
            request.ctx.label = "named"
            return None

        async def stop(request: Request, response: HTTPResponse) -> None:
            response.headers["x-named"] = "yes"

        @app.get("/a")
        async def one(request: Request) -> HTTPResponse:
            return text(getattr(request.ctx, "label", "none"))

        @app.get("/b")
        async def two(request: Request) -> HTTPResponse:
            return text(getattr(request.ctx, "label", "none"))

        app.register_named_middleware(named, ["shop.one"], "request")
        app.register_named_middleware(stop, ["shop.one"], "response")

    await compare(build, ask("GET", "/a"), ask("GET", "/b"))


async def test_errors_in_middleware(compare: Comparison) -> None:
    """Errors of middleware, before and after the handler, reach the application's handlers."""

    def build(app: Any) -> None:
        @app.on_request
        async def before(request: Request) -> None:
            if "before" in request.args:
                raise Forbidden("before")
            if "bug" in request.args:
                raise KeyError("bug")

        @app.on_response
        async def after(request: Request, response: HTTPResponse) -> None:
            if "after" in request.args:
                raise ValueError("after")

        @app.exception(ValueError, KeyError)
        async def handle(request: Request, exc: Exception) -> HTTPResponse:
            return text(f"handled {exc}", status=400)

        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            return text("handler")

    await compare(
        build,
        ask("GET", "/?before=1", differs=Differs.ERROR),
        ask("GET", "/?bug=1"),
        ask("GET", "/?after=1"),
        ask("GET", "/"),
    )


async def test_middleware_and_errors(compare: Comparison) -> None:
    """Middleware for responses runs for errors too, those of the router among them."""

    def build(app: Any) -> None:
        @app.on_request
        async def before(request: Request) -> None:
            request.ctx.seen = "seen"

        @app.on_response
        async def after(request: Request, response: HTTPResponse) -> None:
            response.headers["x-seen"] = f"{request.ctx.seen} {response.status}"

        @app.get("/bug")
        async def bug(request: Request) -> HTTPResponse:
            raise RuntimeError("secret")

    await compare(
        build,
        ask("GET", "/nowhere", differs=Differs.ERROR),
        ask("POST", "/bug", differs=Differs.ERROR),
        ask("GET", "/bug", differs=Differs.ERROR),
    )


async def test_exception_handlers(compare: Comparison) -> None:
    """``@app.exception``: by class, for subclasses, several, sync, on the router's own errors."""

    class Root(Exception):
        pass

    class Leaf(Root):
        pass

    def build(app: Any) -> None:
        @app.exception(Root)
        async def root(request: Request, exc: Exception) -> HTTPResponse:
            return text(f"root {type(exc).__name__} {exc}", status=499)

        @app.exception(NotFound)
        def missing(request: Request, exc: NotFound) -> HTTPResponse:
            return text(f"missing {exc} {exc.status_code}", status=404)

        @app.exception(MethodNotAllowed)
        async def method(request: Request, exc: MethodNotAllowed) -> HTTPResponse:
            return json([str(exc), exc.headers], status=405)

        @app.exception(InvalidUsage, ServerError)
        async def several(request: Request, exc: SanicException) -> HTTPResponse:
            return json([exc.message, exc.status_code, exc.context, exc.quiet])

        @app.get("/<kind>")
        async def handler(request: Request, kind: str) -> HTTPResponse:
            kinds = {
                "root": Root("r"),
                "leaf": Leaf("l"),
                "usage": InvalidUsage("u", context={"a": 1}),
                "server": ServerError("s", quiet=True),
                "missing": NotFound("m"),
            }
            raise kinds[kind]

    await compare(
        build,
        *(ask("GET", f"/{kind}") for kind in ("root", "leaf", "usage", "server", "missing")),
        ask("GET", "/a/b"),
        ask("POST", "/root"),
    )


async def test_exception_handlers_for_everything(compare: Comparison) -> None:
    """``@app.exception(Exception)`` and ``(SanicException)`` get all that nothing else handles."""

    def build(app: Any) -> None:
        @app.exception(Exception)
        async def anything(request: Request, exc: Exception) -> HTTPResponse:
            return text(f"{type(exc).__name__}", status=getattr(exc, "status_code", 500))

        @app.get("/bug")
        async def bug(request: Request) -> HTTPResponse:
            raise ZeroDivisionError

        @app.get("/own")
        async def own(request: Request) -> HTTPResponse:
            raise Unauthorized("no")

    await compare(
        build, ask("GET", "/bug"), ask("GET", "/own"), ask("GET", "/nowhere"), ask("PUT", "/bug")
    )


async def test_exception_handlers_of_blueprints(compare: Comparison) -> None:
    """``@bp.exception`` is for the routes of the blueprint."""

    def build(app: Any) -> None:
        books = Blueprint("books", url_prefix="/books")

        @books.exception(ValueError)
        async def of_books(request: Request, exc: Exception) -> HTTPResponse:
            return text("of the blueprint", status=400)

        @app.exception(ValueError)
        async def of_all(request: Request, exc: Exception) -> HTTPResponse:
            return text("of the application", status=400)

        @books.get("/")
        @app.get("/")
        async def handler(request: Request) -> HTTPResponse:
            raise ValueError

        app.blueprint(books)

    await compare(build, ask("GET", "/"), ask("GET", "/books/"))


async def test_errors_in_exception_handlers(compare: Comparison) -> None:
    """A handler of errors that fails, or gives nothing, is answered all the same."""

    def build(app: Any) -> None:
        @app.exception(ValueError)
        async def fails(request: Request, exc: Exception) -> HTTPResponse:
            raise KeyError("in the handler")

        @app.exception(LookupError)
        async def gives_none(request: Request, exc: Exception) -> None:
            app.ctx.events.append("looked")

        @app.get("/fails")
        async def failing(request: Request) -> HTTPResponse:
            raise ValueError

        @app.get("/none")
        async def none(request: Request) -> HTTPResponse:
            raise LookupError("l")

    await compare(
        build,
        ask("GET", "/fails"),
        ask("GET", "/none", differs=Differs.ERROR),
    )


async def test_error_handlers(compare: Comparison) -> None:
    """An `ErrorHandler` of one's own: the whole of its ``default`` and its ``add``."""

    class Mine(ErrorHandler):
        def default(self, request: Request, exception: Exception) -> HTTPResponse:
            if isinstance(exception, ZeroDivisionError):
                return text("infinite", status=418)
            return super().default(request, exception)

    def make() -> Mine:
        handler = Mine()
        handler.add(KeyError, lambda request, exc: text("key", status=400))
        return handler

    def build(app: Any) -> None:
        app.config.FALLBACK_ERROR_FORMAT = "json"

        @app.get("/zero")
        async def zero(request: Request) -> HTTPResponse:
            raise ZeroDivisionError

        @app.get("/key")
        async def key(request: Request) -> HTTPResponse:
            raise KeyError

        @app.get("/other")
        async def other(request: Request) -> HTTPResponse:
            raise Forbidden("no")

    await compare(
        build,
        *(ask("GET", f"/{path}") for path in ("zero", "key", "other", "nowhere")),
        error_handler=make,
    )


async def test_sanics_exceptions(compare: Comparison) -> None:
    """Sanic's exceptions keep status, headers and text; only the body is in the envelope."""

    class Teapot(SanicException):
        status_code = 418
        message = "short and stout"
        headers = {"x-tea": "yes"}  # noqa: RUF012

    def build(app: Any) -> None:
        @app.get("/<kind>")
        async def handler(request: Request, kind: str) -> HTTPResponse:
            kinds = {
                "unauthorized": Unauthorized("who", scheme="Basic", realm="Shop"),
                "teapot": Teapot(),
                "coded": SanicException("coded", status_code=451, headers={"x-law": "yes"}),
                "server": ServerError("text"),
            }
            raise kinds[kind]

    kinds = ("unauthorized", "teapot", "coded", "server")
    await compare(build, *(ask("GET", f"/{kind}", differs=Differs.ERROR) for kind in kinds))


@pytest.mark.parametrize("form", ["json", "text", "html", "auto"])
async def test_error_formats(compare: Comparison, form: str) -> None:
    """``FALLBACK_ERROR_FORMAT`` and ``error_format=`` of a route say nothing under the envelope."""

    def build(app: Any) -> None:
        app.config.FALLBACK_ERROR_FORMAT = form

        @app.get("/bug", error_format="text")
        async def bug(request: Request) -> HTTPResponse:
            raise RuntimeError("secret")

        @app.get("/known")
        async def known(request: Request) -> HTTPResponse:
            raise NotFound("no such thing")

    replies = await compare(
        build,
        ask("GET", "/bug", differs=Differs.ERROR),
        ask("GET", "/known", differs=Differs.ERROR, accept="text/html"),
        ask("GET", "/nowhere", differs=Differs.ERROR),
    )
    assert b"secret" not in replies[0][0].body


async def test_bad_requests(compare: Comparison) -> None:
    """Methods that no route has, and bodies over the limit, have Sanic's status."""

    def build(app: Any) -> None:
        app.config.REQUEST_MAX_SIZE = 1000

        @app.post("/")
        async def handler(request: Request) -> HTTPResponse:
            return text(str(len(request.body)))

    await compare(
        build,
        ask("POST", "/", body=b"x" * 1000),
        ask("POST", "/", body=b"x" * 1001, differs=Differs.ERROR),
        Ask(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", Differs.ERROR),
    )
