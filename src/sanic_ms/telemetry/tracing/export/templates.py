"""Usual requests and their usual children written by templates: what all requests of a route, or
all spans of a statement, have in common is put into the collector's format once.

A template is what the format itself makes of a span whose ids, times, path and query are marks,
with the marks taken out. So the format's rules stand in one place, and a document that cannot be
taken apart in this way is written as any other span.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from sanic_ms.native.compiled import compiled
from sanic_ms.telemetry.tracing.attributes import is_plain_path, safe_path, safe_query
from sanic_ms.telemetry.tracing.child import ChildRecord
from sanic_ms.telemetry.tracing.export.base import Format
from sanic_ms.telemetry.tracing.export.otlp import OtlpFormat
from sanic_ms.telemetry.tracing.export.queue import PAGE, SpanQueue, Waiting
from sanic_ms.telemetry.tracing.export.zipkin import ZipkinFormat
from sanic_ms.telemetry.tracing.record import RequestRecord
from sanic_ms.telemetry.tracing.span import RecordedSpan

__all__ = ["MOST_TEMPLATES", "PATH", "QUERY", "Templates", "cut", "taker"]

MOST_TEMPLATES = 4096
"""Templates of requests that are kept: one for each route, status and kind of request."""

_TRACE = "5a4e1c07" * 4
_SPAN = "5a4e1c08" * 2
_PARENT = "5a4e1c09" * 2
PATH = "url.path", "/5a4e1c0a-path"
QUERY = "url.query", "5a4e1c0b-query"
_START, _STOP = 3_141_592_653_589_793_238, 3_141_682_818_284_590_452

_encode = msgspec.json.Encoder().encode


class Templates:
    """Writes what has ended in one format.

    Args:
        format: Makes the templates, and what has none.
    """

    def __init__(self, format: Format) -> None:
        self._format = format
        self._times = format.times
        self._known: dict[tuple[Any, ...], bytes | None] = {}

    def write(self, ended: Iterable[Waiting], offset: int) -> list[bytes]:
        """Spans, a text each. That of a record has the same bytes that ``format.span`` gives for
        its span.

        Args:
            ended: What the queue held.
            offset: What makes its times nanoseconds since 1970.

        Raises:
            TypeError, ValueError, OverflowError: one of them cannot be written.
        """
        request, child, span = self._request, self._child, self._format.span
        return [
            request(one, offset)
            if type(one) is RequestRecord
            else child(one, offset)
            if type(one) is ChildRecord
            else one.text()
            if type(one) is PAGE
            else span(one, offset)  # type: ignore[arg-type]
            for one in ended
        ]

    def _child(self, child: ChildRecord, offset: int) -> bytes:
        templates = child.spans.templates
        try:
            template = templates[self]
        except KeyError:
            template = templates[self] = _template(self._format, child.span())
        if template is None or child.state:
            return self._format.span(child.span(), offset)
        first, second = self._times(child.start + offset, child.stop + offset)
        text: bytes = template % (
            child.trace_id.encode(),
            child.span_id.encode(),
            first,
            second,
            child.parent_id.encode(),
        )
        return text

    def _request(self, request: RequestRecord, offset: int) -> bytes:
        path, mark, query = request.url.partition(b"?")
        parent = request.parent
        has_parent = parent is not None and parent.span_id != ""
        kind = (request.route, request.status, request.secure, mark, has_parent)
        try:
            template = self._known[kind]
        except KeyError:
            template = self._learn(kind, request)
        if template is None or (parent is not None and parent.state):
            return self._format.span(request.span(), offset)
        ids = request.ids.encode()
        trace_id, span_id = ids[:32], ids[32:]
        if not is_plain_path(path):
            path = _text(safe_path, path)
        first, second = self._times(request.start + offset, request.stop + offset)
        if parent is None:
            if not mark:
                return template % (trace_id, span_id, first, second, path)
            return template % (trace_id, span_id, first, second, path, _text(safe_query, query))
        values: tuple[Any, ...] = parent.trace_id.encode() or trace_id, span_id, first, second, path
        if mark:
            values = *values, _text(safe_query, query)
        if has_parent:
            values = *values, parent.span_id.encode()
        return template % values

    def _learn(self, kind: tuple[Any, ...], request: RequestRecord) -> bytes | None:
        if len(self._known) >= MOST_TEMPLATES:
            self._known.clear()
        template = self._known[kind] = _template(self._format, request.span(), PATH, QUERY)
        return template


def cut(format: Format, span: RecordedSpan, *said: tuple[str, str]) -> list[bytes] | None:
    """What a format makes of a span, cut at its ids, its times, what is said of it and its
    parent's id, in this order; what a span does not have is no cut. None: it cannot be cut so.

    Args:
        span: Is changed.
        said: Attributes whose values go, and what stands for each meanwhile.
    """
    span.trace_id, span.span_id, span.start, span.stop = _TRACE, _SPAN, _START, _STOP
    span.state = ""
    marks = [_TRACE, _SPAN, *map(str, format.times(_START, _STOP))]
    for name, mark in said:
        if name in span.attributes:
            span.attributes[name] = mark
            marks.append(mark)
    if span.parent_id:
        span.parent_id = _PARENT
        marks.append(_PARENT)
    pieces, rest = [], format.span(span, 0)
    for mark in marks:  # each once, and in this order
        if rest.count(mark.encode()) != 1:
            return None
        before, _, rest = rest.partition(mark.encode())
        pieces.append(before)
    return [*pieces, rest]


def _template(format: Format, span: RecordedSpan, *said: tuple[str, str]) -> bytes | None:
    pieces = cut(format, span, *said)
    if pieces is None:
        return None
    holes = (b"%b", b"%b", b"%d", b"%d", *(len(pieces) - 5) * (b"%b",), b"")
    return b"".join(
        piece.replace(b"%", b"%%") + hole for piece, hole in zip(pieces, holes, strict=True)
    )


def taker(queue: SpanQueue, format: Format) -> Callable[[RequestRecord | ChildRecord], None]:
    """What takes records: the queue, by way of compiled code that writes the usual ones at once."""
    writer = compiled("sanic_ms.telemetry.tracing.export._writer")
    if writer is None or type(format) not in (ZipkinFormat, OtlpFormat):
        return queue.put
    taker: Callable[[RequestRecord | ChildRecord], None] = writer.Writer(queue, format)
    return taker


def _text(safe: Callable[[str], str], raw: bytes) -> bytes:
    """A part of a URL as it stands between the quotes of a JSON text."""
    return _encode(safe(raw.decode("ascii", "backslashreplace")))[1:-1]
