"""Which request headers are sent, and how: the same over both transports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from tests.client.strict import Received, StrictServer

from sanic_ms import Service
from sanic_ms.client import Client, DirectTransport
from sanic_ms.client.transport.request_headers import headers_to_send
from sanic_ms.testing import LiveServer

Connect = Callable[..., Client]
Answer = tuple[Received, int]

pytestmark = pytest.mark.usefixtures("make_transport")


@pytest.fixture
async def strict() -> AsyncIterator[StrictServer]:
    """A server that takes each message exactly as it is framed."""
    server = await StrictServer.start()
    yield server
    await server.stop()


async def sent(
    strict: StrictServer, connect: Connect, headers: Any, method: str = "POST", data: Any = b"abc"
) -> Received:
    """What one call puts on the wire. A second call over the same connections follows it: whatever
    the first had left over would be taken for the beginning of that one."""
    client = connect(strict.url)
    assert (await client.request(method, "/first", data=data, headers=headers)).status == 200
    assert (await client.get("/second")).status == 200
    first, second = strict.requests
    assert (first.line, second.line) == (f"{method} /first HTTP/1.1", "GET /second HTTP/1.1")
    return first


# --- framing -------------------------------------------------------------------------------------


COPIED: list[Mapping[str, str]] = [
    {"transfer-encoding": "chunked"},
    {"Transfer-Encoding": "chunked", "Content-Length": "3"},
    {"transfer-encoding": "gzip, chunked"},
    {"transfer-encoding": "identity"},
    {"content-length": "5"},
    {"content-length": "1"},
    {"content-length": "-1"},
    {"content-length": "3, 3"},
    {"Content-Length": "3"},
    CIMultiDict([("Content-Length", "3"), ("content-length", "4")]),
    {"connection": "keep-alive, upgrade, http2-settings", "upgrade": "h2c", "http2-settings": "x"},
    {"connection": "te", "te": "trailers", "trailer": "x-sum", "keep-alive": "timeout=5"},
    {"proxy-connection": "keep-alive", "proxy-authorization": "Basic eDp5"},
]


@pytest.mark.parametrize("headers", COPIED)
@pytest.mark.parametrize("more", [{}, {"accept-encoding": "gzip"}])
@pytest.mark.parametrize("data", [b"abc", "abc", None])
async def test_framing_is_the_transports(
    strict: StrictServer, connect: Connect, headers: Any, more: dict[str, str], data: Any
) -> None:
    """Headers that frame a message or that hold for one connection are not sent as they were given:
    the body is framed by its own length, over our own connections and over aiohttp's."""
    given = CIMultiDict(headers)
    given.extend({**more, "X-Kept": "1"})
    received = await sent(strict, connect, given, data=data)
    assert received.body == (b"" if data is None else b"abc")
    assert received.all("content-length") == [str(len(received.body))]
    assert received.all("x-kept") == ["1"]
    for name in ("transfer-encoding", "connection", "upgrade", "te", "trailer", "keep-alive"):
        assert received.all(name) == []
    for name in ("http2-settings", "proxy-connection", "proxy-authorization"):
        assert received.all(name) == []


async def test_a_get_with_copied_framing_has_no_body(
    strict: StrictServer, connect: Connect
) -> None:
    """The length of an incoming body is not announced for a request that has none."""
    headers = {"content-length": "9", "transfer-encoding": "chunked", "expect": "100-continue"}
    received = await sent(strict, connect, headers, method="GET", data=None)
    assert received.body == b""
    assert not received.all("content-length") + received.all("transfer-encoding")
    assert not received.all("expect")


