"""Caches of several processes with one Redis: one load for all, changes that all hear, outages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.cache.conftest import MakeCache, Source, eventually
from tests.redis.conftest import RedisProcess, RedisServers, own_redis, redis_servers

from sanic_ms.cache import Cache
from sanic_ms.exception import RedisUnavailable
from sanic_ms.redis import RedisComponent

__all__ = ["own_redis", "redis_servers"]  # fixtures


async def test_misses_of_all_processes_are_one_load(make_shared: MakeCache) -> None:
    """A thousand who ask in four processes at the same time share one load."""
    caches = [await make_shared() for _ in range(4)]
    source = Source()
    source.go.clear()
    callers = [
        asyncio.create_task(caches[number % 4].load("a", source, ttl=60, tags=["x"]))
        for number in range(1000)
    ]
    await source.begun.wait()
    source.go.set()
    assert set(await asyncio.gather(*callers)) == {"value"}
    assert source.calls == 1
    assert sum(cache.counts.of("load") for cache in caches) == 1


async def test_a_waiting_process_is_woken(make_shared: MakeCache) -> None:
    """It does not ask Redis over and over: two reads and one attempt at the lock are all."""
    first, second = await make_shared(), await make_shared()
    source = Source()
    source.go.clear()
    loading = asyncio.create_task(first.load("a", source, ttl=60))
    await source.begun.wait()
    waiting = asyncio.create_task(second.load("a", source, ttl=60))
    await eventually(lambda: second._wakeups._waiting)
    source.go.set()
    assert await waiting == await loading == "value"
    assert source.calls == 1
    assert (second.counts.of("miss"), second.counts.of("shared_hit")) == (1, 1)
    assert not second._wakeups._waiting


async def test_a_load_that_fails_lets_the_next_process_try(make_shared: MakeCache) -> None:
    """The lock is given up at once."""
    first, second = await make_shared(), await make_shared()
    broken, good = Source(RuntimeError("no")), Source("value")
    broken.go.clear()
    failing = asyncio.create_task(first.load("a", broken, ttl=60))
    await broken.begun.wait()
    waiting = asyncio.create_task(second.load("a", good, ttl=60))
    await eventually(lambda: second._wakeups._waiting)
    broken.go.set()
    with pytest.raises(RuntimeError):
        await failing
    assert await waiting == "value"


async def test_changes_reach_all_processes(make_shared: MakeCache) -> None:
    """A deletion, a new value, an invalidated tag, and all at once."""
    first, second = await make_shared(), await make_shared()
    for change, expected in (
        (lambda: first.delete("a"), None),
        (lambda: first.set("a", 2, ttl=60), 2),
        (lambda: first.invalidate("x"), None),
        (lambda: first.clear(), None),
    ):
        await second.set("a", 1, ttl=60, tags=["x"])
        await eventually(lambda: first._local.get("a") is None)
        assert await first.get("a") == 1
        assert second._local.get("a") is not None
        await change()
        await eventually(lambda: second._local.get("a") is None)
        assert await second.get("a") == expected


@pytest.mark.parametrize("data", [b"", b"\xc1", b"text", b"\x93\x01\x02\x03", b"half"], ids=repr)
async def test_wrong_data_is_a_miss(
    make_shared: MakeCache, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """What another version or nobody wrote is loaded anew, with one line in the log."""
    first, second = await make_shared(), await make_shared()
    shared = first._shared
    assert shared is not None
    await first.set("a", {"x": 1}, ttl=60)
    name = f"{shared._prefix}a"
    if data == b"half":
        whole = await shared.client.execute_command("GET", name, NEVER_DECODE=True)
        data = whole[: len(whole) // 2]
    await shared.client.set(name, data)
    assert await second.get("a") is None
    assert caplog.text.count("is read as a miss") == 1
    assert await second.load("a", Source("new"), ttl=60) == "new"
    assert await second.load("a", Source("newer"), ttl=60) == "new"


async def test_a_value_of_another_type_is_a_miss(
    make_shared: MakeCache, caplog: pytest.LogCaptureFixture
) -> None:
    """A deployment that changes a type reads no old values."""
    first, second = await make_shared(), await make_shared()
    await first.load("a", Source(["x"]), ttl=60, type=list[str])
    assert await second.load("a", Source([1]), ttl=60, type=list[int]) == [1]
    assert caplog.text.count("is read as a miss") == 1


async def test_a_lock_of_a_process_that_died_ends(make_shared: MakeCache) -> None:
    """Another process loads after the lock's time."""
    cache = await make_shared()
    shared = cache._shared
    assert shared is not None
    assert (await shared.begin("a", "token of a dead process", 0.3, ())).is_taken
    assert await cache.load("a", Source(1), ttl=60) == 1


async def test_an_evicted_stamp_is_a_miss(make_shared: MakeCache) -> None:
    """Redis may drop the stamp of a tag: then nothing says that the values are current."""
    first, second = await make_shared(), await make_shared()
    await first.load("a", Source(1), ttl=60, tags=["x"])
    shared = first._shared
    assert shared is not None
    await shared.client.delete(f"{shared._prefix}tag:x")
    assert await second.load("a", Source(2), ttl=60, tags=["x"]) == 2
    assert await second.get("a") == 2


class Worker:
    """A cache of a process, on a Redis that comes and goes."""

    def __init__(self, url: str) -> None:
        self.redis = RedisComponent(url)
        self.cache = Cache(self.redis, prefix="test:")

    async def start(self) -> Worker:
        """Start both."""
        await self.redis.start()
        await self.cache.start()
        return self

    async def stop(self) -> None:
        """Stop both."""
        await self.cache.stop()
        await self.redis.stop()


