"""Dependencies of handlers: functions, guards, values that yield, web sockets, the document."""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import msgspec
import pytest
from sanic import Blueprint, Request, Websocket
from sanic.response import HTTPResponse, ResponseStream, text
from sanic.views import HTTPMethodView, stream
from tests.calls import WAYS, asking, call

from sanic_ms import Depends, Page, Service, current_service, doc
from sanic_ms.db import Connection, ConnectionPool
from sanic_ms.exception import Forbidden, LifecycleError, NotFound, Unauthorized
from sanic_ms.http import Body, Header, Path, Query
from sanic_ms.testing import TestClient

_names = (f"injection-{n}" for n in itertools.count())


def make_service(**options: Any) -> Service:
    """A service without routes."""
    app = Service(next(_names), configure_logging=False, **options)
    app.configure(health=False, metrics=False, docs=False)
    return app


class City(msgspec.Struct):
    """A body."""

    id: int


class Session:
    """What a unit of work uses."""


async def session(request: Request) -> AsyncIterator[Session]:
    """Tells the application what happens to it."""
    log = request.app.ctx.log
    log.append("open")
    try:
        yield Session()
    except BaseException as exc:
        log.append(f"rollback {type(exc).__name__}")
        raise
    if "fails" in request.args:
        raise OSError("commit")
    log.append("commit")


def limit_of(limit: int = 10, x_tenant: Annotated[str, Header()] = "none") -> str:
    """Reads the query and a header."""
    return f"{limit} {x_tenant}"


def owner(id: int, limits: Annotated[str, Depends(limit_of)]) -> tuple[int, str]:
    """Reads the path, and needs another function."""
    return id, limits


def require_token(request, token: Annotated[str, Query()] = ""):  # type: ignore[no-untyped-def]
    """A guard."""
    if not token:
        raise Unauthorized("a token is missing")


def required_key(x_key: Annotated[str, Header()]) -> str:
    """Requires a header."""
    if x_key != "key":
        raise Forbidden("another key")
    return x_key


def note(text: str, request: Request) -> None:
    """Tells the application that it ran."""
    request.app.ctx.log.append(text)


SessionOf = Annotated[Session, Depends(session)]


def make_app() -> Service:
    """Handlers of all kinds."""
    app = make_service()
    app.ctx.log = []

    @app.get("/owner/<id:int>")
    async def of_owner(request: Any, who: Annotated[tuple[int, str], Depends(owner)]) -> Any:
        return list(who)

    @app.get("/sessions")
    async def sessions(request: Any, session: SessionOf, same: SessionOf) -> Any:
        assert session is same
        return "done"

    @app.get("/missing")
    async def missing(request: Any, session: SessionOf) -> Any:
        raise NotFound("nothing here")

    @app.get("/returned")
    async def returned(request: Any, session: SessionOf) -> Any:
        return "conflict", 409

    @app.get("/unfit")
    async def unfit(request: Any, session: SessionOf) -> Any:
        return object()

    @app.get("/whole")
    def whole(request: Any, session: SessionOf) -> HTTPResponse:
        return text("whole")

    @app.get("/respond")
    async def respond(request: Any, session: SessionOf) -> None:
        response = await request.respond(content_type="text/plain")
        await response.send("a")
        app.ctx.log.append("sent")
        await response.eof()

    @app.get("/streamed")
    async def streamed(request: Any, session: SessionOf) -> ResponseStream:
        async def send(response: Any) -> None:
            await response.write("a")
            await asyncio.sleep(0)
            app.ctx.log.append("sent")
            await response.write("b")

        return ResponseStream(send, content_type="text/plain")

    @app.post("/all/<id:int>")
    async def all_parts(
        request: Any,
        who: Annotated[tuple[int, str], Depends(owner)],
        key: Annotated[str, Depends(required_key)],
        session: SessionOf,
        body: City,
        limit: int = 1,
    ) -> Any:
        return [*who, key, body.id, limit]

    return app


