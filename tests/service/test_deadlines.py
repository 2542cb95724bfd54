"""The deadline of a request: from headers, routes and settings, on each way to a handler."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sanic.response import ResponseStream
from sanic.views import HTTPMethodView
from tests.calls import WAYS, Ask, asking

from sanic_ms import Service, doc
from sanic_ms.exception import ConfigError, DeadlineExceeded, LifecycleError
from sanic_ms.resilience import current_deadline
from sanic_ms.telemetry.metrics import render
from sanic_ms.testing import TestClient
from sanic_ms.testing.logs import recorded_logs

SANIC = "Sanic's server"
EVERY_WAY = pytest.mark.parametrize("way", [*WAYS, SANIC])
HEADER = "X-Request-Timeout-Ms"


class Slow:
    """A service that takes its time to be made."""


def make(**settings: Any) -> Service:
    """A service without routes."""
    app = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)
    app.configure(**settings)
    return app


@asynccontextmanager
async def requests(app: Service, way: str) -> AsyncIterator[Ask]:
    """As `asking`, and by Sanic's own server as well."""
    if way == SANIC:
        app.configure(server_protocol="sanic")
        way = "fast path"
    async with asking(app, way) as ask:
        yield ask


def seconds_left() -> float | None:
    """What remains of the current deadline."""
    deadline = current_deadline()
    return None if deadline is None else deadline.remaining


def add_slow(app: Service) -> list[str]:
    """A route ``/slow`` that waits for a minute; gives what has happened to it."""
    events: list[str] = []

    @app.get("/slow")
    async def slow(request: Any) -> Any:
        events.append("begun")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            events.append("cancelled")
            raise
        finally:
            events.append("ended")

    @app.get("/left")
    async def left(request: Any) -> Any:
        return seconds_left()

    return events


@EVERY_WAY
@pytest.mark.parametrize(
    ("header", "value", "seconds"),
    [
        ("X-Request-Timeout-Ms", "30", 0.03),
        ("grpc-timeout", "30m", 0.03),
        ("x-envoy-expected-rq-timeout-ms", "30", 0.03),
    ],
)
async def test_work_ends_at_the_deadline(way: str, header: str, value: str, seconds: float) -> None:
    """The handler is cancelled, the response is a 504 in the envelope, and the log says it once.
    The next request is served as ever."""
    app = make()
    events = add_slow(app)
    async with requests(app, way) as ask:
        with recorded_logs(app) as logs:
            started = time.monotonic()
            response = await ask("get", "/slow", headers={header: value})
            took = time.monotonic() - started
            assert response.status == 504
            assert response.json["code"] == 10504
            assert response.json["error"] == "the deadline is over"
            assert events == ["begun", "cancelled", "ended"]
            assert seconds - 0.005 <= took < 30
            line = logs.find("deadline")
            assert (line["level"], line["message"].partition(":")[0]) == ("WARNING", "GET /slow")
            assert not [e for e in logs if e["level"] == "ERROR"]
        assert (await ask("get", "/left")).json["data"] is None


@EVERY_WAY
async def test_the_handler_sees_what_is_left(way: str) -> None:
    """As the current deadline; a request without one has none, also after one on its connection."""
    app = make()
    add_slow(app)
    async with requests(app, way) as ask:
        for _ in range(2):
            assert (await ask("get", "/left")).json["data"] is None
            left = (await ask("get", "/left", headers={HEADER: "60000"})).json["data"]
            assert 50 < left <= 60


@EVERY_WAY
async def test_nothing_begins_after_the_deadline(way: str) -> None:
    """A caller that has no time left gets a 504 at once; the handler is not called."""
    app = make()
    events = add_slow(app)
    async with requests(app, way) as ask:
        response = await ask("get", "/slow", headers={HEADER: "0"})
        assert response.status == 504
        assert events == []
        # The body of such a request is not taken for the next one.
        response = await ask("post", "/slow", headers={HEADER: "0"}, json=["GET / HTTP/1.1"])
        assert response.status == 504
        assert (await ask("get", "/left")).status == 200


