"""The fast path compiled and in Python: nobody can tell them apart by what they do."""

from __future__ import annotations

import asyncio
import itertools
import math
import re
from abc import ABC
from collections.abc import Awaitable, Callable
from typing import Any, TypedDict

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sanic.response import HTTPResponse, text

from sanic_ms import Service
from sanic_ms.exception import NotFound
from sanic_ms.http import endpoint
from sanic_ms.http.request import Request
from sanic_ms.native.compiled import compiled
from sanic_ms.server import HttpProtocol
from sanic_ms.server.http1.fast_path import FastPath
from sanic_ms.values import Pagination

if compiled("sanic_ms.server.http1._fast_path") is None:
    pytest.skip("nothing was compiled, or SANIC_MS_PURE is set", allow_module_level=True)

Connect = Callable[..., Awaitable[Any]]

# What the compiled class has of its own, taken back.
_OWN = ["_account", "_deliver", "_open", "data_received"]
Pure: Any = type(
    "Pure", (HttpProtocol,), {"__slots__": (), **{name: getattr(FastPath, name) for name in _OWN}}
)
_names = (f"compiled-{n}" for n in itertools.count())
_TRACE = re.compile(rb'"trace_id":"[0-9a-f]{32}"')


class Item(TypedDict):
    id: int
    name: str


class Order(msgspec.Struct):
    item: int
    count: int = 1


class Locked:
    """A mapping whose first look fails, as a connection that was lost does."""

    def __init__(self) -> None:
        self.looks = 0

    def keys(self) -> list[str]:
        """Its keys."""
        return ["id"]

    def __getitem__(self, key: str) -> int:
        self.looks += 1
        if self.looks == 1:
            raise ValueError("the row is locked")
        return self.looks


def with_cookie() -> HTTPResponse:
    """A response that has headers."""
    response = text("cookie")
    response.add_cookie("a", "b")
    return response


def make(request_class: Any = None, **settings: Any) -> Service:
    """A service with a handler of each kind."""
    app = Service(next(_names), configure_logging=False, request_class=request_class)
    own = {"access_log": False, "sync_handlers": "loop", **settings}  # an answer in some rounds
    app.configure(docs=False, health=False, **own)

    @app.get("/json")
    async def plain(request: Any) -> Item:
        return {"id": 1, "name": "é"}

    @app.get("/more")
    async def more(request: Any) -> Item:
        return {"id": 1, "name": "a", "secret": True}  # type: ignore[typeddict-unknown-key]

    @app.get("/items/<id:int>")
    async def item(request: Any, id: int, least: int = 0) -> Item:
        return {"id": id + least, "name": request.path}

    @app.get("/names/<name>")
    def named(request: Any, name: str) -> str:
        return name

    @app.get("/deep/<name>/in/<id:int>")
    async def deep(request: Any, name: str, id: int) -> Any:
        return [name, id]

    @app.post("/orders")
    async def order(request: Any, body: Order) -> Order:
        return body

    @app.route("/any", methods=["GET", "HEAD", "POST", "DELETE"])
    async def any_method(request: Any) -> Any:
        return {"method": request.method, "query": request.query_string, "len": len(request.body)}

    @app.get("/files/<path:path>")
    async def files(request: Any, path: str) -> Any:
        return [path, request.query_string, request.match_info]

    @app.get("/locked")
    async def locked(request: Any) -> Item:
        return Locked()  # type: ignore[return-value]

    @app.get("/waits/<id:int>")
    async def waits(request: Any, id: int) -> Item:
        await asyncio.sleep(0)
        return {"id": id, "name": "later"}

    @app.get("/page")
    async def page(request: Any) -> Any:
        return [1, 2], Pagination(1, 2, 2, 1)

    @app.get("/none")
    async def none(request: Any) -> None:
        return None

    @app.get("/large")
    async def large(request: Any) -> str:
        return "x" * 20_000

    @app.get("/edge/<size:int>")
    async def edge(request: Any, size: int) -> str:
        return "x" * (size % 20_000)

    @app.get("/response")
    async def response(request: Any) -> HTTPResponse:
        return text("mine", headers={"x-a": "b"})

    responses: dict[str, Callable[[], HTTPResponse]] = {
        "text": lambda: text("plain"),
        "other": lambda: text("plain", status=404, content_type="text/x"),
        "no-type": lambda: HTTPResponse(b"raw"),
        "no-body": lambda: HTTPResponse(status=200),
        "gone": lambda: HTTPResponse(b"not sent", status=204),
        "cookie": with_cookie,
        "long": lambda: text("x" * 20_000),
        "unsafe": lambda: text("x", content_type="a\r\nb: c"),
        "odd": lambda: HTTPResponse(b"x", status=True),
        "bare": lambda: HTTPResponse.__new__(HTTPResponse),
    }

    @app.route("/sanic/<name>", methods=["GET", "HEAD"])
    async def sanic(request: Any, name: str) -> Any:
        return responses[name]()

    @app.get("/missing")
    async def missing(request: Any) -> None:
        raise NotFound(error="no such thing")

    @app.get("/broken")
    async def broken(request: Any) -> None:
        raise RuntimeError("on purpose")

    @app.get("/unfit")
    async def unfit(request: Any) -> Any:
        return {"a": object()}

    @app.get("/stream")
    async def stream(request: Any) -> Any:
        return {"stream": request.stream is not None}

    return app