@pytest.mark.parametrize("way", WAYS)
async def test_a_function_reads_the_request_as_a_handler_does(way: str) -> None:
    """Path, query and headers, also those of functions that it needs itself."""
    async with asking(make_app(), way) as ask:
        answer = await ask("get", "/owner/7?limit=3", headers={"x-tenant": "a"})
        assert answer.json["data"] == [7, "3 a"]
        assert (await ask("get", "/owner/7")).json["data"] == [7, "10 none"]
        wrong = await ask("get", "/owner/7?limit=x")
        assert wrong.status == 422
        assert [entry["field"] for entry in wrong.json["errors"]] == ["limit"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("path", "status", "log"),
    [
        ("/sessions", 200, ["open", "commit"]),
        ("/sessions?fails=1", 500, ["open", "rollback OSError"]),
        ("/missing", 404, ["open", "rollback NotFound"]),
        ("/returned", 409, ["open", "rollback Conflict"]),
        ("/unfit", 500, ["open", "rollback ServerError"]),
        ("/whole", 200, ["open", "commit"]),
        ("/whole?fails=1", 500, ["open", "rollback OSError"]),
        ("/respond", 200, ["open", "sent", "commit"]),
        ("/streamed", 200, ["open", "sent", "commit"]),
    ],
)
async def test_what_yields_ends_before_a_whole_response_and_after_a_stream(
    way: str, path: str, status: int, log: list[str]
) -> None:
    """A commit that fails is the client's error; an error of the handler rolls back; a stream may
    use it to its end. The next request gets its own."""
    if "fails" in path:
        log = ["open"]
    app = make_app()
    async with asking(app, way) as ask:
        for turn in (1, 2):
            answer = await ask("get", path)
            assert answer.status == status
            assert app.ctx.log == log * turn
            if path == "/streamed":
                assert answer.text == "ab"


async def test_a_client_that_leaves_closes_what_yields() -> None:
    """By the cancellation of the handler."""
    app = make_app()
    started, ended = asyncio.Event(), asyncio.Event()

    async def opened(session: SessionOf) -> AsyncIterator[None]:
        try:
            yield
        finally:
            ended.set()

    @app.get("/waits")
    @doc.depends(opened)
    async def waits(request: Any) -> None:
        started.set()
        await asyncio.Event().wait()

    async with TestClient(app) as client:
        request = asyncio.ensure_future(client.get("/waits"))
        await started.wait()
        request.cancel()
        await asyncio.wait_for(ended.wait(), 5)
        with pytest.raises(asyncio.CancelledError):
            await request
    assert app.ctx.log == ["open", "rollback CancelledError"]


@pytest.mark.parametrize("way", WAYS)
async def test_all_mistakes_are_told_at_once_and_nothing_is_made_after_the_first(way: str) -> None:
    """Of the functions and of the handler; a field that both read is told once."""
    app = make_app()
    async with asking(app, way) as ask:
        answer = await ask("post", "/all/7?limit=x", json={"id": "y"})
        assert answer.status == 422
        fields = [entry["field"] for entry in answer.json["errors"]]
        assert fields == ["limit", "header x-key", "id"]
        assert app.ctx.log == []
        # The function lets nobody in: what is wrong with the body is not told.
        refused = await ask("post", "/all/7", json={}, headers={"x-key": "other"})
        assert refused.status == 403
        answer = await ask("post", "/all/7?limit=2", json={"id": 3}, headers={"x-key": "key"})
        assert answer.json["data"] == [7, "2 none", "key", 3, 2]
        assert app.ctx.log == ["open", "commit"]


class Filter(msgspec.Struct):
    """Its fields are parameters."""

    tag: list[str] = []
    size: int = 5


class Paging:
    """The parameters of its constructor are read."""

    def __init__(self, number: int, request: Request) -> None:
        self.number, self.request = number, request


