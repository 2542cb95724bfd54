"""The deadline of the current request limits calls to other services, and is handed on to them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

import pytest
from aiohttp import ClientTimeout, web
from multidict import CIMultiDict
from tests.client.test_metrics import App
from tests.ports import free_port

from sanic_ms.client import (
    Client,
    DirectTransport,
    Endpoint,
    ServiceRequest,
    ServiceResponse,
    Timeout,
)
from sanic_ms.client.deadline import set_deadline
from sanic_ms.client.transport.aiohttp import _limits, network
from sanic_ms.exception import DeadlineExceeded, ServiceCallError, ServiceTimeout
from sanic_ms.resilience import Deadline, deadline_scope
from sanic_ms.testing import MockServices

Serve = Callable[..., Awaitable[str]]
Connect = Callable[..., Client]
ServeRaw = Callable[..., Awaitable[Any]]
MakeTransport = Callable[..., DirectTransport]

pytestmark = pytest.mark.usefixtures("make_transport")

HEADER = "X-Request-Timeout-Ms"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n1"


def remaining(request: bytes) -> int:
    """The header of a request as it was sent."""
    (line,) = [line for line in request.decode().split("\r\n") if line.startswith(HEADER)]
    return int(line.partition(": ")[2])


async def echo(request: web.Request) -> web.Response:
    """What came in the header, and what else is asked for."""
    if "redirect" in request.query:
        await asyncio.sleep(0.05)
        raise web.HTTPFound("/there")
    return web.json_response(request.headers.get(HEADER))


async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes requests, and ends when its caller closes the connection."""
    while await reader.read(65536):
        pass


# --- the end of a call ----------------------------------------------------------------------------


async def test_a_call_ends_with_the_deadline(serve_raw: ServeRaw, connect: Connect) -> None:
    """504, and the connection is closed: the other side sees its end."""
    ended = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await never(reader, writer)
        ended.set()

    raw = await serve_raw(handler)
    client = connect(raw.url)
    begin = time.monotonic()
    with deadline_scope(Deadline.after(0.2)), pytest.raises(DeadlineExceeded) as caught:
        await client.get("/x?token=hush", timeout=Timeout(None, None))
    assert 0.19 < time.monotonic() - begin < 20
    assert caught.value.status == 504
    assert caught.value.error == "the deadline was over before region answered GET /x"
    assert caught.value.__cause__ is not None
    async with asyncio.timeout(20):
        await ended.wait()
    assert raw.connections == 1


async def test_a_shorter_timeout_is_what_it_was(serve_raw: ServeRaw, connect: Connect) -> None:
    """Where the call's own limit ends it, the error is that of the call, with its seconds."""
    raw = await serve_raw(never)
    client = connect(raw.url)
    with deadline_scope(Deadline.after(60)):
        with pytest.raises(ServiceTimeout, match=r"within 0\.05 s"):
            await client.get("/x", timeout=0.05)
        with pytest.raises(ServiceTimeout, match=r"within 0\.05 s"):
            await client.get("/x", timeout=0.05, allow_redirects=True)


def test_a_long_deadline_is_not_rounded_up() -> None:
    """aiohttp counts whole seconds above five; a deadline has milliseconds."""
    request = ServiceRequest(
        service="region", method="GET", path="/x", endpoint=Endpoint("http://h", "h"),
        url="http://h/x", params=None, headers=CIMultiDict(), body=None, timeout=Timeout(60, 1),
    )  # fmt: skip
    assert _limits(request) == {"timeout": ClientTimeout(total=60, connect=1)}
    set_deadline(request, Deadline.after(7.5))
    timeout = _limits(request)["timeout"]
    assert 7 < timeout.total < 7.5
    assert (timeout.connect, timeout.ceil_threshold) == (1, inf)


