"""Calls to a service in the same process: what is sent, what comes back, how it lives."""

from __future__ import annotations

import ast
import asyncio
import signal
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import aiohttp
import pytest
from sanic import Blueprint, Sanic
from sanic.response import text
from sanic.views import HTTPMethodView

from sanic_ms import Component, Service, doc
from sanic_ms.exception import LifecycleError
from sanic_ms.testing import TestClient

Make = Callable[..., Service]


def with_users(app: Service) -> Service:
    """Add a blueprint that says what it was asked."""
    users = Blueprint("user", url_prefix="/users")

    @users.post("/", name="create_user")
    async def create_user(request: Any) -> Any:
        return {"json": request.json, "query": request.args, "x": request.headers.get("x")}

    @users.get("/<kind>/<name>", name="find")
    async def find(request: Any, kind: str, name: str) -> Any:
        return [kind, name]

    @users.post("/form", name="form")
    @doc.consumes({"name": str}, content_type="application/x-www-form-urlencoded")
    async def form(request: Any) -> Any:
        return {"data": request["data"], "type": request.content_type}

    @users.route("/both", methods=["PUT", "DELETE"], name="both")  # type: ignore[untyped-decorator]
    async def both(request: Any) -> Any:
        return request.method

    app.blueprint(users)
    other = Blueprint("other", url_prefix="/other")

    @other.get("/", name="find")
    async def find_other(request: Any) -> Any:
        return "other"

    app.blueprint(other)
    return app


async def test_a_handler_is_called_by_its_name(make: Make) -> None:
    """Body as JSON, query, headers, path parameters; the answer has all of its parts."""
    async with TestClient(with_users(make())) as client:
        answer = await client.create_user(
            data={"name": "é"}, params={"a": [1, 2]}, headers={"x": "y"}
        )
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.json["data"] == {
            "json": {"name": "é"},
            "query": {"a": ["1", "2"]},
            "x": "y",
        }
        assert answer.text == answer.body.decode()
        assert "200" in repr(answer)


async def test_path_parameters_are_quoted(make: Make) -> None:
    """Whatever a value holds, it stays one segment; a name may be that of an argument."""
    async with TestClient(with_users(make()), blueprint="user") as client:
        answer = await client.find(kind="a/b?c", name="ü %")
        assert answer.json["data"] == ["a/b?c", "ü %"]
        assert (await client.find(path={"kind": "k", "name": "n"})).json["data"] == ["k", "n"]


async def test_a_body_is_sent_as_the_handler_declares_it(make: Make) -> None:
    """A form where it reads one; text and bytes as they are."""
    async with TestClient(with_users(make())) as client:
        answer = await client.form(data={"name": "Ann"})
        assert answer.json["data"]["data"] == {"name": "Ann"}
        assert answer.json["data"]["type"].startswith("application/x-www-form-urlencoded")
        assert (await client.create_user(data=b"[1]")).json["data"]["json"] == [1]
        assert (await client.create_user(data="{")).status == 400


async def test_an_unknown_handler_lists_the_known_ones(make: Make) -> None:
    """With the nearest name; one that two blueprints have must be said in full."""
    async with TestClient(with_users(make())) as client:
        with pytest.raises(
            AttributeError, match=r"no handler 'create_usr' .*get_city.*did you mean"
        ):
            client.create_usr(data={})
        with pytest.raises(
            AttributeError, match=r"several handlers 'find': other\.find, user\.find"
        ):
            await client.find()
        assert (await client.call("other.find")).json["data"] == "other"
    async with TestClient(client.app, blueprint="other") as client:
        assert (await client.find()).json["data"] == "other"
        with pytest.raises(AttributeError, match=r"blueprint 'other' .*no handler 'create_user'"):
            client.create_user()


async def test_path_parameters_must_fit(make: Make) -> None:
    """A missing and an unknown one are both named, before anything is sent."""
    async with TestClient(with_users(make())) as client:
        with pytest.raises(TypeError, match="no path parameter ids and needs id"):
            await client.get_city(ids=1)


