"""Services that are down, slow, broken or hostile."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import time
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.ports import free_port

from sanic_ms.client import Client, DirectTransport, Timeout
from sanic_ms.exception import ServiceCallError, ServiceTimeout

Serve = Callable[..., Awaitable[str]]
Connect = Callable[..., Client]
ServeRaw = Callable[..., Awaitable[Any]]
MakeTransport = Callable[..., DirectTransport]

pytestmark = pytest.mark.usefixtures("make_transport")

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n"
BODY = b'{"code":0,"data":1}'


async def head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    writer.transport.abort()


async def test_nobody_listens(connect: Connect) -> None:
    """A refused connection is 502, named by service and call; the cause is kept for the log."""
    client = connect(f"http://user:hush@127.0.0.1:{free_port()}")
    with pytest.raises(ServiceCallError) as caught:
        await client.get("/x?token=hush")
    exc = caught.value
    assert (exc.status, exc.service) == (502, "region")
    assert exc.error == "cannot connect to region for GET /x"
    assert exc.__cause__ is not None
    assert "hush" not in f"{exc} {exc!r} {exc.__cause__} {exc.__cause__!r}"


async def test_an_unknown_host(connect: Connect) -> None:
    """A name that does not resolve is 502."""
    client = connect("http://no-such-host.invalid")
    with pytest.raises(ServiceCallError, match="host name of region is not known"):
        await client.get("/x")


async def test_a_slow_answer_is_a_timeout(serve: Serve, connect: Connect) -> None:
    """The limit of the client and that of the call are kept: 504."""
    done = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        await done.wait()
        return web.Response()

    client = connect(await serve(handler), timeout=0.05)
    for options in ({}, {"timeout": 0.05}, {"timeout": Timeout(total=0.05)}):
        with pytest.raises(ServiceTimeout, match=r"region did not answer GET /x within 0\.05 s"):
            await client.get("/x", **options)
    done.set()


async def test_a_body_that_drips_meets_the_total_limit(
    serve_raw: ServeRaw, connect: Connect
) -> None:
    """The total limit is absolute: a byte now and then does not extend it."""

    async def chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1\r\nx\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    raw = await serve_raw(chunks)
    client = connect(raw.url, timeout=0.2)
    begin = time.monotonic()
    with pytest.raises(ServiceTimeout):
        await client.get("/x")
    assert time.monotonic() - begin < 30


async def test_a_half_open_service_is_a_timeout(serve_raw: ServeRaw, connect: Connect) -> None:
    """One that accepts and says nothing is given up, and its connection is not used again."""
    waiting = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        await waiting.wait()

    raw = await serve_raw(silent)
    client = connect(raw.url, timeout=0.5)
    for expected in (1, 2):
        with pytest.raises(ServiceTimeout):
            await client.get("/x")
        assert raw.connections == expected
    waiting.set()


async def test_no_free_connection_is_a_timeout(serve: Serve, make_transport: MakeTransport) -> None:
    """Past the limit per host a call waits no longer than its connect timeout."""
    entered, done = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        entered.set()
        await done.wait()
        return web.Response()

    transport = make_transport(limit_per_host=1)
    client = Client("region", url=await serve(handler), transport=transport)
    first = asyncio.ensure_future(client.get("/x"))
    await entered.wait()
    with pytest.raises(ServiceTimeout, match=r"no connection to region within 0\.05 s"):
        await client.get("/y", timeout=Timeout(total=5, connect=0.05))
    done.set()
    assert (await first).status == 200
    await transport.close()


async def test_a_reset_in_the_middle_of_the_body(serve_raw: ServeRaw, connect: Connect) -> None:
    """It is an error, nothing is repeated, and the next call has a connection of its own."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(OK + BODY[:5])
        await writer.drain()
        if raw.connections == 1:
            reset(writer)
        elif raw.connections > 2:
            writer.write(BODY[5:])

    raw = await serve_raw(handler)
    client = connect(raw.url)
    for _ in range(2):  # a reset, then an early end
        with pytest.raises(ServiceCallError, match="connection to region broke during GET /x"):
            await client.get("/x")
    assert await client.get_json("/x") == 1
    assert raw.connections == 3


CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
PACKED = gzip.compress(b'{"code":0,"data":1}' * 10)


