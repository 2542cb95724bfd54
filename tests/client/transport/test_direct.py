"""Our own connections: what goes over them, how many there are, and how long they are kept."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from sanic_ms.client import Client, DirectTransport, Timeout
from sanic_ms.client.endpoint import join, parse_base_url
from sanic_ms.client.transport.request_head import encode, place_of
from sanic_ms.exception import ServiceCallError, ServiceTimeout

Serve = Callable[..., Awaitable[str]]
Connect = Callable[..., Client]
ServeRaw = Callable[..., Awaitable[Any]]
Direct = Callable[..., DirectTransport]

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n"
BODY = b'{"code":0,"data":1}'


@pytest.fixture
async def direct() -> AsyncIterator[Direct]:
    """Make transports that are closed at the end of the test."""
    made: list[DirectTransport] = []

    def make(**options: Any) -> DirectTransport:
        made.append(DirectTransport(**options))
        return made[-1]

    yield make
    for transport in made:
        await transport.close()


async def one(request: web.Request) -> web.Response:
    await request.read()
    return web.json_response({"code": 0, "data": 1})


async def every(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request that has no body."""
    while True:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + BODY)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what nothing tells of."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def used(transport: DirectTransport) -> tuple[bool, bool]:
    """Whether there are connections of our own, and of aiohttp."""
    return bool(transport._pools), transport.others._session is not None


# --- what goes over them -------------------------------------------------------------------------


USUAL: list[dict[str, Any]] = [
    {},
    {"path": "/a.b/~c;d=1,2:@!$&'()*+?x=1&y=a/b?c"},
    {"path": "/Zürich%20a%2fb?q=é%41|"},
    {"path": "/x?"},
    {"path": "/x?a=1", "params": {"b": "2 3", "c": ["4", "5"], "d": 6}},
    {"params": [("y", "1&2"), ("y", "ü\r\n")]},
    {"params": {}},
    {"headers": {"X-Key": "a b", "cookie": "a=1; b=2", "Authorization": "Bearer t"}},
    {"headers": {"accept": "application/json", "user-agent": "me"}},
    {"headers": {"X-Empty": ""}},
    {"method": "HEAD"},
    {"method": "OPTIONS"},
    {"method": "DELETE"},
    {"method": "POST"},
    {"method": "post", "json": {"a": [1, "é"]}},
    {"method": "PUT", "data": b"\0\r\n\r\n\xff" * 50},
    {"method": "PATCH", "data": b""},
    {"method": "GET", "json": {"a": 1}},
    {"method": "POST", "data": b"x", "headers": {"content-type": "text/x"}},
    {"method": "POST", "data": b"abc", "headers": {"content-length": "3"}},
    {"method": "POST", "data": b"abc", "headers": {"Transfer-Encoding": "chunked", "TE": "x"}},
    {"headers": {"keep-alive": "timeout=5", "upgrade": "h2c"}},
]

OTHERS: list[dict[str, Any]] = [
    {"allow_redirects": True},
    {"method": "POST", "data": "text"},
    {"method": "POST", "data": {"a": "1"}},
    {"method": "POST", "data": bytearray(b"x")},
    {"method": "PURGE"},
    {"headers": {"Accept-Encoding": "identity"}},
    {"headers": {"Connection": "close"}},
    {"headers": {"Host": "other"}},
    {"headers": {"X-Name": "café"}},
    {"headers": {"X-Tab": "a\tb"}},
]


@pytest.mark.parametrize("base", ["", "/base"])
async def test_a_usual_request_is_written_as_aiohttp_writes_it(
    serve_raw: ServeRaw, direct: Direct, base: str
) -> None:
    """The same request line, the same headers with the same values, the same body, and no use of
    aiohttp at all."""

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            raw.requests.append((head, await reader.readexactly(int(length or 0))))
            writer.write(OK if head.startswith(b"HEAD") else OK + BODY)

    raw = await serve_raw(keep)
    for options in USUAL:
        sent = []
        for choice in ("auto", "aiohttp"):
            transport = direct(choice=lambda choice=choice: choice)
            client = Client("region", url=raw.url + base, transport=transport)
            rest = {key: value for key, value in options.items() if key not in ("method", "path")}
            method, path = options.get("method", "GET"), options.get("path", "/x")
            assert (await client.request(method, path, **rest)).status == 200
            assert used(transport)[1] is (choice == "aiohttp")
            head, body = raw.requests.pop()
            line, *headers = head[:-4].decode().split("\r\n")
            pairs = sorted(
                (name.lower(), value)
                for name, _, value in (header.partition(": ") for header in headers)
            )
            sent.append((line, pairs, body))
        assert sent[0] == sent[1]


