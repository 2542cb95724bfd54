"""How a value is cached: for how long, with which tags, and as what."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from time import monotonic
from typing import Any
from uuid import UUID

import msgspec

from sanic_ms.cache.entry import Entry

__all__ = ["DEFAULT_STALE", "MOST_LIFE", "CachePolicy"]

DEFAULT_STALE = 86400.0
"""Seconds for which a value serves beyond its time where it cannot be loaded again."""

MOST_LIFE = 30 * 86400.0
"""Seconds that an entry may live, its stale time included."""

_JITTER = 0.05
_KEPT = (bytes, datetime, date, time, timedelta, Decimal, UUID)


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """How the values of one function, or one call, are cached.

    Args:
        ttl: Seconds for which a value is fresh; 5 % more or less, so that what was loaded together
            does not end together.
        tags: Names by which values are invalidated together.
        stale: Seconds after ``ttl`` for which a value still serves where the loader or Redis
            fails.
        early: The share of ``ttl`` (0.8, say) after which a hit loads the value again in the
            background; None: never.
        none_ttl: Seconds for which None is fresh; None: None is not cached.
        type: What a value is converted to that is read from Redis; None: values are plain data.
        space: The name under which metrics count, and which limits loads while Redis is away.

    Raises:
        ValueError: a time is not above 0, or too long.
        TypeError: tags are one text.
    """

    ttl: float
    tags: tuple[str, ...] = ()
    stale: float = DEFAULT_STALE
    early: float | None = None
    none_ttl: float | None = None
    type: Any = None
    space: str = "default"

    def __post_init__(self) -> None:
        for name, seconds in (("ttl", self.ttl), ("none_ttl", self.none_ttl)):
            if seconds is not None and not 0 < seconds < math.inf:
                raise ValueError(f"{name}={seconds!r}: give seconds above 0")
        if not 0 <= self.stale < math.inf:
            raise ValueError(f"stale={self.stale!r}: give seconds, or 0 for none")
        if self.ttl + self.stale > MOST_LIFE:
            raise ValueError(f"ttl + stale: at most {MOST_LIFE:g} seconds (30 days)")
        if self.early is not None and not 0 < self.early < 1:
            raise ValueError(f"early={self.early!r}: give a share of ttl between 0 and 1")

    def entry(self, value: Any, stamps: dict[str, str]) -> Entry | None:
        """The entry of a value that was loaded now; None: it is not to be kept."""
        ttl = self.none_ttl if value is None else self.ttl
        if ttl is None:
            return None
        ttl *= 1 + random.uniform(-_JITTER, _JITTER)
        now = monotonic()
        early = math.inf if self.early is None else now + ttl * self.early
        return Entry(value, now + ttl, now + ttl + self.stale, early, stamps)

    def plain(self, value: Any) -> Any:
        """A value as plain data, for Redis."""
        if self.type is None or value is None:
            return value
        return msgspec.to_builtins(value, builtin_types=_KEPT)

    def typed(self, value: Any) -> Any:
        """A value of its type, from plain data.

        Raises:
            ValueError: it does not fit: it was written by another version.
        """
        if self.type is None or value is None:
            return value
        return msgspec.convert(value, self.type, builtin_types=_KEPT)
