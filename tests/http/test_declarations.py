"""Decorators around handlers: what of a request they leave to the framework, and declarations that
stand in unusual places."""

from __future__ import annotations

import functools
import logging
import re
import uuid
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import pytest
from sanic.views import HTTPMethodView

from sanic_ms import Service, doc
from sanic_ms.exception import LifecycleError
from sanic_ms.http import Body, Query, list_routes, sanic_handler
from sanic_ms.loggers import logger
from sanic_ms.testing import TestClient

pytestmark = pytest.mark.usefixtures("empty_folder")

Handler = Callable[..., Any]
SAFE = {"name": str}
ROW = {"name": "ann", "password": "secret"}


class Item(msgspec.Struct):
    """A body."""

    name: str


class Repository:
    """A service."""


def make() -> Service:
    """A service."""
    return Service(f"service_{uuid.uuid4().hex}", configure_logging=False)


def timed(function: Handler) -> Handler:
    """A decorator that hands in nothing."""

    @functools.wraps(function)
    async def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
        return await function(request, *args, **kwargs)

    return wrapper


def inject(function: Handler) -> Handler:
    """A decorator that hands in the user."""

    @functools.wraps(function)
    async def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
        return await function(request, *args, user={"name": "ann"}, **kwargs)

    return wrapper


def hidden(function: Handler) -> Handler:
    """A decorator that does not say that it is one."""

    async def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
        return await function(request, *args, **kwargs)

    return wrapper


# --- parameters -----------------------------------------------------------------------------------


@pytest.mark.parametrize("full_path", [False, True], ids=["fast", "full"])
async def test_what_no_decorator_hands_in_is_read_from_the_request(full_path: bool) -> None:
    """Bodies, queries and services below decorators that hand in nothing, or something else."""
    app = make()
    app.provide(Repository, Repository())
    if full_path:
        app.register_middleware(lambda request: None, "request")

    @app.post("/<id:int>")
    @timed
    @inject
    @logger
    async def handler(
        request: Any, id: int, user: dict[str, Any], body: Item, repo: Repository, low: int = 1
    ) -> Any:
        return [id, user["name"], body.name, type(repo).__name__, low]

    async with TestClient(app) as client:
        answer = await client.post("/7?low=3", json={"name": "lamp"})
        assert answer.json["data"] == [7, "ann", "lamp", "Repository", 3]
        assert (await client.post("/7", json={})).status == 422
        assert (await client.post("/7?low=x", json={"name": "lamp"})).status == 422


async def test_a_marker_says_that_a_parameter_is_the_requests() -> None:
    """Below a decorator whose source does not show what it hands in."""
    app = make()

    def loads(function: Handler) -> Handler:
        @functools.wraps(function)
        async def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
            extra = {f"us{'er'}": "ann"}
            return await function(request, *args, **kwargs, **extra)

        return wrapper

    @app.post("/")
    @loads
    async def handler(
        request: Any, body: Annotated[Item, Body()], low: Annotated[int, Query()], user: str
    ) -> Any:
        return [body.name, low, user]

    async with TestClient(app) as client:
        answer = await client.post("/?low=2", json={"name": "lamp"})
        assert answer.json["data"] == ["lamp", 2, "ann"]