@pytest.mark.parametrize("options", OTHERS)
async def test_what_is_not_usual_goes_through_aiohttp(
    serve: Serve, direct: Direct, options: dict[str, Any]
) -> None:
    """A body that is not bytes, a redirect that is to be followed, a header whose value decides how
    the message is sent, one that is not plain text: all of that is as it was."""
    transport = direct()
    client = Client("region", url=await serve(one), transport=transport)
    rest = {key: value for key, value in options.items() if key != "method"}
    assert (await client.request(options.get("method", "GET"), "/x", **rest)).status == 200
    assert transport.others._session is not None
    assert not any(pool._open for pool in transport._pools.values())


async def test_https_goes_through_aiohttp(direct: Direct) -> None:
    """TLS is not spoken over our own connections."""
    assert place_of(parse_base_url("https://region", "x")) is None


async def test_one_setting_goes_back(serve: Serve) -> None:
    """With CLIENT_TRANSPORT = "aiohttp" no call of an application uses our own connections. The
    setting is read by the first call, as the others are."""
    settings = SimpleNamespace(services={"region": await serve(one)})

    class App:
        def __init__(self) -> None:
            self.settings = settings

        def add(self, component: object) -> None: ...

    for choice in ("aiohttp", "auto"):
        app = App()
        client = Client("region", app=app)
        settings.client_transport = choice
        assert await client.get_json("/x") == 1
        transport = client.transport
        assert isinstance(transport, DirectTransport)
        assert used(transport) == (choice == "auto", choice == "aiohttp")
        await transport.close()


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=30))
def test_a_target_is_what_yarl_makes_of_it(text: str) -> None:
    """Also where the fast path around yarl is taken."""
    endpoint = parse_base_url("http://region:8001/api", "x")
    try:
        url = join(endpoint, f"/{text}")
    except ValueError:
        return
    place = place_of(endpoint)
    assert place is not None
    request: Any = SimpleNamespace(
        method="GET", body=None, allow_redirects=False, url=url, params=None, headers={}
    )
    data = encode(request, place)
    assert data is not None
    target = data.partition(b" HTTP/1.1\r\n")[0].removeprefix(b"GET ").decode()
    assert target == URL(url).raw_path_qs
    assert target.startswith("/api/")


@given(st.text(max_size=12), st.text(max_size=12), st.sampled_from(["", "\r\n", "\n", "\r", "\0"]))
def test_no_header_makes_another_line(name: str, value: str, end: str) -> None:
    """What is sent over our own connections has the headers that were given and no more."""
    place = place_of(parse_base_url("http://region", "x"))
    assert place is not None
    for headers in ({name + end + "X": value}, {"X-A": value + end + "Y: 1"}):
        request: Any = SimpleNamespace(
            method="GET",
            body=None,
            allow_redirects=False,
            url="http://region/x",
            params=None,
            headers=headers,
        )
        data = encode(request, place)
        if data is not None:
            assert end == ""
            assert data.isascii()
            assert data.endswith(b"\r\n\r\n")
            lines = data[:-4].split(b"\r\n")
            assert len(lines) == 6 or {key.lower() for key in headers} & {"accept", "user-agent"}
            assert not any(set(line) & set(b"\r\n\0") for line in lines)


async def test_wrong_params_are_the_callers_mistake(serve: Serve, direct: Direct) -> None:
    """What no query can hold is a TypeError, and no connection is made for it."""
    transport = direct()
    client = Client("region", url=await serve(one), transport=transport)
    with pytest.raises(TypeError):
        await client.get("/x", params={"a": object()})
    assert not any(pool._slots for pool in transport._pools.values())


# --- how many there are --------------------------------------------------------------------------


