"""Making, starting, sharing and closing clients."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web
from multidict import CIMultiDict

from sanic_ms import Service
from sanic_ms.client import (
    Client,
    Closed,
    DirectTransport,
    ServiceRequest,
    ServiceResponse,
    Timeout,
    Transport,
)
from sanic_ms.exception import (
    ConfigError,
    LifecycleError,
    NotFound,
    ServiceCallError,
    ServiceTimeout,
)
from sanic_ms.lifecycle import Health

Serve = Callable[..., Awaitable[str]]
Connect = Callable[..., Client]
MakeApp = Callable[..., Any]
MakeTransport = Callable[..., DirectTransport]
Silent = tuple[Client, DirectTransport, asyncio.Event]

pytestmark = pytest.mark.usefixtures("make_transport")


async def one(request: web.Request) -> web.Response:
    return web.json_response({"code": 0, "data": 1})


async def peer(request: web.Request) -> web.Response:
    """Answers with the caller's port: the same port is the same connection."""
    assert request.transport is not None
    return web.json_response({"code": 0, "data": request.transport.get_extra_info("peername")[1]})


# --- making one ----------------------------------------------------------------------------------


async def test_a_service_is_looked_up_by_name(serve: Serve, make_app: MakeApp) -> None:
    """`Client("region-service", app=app)` calls what SERVICES says, started or not."""
    app = make_app(region_service=f"{await serve(one)}/base")
    client = Client("region-service", app=app)
    assert client.name == "client:region-service"
    assert await client.get_json("/x") == 1  # lazily, before the application has started
    await app.lifecycle.start()
    assert await client.get_json("/x") == 1
    await app.lifecycle.stop()


async def test_a_client_may_be_made_while_the_application_starts(
    serve: Serve, make_app: MakeApp
) -> None:
    """A client of a running application needs no start of its own."""
    app = make_app(region_service=await serve(one))
    await app.lifecycle.start()
    parts: list[Any] = []
    app.add = parts.append  # the service starts what is added late
    client = Client("region-service", app=app)
    assert client in parts
    assert await client.get_json("/x") == 1
    await client.close()
    await client.transport.close()


async def test_the_settings_are_read_late(serve: Serve, make_app: MakeApp) -> None:
    """A client may be made before its address is known."""
    app = make_app()
    client = Client("region-service", app=app)
    app.services["region-service"] = await serve(one)
    await app.lifecycle.start()
    assert await client.get_json("/x") == 1
    await app.lifecycle.stop()


