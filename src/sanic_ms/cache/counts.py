"""What a cache counts."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

from sanic_ms.telemetry.metrics import Registry

__all__ = ["CacheCounts", "CacheEvent"]

CacheEvent = Literal["hit", "shared_hit", "stale", "miss", "load", "load_error"]


class CacheCounts:
    """How often each event was, by the space of its keys.

    Events: ``hit`` in the process, ``shared_hit`` in Redis, ``miss`` in both, ``stale`` for a value
    that served beyond its time, ``load`` and ``load_error`` for calls of a loader.
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._metric: Any = None

    def measure(self, registry: Registry) -> None:
        """Count as ``cache_events_total`` as well.

        Args:
            registry: ``app.metrics``.
        """
        self._metric = registry.counter(
            "cache_events",
            "Hits (also in Redis, also stale), misses and loads of a cache.",
            labels=["space", "event"],
        )

    def add(self, space: str, event: CacheEvent) -> None:
        """One more."""
        self._counts[space, event] += 1
        if self._metric is not None:
            self._metric.labels(space, event).inc()

    def of(self, event: CacheEvent, space: str | None = None) -> int:
        """How often it was.

        Args:
            event: The event.
            space: Of these keys alone; None: of all.
        """
        return sum(
            number
            for (one, name), number in self._counts.items()
            if name == event and space in (None, one)
        )

    def clear(self) -> None:
        """Begin at 0 again; metrics go on."""
        self._counts.clear()
