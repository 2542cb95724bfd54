"""Handlers of every kind, on bare Sanic and on a service: the same application answers the same.

Each case is an application that Sanic's documentation allows. It is built twice, and the same
requests go to both; to the service on its fast path and on its full path.
"""

from __future__ import annotations

import functools
import inspect
import re
import typing
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sanic import Blueprint, Sanic
from sanic.response import json, text
from sanic.router import Router
from sanic.views import HTTPMethodView, stream
from tests.paths import take_full_path

from sanic_ms import Service
from sanic_ms.testing import TestClient

if TYPE_CHECKING:
    from sanic import HTTPResponse
    from sanic import Request as SanicRequest
    from somewhere import Secret  # type: ignore[import-not-found]

pytestmark = pytest.mark.usefixtures("empty_folder")

App = Sanic[Any, Any]
Handler = Callable[..., Any]


class Item(msgspec.Struct):
    """A body."""

    name: str


ITEM = {"json": {"name": "lamp"}}

# --- decorators that hand something in ------------------------------------------------------------


def inject_user(function: Handler) -> Handler:
    """By keyword, as sanic-jwt does."""

    @functools.wraps(function)
    async def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
        response = function(request, user={"name": "ann"}, *args, **kwargs)  # noqa: B026
        return await response if isawaitable(response) else response

    return wrapper


def inject_first(function: Handler) -> Handler:
    """By position, after the request."""

    @functools.wraps(function)
    async def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
        return await function(request, {"name": "ann"}, *args, **kwargs)

    return wrapper