@EVERY_WAY
async def test_the_shortest_counts(way: str) -> None:
    """Of several headers, and of a caller and a route: a header never makes a deadline longer."""
    app = make()

    @app.get("/own")
    @doc.deadline(20)
    async def own(request: Any) -> Any:
        return seconds_left()

    add_slow(app)
    async with requests(app, way) as ask:

        async def left(path: str, **headers: str) -> float:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            value: float = (await ask("get", path, headers=named)).json["data"]
            return value

        assert 15 < await left("/own") <= 20
        assert 15 < await left("/own", grpc_timeout="1H") <= 20
        assert 5 < await left("/own", grpc_timeout="10S") <= 10
        assert 5 < await left("/left", grpc_timeout="10S", X_Request_Timeout_Ms="60000") <= 10
        assert 5 < await left("/left", grpc_timeout="1M", X_Request_Timeout_Ms="10000") <= 10


async def test_a_request_with_a_deadline_takes_the_fast_path() -> None:
    """Of a caller, and of a route; with a body, and of a handler that does not wait."""
    app = make()

    @app.get("/async/<name>")
    async def waits(request: Any, name: str) -> Any:
        await asyncio.sleep(0)
        return request.connection.exchange is None, seconds_left() is not None

    @app.post("/sync")
    @doc.deadline(20)
    def sync(request: Any) -> Any:
        return request.connection.exchange is None, seconds_left() is not None

    async with TestClient(app) as client:
        for _ in range(2):
            response = await client.get("/async/a", headers={HEADER: "9000"})
            assert response.json["data"] == [True, True]
            assert (await client.get("/async/a")).json["data"] == [True, False]
            for headers in ({}, {HEADER: "9000"}):
                response = await client.post("/sync", json={"a": 1}, headers=headers)
                assert response.json["data"] == [True, True]


async def test_a_header_that_is_none_is_ignored() -> None:
    """The request is served, by the rest of what is said; a debug line tells."""
    app = make(log_level="DEBUG")
    add_slow(app)
    async with TestClient(app) as client:
        with recorded_logs(app) as logs:
            response = await client.get("/left", headers={HEADER: "soon", "grpc-timeout": "10S"})
        assert 5 < response.json["data"] <= 10
        assert logs.find("'soon'")["level"] == "DEBUG"


@EVERY_WAY
async def test_a_route_has_its_own(way: str) -> None:
    """A function, a class view as a whole, one of its methods, a blueprint's handler; None: none at
    all. The setting is for those that say nothing."""
    app = make(request_deadline=30)

    @app.get("/default")
    async def default(request: Any) -> Any:
        return seconds_left()

    @app.get("/own/<name>")
    @doc.deadline(10)
    async def own(request: Any, name: str) -> Any:
        return seconds_left()

    @app.get("/none")
    @doc.deadline(None)
    async def none(request: Any) -> Any:
        return seconds_left()

    class View(HTTPMethodView):
        decorators = [doc.deadline(20)]  # noqa: RUF012

        async def get(self, request: Any) -> Any:
            return seconds_left()

        @doc.deadline(10)
        async def put(self, request: Any) -> Any:
            return seconds_left()

    app.add_route(View.as_view(), "/view")
    async with requests(app, way) as ask:
        for method, path, seconds in (
            ("get", "/default", 30),
            ("get", "/own/a", 10),
            ("get", "/view", 20),
            ("put", "/view", 10),
        ):
            left = (await ask(method, path)).json["data"]
            assert left is not None, path
            assert seconds - 5 < left <= seconds, path
        assert (await ask("get", "/none")).json["data"] is None
        assert 5 < (await ask("get", "/none", headers={HEADER: "10000"})).json["data"] <= 10


@EVERY_WAY
async def test_a_route_is_late(way: str) -> None:
    """A deadline of a route ends work as one of a caller does; so it is for a stranger's path."""
    app = make()

    @app.get("/own")
    @doc.deadline(0.02)
    async def own(request: Any) -> Any:
        await asyncio.sleep(60)

    async with requests(app, way) as ask:
        assert (await ask("get", "/own")).status == 504
        assert (await ask("get", "/nothing", headers={HEADER: "60000"})).status == 404


