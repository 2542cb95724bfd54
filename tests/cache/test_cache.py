"""What every cache does: in the process alone, and with Redis."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from tests.cache.conftest import MakeCache, Source, eventually

from sanic_ms.cache import Cache, CachePolicy
from sanic_ms.exception import GatewayTimeout, LifecycleError, NotFound, ServiceUnavailable


class City(msgspec.Struct):
    name: str
    size: int = 0


async def test_a_value_is_set_and_read(cache: Cache) -> None:
    """Until it is deleted; None is a value too."""
    assert await cache.get("a:1") is None
    assert await cache.get("a:1", "default") == "default"
    await cache.set("a:1", {"x": [1, None]}, ttl=60)
    assert await cache.get("a:1") == {"x": [1, None]}
    await cache.set("a:2", None, ttl=60)
    assert await cache.get("a:2", "default") is None
    assert await cache.delete("a:1", "a:2", "a:3") == 2
    assert await cache.get("a:1") is None
    assert await cache.delete() == 0


async def test_many_values_at_once(cache: Cache) -> None:
    """Missing keys are left out; the order is that of the keys."""
    await cache.set_many({"b": 2, "a": 1}, ttl=60)
    assert list((await cache.get_many(["a", "x", "b", "a"])).items()) == [("a", 1), ("b", 2)]
    await cache.set_many({}, ttl=60)
    assert await cache.get_many([]) == {}


async def test_a_value_ends(cache: Cache) -> None:
    """After its time to live, give or take 5 %."""
    await cache.set("a", 1, ttl=0.2)
    assert await cache.get("a") == 1
    await asyncio.sleep(0.22)
    assert await cache.get("a") is None


async def test_a_miss_loads_once(cache: Cache) -> None:
    """A thousand who ask at the same time share one load; later ones need none."""
    source = Source()
    source.go.clear()
    callers = [asyncio.create_task(cache.load("a", source, ttl=60)) for _ in range(1000)]
    await source.begun.wait()
    source.go.set()
    assert set(await asyncio.gather(*callers)) == {"value"}
    assert await cache.load("a", source, ttl=60) == "value"
    assert source.calls == 1
    assert (cache.counts.of("load"), cache.counts.of("miss"), cache.counts.of("hit")) == (1, 1, 1)


async def test_none_is_not_kept_unless_it_is_asked_for(cache: Cache) -> None:
    """``none_ttl`` says for how long."""
    source = Source(None)
    for _ in range(2):
        assert await cache.load("a", source, ttl=60) is None
    assert source.calls == 2
    for _ in range(2):
        assert await cache.load("b", source, ttl=60, none_ttl=60) is None
    assert source.calls == 3


async def test_a_caller_that_leaves_ends_no_load(cache: Cache) -> None:
    """The load goes on for the others, and for the cache."""
    source = Source()
    source.go.clear()
    first = asyncio.create_task(cache.load("a", source, ttl=60))
    await source.begun.wait()
    second = asyncio.create_task(cache.load("a", source, ttl=60))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    source.go.set()
    assert await second == "value"
    assert await cache.load("a", source, ttl=60) == "value"
    assert source.calls == 1


async def test_a_loader_that_fails_is_called_again(cache: Cache) -> None:
    """Its error goes to all who wait, and is not kept."""
    source = Source(RuntimeError("no"))
    results = await asyncio.gather(
        *(cache.load("a", source, ttl=60) for _ in range(3)), return_exceptions=True
    )
    assert [type(result) for result in results] == [RuntimeError] * 3
    assert source.calls == 1
    source.value = 1
    assert await cache.load("a", source, ttl=60) == 1


async def test_a_load_that_hangs_is_given_up(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its key is free again; a timeout of the loader's own is an error like any other."""
    monkeypatch.setattr("sanic_ms.cache.loads.LONGEST_LOAD", 0.1)
    hanging = Source()
    hanging.go.clear()
    with pytest.raises(GatewayTimeout, match="not loaded within"):
        await cache.load("a", hanging, ttl=60)
    assert await cache.load("a", Source(1), ttl=60) == 1
    with pytest.raises(TimeoutError):
        await cache.load("b", Source(TimeoutError()), ttl=60)