async def test_waiting_for_a_connection_ends_with_the_deadline(
    serve_raw: ServeRaw, connect: Connect, make_transport: MakeTransport
) -> None:
    """A call behind another one is not sent; the connection is the next one's."""
    answer = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            raw.requests.append(data)
            await answer.wait()
            writer.write(OK)

    raw = await serve_raw(handler)
    transport = make_transport(limit_per_host=1)
    client = connect(raw.url, transport=transport, timeout=Timeout(60, None))
    first = asyncio.ensure_future(_get(client, "/first"))
    async with asyncio.timeout(20):
        while not raw.requests:  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(0.005)
    with deadline_scope(Deadline.after(0.1)), pytest.raises(DeadlineExceeded):
        await client.get("/second")
    answer.set()
    assert await first == 1
    assert await client.get_json("/third") == 1
    assert raw.connections == 1
    assert [data.split()[1] for data in raw.requests] == [b"/first", b"/third"]
    await transport.close()


async def _get(client: Client, path: str) -> Any:
    return await client.get_json(path)


async def test_a_body_ends_with_the_deadline(serve_raw: ServeRaw, connect: Connect) -> None:
    """It counts to the last byte, as the call's own limit does, also where the body is read in
    pieces, and whatever the deadline is where it is read."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        await never(reader, writer)

    raw = await serve_raw(handler)
    client = connect(raw.url)
    pieces = []
    with deadline_scope(Deadline.after(0.2)):
        call = client.get("/x")
        async with call as response:
            with deadline_scope(None), pytest.raises(DeadlineExceeded):  # noqa: PT012
                async for piece in response.stream():
                    pieces.append(piece)
    assert pieces == [b"abc"]


async def test_nothing_is_sent_after_the_deadline(serve_raw: ServeRaw, connect: Connect) -> None:
    """Not even a connection is opened."""
    raw = await serve_raw(never)
    client = connect(raw.url)
    with deadline_scope(Deadline.after(0)):
        for redirects in (False, True):
            with pytest.raises(DeadlineExceeded, match="before POST /x was sent to region"):
                await client.post("/x", allow_redirects=redirects)
    assert raw.connections == 0


async def test_other_failures_are_what_they_were(connect: Connect) -> None:
    """A deadline that has time makes no other error a matter of time."""
    client = connect(f"http://127.0.0.1:{free_port()}")
    with (
        deadline_scope(Deadline.after(60)),
        pytest.raises(ServiceCallError, match="cannot connect"),
    ):
        await client.get("/x")


# --- the header -----------------------------------------------------------------------------------


async def test_a_call_says_what_remains(serve: Serve, connect: Connect) -> None:
    """Whole milliseconds, rounded down; the call's own limit where that is less; nothing where
    there is no deadline. By both transports."""
    client = connect(await serve(echo))
    for redirects in (False, True):
        assert await client.get_json("/x", allow_redirects=redirects) is None
        with deadline_scope(Deadline.after(5)):
            assert 4000 < int(await client.get_json("/x", allow_redirects=redirects)) < 5000
            assert (
                1900 < int(await client.get_json("/x", timeout=2, allow_redirects=redirects)) < 2000
            )
            assert (
                4000
                < int(await client.get_json("/x", timeout=Timeout(None), allow_redirects=redirects))
                < 5000
            )
        assert await client.get_json("/x", allow_redirects=redirects) is None


async def test_a_header_of_the_caller_stays(serve: Serve, connect: Connect) -> None:
    """Whoever sets it has a reason; the call still ends with the deadline."""
    url = await serve(echo)
    client = connect(url)
    preset = connect(url, headers={HEADER.lower(): "8"})
    with deadline_scope(Deadline.after(5)):
        for redirects in (False, True):
            assert (
                await client.get_json(
                    "/x", headers={HEADER.upper(): "7"}, allow_redirects=redirects
                )
                == "7"
            )
            assert await preset.get_json("/x", allow_redirects=redirects) == "8"


async def test_a_second_attempt_says_what_remains_then(
    serve_raw: ServeRaw, connect: Connect
) -> None:
    """A kept connection that was closed as it is used again: the request is sent once more, with
    the time that is left by then."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)
        if raw.connections == 1:
            raw.requests.append(await reader.readuntil(b"\r\n\r\n"))
            await asyncio.sleep(0.1)

    raw = await serve_raw(handler)
    client = connect(raw.url)
    assert await client.get_json("/x") == 1
    with deadline_scope(Deadline.after(5)):
        assert await client.get_json("/x") == 1
    assert raw.connections == 2
    before, after = (remaining(request) for request in raw.requests[1:])
    assert 4000 < after <= before - 90