async def test_the_settings_say_how_long_a_call_may_take(serve: Serve) -> None:
    """CLIENT_TIMEOUT and CLIENT_CONNECT_TIMEOUT hold for clients that are given no timeout."""

    async def sleep(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    app = Service(f"caller-{uuid4().hex}")
    app.configure(
        services={"region": await serve(sleep)}, client_timeout=0.05, client_connect_timeout=0.04
    )
    client = Client("region", app=app)
    assert client.timeout == Timeout(0.05, 0.04)
    with pytest.raises(ServiceTimeout, match=r"within 0\.05 s"):
        await client.get("/x")
    assert Client("region", app=app, timeout=3).timeout == Timeout(3)
    assert Client("region", app=app, timeout=Timeout(None)).timeout == Timeout(None)
    await client.close()
    await client.transport.close()


async def test_an_unknown_name_stops_the_start(make_app: MakeApp) -> None:
    """The text names the setting, the name, what is known, and what to write."""
    app = make_app(role_service="http://127.0.0.1:1")
    client = Client("region-service", app=app)
    with pytest.raises(ConfigError, match=r"SERVICES names no 'region-service'.*'role-service'"):
        await client.get("/x")
    with pytest.raises(ConfigError, match="SERVICES"):
        await app.lifecycle.start()
    app = make_app()
    with pytest.raises(ConfigError, match=r"known: none\).*SERVICES = "):
        await Client("region-service", app=app).start()
    assert (await Client("region-service", app=app).check()).status == "down"


@pytest.mark.parametrize(
    "url",
    [
        "region:8001",
        "ftp://region",
        "http://",
        "http:///path",
        "http://host:99999",
        "http://host:0",
        "http://user:hush@host:port",
        "http://user:hush@host/?x=1",
        "http://host/#top",
        "http://ho st",
        "http://host\n/x",
        "",
        None,
        8001,
    ],
)
async def test_a_wrong_address_is_a_config_error(make_app: MakeApp, url: Any) -> None:
    """It says which setting is wrong and what to write, and shows no password."""
    client = Client("region-service", app=make_app(region_service=url))
    with pytest.raises(ConfigError, match=r'SERVICES\["region-service"\] is .*http://') as caught:
        await client.start()
    assert "hush" not in str(caught.value)
    if url is not None:
        with pytest.raises(ConfigError, match="the client's url is"):
            Client(url=url)


async def test_the_first_generations_way_of_making_one(serve: Serve) -> None:
    """`Client(loop, url=…)` ignores the loop, which may be None."""
    url = await serve(one)
    for loop in (asyncio.get_running_loop(), None):
        client = Client(loop, url=url)
        assert client.service == "another service"  # its address is nobody's business
        assert await client.get_json("/x") == 1
        await client.close()


def test_a_client_needs_an_address(make_app: MakeApp) -> None:
    """Neither a URL nor a name to look up is a mistake that the text puts right."""
    for arguments in ((), ("region-service",), (None,)):
        with pytest.raises(TypeError, match="say where the service is"):
            Client(*arguments)
    with pytest.raises(TypeError, match="say where the service is"):
        Client(app=make_app())
    with pytest.raises(TypeError, match="service's name"):
        Client(object(), url="http://host")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"max_size": 0},
        {"max_size": True},
        {"max_size": 1.5},
    ],
)
def test_limits_are_above_zero(options: dict[str, Any]) -> None:
    """A limit that could never be met is refused when it is given."""
    with pytest.raises(ValueError, match=r"above 0"):
        Client(url="http://host", **options)


def test_wrong_kinds_of_limits(make_transport: MakeTransport) -> None:
    """Text is not a number of seconds, and a pool needs a connection."""
    with pytest.raises(TypeError, match="seconds"):
        Client(url="http://host", timeout="5")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="seconds"):
        Client(url="http://host", timeout=True)
    with pytest.raises(ValueError, match="at least 1"):
        make_transport(limit_per_host=0)
    with pytest.raises(ValueError, match="above 0"):
        make_transport(keep_alive=0)
    with pytest.raises(ValueError, match="above 0"):
        make_transport(max_age=0)
    assert Timeout(total=None, connect=None) == Timeout(None, None)