async def test_a_stale_value_serves_where_the_loader_fails(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    """Beyond its time, up to ``stale`` seconds; an error that is the client's is no failure."""
    source = Source(1)
    assert await cache.load("a", source, ttl=0.05, stale=60) == 1
    await asyncio.sleep(0.06)
    source.value = RuntimeError("no")
    assert await cache.load("a", source, ttl=0.05, stale=60) == 1
    assert "a is stale" in caplog.text
    assert cache.counts.of("stale") == 1
    source.value = NotFound()
    with pytest.raises(NotFound):
        await cache.load("a", source, ttl=0.05, stale=60)
    source.value = 2
    assert await cache.load("a", source, ttl=0.05, stale=60) == 2
    assert await cache.load("b", Source(1), ttl=0.05, stale=0) == 1
    await asyncio.sleep(0.06)
    with pytest.raises(RuntimeError):
        await cache.load("b", Source(RuntimeError("no")), ttl=0.05, stale=0)


async def test_a_value_is_loaded_early(cache: Cache) -> None:
    """A hit after its share of the time is served at once, and loads in the background, once."""
    source = Source(1)
    await cache.load("a", source, ttl=60, early=0.001)
    await asyncio.sleep(0.07)
    source.value = 2
    source.go.clear()
    source.begun.clear()
    assert [await cache.load("a", source, ttl=60, early=0.001) for _ in range(5)] == [1] * 5
    await source.begun.wait()
    source.go.set()
    await eventually(lambda: not cache._loads.flights)
    assert await cache.load("a", source, ttl=60, early=0.5) == 2
    assert source.calls == 2


async def test_an_early_load_that_fails_is_logged(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    """The value serves on."""
    source = Source(1)
    await cache.load("a", source, ttl=60, early=0.001)
    await asyncio.sleep(0.07)
    source.value = RuntimeError("no")
    assert await cache.load("a", source, ttl=60, early=0.001) == 1
    await eventually(lambda: "could not be loaded early" in caplog.text)
    assert await cache.load("a", source, ttl=60, early=0.001) == 1


async def test_tags_invalidate_together(cache: Cache) -> None:
    """Every value with the tag is a miss, and no other."""
    for key, tags in (("a", ["x"]), ("b", ["x", "y"]), ("c", ["y"]), ("d", [])):
        await cache.load(key, Source(1), ttl=60, tags=tags)
    await cache.set("e", 1, ttl=60, tags=["x"])
    await cache.invalidate("x")
    assert await cache.get_many("abcde") == {"c": 1, "d": 1}
    assert await cache.load("a", Source(2), ttl=60, tags=["x"]) == 2
    assert await cache.get("a") == 2
    await cache.invalidate()


async def test_what_is_invalidated_while_it_is_loaded_is_not_kept(cache: Cache) -> None:
    """The loader may have read old data: its callers get it, and no later one."""
    for invalidate in (lambda: cache.invalidate("x"), lambda: cache.delete("a")):
        source = Source("old")
        source.go.clear()
        caller = asyncio.create_task(cache.load("a", source, ttl=60, tags=["x"]))
        await source.begun.wait()
        await invalidate()
        source.go.set()
        assert await caller == "old"
        assert await cache.load("a", Source("new"), ttl=60, tags=["x"]) == "new"
        await cache.delete("a")


async def test_a_load_that_is_deleted_is_not_waited_for(cache: Cache) -> None:
    """Who asks after the deletion begins a load of its own."""
    old = Source("old")
    old.go.clear()
    caller = asyncio.create_task(cache.load("a", old, ttl=60))
    await old.begun.wait()
    await cache.delete("a")
    assert await cache.load("a", Source("new"), ttl=60) == "new"
    old.go.set()
    assert await caller == "old"
    assert await cache.get("a") == "new"


async def test_a_type_is_given_back(make_cache: MakeCache) -> None:
    """A Struct from another process is a Struct."""
    first, second = await make_cache(), await make_cache()
    for cache in (first, second):
        value = await cache.load("a", Source([City("Ghent", 3)]), ttl=60, type=list[City])
        assert value == [City("Ghent", 3)]
        assert isinstance(value[0], City)


async def test_a_value_that_redis_would_not_take_is_an_error(cache: Cache) -> None:
    """Also without Redis, and also where a stale value would serve: it is a mistake."""
    await cache.load("a", Source(1), ttl=0.01, stale=60)
    await asyncio.sleep(0.02)
    with pytest.raises(TypeError, match="annotate"):
        await cache.load("a", Source(City("x")), ttl=60)
    with pytest.raises(TypeError, match="annotate"):
        await cache.set("b", City("x"), ttl=60)
    assert await cache.get("b") is None


async def test_counters(cache: Cache) -> None:
    """They add, end, and do not meet values of the same key."""
    await cache.set("a", "text", ttl=60)
    assert [await cache.incr("a"), await cache.incr("a", 5), await cache.incr("a", -2)] == [1, 6, 4]
    counts = await asyncio.gather(*(cache.incr("b") for _ in range(50)))
    assert sorted(counts) == list(range(1, 51))
    assert await cache.incr("c", ttl=0.1) == 1
    assert await cache.incr("c", ttl=60) == 2
    await asyncio.sleep(0.12)
    assert await cache.incr("c") == 1
    assert await cache.get("a") == "text"


async def test_one_at_a_time_has_a_lock(make_cache: MakeCache) -> None:
    """Across processes where there is Redis; after an error too."""
    first, second = await make_cache(), await make_cache()
    caches = [first, second] if first._shared is not None else [first, first]
    inside: list[int] = []

    async def work(number: int) -> None:
        async with caches[number % 2].lock("x", wait=60) as lock:
            assert lock.is_held
            inside.append(number)
            assert len(inside) == 1
            await asyncio.sleep(0)
            inside.remove(number)
            if number % 3 == 0:
                raise RuntimeError
        assert not lock.is_held

    await asyncio.gather(*map(work, range(20)), return_exceptions=True)
    async with first.lock("x", wait=0.5), first.lock("y", wait=0.5):
        with pytest.raises(ServiceUnavailable, match="did not become free"):
            await caches[1].lock("x", wait=0.05).__aenter__()
    async with caches[1].lock("x", wait=0.5):
        pass
    assert not first._locks._locks


async def test_a_lock_is_entered_once(cache: Cache) -> None:
    """The same object cannot be entered within itself."""
    lock = cache.lock("x")
    async with lock:
        with pytest.raises(LifecycleError, match="entered already"):
            await lock.__aenter__()
    async with lock:
        assert lock.is_held


async def test_clear_drops_everything(cache: Cache) -> None:
    """Values and counters."""
    await cache.set_many({f"a{number}": number for number in range(1200)}, ttl=60)
    await cache.incr("n")
    await cache.clear()
    assert await cache.get_many(f"a{number}" for number in range(1200)) == {}
    assert await cache.incr("n") == 1


async def test_the_process_keeps_so_many_entries() -> None:
    """Those used longest ago go first."""
    cache = Cache(max_entries=2)
    await cache.set_many({"a": 1, "b": 2}, ttl=60)
    assert await cache.get("a") == 1
    await cache.set("c", 3, ttl=60)
    assert await cache.get_many("abc") == {"a": 1, "c": 3}
    await cache.stop()
    assert await cache.get_many("abc") == {}


async def test_a_stop_cancels_loads(cache: Cache) -> None:
    """Who waits is cancelled with it; a second stop does nothing."""
    source = Source()
    source.go.clear()
    caller = asyncio.create_task(cache.load("a", source, ttl=60))
    await source.begun.wait()
    await cache.stop()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await cache.stop()


@pytest.mark.parametrize("key", ["", "x" * 1025])
async def test_keys_have_a_length(cache: Cache, key: str) -> None:
    """One that is empty or huge is an error everywhere, and so is what is no text."""
    for call in (
        lambda key: cache.get(key), lambda key: cache.set(key, 1, ttl=1),
        lambda key: cache.delete(key), lambda key: cache.incr(key),
        lambda key: cache.load(key, Source(), ttl=1), lambda key: cache.invalidate(key),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="1 to 1024"):
            await call(key)
        with pytest.raises(TypeError, match="is a text"):
            await call(None)
    with pytest.raises(ValueError, match="1 to 1024"):
        cache.lock(key)


@pytest.mark.parametrize(
    "options", [{"ttl": 0}, {"ttl": -1}, {"ttl": float("inf")}, {"ttl": 31 * 86400},
                {"ttl": 1, "stale": -1}, {"ttl": 1, "early": 1}, {"ttl": 1, "early": 0},
                {"ttl": 1, "none_ttl": 0}],
)  # fmt: skip
def test_times_have_limits(options: dict[str, float]) -> None:
    """A time that makes no sense is an error where it is given."""
    with pytest.raises(ValueError, match=r"seconds|share"):
        CachePolicy(**options)  # type: ignore[arg-type]


async def test_tags_are_no_text(cache: Cache) -> None:
    """``tags="cities"`` would be six tags."""
    with pytest.raises(TypeError, match="list of texts"):
        await cache.load("a", Source(), ttl=60, tags="cities")


async def test_a_load_that_waits_for_itself_is_an_error(make_cache: MakeCache) -> None:
    """Alone, through another one, and where two begin at the same time; the keys load afterwards,
    and what a load has begun may ask for its key later."""
    cache = await make_cache()
    both = asyncio.Barrier(2)

    async def itself() -> Any:
        return await cache.load("a", itself, ttl=60)

    async def first() -> Any:
        await both.wait()
        return await cache.load("b", second, ttl=60)

    async def second() -> Any:
        await both.wait()
        return await cache.load("a", first, ttl=60)

    async with asyncio.timeout(30):
        with pytest.raises(RecursionError, match="waits for a, which waits for it"):
            await cache.load("a", itself, ttl=60)
        results = await asyncio.gather(
            cache.load("a", first, ttl=60), cache.load("b", second, ttl=60), return_exceptions=True
        )
        assert [type(result) for result in results] == [RecursionError] * 2

        later: list[asyncio.Task[Any]] = []
        ended = asyncio.Event()

        async def ask() -> Any:
            await ended.wait()
            await cache.delete("a")
            return await cache.load("a", Source("new"), ttl=60)

        async def begins() -> Any:
            later.append(asyncio.create_task(ask()))
            inner = [cache.load("c", Source("c"), ttl=60) for _ in range(2)]
            return "old", *await asyncio.gather(*inner)

        assert await cache.load("a", begins, ttl=60) == ("old", "c", "c")
        ended.set()
        assert await later[0] == "new"
