"""The span that is recorded: OpenTelemetry's, in as few steps as it can be made.

Times are those of `time.perf_counter_ns`, which no clock that is set can turn back; `wall_offset`
is what makes them times of day, when they are sent.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.trace import (
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from sanic_ms.telemetry.tracing.attributes import (
    MOST_EVENTS,
    add_attributes,
    safe_text,
)
from sanic_ms.telemetry.tracing.errors import error_stack, error_text, error_type
from sanic_ms.telemetry.tracing.headers import Parent
from sanic_ms.telemetry.tracing.opentracing import OpenTracingMethods

if TYPE_CHECKING:
    from sanic_ms.telemetry.tracing.provider import Provider

__all__ = ["Event", "RecordedSpan", "Scope", "SpanLink", "wall_offset"]

clock = time.perf_counter_ns

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_NOT_SAMPLED = TraceFlags(TraceFlags.DEFAULT)


class Scope(NamedTuple):
    """Who makes the spans: a library and its version."""

    name: str
    version: str = ""


class Event(NamedTuple):
    """Something that happened at a moment of a span's life.

    Attributes:
        name: What.
        time: When, in nanoseconds of the span's clock.
        attributes: More of it.
    """

    name: str
    time: int
    attributes: dict[str, Any]


class SpanLink(NamedTuple):
    """A link to a span of another trace, or of another branch of this one."""

    context: SpanContext
    attributes: dict[str, Any]


def wall_offset() -> int:
    """What must be added to a time of the span's clock to have nanoseconds since 1970."""
    return time.time_ns() - clock()


class RecordedSpan(OpenTracingMethods, Span):
    """A span of a `Provider`. Its attributes are read by the formats when it has ended.

    Attributes:
        recording: Whether it and its children go to the exporter. A server span that does not may
            still do so if its request fails, and so it takes attributes as well.
        sampled: What the next service is told.
        parent_id: ``""`` for the first span of a trace.
        remote: Whether the parent is a span of another service.
        start, stop: Nanoseconds of the span's clock; ``stop`` is 0 until it ends.
        status: 0 unset, 1 fine, 2 an error, as in OpenTelemetry.
        left: Attributes, events and links that there was no room for.
    """

    __slots__ = (
        "_context",
        "attributes",
        "description",
        "events",
        "kind",
        "left",
        "links",
        "name",
        "parent_id",
        "provider",
        "recording",
        "remote",
        "sampled",
        "scope",
        "span_id",
        "start",
        "state",
        "status",
        "stop",
        "trace_id",
    )

    def __init__(
        self,
        provider: Provider,
        scope: Scope,
        name: str,
        kind: SpanKind,
        trace_id: str,
        parent_id: str,
        start: int,
        attributes: dict[str, Any],
        *,
        span_id: str = "",
        state: str = "",
        remote: bool = False,
    ) -> None:
        self.provider = provider
        self.scope = scope
        self.name = name
        self.kind = kind
        self.trace_id = trace_id
        self.span_id = span_id or provider.new_span_id()
        self.parent_id = parent_id
        self.start = start
        self.stop = 0
        self.attributes = attributes
        self.state = state
        self.remote = remote
        self.recording = self.sampled = True
        self.status = 0
        self.description = ""
        self.left = 0
        self.events: list[Event] | None = None
        self.links: list[SpanLink] | None = None
        self._context: SpanContext | None = None

    # --- for ourselves ---------------------------------------------------------------------------

    def child(
        self, scope: Scope, name: str, kind: SpanKind, attributes: dict[str, Any], start: int = 0
    ) -> RecordedSpan:
        """A span below this one. The attributes are taken as they are, and kept."""
        return RecordedSpan(
            self.provider,
            scope,
            name,
            kind,
            self.trace_id,
            self.span_id,
            start or clock(),
            attributes,
            state=self.state,
        )

    @property
    def inherited(self) -> tuple[Provider, str, str, str]:
        """As a `SpanHolder` has it."""
        return self.provider, self.trace_id, self.span_id, self.state

    def as_parent(self) -> Parent:
        """This span as the headers name it."""
        return Parent(self.trace_id, self.span_id, self.sampled, self.state)

    def fail(self, exc: BaseException) -> None:
        """Note that what the span is about ended in an exception."""
        self.attributes["error.type"] = error_type(exc)
        self.status = 2
        self.description = error_text(exc)

    # --- OpenTelemetry's interface ---------------------------------------------------------------

    def end(self, end_time: int | None = None) -> None:
        if self.stop == 0 and self.recording:
            self.stop = clock() if end_time is None else end_time - wall_offset()
            self.provider.put(self)

    def get_span_context(self) -> SpanContext:
        context = self._context
        if context is None:
            state = TraceState.from_header([self.state]) if self.state else None
            flags = _SAMPLED if self.sampled else _NOT_SAMPLED
            context = self._context = SpanContext(
                int(self.trace_id, 16), int(self.span_id, 16), False, flags, state
            )
        return context

    def is_recording(self) -> bool:
        return self.recording and self.stop == 0

    def set_attribute(self, key: str, value: Any) -> None:
        if self.stop == 0:
            self.left += add_attributes(self.attributes, {key: value})

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        if self.stop == 0:
            self.left += add_attributes(self.attributes, attributes)

    def add_event(
        self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None
    ) -> None:
        self._note(safe_text(str(name)), {}, attributes, timestamp)

    def _note(
        self,
        name: str,
        kept: dict[str, Any],
        attributes: Mapping[str, Any] | None,
        timestamp: int | None,
    ) -> None:
        if self.stop:
            return
        if self.events is None:
            self.events = []
        if len(self.events) >= MOST_EVENTS:
            self.left += 1
            return
        self.left += add_attributes(kept, attributes)
        at = clock() if timestamp is None else timestamp - wall_offset()
        self.events.append(Event(name, at, kept))

    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        if self.stop or not context.is_valid:
            return
        if self.links is None:
            self.links = []
        if len(self.links) >= MOST_EVENTS:
            self.left += 1
            return
        kept: dict[str, Any] = {}
        self.left += add_attributes(kept, attributes)
        self.links.append(SpanLink(context, kept))

    def update_name(self, name: str) -> None:
        if self.stop == 0:
            self.name = safe_text(str(name))

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        if self.stop or self.status == 1:  # once it is said to be fine, it stays so
            return
        if isinstance(status, Status):
            description = status.description
            status = status.status_code
        if status is StatusCode.UNSET:
            return
        self.status = status.value
        self.description = safe_text(description or "") if self.status == 2 else ""

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        kept = {
            "exception.type": error_type(exception),
            "exception.message": error_text(exception),
            "exception.stacktrace": error_stack(exception),
        }
        if escaped:
            kept["exception.escaped"] = "True"
        self._note("exception", kept, attributes, timestamp)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if isinstance(exc_val, Exception):
            self.record_exception(exc_val)
            self.fail(exc_val)
        self.end()

    def __repr__(self) -> str:
        return f"<RecordedSpan {self.name!r} {self.trace_id}-{self.span_id}>"
