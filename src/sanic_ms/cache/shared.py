"""The entries that all processes share, in Redis.

A load is begun and ended by one script each, so that a miss costs three round trips: the read, and
these two. The stamps of tags are read before the value is loaded. An invalidation that comes while
it is loaded gives the tag another stamp, and the entry is a miss at once.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from sanic_ms.cache.entry import Entry, decode_entry, encode_entry
from sanic_ms.cache.events import CacheChange

if TYPE_CHECKING:
    from sanic_ms.redis.client import InstrumentedRedis

__all__ = ["Begun", "SharedStore", "new_stamp"]

log = logging.getLogger("sanic_ms.cache")

STAMP_LIFE = 60 * 86400
"""Seconds that the stamp of a tag is kept: longer than any entry."""

# KEYS: the lock, the tags' stamps. ARGV: a token, the lock's milliseconds, a new stamp, the
# stamps' seconds. Gives whether the lock was taken, its milliseconds, and the stamps.
_BEGIN = """
local taken = redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
local stamps = {}
for number = 2, #KEYS do
    redis.call('SET', KEYS[number], ARGV[3], 'NX', 'EX', ARGV[4])
    stamps[number - 1] = redis.call('GET', KEYS[number])
end
return {taken and 1 or 0, redis.call('PTTL', KEYS[1]), unpack(stamps)}
"""
# KEYS: the lock, the entry. ARGV: the token, the bytes or nothing, their milliseconds, the
# channel, the message. The entry is written only by the process that has the lock still.
_END = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] ~= '' then redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3]) end
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1
"""
# KEYS: the lock. ARGV: the token, milliseconds.
_RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""


class Begun(NamedTuple):
    """What is known where a load may begin.

    Attributes:
        is_taken: Whether this caller has the lock, and loads.
        lock_life: Seconds until the lock of whoever has it ends.
        stamps: The stamp of each tag.
    """

    is_taken: bool
    lock_life: float
    stamps: dict[str, str]