def inject_item(function: Handler) -> Handler:
    """Into the keywords."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        kwargs["user"] = {"name": "ann"}
        return function(*args, **kwargs)

    return wrapper


def inject_merged(function: Handler) -> Handler:
    """In a dict of its own."""

    @functools.wraps(function)
    async def wrapper(request: Any, **kwargs: Any) -> Any:
        arguments = {**kwargs, "user": {"name": "ann"}}
        return await function(request, **arguments)

    return wrapper


def inject_updated(function: Handler) -> Handler:
    """With names that its source does not show."""

    @functools.wraps(function)
    async def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
        found = {name: {"name": "ann"} for name in ("user",)}
        kwargs.update(found)
        return await function(request, *args, **kwargs)

    return wrapper


def inject_named(name: str) -> Callable[[Handler], Handler]:
    """Under a name that the decorator is told, by a helper."""

    def give(kwargs: dict[str, Any], argument: str) -> None:
        kwargs[argument] = {"name": "ann"}

    def decorator(function: Handler) -> Handler:
        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            give(kwargs=kwargs, argument=name)
            return await function(*args, **kwargs)

        return wrapper

    return decorator


def inject_through_call(function: Handler) -> Handler:
    """By a function that calls the handler."""

    async def call(handler: Handler, *args: Any, **kwargs: Any) -> Any:
        value = handler(*args, **kwargs)
        return await value if isawaitable(value) else value

    @functools.wraps(function)
    async def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
        return await call(function, request, {"name": "ann"}, *args, **kwargs)

    return wrapper


class InjectObject:
    """A class that is a decorator."""

    def __init__(self, function: Handler) -> None:
        functools.update_wrapper(self, function)
        self.function = function

    async def __call__(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return await self.function(request, *args, user={"name": "ann"}, **kwargs)


def inject_and_narrow(function: Handler) -> Handler:
    """It takes what the path has, and no more."""

    @functools.wraps(function)
    async def wrapper(request: Any, id: int) -> Any:
        return await function(request, {"name": "ann"}, id=id)

    return wrapper


INJECTORS: dict[str, Any] = {
    "keyword": inject_user,
    "position": inject_first,
    "item": inject_item,
    "merged": inject_merged,
    "updated": inject_updated,
    "named": inject_named("user"),
    "through_call": inject_through_call,
    "object": InjectObject,
    "narrow": inject_and_narrow,
    "twice": lambda function: timed(inject_user(timed(function))),
}


def timed(function: Handler) -> Handler:
    """It hands in nothing, and reads what it is called with."""

    @functools.wraps(function)
    async def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs.get("body")
        request.ctx.timed = {"name": "body", "given": sorted(kwargs)}
        response = function(request, *args, **kwargs)
        return await response if isawaitable(response) else response

    return wrapper


def validate(model: type) -> Callable[[Handler], Handler]:
    """The body, as many write it by hand."""

    def decorator(function: Handler) -> Handler:
        @functools.wraps(function)
        async def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
            body: Any = msgspec.convert(request.json, model)
            return await function(request, *args, body=body, **kwargs)

        return wrapper

    return decorator


# --- cases ----------------------------------------------------------------------------------------

Requests = list[tuple[str, str, dict[str, Any]]]


@dataclass(frozen=True)
class Case:
    """An application and the requests to it."""

    build: Callable[[App], None]
    requests: Requests


CASES: dict[str, Case] = {}


def case(*requests: str | tuple[str, dict[str, Any]]) -> Callable[[Callable[[App], None]], Any]:
    """Add an application to the cases."""
    entries = [entry if isinstance(entry, tuple) else (entry, {}) for entry in requests]
    calls = [(*line.split(" "), options) for line, options in entries]

    def add(build: Callable[[App], None]) -> Callable[[App], None]:
        CASES[build.__name__] = Case(build, calls)  # type: ignore[arg-type]
        return build

    return add


def add_injector(name: str, injector: Any) -> None:
    """A decorator of each kind over a typed handler."""

    def build(app: App) -> None:
        @app.get("/<id:int>")
        @injector
        async def handler(request: SanicRequest, user: dict[str, Any], id: int) -> HTTPResponse:
            return json({"user": user, "id": id})

    CASES[f"injected_by_{name}"] = Case(build, [("GET", "/7", {}), ("GET", "/x", {})])


for _name, _injector in INJECTORS.items():
    add_injector(_name, _injector)


@case(("POST /", ITEM))
def validated_body(app: App) -> None:
    """`@validate(Item)` hands the body in."""

    @app.post("/")
    @validate(Item)
    async def handler(request: Any, body: Item) -> HTTPResponse:
        return text(body.name)


@case("GET /7", "GET /list", "DELETE /7", "POST /list")
def injected_view(app: App) -> None:
    """The decorators of a class view hand something in to each method."""

    class View(HTTPMethodView):
        decorators = [inject_user, timed]  # noqa: RUF012

        async def get(self, request, user: dict[str, Any], id=None):  # type: ignore[no-untyped-def]
            return json([user, id])

        def delete(self, request, user, id):  # type: ignore[no-untyped-def]
            return json([user, id, "gone"])

        @inject_first
        async def post(self, *args, **kwargs):  # type: ignore[no-untyped-def]
            return json([len(args), sorted(kwargs)])

    app.add_route(View.as_view(), "/<id:int>", name="one")
    app.add_route(View.as_view(), "/list", name="all")


@case("GET /", "GET /7", "POST /", "POST /7", "PUT /", "PUT /7")
def view_on_two_routes(app: App) -> None:
    """Only one of them has the parameter."""

    class View(HTTPMethodView):
        async def get(self, request, id=None):  # type: ignore[no-untyped-def]
            return text(f"get {id}")

        async def post(self, request):  # type: ignore[no-untyped-def]
            return text("post")

        def put(self, request, id):  # type: ignore[no-untyped-def]
            return text(f"put {id}")

    view = View.as_view()
    app.add_route(view, "/", name="all")
    app.add_route(view, "/<id:int>", name="one")


@case("GET /acme/users", "POST /acme/users", "GET /acme/plain")
def parameter_of_a_prefix(app: App) -> None:
    """One method of a view does not take it."""

    class View(HTTPMethodView):
        async def get(self, request, tenant):  # type: ignore[no-untyped-def]
            return text(tenant)

        async def post(self, request):  # type: ignore[no-untyped-def]
            return text("never")

    blueprint = Blueprint("tenants", url_prefix="/<tenant>")
    blueprint.add_route(View.as_view(), "/users")

    @blueprint.get("/plain")
    async def plain(request, **kwargs):  # type: ignore[no-untyped-def]
        return json(kwargs)

    app.blueprint(Blueprint.group(blueprint))


@case("GET /a", "GET /b/1", "GET /b/x")
def handler_on_two_paths(app: App) -> None:
    """Registered twice; one path lacks what the handler needs."""

    @app.get("/a", name="a")
    @app.get("/b/<id:int>", name="b")
    async def handler(request, id):  # type: ignore[no-untyped-def]
        return text(str(id))


@case("GET /one", "GET /two", "GET /three", "GET /four/4", "GET /five", "GET /six")
def annotations_of_type_checkers(app: App) -> None:
    """Names that do not exist at run time, functions in the place of types, local names."""
    from sanic.response import HTTPResponse as Local

    @app.get("/one")
    async def one(request: SanicRequest) -> HTTPResponse:
        return text("1")

    @app.get("/two")
    async def two(request: SanicRequest) -> json:  # type: ignore[valid-type]
        return json(2)

    @app.get("/three")
    async def three(request: Any) -> Local:
        return text("3")

    @app.get("/four/<id:int>")
    async def four(request: Any, id: Secret) -> text:  # type: ignore[valid-type]
        return text(str(id))

    @app.get("/five")
    async def five(request: Any, secret: Secret = None) -> Secret | None:
        return text(str(secret))

    @app.get("/six")
    def six(request: Any) -> Awaitable[HTTPResponse]:
        async def later() -> Any:
            return text("6")

        return later()


class Callee:
    """An object that can be called, with methods of every kind."""

    async def __call__(self, request: Any, id: int) -> Any:
        return text(f"called {id}")

    async def method(self, request: Any, id: int) -> Any:
        """A bound method."""
        return text(f"method {id}")

    @timed
    async def wrapped(self, *args: Any, **kwargs: Any) -> Any:
        """A bound method in a decorator."""
        return text(f"wrapped {kwargs}")

    @staticmethod
    def static(request: Any, id: int) -> Any:
        """No self."""
        return text(f"static {id}")

    @classmethod
    async def of_class(cls, request: Any, id: int) -> Any:
        """The class is bound."""
        return text(f"{cls.__name__} {id}")


@case(*(f"GET /{name}/7" for name in ("object", "method", "static", "class", "partial", "lambda")))
def callables(app: App) -> None:
    """Everything that can be called."""
    callee = Callee()

    async def bound(request: Any, prefix: str, id: int, suffix: str = "") -> Any:
        return text(f"{prefix} {id} {suffix}")

    app.add_route(callee, "/object/<id:int>", name="object")
    app.add_route(callee.method, "/method/<id:int>", name="method")
    app.add_route(Callee.static, "/static/<id:int>", name="static")
    app.add_route(Callee.of_class, "/class/<id:int>", name="class")
    partial = functools.partial(bound, prefix="a", suffix="z")
    app.add_route(partial, "/partial/<id:int>", name="partial")
    function: Any = lambda request, id: text(f"lambda {id}")  # noqa: E731
    app.add_route(function, "/lambda/<id:int>", name="lambda")


@case("GET /", "GET /?prefix=stolen")
def what_a_partial_binds(app: App) -> None:
    """The client cannot give it."""

    async def bound(request: Any, prefix: str) -> Any:
        return text(prefix)

    app.add_route(functools.partial(bound, prefix="mine"), "/", name="partial")


@case("GET /a/b/1", "GET /only/1", "GET /positional/1")
def parameters_of_every_kind(app: App) -> None:
    """Stars, keyword-only and positional-only parameters."""

    @app.get("/a/<name>/<id:int>")
    async def stars(request, *args, **kwargs):  # type: ignore[no-untyped-def]
        return json([list(args), kwargs])

    @app.get("/only/<id:int>")
    async def only(request, *, id, other=3):  # type: ignore[no-untyped-def]
        return json([id, other])

    @app.get("/positional/<id:int>")
    async def positional(request, /, id):  # type: ignore[no-untyped-def]
        return json(id)


@case("GET /", "POST /", "PUT /", "PATCH /", "HEAD /")
def view_with_methods_of_every_kind(app: App) -> None:
    """Sync, async, static, of the class, partial."""

    class View(HTTPMethodView):
        def get(self, request: Any) -> Any:
            return text("get")

        @staticmethod
        async def post(request: Any) -> Any:
            return text("post")

        @classmethod
        def put(cls, request: Any) -> Any:
            return text(cls.__name__)

        async def _patch(self, request: Any, word: str) -> Any:
            return text(word)

        patch = functools.partialmethod(_patch, word="patch")

    app.add_route(View.as_view(), "/")


@case("GET /ok", "GET /generator", "GET /asynchronous", "GET /number")
def results_that_are_none(app: App) -> None:
    """Generators are no responses; a path that is too short is no route."""

    @app.get("/ok")
    async def ok(request: Any) -> Any:
        return text("ok")

    @app.get("/generator")
    def generator(request: Any) -> Any:
        yield text("never")

    @app.get("/asynchronous")
    async def asynchronous(request: Any) -> Any:
        yield text("never")

    @app.get("/number/<id:int>")
    def number(request: Any, id: int) -> Any:
        return text(str(id))


@case("GET /attached/7", "POST /attached/7", "GET /dispatched/7", "PUT /dispatched/7", "GET /set")
def views_of_every_kind(app: App) -> None:
    """Attached, with methods of the route, with a way of their own to find methods."""

    class Attached(HTTPMethodView, attach=app, uri="/attached/<id:int>", methods=["GET", "POST"]):
        async def get(self, request, id):  # type: ignore[no-untyped-def]
            return text(f"get {id}")

    class Dispatched(HTTPMethodView):
        def dispatch_request(self, request: Any, *args: Any, **kwargs: Any) -> Any:
            return text(f"{request.method} {kwargs}")

        async def get(self, request: Any, **kwargs: Any) -> Any: ...

        async def put(self, request: Any, **kwargs: Any) -> Any: ...

    class ByName(HTTPMethodView):
        def __init__(self, word: str) -> None:
            self.word = word

        @property
        def loud(self) -> str:
            """Not a handler."""
            return self.word.upper()

        def get(self, request: Any) -> Any:
            return text(self.loud)

    app.add_route(Dispatched.as_view(), "/dispatched/<id:int>")
    app.add_route(ByName.as_view("word"), "/set", methods=["GET", "PATCH"])


@case("GET /v1/a/x/7", "GET /v2/a/x/7", "GET /b/y/z")
def groups_and_versions(app: App) -> None:
    """The same function on routes with different parameters."""

    async def handler(request, id=None, **kwargs):  # type: ignore[no-untyped-def]
        return json([id, kwargs])

    first = Blueprint("first", url_prefix="/<kind>")
    first.add_route(inject_user(handler), "/<id:int>", name="one")
    second = Blueprint("second", url_prefix="/<kind>")
    second.add_route(timed(inject_user(handler)), "/<other>", name="two")
    app.blueprint(Blueprint.group(first, url_prefix="/a", version=1))
    again = Blueprint("again", url_prefix="/<kind>")
    again.add_route(inject_user(handler), "/<id:int>", name="one")
    app.blueprint(Blueprint.group(again, url_prefix="/a", version=2))
    app.blueprint(Blueprint.group(second, url_prefix="/b"))


@case(("POST /", {"content": b"abc"}), ("POST /view", {"content": b"abc"}))
def streams(app: App) -> None:
    """Handlers that read the body by themselves."""

    @app.post("/", stream=True)
    async def handler(request: Any) -> Any:
        body = b""
        while (part := await request.stream.read()) is not None:
            body += part
        return text(body.decode())

    class View(HTTPMethodView):
        @stream
        async def post(self, request: Any) -> Any:
            body = b""
            while (part := await request.stream.read()) is not None:
                body += part
            return text(body.decode())

    app.add_route(View.as_view(), "/view")


@case("GET /", "GET /missing")
def route_handler(app: App) -> None:
    """`request.route.handler` is the application's function, in handlers and in middleware."""

    @app.get("/")
    async def handler(request: Any, *args: Any) -> HTTPResponse:
        hints = typing.get_type_hints(request.route.handler, globals() | {"HTTPResponse": Any})
        return json([request.route.handler is handler, sorted(hints)])

    @app.on_response
    async def mark(request: Any, response: Any) -> None:
        if request.route is not None:
            response.headers["x-same"] = str(request.route.handler is handler)


