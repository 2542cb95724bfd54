"""What other processes change, heard over Redis' pub/sub."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from sanic_ms.redis.client import InstrumentedRedis

__all__ = ["CacheChange", "EventListener"]

log = logging.getLogger("sanic_ms.cache")

RETRY_AFTER = 0.04
"""Seconds between two attempts to connect: changes are heard 50 ms after Redis is back."""

_SILENCE = 5.0  # seconds without a message after which the connection is tried


class CacheChange(msgspec.Struct, omit_defaults=True):
    """A change.

    Attributes:
        deleted: Keys of entries that are gone or were replaced.
        stamps: New stamps of tags.
        loaded: The key of an entry whose load has ended, also in vain.
        cleared: Whether all entries are gone.
        origin: The process that made the change.
    """

    deleted: list[str] = []
    stamps: dict[str, str] = {}
    loaded: str | None = None
    cleared: bool = False
    origin: str = ""


class EventListener:
    """Hears changes from `start` to `stop`, and connects again where the connection is lost.

    Args:
        client: The client.
        channel: Gives the channel.
        on_event: Called with each change.
        on_gap: Called when changes may have been missed, and are heard from now on.

    Attributes:
        connected: Set while changes are heard.
    """

    def __init__(
        self,
        client: InstrumentedRedis,
        channel: Callable[[], str],
        on_event: Callable[[CacheChange], object],
        on_gap: Callable[[], object],
    ) -> None:
        self._client = client
        self._channel = channel
        self._on_event = on_event
        self._on_gap = on_gap
        self._decoder = msgspec.json.Decoder(CacheChange)
        self._task: asyncio.Task[None] | None = None
        self.connected = asyncio.Event()

    def start(self) -> None:
        """Begin to listen, in the background."""
        self._task = asyncio.get_running_loop().create_task(self._listen(), name="cache events")

    async def stop(self) -> None:
        """Listen no more. Calling it again does nothing."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self.connected.clear()

    async def _listen(self) -> None:
        is_lost = False
        while True:
            pubsub = self._client.pubsub()
            try:
                await pubsub.subscribe(self._channel())
                while not self.connected.is_set():
                    message = await pubsub.get_message(timeout=_SILENCE)
                    if message is not None and message["type"] == "subscribe":
                        self._on_gap()
                        self.connected.set()
                        is_lost = False
                await self._hear(pubsub)
            except asyncio.CancelledError:
                raise
            except Exception as exc:
                if not is_lost:
                    log.warning("cache: changes of other processes are not heard: %s", exc)
                is_lost = True
                self.connected.clear()
            finally:
                with contextlib.suppress(Exception):
                    await pubsub.aclose()  # type: ignore[no-untyped-call]
            await asyncio.sleep(RETRY_AFTER)

    async def _hear(self, pubsub: Any) -> None:
        is_waiting = False
        while True:
            message = await pubsub.get_message(timeout=_SILENCE)
            if message is None:
                if is_waiting:
                    raise ConnectionError("the server does not answer a PING")
                await pubsub.ping()
                is_waiting = True
                continue
            is_waiting = False
            if message["type"] != "message":
                continue
            try:
                event = self._decoder.decode(message["data"])
            except msgspec.MsgspecError as exc:
                log.warning("cache: a message of another version is ignored: %s", exc)
                continue
            self._on_event(event)
