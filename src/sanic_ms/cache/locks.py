"""Locks by name: in the process, and across all processes with Redis."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from time import monotonic
from types import TracebackType
from uuid import uuid4

from sanic_ms.cache.shared import SharedStore
from sanic_ms.cache.wakeups import Wakeups
from sanic_ms.exception import LifecycleError, RedisUnavailable, ServiceUnavailable

__all__ = ["CacheLock", "LocalLocks"]

log = logging.getLogger("sanic_ms.cache")


class LocalLocks:
    """The locks of a process, which are there while somebody has or wants them."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    def enter(self, name: str) -> asyncio.Lock:
        """The lock of a name, until `leave`."""
        lock, users = self._locks.get(name) or (asyncio.Lock(), 0)
        self._locks[name] = lock, users + 1
        return lock

    def leave(self, name: str) -> None:
        """Of it no more is wanted."""
        lock, users = self._locks[name]
        if users == 1:
            del self._locks[name]
        else:
            self._locks[name] = lock, users - 1


class CacheLock:
    """A lock for ``async with``. It can be entered again after its end, and not within.

    Attributes:
        is_held: Whether the block has the lock. It may lose one in Redis, where the process stood
            still for longer than ``ttl``: look before what must not be done twice.
    """

    def __init__(
        self,
        name: str,
        ttl: float,
        wait: float,
        local: LocalLocks,
        shared: SharedStore | None,
        wakeups: Wakeups,
    ) -> None:
        self._name = name
        self._key = f"lock {name}"
        self._ttl = ttl
        self._wait = wait
        self._local = local
        self._shared = shared
        self._wakeups = wakeups
        self._token = ""
        self._renewal: asyncio.Task[None] | None = None
        self._lock: asyncio.Lock | None = None
        self.is_held = False

    async def __aenter__(self) -> CacheLock:
        """Take the lock.

        Raises:
            ServiceUnavailable: another has it for longer than ``wait``.
            RedisUnavailable: Redis is away: whether another has it is not known.
            LifecycleError: this very object has it.
        """
        if self._lock is not None:
            raise LifecycleError(f"the lock {self._name!r} is entered already: make another object")
        lock = self._lock = self._local.enter(self._name)
        try:
            async with asyncio.timeout(self._wait):
                await lock.acquire()
                try:
                    await self._take_shared()
                except BaseException:
                    lock.release()
                    raise
        except BaseException as exc:
            self._lock = None
            self._local.leave(self._name)
            if isinstance(exc, TimeoutError):
                raise ServiceUnavailable(
                    f"the lock {self._name!r} did not become free within {self._wait:g} s"
                ) from None
            raise
        self.is_held = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        lock, self._lock = self._lock, None
        assert lock is not None
        self.is_held = False
        try:
            if self._renewal is not None:
                self._renewal.cancel()
            if self._shared is not None:
                with contextlib.suppress(RedisUnavailable):  # it ends by itself
                    await self._shared.end(self._key, self._token, None, None)
        finally:
            lock.release()
            self._local.leave(self._name)

    async def _take_shared(self) -> None:
        shared = self._shared
        if shared is None:
            return
        self._token = uuid4().hex
        while True:
            with self._wakeups.of(self._key) as wakeup:
                begun = await shared.begin(self._key, self._token, self._ttl, ())
                if begun.is_taken:
                    break
                await wakeup.wait(begun.lock_life)
        self._renewal = asyncio.create_task(self._renew(shared), name=f"lock {self._name}")

    async def _renew(self, shared: SharedStore) -> None:
        ends = monotonic() + self._ttl
        while monotonic() < ends:
            await asyncio.sleep(self._ttl / 3)
            with contextlib.suppress(RedisUnavailable):
                if not await shared.renew(self._key, self._token, self._ttl):
                    break
                ends = monotonic() + self._ttl
        self.is_held = False
        log.error("the lock %r was lost: this process stood still, or Redis was away", self._name)
