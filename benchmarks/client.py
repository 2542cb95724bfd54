"""What a call of our client costs over the same call of aiohttp alone.

One GET of a small JSON document on a kept loopback connection, one call at a time, the server in a
process of its own. The ways take turns within every round, so that a busy machine slows all of
them; each way's figure is the median of its rounds, and the overhead the median of the differences
within a round. "cpu" is the processor time of the calling process, "wall" the time of the clock.

Bias: the server is a few lines of asyncio that answer the same bytes to anything, so the whole
call is as short as it can be and the overhead shows at its largest share. Everything runs on
asyncio's own loop unless --uvloop is given.

    python benchmarks/client.py --rounds 60 --calls 200
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from typing import NamedTuple

import aiohttp
import msgspec

from sanic_ms.client import Client

DOCUMENT = {"code": 0, "data": {"id": 1, "name": "Rome", "province_id": 7, "population": 2_748_109}}
BODY = json.dumps(DOCUMENT).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(BODY),
    BODY,
)


class City(msgspec.Struct):
    id: int
    name: str
    province_id: int
    population: int


class Figures(NamedTuple):
    """Microseconds a call."""

    cpu: float
    wall: float


class Answering(asyncio.Protocol):
    """Answers every request the same."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            self.transport.write(ANSWER)  # type: ignore[attr-defined]


def serve(pipe: Connection) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


async def measure(port: int, rounds: int, calls: int) -> dict[str, list[Figures]]:
    """What a call of each way takes, one entry a round."""
    url = f"http://127.0.0.1:{port}"
    session = aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=10, connect=2), cookie_jar=aiohttp.DummyCookieJar()
    )
    client = Client("region-service", url=url)

    async def aiohttp_bytes() -> object:
        async with session.get(f"{url}/cities/1") as response:
            return await response.read()

    async def aiohttp_json() -> object:
        async with session.get(f"{url}/cities/1") as response:
            return (await response.json())["data"]

    async def ours_bytes() -> object:
        async with client.cli(None).get("/cities/1") as response:
            return await response.read()

    async def ours_json() -> object:
        async with client.cli(None).get("/cities/1") as response:
            return await response.json()

    async def ours_awaited() -> object:
        return await (await client.get("/cities/1")).json()

    async def ours_typed() -> object:
        return await client.get_json("/cities/1", type=City)

    ways: list[Callable[[], Awaitable[object]]] = [
        aiohttp_bytes,
        ours_bytes,
        aiohttp_json,
        ours_json,
        ours_awaited,
        ours_typed,
    ]
    results: dict[str, list[Figures]] = {way.__name__: [] for way in ways}
    for number in range(rounds + 1):
        for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(calls):
                await way()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            if number:  # the first round warms up
                results[way.__name__].append(Figures(cpu / calls * 1e6, wall / calls * 1e6))
    await session.close()
    await client.close()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--calls", type=int, default=200, help="calls of each way in a round")
    parser.add_argument("--uvloop", action="store_true")
    options = parser.parse_args()
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    server.start()
    port = here.recv()
    factory = None
    if options.uvloop:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        results = runner.run(measure(port, options.rounds, options.calls))
    server.terminate()
    server.join()
    out = sys.stdout.write
    out(f"{'microseconds a call':20}{'cpu':>8}{'over':>8}{'wall':>8}{'over':>8}\n")
    for name, figures in results.items():
        base = results["aiohttp_bytes" if name.endswith("bytes") else "aiohttp_json"]
        out(f"{name:20}")
        for kind in (0, 1):
            over = [ours[kind] - theirs[kind] for ours, theirs in zip(figures, base, strict=True)]
            median = statistics.median(figure[kind] for figure in figures)
            out(f"{median:8.1f}{statistics.median(over):8.1f}")
        out("\n")


if __name__ == "__main__":
    main()
