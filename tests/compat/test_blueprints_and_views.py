"""Routes, class views, blueprints, groups, versions, hosts: the same on Sanic and on a service."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest
from sanic import Blueprint, HTTPResponse, Request, json, text
from sanic.views import HTTPMethodView, stream
from tests.compat.comparison import Comparison, Differs, ask


async def test_class_views(compare: Comparison) -> None:
    """A class view answers each of its methods, sync or async; the others are 405."""

    class View(HTTPMethodView):
        def get(self, request: Request, name: str) -> HTTPResponse:
            return text(f"get {name}")

        async def post(self, request: Request, name: str) -> HTTPResponse:
            return text(f"post {name} {request.body.decode()}", status=201)

    def build(app: Any) -> None:
        app.add_route(View.as_view(), "/things/<name>")

    await compare(
        build,
        ask("GET", "/things/a"),
        ask("POST", "/things/a", body="x"),
        ask("DELETE", "/things/a", differs=Differs.ERROR),
    )


async def test_class_views_attach_themselves(compare: Comparison) -> None:
    """``class View(HTTPMethodView, attach=app, uri=…)`` and its version."""

    def build(app: Any) -> None:
        class View(HTTPMethodView, attach=app, uri="/attached", version=2):
            async def get(self, request: Request) -> HTTPResponse:
                return text(f"{request.name} {request.app.url_for('View')}")

    await compare(build, ask("GET", "/v2/attached"), ask("GET", "/attached", differs=Differs.ERROR))


async def test_class_views_with_decorators(compare: Comparison) -> None:
    """``decorators`` of a class view wrap each of its methods, in their order."""

    def mark(letter: str) -> Any:
        def decorate(function: Any) -> Any:
            async def wrapped(request: Request, *args: Any, **kwargs: Any) -> HTTPResponse:
                response: HTTPResponse = await function(request, *args, **kwargs)
                response.headers["x-marks"] = response.headers.get("x-marks", "") + letter
                return response

            return wrapped

        return decorate

    class View(HTTPMethodView):
        decorators = [mark("a"), mark("b")]  # noqa: RUF012

        async def get(self, request: Request) -> HTTPResponse:
            return text("marked")

        async def put(self, request: Request) -> HTTPResponse:
            return text("put")

    def build(app: Any) -> None:
        app.add_route(View.as_view(), "/")

    replies = await compare(build, ask("GET", "/"), ask("PUT", "/"))
    assert replies[0][0].header("x-marks") == "ab"


async def test_streaming_class_views(compare: Comparison) -> None:
    """``@stream`` on a method of a class view reads the body piece by piece."""

    class View(HTTPMethodView):
        @stream
        async def post(self, request: Request) -> HTTPResponse:
            size = 0
            async for data in request.stream:  # type: ignore[union-attr]
                size += len(data)
            return text(str(size))

    def build(app: Any) -> None:
        app.add_route(View.as_view(), "/")

    await compare(
        build,
        ask("POST", "/", body=b"x" * 100_000),
        ask("POST", "/", chunks=(b"abc", b"defg")),
    )


async def test_blueprints(compare: Comparison) -> None:
    """Prefixes, versions, strict slashes and middleware of a blueprint."""

    def build(app: Any) -> None:
        books = Blueprint("books", url_prefix="/books", version=1, strict_slashes=True)

        @books.on_request
        async def before(request: Request) -> None:
            request.ctx.seen = "seen"

        @books.on_response
        async def after(request: Request, response: HTTPResponse) -> None:
            response.headers["x-books"] = request.ctx.seen

        @books.get("/")
        async def many(request: Request) -> HTTPResponse:
            return text("many")

        @books.get("/<number:int>")
        async def one(request: Request, number: int) -> HTTPResponse:
            return text(repr(number))

        app.blueprint(books)

        @app.get("/")
        async def root(request: Request) -> HTTPResponse:
            return text(str(hasattr(request.ctx, "seen")))

    await compare(
        build,
        ask("GET", "/v1/books/"),
        ask("GET", "/v1/books", differs=Differs.ERROR),
        ask("GET", "/v1/books/7"),
        ask("GET", "/v1/books/x", differs=Differs.ERROR),
        ask("GET", "/"),
    )


async def test_groups(compare: Comparison) -> None:
    """A group of blueprints gives them its prefix and version; its middleware is for them all."""

    def build(app: Any) -> None:
        one, two = Blueprint("one", url_prefix="/one"), Blueprint("two", url_prefix="/two")
        group = Blueprint.group(one, two, url_prefix="/group", version="3", version_prefix="/api/v")

        @one.get("/a")
        async def first(request: Request) -> HTTPResponse:
            return text(request.endpoint or "")

        @two.get("/b", version=4)
        async def second(request: Request) -> HTTPResponse:
            return text(request.endpoint or "")

        @group.on_response
        async def mark(request: Request, response: HTTPResponse) -> None:
            response.headers["x-group"] = "yes"

        app.blueprint(group)

    await compare(
        build,
        ask("GET", "/api/v3/group/one/a"),
        ask("GET", "/api/v4/group/two/b"),
        ask("GET", "/group/one/a", differs=Differs.ERROR),
    )


async def test_nested_groups_and_copies(compare: Comparison) -> None:
    """A group inside a group, and a copy of a blueprint with a prefix and a version of its own."""

    def build(app: Any) -> None:
        inner = Blueprint("inner", url_prefix="/inner")

        @inner.get("/")
        async def index(request: Request) -> HTTPResponse:
            return text(request.path)

        copy = inner.copy("copy", url_prefix="/copy", version=2)
        app.blueprint(Blueprint.group(Blueprint.group(inner, url_prefix="/b"), url_prefix="/a"))
        app.blueprint(copy)

    await compare(
        build,
        ask("GET", "/a/b/inner/"),
        ask("GET", "/v2/copy/"),
        ask("GET", "/copy/", differs=Differs.ERROR),
    )


async def test_blueprints_with_arguments_of_registration(compare: Comparison) -> None:
    """``app.blueprint(bp, url_prefix=…, version=…)`` win over those of the blueprint."""

    def build(app: Any) -> None:
        late = Blueprint("late", url_prefix="/early")

        @late.get("/x")
        async def handler(request: Request) -> HTTPResponse:
            return text(app.url_for("late.handler"))

        app.blueprint(late, url_prefix="/late")

    await compare(build, ask("GET", "/late/x"), ask("GET", "/early/x", differs=Differs.ERROR))


async def test_versions(compare: Comparison) -> None:
    """Versions of routes: numbers, texts, floats and a prefix of one's own."""

    def build(app: Any) -> None:
        for version in (1, "v2", 3.1):

            @app.get("/thing", version=version, name=f"thing{version}".replace(".", "_"))
            async def handler(request: Request, version: Any = version) -> HTTPResponse:
                return text(request.path)

        @app.get("/thing", version=9, version_prefix="/api/version", name="prefixed")
        async def prefixed(request: Request) -> HTTPResponse:
            return text(request.path)

    await compare(
        build,
        ask("GET", "/v1/thing"),
        ask("GET", "/v2/thing"),
        ask("GET", "/v3.1/thing"),
        ask("GET", "/api/version9/thing"),
    )