# --- the comparison -------------------------------------------------------------------------------


async def answers_of_sanic(entry: Case) -> list[tuple[Any, ...]]:
    """Status and body of each answer; of an error the status, as its body is the envelope's."""
    app = Sanic(f"bare_{uuid.uuid4().hex}", configure_logging=False)
    entry.build(app)
    answers = []
    for method, path, options in entry.requests:
        _, answer = await app.asgi_client.request(method, path, **options)
        body = answer.content if answer.status_code < 400 else None
        answers.append((method, path, answer.status_code, body))
    Sanic.unregister_app(app)
    return answers


@pytest.mark.parametrize("full_path", [False, True], ids=["fast", "full"])
@pytest.mark.parametrize("name", CASES)
async def test_a_handler_answers_as_on_sanic(name: str, full_path: bool) -> None:
    """The same status and body, on both paths of the server."""
    expected = await answers_of_sanic(CASES[name])
    assert any(status < 400 for _, _, status, _ in expected)
    service = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)
    CASES[name].build(service)
    if full_path:
        take_full_path(service)
    answers = []
    async with TestClient(service) as client:
        for method, path, options in CASES[name].requests:
            if "content" in options:
                options = {"data": options["content"]}
            answer = await client.request(method, path, **options)
            body = answer.body if answer.status < 400 else None
            answers.append((method, path, answer.status, body))
    assert answers == expected


