"""Habits of other frameworks: each works, or stops the start with the right spelling."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import msgspec
import peewee as pw
import pytest
from sanic import Request
from sanic.views import HTTPMethodView
from tests.http.conftest import CompiledApp

from sanic_ms import Page, doc
from sanic_ms.http import Body, Header, Query, sanic_handler

if TYPE_CHECKING:
    from tests.http.nowhere import Unknown  # type: ignore[import-not-found]


class City(msgspec.Struct):
    """A shape."""

    id: int
    name: str = ""


class Capital(City):
    """A shape with more."""


class Town(msgspec.Struct):
    """Another shape."""

    id: int


class Repository:
    """A service."""


class Colour(Enum):
    """Values of a query."""

    RED = "red"


def start(app: CompiledApp) -> None:
    """Compile it."""
    app.router.reset()  # type: ignore[no-untyped-call]
    app.finalize()


# --- the path ---


@pytest.mark.parametrize(
    ("path", "spelling"),
    [
        ("/a/{id}", "write <id>"),
        ("/a/{id:int}", "write <id:int>"),
        ("/a/{id:path}", "write <id:path>"),
        ("/a/pre-{id}.json", "write <id>"),
        ("/a/<int:id>", "write <id:int>"),
        ("/a/<string:id>", "write <id:str>"),
    ],
)
def test_a_parameter_in_a_foreign_spelling_stops_the_start(
    app: CompiledApp, path: str, spelling: str
) -> None:
    """Braces, and the type before the name: the handler's place and the right spelling are told."""

    @app.get(path)
    async def get_city(request: Request, id: Any) -> None: ...

    with pytest.raises(TypeError, match="no parameter of the path") as failure:
        start(app)
    assert spelling in str(failure.value)
    assert "get_city" in str(failure.value)
    assert "test_habits.py" in str(failure.value)


def test_braces_are_found_for_views_and_web_sockets(app: CompiledApp) -> None:
    """Each kind of handler is looked at, below decorators too."""

    def counted(handler: Any) -> Any:
        @functools.wraps(handler)
        async def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
            return await handler(request, *args, **kwargs)

        return wrapper

    class View(HTTPMethodView):
        @counted
        async def post(self, request: Request, id: int) -> None: ...

    app.add_route(View.as_view(), "/views/{id}")
    with pytest.raises(TypeError, match="write <id>"):
        start(app)
    other = CompiledApp()

    @other.websocket("/feed/{id}")  # type: ignore[untyped-decorator]
    async def feed(request: Request, ws: Any, id: int) -> None: ...

    with pytest.raises(TypeError, match="write <id>"):
        start(other)


async def test_braces_that_no_handler_takes_stay_text(
    app: CompiledApp, caplog: pytest.LogCaptureFixture
) -> None:
    """They may be meant: a line of the log says so. A pattern has braces of its own."""

    @app.get("/literal/{id}")
    async def literal(request: Request) -> str:
        return "as it stands"

    @app.get("/pattern/<id:[a-z]{3}>")
    async def pattern(request: Request, id: str) -> str:
        return id

    assert (await app.call("get", "/literal/%7Bid%7D")).json["data"] == "as it stands"
    assert (await app.call("get", "/pattern/abc")).json["data"] == "abc"
    lines = [line for line in caplog.messages if "text as it stands" in line]
    assert len(lines) == 1
    assert "{id} in /literal/{id}" in lines[0]


# --- the request ---


async def only_keywords(*, limit: int = 1) -> None: ...
async def path_first(id) -> None: ...  # type: ignore[no-untyped-def]
async def scalar_first(limit: int) -> None: ...
async def default_first(limit=10) -> None: ...  # type: ignore[no-untyped-def]
async def body_first(body: City) -> None: ...
async def service_first(cities: Repository) -> None: ...
async def page_first(page: Page) -> None: ...
async def header_first(agent: Annotated[Any, Header()]) -> None: ...


@pytest.mark.parametrize(
    "handler",
    [
        only_keywords,
        path_first,
        scalar_first,
        default_first,
        body_first,
        service_first,
        page_first,
        header_first,
    ],
)
def test_a_handler_without_the_request_stops_the_start(
    app: CompiledApp, handler: Callable[..., Any]
) -> None:
    """It lacks the argument, or another one stands in its place, which would get the request."""
    app.ctx.container.provide(Repository)
    app.add_route(handler, "/a/<id>" if handler is path_first else "/a", methods=["POST"])
    name = handler.__name__
    with pytest.raises(TypeError, match=rf"request first.* write def {name}\(request"):
        start(app)


def test_a_method_of_a_view_takes_itself_and_the_request(app: CompiledApp) -> None:
    """Without one of them the start stops."""

    class View(HTTPMethodView):
        async def get(self, id: int) -> None: ...

    app.add_route(View.as_view(), "/a/<id:int>")
    with pytest.raises(TypeError, match=r"write def get\(self, request, id\)"):
        start(app)