@pytest.mark.parametrize(
    ("sent", "begin"),
    [
        (OK, b""),
        (OK + BODY[:-1], BODY[:-1]),
        (CHUNKS, b"hello"),
        (CHUNKS + b"0\r\n", b"hello"),
        (CHUNKS + b"5\r\nhel", b"hellohel"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
            % (len(PACKED), PACKED[:-8]),
            b'{"code":0,"data":1}' * 10,
        ),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nab", b"ab"),
    ],
    ids=["no byte", "one short", "no last chunk", "no end", "half a chunk", "gzip", "http/1.0"],
)
async def test_a_body_that_ends_early_is_an_error(
    serve_raw: ServeRaw, connect: Connect, sent: bytes, begin: bytes
) -> None:
    """The service closes in good order before it has sent what it announced: read as a whole the
    call fails, read in pieces it gives what came and then fails. It is never taken for an end."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await head(reader)
        if b"/second" in request:
            writer.write(OK + BODY)
            await head(reader)
        writer.write(sent)

    raw = await serve_raw(handler)
    client = connect(raw.url)
    with pytest.raises(ServiceCallError, match="connection to region broke during GET /x"):
        await client.get("/x")
    got: list[bytes] = []

    async def read() -> None:
        async with client.get("/x") as res:
            async for piece in res.stream():
                got.append(piece)

    with pytest.raises(ServiceCallError, match="connection to region broke during GET /x"):
        await read()
    assert b"".join(got) == begin
    assert raw.connections == 2
    await client.get("/second")
    with pytest.raises(ServiceCallError, match="connection to region broke during GET /x"):
        await client.get("/x")  # on the kept connection
    assert raw.connections == 3


async def test_a_fresh_connection_that_breaks_is_not_tried_again(
    serve_raw: ServeRaw, connect: Connect
) -> None:
    """With a failing service, attempts are no more than calls."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        if raw.connections % 2:
            reset(writer)

    raw = await serve_raw(handler)
    client = connect(raw.url)
    for _ in range(6):
        with pytest.raises(ServiceCallError, match="broke"):
            await client.get("/x")
    assert raw.connections == 6


@pytest.mark.parametrize(
    ("method", "repeated"),
    [
        ("GET", True),
        ("PUT", True),
        ("DELETE", True),
        ("HEAD", True),
        ("POST", False),
        ("PATCH", False),
    ],
)
async def test_a_stale_connection_is_hidden_for_idempotent_methods(
    serve_raw: ServeRaw, connect: Connect, method: str, repeated: bool
) -> None:
    """A kept connection that the service closes as we use it: one repeat, if that is harmless."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = raw.connections == 1
        while True:
            request = await head(reader)
            raw.requests.append(request)
            if b"Content-Length: 2" in request:
                await reader.readexactly(2)
            if first and len(raw.requests) == 2:
                return
            writer.write(OK if request.startswith(b"HEAD") else OK + BODY)

    raw = await serve_raw(handler)
    client = connect(raw.url)
    assert await client.get_json("/warm") == 1
    body = b"{}" if method in ("PUT", "POST", "PATCH") else None
    if repeated:
        assert (await client.request(method, "/x", data=body)).status == 200
        assert (raw.connections, len(raw.requests)) == (2, 3)
    else:
        with pytest.raises(ServiceCallError, match="broke"):
            await client.request(method, "/x", data=body)
        assert (raw.connections, len(raw.requests)) == (1, 2)


async def test_a_stale_connection_is_repeated_once(serve_raw: ServeRaw, connect: Connect) -> None:
    """The repeat is on a connection that may be stale as well; there is no third attempt."""
    both = asyncio.Barrier(2)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw.requests.append(await head(reader))
        await both.wait()
        writer.write(OK + BODY)
        raw.requests.append(await head(reader))  # and closes

    raw = await serve_raw(handler)
    client = connect(raw.url)
    await asyncio.gather(client.get("/a"), client.get("/b"))
    with pytest.raises(ServiceCallError, match="broke"):
        await client.get("/x")
    assert (raw.connections, len(raw.requests)) == (2, 4)


async def test_half_an_answer_on_a_kept_connection_is_not_repeated(
    serve_raw: ServeRaw, connect: Connect
) -> None:
    """Once a byte of the answer came, the service has worked on the request."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(OK + BODY)
        await head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-")
        await writer.drain()

    raw = await serve_raw(handler)
    client = connect(raw.url)
    await client.get("/x")
    with pytest.raises(ServiceCallError):
        await client.get("/x")
    assert raw.connections == 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
    ],
)
async def test_garbage_is_a_bad_gateway(
    serve_raw: ServeRaw, connect: Connect, garbage: bytes
) -> None:
    """Whatever comes instead of HTTP, the error is ours and the connection is not used again."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(garbage if raw.connections == 1 else OK + BODY)
        await writer.drain()
        await reader.read()

    raw = await serve_raw(handler)
    client = connect(raw.url, timeout=5)
    with pytest.raises(ServiceCallError) as caught:
        await client.get("/x")
    assert caught.value.status == 502
    assert "region" in str(caught.value.error)
    assert await client.get_json("/x") == 1
    assert raw.connections == 2


async def test_a_huge_answer_is_refused(serve: Serve, connect: Connect) -> None:
    """An announced length above the limit is refused at once, and one that is not, on the way."""
    sent = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        if request.path == "/announced":
            return web.Response(body=b"x" * 2000)
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 1 << 30:
            await response.write(b"x" * 65536)
            sent += 65536
        return response

    client = connect(await serve(handler), max_size=1000)
    for path in ("/announced", "/endless"):
        with pytest.raises(ServiceCallError, match=r"more than 1000 bytes \(max_size\)"):
            await client.get(path)
    assert sent < 50 << 20
    assert len((await client.get("/announced", max_size=2000)).body) == 2000
    async with client.get("/endless") as res:
        with pytest.raises(ServiceCallError, match="more than 1000"):
            _ = [piece async for piece in res.stream()]


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_bomb_is_refused(serve: Serve, connect: Connect, encoding: str) -> None:
    """The limit holds for what comes out of decompression."""
    compress = gzip.compress if encoding == "gzip" else zlib.compress
    bomb = compress(b"\0" * 100_000_000)
    assert len(bomb) < 200_000

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": encoding})

    client = connect(await serve(handler))
    with pytest.raises(ServiceCallError, match="more than 10000000 bytes"):
        await client.get("/x")


async def test_compressed_answers_are_read(serve: Serve, connect: Connect) -> None:
    """Decompression is the client's work."""

    async def handler(request: web.Request) -> web.Response:
        response = web.json_response({"code": 0, "data": "x" * 10_000})
        response.enable_compression()
        return response

    client = connect(await serve(handler))
    res = await client.get("/x")
    assert res.headers["Content-Encoding"]
    assert await res.json() == "x" * 10_000