async def test_a_handler_of_several_methods_needs_one(make: Make) -> None:
    """`method=` chooses."""
    async with TestClient(with_users(make())) as client:
        with pytest.raises(TypeError, match="answers DELETE, PUT"):
            await client.both()
        assert (await client.both(method="put")).json["data"] == "PUT"


async def test_class_views_are_called_by_their_name(make: Make) -> None:
    """With the method."""
    app = make()

    class Things(HTTPMethodView):
        async def get(self, request: Any) -> Any:
            return "got"

        async def post(self, request: Any) -> Any:
            return "posted"

    app.add_route(Things.as_view(), "/things")
    async with TestClient(app) as client:
        assert (await client.Things(method="POST")).json["data"] == "posted"


async def test_calls_go_through_the_real_protocol(make: Make) -> None:
    """What the server refuses is refused here; an answer is framed, HEAD has no body."""
    app = make(request_max_size=100)

    @app.route("/text", methods=["GET", "POST"])
    async def handler(request: Any) -> Any:
        return text("x" * 100_000, headers={"x-ip": request.ip})

    async with TestClient(app, address="10.1.2.3") as client:
        answer = await client.get("/text")
        assert (len(answer.body), answer.headers["x-ip"]) == (100_000, "10.1.2.3")
        assert (await client.head("/text")).body == b""
        assert (await client.post("/text", data=b"x" * 101)).status == 413
        assert (await client.get("/nothing")).json["code"] == 10404
        assert (await client.options("/text")).status == 405
        with pytest.raises(ValueError, match="begin it with '/'"):
            await client.get("text")


async def test_what_is_no_json_says_what_it_is(make: Make) -> None:
    """`answer.json` fails as an assertion."""
    app = make()

    @app.get("/")
    async def handler(request: Any) -> Any:
        return text("<html>")

    async with TestClient(app) as client:
        answer = await client.get("/")
        with pytest.raises(AssertionError, match="200 to GET /: <html>> is not JSON"):
            _ = answer.json


async def test_cookies_are_kept(make: Make) -> None:
    """From answer to call, as a browser does; secure ones too."""
    app = make()

    @app.get("/set")
    async def handler(request: Any) -> Any:
        response = text("")
        response.add_cookie("session", "abc", secure=True, httponly=True)
        return response

    @app.get("/get")
    async def read(request: Any) -> Any:
        return request.cookies.get("session")

    async with TestClient(app) as client:
        assert (await client.get("/set")).cookies == {"session": "abc"}
        assert client.cookies == {"session": "abc"}
        assert (await client.get("/get")).json["data"] == "abc"


async def test_a_stream_is_read_piece_by_piece(make: Make) -> None:
    """A large answer waits for its reader; one that is dropped ends its handler."""
    app = make()
    sent = 0

    @app.get("/stream")
    async def handler(request: Any) -> None:
        nonlocal sent
        response = await request.respond(content_type="text/plain")
        for _ in range(200):
            await response.send("x" * 10_000)
            sent += 10_000
        await response.eof()

    async with TestClient(app) as client:
        async with client.stream("GET", "/stream") as response:
            await response.content.read(10)
            for _ in range(50):
                await asyncio.sleep(0)
            assert sent < 2_000_000
            assert 10 + len(await response.content.read()) == 2_000_000
        sent = 0
        async with client.stream("GET", "/stream") as response:
            await response.content.read(10)
    assert sent < 2_000_000


async def test_web_sockets(make: Make) -> None:
    """Both ways, and the refusal of one."""
    app = make()

    @app.websocket("/ws")
    async def echo(request: Any, ws: Any) -> None:
        async for message in ws:
            await ws.send(message[::-1])

    async with TestClient(app) as client:
        async with client.websocket("/ws") as socket:
            await socket.send_str("abc")
            assert await socket.receive_str() == "cba"
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            async with client.websocket("/nothing"):
                pass
        assert caught.value.status == 404


class Part(Component):
    """Records its life."""

    def __init__(self, events: list[str]) -> None:
        self.events = events

    async def start(self) -> None:
        self.events.append("part starts")

    async def stop(self) -> None:
        self.events.append("part stops")