def test_a_web_socket_takes_the_request_and_the_socket(app: CompiledApp) -> None:
    """Without one of them the start stops."""

    @app.websocket("/feed/<id>")  # type: ignore[untyped-decorator]
    async def feed(request: Request, id: str) -> None: ...

    with pytest.raises(TypeError, match=r"write def feed\(request, ws, id\)"):
        start(app)


async def test_a_request_of_any_name_and_annotation_is_one(app: CompiledApp) -> None:
    """What is no shape may well be a request: a class of the application, one of type checkers."""

    class OwnRequest: ...

    async def plain(r):  # type: ignore[no-untyped-def]
        return r.path

    async def own(req: OwnRequest) -> Any:
        return req.path  # type: ignore[attr-defined]

    async def unknown(anything: Unknown) -> Any:
        return anything.path

    async def wrong(request: str) -> Any:
        return request.path  # type: ignore[attr-defined]

    async def unused(_: int) -> str:
        return "/unused"

    async def stars(*args: Any, **kwargs: Any) -> Any:
        return args[0].path

    handlers: list[Any] = [plain, own, unknown, wrong, unused, stars]
    for handler in handlers:
        app.add_route(handler, f"/{handler.__name__}")
    for handler in handlers:
        path = f"/{handler.__name__}"
        assert (await app.call("get", path)).json["data"] == path


async def test_a_decorator_may_call_a_handler_without_the_request(app: CompiledApp) -> None:
    """Only a handler that Sanic calls itself needs it."""

    def without_request(handler: Any) -> Any:
        @functools.wraps(handler)
        async def wrapper(request: Any, **kwargs: Any) -> Any:
            return await handler(**kwargs)

        return wrapper

    @app.get("/a/<id>")
    @without_request
    async def get(id):  # type: ignore[no-untyped-def]
        return id

    assert (await app.call("get", "/a/x")).json["data"] == "x"


# --- defaults ---


@pytest.mark.parametrize(
    ("default", "text", "value"),
    [
        (10, "5", 5),
        (1.5, "0.5", 0.5),
        (False, "true", True),
        ("name", "id", "id"),
        (Decimal("1.5"), "2.5", "2.5"),
        (date(2020, 1, 1), "2021-02-03", "2021-02-03"),
        (datetime(2020, 1, 1), "2021-02-03T04:05:06", "2021-02-03T04:05:06"),
        (UUID(int=1), str(UUID(int=2)), str(UUID(int=2))),
        (Colour.RED, "red", "red"),
    ],
    ids=["int", "float", "bool", "str", "decimal", "date", "datetime", "uuid", "enum"],
)
async def test_a_default_is_an_annotation(
    app: CompiledApp, default: Any, text: str, value: Any
) -> None:
    """``limit=10`` is ``limit: int = 10``: read from the query and validated."""

    @app.get("/a")
    async def get(request, limit=default):  # type: ignore[no-untyped-def]
        return limit

    left_out = (await app.call("get", "/a")).json["data"]
    assert left_out == msgspec.json.decode(msgspec.json.encode(default))
    assert (await app.call("get", f"/a?limit={text}")).json["data"] == value
    if not isinstance(default, str):
        assert (await app.call("get", "/a?limit=[]")).status == 422


@pytest.mark.parametrize("default", [None, [], (), {}, object], ids=str)
async def test_a_default_without_a_type_is_left_alone(app: CompiledApp, default: Any) -> None:
    """It says nothing of the text that would come."""

    @app.get("/a")
    async def get(request, limit=default):  # type: ignore[no-untyped-def]
        return limit is default

    assert (await app.call("get", "/a?limit=5")).json["data"] is True


async def test_a_default_of_the_path_or_of_a_decorator_is_not_read(app: CompiledApp) -> None:
    """The router or the decorator gives the value; what a decorator does out of sight, too."""

    def hand_in(handler: Any) -> Any:
        @functools.wraps(handler)
        async def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
            return await handler(request, *args, admin=True, **kwargs)

        return wrapper

    scope: dict[str, Any] = {"functools": functools}
    source = (
        "def unseen(handler):\n"
        "    @functools.wraps(handler)\n"
        "    async def wrapper(request, **kwargs):\n"
        "        return await handler(request, **kwargs)\n"
        "    return wrapper\n"
    )
    exec(source, scope)

    @app.get("/path/<id>")
    async def by_path(request, id=1):  # type: ignore[no-untyped-def]
        return id

    @app.get("/decorated")
    @hand_in
    async def decorated(request, admin=False, limit=1):  # type: ignore[no-untyped-def]
        return [admin, limit]

    @app.get("/unseen")
    @scope["unseen"]
    async def unseen(request, admin=False):  # type: ignore[no-untyped-def]
        return admin

    @app.get("/sanic")
    @sanic_handler
    async def as_sanic(request, admin=False):  # type: ignore[no-untyped-def]
        return admin

    assert (await app.call("get", "/path/x")).json["data"] == "x"
    assert (await app.call("get", "/decorated?admin=0&limit=5")).json["data"] == [True, 5]
    assert (await app.call("get", "/unseen?admin=1")).json["data"] is False
    assert (await app.call("get", "/sanic?admin=1")).json["data"] is False


