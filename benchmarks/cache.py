"""What a hit of the cache costs: ``python -m benchmarks.cache [redis://…]``.

Prints microseconds a call, the median of several rounds. Without a URL, the process alone.
"""

from __future__ import annotations

import asyncio
import functools
import statistics
import sys
import uuid
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from sanic_ms import Service
from sanic_ms.cache import Cache, CachePolicy, cached
from sanic_ms.context import service_context
from sanic_ms.redis import RedisComponent

ROUNDS = 7


@cached(ttl=3600)
async def city(city_id: int, language: str = "en") -> dict[str, Any]:
    """A function with two parameters."""
    return {"id": city_id, "language": language}


async def measure(name: str, call: Callable[[], Awaitable[object]], number: int) -> None:
    """Print what a call costs."""
    await call()
    rounds = []
    for _ in range(ROUNDS):
        begun = perf_counter()
        for _ in range(number):
            await call()
        rounds.append((perf_counter() - begun) / number * 1e6)
    sys.stdout.write(f"{name:<44}{statistics.median(rounds):8.2f} us\n")


async def main(url: str | None) -> None:
    """Measure hits in the process, and in Redis."""
    app = Service("cache_benchmark", configure_logging=False)
    cache = Cache()
    policy = CachePolicy(ttl=3600)

    async def load() -> dict[str, int]:
        return {"id": 1}

    hit_here = functools.partial(cache.load_with, "a", load, policy)
    await measure("load(), a hit in the process", hit_here, 50_000)
    await measure("get(), a hit in the process", lambda: cache.get("a"), 50_000)
    with service_context(app):
        await measure("@cached with two parameters, a hit", lambda: city(7), 20_000)
    if url is None:
        return
    redis = RedisComponent(url)
    shared = Cache(redis, prefix=f"benchmark:{uuid.uuid4().hex}:")
    await shared.start()

    async def hit(tags: tuple[str, ...]) -> None:
        shared._local.clear()
        await shared.load_with("a", load, CachePolicy(ttl=3600, tags=tags))

    await redis.client.set("benchmark", "x", ex=60)
    await measure("redis-py: GET", lambda: redis.client.get("benchmark"), 1000)
    await measure("load(), a hit in Redis", lambda: hit(()), 1000)
    await measure("load(), a hit in Redis with two tags", lambda: hit(("x", "y")), 1000)
    await shared.clear()
    await shared.stop()
    await redis.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else None))