class Pair:
    """Two connections: one to a service with the compiled code, one to the same without."""

    def __init__(self, mine: Any, theirs: Any) -> None:
        self.both = mine, theirs

    async def say(self, *parts: bytes) -> tuple[Any, Any]:
        """What each has written, and its state, when all has come to rest."""
        found = []
        for transport in self.both:
            transport.written.clear()
            transport.writes = 0
            for part in parts:
                if not transport.over:
                    asyncio.get_running_loop().call_soon(transport.protocol.data_received, part)
                for _ in range(40):
                    await asyncio.sleep(0)
            found.append((_TRACE.sub(b"", bytes(transport.written)), self.state(transport)))
        return found[0], found[1]

    @staticmethod
    def state(transport: Any) -> tuple[Any, ...]:
        """What a connection remembers, and what the service has counted."""
        protocol = transport.protocol
        slots = ("_block", "_block_flags", "_block_length", "_flags", "_served", "_stage", "lost")
        metrics = protocol.app.metrics
        metrics.sample()
        counted = {
            (name, labels): cell.value
            for name in ("http_server_request_duration_seconds", "http_server_active_requests")
            for labels, cell in metrics[name].cells.items()
        }
        held = [getattr(protocol, name) is None for name in ("_request", "_task", "exchange")]
        rest = bytes(protocol.input), transport.over, transport.writes, counted
        return *(getattr(protocol, name) for name in slots), *held, *rest


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> tuple[Service, Service]:
    """One whose endpoints are compiled, and one whose endpoints are Python. They count in files, as
    services do that run."""
    mine, theirs = make(), make()
    with pytest.MonkeyPatch.context() as patch:
        asyncio.run(start(mine))
        patch.setattr(endpoint, "_compiled", None)
        asyncio.run(start(theirs))
    for app in (mine, theirs):
        app.metrics.open(tmp_path_factory.mktemp("metrics"))
    return mine, theirs


async def start(app: Service) -> None:
    """Its endpoints are made now."""
    await app._startup()


@pytest.fixture
async def pair(services: tuple[Service, Service], memory_transport: Any) -> Pair:
    """Fresh connections to both, which have seen each route before."""
    loop = asyncio.get_running_loop()
    fresh = []
    for app, cls in zip(services, (HttpProtocol, Pure), strict=True):
        connections: set[Any] = set()
        for line in WARM:
            transport = memory_transport(cls(loop=loop, app=app, connections=connections), loop)
            transport.protocol.data_received(request(line))
        fresh.append(memory_transport(cls(loop=loop, app=app, connections=connections), loop))
    for _ in range(40):
        await asyncio.sleep(0)
    return Pair(*fresh)


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    """A request of HTTP/1.1."""
    if body:
        headers = (*headers, f"Content-Length: {len(body)}")
    return "\r\n".join((f"{line} HTTP/1.1", "Host: a", *headers, "", "")).encode() + body


LINES = [
    *("GET /json", "GET /more", "GET /items/7", "GET /items/-7", "GET /items/07", "GET /items/x"),
    *("GET /items/7?least=3", "GET /items/7?least=x", "GET /items/", "GET /items/7/"),
    *(f"GET /items/{10**n}" for n in (18, 19, 30)),
    *("GET /names/Ann", "GET /names/%C3%A9", "GET /names/a+b", "GET /names/a%2Fb"),
    *("GET /names/a#b", "GET /deep/a/in/7", "GET /deep/a/in/x"),
    *("GET /any", "GET /any?a=b", "GET /any?", "GET /any?#", "HEAD /any", "POST /any"),
    *("DELETE /any", "PUT /any", "GET /waits/1", "GET /page", "GET /none", "GET /large"),
    *("GET /edge/16383", "GET /edge/16384", "GET /edge/9", "GET /edge/99", "GET /response"),
    *("GET /files/a", "GET /files/a/b", "GET /files/a?x=1", "GET /locked"),
    *("GET /missing", "GET /broken", "GET /unfit", "GET /stream", "GET /nowhere"),
    *("GET /sanic/text", "HEAD /sanic/text", "GET /sanic/other", "GET /sanic/no-type"),
    *("GET /sanic/no-body", "GET /sanic/gone", "GET /sanic/cookie", "GET /sanic/long"),
    *("GET /sanic/unsafe", "GET /sanic/odd", "GET /sanic/bare", "GET /sanic/none"),
    *("GET //json", "GET /json/", "GET http://a/json", "get /json", "OPTIONS *", "BREW /json"),
]