async def test_a_body_of_unknown_length_is_chunked(strict: StrictServer, connect: Connect) -> None:
    """Whatever length was given for it: the message ends where the body does."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"
        yield b"defgh"

    received = await sent(strict, connect, {"content-length": "3"}, data=pieces())
    assert received.body == b"abcdefgh"
    assert received.all("transfer-encoding") == ["chunked"]
    assert received.all("content-length") == []


async def test_a_header_that_connection_names_stays(strict: StrictServer, connect: Connect) -> None:
    """A client that sends ``Connection: x-user`` cannot take away a header that the application
    adds to those that it hands on."""
    headers = {"connection": "x-user, authorization", "x-user": "7", "authorization": "Bearer t"}
    received = await sent(strict, connect, headers)
    assert received.all("x-user") == ["7"]
    assert received.all("authorization") == ["Bearer t"]
    assert received.all("connection") == []


async def test_a_call_may_ask_for_the_connection_to_be_closed(
    strict: StrictServer, connect: Connect
) -> None:
    """``Connection: close`` is sent, without whatever else stood in the header."""
    received = await sent(strict, connect, {"Connection": "Upgrade, Close"})
    assert received.all("connection") == ["close"]
    assert strict.connections == 2


# --- names and values ----------------------------------------------------------------------------


NOT_SENT: list[tuple[Any, str]] = [
    ({"X Y": "1"}, "header name 'X Y'"),
    ({"": "1"}, "header name ''"),
    ({"X:": "1"}, "header name 'X:'"),
    ({"X\r\nY": "1"}, "header name"),
    ({"Ä": "1"}, "header name"),
    ({"X-A": "secret\r\nY: 1"}, r"header X-A: the character '\\r' at 6"),
    ({"X-A": "secret\n"}, "header X-A"),
    ({"X-A": "secret\x00"}, "header X-A"),
    ({"X-A": "secret\x0b"}, "header X-A"),
    ({"X-A": "secret\x7f"}, "header X-A"),
    ({"X-A": "secret\udc80"}, "header X-A"),
    ({"X-A": 5}, "header X-A: a value is text, not int"),
    ({"X-A": b"secret"}, "header X-A: a value is text, not bytes"),
    ({"X-A": None}, "header X-A: a value is text, not NoneType"),
    ({"Content-Length": "3\r\nX: y"}, "header Content-Length"),
    ({"Host": "a b"}, "header Host"),
    ({"Host": ""}, "header Host"),
    ({"Host": "a,b"}, "header Host"),
    ({"Host": "user@a"}, "header Host"),
    ({"Host": "a:b"}, "header Host"),
    ({"Host": "[::1"}, "header Host"),
    (CIMultiDict([("Host", "a"), ("host", "a")]), "header Host stands twice"),
]


@pytest.mark.parametrize(("headers", "message"), NOT_SENT)
async def test_what_no_request_can_hold_is_the_callers_mistake(
    strict: StrictServer, connect: Connect, headers: Any, message: str
) -> None:
    """A name or a value that cannot be sent is a ValueError that names the header and does not show
    its value; no connection is made for it."""
    client = connect(strict.url)
    with pytest.raises(ValueError, match=message) as caught:
        await client.post("/x", data=b"abc", headers=headers)
    assert "secret" not in str(caught.value)
    assert strict.connections == 0
    with pytest.raises(ValueError, match=message):
        Client(url=strict.url, headers=headers)


@pytest.mark.parametrize("method", ["", "GET /x HTTP/1.1\r\nX: y\r\n\r\nGET", "A B", "PÜT"])
async def test_a_method_is_a_token(strict: StrictServer, connect: Connect, method: str) -> None:
    """No method makes another request line."""
    with pytest.raises(ValueError, match="method"):
        await connect(strict.url).request(method, "/x")
    assert strict.connections == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Name", "café 日本"),
        ("X-Tab", "a\tb"),
        ("X-Empty", ""),
        ("!#$%&'*+-.^_`|~09aZ", "1"),
        ("Content-Encoding", "gzip"),
    ],
)
async def test_every_other_header_is_sent(
    strict: StrictServer, connect: Connect, name: str, value: str
) -> None:
    """Text beyond ASCII goes as UTF-8."""
    received = await sent(strict, connect, {name: value})
    assert received.all(name.lower()) == [value]


@pytest.mark.parametrize("host", ["region", "region.internal:8080", "[::1]:80", "10.0.0.1", "a_b"])
async def test_a_host_of_the_callers_stands_once(
    strict: StrictServer, connect: Connect, host: str
) -> None:
    """It takes the place of that of the base URL."""
    assert (await sent(strict, connect, {"host": host})).all("host") == [host]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("gzip, deflate, br, zstd", "gzip, deflate"),
        ("br;q=1.0, gzip;q=0.5", "gzip;q=0.5"),
        ("GZIP", "GZIP"),
        ("identity", "identity"),
        ("br", "identity"),
        ("*", "gzip, deflate"),
        ("", "identity"),
    ],
)
async def test_only_what_can_be_unpacked_is_asked_for(
    strict: StrictServer, connect: Connect, given: str, expected: str
) -> None:
    """A browser's ``Accept-Encoding`` that is handed on does not bring an answer that nothing here
    can read."""
    received = await sent(strict, connect, {"accept-encoding": given})
    assert received.all("accept-encoding") == [expected]


# --- the usual case ------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["chunked", "length"])
async def test_a_service_hands_an_incoming_request_on(
    strict: StrictServer, make_transport: Callable[[], DirectTransport], framing: str
) -> None:
    """``headers=dict(request.headers)`` works for any incoming request: the service behind gets one
    request with the same body and the headers that concern it."""
    app = Service(f"forwarder-{uuid4().hex}")
    client = Client("behind", url=strict.url, transport=make_transport())

    async def forward(request: Any) -> Any:
        headers = dict(request.headers)
        answer = await client.post("/behind", data=request.body, headers=headers)
        return await answer.raw_json()

    app.add_route(forward, "/forward", methods=["POST"])

    @app.before_server_stop
    async def close(app: Service) -> None:
        await client.transport.close()

    body = (
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        if framing == "chunked"
        else b"Content-Length: 5\r\n\r\nabcde"
    )
    with LiveServer(app) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        for _ in range(2):
            writer.write(
                b"POST /forward HTTP/1.1\r\nHost: outside\r\nConnection: keep-alive, te\r\n"
                b"TE: trailers\r\nKeep-Alive: timeout=5\r\nAccept-Encoding: gzip, br\r\n"
                b"X-User: 7\r\nContent-Type: text/plain\r\n" + body
            )
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            size = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(size))
        writer.close()
    assert len(strict.requests) == 2
    for received in strict.requests:
        assert received.line == "POST /behind HTTP/1.1"
        assert received.body == b"abcde"
        assert received.all("content-length") == ["5"]
        assert received.all("x-user") == ["7"]
        assert received.all("content-type") == ["text/plain"]
        assert received.all("accept-encoding") == ["gzip"]
        for name in ("transfer-encoding", "connection", "te", "keep-alive"):
            assert received.all(name) == []


# --- whatever the headers are --------------------------------------------------------------------


_NAMES = st.sampled_from(
    [
        *(
            "Content-Length",
            "content-length",
            "CONTENT-LENGTH",
            "Transfer-Encoding",
            "Host",
            "host",
        ),
        *("Connection", "Expect", "TE", "Upgrade", "Accept-Encoding", "Content-Encoding", "X-A"),
        *("User-Agent", "Accept", "Content-Type", "Content-Length ", " Host", "Host:", "Trailer"),
    ]
)
_VALUES = st.sampled_from(
    ["chunked", "3", "0", "close", "keep-alive, host", "a", "gzip", "100-continue", "a\r\nHost: b"]
)
_FRAMING = st.sampled_from(
    [("Transfer-Encoding", "chunked"), ("transfer-encoding", "gzip"), ("Content-Length", "1"),
     ("content-length", "7"), ("Host", "a"), ("host", "b"), ("Connection", "close")]
)  # fmt: skip
_HEADERS = st.lists(
    _FRAMING | st.tuples(_NAMES | st.text(max_size=8), _VALUES | st.text(max_size=12)), max_size=5
)


def one_call(runner: asyncio.Runner, strict: StrictServer, client: Client, call: Any) -> None:
    method, pairs, data = call
    strict.requests.clear()
    try:
        runner.run(made(client.request(method, "/x", data=data, headers=CIMultiDict(pairs))))
    except ValueError:
        assert not strict.requests
        return
    (received,) = strict.requests
    assert received.line == f"{method} /x HTTP/1.1"
    assert received.body == (data.encode() if isinstance(data, str) else data or b"")
    assert len(received.all("host")) == 1
    assert len(received.all("content-length")) + len(received.all("transfer-encoding")) <= 1
    # Each line is a header that the call has, or one that the transport adds.
    known = {name.lower() for name, _ in pairs} | {
        *("host", "accept", "accept-encoding", "user-agent", "content-length", "content-type"),
        *("transfer-encoding",),
    }
    assert {name for name, _ in received.headers} <= known
    values = {value.strip() for _, value in pairs}
    for name, value in received.headers:
        if name in {pair[0].lower() for pair in pairs} and name not in (
            *("content-length", "transfer-encoding", "connection", "accept-encoding"),
        ):
            assert value in values


async def made(call: Awaitable[Any]) -> Any:
    return await call


def test_no_headers_break_the_framing(make_transport: Callable[[], DirectTransport]) -> None:
    """Whatever headers a call is given: it fails before anything is sent, or the server gets one
    request with one ``Host``, at most one header that frames it, the body that was given and no
    line that is not a header of the call."""
    with asyncio.Runner() as runner:
        strict = runner.run(StrictServer.start())
        transport = make_transport()
        client = Client("region", url=strict.url, transport=transport, timeout=5)

        @settings(max_examples=200, deadline=None)
        @given(
            st.tuples(
                st.sampled_from(["GET", "POST", "DELETE", "PURGE"]),
                _HEADERS,
                st.sampled_from([None, b"", b"abc", "text"]),
            )
        )
        def check(call: Any) -> None:
            one_call(runner, strict, client, call)

        async def end() -> None:
            await transport.close()
            await strict.stop()

        try:
            check()
        finally:
            runner.run(end())


@given(_HEADERS, st.booleans())
def test_the_rule_applied_twice_is_the_rule(pairs: list[tuple[str, str]], has_body: bool) -> None:
    """A transport around another may have applied it before."""
    try:
        once = headers_to_send(CIMultiDict(pairs), has_body=has_body)
    except ValueError:
        return
    assert headers_to_send(once, has_body=has_body) == once