def test_every_route_keeps_the_applications_handler(tmp_path: Path) -> None:
    """Also in the list of the router, after the start; and annotations can be read of all of them
    and of what is called in their place, as libraries do."""
    service = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)
    (tmp_path / "page.txt").write_text("page")

    async def handler(request: Any, id: int) -> Any:
        return Item("lamp")

    async def decoded(request: Any, name: str) -> Any:
        return Item(name)

    async def socket(request: Any, ws: Any, id: int) -> None: ...

    service.add_route(handler, "/mine/<id:int>", name="mine")
    service.add_route(decoded, "/decoded/<name>", name="decoded", unquote=True)
    service.add_websocket_route(socket, "/ws/<id:int>", name="ws")
    service.static("/files", tmp_path, name="files")
    service.configure(cors_origins=["https://a.example"])
    before = {route.name: route.handler for route in service.router.routes}
    service.finalize()
    after = {route.name: route.handler for route in service.router.routes}
    assert len(after) > len(before) == 4
    assert {name: after[name] for name in before} == before
    for route in service.router.routes:
        path = re.sub("<[^>]*>", "7", f"/{route.path}")
        _, endpoint, _ = service.router.get(path, min(route.methods), None)
        assert endpoint is not None
        for function in (route.handler, endpoint):
            if inspect.isfunction(function):
                typing.get_type_hints(function)


