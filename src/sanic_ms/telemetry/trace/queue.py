"""Where spans wait for their exporter: bounded, and never in the way."""

from __future__ import annotations

from collections import deque

from sanic_ms.telemetry.trace.child import ChildRecord
from sanic_ms.telemetry.trace.record import RequestRecord
from sanic_ms.telemetry.trace.span import RecordedSpan

__all__ = ["Ended", "SpanQueue"]

Ended = RecordedSpan | RequestRecord | ChildRecord
"""A span, or what is sent as one."""


class SpanQueue:
    """Spans that have ended and are still to be sent.

    Any thread may put; one task takes. Each operation is one step of a deque, so no lock is needed.

    Args:
        limit: The most spans that wait; one more is dropped and counted.

    Attributes:
        dropped: Spans that were lost: no room, or the collector did not take them.
        sent: Spans that the collector took.
    """

    __slots__ = ("_spans", "dropped", "limit", "sent")

    def __init__(self, limit: int = 10_000) -> None:
        if limit < 1:
            raise ValueError(f"limit={limit}: at least one span must fit")
        self.limit = limit
        self.dropped = 0
        self.sent = 0
        self._spans: deque[Ended] = deque()

    def __len__(self) -> int:
        return len(self._spans)

    def put(self, span: Ended) -> None:
        """Take a span, or count it as dropped. It never waits."""
        if len(self._spans) < self.limit:
            self._spans.append(span)
        else:
            self.dropped += 1

    def take(self, most: int) -> list[Ended]:
        """The spans that wait longest, at most so many."""
        spans = self._spans
        return [spans.popleft() for _ in range(min(most, len(spans)))]
