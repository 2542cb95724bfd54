"""Spans that are alike but for their ids and times: all those of one statement, say.

What they have in common is bound once, to a `ChildSpans`. One that goes well is no span but a
`ChildRecord` until it is sent, and `sanic_ms.telemetry.tracing.export.templates` writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from opentelemetry.trace import Span, SpanKind

from sanic_ms.native.compiled import compiled
from sanic_ms.telemetry.tracing.context import SpanHolder
from sanic_ms.telemetry.tracing.current import end_child, start_child
from sanic_ms.telemetry.tracing.span import RecordedSpan, Scope, clock

if TYPE_CHECKING:
    from sanic_ms.telemetry.tracing.provider import Provider

__all__ = ["ChildRecord", "ChildSpans"]

T = TypeVar("T")


class ChildSpans:
    """Makes spans that nobody sees before they end.

    Args:
        scope: Who makes them.
        name: Theirs.
        attributes: What all of them have: bounded in size, and without secrets.
        kind: Default: calls of something outside of the process.

    Attributes:
        templates: For `Templates`: theirs, by who wrote them. Kept here, they go when this goes.
    """

    __slots__ = ("attributes", "kind", "name", "scope", "templates")

    def __init__(
        self,
        scope: Scope,
        name: str,
        attributes: dict[str, Any],
        kind: SpanKind = SpanKind.CLIENT,
    ) -> None:
        self.scope = scope
        self.name = name
        self.attributes = attributes
        self.kind = kind
        self.templates: dict[object, Any] = {}

    def around(
        self,
        parent: Span | SpanHolder,
        work: Coroutine[Any, Any, T],
        said_of: Callable[[BaseException], Mapping[str, Any]] | None,
    ) -> Coroutine[Any, Any, T]:
        """The work, which is one of these spans.

        Args:
            parent: As `recording_parent` gave it, whoever's it is.
            work: What is done; its span does not become the current one.
            said_of: More attributes of one that failed. None: one that failed is not told, since it
                is done again; one that was cancelled is.
        """
        if isinstance(parent, _OURS):
            return self._recorded(parent, work, said_of)
        said = self.attributes.copy()
        span = start_child(parent, self.scope, self.name, said, self.kind)
        return _observed(span, work, said_of)

    async def _recorded(
        self,
        parent: SpanHolder | RecordedSpan,
        work: Coroutine[Any, Any, T],
        said_of: Callable[[BaseException], Mapping[str, Any]] | None,
    ) -> T:
        start = clock()
        try:
            result = await work
        except BaseException as exc:
            if (more := _more(exc, said_of)) is not None:
                end_child(self.begun(parent, start).span(), exc, more)
            raise
        if _write_child is not None and _write_child(self, parent, start):
            return result
        child = self.begun(parent, start)
        child.stop = clock()
        provider = child.provider
        if provider.put_record is None:
            provider.put(child.span())
        else:
            provider.put_record(child)
        return result

    def begun(self, parent: SpanHolder | RecordedSpan, start: int) -> ChildRecord:
        """One that began at a time of the span's clock, and has not ended."""
        provider, trace_id, parent_id, state = parent.inherited
        span_id = provider.new_span_id()
        return ChildRecord(self, provider, trace_id, span_id, parent_id, state, start)


class ChildRecord(msgspec.Struct, gc=False):  # why not: see `RequestRecord`
    """One of them.

    Attributes:
        spans: What it has in common with others.
        start, stop: Nanoseconds of the span's clock; ``stop`` is 0 until it ends.
    """

    spans: ChildSpans
    provider: Provider
    trace_id: str
    span_id: str
    parent_id: str
    state: str
    start: int
    stop: int = 0

    @property
    def scope(self) -> Scope:
        """As a span has it."""
        return self.spans.scope

    def span(self) -> RecordedSpan:
        """The span in full, made anew."""
        spans = self.spans
        span = RecordedSpan(
            self.provider,
            spans.scope,
            spans.name,
            spans.kind,
            self.trace_id,
            self.parent_id,
            self.start,
            spans.attributes.copy(),
            span_id=self.span_id,
            state=self.state,
        )
        span.stop = self.stop
        return span


_OURS = (SpanHolder, RecordedSpan)  # in this order: the second takes longer to say no


def _more(
    exc: BaseException, said_of: Callable[[BaseException], Mapping[str, Any]] | None
) -> Mapping[str, Any] | None:
    """More attributes of a span that failed, None: it is not told."""
    if said_of is not None:
        return said_of(exc)
    return None if isinstance(exc, Exception) else {}


async def _observed(
    span: Span,
    work: Coroutine[Any, Any, T],
    said_of: Callable[[BaseException], Mapping[str, Any]] | None,
) -> T:
    try:
        result = await work
    except BaseException as exc:
        if (more := _more(exc, said_of)) is not None:
            end_child(span, exc, more)
        # One that never ends is never sent.
        raise
    end_child(span)
    return result


# Down here, as it looks at the classes above.
_writer = compiled("sanic_ms.telemetry.tracing.export._writer")
_write_child: Callable[[ChildSpans, SpanHolder | RecordedSpan, int], bool] | None = (
    None if _writer is None else _writer.write_child
)
