"""W3C Baggage: read from requests, seen by the application, sent on by calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, context, trace
from tests.client.strict import StrictServer
from tests.telemetry.tracing.conftest import SPAN, TRACE, FakeRequest

from sanic_ms import Service
from sanic_ms.client import Client, DirectTransport
from sanic_ms.telemetry.tracing import Provider, ServerSpans, headers_out, known_ids
from sanic_ms.telemetry.tracing.baggage import clean, read_entries, write_entries
from sanic_ms.telemetry.tracing.provider import install, uninstall
from sanic_ms.testing import LiveServer

_numbers = count()
PARENT = f"traceparent: 00-{TRACE}-{SPAN}-01"


@contextmanager
def set_entries(**entries: object) -> Iterator[None]:
    """Entries of baggage that are current for the block."""
    current = context.get_current()
    for name, value in entries.items():
        current = baggage.set_baggage(name, value, current)
    token = context.attach(current)
    try:
        yield
    finally:
        context.detach(token)


def sent() -> str | None:
    """The baggage that a call would carry."""
    return dict(headers_out()).get("baggage")


# --- the text ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected", "entries"),
    [
        ([b"a=1"], "a=1", {"a": "1"}),
        ([b"a=1,b=2", b"c=3"], "a=1,b=2,c=3", {"a": "1", "b": "2", "c": "3"}),
        ([b" a = 1 ;p;q = 2 , b=2\t"], "a = 1 ;p;q = 2,b=2", {"a": "1", "b": "2"}),
        ([b"a=Am%C3%A9lie%2C%20x+y"], "a=Am%C3%A9lie%2C%20x+y", {"a": "Amélie, x+y"}),
        ([b"a=%ff%zz"], "a=%ff%zz", {"a": "\ufffd%zz"}),
        ([b"a=1==2"], "a=1==2", {"a": "1==2"}),
        ([b"a="], "a=", {"a": ""}),
        ([b"a=1,a=2"], "a=1,a=2", {"a": "2"}),
        ([b"A=1,a=2"], "A=1,a=2", {"A": "1", "a": "2"}),
        # What is malformed is dropped, and the rest is kept.
        ([b"a=1,b,=2,,c d=3,e=x y,f=\"1\",g=a\\b,h=1;,i=\xc3\xbc,k=1;p q,z=9"], "a=1,z=9",
         {"a": "1", "z": "9"}),
        ([b""], "", {}),
        ([b"nonsense"], "", {}),
        ([b"a=1\x00", b"b=\x7f"], "", {}),
    ],
)  # fmt: skip
def test_a_header_is_read(values: list[bytes], expected: str, entries: dict[str, str]) -> None:
    """Well-formed members are handed on as they came; their values are percent-decoded, and
    properties are no part of them."""
    assert clean(values) == expected
    assert read_entries(expected) == entries


def test_the_limits_cut_no_member() -> None:
    """At most 180 members and 8192 bytes are handed on; a member that does not fit is left out as a
    whole, and one behind it that fits is not."""
    many = ",".join(f"k{number}=1" for number in range(200))
    assert clean([many.encode()]).split(",") == many.split(",")[:180]
    big = b"a=" + b"x" * 8190
    assert clean([big]) == big.decode()
    assert clean([big + b"x", b"b=1"]) == "b=1"
    assert clean([b"a=1", big, b"b=1"]) == "a=1,b=1"
    entries = {f"k{number}": "x" * 100 for number in range(200)}
    written = write_entries(entries)
    assert len(written) <= 8192
    assert read_entries(written) == dict(list(entries.items())[: len(written.split(","))])
    assert write_entries({"a": "ü" * 9000, "b": 1}) == "b=1"


class Untold:
    """A value without a text."""

    def __str__(self) -> str:
        raise RuntimeError("no")


def test_entries_are_written() -> None:
    """Values are percent-encoded; what cannot be sent is left out and raises nothing."""
    entries: dict[Any, object] = {
        "a": "x, y;z=%ü\r\n",
        "b": 7,
        "c d": 1,
        "": 1,
        5: 1,
        "e": Untold(),
    }
    assert write_entries(entries) == "a=x%2C%20y%3Bz=%25%C3%BC%0D%0A,b=7"
    assert write_entries({"a": "\udc80", "b": '"\\'}) == "a=?,b=%22%5C"
    assert write_entries({}) == ""


def test_entries_that_are_as_they_came_keep_their_properties() -> None:
    """An application that adds an entry does not change those of others."""
    received = "a=%41;ttl=5,b=2;x"
    assert write_entries({"a": "A", "b": "3", "c": "4"}, received) == "a=%41;ttl=5,b=3,c=4"
    assert write_entries({"c": "4"}, received) == "c=4"


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=6))
def test_what_is_written_is_read_again(entries: dict[str, object]) -> None:
    """Whatever the values are; and a header has no line break and no second member in a value."""
    written = write_entries(entries)
    assert written.isascii()
    assert written.isprintable()
    assert clean([written.encode()]) == written
    read = read_entries(written)
    assert (
        read.items()
        <= {
            key: str(value).encode(errors="replace").decode() for key, value in entries.items()
        }.items()
    )


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_no_bytes_raise(values: list[bytes]) -> None:
    """What was understood stays so when it is handed on."""
    once = clean(values)
    assert clean([once.encode()]) == once
    assert all(unquote(str(value)) is not None for value in read_entries(once).values())


# --- a request -----------------------------------------------------------------------------------


@pytest.mark.parametrize("asgi", [False, True])
@pytest.mark.parametrize("ratio", [0.0, 1.0])
@pytest.mark.parametrize("lines", [[], [PARENT], ["b3: 0"]])
def test_the_baggage_of_a_request_is_current(
    apart: Callable[..., Any], asgi: bool, ratio: float, lines: list[str]
) -> None:
    """With a trace and without one, recorded or not: the application reads it, calls carry it, and
    what the application sets, changes or removes is what calls carry then."""
    route = ServerSpans(Provider(lambda span: None, ratio=ratio)).route("GET", "/x")
    request = FakeRequest(*lines, "Baggage: a=%41;p=1,b=2", "baggage: bad, c=3", asgi=asgi)

    def serve() -> None:
        span = route.begin(request)
        assert dict(baggage.get_all()) == {"a": "A", "b": "2", "c": "3"}
        assert sent() == "a=%41;p=1,b=2,c=3"
        assert "traceparent" in dict(headers_out())
        with set_entries(b="x y", d=4):
            assert baggage.get_baggage("a") == "A"
            assert sent() == "a=%41;p=1,b=x%20y,c=3,d=4"
            assert sent() == dict(headers_out(span.span)).get("baggage")
        token = context.attach(baggage.remove_baggage("a"))
        assert sent() == "b=2,c=3"
        context.detach(token)
        token = context.attach(baggage.clear())
        assert sent() is None
        context.detach(token)
        with trace.use_span(span.span):
            assert sent() == "a=%41;p=1,b=2,c=3"
            assert dict(baggage.get_all()) == {"a": "A", "b": "2", "c": "3"}
        span.end(200)
        assert sent() == "a=%41;p=1,b=2,c=3"  # a task that outlives its request
        span.detach()
        assert sent() is None

    apart(serve)


@pytest.mark.parametrize("asgi", [False, True])
@pytest.mark.parametrize("lines", [[], ["baggage: "], ["baggage: nonsense"], ["X-Baggage: a=1"]])
def test_without_baggage_there_is_none(
    apart: Callable[..., Any], asgi: bool, lines: list[str]
) -> None:
    """The context has no key for it, and calls carry no header."""
    route = ServerSpans(Provider(lambda span: None)).route("GET", "/x")

    def serve() -> None:
        route.begin(FakeRequest(PARENT, *lines, asgi=asgi))
        assert dict(baggage.get_all()) == {}
        assert len(dict(context.get_current())) == 2
        assert sent() is None
        with set_entries(a=1):
            assert sent() == "a=1"

    apart(serve)


def test_baggage_alone_is_no_trace(apart: Callable[..., Any]) -> None:
    """A request with baggage and without a trace begins one as any other: by the share of its
    route, and its ids are worth a word only where somebody else has seen them."""
    recorded = ServerSpans(Provider(lambda span: None)).route("GET", "/x")
    passed = ServerSpans(Provider(lambda span: None, ratio=0)).route("GET", "/x")

    def serve(route: Any) -> tuple[bool, bool]:
        span = route.begin(FakeRequest("baggage: a=1"))
        return span.sampled, known_ids() is not None

    assert apart(serve, recorded) == (True, True)
    assert apart(serve, passed) == (False, False)


def test_baggage_goes_along_outside_of_a_trace(apart: Callable[..., Any]) -> None:
    """And beside a span that no request has."""

    def work() -> None:
        assert list(headers_out()) == []
        with set_entries(job=7):
            assert list(headers_out()) == [("baggage", "job=7")]
            provider = Provider(lambda span: None)
            install(provider)
            try:
                with trace.get_tracer("job").start_as_current_span("job"):
                    assert sorted(dict(headers_out())) == ["baggage", "traceparent"]
            finally:
                uninstall(provider)

    apart(work)


# --- a whole service -----------------------------------------------------------------------------


@pytest.mark.parametrize("full_path", [False, True])
@pytest.mark.parametrize("choice", ["auto", "aiohttp"])
@pytest.mark.parametrize("share", [0, 1])
async def test_a_service_reads_baggage_and_sends_it_on(
    full_path: bool, choice: str, share: int
) -> None:
    """The next service gets the caller's entries and the application's own. Requests on the same
    connection, those without baggage among them, keep theirs apart; a call's own header wins."""
    strict = await StrictServer.start()
    app = Service(f"baggage-{next(_numbers)}")
    app.configure(access_log=False)
    transport = DirectTransport(choice=lambda: choice)
    client = Client("behind", url=strict.url, transport=transport)

    @app.get("/plain", ctx_trace_sample=share)
    async def plain(request: Any) -> Any:
        await client.get("/behind")
        return dict(baggage.get_all())

    @app.get("/own", ctx_trace_sample=share)
    async def own(request: Any) -> Any:
        with set_entries(shop="ü"):
            await client.get("/behind")
        await client.get("/behind", headers={"baggage": "x=1"})

    @app.before_server_stop
    async def close(app: Service) -> None:
        await transport.close()

    if full_path:

        @app.on_request
        async def nothing(request: Any) -> None: ...

    server = LiveServer(app)
    # Not in this thread, in which the next service runs.
    await asyncio.to_thread(server.start)
    try:
        reader, writer = await asyncio.open_connection(server.host, server.port)

        async def get(path: str, *lines: str) -> bytes:
            head = [f"GET {path} HTTP/1.1", "Host: a", *lines, "", ""]
            writer.write("\r\n".join(head).encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200 ")
            size = answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            return await reader.readexactly(int(size))

        for _ in range(3):
            assert b'"user":"7"' in await get("/plain", "baggage: user=7;p,bad")
            assert b'"data":{}' in await get("/plain")
            await get("/own", "Baggage: user=8", PARENT)
            await get("/own")
        writer.close()
    finally:
        await asyncio.to_thread(server.stop)
    await strict.stop()
    seen = [request.all("baggage") for request in strict.requests]
    behind = [["user=7;p"], [], ["user=8,shop=%C3%BC"], ["x=1"], ["shop=%C3%BC"], ["x=1"]]
    assert seen == behind * 3
    parents = [request.all("traceparent") for request in strict.requests]
    assert [len(values) for values in parents] == [1] * 18
    # Both those calls that are recorded and those that are not.
    assert {values[0][-2:] for values in parents[:2]} == {f"0{share}"}