WARM = ("GET /json", "GET /items/7", "GET /names/Ann", "GET /files/a", "GET /sanic/text")


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("times", [1, 2, 4])
async def test_a_request_again_and_again(pair: Pair, line: str, times: int) -> None:
    """The first is parsed, the next ones have known headers; both ways end in the same state."""
    for _ in range(times):
        mine, theirs = await pair.say(request(line))
        assert mine == theirs


@pytest.mark.parametrize("line", LINES)
async def test_after_another_request(pair: Pair, line: str) -> None:
    """Its headers were judged in a request with another line, which also follows it."""
    for known in (request("GET /json"), request(line), request("GET /json"), request(line)):
        mine, theirs = await pair.say(known)
        assert mine == theirs


BODIES = [
    b"{}",
    b'{"item": 1}',
    b'{"item": "x"}',
    b'{"item": 1, "count": 2, "more": 3}',
    b"[",
    b"\xff",
]


@pytest.mark.parametrize("body", BODIES)
async def test_bodies(pair: Pair, body: bytes) -> None:
    """Valid ones and others, sent whole and in pieces."""
    headers = "Content-Type: application/json"
    raw = request("POST /orders", headers, body=body)
    for parts in ([raw], [raw], [raw[:-1], raw[-1:]], [raw], [raw[:20], raw[20:]], [raw + raw]):
        mine, theirs = await pair.say(*parts)
        assert mine == theirs


