"""The contracts of an export: how spans are written, and what brings them to a collector."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sanic_ms.telemetry.tracing.export.queue import Waiting
from sanic_ms.telemetry.tracing.span import RecordedSpan

__all__ = ["ExportResult", "Format", "Sender", "listed"]


class Format(ABC):
    """One way of writing spans. Nothing here does I/O.

    Args:
        resource: Who the spans are of: ``service.name`` and other attributes.

    Attributes:
        retried: The statuses of an answer after which the same body may be sent again.
    """

    retried: frozenset[int] = frozenset((408, 429, 500, 502, 503, 504))

    def __init__(self, resource: Mapping[str, str]) -> None:
        self.resource = dict(resource)

    @abstractmethod
    def span(self, span: RecordedSpan, offset: int) -> bytes:
        """One span.

        Args:
            span: It has ended.
            offset: What makes its times nanoseconds since 1970.
        """

    def times(self, start: int, stop: int) -> tuple[int, int]:
        """The two numbers that `span` writes of when a span began and ended, in this order.

        A format that writes others has no templates made of it.

        Args:
            start, stop: Nanoseconds since 1970.
        """
        return start, stop

    @abstractmethod
    def body(self, spans: Sequence[Waiting], encoded: list[bytes]) -> list[bytes]:
        """The spans as one body, in pieces.

        Args:
            encoded: What `span` gave for each; of a page several such texts, with commas between
                them. It may be changed.
        """

    def rejected(self, answer: bytes) -> int:
        """How many spans the collector refused although it answered with success."""
        return 0


_LARGE = 16_384
"""Bytes of a text from which on it costs less to send it by itself than to copy it."""


def listed(before: bytes, texts: list[bytes], after: bytes) -> list[bytes]:
    """A list in few pieces: texts, with commas between them and what stands before and after.

    A body is a megabyte of thousands of spans. Small texts are joined in one step and so copied
    once: brackets put around them later would copy them again, into memory that the kernel has to
    provide anew. Large ones, which are pages, are not copied.

    Args:
        texts: Of the items; may be changed.
    """
    if not texts:
        return [before + after]
    if max(map(len, texts)) < _LARGE:
        texts[0] = before + texts[0]
        texts[-1] += after
        return [b",".join(texts)]
    pieces: list[bytes] = []
    small = [before]
    for text in texts:
        if len(text) < _LARGE:
            small += text, b","
        else:
            pieces += b"".join(small), text
            small = [b","]
    small[-1] = after  # in place of the comma
    return [*pieces, b"".join(small)]


class ExportResult(NamedTuple):
    """What became of one attempt.

    Attributes:
        status: Of HTTP; 0 where no answer came.
        retry_after: Seconds that the collector asks to be left alone; None: it says nothing.
        body: The beginning of its answer.
        problem: What went wrong in one line; ``""`` where nothing did.
    """

    status: int
    retry_after: float | None = None
    body: bytes = b""
    problem: str = ""


class Sender(ABC):
    """Brings bodies to where they go."""

    @abstractmethod
    async def send(self, body: Sequence[bytes]) -> ExportResult:
        """One attempt to send a body, whose pieces follow each other. It raises nothing but
        `CancelledError`, and ends within a limit of time."""

    async def close(self) -> None:
        """Give back what is open. Calling it again does nothing."""
        return
