"""The running service, in requests, listeners, background tasks and tests of every kind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import uuid
from collections.abc import AsyncIterator
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest
from sanic.application.constants import ServerStage
from sanic.application.state import ApplicationServerInfo
from tests.service.conftest import get, serve

from sanic_ms import Component, Service, current_service
from sanic_ms.context import current_request, service_context
from sanic_ms.exception import LifecycleError
from sanic_ms.testing import TestClient
from sanic_ms.tests import APITestCase


class SeenAtStart(Component):
    """Notes in which service it starts and stops."""

    name = "seen"

    def __init__(self, seen: dict[str, Any]) -> None:
        self.seen = seen

    async def start(self) -> None:
        """Look."""
        self.seen["component start"] = current_service()

    async def stop(self) -> None:
        """Look."""
        self.seen["component stop"] = current_service()


def make_service(seen: dict[str, Any] | None = None) -> Service:
    """A service that tells where it runs; what is not a request is noted in ``seen``."""
    app = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)
    noted: dict[str, Any] = {} if seen is None else seen
    app.add(SeenAtStart(noted))

    for event in (
        "before_server_start",
        "after_server_start",
        "before_server_stop",
        "after_server_stop",
    ):

        def listen(app: Any, event: str = event) -> None:
            noted[event] = current_service()

        app.register_listener(listen, event)

    async def early() -> None:
        noted["early task"] = current_service()

    app.add_task(early())

    @app.get("/plain")
    async def plain(request: Any) -> str:
        return str(current_service().name)

    @app.get("/later")
    async def later(request: Any) -> str:
        await asyncio.sleep(0)
        return str(await asyncio.to_thread(lambda: current_service().name))

    @app.get("/task")
    async def task(request: Any) -> str:
        done = app.add_task(_name())
        assert done is not None
        return str(await done)

    @app.websocket("/socket")
    async def talk(request: Any, ws: Any) -> None:
        await ws.send(current_service().name)

    return app


async def _name() -> Any:
    return current_service().name


EVENTS = {
    *("before_server_start", "after_server_start", "before_server_stop", "after_server_stop"),
    *("component start", "component stop", "early task"),
}
PATHS = ("/plain", "/later", "/task")


def test_outside_of_a_service_it_is_an_error() -> None:
    """The text says where it works, and what a test does."""
    with pytest.raises(LifecycleError, match=r"no service runs here.*TestClient"):
        current_service()


def test_its_class_is_checked() -> None:
    """For type checkers; another class is an error."""
    app = make_service()

    class Shop(Service):
        pass

    with service_context(app):
        assert current_service(Service) is app
        with pytest.raises(LifecycleError, match="the running service is a Service"):
            current_service(Shop)


def test_contexts_nest() -> None:
    """After a block the service around it is the current one again, also after an error."""
    first, second = make_service(), make_service()
    with service_context(first):

        def fail() -> None:
            with service_context(second):
                assert current_service() is second
                raise ValueError("x")

        with pytest.raises(ValueError, match="x"):
            fail()
        assert current_service() is first
    with pytest.raises(LifecycleError):
        current_service()


def test_a_server_that_sets_nothing_has_it_from_the_request() -> None:
    """Sanic's own worker processes and test clients."""
    app = make_service()

    class Asked:
        pass

    def look() -> Any:
        request: Any = Asked()
        request.app = app
        current_request.set(request)
        return current_service()

    assert copy_context().run(look) is app


async def test_everywhere_in_a_running_service() -> None:
    """Components, listeners, tasks, handlers, threads, web sockets; and the test itself."""
    seen: dict[str, Any] = {}
    app = make_service(seen)
    async with TestClient(app) as client:
        assert current_service() is app
        for path in PATHS:
            assert (await client.get(path)).json["data"] == app.name
        async with client.websocket("/socket") as ws:
            assert await ws.receive_str() == app.name
    assert seen == dict.fromkeys(EVENTS, app)
    with pytest.raises(LifecycleError):
        current_service()


async def test_middleware_and_signals_have_it() -> None:
    """On the full path too."""
    app = make_service()
    seen: list[Any] = []

    @app.on_request
    async def before(request: Any) -> None:
        seen.append(current_service())

    @app.on_response
    async def after(request: Any, response: Any) -> None:
        seen.append(current_service())

    async with TestClient(app) as client:
        assert (await client.get("/plain")).json["data"] == app.name
    assert seen == [app, app]