@EVERY_WAY
@pytest.mark.parametrize("place", ["middleware", "service", "response"])
async def test_all_of_a_request_has_the_deadline(way: str, place: str) -> None:
    """Middleware, injected services and the middleware of responses, as well as the handler."""
    app = make()
    seen: dict[str, Any] = {}

    async def make_slow() -> Slow:
        seen["service"] = seconds_left()
        if place == "service":
            await asyncio.sleep(60)
        return Slow()

    app.provide(Slow, make_slow, scope="request")

    @app.on_request
    async def before(request: Any) -> None:
        seen["middleware"] = seconds_left()
        if place == "middleware":
            await asyncio.sleep(60)

    @app.on_response
    async def after(request: Any, response: Any) -> None:
        if place == "response" and response.status == 200:
            seen["response"] = seconds_left()
            await asyncio.sleep(60)
        response.headers["x-after"] = "1"

    @app.get("/work")
    async def work(request: Any, slow: Slow) -> Any:
        return {}

    async with requests(app, way) as ask:
        response = await ask("get", "/work", headers={HEADER: "300"})
        assert response.status == 504
        assert seen[place] is not None
        if place != "response":
            assert response.headers["x-after"] == "1"


@EVERY_WAY
async def test_a_stream_is_not_cut(way: str) -> None:
    """Once a response has begun the deadline does not count, for the stream and what it calls."""
    app = make()

    @app.get("/sent")
    async def sent(request: Any) -> None:
        assert seconds_left() is not None
        response = await request.respond(content_type="text/plain")
        await response.send("first ")
        await asyncio.sleep(0.2)
        await response.send(f"{seconds_left()}")
        await response.eof()

    @app.get("/made")
    async def made(request: Any) -> Any:
        async def write(response: Any) -> None:
            await response.write("first ")
            await asyncio.sleep(0.2)
            await response.write(f"{seconds_left()}")

        return ResponseStream(write, content_type="text/plain")

    async with requests(app, way) as ask:
        for path in ("/sent", "/made"):
            response = await ask("get", path, headers={HEADER: "100"})
            assert (response.status, response.text) == (200, "first None"), path


async def test_a_stream_that_has_not_begun_is_cut() -> None:
    """It is answered as any other request."""
    app = make()

    @app.get("/late")
    async def late(request: Any) -> None:
        await request.respond(content_type="text/plain")
        await asyncio.sleep(60)

    async with TestClient(app) as client:
        assert (await client.get("/late", headers={HEADER: "20"})).status == 504


async def test_a_web_socket_has_none() -> None:
    """Neither the setting nor a header cuts what is meant to stay."""
    app = make(request_deadline=0.05)

    @app.websocket("/socket")
    async def talk(request: Any, ws: Any) -> None:
        await ws.recv()
        await ws.send(str(seconds_left()))

    async with (
        TestClient(app) as client,
        client.websocket("/socket", headers={HEADER: "20"}) as socket,
    ):
        await asyncio.sleep(0.15)
        await socket.send_str("x")
        assert await socket.receive_str() == "None"


@EVERY_WAY
async def test_background_tasks_have_none(way: str) -> None:
    """Work that outlives its request is not bound by the request's deadline."""
    app = make()
    done: list[Any] = []
    ended = asyncio.Event()

    async def after() -> None:
        done.append(seconds_left())
        await asyncio.sleep(0.1)
        done.append(seconds_left())
        ended.set()

    @app.get("/begin")
    async def begin(request: Any) -> Any:
        request.app.add_task(after())
        await asyncio.sleep(60)

    async with requests(app, way) as ask:
        assert (await ask("get", "/begin", headers={HEADER: "30"})).status == 504
        if way != "ASGI":  # which stops with its one request
            await ended.wait()
            assert done == [None, None]
    assert done == [None, None]


@pytest.mark.parametrize("way", ["fast path", "full path", SANIC])
async def test_work_that_outlives_a_504_keeps_the_deadline(way: str) -> None:
    """A plain task of a handler inherits it, and the response of the error does not lift it."""
    app = make()
    seen: list[Any] = []

    async def orphan() -> None:
        await asyncio.sleep(0.1)
        seen.append(current_deadline())

    tasks = []

    @app.get("/begin")
    async def begin(request: Any) -> Any:
        tasks.append(asyncio.create_task(orphan()))
        await asyncio.sleep(60)

    async with requests(app, way) as ask:
        assert (await ask("get", "/begin", headers={HEADER: "20"})).status == 504
        await tasks[0]
    assert seen[0] is not None
    assert seen[0].expired