async def test_credentials_of_the_url_are_sent_and_not_shown(serve: Serve) -> None:
    """User and password in a base URL become an Authorization header, unless one is given."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response([request.headers["Authorization"], request.path])

    url = (await serve(handler)).replace("//", "//user:p%40ss@") + "/base/"
    async with Client(url=url) as client:
        assert await client.get_json("/x") == ["Basic dXNlcjpwQHNz", "/base/x"]
        assert "p@ss" not in repr(vars(client))
        assert "user" not in client.service
        given = await client.get_json("/x", headers={"authorization": "Bearer t"})
        assert given[0] == "Bearer t"


# --- connections ---------------------------------------------------------------------------------


async def test_connections_are_kept(serve: Serve, connect: Connect) -> None:
    """Calls one after the other use one connection, whichever way they are written."""
    client = connect(await serve(peer))
    ports = {await client.get_json("/x") for _ in range(5)}
    async with client.get("/x") as res:
        ports.add(await res.json())
    assert len(ports) == 1


async def test_the_clients_of_an_application_share_connections(
    serve: Serve, make_app: MakeApp
) -> None:
    """One session per application; another application has its own."""
    url = await serve(peer)
    app, other = make_app(a=url, b=url), make_app(a=url)
    a, b = Client("a", app=app), Client("b", app=app)
    assert await a.get_json("/x") == await b.get_json("/x")
    assert await Client("a", app=other).get_json("/x") != await a.get_json("/x")
    await a.close()
    assert isinstance(await b.get_json("/x"), int)  # closing one leaves the other
    for each in (app, other):
        await each.lifecycle.start()
        await each.lifecycle.stop()
    with pytest.raises(LifecycleError, match="closed"):
        await b.get("/x")


async def test_an_application_is_not_kept_alive_by_its_connections(make_app: MakeApp) -> None:
    """What is shared goes with the application."""
    app = make_app(a="http://127.0.0.1:1")
    gone = weakref.ref(app)
    Client("a", app=app)
    del app
    gc.collect()
    assert gone() is None


async def test_first_calls_at_once_open_one_session(serve: Serve, connect: Connect) -> None:
    """Concurrent first calls do not race for the session."""
    client = connect(await serve(one))
    assert await asyncio.gather(*(client.get_json("/x") for _ in range(20))) == [1] * 20


# --- closing -------------------------------------------------------------------------------------


async def test_close_may_be_awaited_or_not(serve: Serve) -> None:
    """Both ways close, twice is once, and nothing is left open."""
    url = await serve(one)
    for awaited in (True, False):
        client = Client(url=url)
        await client.get("/x")
        closing = client.close()
        if awaited:
            await closing
        await client.close()
        with pytest.raises(LifecycleError, match="closed"):
            await client.get("/x")
        assert "closed" in repr(client)


def test_close_without_await_at_the_very_end() -> None:
    """`client.close()` as the last thing before the loop ends leaves no open connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    rest: list[bytes] = []

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            rest.append(connection.recv(1))  # b"" is the end of the connection

    async def main() -> None:
        client = Client(url=f"http://127.0.0.1:{listener.getsockname()[1]}")
        await client.get("/x")
        client.close()

    with listener:
        server = threading.Thread(target=answer)
        server.start()
        asyncio.run(main())
        server.join(10)
    assert rest == [b""]
    gc.collect()  # a connection that was left open would warn here, and warnings are errors


def test_close_after_the_loop_has_ended(serve_forever: str) -> None:
    """As in a program that closes its clients at exit. It may be awaited in the next loop, and
    closed once more."""
    client = Client(url=serve_forever)
    asyncio.run(call(client))
    client.close()

    async def again() -> None:
        await client.close()
        await client.close()

    asyncio.run(again())


def test_a_client_is_used_in_one_loop_after_another(serve_forever: str) -> None:
    """As in a program that calls `asyncio.run` twice; nothing of the first loop is used."""
    client = Client(url=serve_forever)
    asyncio.run(call(client))
    asyncio.run(call(client))
    client.close()


async def call(client: Client) -> None:
    assert (await client.get("/x")).status == 200


@pytest.fixture
def serve_forever() -> Iterator[str]:
    """The URL of a server that is in no event loop of the test's."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                if not connection.recv(65536):  # the end of the test
                    return
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
                )

    with listener:
        server = threading.Thread(target=answer)
        server.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        socket.create_connection(listener.getsockname()).close()
        server.join(10)


def test_close_before_any_loop() -> None:
    """A client that was never used is closed without an event loop."""
    client = Client(url="http://host")
    client.close()
    assert asyncio.run(check(client)) == Health("down", "closed")


async def check(client: Client) -> Health:
    await client.close()
    return await client.check()


@pytest.fixture
async def silent(serve_raw: Any, connect: Connect, make_transport: MakeTransport) -> Silent:
    """A client of a server that never answers, its transport for one connection, and the event of
    the server's first request."""
    accepted = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        accepted.set()
        await reader.read()

    raw = await serve_raw(listen)
    transport = make_transport(limit_per_host=1)
    return connect(raw.url, transport=transport), transport, accepted


async def test_close_while_calls_run(silent: Silent) -> None:
    """Calls in flight and calls that wait for a connection end with our error."""
    client, transport, accepted = silent
    running = [asyncio.ensure_future(client.get("/x")) for _ in range(3)]
    await accepted.wait()
    await transport.close()
    for call in running:
        with pytest.raises(ServiceCallError, match="region"):
            await call