HELLO = b"hello " * 2000
GZIP = gzip.compress(HELLO, mtime=0)
DEFLATE = zlib.compress(HELLO)


def packed_answer(codings: str, body: bytes) -> bytes:
    """An answer whose body is packed, with a header line for each part between semicolons."""
    lines = "".join(f"Content-Encoding: {part}\r\n" for part in codings.split(";"))
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n" % (lines.encode(), len(body)) + body


async def serve_packed(serve_raw: ServeRaw, answer: bytes) -> Any:
    """A server that gives one answer over its first connection, and a good one over others."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = raw.connections == 1
        while True:
            await head(reader)
            writer.write(answer if first else OK + BODY)

    raw = await serve_raw(handler)
    return raw


@pytest.mark.parametrize(
    ("codings", "body"),
    [
        ("gzip", GZIP),
        ("GZip", GZIP),
        ("x-gzip", GZIP),
        ("gzip", GZIP + gzip.compress(b"", mtime=0) + b"\0" * 9),
        ("deflate", DEFLATE),
        ("deflate", DEFLATE[2:-4]),
        ("gzip, gzip", gzip.compress(GZIP, mtime=0)),
        ("gzip;gzip", gzip.compress(GZIP, mtime=0)),
        ("deflate, gzip", gzip.compress(DEFLATE, mtime=0)),
        ("gzip, deflate", zlib.compress(GZIP)),
        ("identity", HELLO),
        ("identity, gzip", GZIP),
        ("utf-8", HELLO),
        ("", HELLO),
    ],
)
async def test_every_coding_that_was_asked_for_is_unpacked(
    serve_raw: ServeRaw, connect: Connect, codings: str, body: bytes
) -> None:
    """Also twice, and also in two headers. A name that is no coding says nothing of the bytes."""
    raw = await serve_packed(serve_raw, packed_answer(codings, body))
    client = connect(raw.url)
    for _ in range(2):
        assert (await client.get("/x")).body == HELLO
    async with client.get("/x") as res:
        assert b"".join([piece async for piece in res.stream()]) == HELLO
    assert raw.connections == 1


@pytest.mark.parametrize(
    ("codings", "body"),
    [
        *(("gzip", GZIP[:-cut]) for cut in (1, 8, 9, 20)),
        ("gzip", GZIP[:5]),
        ("gzip", GZIP + GZIP[:-1]),
        ("gzip", GZIP + b"rest"),
        *(("deflate", DEFLATE[:-cut]) for cut in (1, 4, 5)),
        ("deflate", DEFLATE[2:-6]),
        ("deflate", DEFLATE + b"rest"),
        ("gzip, gzip", gzip.compress(GZIP[:-1], mtime=0)),
        ("gzip, gzip", gzip.compress(GZIP, mtime=0)[:-1]),
        ("gzip, gzip", GZIP),
        ("gzip, gzip", gzip.compress(GZIP + b"\0" * 10_000_000, mtime=0)),
        ("gzip, gzip, gzip", gzip.compress(gzip.compress(GZIP, mtime=0), mtime=0)),
        ("br", b"x"),
        ("gzip, br", b"x"),
        ("zstd;gzip", GZIP),
    ],
)
async def test_what_cannot_be_unpacked_to_its_end_is_an_error(
    serve_raw: ServeRaw, connect: Connect, codings: str, body: bytes
) -> None:
    """A part of a body is never taken for all of it, and packed bytes never for data. The
    connection is not used again."""
    raw = await serve_packed(serve_raw, packed_answer(codings, body))
    client = connect(raw.url)
    with pytest.raises(ServiceCallError, match="something that is not HTTP"):
        await client.get("/x")
    assert await client.get_json("/x") == 1
    assert raw.connections == 2


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("HEAD", b"200 OK\r\nContent-Length: 5"),
        ("GET", b"204 No Content"),
        ("GET", b"304 Not Modified\r\nContent-Length: 5"),
    ],
)
async def test_a_coding_of_no_body_means_nothing(
    serve_raw: ServeRaw, connect: Connect, method: str, status: bytes
) -> None:
    """It is that of the body which another call would get."""
    answer = b"HTTP/1.1 %b\r\nContent-Encoding: br\r\n\r\n" % status
    raw = await serve_packed(serve_raw, answer)
    client = connect(raw.url)
    for _ in range(2):
        res = await client.request(method, "/x")
        assert (res.status, res.body) == (int(status[:3]), b"")
    assert raw.connections == 1


async def test_a_304_is_no_redirect(serve_raw: ServeRaw, connect: Connect) -> None:
    """It has no body whatever length it announces, its data is an error that names the status, and
    its connection is used again. It is not followed either."""
    answer = b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nContent-Length: 99999999\r\n\r\n'

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await head(reader)
            writer.write(answer)

    raw = await serve_raw(handler)
    client = connect(raw.url)
    for follow in (False, False, True, True):
        headers = {"If-None-Match": '"1"'}
        res = await client.get("/x", headers=headers, allow_redirects=follow)
        assert (res.status, res.ok, res.body) == (304, True, b"")
        await res.raise_for_status()
        with pytest.raises(ServiceCallError, match="region answered GET /x with status 304"):
            await res.json()
    assert raw.connections <= 2


@pytest.mark.parametrize("moment", ["head", "body"])
async def test_a_cancelled_call_leaves_no_connection_behind(
    serve_raw: ServeRaw, connect: Connect, moment: str
) -> None:
    """The connection of a cancelled call is thrown away: the next call gets its own answer."""
    asked, reading = asyncio.Event(), asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = raw.connections == 1
        while True:
            await head(reader)
            asked.set()
            if not first:
                writer.write(OK + BODY)
            elif moment == "body":
                writer.write(OK + BODY[:5])

    async def call() -> None:
        async with client.get("/x") as res:
            async for _ in res.stream():
                reading.set()

    raw = await serve_raw(handler)
    client = connect(raw.url)
    running = asyncio.ensure_future(call())
    await (asked if moment == "head" else reading).wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await client.get_json("/x") == 1
    assert raw.connections == 2


@pytest.mark.parametrize("moment", ["head", "body", "unread"])
@pytest.mark.parametrize("how", ["cancel", "timeout"])
async def test_a_call_that_is_given_up_gives_its_connection_up(
    serve_raw: ServeRaw, make_transport: MakeTransport, moment: str, how: str
) -> None:
    """It is closed at once, and its place is free: with one connection at a time, the next call
    gets one. However often that happens."""
    came = asyncio.Event()
    closed: list[int] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = raw.connections
        request = await head(reader)
        if b"/quick" in request:
            writer.write(OK + BODY)
        elif moment != "head":
            writer.write(OK + BODY[:5])
        came.set()
        assert await reader.read() == b""
        closed.append(number)

    async def call() -> None:
        async with client.get("/slow") as res:
            if moment == "unread":
                await asyncio.Event().wait()
            await res.text()

    raw = await serve_raw(handler)
    transport = make_transport(limit_per_host=1)
    patient = Timeout(total=600, connect=600)  # no limit of the call's own closes the connection
    client = Client("region", url=raw.url, transport=transport, timeout=patient)
    for number in range(1, 4):
        came.clear()
        running = asyncio.ensure_future(call())
        await came.wait()
        if how == "cancel":
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
        else:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(running, 0.02)
        async with asyncio.timeout(20):
            while number not in closed:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
    assert await client.get_json("/quick") == 1
    assert raw.connections == 4
    await transport.close()


async def test_a_cancelled_wait_for_a_connection_gives_its_place_up(
    serve_raw: ServeRaw, make_transport: MakeTransport
) -> None:
    """Of three calls over one connection the second is cancelled while it waits: the third gets
    the connection of the first, and no other is made."""
    came, go = asyncio.Event(), asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            raw.requests.append(await head(reader))
            came.set()
            await go.wait()
            writer.write(OK + BODY)

    raw = await serve_raw(handler)
    transport = make_transport(limit_per_host=1)
    client = Client("region", url=raw.url, transport=transport)
    calls = [asyncio.ensure_future(client.get_json(f"/{n}")) for n in range(3)]
    await came.wait()
    calls[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await calls[1]
    go.set()
    assert list(await asyncio.wait_for(asyncio.gather(calls[0], calls[2]), 20)) == [1, 1]
    assert [request.split(b" ")[1] for request in raw.requests] == [b"/0", b"/2"]
    assert raw.connections == 1
    await transport.close()


async def test_an_outer_timeout_stays_an_outer_timeout(serve: Serve, connect: Connect) -> None:
    """`asyncio.timeout` around a call raises TimeoutError, and not our error."""

    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    client = connect(await serve(handler))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.get("/x")


async def test_an_error_in_the_block_gives_the_connection_back(
    serve: Serve, connect: Connect
) -> None:
    """A hundred and one blocks that fail unread do not use up a hundred connections."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"code": 0, "data": "x" * 1_000_000})

    client = connect(await serve(handler))
    for _ in range(101):
        with pytest.raises(KeyError):
            async with client.get("/x"):
                raise KeyError
    assert len(await client.get_json("/x")) == 1_000_000


