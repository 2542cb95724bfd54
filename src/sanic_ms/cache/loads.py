"""Loading a value: once in the process, once in all, and without Redis where it is away."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, TypeVar
from uuid import uuid4

from sanic_ms.cache.counts import CacheCounts
from sanic_ms.cache.entry import Entry
from sanic_ms.cache.flights import Flights
from sanic_ms.cache.local import LocalStore
from sanic_ms.cache.policy import CachePolicy
from sanic_ms.cache.shared import SharedStore, new_stamp
from sanic_ms.cache.values import pack
from sanic_ms.cache.wakeups import Wakeups
from sanic_ms.exception import ClientError, GatewayTimeout, RedisUnavailable

__all__ = ["Loader", "Loads"]

log = logging.getLogger("sanic_ms.cache")

T = TypeVar("T")
Loader = Callable[[], Awaitable[Any]]

LOCK_LIFE = 10.0
"""Seconds after which another process may load what a process that died was loading."""

LONGEST_LOAD = 60.0
"""Seconds after which a load is cancelled: one that hangs must not keep its key for ever."""

_AT_ONCE = 10  # loads of one space while Redis is away
_MOST_SPACES = 1000
_EARLY_PAUSE = 1.0  # seconds between two attempts to load a value early


class _RedisAway(Exception):
    """Redis was asked by the cache, and not by a loader."""


class Loads:
    """Loads values that are missing.

    Args:
        local: The entries of the process.
        shared: Those of all processes; None: there are no others.
        counts: Hits, misses and loads.
        wakeups: Wakes at the end of loads of other processes.
    """

    def __init__(
        self,
        local: LocalStore,
        shared: SharedStore | None,
        counts: CacheCounts,
        wakeups: Wakeups,
    ) -> None:
        self._local = local
        self._shared = shared
        self._counts = counts
        self._wakeups = wakeups
        self._spaces: dict[str, asyncio.Semaphore] = {}
        self.flights = Flights()

    async def get(self, key: str, loader: Loader, policy: CachePolicy) -> Any:
        """The value of a key: cached, or loaded now."""
        entry = self._local.get(key)
        if entry is not None and (now := monotonic()) < entry.fresh_until:
            self._counts.add(policy.space, "hit")
            if now >= entry.early_at:
                entry.early_at = now + _EARLY_PAUSE
                self.flights.begin(key, lambda: self._load_early(key, loader, policy))
            return entry.value
        return await self.flights.join(key, lambda: self._load(key, loader, policy, entry))

    async def _load(
        self, key: str, loader: Loader, policy: CachePolicy, stale: Entry | None
    ) -> Any:
        if self._shared is None:
            self._counts.add(policy.space, "miss")
            return await self._load_here(key, loader, policy, stale)
        try:
            return await self._load_shared(self._shared, key, loader, policy, stale)
        except _RedisAway:
            return await self._load_bounded(key, loader, policy, stale)

    async def _load_early(self, key: str, loader: Loader, policy: CachePolicy) -> Any:
        try:
            shared = self._shared
            if shared is None:
                await self._load_here(key, loader, policy, None)
                return
            entry = await self._read(shared, key, policy)
            if entry is not None and monotonic() < entry.early_at:
                return  # another process has loaded it
            token = uuid4().hex
            begun = await _asked(shared.begin(key, token, LOCK_LIFE, policy.tags))
            if begun.is_taken:
                await self._load_locked(shared, key, loader, policy, None, token, begun.stamps)
        except _RedisAway:
            pass
        except Exception as exc:
            log.warning("cache: %s could not be loaded early: %r", key, exc)

    async def _load_here(
        self, key: str, loader: Loader, policy: CachePolicy, stale: Entry | None
    ) -> Any:
        """Load for this process alone."""
        stamps = {tag: self.stamp(tag) for tag in policy.tags}
        try:
            value = await self._call(loader, policy)
        except Exception as exc:
            return self._stale(key, policy, stale, exc)
        pack(policy.plain(value))  # what Redis would not take is an error without Redis too
        self._keep(key, policy.entry(value, stamps))
        return value

    async def _load_bounded(
        self, key: str, loader: Loader, policy: CachePolicy, stale: Entry | None
    ) -> Any:
        """Load while Redis is away: so many at once, the rest wait or get a stale value."""
        self._counts.add(policy.space, "miss")
        space = self._spaces.get(policy.space)
        if space is None:
            name = policy.space if len(self._spaces) < _MOST_SPACES else ""  # the rest share one
            space = self._spaces.setdefault(name, asyncio.Semaphore(_AT_ONCE))
        if stale is not None and space.locked():
            self._counts.add(policy.space, "stale")
            return stale.value
        async with space:
            return await self._load_here(key, loader, policy, stale)

    async def _load_shared(
        self,
        shared: SharedStore,
        key: str,
        loader: Loader,
        policy: CachePolicy,
        stale: Entry | None,
    ) -> Any:
        """Load for all processes, or wait until another one has."""
        token = uuid4().hex
        is_miss = False
        while True:
            entry = await self._read(shared, key, policy)
            if entry is not None and monotonic() < entry.fresh_until:
                self._counts.add(policy.space, "shared_hit")
                return entry.value
            stale = entry or stale
            if not is_miss:
                self._counts.add(policy.space, "miss")
                is_miss = True
            with self._wakeups.of(key) as wakeup:  # from before the lock is asked for
                begun = await _asked(shared.begin(key, token, LOCK_LIFE, policy.tags))
                if begun.is_taken:
                    return await self._load_locked(
                        shared, key, loader, policy, stale, token, begun.stamps
                    )
                await wakeup.wait(begun.lock_life)

    async def _load_locked(
        self,
        shared: SharedStore,
        key: str,
        loader: Loader,
        policy: CachePolicy,
        stale: Entry | None,
        token: str,
        stamps: dict[str, str],
    ) -> Any:
        """Load as the one process that does."""
        for tag, stamp in stamps.items():
            self._local.set_stamp(tag, stamp)
        entry, plain = None, None
        renewal = asyncio.create_task(self._renew(shared, key, token))
        try:
            value = await self._call(loader, policy)
            entry = policy.entry(value, stamps)
            plain = policy.plain(value)
            pack(plain)
        except BaseException as exc:
            with contextlib.suppress(RedisUnavailable):
                await shared.end(key, token, None, None)
            if not isinstance(exc, Exception):
                raise
            return self._stale(key, policy, stale, exc)
        finally:
            renewal.cancel()
        is_written = True
        with contextlib.suppress(RedisUnavailable):
            is_written = await shared.end(key, token, entry, plain)
        if is_written:
            self._keep(key, entry)
        return value

    async def _renew(self, shared: SharedStore, key: str, token: str) -> None:
        while True:
            await asyncio.sleep(LOCK_LIFE / 3)
            with contextlib.suppress(RedisUnavailable):
                if not await shared.renew(key, token, LOCK_LIFE):
                    return

    async def _read(self, shared: SharedStore, key: str, policy: CachePolicy) -> Entry | None:
        """The entry in Redis, which the process then keeps too; None: there is none that serves."""
        entry = await _asked(shared.read_tagged(key, policy.tags))
        if entry is None:
            return None
        try:
            entry.value = policy.typed(entry.value)
        except ValueError as exc:
            log.warning("cache: the entry of %s is read as a miss: %s", key, exc)
            return None
        for tag, stamp in entry.stamps.items():
            self._local.set_stamp(tag, stamp)
        self._keep(key, entry)
        return entry

    def _keep(self, key: str, entry: Entry | None) -> None:
        """Keep an entry in the process, unless its key was deleted while it was loaded."""
        if entry is not None and self.flights.is_current(key):
            self._local.set(key, entry)

    async def _call(self, loader: Loader, policy: CachePolicy) -> Any:
        self._counts.add(policy.space, "load")
        try:
            async with asyncio.timeout(LONGEST_LOAD) as limit:
                return await loader()
        except TimeoutError as exc:
            if not limit.expired():
                raise  # the loader's own
            raise GatewayTimeout(
                f"a cached value was not loaded within {LONGEST_LOAD:g} s"
            ) from exc

    def _stale(self, key: str, policy: CachePolicy, stale: Entry | None, exc: Exception) -> Any:
        """A stale value in place of an error of the loader; an error that is the client's is no
        failure, and is raised."""
        if isinstance(exc, ClientError):
            raise exc
        self._counts.add(policy.space, "load_error")
        if stale is None or monotonic() >= stale.stale_until or isinstance(exc, TypeError):
            raise exc
        log.warning("cache: %s is stale, as it could not be loaded: %r", key, exc)
        self._counts.add(policy.space, "stale")
        return stale.value

    def stamp(self, tag: str) -> str:
        """The stamp of a tag in this process; one that has none gets one."""
        stamp = self._local.stamp(tag)
        if stamp is None:
            stamp = new_stamp()
            self._local.set_stamp(tag, stamp)
        return stamp


async def _asked(work: Awaitable[T]) -> T:
    try:
        return await work
    except RedisUnavailable as exc:
        raise _RedisAway from exc
