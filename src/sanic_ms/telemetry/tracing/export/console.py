"""Spans as lines of text, for whoever sits before the terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sanic_ms.telemetry.tracing.export.base import ExportResult, Format, Sender
from sanic_ms.telemetry.tracing.export.queue import Waiting
from sanic_ms.telemetry.tracing.span import RecordedSpan

__all__ = ["ConsoleFormat", "ConsoleSender"]


class ConsoleFormat(Format):
    """One line a span: what, how long, its place in the trace, and its attributes."""

    def span(self, span: RecordedSpan, offset: int) -> bytes:
        took = (span.stop - span.start) / 1e6
        place = f"trace={span.trace_id} span={span.span_id}"
        if span.parent_id:
            place += f" parent={span.parent_id}"
        said = [f"{key}={value!r}" for key, value in span.attributes.items()]
        if span.status == 2:
            said.insert(0, f"error={span.description!r}")
        said += [f"event={event.name!r}" for event in span.events or ()]
        line = f"{span.kind.name.lower():8} {span.name} {took:.3f} ms {place} {' '.join(said)}"
        return line.encode("utf-8", "backslashreplace")

    def body(self, spans: Sequence[Waiting], encoded: list[bytes]) -> list[bytes]:
        return [b"\n".join(encoded), b"\n"]


class ConsoleSender(Sender):
    """Writes to the standard output."""

    async def send(self, body: Sequence[bytes]) -> ExportResult:
        try:
            sys.stdout.write(b"".join(body).decode("utf-8", "replace"))
            sys.stdout.flush()
        except (
            AttributeError,
            OSError,
            ValueError,
        ) as exc:  # it is closed, or whoever read it left
            return ExportResult(0, problem=f"standard output takes nothing: {exc}")
        return ExportResult(200)