async def test_the_last_used_is_used_first(serve_raw: ServeRaw, direct: Direct) -> None:
    """So that those that are not needed grow old."""
    barrier = asyncio.Barrier(3)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = raw.connections
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            if request.startswith(b"GET /all"):
                await barrier.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)

    raw = await serve_raw(handler)
    client = Client(url=raw.url, transport=direct())
    await asyncio.gather(*(client.get("/all") for _ in range(3)))
    assert raw.connections == 3
    last = (await client.get("/x")).body
    assert {(await client.get("/x")).body for _ in range(5)} == {last}


async def test_endpoints_of_one_address_share_connections(
    serve_raw: ServeRaw, direct: Direct
) -> None:
    """Clients of different base paths at one host and port use the same pool; and a discovery that
    gives ever new addresses does not make the table of them grow without end."""
    raw = await serve_raw(every)
    transport = direct()
    for path in ("/a", "/b"):
        await Client(url=raw.url + path, transport=transport).get("/x")
    assert raw.connections == 1
    for number in range(600):
        transport._place(parse_base_url(f"http://127.0.0.1:{number + 1}", "x"))
    assert len(transport._places) <= 257
    assert len(transport._pools) <= 258
    await Client(url=raw.url, transport=transport).get("/x")
    assert raw.connections == 1


class Scattered(asyncio.Protocol):
    """Answers each request with its own path, in pieces over a random number of loop turns; now
    and then it closes the connection instead, or behind its answer."""

    open = 0
    most = 0

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.input = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        Scattered.open += 1
        Scattered.most = max(Scattered.most, Scattered.open)

    def connection_lost(self, exc: BaseException | None) -> None:
        Scattered.open -= 1

    def data_received(self, data: bytes) -> None:
        self.input += data
        while b"\r\n\r\n" in self.input:
            head, _, self.input = self.input.partition(b"\r\n\r\n")
            path = head.split(b" ")[1]
            chance = self.chance
            if chance.random() < 0.03:
                self.transport.abort()
                return
            close = chance.random() < 0.02
            body = path + b"x" * chance.choice([0, 10, 5000])
            answer = b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (
                b"Connection: close\r\n" * (close and chance.random() < 0.5),
                len(body),
                body,
            )
            cut = chance.randrange(len(answer))
            self.later(chance.randrange(3), answer[:cut])
            self.later(2 + chance.randrange(3), answer[cut:], close)

    def later(self, turns: int, data: bytes, close: bool = False) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self.later, turns - 1, data, close)
        elif not self.transport.is_closing():
            self.transport.write(data)
            if close:
                self.transport.close()


@pytest.mark.parametrize(("module", "calls"), [("uvloop", 10_000), ("asyncio", 2_000)])
def test_thousands_of_cancellations(module: str, calls: int) -> None:
    """Calls that are cancelled at any turn of the loop, against a service that also closes when it
    likes: every answer is that of its own call, there are never more connections than the limit,
    and in the end none is left over and none is missing."""
    loops = pytest.importorskip(module)
    with asyncio.Runner(loop_factory=loops.new_event_loop) as runner:
        runner.run(cancel_at_random(calls))


