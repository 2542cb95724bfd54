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

from sanic_ms.telemetry.trace.attributes import is_plain_path, safe_path, safe_query
from sanic_ms.telemetry.trace.base import Format
from sanic_ms.telemetry.trace.child import ChildRecord
from sanic_ms.telemetry.trace.queue import Ended
from sanic_ms.telemetry.trace.record import RequestRecord
from sanic_ms.telemetry.trace.span import RecordedSpan

__all__ = ["Templates"]

_MOST = 4096
"""Templates of requests that are kept: one for each route, status and kind of request."""

_TRACE = "5a4e1c07" * 4
_SPAN = "5a4e1c08" * 2
_PARENT = "5a4e1c09" * 2
_PATH = "/5a4e1c0a-path"
_QUERY = "5a4e1c0b-query"
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

    def write(self, ended: Iterable[Ended], offset: int) -> list[bytes]:
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
        return template % (
            child.trace_id.encode(),
            child.span_id.encode(),
            first,
            second,
            child.parent_id.encode(),
        )

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
        if len(self._known) >= _MOST:
            self._known.clear()
        template = self._known[kind] = _template(
            self._format, request.span(), ("url.path", _PATH), ("url.query", _QUERY)
        )
        return template


def _template(format: Format, span: RecordedSpan, *said: tuple[str, str]) -> bytes | None:
    span.trace_id, span.span_id, span.start, span.stop = _TRACE, _SPAN, _START, _STOP
    span.state = ""
    first, second = map(str, format.times(_START, _STOP))
    holes = [(_TRACE, b"%b"), (_SPAN, b"%b"), (first, b"%d"), (second, b"%d")]
    for name, mark in said:
        if name in span.attributes:
            span.attributes[name] = mark
            holes.append((mark, b"%b"))
    if span.parent_id:
        span.parent_id = _PARENT
        holes.append((_PARENT, b"%b"))
    template, rest = b"", format.span(span, 0).replace(b"%", b"%%")
    for mark, hole in holes:  # each once, and in this order
        if rest.count(mark.encode()) != 1:
            return None
        before, _, rest = rest.partition(mark.encode())
        template += before + hole
    return template + rest


def _text(safe: Callable[[str], str], raw: bytes) -> bytes:
    """A part of a URL as it stands between the quotes of a JSON text."""
    return _encode(safe(raw.decode("ascii", "backslashreplace")))[1:-1]