async def test_random_cancellations_mix_no_answers_up(
    serve: Serve, make_transport: MakeTransport
) -> None:
    """Calls that are cancelled at any moment leave no connection behind that answers another."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"code": 0, "data": request.path + "x" * 20_000})

    transport = make_transport(limit_per_host=4)
    client = Client("region", url=await serve(handler), transport=transport)

    async def call(n: int) -> bool:
        try:
            async with asyncio.timeout(0.0005 * (n % 11)):
                answer = await client.get_json(f"/{n}")
        except TimeoutError:
            return False
        assert answer.startswith(f"/{n}x")
        return True

    results = [
        result
        for start in range(0, 1000, 20)
        for result in await asyncio.gather(*map(call, range(start, start + 20)))
    ]
    assert False in results
    assert (await client.get_json("/last")).startswith("/lastx")
    await transport.close()


async def test_an_expired_certificate_says_so(
    connect: Connect, expired_certificate: tuple[Path, Path]
) -> None:
    """The error names the service and the reason, and the call is not made."""
    certificate, key = expired_certificate
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(certificate, key)
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0, ssl=server_side)
    port = server.sockets[0].getsockname()[1]
    trusting = ssl.create_default_context(cafile=str(certificate))
    client = connect(f"https://127.0.0.1:{port}", ssl=trusting)
    with pytest.raises(ServiceCallError, match="certificate has expired"):
        await client.get("/x")
    client = connect(f"https://127.0.0.1:{port}")
    with pytest.raises(ServiceCallError, match="certificate of region is not accepted"):
        await client.get("/x")
    server.close()


async def test_plain_http_where_tls_is_spoken(serve: Serve, connect: Connect) -> None:
    """https to a port without TLS is 502."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response()

    client = connect((await serve(handler)).replace("http:", "https:"))
    with pytest.raises(ServiceCallError, match="TLS"):
        await client.get("/x")