async def test_what_a_library_puts_around_a_handler_is_called() -> None:
    """Also after the routes were compiled: it comes first, and the handler gets its arguments."""
    service = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)

    async def handler(request: Any, body: Item) -> Any:
        return body.name

    service.add_route(handler, "/", methods=["POST"])
    service.compile()
    (route,) = (route for route in service.router.routes if route.handler is handler)
    route.handler = timed(handler)
    async with TestClient(service) as client:
        answer = await client.post("/", json={"name": "lamp"})
        assert answer.json == {"code": 0, "data": "lamp"}
        assert (await client.post("/", json={"name": 1})).status == 422


class OwnRouter(Router):
    """A router of the application's own, that finds routes in its own way."""

    def get(self, path: str, method: str, host: str | None) -> Any:  # type: ignore[override]
        return self._get(path.lower(), method, host)


@pytest.mark.parametrize("full_path", [False, True], ids=["fast", "full"])
async def test_a_router_of_the_applications_own_leads_to_endpoints(full_path: bool) -> None:
    """Handlers get their arguments, and what they return is enveloped."""
    router: Any = OwnRouter()
    service = Service(f"service_{uuid.uuid4().hex}", configure_logging=False, router=router)
    if full_path:
        take_full_path(service)

    async def handler(request: Any, low: int = 0) -> Any:
        return [low, request.route.handler is handler]

    service.add_route(handler, "/path")
    async with TestClient(service) as client:
        assert (await client.get("/PATH?low=2")).json == {"code": 0, "data": [2, True]}


async def test_what_a_library_puts_around_files_and_web_sockets_is_called(tmp_path: Path) -> None:
    """Before the start; what the framework does for them is still done."""
    service = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)
    (tmp_path / "page.txt").write_text("page")
    calls = []

    def counted(function: Handler) -> Handler:
        @functools.wraps(function)
        async def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
            calls.append(request.path)
            return await function(request, *args, **kwargs)

        return wrapper

    async def socket(request: Any, ws: Any, low: int = 0) -> None:
        await ws.send(str(low))

    service.static("/files", tmp_path, name="files")
    service.add_websocket_route(socket, "/ws", name="ws")
    for route in service.router.routes:
        route.handler = counted(route.handler)
    async with TestClient(service) as client:
        assert (await client.get("/files/page.txt")).body == b"page"
        assert (await client.get("/files/page.txt/x")).status == 404
        async with client.websocket("/ws?low=3") as opened:
            assert await opened.receive_str() == "3"
    assert calls == ["/files/page.txt", "/ws"]