async def test_two_services_stay_apart() -> None:
    """At once in one process and one loop, where one calls the other, and tasks given across."""
    first, second = make_service(), make_service()
    async with TestClient(first) as one, TestClient(second) as two:
        calls = [client.get(path) for path in PATHS for client in (one, two) for _ in range(10)]
        names = [answer.json["data"] for answer in await asyncio.gather(*calls)]
        assert names == [app.name for _ in PATHS for app in (first, second) for _ in range(10)]
        assert current_service() is second
        task = first.add_task(_name())  # begun where the second is current
        assert task is not None
        assert await task == first.name
        assert current_service() is second


async def asgi_call(app: Any, path: str) -> Any:
    """The body of a response, called as an ASGI server calls."""
    sent: list[Any] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"x")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return json.loads(b"".join(message.get("body", b"") for message in sent))["data"]


@pytest.mark.filterwarnings("ignore:You have set a listener:UserWarning")
async def test_under_an_asgi_server() -> None:
    """For its life and its requests; nothing stays in the context of the caller."""
    seen: dict[str, Any] = {}
    app = make_service(seen)
    received: asyncio.Queue[Any] = asyncio.Queue()
    sent: asyncio.Queue[Any] = asyncio.Queue()
    life = asyncio.ensure_future(
        app({"type": "lifespan", "asgi": {"version": "3.0"}}, received.get, sent.put)
    )
    await received.put({"type": "lifespan.startup"})
    assert (await sent.get())["type"] == "lifespan.startup.complete"
    for path in PATHS:
        assert await asyncio.ensure_future(asgi_call(app, path)) == app.name
    with pytest.raises(LifecycleError):
        current_service()
    await received.put({"type": "lifespan.shutdown"})
    assert (await sent.get())["type"] == "lifespan.shutdown.complete"
    await life
    assert seen == dict.fromkeys(EVENTS, app)


async def test_under_create_server() -> None:
    """Sanic's server in an event loop of the application's own: two of them."""
    apps = [make_service(), make_service()]
    async with contextlib.AsyncExitStack() as stack:
        for app in apps:
            port = await stack.enter_async_context(serving(app))
            for path in PATHS[:2]:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                writer.write(head.encode())
                whole = await reader.read()
                writer.close()
                await writer.wait_closed()
                assert app.name.encode() in whole
        with pytest.raises(LifecycleError):
            current_service()


@contextlib.asynccontextmanager
async def serving(app: Any) -> AsyncIterator[int]:
    """Serve a service with `create_server`; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = await app.create_server(sock=listener, return_asyncio_server=True)
        app.state.server_info.append(ApplicationServerInfo({}, ServerStage.SERVING))
        for step in (server.startup, server.before_start, server.start_serving, server.after_start):
            await step()
        try:
            yield listener.getsockname()[1]
        finally:
            for step in (server.before_stop, server.close, server.after_stop):
                await step()
            app.state.server_info.clear()


class CurrentCase(APITestCase):
    """Plain and async methods of unittest's."""

    _app = make_service

    def test_plain(self) -> None:
        """The service of the case."""
        assert current_service() is self.app
        assert self.client.get("/plain").json["data"] == self.app.name

    async def test_async(self) -> None:
        """The same."""
        assert current_service() is self.app


SERVER = """
import asyncio
from sanic_ms import Service, current_service

app = Service("shop")
seen = []

@app.after_server_start
async def start(app):
    async def look():
        seen.append(current_service() is app)
    app.add_task(look())

@app.main_process_start
async def main(app):
    assert current_service() is app

@app.get("/plain")
async def plain(request):
    return current_service() is app

@app.get("/seen")
async def look(request):
    return seen

if {full}:
    @app.on_request
    async def before(request):
        assert current_service() is app

if __name__ == "__main__":
    app.run()
"""


@pytest.mark.parametrize("full", [False, True], ids=["fast-path", "full-path"])
@pytest.mark.parametrize(
    "variables",
    [{}, {"SANIC_MS_PURE": "1"}, {"WORKERS": "2"}, {"SERVER_PROTOCOL": "sanic"}],
    ids=["alone", "pure", "workers", "sanic-protocol"],
)
def test_in_a_process_that_serves(tmp_path: Path, full: bool, variables: dict[str, str]) -> None:
    """Compiled and pure, with and without middleware, alone and in workers."""
    (tmp_path / "server.py").write_text(SERVER.format(full=full))
    with serve(tmp_path, **variables) as url:
        assert json.loads(get(f"{url}/plain"))["data"] is True
        assert json.loads(get(f"{url}/seen"))["data"] == [True]