@pytest.mark.parametrize(
    "headers",
    [
        ["Connection: close"],
        ["Connection: keep-alive"],
        ["traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
        ["b3: 0"],
        ["Origin: http://x"],
        ["X: " + "y" * 2000],
        ["Expect: 100-continue"],
        ["Transfer-Encoding: chunked"],
    ],
)
async def test_headers_that_matter(pair: Pair, headers: list[str]) -> None:
    """They are no part of what is served by compiled code, whatever stood before them."""
    for lines in ([], headers, [], headers, headers):
        mine, theirs = await pair.say(request("GET /items/3", *lines))
        assert mine == theirs


async def test_requests_in_one_piece_and_in_pieces(pair: Pair) -> None:
    """Pipelined ones, a cut at each byte, and empty lines between."""
    one, other = request("GET /json"), request("GET /items/3")
    await pair.say(one)
    for at in range(1, len(other)):
        mine, theirs = await pair.say(other[:at], other[at:])
        assert mine == theirs
    for parts in ([one + other + one], [one, b"\r\n" + other], [one + b"GET /js", b"on" + one[9:]]):
        mine, theirs = await pair.say(*parts)
        assert mine == theirs


@settings(suppress_health_check=list(HealthCheck), max_examples=150)
@given(
    lines=st.lists(
        st.one_of(
            st.sampled_from(LINES),
            st.text("/abi?#%1.-é \x00", max_size=12).map(lambda t: f"GET /{t}"),
            st.text([chr(c) for c in range(1, 256)], max_size=6).map(lambda t: f"GET /items/{t}"),
        ),
        min_size=1,
        max_size=4,
    )
)
async def test_any_line(services: Any, memory_transport: Any, lines: list[str]) -> None:
    """Whatever the path holds, after a request whose headers it shares."""
    loop = asyncio.get_running_loop()
    both = [
        memory_transport(cls(loop=loop, app=app, connections=set()), loop)
        for app, cls in zip(services, (HttpProtocol, Pure), strict=True)
    ]
    pair = Pair(*both)
    await pair.say(request("GET /json"))
    for line in lines:
        mine, theirs = await pair.say(request(line))
        assert mine == theirs


async def test_a_full_send_buffer(pair: Pair) -> None:
    """The next request waits until the client has read."""
    await pair.say(request("GET /json"))
    for transport in pair.both:
        transport.protocol.pause_writing()
    mine, theirs = await pair.say(request("GET /json"), request("GET /items/1"))
    assert mine == theirs
    for transport in pair.both:
        transport.protocol.resume_writing()
    mine, theirs = await pair.say()
    assert mine == theirs


async def test_a_server_that_stops(memory_transport: Any) -> None:
    """Says so in its answer, and closes."""
    loop = asyncio.get_running_loop()
    both = []
    for cls in (HttpProtocol, Pure):
        app = make()
        await app._startup()
        both.append(memory_transport(cls(loop=loop, app=app, connections=set()), loop))
    pair = Pair(*both)
    await pair.say(request("GET /json"))
    for transport in both:
        transport.protocol.wire.drain()
    mine, theirs = await pair.say(request("GET /json"))
    assert mine == theirs
    assert b"connection: close" in mine[0]
    assert both[0].over


ARGUMENTS = {"data_received": 1, "_open": 2, "_deliver": 4, "_account": 5}


@pytest.mark.parametrize("name", _OWN)
def test_nothing_but_a_connection_is_read_as_one(name: str) -> None:
    """A slot is a place in memory: what has none is refused."""
    with pytest.raises(TypeError, match="object is no connection"):
        getattr(HttpProtocol, name)(object(), *[None] * ARGUMENTS[name])


@pytest.mark.parametrize("name", ["_open", "_deliver", "_account"])
async def test_a_plan_of_another_class_is_left_to_python(pair: Pair, name: str) -> None:
    """Which looks attributes up, and does not find them."""
    protocol = pair.both[0].protocol
    arguments: list[Any] = [None, object(), None, b"", 1][: ARGUMENTS[name]]
    with pytest.raises(AttributeError, match="'object' object has no attribute"):
        getattr(protocol, name)(*arguments)


class Shouting(Request):
    """Bodies are changed when they are set."""

    __slots__ = ("_shouted",)

    @property
    def body(self) -> bytes:
        """The body."""
        return self._shouted

    @body.setter
    def body(self, body: bytes) -> None:
        self._shouted = body.upper()


class Slotted(Request):
    """It has a slot of its own in the place of Sanic's."""

    __slots__ = ("head",)


class Noting(Request):
    """It sees what is set."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "body":
            super().__setattr__("failure", len(value))


class Made(Request):
    """It is not made as other objects are."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        made = super().__new__(cls)
        made["made"] = True
        return made


class Abstract(Request, ABC):
    """It has a metaclass."""


class Larger(Request):
    """More slots than Sanic's."""

    __slots__ = tuple(f"s{n}" for n in range(100))


@pytest.mark.parametrize("cls", [Shouting, Slotted, Noting, Made, Abstract, Larger])
async def test_request_classes(cls: Any, memory_transport: Any) -> None:
    """An application's own class of requests works the same, whatever it has of its own."""
    loop = asyncio.get_running_loop()
    both = []
    for protocol in (HttpProtocol, Pure):
        app = make(cls)

        @app.post("/own")
        async def own(request: Any) -> Any:
            found = request.body.decode(), request.head.decode(), getattr(request, "failure", None)
            return (
                *found,
                request.get("made"),
                request.connection is not None,
                request.path,
            )

        await app._startup()
        both.append(memory_transport(protocol(loop=loop, app=app, connections=set()), loop))
    pair = Pair(*both)
    for _ in range(4):
        mine, theirs = await pair.say(request("POST /own", body=b"abc"))
        assert mine == theirs
        assert mine[0].startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("most", [1, 2.5, 1e6, 10**20, float("inf")])
async def test_limits_that_are_no_c_number(
    most: float, memory_transport: Any, named_app: Callable[..., Any]
) -> None:
    """A bare Sanic application may have set anything that can be compared."""
    loop = asyncio.get_running_loop()
    both = []
    for protocol in (HttpProtocol, Pure):
        app = named_app(KEEP_ALIVE_REQUESTS=most, REQUEST_MAX_HEADER_SIZE=most + 1000)

        async def root(request: Any) -> HTTPResponse:
            return text("ok")

        app.add_route(root, "/")
        await app._startup()
        both.append(memory_transport(protocol(loop=loop, app=app, connections=set()), loop))
    for _ in range(4):
        found = []
        for transport in both:
            transport.written.clear()
            if not transport.over:
                loop.call_soon(transport.protocol.data_received, request("GET /"))
            for _ in range(20):
                await asyncio.sleep(0)
            found.append((bytes(transport.written), transport.over))
        assert found[0] == found[1]
    assert both[0].over is (most < 4)
    assert both[0].protocol._served == math.ceil(min(most, 4))


def test_a_subclass_with_ways_of_its_own_is_served_by_python() -> None:
    """What compiled code reads from a slot, or calls past the class, it may have otherwise; what it
    adds does no harm."""

    class Added(HttpProtocol):
        __slots__ = ("more",)

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)

    class Own(HttpProtocol):
        __slots__ = ()

        @property
        def transport(self) -> Any:  # type: ignore[override]
            """Another than the one in the slot."""

    class Accounts(HttpProtocol):
        __slots__ = ()

        def _account(self, *_: Any) -> None:
            """Counts nothing."""

    assert Added.data_received is HttpProtocol.data_received
    for cls in (Own, Accounts):
        assert cls.data_received is FastPath.data_received
        assert cls._open is FastPath._open
    assert Accounts._account is not FastPath._account