async def test_a_decorator_without_source_leaves_all_to_the_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As it hands in nothing, as far as can be seen; `@sanic_handler` says otherwise, and a line of
    the log names it, where a parameter is in question."""
    app = make()
    source = (
        "def inject(function):\n"
        "    @wraps(function)\n"
        "    async def wrapper(request, **kwargs):\n"
        "        return await function(request, user='ann', **kwargs)\n"
        "    return wrapper\n"
    )
    scope: dict[str, Any] = {"wraps": functools.wraps}
    exec(source, scope)
    inject = scope["inject"]

    async def handler(request: Any, id: int, user: str) -> Any:
        return [id, user]

    async def path_alone(request: Any, id: int) -> Any: ...

    async def marked(request: Any, low: Annotated[int, Query()]) -> Any: ...

    caplog.set_level(logging.INFO)
    app.add_route(inject(path_alone), "/path/<id:int>", name="path_alone")
    app.add_route(inject(marked), "/marked", name="marked")
    app.add_route(inject(handler), "/read/<id:int>", name="read")
    app.add_route(sanic_handler(inject(handler)), "/left/<id:int>", name="left")
    app.add_route(inject(sanic_handler(functools.partial(handler))), "/below/<id:int>", name="b")
    async with TestClient(app) as client:
        assert (await client.get("/read/7")).status == 422
        assert (await client.get("/left/7")).json["data"] == [7, "ann"]
        assert (await client.get("/below/7")).json["data"] == [7, "ann"]
    lines = [record.getMessage() for record in caplog.records]
    (line,) = (line for line in lines if "sanic_handler" in line)
    assert "'user' is filled from the request" in line


@pytest.mark.parametrize("is_async", [True, False])
async def test_the_error_of_a_wrong_call_says_what_to_do(
    is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody hands in what the framework fills, or does not hand in what it was left."""
    app = make()

    def twice(function: Handler) -> Handler:
        def arguments() -> dict[str, Any]:
            return {"low": 1}

        @functools.wraps(function)
        async def later(request: Any, **kwargs: Any) -> Any:
            return await functools.partial(function, request, **arguments())(**kwargs, low=2)

        @functools.wraps(function)
        def now(request: Any, **kwargs: Any) -> Any:
            return function(request, low=1, **kwargs)

        return later if is_async else now

    @app.get("/")
    @twice
    async def handler(request: Any, other: int, low: Annotated[int, Query()] = 0) -> Any: ...

    async with TestClient(app) as client:
        assert (await client.get("/?low=1&other=2")).status == 500
    assert "test_declarations.py" in caplog.text
    assert "@sanic_ms.http.sanic_handler" in caplog.text
    assert re.search("'low' (is|are) filled from the request", caplog.text)


async def test_sanic_handler_leaves_a_handler_alone() -> None:
    """On a function, a method or a whole class view: parameters come from the path and from nowhere
    else, annotations say nothing, declarations count."""
    app = make()

    @sanic_handler
    class View(HTTPMethodView):
        async def get(self, request: Any, id: Any, body: Item = "own") -> Item:  # type: ignore[assignment]
            return [id, body]  # type: ignore[return-value]

    class Marked(HTTPMethodView):
        decorators = [sanic_handler]  # noqa: RUF012

        async def get(self, request: Any, id: Any, low: int = 0) -> Any:
            return [id, low]

    @app.get("/function/<id>")
    @sanic_handler
    @doc.produces(SAFE)
    async def function(request: Any, id: Missing, low: int = 3) -> Item:  # type: ignore[name-defined]  # noqa: F821
        return {**ROW, "name": f"{id} {low}"}  # type: ignore[return-value]

    app.add_route(View.as_view(), "/view/<id:int>", name="view")
    app.add_route(Marked.as_view(), "/marked/<id:int>", name="marked")
    async with TestClient(app) as client:
        assert (await client.get("/view/7")).json["data"] == [7, "own"]
        assert (await client.get("/marked/7?low=4")).json["data"] == [7, 0]
        assert (await client.get("/function/a?low=4")).json["data"] == {"name": "a 3"}


@pytest.mark.parametrize("wrong", [None, 7, make().get])
def test_sanic_handler_is_for_handlers(wrong: Any) -> None:
    """What cannot be called or marked is refused where it stands."""
    with pytest.raises(TypeError, match="sanic_handler"):
        sanic_handler(wrong)