async def test_a_cancelled_wait_for_a_connection_stays_cancelled(silent: Silent) -> None:
    """Only a close of the client is told as an error; a cancelled task is cancelled."""
    client, transport, accepted = silent
    running = [asyncio.ensure_future(client.get("/x")) for _ in range(2)]
    await accepted.wait()
    for call in running:
        call.cancel()
    results = await asyncio.gather(*running, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 2
    await transport.close()


async def test_a_started_client_works_again(serve: Serve) -> None:
    """stop and start: the application may be started a second time."""
    client = Client(url=await serve(one))
    for _ in range(2):
        await client.start()
        assert await client.get_json("/x") == 1
        assert await client.check() == Health("up")
        await client.stop()
    assert (await client.check()).status == "down"


async def test_stop_without_start(make_app: MakeApp, make_transport: MakeTransport) -> None:
    """Stopping what never ran does nothing."""
    client = Client("a", app=make_app())
    await client.stop()
    await make_transport().stop()


def test_one_client_in_two_loops_one_after_the_other(serve: Serve) -> None:
    """A loop that has ended is left behind: the next call opens a session on its own loop."""

    async def refused(client: Client) -> None:
        with pytest.raises(ServiceCallError, match="cannot connect"):
            await client.get("/x")

    client = Client("region", url="http://127.0.0.1:1")
    asyncio.run(refused(client))
    asyncio.run(refused(client))

    async def end(client: Client) -> None:
        await client.close()

    asyncio.run(end(client))


async def test_one_client_in_two_loops_at_once(serve: Serve, connect: Connect) -> None:
    """While the loop of the session runs, another loop is told to make its own client."""
    client = connect(await serve(one))
    await client.get("/x")

    def elsewhere() -> None:
        async def call() -> None:
            await client.get("/x")

        asyncio.run(call())

    with pytest.raises(LifecycleError, match="another event loop"):
        await asyncio.to_thread(elsewhere)


# --- the transport's contract --------------------------------------------------------------------


class Written(ServiceResponse):
    """An answer out of memory."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.status = status
        self.headers = CIMultiDict(headers)
        self.pieces = [body]
        self.closed = 0

    async def receive(self) -> bytes:
        return self.pieces.pop() if self.pieces else b""

    def close(self) -> None:
        self.closed += 1


class Recording(Transport):
    """A transport that stands before another one, as a retry or a tracer would."""

    def __init__(self, inner: Transport | None = None) -> None:
        self.inner = inner
        self.sent: list[ServiceRequest] = []
        self.answers: list[Written] = []

    async def send(self, request: ServiceRequest) -> ServiceResponse:
        self.sent.append(request)
        if self.inner is not None:
            return await self.inner.send(request)
        answer = Written(404, b'{"code": 7, "message": "m"}', {"content-type": "application/json"})
        self.answers.append(answer)
        return answer

    def close(self) -> Awaitable[None]:
        return Closed() if self.inner is None else self.inner.close()


async def test_a_transport_replaces_the_network() -> None:
    """A test kit's transport sees the whole call, and its answer is read like any other."""
    transport = Recording()
    client = Client("region", url="http://host/base", transport=transport, headers={"A": "b"})
    with pytest.raises(NotFound) as caught:
        await client.get_json("/cities/7?x=1", params={"y": "2"}, timeout=3)
    assert caught.value.code == 7
    (sent,) = transport.sent
    assert (sent.service, sent.method, sent.path) == ("region", "GET", "/cities/7")
    assert (sent.url, sent.params) == ("http://host/base/cities/7?x=1", {"y": "2"})
    assert (dict(sent.headers), sent.timeout) == ({"A": "b"}, Timeout(total=3))
    assert transport.answers[0].closed == 1


async def test_a_transport_stands_around_another(serve: Serve, connect: Connect) -> None:
    """What watches or repeats calls wraps the client's transport, and nothing else changes."""
    client = connect(await serve(one))
    outer = client.transport = Recording(client.transport)
    assert await client.get_json("/x") == 1
    assert [str(request) for request in outer.sent] == ["GET /x"]


def test_the_room_needs_no_web_server() -> None:
    """An application is any object that has settings and takes components."""
    app = SimpleNamespace(settings=SimpleNamespace(services={}), add=lambda component: None)
    client = Client("region", app=app, transport=Recording())
    assert client.service == "region"
