"""Where spans wait for their exporter: bounded, and never in the way."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from sanic_ms.native.compiled import compiled
from sanic_ms.telemetry.tracing.child import ChildRecord
from sanic_ms.telemetry.tracing.record import RequestRecord
from sanic_ms.telemetry.tracing.span import RecordedSpan, Scope

__all__ = ["PAGE", "Ended", "SpanBuffer", "SpanQueue", "Waiting", "spans_in"]


class SpanBuffer(Protocol):
    """Spans of one scope that compiled code has written, as texts joined by commas.

    Attributes:
        count: How many.
    """

    @property
    def count(self) -> int: ...
    @property
    def scope(self) -> Scope: ...
    def seal(self) -> int:
        """Take nothing more. Gives how many spans there are; calling it again changes nothing."""

    def text(self) -> bytes:
        """What was written; it seals the page."""


_pages = compiled("sanic_ms.telemetry.tracing.export._span_buffer")
PAGE: type[SpanBuffer] | None = None if _pages is None else _pages.SpanBuffer
"""The class of pages; None where nothing is compiled, and there are none."""

Ended = RecordedSpan | RequestRecord | ChildRecord
"""A span, or what is sent as one."""

Waiting = Ended | SpanBuffer
"""What waits: a span, or several."""


class SpanQueue:
    """Spans that have ended and are still to be sent.

    Any thread may put; one task takes. Each operation is one step of a deque, so no lock is needed.

    Args:
        limit: The most spans that wait; one more is dropped and counted.

    Attributes:
        limit: That number; 0 while the queue is closed.
        dropped: Spans that were lost: no room, or the collector did not take them.
        sent: Spans that the collector took.
    """

    # The compiled writer puts its pages into ``_spans`` itself, and counts in ``_further`` the
    # spans of each beyond the first.
    __slots__ = ("_further", "_room", "_spans", "dropped", "limit", "sent")

    def __init__(self, limit: int = 10_000) -> None:
        if limit < 1:
            raise ValueError(f"limit={limit}: at least one span must fit")
        self.limit = self._room = limit
        self.dropped = 0
        self.sent = 0
        self._spans: deque[Waiting] = deque()
        self._further = 0

    def __len__(self) -> int:
        return len(self._spans) + self._further

    def close(self) -> None:
        """Nobody takes spans any more: those that wait are dropped, and so is each that comes."""
        self.limit = 0
        self.dropped += spans_in(self.take(len(self)))

    def reopen(self) -> None:
        """Somebody takes them again."""
        self.limit = self._room

    def put(self, span: Ended) -> None:
        """Take a span, or count it as dropped. It never waits."""
        if len(self._spans) + self._further < self.limit:
            self._spans.append(span)
        else:
            self.dropped += 1

    def take(self, most: int) -> list[Waiting]:
        """What waits longest, at most so many spans; a page is not divided, and may be more."""
        spans = self._spans
        taken: list[Waiting] = []
        while most > 0 and spans:
            count = 1
            if type(spans[0]) is PAGE:
                count = spans[0].seal()
                if count > most and taken:
                    break
                self._further -= count - 1
            taken.append(spans.popleft())
            most -= count
        return taken


def spans_in(waited: Iterable[Waiting]) -> int:
    """How many spans they are."""
    return sum(one.count if type(one) is PAGE else 1 for one in waited)
