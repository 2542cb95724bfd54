"""What a call to a service costs a test, by the ways there are.

One GET of a small JSON document, one call at a time, everything in one process and one event loop;
the figures are processor time of that process in microseconds a call, client included. The ways
take turns within each round, so that a busy machine slows all of them; shown is the median of the
rounds, and its ratio to the first way.

- memory: what `TestClient` does: aiohttp's client and our protocol over a connection in memory.
- sockets: the same over a pair of connected unix sockets.
- port: the same over a port of 127.0.0.1.
- asgi: httpx and the service's ASGI interface, without our protocol.

Also the milliseconds that one start and stop of the service take, without a database.

    python benchmarks/testkit.py --rounds 30 --calls 100
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import httpx

from sanic_ms import Service
from sanic_ms.testing import TestClient

Call = Callable[[], Awaitable[Any]]


def service() -> Service:
    """One route."""
    app = Service("benchmark", configure_logging=False)
    app.configure(access_log=False, metrics=False)

    @app.get("/things/<id:int>", name="thing")
    async def thing(request: Any, id: int) -> Any:
        return {"id": id, "name": "a thing"}

    return app


class _SocketPairs(aiohttp.BaseConnector):
    """Connects to a running service over socket pairs."""

    def __init__(self, running: Any) -> None:
        super().__init__()
        self._running = running

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        await loop.connect_accepted_socket(self._running.protocol, theirs)
        _, protocol = await loop.create_connection(self._factory, sock=ours)
        return protocol


async def measure(rounds: int, calls: int) -> None:
    """Print the table."""
    app = service()
    async with TestClient(app) as client:
        server = await client.running.listen("127.0.0.1")
        port = server.sockets[0].getsockname()[1]
        pairs = aiohttp.ClientSession("http://localhost", connector=_SocketPairs(client.running))
        network = aiohttp.ClientSession(f"http://127.0.0.1:{port}")
        asgi = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://localhost"
        )

        async def over(session: aiohttp.ClientSession) -> None:
            async with session.get("/things/1") as response:
                assert await response.read()

        async def over_asgi() -> None:
            assert (await asgi.get("/things/1")).content

        ways: dict[str, Call] = {
            "memory": lambda: client.get("/things/1"),
            "sockets": lambda: over(pairs),
            "port": lambda: over(network),
            "asgi": over_asgi,
        }
        figures: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for name, call in ways.items():
                begin = time.process_time()
                for _ in range(calls):
                    await call()
                if number:  # the first round warms up
                    figures[name].append((time.process_time() - begin) / calls * 1e6)
        server.close()
        await pairs.close()
        await network.close()
        await asgi.aclose()
    base = statistics.median(figures["memory"])
    for name, values in figures.items():
        middle = statistics.median(values)
        print(f"{name:8} {middle:8.1f} µs  {middle / base:5.2f}")  # noqa: T201
    starts = []
    for _ in range(rounds):
        begin = time.process_time()
        async with TestClient(app):
            pass
        starts.append((time.process_time() - begin) * 1e3)
    print(f"start and stop {statistics.median(starts):.2f} ms")  # noqa: T201


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--calls", type=int, default=100)
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    asyncio.run(measure(arguments.rounds, arguments.calls))