@pytest.mark.parametrize("way", WAYS)
async def test_a_class_reads_what_its_constructor_takes(way: str) -> None:
    """``Depends()`` calls the annotated type, also a Struct."""
    app = make_service()

    @app.get("/")
    async def index(
        request: Any, filter: Annotated[Filter, Depends()], paging: Annotated[Paging, Depends]
    ) -> Any:
        assert paging.request is request
        return [filter.tag, filter.size, paging.number]

    async with asking(app, way) as ask:
        assert (await ask("get", "/?tag=a&tag=b&number=2")).json["data"] == [["a", "b"], 5, 2]
        wrong = await ask("get", "/?size=x")
        assert [entry["field"] for entry in wrong.json["errors"]] == ["size", "number"]


async def transaction(db: ConnectionPool) -> AsyncIterator[Connection]:
    """As the docs write it."""
    async with db.transaction() as cursor:
        yield cursor


class Notes:
    """Made with the transaction of its request."""

    def __init__(self, cursor: Annotated[Connection, Depends(transaction)]) -> None:
        self.cursor = cursor


async def test_a_transaction_is_the_requests(any_database_url: str) -> None:
    """Committed before the client hears of it, and rolled back with an error."""
    app = make_service()
    app.configure(db_url=any_database_url)
    app.provide(Notes, scope="request")

    @app.post("/notes")
    async def write(
        request: Any,
        notes: Notes,
        cursor: Annotated[Connection, Depends(transaction)],
        fail: bool = False,
    ) -> None:
        assert notes.cursor is cursor
        await cursor.execute("INSERT INTO injected_notes VALUES (1)")
        if fail:
            raise NotFound

    async with TestClient(app) as client:
        await app.db.execute("DROP TABLE IF EXISTS injected_notes")
        await app.db.execute("CREATE TABLE injected_notes(id INTEGER)")
        for query, count in (("", 1), ("?fail=true", 1), ("", 2)):
            await client.post(f"/notes{query}")
            assert await app.db.fetchval("SELECT count(*) FROM injected_notes") == count
        await app.db.execute("DROP TABLE injected_notes")


def test_a_bound_argument_of_a_partial_is_not_the_clients() -> None:
    """``partial(require_role, role="admin")`` cannot be asked for with another role."""

    def require_role(request: Request, role: str) -> None: ...

    app = make_service()
    app.depends(functools.partial(require_role, role="admin"))

    @app.get("/")
    async def index(request: Any) -> None: ...

    assert "parameters" not in app.openapi()["paths"]["/"]["get"]


# --- what runs before handlers ---


def make_guarded(**options: Any) -> Service:
    """Guards at all places."""
    app = make_service(
        dependencies=[require_token, Depends(functools.partial(note, "app"))], **options
    )
    app.ctx.log = []
    area = Blueprint("area", url_prefix="/area")
    doc.depends(functools.partial(note, "blueprint"))(area)

    @doc.depends(functools.partial(note, "base"))
    class Base(HTTPMethodView):
        """A view whose guard is inherited."""

    @doc.depends(functools.partial(note, "view"))
    class View(Base):
        """Its guard comes after that of its base."""

        decorators = [doc.depends(functools.partial(note, "decorators"))]  # noqa: RUF012

        @doc.depends(functools.partial(note, "method"), functools.partial(note, "second"))
        @doc.depends(functools.partial(note, "third"))
        async def get(self, request: Any, session: SessionOf) -> Any:
            return "view"

        async def post(self, request: Any) -> Any:
            return "posted"

    area.add_route(View.as_view(), "/view")

    @area.get("/plain")
    @doc.depends(session, session)
    async def plain(request: Any) -> Any:
        app.ctx.log.append("handler")
        return "plain"

    @area.websocket("/feed")  # type: ignore[untyped-decorator]
    @doc.depends(functools.partial(note, "socket"))
    async def feed(request: Any, ws: Websocket, session: SessionOf, times: int = 1) -> None:
        app.ctx.log.append("handler")
        for _ in range(times):
            await ws.send("hello")

    @area.post("/upload")
    @stream  # type: ignore[untyped-decorator]
    async def upload(request: Any) -> HTTPResponse:
        return text("uploaded")

    app.blueprint(area)
    app.static("/file", __file__, name="file")
    return app


