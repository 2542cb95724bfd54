"""A connection remembers the headers that both parsers found good: only time may change by it.

Every request is sent to a connection that remembers its very headers, and to a new connection of an
application that has seen nothing. Both must give the same answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sanic import Sanic

from sanic_ms.server.http1 import receiver
from sanic_ms.server.http1.head import read_head

Open = Callable[..., Awaitable[Any]]

BLOCKS = {
    "plain": b"Host: a\r\nAccept: */*\r\n\r\n",
    "body": b"Host: a\r\nContent-Length: 2\r\n\r\n",
    "keep-alive": b"Host: a\r\nConnection: keep-alive\r\n\r\n",
    "close": b"Host: a\r\nConnection: close\r\n\r\n",
    "expect": b"Host: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
    "chunked": b"Host: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "long": b"Host: a\r\nX: " + b"x" * 1500 + b"\r\n\r\n",
}
BODIES = {"body": b"ab", "expect": b"ab", "chunked": b"2\r\nab\r\n0\r\n\r\n"}
LINES = [
    b"GET / HTTP/1.1",
    b"GET /a HTTP/1.1",
    b"GET /a?b=c HTTP/1.1",
    b"GET /a? HTTP/1.1",
    b"GET /a?b?c=%00 HTTP/1.1",
    b"GET /a?b#c HTTP/1.1",
    b"GET /a#c HTTP/1.1",
    b"GET /a?b c HTTP/1.1",
    b"GET /a?b\tc HTTP/1.1",
    b"GET /a?\x7f HTTP/1.1",
    b"GET /a?\xc3\xa4 HTTP/1.1",
    b"GET /a?\x00 HTTP/1.1",
    b'GET /a?"<>^`{|}\\ HTTP/1.1',
    b'GET /"<>^`{|}\\ HTTP/1.1',
    b"GET  /a HTTP/1.1",
    b"GET /a  HTTP/1.1",
    b"GET /a HTTP/1.0",
    b"GET /a HTTP/1.2",
    b"GET /a http/1.1",
    b"get /a HTTP/1.1",
    b"GET a HTTP/1.1",
    b"GET * HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"GET http://b/a HTTP/1.1",
    b"GET ?b HTTP/1.1",
    b"? HTTP/1.1",
    b" HTTP/1.1",
    b"HTTP/1.1",
    b"\r\nGET /a HTTP/1.1",
    b"\nGET /a HTTP/1.1",
    b"POST /a HTTP/1.1",
    b"HEAD /a HTTP/1.1",
    b"BREW /a HTTP/1.1",
    b"GET /s/a HTTP/1.1",
    b"GET /a?" + b"q" * 9000 + b" HTTP/1.1",
    b"GET /" + b"q" * 9000 + b" HTTP/1.1",
    b"GET /a HTTP/1.1\r\nX: y",
    b"GET /a HTTP/1.1\r\nHost: b",
    b"GET /a HTTP/1.1\r\nContent-Length: 3",
    b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /hidden HTTP/1.1",
]


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def result(app: Sanic[Any, Any], seen: Any, transport: Any, raw: bytes) -> tuple[Any, ...]:
    """What a request gets, what reaches the application, and whether the connection ends."""
    transport.written.clear()
    seen.requests.clear()
    transport.protocol.data_received(raw)
    await settle()
    return bytes(transport.written), list(seen.requests), transport.over


@pytest.mark.parametrize("name", BLOCKS)
async def test_a_known_block_changes_no_answer(
    name: str,
    new_app: Callable[..., Sanic[Any, Any]],
    in_memory: Open,
    seen: Any,
) -> None:
    """Every line gets with remembered headers what it gets from a server that remembers nothing."""
    block, body = BLOCKS[name], BODIES.get(name, b"")
    app = new_app(seen)
    for line in LINES:
        raw = line + b"\r\n" + block + body
        fresh = new_app(seen)
        expected = await result(fresh, seen, await in_memory(fresh), raw)
        for method in (b"GET", b"POST"):
            transport = await in_memory(app)
            for _ in range(2):
                if not transport.over:
                    transport.protocol.data_received(method + b" /a HTTP/1.1\r\n" + block + body)
                    await settle()
            if not transport.over:
                assert await result(app, seen, transport, raw) == expected, line


@pytest.mark.parametrize("target", ["/a", "/a?", "/a?b=c", "/b", "/b?c"])
async def test_a_known_block_is_not_read_again(
    target: str,
    new_app: Callable[..., Sanic[Any, Any]],
    in_memory: Open,
    seen: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a path that is known only the query is looked at, whatever it is; of another path all is
    read. The time is what the connection remembers for."""
    app = new_app(seen)
    transport = await in_memory(app)
    for _ in range(3):
        transport.protocol.data_received(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        await settle()
    read: list[bytes] = []

    def reading(data: bytes, *rest: Any) -> Any:
        read.append(bytes(data))
        return read_head(data, *rest)

    monkeypatch.setattr(receiver, "read_head", reading)
    raw = f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    written, requests, over = await result(app, seen, transport, raw)
    assert written.startswith(b"HTTP/1.1 200 ")
    assert requests == [("GET", target.partition("?")[0], b"")]
    assert not over
    assert read == ([] if target.startswith("/a") else [raw])


@pytest.mark.parametrize("cut", [1, 20, -3, -1])
async def test_a_known_block_may_come_in_pieces(
    cut: int, new_app: Callable[..., Sanic[Any, Any]], in_memory: Open, seen: Any
) -> None:
    """A request that is cut is put together, also one with a body."""
    app = new_app(seen)
    transport = await in_memory(app)
    raw = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    for _ in range(3):
        transport.protocol.data_received(raw)
        await settle()
    transport.protocol.data_received(raw[:cut])
    await settle()
    transport.protocol.data_received(raw[cut:])
    await settle()
    assert seen.requests == [("POST", "/a", b"hello")] * 4


async def test_requests_behind_a_known_one_are_served_in_order(
    new_app: Callable[..., Sanic[Any, Any]], in_memory: Open, seen: Any
) -> None:
    """Many in one read, all with the same headers and bodies of their own."""
    app = new_app(seen)
    transport = await in_memory(app)
    raw = b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n%d"
    transport.protocol.data_received(raw % (0, 0))
    await settle()
    transport.protocol.data_received(b"".join(raw % (n, n) for n in range(1, 9)))
    await settle()
    assert seen.requests == [("POST", f"/{n}", b"%d" % n) for n in range(9)]


async def test_a_route_that_ignores_bodies_is_told_of_them_as_before(
    named_app: Callable[..., Sanic[Any, Any]], in_memory: Open, seen: Any
) -> None:
    """A GET whose route reads no body discards it; the next request is where the body ends."""
    app = named_app()

    @app.get("/a")
    async def handler(request: Any) -> Any:
        from sanic.response import text

        seen.requests.append((request.method, request.path, request.body))
        return text("")

    transport = await in_memory(app)
    block = b" HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\n"
    for _ in range(3):
        transport.protocol.data_received(
            b"GET /a" + block + b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"[:33].ljust(33)
        )
        await settle()
    assert [path for _, path, _ in seen.requests] == ["/a"] * 3