def test_a_handler_that_can_be_called_on_no_route_stops_the_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One that can be called on another is a warning, with its place and the route."""

    class View(HTTPMethodView):
        async def get(self, request: Any, id: int) -> Any: ...

        async def post(self, request: Any) -> Any: ...

    class Lost(HTTPMethodView):
        async def get(self, request: Any) -> Any: ...

    app = make()
    app.add_route(View.as_view(), "/a/<id:int>", name="a")
    with caplog.at_level(logging.WARNING):
        app.compile()
    assert "View.post" in caplog.text
    assert "POST /a/<id:int> will fail with 500" in caplog.text
    paths = app.openapi()["paths"]
    assert "post" not in paths["/a/{id}"]
    app.add_route(Lost.as_view(), "/b/<id:int>", name="b")
    with pytest.raises(LifecycleError, match=r"Lost.get .*the path has 'id'"):
        app.compile()


def test_unknown_annotations_are_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A parameter that is passed without being read, and data that are not cut down; a response of
    Sanic is no data, and is not worth a line."""
    app = make()

    @app.get("/one/<id>")
    async def one(request: Any, id: Missing) -> Row: ...  # type: ignore[name-defined]  # noqa: F821

    @app.get("/two")
    async def two(request: Any) -> response.JSONResponse: ...  # type: ignore[name-defined]  # noqa: F821

    with caplog.at_level(logging.WARNING):
        app.compile()
    lines = [record.getMessage() for record in caplog.records]
    assert [line.partition("the annotation ")[2].partition(" cannot")[0] for line in lines] == [
        "'Missing' of 'id'",
        "'Row' of 'return'",
    ]

    @app.get("/three")
    async def three(request: Any, body: Missing) -> Any: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(LifecycleError, match=r"three .*nothing gives.*'body'.*'Missing'"):
        app.compile()


async def test_a_class_in_a_view_is_a_shape() -> None:
    """Annotations of methods may name what stands in the class."""
    app = make()

    class View(HTTPMethodView):
        class Form(msgspec.Struct):
            name: str

        async def post(self, request: Any, body: Form) -> Any:
            return body.name

    app.add_route(View.as_view(), "/")
    async with TestClient(app) as client:
        assert (await client.post("/", json={"name": "lamp"})).json["data"] == "lamp"


async def test_web_sockets_have_decorators_too() -> None:
    """What they hand in is left to them; the rest is there before the handshake."""
    app = make()

    def inject(function: Handler) -> Handler:
        @functools.wraps(function)
        async def wrapper(request: Any, ws: Any, *args: Any, **kwargs: Any) -> Any:
            return await function(request, ws, {"name": "ann"}, *args, **kwargs)

        return wrapper

    @app.websocket("/read/<id:int>")
    @inject
    async def read(request: Any, ws: Any, user: dict[str, Any], id: int, low: int = 0) -> None:
        await ws.send(f"{user['name']} {id} {low}")

    @app.websocket("/left/<id:int>")
    @sanic_handler
    async def left(request: Any, ws: Any, id: Item, low: int = 0) -> None:
        await ws.send(f"{id} {low}")

    before = {route.name: route.handler for route in app.router.routes}
    async with TestClient(app) as client:
        for path, text in (("/read/7?low=2", "ann 7 2"), ("/left/7?low=2", "7 0")):
            async with client.websocket(path) as socket:
                assert await socket.receive_str() == text
    after = {route.name: route.handler for route in app.router.routes}
    assert {name: after[name] for name in before} == before


def test_a_web_socket_that_wants_a_body_stops_the_start() -> None:
    """A handshake has none. The line names the handler and its parameter."""
    app = make()

    @app.websocket("/feed")
    async def feed(request: Any, ws: Any, item: Item, word: str = "") -> None: ...

    with pytest.raises(LifecycleError) as caught:
        app.compile()
    assert "feed" in str(caught.value)
    assert "nothing gives 'item': a web socket has no body" in str(caught.value)


async def test_a_web_socket_may_have_a_body_that_it_does_not_need() -> None:
    """It has its default."""
    app = make()

    @app.websocket("/feed")
    async def feed(request: Any, ws: Any, item: Item | None = None, word: str = "") -> None:
        await ws.send(f"{item} {word}")

    async with TestClient(app) as client, client.websocket("/feed?word=x") as socket:
        assert await socket.receive_str() == "None x"


# --- declarations ---------------------------------------------------------------------------------


class Callee:
    """Handlers that are no functions."""

    @doc.produces(SAFE)
    async def __call__(self, request: Any) -> Any:
        return ROW

    @doc.produces(SAFE)
    async def method(self, request: Any) -> Any:
        """A bound method."""
        return ROW