@pytest.fixture
async def workers(own_redis: RedisProcess) -> AsyncIterator[list[Worker]]:
    """Two workers."""
    workers = [await Worker(own_redis.url).start() for _ in range(2)]
    for worker in workers:
        listener = worker.cache._listener
        assert listener is not None
        await listener.connected.wait()
    yield workers
    for worker in workers:
        await worker.stop()


async def test_an_outage_is_no_error(
    own_redis: RedisProcess, workers: list[Worker], caplog: pytest.LogCaptureFixture
) -> None:
    """Values are loaded, kept by the process, and invalidated there; what cannot be known is
    unavailable."""
    cache = workers[0].cache
    await cache.load("a", Source(1), ttl=60, tags=["x"])
    own_redis.stop()
    assert await cache.load("a", Source(2), ttl=60, tags=["x"]) == 1
    assert await cache.load("b", Source(2), ttl=60, tags=["x"]) == 2
    assert await cache.load("b", Source(3), ttl=60, tags=["x"]) == 2
    await cache.set("c", 3, ttl=60)
    assert await cache.get("c") == 3
    assert await cache.get("d") is None
    await cache.invalidate("x")
    assert await cache.delete("c") == 0
    assert await cache.get_many("abc") == {}
    with pytest.raises(RedisUnavailable):
        await cache.incr("n")
    with pytest.raises(RedisUnavailable):
        await cache.lock("l").__aenter__()
    assert (await cache.check()).status == "degraded"
    await eventually(lambda: "changes of other processes are not heard" in caplog.text)


async def test_loads_are_bounded_in_an_outage(
    own_redis: RedisProcess, workers: list[Worker]
) -> None:
    """Ten at once of each space: the database must not get what Redis kept from it."""
    cache = workers[0].cache
    own_redis.stop()
    running = most = 0

    async def load() -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return 1

    keys = [f"{space}:{number}" for space in "ab" for number in range(50)]
    assert await asyncio.gather(*(cache.load(key, load, ttl=60) for key in keys)) == [1] * 100
    assert 10 <= most <= 20


async def test_a_stale_value_serves_where_too_many_load_in_an_outage(
    own_redis: RedisProcess, workers: list[Worker]
) -> None:
    """Who would have to wait gets the old value at once."""
    cache = workers[0].cache
    for number in range(11):
        await cache.load(f"a:{number}", Source(number), ttl=0.05)
    own_redis.stop()
    await asyncio.sleep(0.06)
    source = Source("new")
    source.go.clear()
    waiting = [
        asyncio.create_task(cache.load(f"a:{number}", source, ttl=60)) for number in range(10)
    ]
    await eventually(lambda: source.calls == 10)
    assert await cache.load("a:10", source, ttl=60) == 10
    source.go.set()
    assert await asyncio.gather(*waiting) == ["new"] * 10


async def test_invalidations_reach_all_after_an_outage(
    own_redis: RedisProcess, workers: list[Worker]
) -> None:
    """What was invalidated while Redis was away is gone in every process once it is back."""
    first, second = (worker.cache for worker in workers)
    for cache in (first, second):
        for key, tags in (("a", ["x"]), ("b", [])):
            await cache.load(key, Source("old"), ttl=60, tags=tags)
    own_redis.stop()
    await first.invalidate("x")
    await first.delete("b")
    assert await second.load("a", Source("new"), ttl=60, tags=["x"]) == "old"  # it cannot know
    own_redis.start()
    await eventually(lambda: not first._invalidations)
    for cache in (first, second):
        listener = cache._listener
        assert listener is not None
        await listener.connected.wait()
    await eventually(lambda: second._local.get("a") is None and second._local.get("b") is None)
    assert await second.load("a", Source("new"), ttl=60, tags=["x"]) == "new"
    assert await second.load("b", Source("new"), ttl=60) == "new"
    assert (await first.check()).status == "up"


async def test_too_many_invalidations_become_one(
    own_redis: RedisProcess, workers: list[Worker]
) -> None:
    """The memory for an outage is bounded: above it everything is dropped instead."""
    first = workers[0].cache
    invalidations = first._invalidations
    assert invalidations is not None
    await first.set("kept", 1, ttl=60)
    own_redis.stop()
    for start in range(0, 12_000, 1000):
        await first.delete(*(str(number) for number in range(start, start + 1000)))
    assert len(invalidations) <= 10_001
    own_redis.start()
    await eventually(lambda: not invalidations)
    assert await workers[1].cache.get("kept") is None


async def test_a_stop_in_an_outage_says_what_is_lost(
    own_redis: RedisProcess, redis_servers: RedisServers, caplog: pytest.LogCaptureFixture
) -> None:
    """Invalidations that Redis did not take are an error in the log."""
    worker = await Worker(own_redis.url).start()
    own_redis.stop()
    await worker.cache.delete("a")
    await worker.stop()
    assert "1 invalidations did not reach Redis" in caplog.text


async def test_a_cache_starts_in_an_outage(redis_servers: RedisServers) -> None:
    """And hears of changes as soon as Redis is there."""
    server = redis_servers.start("--port", "0")
    server.stop()
    worker = await Worker(server.url).start()
    assert await worker.cache.load("a", Source(1), ttl=60) == 1
    server.start()
    listener = worker.cache._listener
    assert listener is not None
    await listener.connected.wait()
    assert await worker.cache.load("a", Source(2), ttl=60) == 2  # what it kept may be old
    await worker.stop()