async def test_it_lives_as_in_production(make: Make) -> None:
    """Parts, then listeners; the other way round at the end; and again for the next client."""
    app = make()
    events: list[str] = []
    app.add(Part(events))
    for event in ("before_server_start", "after_server_start"):
        app.register_listener(lambda app, name=event: events.append(name), event)
    for event in ("before_server_stop", "after_server_stop"):
        app.register_listener(lambda app, name=event: events.append(name), event)
    life = [
        "part starts",
        "before_server_start",
        "after_server_start",
        "before_server_stop",
        "after_server_stop",
        "part stops",
    ]
    async with TestClient(app):
        assert events == life[:3]
    assert events == life
    async with TestClient(app):
        pass
    assert events == life * 2


async def test_tasks_of_the_application_run_and_are_cancelled_at_the_end(make: Make) -> None:
    """`app.add_task` and `app.loop` work while it runs."""
    app = make()
    begun, ended = asyncio.Event(), asyncio.Event()

    async def forever() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    @app.after_server_start
    async def begin(app: Service) -> None:
        assert app.loop is asyncio.get_running_loop()
        app.add_task(forever(), name="forever")

    async with TestClient(app):
        await begun.wait()
        assert not ended.is_set()
    assert ended.is_set()


async def test_a_listener_that_fails_leaves_nothing_running(make: Make) -> None:
    """The error reaches the test, what had started is stopped, and the service can start again."""
    app = make()
    events: list[str] = []
    app.add(Part(events))

    @app.after_server_start
    async def fail(app: Service) -> None:
        if len(events) == 1:
            raise OSError("no broker")

    client = TestClient(app)
    with pytest.raises(OSError, match="no broker"):
        await client.start()
    assert events == ["part starts", "part stops"]
    async with client:
        assert (await client.get("/nothing")).status == 404


async def test_a_request_that_takes_its_time_is_finished_before_the_end(make: Make) -> None:
    """Closing the client drops it as a client that goes away does: the handler is cancelled."""
    app = make()
    entered, cancelled = asyncio.Event(), asyncio.Event()

    @app.get("/")
    async def handler(request: Any) -> Any:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with TestClient(app) as client:
        call = asyncio.ensure_future(client.get("/"))
        await entered.wait()
    with pytest.raises(aiohttp.ClientError):
        await call
    assert cancelled.is_set()


async def test_a_client_that_was_not_entered_says_how(make: Make) -> None:
    """Nobody would stop the service: calls are refused, and it runs in no later test."""
    app = make()
    client = TestClient(app)
    assert client.cookies == {}
    for call in (client.get("/nothing"), client.get_city(id=1)):
        with pytest.raises(LifecycleError, match=r"`async with TestClient\(app\) as client:`"):
            await call
    with pytest.raises(LifecycleError, match="async with"):
        async with client.stream("GET", "/nothing"):
            pass
    async with TestClient(app) as entered:
        assert (await entered.get("/nothing")).status == 404


async def test_starting_and_closing_by_hand(make: Make) -> None:
    """Where there is no block for `async with`; closing twice is once."""
    client = TestClient(make())
    await client.start()
    assert (await client.get("/nothing")).status == 404
    await client.close()
    await client.close()
    assert not client.running.is_running


@pytest.mark.parametrize("path", [None, 3, b"/x"])
async def test_a_path_is_a_text(make: Make, path: Any) -> None:
    """Said before anything is sent."""
    async with TestClient(make()) as client:
        with pytest.raises(TypeError, match=r"path .*: give a text that begins with '/'"):
            client.get(path)
        with pytest.raises(ValueError, match=r"path 'cities': begin it with '/'"):
            client.get("cities")
        with pytest.raises(TypeError, match="the path parameter id is None"):
            await client.get_city(id=None)