async def plain(request: Any, word: str = "") -> Any:
    """Declares nothing."""
    return ROW


@doc.produces(SAFE)
async def safe(request: Any, word: str = "") -> Any:
    """Declares what leaves it."""
    return ROW


class Decorated(HTTPMethodView):
    """Declared for the whole class."""

    decorators = [doc.produces(SAFE), doc.security("bearer"), doc.consumes(Item)]  # noqa: RUF012

    async def get(self, request: Any) -> Any:
        """Says nothing else."""
        return ROW

    @doc.produces({"password": str}, status=201)
    @doc.security()
    async def post(self, request: Any) -> Any:
        """Says otherwise."""
        return {**ROW, "password": request["data"].name}


class Static(HTTPMethodView):
    """The declaration stands above `staticmethod`."""

    @doc.produces(SAFE)
    @staticmethod
    async def get(request: Any) -> Any:
        """Not bound."""
        return ROW


class Undeclared(HTTPMethodView):
    """Declares nothing."""

    async def get(self, request: Any) -> Any:
        """Neither."""
        return ROW


class Plain:
    """An object that declares nothing in its class."""

    async def __call__(self, request: Any) -> Any:
        return ROW


PLACES: dict[str, Callable[[], Handler]] = {
    "view": Decorated.as_view,
    "static": Static.as_view,
    "around_as_view": lambda: doc.produces(SAFE)(Undeclared.as_view()),
    "in_decorated_view": lambda: timed(doc.produces(SAFE)(timed(Undeclared.as_view()))),
    "partial": lambda: doc.produces(SAFE)(functools.partial(plain, word="a")),
    "in_partial": lambda: functools.partial(safe, word="a"),
    "partial_of_partial": lambda: functools.partial(functools.partial(safe), word="a"),
    "object": lambda: doc.produces(SAFE)(Plain()),
    "call": Callee,
    "method": lambda: Callee().method,
    "logged": lambda: logger(doc.produces(SAFE)(timed(plain))),
    "wider_inside": lambda: doc.produces(SAFE)(functools.partial(doc.produces(dict)(timed(plain)))),
}


@pytest.mark.parametrize("place", PLACES)
async def test_a_declaration_counts_wherever_it_stands(place: str) -> None:
    """A field that `doc.produces` leaves out does not leave the service."""
    app = make()
    app.add_route(PLACES[place](), "/", name="handler")
    async with TestClient(app) as client:
        answer = await client.get("/")
        assert (answer.status, answer.json["data"]) == (200, {"name": "ann"})


async def test_a_method_says_more_than_its_view() -> None:
    """What it declares counts; a body is declared for the methods that have one."""
    app = make()
    app.add_route(Decorated.as_view(), "/")
    async with TestClient(app) as client:
        answer = await client.post("/", json={"name": "lamp"})
        assert (answer.status, answer.json["data"]) == (201, {"password": "lamp"})
        assert (await client.post("/", json={})).status == 422
    policies = {entry.methods: entry.policy for entry in list_routes(app) if entry.path == "/"}
    assert policies == {("GET",): "bearer", ("POST",): "open"}
    operations = app.openapi()["paths"]["/"]
    assert "requestBody" in operations["post"]
    assert "requestBody" not in operations["get"]
    assert {"200", "201"} & operations["post"]["responses"].keys() == {"201"}


def test_a_declaration_that_cannot_be_seen_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """Below a decorator without `functools.wraps`."""
    app = make()
    app.add_route(hidden(safe), "/", name="function")
    app.add_route(hidden(Static.as_view()), "/view", name="view")
    app.add_route(hidden(plain), "/plain", name="plain")
    with caplog.at_level(logging.WARNING):
        app.compile()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert all("functools.wraps" in line for line in lines)
    assert "function = safe (" in lines[0]


def test_a_declaration_that_cannot_be_kept_is_refused() -> None:
    """A bound method is another object each time."""
    with pytest.raises(TypeError, match=r"@doc.summary cannot be kept on .*Undeclared.get"):
        doc.summary("Text")(Undeclared().get)