async def cancel_at_random(calls: int) -> None:
    chance = random.Random(7)
    loop = asyncio.get_running_loop()
    Scattered.open = Scattered.most = 0
    server = await loop.create_server(lambda: Scattered(chance), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    transport = DirectTransport(limit_per_host=6)
    client = Client("region", url=url, transport=transport, timeout=Timeout(60, 60))
    try:
        ended = {"answered": 0, "cancelled": 0, "failed": 0}

        async def call(number: int) -> None:
            try:
                body = (await client.get(f"/{number}")).body
            except ServiceCallError:
                ended["failed"] += 1
            else:
                ended["answered"] += 1
                assert body.rstrip(b"x") == b"/%d" % number

        def cancel(task: asyncio.Task[None], turns: int) -> None:
            if turns:
                loop.call_soon(cancel, task, turns - 1)
            else:
                task.cancel()

        for start in range(0, calls, 25):
            tasks = []
            for number in range(start, start + 25):
                task = asyncio.create_task(call(number))
                tasks.append(task)
                if chance.random() < 0.7:
                    cancel(task, chance.randrange(40))
            results = await asyncio.gather(*tasks, return_exceptions=True)
            cancelled = [isinstance(result, asyncio.CancelledError) for result in results]
            assert sum(result is not None for result in results) == sum(cancelled)
            ended["cancelled"] += sum(cancelled)
        assert sum(ended.values()) == calls
        assert min(ended["answered"], ended["cancelled"]) > calls // 10
        (pool,) = transport._pools.values()
        # What was dropped is still being closed.
        await until(lambda: pool._slots == len(pool._idle) == Scattered.open)
        assert len(pool._open) == pool._slots <= 6
        assert not pool._waiters
        # Both ends close a connection in their own time, so a new one may be there before the
        # service has seen the end of the one before it.
        assert Scattered.most <= 6 * 3
    finally:  # uvloop does not end while a server is open
        await transport.close()
        server.close()
    await until(lambda: not Scattered.open)


@pytest.mark.parametrize("answers", [1, 2, 100])
async def test_waiting_calls_get_what_becomes_free(
    serve_raw: ServeRaw, direct: Direct, answers: int
) -> None:
    """Free connections, in the order of asking, and the places of closed ones; a cancelled call
    does not keep what it was given."""
    order: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for left in reversed(range(answers)):
            request = await reader.readuntil(b"\r\n\r\n")
            order.append(request.split(b" ")[1])
            said = b"\r\nConnection: %b\r\n" % (b"keep-alive" if left else b"close")
            writer.write(OK.replace(b"\r\n", said, 1) + BODY)

    raw = await serve_raw(handler)
    client = Client(url=raw.url, transport=direct(limit_per_host=1))
    calls = [asyncio.ensure_future(client.get(f"/{number}")) for number in range(8)]
    await asyncio.sleep(0)
    calls[3].cancel()
    calls[4].cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    kinds = [type(result).__name__ for result in results]
    assert kinds[3:5] == ["CancelledError"] * 2
    assert kinds[:3] + kinds[5:] == ["Response"] * 6
    assert order == [b"/%d" % number for number in (0, 1, 2, 5, 6, 7)]


# --- how long they are kept ----------------------------------------------------------------------


async def test_unused_connections_are_closed(serve_raw: ServeRaw, direct: Direct) -> None:
    """After the keep-alive time, by a timer, although no call comes."""
    ended = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + BODY)
        if await reader.read() == b"":
            ended.set()

    raw = await serve_raw(handler)
    transport = direct(keep_alive=0.05)
    await Client(url=raw.url, transport=transport).get("/x")
    await asyncio.wait_for(ended.wait(), 20)
    (pool,) = transport._pools.values()
    assert (pool._slots, pool._idle, pool.is_unused) == (0, [], True)


async def test_old_connections_are_not_used_again(serve_raw: ServeRaw, direct: Direct) -> None:
    """However busy they are, so that calls find a service that moved."""
    raw = await serve_raw(every)
    transport = direct()
    transport.max_age = -1.0  # whatever the clock of the loop makes of a short time
    client = Client(url=raw.url, transport=transport)
    for _ in range(3):
        await client.get("/x")
    assert raw.connections == 3