async def test_a_start_is_tried_again_where_python_fails_to_compile(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads that build syntax trees disturb each other in some Pythons; a fault that stays
    is raised."""
    parse, failures = ast.parse, [2]

    def fail(*args: Any, **keywords: Any) -> Any:
        failures[0] -= 1
        if failures[0] >= 0:
            raise SystemError("AST constructor recursion depth mismatch (before=81, after=72)")
        return parse(*args, **keywords)

    monkeypatch.setattr("sanic_routing.router.ast.parse", fail)
    app = make()
    async with TestClient(app) as client:
        assert (await client.get("/nothing")).status == 404
    failures[0] = 100
    with pytest.raises(SystemError, match="recursion depth"):
        await TestClient(app).start()


async def test_a_service_runs_once_at_a_time(make: Make) -> None:
    """A second client in the same test is told so."""
    app = make()
    async with TestClient(app):
        with pytest.raises(LifecycleError, match="runs already in this test"):
            await TestClient(app).start()


def test_a_test_that_is_not_async_is_told_so(make: Make) -> None:
    """Instead of a coroutine that nobody awaits."""
    client = TestClient(make())
    with pytest.raises(RuntimeError, match="`async def`"):
        client.get("/")
    with pytest.raises(RuntimeError, match="`async def`"):
        client.get_city(id=1)


def test_a_client_belongs_to_one_loop(make: Make) -> None:
    """The line says so."""
    client = TestClient(make())
    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(client.start())

        async def call() -> None:
            with pytest.raises(LifecycleError, match="another event loop"):
                await client.get("/")

        second.run(call())
        first.run(client.close())


@pytest.mark.parametrize("wrong", [None, "server:app", object(), lambda: None])
def test_what_is_no_service_is_refused(wrong: Any) -> None:
    """Neither a service nor something that makes one."""
    with pytest.raises(TypeError, match="Service"):
        TestClient(wrong)


variable: ContextVar[str] = ContextVar("variable", default="none")


async def test_context_variables_stay_on_their_side(make: Make) -> None:
    """A test sees nothing of what listeners and handlers set, and they see nothing of the test."""
    app = make()

    @app.before_server_start
    async def begin(app: Service) -> None:
        variable.set("listener")

    @app.get("/")
    async def handler(request: Any) -> Any:
        before = variable.get()
        variable.set("handler")
        return before

    async with TestClient(app) as client:
        variable.set("test")
        assert [(await client.get("/")).json["data"] for _ in range(2)] == ["listener"] * 2
        assert variable.get() == "test"


async def test_several_services_run_side_by_side(make: Make) -> None:
    """In one loop, each with its own mocks."""
    async with TestClient(make()) as one, TestClient(make()) as two:
        one.mock.get("/cities/1", payload="one")
        two.mock.get("/cities/1", payload="two")
        answers = await asyncio.gather(*(client.get_city(id=1) for client in (one, two, one, two)))
    assert [answer.json["data"] for answer in answers] == ["one", "two"] * 2


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run something in several threads at once; the first failure is raised."""
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if failures:
        raise failures[0]


@pytest.mark.parametrize("shared", [True, False])
def test_threads_do_not_disturb_each_other(make: Make, shared: bool) -> None:
    """Services of their own run at once; one that they share runs for one after the other."""
    common = make()

    def work(number: int) -> None:
        async def test() -> None:
            async with TestClient(common if shared else lambda: make("same_name")) as client:
                client.mock.get("/cities/1", payload=number)
                for _ in range(5):
                    assert (await client.get_city(id=1)).json["data"] == number

        for _ in range(3):
            asyncio.run(test())

    in_threads(4, work)


async def test_factories_leave_sanics_list_of_applications_alone(make: Make) -> None:
    """Any number of services of one name, one after the other."""
    before = dict(Sanic._app_registry)
    for _ in range(2):
        async with TestClient(lambda: make("twin")) as client:
            assert Sanic.get_app("twin") is client.app
    assert Sanic._app_registry == before
    assert Sanic.test_mode is False or "twin" not in Sanic._app_registry


async def test_signal_handlers_of_the_process_are_left_alone(make: Make) -> None:
    """A test can still be interrupted."""
    signals = [signal.SIGINT, signal.SIGTERM]
    before = [signal.getsignal(number) for number in signals]
    async with TestClient(make()):
        assert [signal.getsignal(number) for number in signals] == before


async def test_sanics_own_protocol_can_be_tested_as_well(make: Make) -> None:
    """`SERVER_PROTOCOL=sanic` counts here too."""
    async with TestClient(make(server_protocol="sanic")) as client:
        client.mock.get("/cities/1", payload=1)
        assert (await client.get_city(id=1)).json["data"] == 1
