"""Caches of several processes: objects that share nothing but Redis."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from sanic_ms.cache import Cache
from sanic_ms.redis import RedisComponent

MakeCache = Callable[[], Awaitable[Cache]]


class Source:
    """A loader that counts its calls, and waits for a sign."""

    def __init__(self, value: Any = "value") -> None:
        self.value = value
        self.calls = 0
        self.go = asyncio.Event()
        self.go.set()
        self.begun = asyncio.Event()

    async def __call__(self) -> Any:
        self.calls += 1
        self.begun.set()
        await self.go.wait()
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 (what it asks for has no event)
            await asyncio.sleep(0.005)


def patient(url: str) -> RedisComponent:
    """A component for a busy machine."""
    return RedisComponent(url, timeout=10, connect_timeout=10, acquire_timeout=10)


@pytest.fixture(params=["process", "redis"])
async def make_cache(request: pytest.FixtureRequest) -> AsyncIterator[MakeCache]:
    """Makes caches that run: in the process alone, or all with one Redis."""
    prefix = f"sanic-ms-test:{uuid.uuid4().hex}:"
    parts: list[Cache | RedisComponent] = []

    async def make() -> Cache:
        redis = None
        if request.param == "redis":
            redis = patient(request.getfixturevalue("redis_url"))
            parts.append(redis)
        cache = Cache(redis, prefix=prefix)
        await cache.start()
        parts.append(cache)
        return cache

    yield make
    if caches := [part for part in parts if isinstance(part, Cache)]:
        await caches[0].clear()
    for part in reversed(parts):
        await part.stop()


@pytest.fixture
async def cache(make_cache: MakeCache) -> Cache:
    """A cache that runs."""
    return await make_cache()


@pytest.fixture
async def make_shared(redis_url: str) -> AsyncIterator[MakeCache]:
    """Makes caches that run, all with one Redis."""
    prefix = f"sanic-ms-test:{uuid.uuid4().hex}:"
    parts: list[Cache | RedisComponent] = []

    async def make() -> Cache:
        redis = patient(redis_url)
        cache = Cache(redis, prefix=prefix)
        await cache.start()
        parts.extend((redis, cache))
        return cache

    yield make
    if parts:
        assert isinstance(parts[1], Cache)
        await parts[1].clear()
    for part in reversed(parts):
        await part.stop()