@pytest.mark.parametrize("way", WAYS)
async def test_guards_run_from_the_outside_in(way: str) -> None:
    """Application, blueprint, class view with its bases, method; each once, and before what the
    handler itself asks for."""
    app = make_guarded()
    outer = ["app", "blueprint", "base", "view", "decorators"]
    async with asking(app, way) as ask:
        for method, log in (
            ("get", [*outer, "method", "second", "third", "open", "commit"]),
            ("post", outer),
        ):
            assert (await ask(method, "/area/view?token=t")).status == 200
            assert app.ctx.log == log
            app.ctx.log.clear()
        assert (await ask("get", "/area/plain?token=t")).json["data"] == "plain"
        assert app.ctx.log == ["app", "blueprint", "open", "handler", "commit"]


@pytest.mark.parametrize("way", WAYS)
async def test_a_guard_stops_every_kind_of_handler(way: str) -> None:
    """Also streaming ones and static files; nothing else has run."""
    app = make_guarded()
    async with asking(app, way) as ask:
        for method, path in (
            ("get", "/area/view"),
            ("get", "/area/plain"),
            ("post", "/area/upload"),
            ("get", "/file"),
        ):
            assert (await ask(method, path)).status == 401
            assert app.ctx.log == []
            assert (await ask(method, f"{path}?token=t")).status == 200
            app.ctx.log.clear()


async def test_the_frameworks_own_routes_are_not_guarded() -> None:
    """A probe has no token, and neither has a preflight."""
    app = make_guarded()
    app.configure(health=True, metrics=True, docs=True, cors_origins=["https://shop.example"])
    async with TestClient(app) as client:
        for path in ("/health/live", "/metrics", "/openapi/spec.json"):
            assert (await client.get(path)).status == 200
        asked = {"origin": "https://shop.example", "access-control-request-method": "GET"}
        assert (await client.options("/area/plain", headers=asked)).status == 204
        assert (await client.get("/area/plain")).status == 401


async def test_a_socket_has_guards_and_closes_what_yields_at_its_end() -> None:
    """A guard answers before the handshake."""
    app = make_guarded()
    async with TestClient(app) as client:
        async with client.websocket("/area/feed?token=t&times=2") as ws:
            assert [(await ws.receive()).data for _ in range(2)] == ["hello"] * 2
        while "commit" not in app.ctx.log:  # noqa: ASYNC110 - nothing tells when it is
            await asyncio.sleep(0)
        assert app.ctx.log == ["app", "blueprint", "socket", "open", "handler", "commit"]
        assert (await client.get("/area/feed")).status == 401