async def test_hosts(compare: Comparison) -> None:
    """Routes, and blueprints, that are bound to hosts."""

    def build(app: Any) -> None:
        @app.get("/", host="one.test")
        async def one(request: Request) -> HTTPResponse:
            return text(f"one {request.host}")

        @app.get("/", host=["two.test", "three.test"])
        async def several(request: Request) -> HTTPResponse:
            return text(f"several {request.host}")

        admin = Blueprint("admin", host="admin.test")

        @admin.get("/panel")
        async def panel(request: Request) -> HTTPResponse:
            return text("panel")

        app.blueprint(admin)

    await compare(
        build,
        *(ask("GET", "/", host=host) for host in ("one.test", "two.test", "three.test")),
        ask("GET", "/", host="four.test", differs=Differs.ERROR),
        ask("GET", "/panel", host="admin.test"),
        ask("GET", "/panel", host="one.test", differs=Differs.ERROR),
    )


async def test_path_parameters(compare: Comparison) -> None:
    """Every type of path parameter is cast by the router, and a handler gets what was cast."""
    kinds = ("str", "strorempty", "int", "float", "alpha", "slug", "path", "ymd", "uuid")

    def build(app: Any) -> None:
        for kind in kinds:

            @app.get(f"/{kind}/<value:{kind}>", name=kind)
            async def handler(request, value):  # type: ignore[no-untyped-def]
                return text(f"{type(value).__name__} {value}")

        @app.get(r"/pattern/<value:[a-c]{3}>")
        async def pattern(request: Request, value: str) -> HTTPResponse:
            return text(value)

    day, some = datetime.date(2026, 1, 31), uuid.UUID(int=7)
    values = ("a b", "", "-7", "1.5", "abc", "a-slug", "a/b/c", day, some)
    await compare(
        build,
        *(
            ask("GET", f"/{kind}/{str(value).replace(' ', '%20')}")
            for kind, value in zip(kinds, values, strict=True)
        ),
        ask("GET", "/int/x", differs=Differs.ERROR),
        ask("GET", "/pattern/abc"),
        ask("GET", "/pattern/abd", differs=Differs.ERROR),
    )