async def test_a_connection_that_the_service_closed_is_not_used(
    serve_raw: ServeRaw, direct: Direct
) -> None:
    """What closes while it is unused leaves the pool at once, so a POST does not meet it."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + BODY)

    raw = await serve_raw(handler)
    transport = direct()
    client = Client(url=raw.url, transport=transport)
    for expected in (1, 2, 3):
        assert (await client.post("/x")).status == 200
        assert raw.connections == expected
        (pool,) = transport._pools.values()
        await until(lambda pool=pool: pool.is_unused)  # type: ignore[misc]


async def test_an_early_answer_to_a_large_request(serve_raw: ServeRaw, direct: Direct) -> None:
    """A refusal that comes before the body was read is the answer, and the connection ends."""
    ended = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await writer.drain()
        if raw.connections == 1:
            await ended.wait()

    raw = await serve_raw(handler)
    client = Client(url=raw.url, transport=direct())
    res = await client.post("/x", data=b"x" * 30_000_000)
    assert (res.status, res.body) == (413, b"no")
    await client.get("/y")
    assert raw.connections == 2
    ended.set()


@pytest.mark.parametrize("slow", ["connection", "answer"])
async def test_the_shorter_limit_is_named(
    serve_raw: ServeRaw, direct: Direct, slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connecting counts against both limits, and the error says which one was met."""
    never = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await never.wait()

    raw = await serve_raw(handler)
    client = Client("region", url=raw.url, transport=direct(limit_per_host=1))
    if slow == "connection":

        async def stuck(*args: Any, **kwargs: Any) -> Any:
            await never.wait()

        monkeypatch.setattr("aiohappyeyeballs.start_connection", stuck)
        with pytest.raises(ServiceTimeout, match=r"no connection to region within 0\.02 s"):
            await client.get("/x", timeout=Timeout(total=5, connect=0.02))
    with pytest.raises(ServiceTimeout, match=r"did not answer GET /x within 0\.02 s"):
        await client.get("/x", timeout=Timeout(total=0.02, connect=5))
    with pytest.raises(ServiceTimeout, match=r"did not answer GET /x within 0\.02 s"):
        await client.get("/x", timeout=Timeout(total=0.02, connect=None))
    never.set()


# --- names ---------------------------------------------------------------------------------------


def answer_names(
    monkeypatch: pytest.MonkeyPatch, looked_up: Callable[[str, int], Awaitable[Any]]
) -> None:
    """Stand in for the look-up of names; uvloop looks addresses up as well, which are no names."""
    loop = asyncio.get_running_loop()
    original = loop.getaddrinfo

    async def getaddrinfo(host: str, port: int, **options: Any) -> Any:
        if host == "127.0.0.1":
            return await original(host, port, **options)
        return await looked_up(host, port)

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)


async def test_names_are_looked_up_once_for_all_and_kept(
    serve_raw: ServeRaw, direct: Direct, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls at once share a look-up, its answer serves for a while, and when the next look-up
    fails the last good answer serves on; a name that was never known is an error."""
    raw = await serve_raw(every)
    asked: list[str] = []
    fail = False

    async def looked_up(host: str, port: int) -> Any:
        asked.append(host)
        await asyncio.sleep(0)
        if fail or host == "unknown":
            raise socket.gaierror("Name or service not known")
        address = ("127.0.0.1", port)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)]

    answer_names(monkeypatch, looked_up)
    transport = direct()
    transport.max_age = -1.0
    client = Client("region", url=f"http://region.example:{raw.port}", transport=transport)
    await asyncio.gather(*(client.get("/x") for _ in range(10)))
    await client.get("/x")
    assert asked == ["region.example"]
    (pool,) = transport._pools.values()
    pool._fresh_until = -1.0
    fail = True
    await client.get("/x")
    await client.get("/x")
    assert len(asked) == 2
    pool._fresh_until = pool._kept_until = -1.0  # as after five minutes without an answer
    with pytest.raises(ServiceCallError, match="host name of region is not known"):
        await client.get("/x")
    unknown = Client("region", url=f"http://unknown:{raw.port}", transport=transport)
    with pytest.raises(ServiceCallError, match="host name of region is not known"):
        await unknown.get("/x")


async def test_another_address_is_tried(
    serve_raw: ServeRaw, direct: Direct, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several addresses one that takes no connection does not fail the call; where none does,
    the next call asks for the addresses again."""
    raw = await serve_raw(every)
    asked = 0
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        ports = [unused.getsockname()[1], raw.port]

        async def looked_up(host: str, port: int) -> Any:
            nonlocal asked
            asked += 1
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports
            ]

        answer_names(monkeypatch, looked_up)
        transport = direct()
        transport.max_age = -1.0
        client = Client("region", url="http://region.example", transport=transport)
        for _ in range(4):
            assert await client.get_json("/x") == 1
        assert asked == 1
        ports.pop()
        client = Client("region", url="http://region.example", transport=direct())
        for expected in (2, 3):
            with pytest.raises(ServiceCallError, match="cannot connect to region"):
                await client.get("/x")
            assert asked == expected
