"""A provider for the tests of any room: its spans end in a list."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from opentelemetry.trace import use_span

from sanic_ms.telemetry.tracing import Provider
from sanic_ms.telemetry.tracing.provider import install, uninstall
from sanic_ms.telemetry.tracing.span import RecordedSpan

__all__ = ["Collected", "recording"]


class Collected(list[RecordedSpan]):
    """Spans in the order in which they ended."""

    def named(self, name: str) -> RecordedSpan:
        """The one span of that name."""
        (span,) = [span for span in self if span.name == name]
        return span


@contextlib.contextmanager
def recording(ratio: float = 1.0, **options: Any) -> Iterator[Collected]:
    """An installed provider, and a root span of it that is current for the block: recorded or not
    as the ratio says. The root is not in the list until the block has ended."""
    spans = Collected()
    provider = Provider(
        spans.append, put_record=lambda record: spans.append(record.span()), ratio=ratio, **options
    )
    assert install(provider)
    try:
        with use_span(provider.get_tracer("test").start_span("root"), end_on_exit=True):
            yield spans
    finally:
        uninstall(provider)