async def test_a_handler_that_goes_on_is_answered() -> None:
    """One that handles its cancellation has the last word, as with `asyncio.timeout`."""
    app = make()

    @app.get("/partial")
    async def partial(request: Any) -> Any:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "a part"

    async with TestClient(app) as client:
        response = await client.get("/partial", headers={HEADER: "20"})
        assert (response.status, response.json["data"]) == (200, "a part")


@EVERY_WAY
async def test_a_pool_may_notice_it_first(way: str) -> None:
    """What has the deadline from the context raises the same error, perhaps a moment before. There
    is one response and one line, also while the middleware of responses takes its time."""
    app = make()

    @app.get("/query")
    async def query(request: Any) -> Any:
        raise DeadlineExceeded("the statement was cancelled")

    @app.on_response
    async def after(request: Any, response: Any) -> None:
        await asyncio.sleep(0.15)
        response.headers["x-after"] = "1"

    async with requests(app, way) as ask:
        with recorded_logs(app) as logs:
            response = await ask("get", "/query", headers={HEADER: "100"})
        assert (response.status, response.headers["x-after"]) == (504, "1")
        assert response.json["error"] == "the statement was cancelled"
        assert logs.find("GET /query: 504")["level"] == "WARNING"


async def test_metrics_and_traces_say_504() -> None:
    """By the route, also where nothing was called."""
    app = make()
    add_slow(app)
    async with TestClient(app) as client:
        for value in ("20", "0"):
            assert (await client.get("/slow", headers={HEADER: value})).status == 504
        spans = [span for span in client.running.spans if span.name == "GET /slow"]
        text = render(app.metrics).body.decode()
    assert [span.attributes["http.response.status_code"] for span in spans] == [504, 504]
    assert {span.status for span in spans} == {"error"}
    (count,) = [
        line
        for line in text.splitlines()
        if line.startswith("http_server_request_duration_seconds_count") and 'route="/slow"' in line
    ]
    assert 'status="504"' in count
    assert count.endswith(" 2.0")


async def test_an_error_handler_of_the_application_answers() -> None:
    """Those for the class, its ancestors and Sanic's own classes, as for every error."""
    app = make()
    add_slow(app)

    @app.exception(TimeoutError)
    async def other(request: Any, exc: Exception) -> Any:
        raise AssertionError

    async with TestClient(app) as client:
        assert (await client.get("/slow", headers={HEADER: "20"})).status == 504


@pytest.mark.parametrize("value", [0, -1, "soon", float("nan"), float("inf")])
def test_the_setting_is_checked(value: Any) -> None:
    """At the start: 0 is no way to say that there is none."""
    with pytest.raises(ConfigError, match="REQUEST_DEADLINE"):
        _ = make(request_deadline=value).settings


def test_the_setting_is_below_the_response_timeout() -> None:
    """The server would end the request before."""
    with pytest.raises(ConfigError, match=r"REQUEST_DEADLINE=9 .*RESPONSE_TIMEOUT=5"):
        _ = make(request_deadline=9, response_timeout=5).settings
    assert make(request_deadline=5, response_timeout=5).settings.request_deadline == 5
    assert make().settings.request_deadline is None


@pytest.mark.parametrize("name", ["deadline", "shielded"])
async def test_a_web_socket_declares_no_deadline(name: str) -> None:
    """It has none, and is no handler that could go on: the start fails and says so."""
    app = make()

    @app.websocket("/socket")
    async def socket(request: Any, ws: Any) -> None: ...

    if name == "deadline":
        doc.deadline(1)(socket)
    else:
        doc.shielded(socket)
    with pytest.raises(LifecycleError, match=f"web socket cannot have @doc.{name}"):
        async with TestClient(app):
            pass


async def test_a_streaming_handler_has_a_deadline() -> None:
    """One that reads its body as a stream, and is called as it is; it cannot be shielded."""
    app = make()

    @app.post("/read", stream=True)
    @doc.deadline(0.03)
    async def read(request: Any) -> Any:
        await asyncio.sleep(60)

    async with TestClient(app) as client:
        assert (await client.post("/read", data=b"x")).status == 504
    app = make()
    app.add_route(doc.shielded(read), "/read", methods=["POST"], stream=True)
    with pytest.raises(LifecycleError, match=r"streaming handler cannot have @doc.shielded"):
        app.compile()