@pytest.mark.parametrize(
    ("marker", "shown"), [(Query(), "Query"), (Body(), "Body"), (Header(), "Header")], ids=str
)
def test_a_marker_as_a_default_stops_the_start(app: CompiledApp, marker: Any, shown: str) -> None:
    """It stands in the annotation here."""

    @app.get("/a")
    async def get(request: Request, limit: int = marker) -> None: ...

    with pytest.raises(TypeError, match=rf"limit: Annotated\[…, {shown}\(\)\]"):
        start(app)


def test_a_marker_takes_a_name_and_no_default() -> None:
    """``Query(10)`` is meant as a default elsewhere."""
    with pytest.raises(TypeError, match=r"Annotated\[…, Query\(\)\] = 10"):
        Query(10)  # type: ignore[arg-type]
    assert Query("sort-by").name == "sort-by"


# --- bodies of GET ---


class Account(pw.Model):
    """A shape of Peewee's."""

    id = pw.AutoField()


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize(
    ("shape", "default"),
    [(City, ...), (Account, ...), (dict, ...), (City, None), (Account, None)],
    ids=["struct", "model", "dict", "optional-struct", "optional-model"],
)
def test_a_body_of_a_get_stops_the_start(
    app: CompiledApp, method: str, shape: Any, default: Any
) -> None:
    """Each call would be 400. The query is what is meant."""

    async def get(request, city):  # type: ignore[no-untyped-def]
        ...

    get.__annotations__["city"] = shape
    get.__defaults__ = None if default is ... else (default,)
    app.add_route(get, "/a", methods=[method])
    with pytest.raises(TypeError, match=rf"city: Annotated\[{shape.__name__}, Query\(\)\]"):
        start(app)


async def test_a_default_that_binds_a_value_is_no_body(app: CompiledApp) -> None:
    """``version: Any = version`` in a loop: it asks nothing of a GET."""
    for version in (1, 2):

        @app.get(f"/v{version}", name=f"v{version}")
        async def get(request: Request, version: Any = version) -> Any:
            return version

    assert (await app.call("get", "/v1")).json["data"] == 1
    assert (await app.call("get", "/v2")).json["data"] == 2


async def test_a_body_of_a_get_that_is_marked_is_read(app: CompiledApp) -> None:
    """Some clients do send one."""

    @app.get("/a")
    async def get(request: Request, city: Annotated[City | None, Body()] = None) -> Any:
        return city and city.id

    assert (await app.call("get", "/a")).json["data"] is None


def test_a_body_of_a_get_among_others_is_a_warning(
    app: CompiledApp, caplog: pytest.LogCaptureFixture
) -> None:
    """A route for GET and POST works for POST; a declared body is taken at its word."""

    @app.route("/a", methods=["GET", "POST"])
    async def both(request: Request, city: City) -> None: ...

    @app.route("/b", methods=["GET", "POST"])
    async def optional(request: Request, city: City | None = None) -> None: ...

    @app.get("/c")
    @doc.consumes(City)
    async def declared(request: Request) -> None: ...

    start(app)
    (first, second) = [line for line in caplog.messages if "body" in line]
    assert "'city' is the body" in first
    assert "each GET will be 400" in first
    assert "declared" in second
    assert 'location="query"' in second


# --- what is returned ---


@pytest.mark.parametrize(
    ("produces", "returns"),
    [(City, Town), (City, list[City]), ([City], list[Town]), ([City], City), (City, Town | None)],
    ids=str,
)
def test_two_shapes_of_one_answer_stop_the_start(
    app: CompiledApp, produces: Any, returns: Any
) -> None:
    """The decorator and the annotation say different things, and which one counts is a guess."""

    async def get(request):  # type: ignore[no-untyped-def]
        ...

    get.__annotations__["return"] = returns
    app.add_route(doc.produces(produces)(get), "/a")
    with pytest.raises(TypeError, match=r"get \(.*@doc.produces says .* and the annotation says"):
        start(app)


@pytest.mark.parametrize(
    ("produces", "returns"),
    [
        (City, City),
        (City, Capital),
        (City, City | None),
        (City, dict[str, Any]),
        (City, Any),
        ([City], list[City]),
        ([City], list),
        ({"id": int}, City),
        (City, tuple[City, int]),
    ],
    ids=str,
)
def test_shapes_that_go_together_are_taken(app: CompiledApp, produces: Any, returns: Any) -> None:
    """The same, one that says less, or an instance of a subclass."""

    async def get(request):  # type: ignore[no-untyped-def]
        ...

    get.__annotations__["return"] = returns
    app.add_route(doc.produces(produces)(get), "/a")
    start(app)


async def test_a_views_default_is_no_contradiction(app: CompiledApp) -> None:
    """Its method's own annotation may say something else, as its own decorators may."""

    class View(HTTPMethodView):
        decorators = [doc.produces(City)]  # noqa: RUF012

        async def get(self, request: Request) -> Town:
            return Town(1)

    app.add_route(View.as_view(), "/a")
    assert (await app.call("get", "/a")).json["data"] == {"id": 1}