class SharedStore:
    """Entries in Redis.

    Args:
        client: The client.
        prefix: Stands before all keys, so that services do not meet.

    Attributes:
        origin: The name of this process in them.
    """

    def __init__(self, client: InstrumentedRedis, prefix: str) -> None:
        self.client = client
        self._prefix = prefix
        self.origin = uuid.uuid4().hex
        self._begin = client.register_script(_BEGIN)
        self._end = client.register_script(_END)
        self._renew = client.register_script(_RENEW)

    @property
    def channel(self) -> str:
        """Where changes are published."""
        return f"{self._prefix}events"

    def isolate(self) -> None:
        """Use keys from now on that no other store has."""
        self._prefix += f"{self.origin}:"

    async def read(self, keys: Sequence[str]) -> list[Entry | None]:
        """Entries that are fresh or stale and whose tags were not invalidated, each with its value
        as plain data; None for the others. One round trip, and another where entries have tags.

        An entry that is not whole, or of another version, is a miss and one line in the log.

        Raises:
            RedisUnavailable: Redis is away.
        """
        raw = await self._read_bytes([self._prefix + key for key in keys])
        entries = [self._decoded(key, data) for key, data in zip(keys, raw, strict=True)]
        tags = list({tag for entry in entries if entry is not None for tag in entry.stamps})
        if not tags:
            return entries
        stamps = dict(zip(tags, await self.client.mget(self._tag_keys(tags)), strict=True))
        return [
            None
            if entry is None or any(stamps[tag] != stamp for tag, stamp in entry.stamps.items())
            else entry
            for entry in entries
        ]

    async def read_tagged(self, key: str, tags: Sequence[str]) -> Entry | None:
        """The same of one entry whose tags the caller knows, in one round trip."""
        data, *stamps = await self._read_bytes([self._prefix + key, *self._tag_keys(tags)])
        entry = self._decoded(key, data)
        known = dict(zip(tags, (text and text.decode() for text in stamps), strict=True))
        return entry if entry is not None and entry.stamps == known else None

    async def begin(self, key: str, token: str, lock_life: float, tags: Sequence[str]) -> Begun:
        """Try to be the one that loads, and give every tag a stamp that has none.

        Args:
            key: The entry's.
            token: Of this load alone.
            lock_life: Seconds after which the lock ends by itself.
            tags: Of the entry.
        """
        taken, life, *stamps = await self._begin(
            keys=[self._lock_key(key), *self._tag_keys(tags)],
            args=[token, int(lock_life * 1000), new_stamp(), STAMP_LIFE],
        )
        return Begun(bool(taken), max(0, life) / 1000, dict(zip(tags, stamps, strict=True)))

    async def end(self, key: str, token: str, entry: Entry | None, value: Any) -> bool:
        """Write an entry, give the lock up, and wake the processes that wait for it.

        Args:
            key, token: As given to `begin`.
            entry: None: there is none to write.
            value: The entry's value as plain data.

        Returns:
            Whether it was written. It is not where the key was deleted in the meantime.
        """
        data: bytes | str = ""
        life = 1
        if entry is not None:
            data = encode_entry(entry, value)
            life = max(1, int((entry.stale_until - time.monotonic()) * 1000))
        message = self._message(CacheChange(loaded=key))
        return bool(
            await self._end(
                keys=[self._lock_key(key), self._prefix + key],
                args=[token, data, life, self.channel, message],
            )
        )

    async def renew(self, key: str, token: str, lock_life: float) -> bool:
        """Keep the lock for so many seconds more; whether this caller has it still."""
        return bool(
            await self._renew(keys=[self._lock_key(key)], args=[token, int(lock_life * 1000)])
        )

    async def stamps(self, tags: Sequence[str]) -> dict[str, str]:
        """The stamps of tags; those that have none get one."""
        async with self.client.pipeline() as pipeline:
            for name in self._tag_keys(tags):
                pipeline.set(name, new_stamp(), nx=True, ex=STAMP_LIFE)
                pipeline.get(name)
            results = await pipeline.execute()
        return dict(zip(tags, results[1::2], strict=True))

    async def write(self, entries: Mapping[str, tuple[Entry, Any]]) -> None:
        """Write entries that nobody loads, each with its value as plain data, and tell all."""
        async with self.client.pipeline() as pipeline:
            for key, (entry, value) in entries.items():
                life = max(1, int((entry.stale_until - time.monotonic()) * 1000))
                pipeline.delete(self._lock_key(key))
                pipeline.set(self._prefix + key, encode_entry(entry, value), px=life)
            pipeline.publish(self.channel, self._message(CacheChange(deleted=list(entries))))
            await pipeline.execute()

    async def invalidate(self, keys: Sequence[str], stamps: Mapping[str, str]) -> int:
        """Delete entries, give tags other stamps, and tell all processes.

        A load that runs in the meantime is not written.

        Returns:
            How many entries there were.
        """
        event = CacheChange(deleted=list(keys), stamps=dict(stamps))
        async with self.client.pipeline() as pipeline:
            if keys:
                pipeline.delete(*(self._prefix + key for key in keys))
                pipeline.delete(*map(self._lock_key, keys))
            for tag, stamp in stamps.items():
                pipeline.set(self._tag_key(tag), stamp, ex=STAMP_LIFE)
            pipeline.publish(self.channel, self._message(event))
            results = await pipeline.execute()
        return int(results[0]) if keys else 0

    async def increment(self, key: str, amount: int, life: float | None) -> int:
        """Add to a counter, which lives so many seconds from its first use."""
        name = f"{self._prefix}count:{key}"
        async with self.client.pipeline() as pipeline:
            pipeline.incrby(name, amount)
            if life is not None:
                pipeline.pexpire(name, int(life * 1000), nx=True)
            results = await pipeline.execute()
        return int(results[0])

    def _decoded(self, key: str, data: bytes | None) -> Entry | None:
        if data is None:
            return None
        try:
            entry = decode_entry(data)
        except ValueError as exc:
            log.warning("cache: the entry of %s is read as a miss: %s", key, exc)
            return None
        return entry if entry.stale_until > time.monotonic() else None

    async def _read_bytes(self, keys: Sequence[str]) -> list[bytes | None]:
        values: list[bytes | None] = await self.client.execute_command(
            "MGET", *keys, NEVER_DECODE=True
        )
        return values

    async def clear(self) -> None:
        """Delete all entries and counters, a part at a time, and tell all processes."""
        async for names in _parts(self.client.scan_iter(match=f"{self._prefix}*", count=500)):
            await self.client.unlink(*names)
        await self.client.publish(self.channel, self._message(CacheChange(cleared=True)))

    def _message(self, event: CacheChange) -> str:
        event.origin = self.origin
        return msgspec.json.encode(event).decode()

    def _lock_key(self, key: str) -> str:
        return f"{self._prefix}lock:{key}"

    def _tag_key(self, tag: str) -> str:
        return f"{self._prefix}tag:{tag}"

    def _tag_keys(self, tags: Sequence[str]) -> list[str]:
        return list(map(self._tag_key, tags))


async def _parts(names: AsyncIterator[str], size: int = 500) -> AsyncIterator[list[str]]:
    part: list[str] = []
    async for name in names:
        part.append(name)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def new_stamp() -> str:
    """A stamp that no tag has had: the time, and a random part."""
    return f"{time.time_ns():x}-{uuid.uuid4().hex[:12]}"
