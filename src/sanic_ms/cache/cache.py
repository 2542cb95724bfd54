"""The cache of a service: in the process, and in Redis where there is one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import Any

from sanic_ms.cache.counts import CacheCounts
from sanic_ms.cache.entry import Entry
from sanic_ms.cache.events import CacheChange, EventListener
from sanic_ms.cache.invalidations import Invalidations
from sanic_ms.cache.loads import Loader, Loads
from sanic_ms.cache.local import LocalStore
from sanic_ms.cache.locks import CacheLock, LocalLocks
from sanic_ms.cache.policy import CachePolicy
from sanic_ms.cache.shared import SharedStore, new_stamp
from sanic_ms.cache.values import pack
from sanic_ms.cache.wakeups import Wakeups
from sanic_ms.exception import RedisUnavailable
from sanic_ms.lifecycle import Component, Health
from sanic_ms.redis import RedisComponent
from sanic_ms.telemetry.metrics import Registry

__all__ = ["Cache"]

_CONNECT = 0.25  # seconds that a start waits until changes of other processes are heard
_LONGEST_KEY = 1024


class Cache(Component):
    """Values by key, with a time to live.

    With Redis it has two levels: what a process has read it keeps, and drops when another process
    changes it. Redis may go away: values are then loaded as if there was none, a few at once, and
    invalidations reach it when it is back.

    A value in the process is the object itself: do not change what a cache has given.

    Args:
        redis: Redis, as a component that starts before the cache; None: the process alone.
        prefix: Stands before all keys in Redis, so that services do not meet.
        max_entries: The most entries that a process keeps; those used longest ago go first.

    Attributes:
        counts: Hits, misses and loads.
    """

    name = "cache"

    def __init__(
        self, redis: RedisComponent | None = None, *, prefix: str = "cache:",
        max_entries: int = 10_000,
    ) -> None:  # fmt: skip
        if max_entries < 1:
            raise ValueError(f"max_entries={max_entries!r}: at least 1")
        self.counts = CacheCounts()
        self._local = LocalStore(max_entries)
        self._counters: dict[str, tuple[int, float]] = {}
        self._locks = LocalLocks()
        self._wakeups = Wakeups()
        self._shared: SharedStore | None = None
        self._invalidations: Invalidations | None = None
        self._listener: EventListener | None = None
        if redis is not None:
            self._shared = shared = SharedStore(redis.client, prefix)
            self._invalidations = Invalidations(shared)
            self._listener = EventListener(
                redis.client, lambda: shared.channel, self._hear, self._forget_all
            )
        self._is_isolated = False
        self._loads = Loads(self._local, self._shared, self.counts, self._wakeups)

    # --- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to hear of changes, where there is Redis. Redis may be away."""
        if self._listener is not None:
            self._listener.start()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CONNECT):
                    await self._listener.connected.wait()

    async def stop(self) -> None:
        """Cancel loads, and forget all that the process keeps. Calling it again does nothing."""
        await self._loads.flights.stop()
        if self._is_isolated and self._shared is not None:
            with contextlib.suppress(RedisUnavailable):
                await self._shared.clear()
        if self._invalidations is not None:
            await self._invalidations.stop()
        if self._listener is not None:
            await self._listener.stop()
        self._forget_all()

    async def check(self) -> Health:
        """Whether changes of other processes are heard, and reach them."""
        if self._listener is None or self._invalidations is None:
            return Health("up")
        if waiting := len(self._invalidations):
            return Health("degraded", f"{waiting} invalidations wait for Redis")
        if not self._listener.connected.is_set():
            return Health("degraded", "changes of other processes are not heard")
        return Health("up")

    def isolate(self) -> None:
        """Use keys that no other cache has, and delete them at the stop: so that each test begins
        with an empty cache, and with counts at 0. The test kit calls it before each start.
        """
        if self._shared is not None and not self._is_isolated:
            self._shared.isolate()
        self._is_isolated = True
        self.counts.clear()

    def measure(self, registry: Registry) -> None:
        """Show hits, misses and loads among the metrics.

        Args:
            registry: ``app.metrics``.
        """
        self.counts.measure(registry)

    # --- values ----------------------------------------------------------------------------------

    async def load(
        self,
        key: str,
        loader: Loader,
        *,
        ttl: float,
        tags: Sequence[str] = (),
        stale: float | None = None,
        early: float | None = None,
        none_ttl: float | None = None,
        type: Any = None,
    ) -> Any:
        """The value of a key; where there is none, it is loaded once for all who ask.

        Args:
            key: The key.
            loader: Gives the value: an async function without arguments.
            ttl, tags, stale, early, none_ttl, type: See `CachePolicy`. ``stale`` is a day, or what
                is left of 30 days.

        Raises:
            TypeError, ValueError: an argument is wrong, or the value cannot be cached.
            Errors of the loader go through, unless a stale value serves in its place.
        """
        _check_key(key)
        policy = CachePolicy(
            ttl=ttl,
            tags=_tags(tags),
            early=early,
            none_ttl=none_ttl,
            type=type,
            space=_space(key),
            **({} if stale is None else {"stale": stale}),
        )
        return await self._loads.get(key, loader, policy)

    async def load_with(self, key: str, loader: Loader, policy: CachePolicy) -> Any:
        """The same with a policy that was made before."""
        _check_key(key)
        return await self._loads.get(key, loader, policy)

    async def get(self, key: str, default: Any = None, *, type: Any = None) -> Any:
        """A value, or ``default``. While Redis is away, what the process has is all there is.

        Args:
            key: The key.
            default: Given where there is no value, or a stale one alone.
            type: What the value is converted to, where it is read from Redis.
        """
        return (await self.get_many([key], type=type)).get(key, default)

    async def get_many(self, keys: Iterable[str], *, type: Any = None) -> dict[str, Any]:
        """The values that there are, by their keys, in one round trip; two where they have tags."""
        wanted = list(dict.fromkeys(keys))
        values: dict[str, Any] = {}
        missing = []
        now = monotonic()
        for key in wanted:
            _check_key(key)
            entry = self._local.get(key)
            if entry is not None and now < entry.fresh_until:
                self.counts.add(_space(key), "hit")
                values[key] = entry.value
            else:
                missing.append(key)
        entries: list[Entry | None] = [None] * len(missing)
        if missing and self._shared is not None:
            with contextlib.suppress(RedisUnavailable):
                entries = await self._shared.read(missing)
        for key, entry in zip(missing, entries, strict=True):
            if entry is None or monotonic() >= entry.fresh_until:
                self.counts.add(_space(key), "miss")
                continue
            self.counts.add(_space(key), "shared_hit")
            entry.value = CachePolicy(ttl=1, type=type).typed(entry.value)
            for tag, stamp in entry.stamps.items():
                self._local.set_stamp(tag, stamp)
            self._local.set(key, entry)
            values[key] = entry.value
        return {key: values[key] for key in wanted if key in values}

    async def set(self, key: str, value: Any, *, ttl: float, tags: Sequence[str] = ()) -> None:
        """Write a value.

        Args:
            key: The key.
            value: Plain data; see `sanic_ms.cache.values.pack`. None is a value here.
            ttl: Seconds to live.
            tags: Names by which it can be invalidated.
        """
        await self.set_many({key: value}, ttl=ttl, tags=tags)

    async def set_many(
        self, values: Mapping[str, Any], *, ttl: float, tags: Sequence[str] = ()
    ) -> None:
        """Write several values in one round trip; two where they have tags."""
        policy = CachePolicy(ttl=ttl, tags=_tags(tags), stale=0, none_ttl=ttl)
        for key, value in values.items():
            _check_key(key)
            pack(value)
        if not values:
            return
        stamps = await self._stamps(policy.tags)
        entries: dict[str, tuple[Entry, Any]] = {}
        for key, value in values.items():
            entry = policy.entry(value, stamps)
            assert entry is not None
            entries[key] = entry, value
            self._loads.flights.forget(key)
        if self._shared is not None:
            try:
                await self._shared.write(entries)
            except RedisUnavailable:
                assert self._invalidations is not None
                self._invalidations.add(list(values), {})
        for key, (entry, _) in entries.items():
            self._local.set(key, entry)

    async def delete(self, *keys: str) -> int:
        """Drop values everywhere. A value that is being loaded is not kept.

        Returns:
            How many there were, as far as that is known: in Redis, else in the process.
        """
        for key in keys:
            _check_key(key)
        number = 0
        for key in keys:
            number += self._local.delete(key)
            self._loads.flights.forget(key)
        if self._invalidations is not None and keys:
            return await self._invalidations.send(keys, {})
        return number

    async def invalidate(self, *tags: str) -> None:
        """Make all values with one of these tags misses, everywhere. One write a tag, however many
        values there are."""
        stamps = {tag: new_stamp() for tag in _tags(tags)}
        for tag, stamp in stamps.items():
            self._local.set_stamp(tag, stamp)
        if self._invalidations is not None and stamps:
            await self._invalidations.send((), stamps)

    async def clear(self) -> None:
        """Drop all values and counters of this cache, everywhere."""
        self._forget_all()
        if self._shared is not None and self._invalidations is not None:
            try:
                await self._shared.clear()
            except RedisUnavailable:
                self._invalidations.add_clear()

    async def incr(self, key: str, amount: int = 1, *, ttl: float | None = None) -> int:
        """Add to a counter and give what it is now. Counters have keys of their own.

        Args:
            key: The counter's.
            amount: What is added; may be below 0.
            ttl: Seconds after its first use at which it is gone; None: it stays.

        Raises:
            RedisUnavailable: Redis is away.
        """
        _check_key(key)
        if ttl is not None and not ttl > 0:
            raise ValueError(f"ttl={ttl!r}: give seconds above 0")
        if self._shared is not None:
            return await self._shared.increment(key, amount, ttl)
        now = monotonic()
        value, ends = self._counters.get(key, (0, now))
        if ends <= now:
            value, ends = 0, float("inf") if ttl is None else now + ttl
        self._counters[key] = value + amount, ends
        return value + amount

    def lock(self, name: str, *, ttl: float = 10.0, wait: float = 5.0) -> CacheLock:
        """A lock for ``async with``, across all processes where there is Redis.

        Args:
            name: The lock's name.
            ttl: Seconds after which it is free where its process died. It is renewed before.
            wait: Seconds to wait for it; then `ServiceUnavailable`.

        Raises:
            ValueError: a time is not above 0.
        """
        _check_key(name)
        for option, seconds in (("ttl", ttl), ("wait", wait)):
            if not 0 < seconds < float("inf"):
                raise ValueError(f"{option}={seconds!r}: give seconds above 0")
        return CacheLock(name, ttl, wait, self._locks, self._shared, self._wakeups)

    # --- the process ----------------------------------------------------------------------------

    async def _stamps(self, tags: tuple[str, ...]) -> dict[str, str]:
        """The stamps of tags; those that have none get one."""
        if self._shared is not None and tags:
            with contextlib.suppress(RedisUnavailable):
                stamps = await self._shared.stamps(tags)
                for tag, stamp in stamps.items():
                    self._local.set_stamp(tag, stamp)
                return stamps
        return {tag: self._loads.stamp(tag) for tag in tags}

    def _hear(self, event: CacheChange) -> None:
        assert self._shared is not None
        if event.loaded is not None:
            self._wakeups.wake(event.loaded)
        if event.origin == self._shared.origin:
            return
        if event.cleared:
            self._forget_all()
        for tag, stamp in event.stamps.items():
            self._local.set_stamp(tag, stamp)
        for key in event.deleted:
            self._local.delete(key)
            self._loads.flights.forget(key)
        if event.loaded is not None:
            self._local.delete(event.loaded)

    def _forget_all(self) -> None:
        self._local.clear()
        self._counters.clear()


def _check_key(key: object) -> None:
    if not isinstance(key, str):
        raise TypeError(f"a cache key is a text, not {key!r}")
    if not 0 < len(key) <= _LONGEST_KEY:
        raise ValueError(f"a cache key has 1 to {_LONGEST_KEY} characters, not {len(key)}")


def _tags(tags: Sequence[str]) -> tuple[str, ...]:
    if isinstance(tags, str):
        raise TypeError(f"tags={tags!r}: give a list of texts")
    for tag in tags:
        _check_key(tag)
    return tuple(dict.fromkeys(tags))


def _space(key: str) -> str:
    """The name that keys have in common: what stands before the first colon."""
    name, separator, _ = key.partition(":")
    return name if separator else "default"