async def test_a_call_that_had_all_the_time_is_not_tried_again(
    serve_raw: ServeRaw, connect: Connect
) -> None:
    """Over a kept connection, where another attempt would be allowed."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await never(reader, writer)

    raw = await serve_raw(handler)
    client = connect(raw.url)
    assert await client.get_json("/x") == 1
    with deadline_scope(Deadline.after(0.1)), pytest.raises(DeadlineExceeded):
        await client.get_json("/x")
    assert raw.connections == 1


async def test_a_call_that_has_waited_says_what_remains_then(
    serve_raw: ServeRaw, connect: Connect, make_transport: MakeTransport
) -> None:
    """For a connection: the header is written when the request is sent."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            raw.requests.append(await reader.readuntil(b"\r\n\r\n"))
            await asyncio.sleep(0.1)
            writer.write(OK)

    raw = await serve_raw(handler)
    transport = make_transport(limit_per_host=1)
    client = connect(raw.url, transport=transport)
    with deadline_scope(Deadline.after(5)):
        await asyncio.gather(client.get_json("/a"), client.get_json("/b"))
    before, after = (remaining(request) for request in raw.requests)
    if transport._direct:
        assert 4000 < after <= before - 90
    await transport.close()


async def test_a_redirect_says_what_remains_then(serve: Serve, connect: Connect) -> None:
    """It is another request of the same call."""
    client = connect(await serve(echo))
    with deadline_scope(Deadline.after(5)):
        left = int(await client.get_json("/x?redirect=1", allow_redirects=True))
    assert 4000 < left < 4955


async def test_a_transport_that_retries_has_what_remains(serve: Serve, connect: Connect) -> None:
    """Each attempt that is handed to the transport below has the time, and the header, of then."""
    seen: list[tuple[float, int]] = []
    inner = DirectTransport()

    class Retrying(DirectTransport):
        async def send(self, request: ServiceRequest) -> ServiceResponse:
            for _ in range(2):
                response = await inner.send(request)
                assert request.timeout.total is not None
                seen.append((request.timeout.total, int(request.headers[HEADER])))
                await asyncio.sleep(0.05)
            return response

    client = connect(await serve(echo), transport=Retrying())
    with deadline_scope(Deadline.after(5)):
        async with client.get("/x") as response:
            await response.read()
    (first, first_header), (second, second_header) = seen
    assert 4 < second <= first - 0.04
    assert first_header - second_header >= 40
    await inner.close()


# --- tests, metrics, traces -----------------------------------------------------------------------


async def test_mocks_see_the_header(connect: Connect) -> None:
    """Like any other header; and a mock's delay meets the deadline."""
    mock = MockServices()
    mock.get("/x", payload=1)
    mock.get("/slow", payload=1, delay=60)
    client = connect("http://region.invalid")
    token = network.set(mock)
    await client.get("/x")
    with deadline_scope(Deadline.after(5)):
        await client.get("/x")
    with deadline_scope(Deadline.after(0.05)), pytest.raises(DeadlineExceeded):
        await client.get("/slow")
    network.reset(token)
    assert HEADER not in mock.calls[0].headers
    assert 4000 < int(mock.calls[1].headers[HEADER]) < 5000


async def test_metrics_tell_it_apart(serve_raw: ServeRaw) -> None:
    """A call that the deadline has ended has an outcome of its own."""
    app = App()
    raw = await serve_raw(never)
    client = Client("region", url=raw.url, app=app)
    with deadline_scope(Deadline.after(0.05)), pytest.raises(DeadlineExceeded):
        await client.get("/x")
    with deadline_scope(Deadline.after(60)), pytest.raises(ServiceTimeout):
        await client.get("/x", timeout=0.05)
    assert app.calls() == {
        ("region", "GET", "deadline_exceeded"): 1,
        ("region", "GET", "timeout"): 1,
    }
    await client.transport.close()