async def test_unquote(compare: Comparison) -> None:
    """``unquote=True`` decodes what a path holds; without it the text stays as it came."""

    def build(app: Any) -> None:
        @app.get("/raw/<name>")
        async def raw(request, name):  # type: ignore[no-untyped-def]
            return text(name)

        @app.get("/typed/<name>")
        async def typed(request: Request, name: str) -> HTTPResponse:
            return text(name)

        @app.get("/clear/<name>", unquote=True)
        async def clear(request: Request, name: str) -> HTTPResponse:
            return text(name)

    await compare(
        build,
        ask("GET", "/raw/%C3%A9"),
        ask("GET", "/clear/%C3%A9"),
        ask("GET", "/typed/%C3%A9", differs=Differs.DECODED),
    )


async def test_strict_slashes(compare: Comparison) -> None:
    """``strict_slashes`` of a route, and the default without it."""

    def build(app: Any) -> None:
        async def handler(request: Request) -> HTTPResponse:
            return text(request.path)

        app.add_route(handler, "/loose", name="loose")
        app.add_route(handler, "/strict", name="strict", strict_slashes=True)
        app.add_route(handler, "/slash/", name="slash", strict_slashes=True)

    await compare(
        build,
        ask("GET", "/loose"),
        ask("GET", "/loose/"),
        ask("GET", "/strict"),
        ask("GET", "/strict/", differs=Differs.ERROR),
        ask("GET", "/slash/"),
        ask("GET", "/slash", differs=Differs.ERROR),
    )


async def test_methods_of_one_path(compare: Comparison) -> None:
    """Several routes on one path, each for its methods; ``methods=`` for several on one route."""

    def build(app: Any) -> None:
        @app.route("/", methods=["GET", "POST"])
        async def both(request: Request) -> HTTPResponse:
            return text(request.method)

        @app.patch("/")
        async def patch(request: Request) -> HTTPResponse:
            return text("patched")

        @app.delete("/", ignore_body=False)
        async def delete(request: Request) -> HTTPResponse:
            return text(request.body.decode())

    await compare(
        build,
        ask("GET", "/"),
        ask("POST", "/"),
        ask("PATCH", "/"),
        ask("DELETE", "/", body="gone"),
        ask("PUT", "/", differs=Differs.ALLOW),
    )