@pytest.mark.parametrize("is_asgi", [False, True])
async def test_an_error_of_a_socket_is_thrown_in(
    is_asgi: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Sanic keeps it to itself; a transaction must not commit. What fails at the end is logged."""
    app = make_service()
    app.ctx.log = []

    @app.websocket("/fails")
    async def fails(request: Any, ws: Any, session: SessionOf) -> None:
        raise ZeroDivisionError

    @app.websocket("/waits")
    async def waits(request: Any, ws: Any, session: SessionOf) -> None:
        await ws.recv()
        await ws.recv()

    @app.websocket("/ends")
    async def ends(request: Any, ws: Any, session: SessionOf) -> None:
        await ws.send("end")

    async def closed() -> None:
        while not app.ctx.log[1:]:  # noqa: ASYNC110 - nothing tells when it is
            await asyncio.sleep(0)

    if is_asgi:
        await app.asgi_client.websocket("/fails")
        assert app.ctx.log == ["open", "rollback ZeroDivisionError"]
        return
    async with TestClient(app) as client:
        async with client.websocket("/fails"):
            await asyncio.wait_for(closed(), 5)
        assert app.ctx.log == ["open", "rollback ZeroDivisionError"]
        app.ctx.log.clear()
        async with client.websocket("/waits") as ws:
            await ws.send_str("one")
        await asyncio.wait_for(closed(), 5)
        assert app.ctx.log[0] == "open"
        assert app.ctx.log[1].startswith("rollback")
        app.ctx.log.clear()
        async with client.websocket("/ends?fails=1") as ws:
            assert (await ws.receive()).data == "end"
            await ws.receive()
    assert app.ctx.log == ["open"]
    messages = [record.getMessage() for record in caplog.records]
    assert "/ends: a dependency failed at the end" in messages


def test_guards_are_declared_before_the_routes_are_compiled() -> None:
    """Later ones would silently not run."""
    app = make_guarded()
    app.compile()
    with pytest.raises(LifecycleError, match=r"app\.depends: the routes are compiled already"):
        app.depends(require_token)
    (area,) = app.blueprints.values()
    with pytest.raises(LifecycleError, match=r"doc\.depends on the blueprint 'area'"):
        doc.depends(require_token)(area)


def test_a_copy_of_a_guarded_blueprint_is_not_open_by_accident() -> None:
    """Sanic gives copies an empty ctx."""
    area = Blueprint(next(_names), url_prefix="/area")
    doc.depends(required_key)(area)

    @area.get("/")
    async def index(request: Any) -> None: ...

    app = make_service()
    app.blueprint(area.copy("lost", url_prefix="/lost"))
    with pytest.raises(LifecycleError, match=r"'lost' is a copy of .* with_ctx=True"):
        app.compile()
    kept = make_service()
    kept.blueprint(area.copy("kept", url_prefix="/kept", with_ctx=True))
    (parameter,) = kept.openapi()["paths"]["/kept"]["get"]["parameters"]
    assert parameter["name"] == "x-key"


def test_a_group_hands_its_guards_to_its_blueprints() -> None:
    """Also those of groups in it."""

    async def index(request: Any) -> None: ...

    one, two = Blueprint(next(_names), url_prefix="/1"), Blueprint(next(_names), url_prefix="/2")
    for blueprint in (one, two):
        blueprint.add_route(index, "/")
    doc.depends(required_key)(Blueprint.group(Blueprint.group(one), two))
    app = make_service()
    app.blueprint([one, two])
    paths = app.openapi()["paths"]
    assert [paths[path]["get"]["parameters"][0]["name"] for path in paths] == ["x-key"] * 2


@pytest.mark.parametrize(
    ("functions", "target", "message"),
    [
        ((), None, "give at least one function"),
        ((Depends(),), None, "name the function"),
        ((3,), None, "without calling it"),
        ((require_token,), City, "on the class City"),
        ((require_token,), 3, "decorates a handler, not 3"),
    ],
)
def test_mistakes_of_declarations(functions: Any, target: Any, message: str) -> None:
    """At import, with what to write."""
    with pytest.raises(TypeError, match=message):
        doc.depends(*functions)(target)


# --- the document ---


def test_the_document_shows_what_dependencies_read() -> None:
    """Of functions that handlers name and of guards; what the handler says of the same parameter
    counts."""

    def paged(page: Page, place: Annotated[int, Path("id")]) -> None: ...

    app = make_guarded()

    @app.get("/items/<id:int>")
    @doc.depends(paged)
    async def items(
        request: Any, id: int, key: Annotated[str, Depends(required_key)], token: int = 3
    ) -> None: ...

    operation = app.openapi()["paths"]["/items/{id}"]["get"]
    shown = {entry["name"]: entry for entry in operation["parameters"]}
    assert list(shown) == ["id", "token", "page", "page_size", "x-key"]
    assert shown["token"]["schema"]["type"] == "integer"
    assert shown["x-key"]["required"]
    assert "422" in operation["responses"]


# --- mistakes of handlers ---


def needs_city(city: City) -> None:
    """Has no body."""


def needs_marked_body(city: Annotated[City, Body()]) -> None:
    """Has no body."""


def needs_nothing_known(thing) -> None:  # type: ignore[no-untyped-def]
    """Nothing says what it is."""


def needs_session(session: Session) -> None:
    """Is not provided."""


def unreadable(value: Annotated[Session, Query()]) -> None:
    """No text becomes one."""


@pytest.mark.parametrize("is_websocket", [False, True])
@pytest.mark.parametrize(
    ("function", "message"),
    [
        (needs_city, "needs_city .*nothing gives the parameter 'city'.*no City is provided"),
        (needs_marked_body, "a dependency has no body"),
        (needs_nothing_known, "'thing' of this dependency: it has no annotation"),
        (needs_session, "no Session is provided"),
        (unreadable, "Session"),
    ],
)
def test_a_dependency_that_cannot_be_filled_stops_the_start(
    function: Any, message: str, is_websocket: bool
) -> None:
    """As a handler does, for requests and web sockets."""
    app = make_service()
    if is_websocket:

        @app.websocket("/")
        async def feed(request: Any, ws: Any, value: Annotated[Any, Depends(function)]) -> None: ...

        feed.__annotations__["value"] = Annotated[Any, Depends(function)]
    else:

        @app.get("/")
        @doc.depends(function)
        async def index(request: Any) -> None: ...

    with pytest.raises(LifecycleError, match=message):
        app.compile()


# --- the service ---


class Mailer:
    """A singleton with an end."""

    open = True


async def test_resolve_works_where_the_service_runs() -> None:
    """In listeners, tasks and tests; singletons are closed before the components stop."""
    app = make_service()
    log: list[str] = []

    async def mailer() -> AsyncIterator[Mailer]:
        made = Mailer()
        yield made
        log.append("mailer closed")

    app.provide(Mailer, mailer)
    found: list[Mailer] = []

    @app.before_server_start
    async def listen(app: Service) -> None:
        found.append(await app.resolve(Mailer))

    @app.after_server_stop
    async def end(app: Service) -> None:
        found.append(await app.resolve(Mailer))
        log.append("listener")

    async def work() -> None:
        found.append(await current_service(Service).resolve(Mailer))

    async with TestClient(app):
        found.append(await app.resolve(Mailer))
        task = app.add_task(work())
        assert task is not None
        await task
    assert [entry is found[0] for entry in found] == [True] * 4
    assert log == ["listener", "mailer closed"]
    with pytest.raises(LifecycleError, match="the service has stopped"):
        await app.resolve(Mailer)
    async with TestClient(app):
        assert await app.resolve(Mailer) is found[-1]
        assert found[-1] is not found[0]


async def test_singletons_are_closed_when_the_start_fails() -> None:
    """With the components."""
    app = make_service()
    log: list[str] = []

    def mailer() -> Iterator[Mailer]:
        yield Mailer()
        log.append("closed")

    app.provide(Mailer, mailer)

    @app.before_server_start
    async def listen(app: Service) -> None:
        await app.resolve(Mailer)
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        async with TestClient(app):
            pass
    assert log == ["closed"]


async def test_a_test_overrides_functions_and_guards() -> None:
    """While the service runs, and until the end of the block."""
    app = make_guarded()

    @app.get("/key")
    async def key(request: Any, key: Annotated[str, Depends(required_key)]) -> str:
        return key

    async with TestClient(app) as client:
        with app.override(require_token, None), app.override(required_key, limit_of):
            assert (await client.get("/key?limit=5")).json["data"] == "5 none"
        assert (await client.get("/key?limit=5")).status == 401


async def test_a_route_without_dependencies_has_no_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    """It pays nothing."""
    app = make_service()

    @app.get("/")
    async def index(request: Any) -> str:
        return "index"

    monkeypatch.delattr("sanic_ms.container.Container.scope")
    assert (await call(app, "get", "/")).json["data"] == "index"
