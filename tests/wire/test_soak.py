"""Many mixed requests, lawful and not: every one is answered, and memory stays flat.

``SANIC_MS_SOAK`` sets how many (default 20,000; a release is tried with 1,000,000).
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypedDict

import pytest
from sanic import Sanic

from sanic_ms import Service
from sanic_ms.exception import NotFound
from sanic_ms.server import HttpProtocol

COUNT = int(os.environ.get("SANIC_MS_SOAK", "20000"))
H = b" HTTP/1.1\r\nHost: a\r\n"
LAWFUL = [
    b"GET /a" + H + b"\r\n",
    b"GET /a?b=c" + H + b"Accept: */*\r\nCookie: k=v\r\nUser-Agent: soak\r\n\r\n",
    b"HEAD /a" + H + b"\r\n",
    b"POST /p" + H + b"Content-Length: 5\r\n\r\nhello",
    b"POST /p" + H + b"Content-Length: 20000\r\n\r\n" + b"x" * 20000,
    b"POST /p" + H + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
    b"POST /s/p" + H + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"POST /s/p" + H + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    b"GET /" + b"u" * 200 + H + b"\r\n",
]
UNLAWFUL = [
    b"GET /" + H + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"nonsense\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"POST /s/p" + H + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /" + H + b"X: " + b"y" * 9000,
]
CUT_OFF = [b"", b"GET", b"GET /a" + H, b"POST /p" + H + b"Content-Length: 9\r\n\r\nab"]


def memory() -> int:
    """Resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.timeout(1200)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc/self/statm")
def test_memory_stays_flat(
    new_app: Callable[..., Sanic[Any, Any]], seen: Any, serve: Callable[..., Any], waiting: Any
) -> None:
    """After a fifth of the requests, memory grows no further than noise; nothing stays behind."""
    server = serve(new_app(seen, LINGER_TIMEOUT=0.2))
    chance = random.Random(7)
    sent, after_warm_up = 0, 0
    while sent < COUNT:
        client = server.client()
        batch = chance.choices(LAWFUL, k=200)
        for at in range(0, 200, 25):
            part = batch[at : at + 25]
            client.send(b"".join(part))
            got = client.read_until(lambda raw: raw.count(b"HTTP/1.1 200 OK\r\n") >= 25)
            assert got.count(b"HTTP/1.1 200 OK\r\n") == 25
        sent += 200
        client.send(chance.choice(UNLAWFUL))
        assert client.read().startswith(b"HTTP/1.1 4")
        client.close()
        gone = server.client()
        gone.send(chance.choice(CUT_OFF))
        gone.close()
        server.clients.clear()
        seen.requests.clear()
        if not after_warm_up and sent >= COUNT // 5:
            gc.collect()
            after_warm_up = memory()
    waiting(lambda: not server.connections)
    gc.collect()
    growth = memory() - after_warm_up
    print(f"{sent} requests, memory {after_warm_up} -> {after_warm_up + growth}")  # noqa: T201
    assert growth < 8_000_000


class Item(TypedDict):
    """What the handlers of the second test give."""

    id: int
    name: str


@pytest.fixture
def no_lines() -> Iterator[None]:
    """pytest keeps each line that is logged, and they are not what is looked for here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(1200)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc/self/statm")
async def test_memory_of_a_service_stays_flat(
    memory_transport: Any, tmp_path: Path, no_lines: None
) -> None:
    """The same with the endpoints, metrics and spans of a service: of each kind of answer nothing
    is left behind, neither by compiled code nor by Python."""
    app = Service("soak", configure_logging=False)
    app.configure(docs=False, health=False, access_log=False)
    app.configure(zipkin_server="http://127.0.0.1:9", trace_sample=0.5, trace_queue_size=100)

    @app.get("/at-once/<id:int>")
    async def at_once(request: Any, id: int, more: int = 0) -> Item:
        if id == 3:
            raise NotFound(error="no such thing")
        if id == 4:
            raise RuntimeError("on purpose")
        return {"id": id + more, "name": request.path}

    @app.get("/waits/<id:int>")
    async def waits(request: Any, id: int) -> Item:
        await asyncio.sleep(0)
        return {"id": id, "name": "later"}

    @app.post("/items")
    async def create(request: Any, body: Item) -> Item:
        return body

    app.metrics.open(tmp_path)
    spans = app.tracing.queue
    assert spans is not None
    body = b'{"id": 1, "name": "a"}'
    json = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    kinds = [b"GET /at-once/%d" % id + H + b"\r\n" for id in range(5)]
    kinds += [b"GET /at-once/7?more=1" + H + b"\r\n", b"GET /waits/1" + H + b"\r\n"]
    kinds += [b"GET /nowhere" + H + b"\r\n", b"POST /items" + H + json]
    await app._startup()
    loop, connections = asyncio.get_running_loop(), set[Any]()
    chance = random.Random(7)
    sent, after_warm_up = 0, 0
    while sent < COUNT:
        transport = memory_transport(
            HttpProtocol(loop=loop, app=app, connections=connections), loop
        )
        for raw in chance.choices(kinds, k=100):
            loop.call_soon(transport.protocol.data_received, raw)
            for _ in range(12):
                await asyncio.sleep(0)
            assert transport.written.startswith(b"HTTP/1.1 ")
            transport.written.clear()
        sent += 100
        transport.close()
        await asyncio.sleep(0)
        spans.take(100)
        if not after_warm_up and sent >= COUNT // 5:
            gc.collect()
            after_warm_up = memory()
    assert not connections
    gc.collect()
    growth = memory() - after_warm_up
    print(f"{sent} requests, memory {after_warm_up} -> {after_warm_up + growth}")  # noqa: T201
    assert growth < 8_000_000
