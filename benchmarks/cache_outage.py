"""A cache while its Redis is killed under load, and back: ``python -m benchmarks.cache_outage``.

Starts a ``redis-server`` of its own, on a socket in a temporary folder. Four caches, as of four
processes, each with callers that load values without a pause. Redis is killed for two seconds,
rounds times. Prints how many calls failed, how many loads ran at once while Redis was away, and how
long after Redis answered again each cache had dropped a value that was invalidated meanwhile.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from sanic_ms.cache import Cache
from sanic_ms.redis import RedisComponent

CACHES, CALLERS, ROUNDS, AWAY = 4, 50, 5, 2.0


class Load:
    """What the callers have seen."""

    def __init__(self) -> None:
        self.calls = 0
        self.failures: Counter[str] = Counter()
        self.loading = [0] * CACHES
        self.most_loading = 0
        self.is_away = False
        self.is_over = False


async def call(load: Load, number: int, cache: Cache, caller: int) -> None:
    """Load one of a thousand values after the other, each for 0.2 s."""

    async def loader() -> int:
        load.loading[number] += 1
        if load.is_away:
            load.most_loading = max(load.most_loading, load.loading[number])
        await asyncio.sleep(0.005)
        load.loading[number] -= 1
        return 1

    key = caller
    while not load.is_over:
        key += 1
        try:
            await cache.load(f"item:{key % 1000}", loader, ttl=0.2, stale=0)
        except Exception as exc:
            load.failures[type(exc).__name__] += 1
        load.calls += 1
        await asyncio.sleep(0)


async def serve(folder: str) -> asyncio.subprocess.Process:
    """Start Redis, and wait until it answers."""
    path = f"{folder}/redis.sock"
    process = await asyncio.create_subprocess_exec(
        "redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    probe = RedisComponent(f"unix://{path}")
    while True:
        try:
            await probe.client.ping()
            break
        except Exception:
            await asyncio.sleep(0.001)
    await probe.stop()
    return process


async def seen_by(cache: Cache, key: str) -> float:
    """When a cache has dropped a value."""
    while cache._local.get(key) is not None:  # noqa: ASYNC110 (there is no event)
        await asyncio.sleep(0.001)
    return time.monotonic()


async def main(folder: str) -> None:
    """Run it, and print what was seen."""
    redis = await serve(folder)
    parts = []
    for _ in range(CACHES):
        component = RedisComponent(f"unix://{Path(folder)}/redis.sock")
        cache = Cache(component)
        await component.start()
        await cache.start()
        parts.append((component, cache))
    caches = [cache for _, cache in parts]
    load = Load()
    callers = [
        asyncio.create_task(call(load, number, cache, caller * 20))
        for number, cache in enumerate(caches)
        for caller in range(CALLERS)
    ]
    delays: list[float] = []
    for round in range(ROUNDS):
        await asyncio.sleep(1)
        key = f"kept:{round}"
        for cache in caches:
            await cache.load(key, lambda: asyncio.sleep(0, "old"), ttl=600, tags=["kept"])
        redis.kill()
        await redis.wait()
        load.is_away = True
        await asyncio.sleep(AWAY)
        await caches[0].invalidate("kept")
        redis = await serve(folder)
        begun = time.monotonic()
        load.is_away = False
        moments = await asyncio.gather(*(seen_by(cache, key) for cache in caches[1:]))
        delays += [moment - begun for moment in moments]
    load.is_over = True
    await asyncio.gather(*callers)
    for component, cache in parts:
        await cache.stop()
        await component.stop()
    redis.kill()
    await redis.wait()
    sys.stdout.write(
        f"{load.calls} calls, failed: {dict(load.failures) or 0}\n"
        f"most loads at once of a cache while Redis was away: {load.most_loading}\n"
        f"an invalidation was seen after {statistics.median(delays) * 1000:.0f} ms, at most "
        f"{max(delays) * 1000:.0f} ms ({len(delays)} times)\n"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        asyncio.run(main(folder))