async def test_head_and_options(compare: Comparison) -> None:
    """HEAD and OPTIONS are answered only where the application has them."""

    def build(app: Any) -> None:
        @app.get("/")
        async def get(request: Request) -> HTTPResponse:
            return text("body")

        @app.head("/")
        async def head(request: Request) -> HTTPResponse:
            return text("body", headers={"x-head": "yes"})

        @app.options("/")
        async def options(request: Request) -> HTTPResponse:
            return text("", headers={"x-options": "yes"})

        @app.get("/only")
        async def only(request: Request) -> HTTPResponse:
            return text("body")

    await compare(
        build,
        ask("HEAD", "/"),
        ask("OPTIONS", "/"),
        ask("OPTIONS", "/only", differs=Differs.ERROR),
    )


async def test_ignore_body(compare: Comparison) -> None:
    """GET routes do not look at a body unless they say so."""

    def build(app: Any) -> None:
        @app.get("/ignored")
        async def ignored(request: Request) -> HTTPResponse:
            return text(repr(request.body))

        @app.get("/read", ignore_body=False)
        async def read(request: Request) -> HTTPResponse:
            return text(repr(request.body))

    await compare(build, ask("GET", "/ignored", body="abc"), ask("GET", "/read", body="abc"))


async def test_context_of_routes(compare: Comparison) -> None:
    """``ctx_…`` arguments of a route, and the request's view of its route."""

    def build(app: Any) -> None:
        @app.get("/<thing>", ctx_label="labelled", name="named")
        async def handler(request: Request, thing: str) -> HTTPResponse:
            route = request.route
            assert route is not None
            return json(
                {
                    "label": route.ctx.label,
                    "name": request.name,
                    "endpoint": request.endpoint,
                    "template": request.uri_template,
                    "match": request.match_info,
                    "path": route.path,
                    "methods": sorted(route.methods),
                }
            )

    await compare(build, ask("GET", "/x"))


async def test_overload_of_route_names(compare: Comparison) -> None:
    """A route may be added twice under two names, and found by both."""

    def build(app: Any) -> None:
        async def handler(request: Request) -> HTTPResponse:
            return text(f"{app.url_for('a')} {app.url_for('b')} {request.endpoint}")

        app.add_route(handler, "/a", name="a")
        app.add_route(handler, "/b", name="b")

    await compare(build, ask("GET", "/a"), ask("GET", "/b"))


async def test_url_for(compare: Comparison) -> None:
    """``url_for``: parameters, queries, anchors, external addresses, static files, blueprints."""

    def build(app: Any) -> None:
        app.config.SERVER_NAME = "shop.test:8443"
        app.static("/files", ".", name="files")
        books = Blueprint("books", url_prefix="/books", version=1)

        @books.get("/<number:int>/<rest:path>")
        async def one(request: Request, number: int, rest: str) -> HTTPResponse:
            return text("")

        app.blueprint(books)

        @app.get("/")
        async def urls(request: Request) -> HTTPResponse:
            return json(
                [
                    app.url_for("urls"),
                    app.url_for("urls", q=["a b", "c"], _anchor="top"),
                    app.url_for("books.one", number=1, rest="a/b", _external=True),
                    app.url_for("urls", _external=True, _scheme="https", _server="other.test"),
                    app.url_for("static", name="files", filename="a.txt"),
                    request.url_for("books.one", number=2, rest="c"),
                ]
            )

        @app.get("/wrong")
        async def wrong(request: Request) -> HTTPResponse:
            try:
                return text(app.url_for("books.one", number="x", rest="c"))
            except Exception as exc:
                return text(type(exc).__name__)

    await compare(build, ask("GET", "/"), ask("GET", "/wrong"))


@pytest.mark.parametrize("target", ["/%00", "/a%2Fb", "//", "/a//b", "/?", "/%zz"])
async def test_odd_targets(compare: Comparison, target: str) -> None:
    """A path is the handler's as it came."""

    def build(app: Any) -> None:
        @app.get("/<path:path>")
        async def handler(request, path):  # type: ignore[no-untyped-def]
            return text(f"{path} {request.path} {request.query_string}")

    await compare(build, ask("GET", target))
