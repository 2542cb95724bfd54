"""The time that rows are stamped with."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["utcnow"]


def utcnow() -> datetime:
    """Now, in UTC and saying so: ``create_time = DateTimeField(default=utcnow)``."""
    return datetime.now(UTC)
