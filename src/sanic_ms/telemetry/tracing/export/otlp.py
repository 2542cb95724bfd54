"""OTLP over HTTP as JSON (https://opentelemetry.io/docs/specs/otlp/), for ``/v1/traces``.

The JSON mapping of the protocol's messages, with its exceptions: ids are hexadecimal, enumerations
are numbers; whole numbers of 64 bits are text, as everywhere in that mapping.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sanic_ms.telemetry.tracing.export.base import Format, listed
from sanic_ms.telemetry.tracing.export.queue import Waiting
from sanic_ms.telemetry.tracing.span import RecordedSpan, Scope

__all__ = ["OtlpFormat"]

# What the flags of a span and a link say of the parent besides the trace's own flags.
_KNOWN_WHERE = 0x100
_ELSEWHERE = 0x200

_encode = msgspec.json.Encoder().encode


class OtlpFormat(Format):
    """One resource, its spans grouped by the library that made them."""

    # 500 is not among them: the protocol forbids it.
    retried = frozenset((429, 502, 503, 504))

    def __init__(self, resource: Mapping[str, str]) -> None:
        super().__init__(resource)
        self._resource = _encode({"attributes": _attributes(self.resource)})

    def span(self, span: RecordedSpan, offset: int) -> bytes:
        start, stop = self.times(span.start + offset, span.stop + offset)
        document: dict[str, Any] = {
            "traceId": span.trace_id,
            "spanId": span.span_id,
            "name": span.name,
            "kind": span.kind.value + 1,
            "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(stop),
            "attributes": _attributes(span.attributes),
            "flags": int(span.sampled) | _KNOWN_WHERE | (_ELSEWHERE if span.remote else 0),
        }
        if span.parent_id:
            document["parentSpanId"] = span.parent_id
        if span.state:
            document["traceState"] = span.state
        if span.status:
            status: dict[str, Any] = {"code": span.status}
            if span.description:
                status["message"] = span.description
            document["status"] = status
        if span.events:
            document["events"] = [
                {
                    "timeUnixNano": str(max(0, event.time + offset)),
                    "name": event.name,
                    "attributes": _attributes(event.attributes),
                }
                for event in span.events
            ]
        if span.links:
            document["links"] = [
                {
                    "traceId": f"{link.context.trace_id:032x}",
                    "spanId": f"{link.context.span_id:016x}",
                    "traceState": link.context.trace_state.to_header(),
                    "attributes": _attributes(link.attributes),
                    "flags": int(link.context.trace_flags & 0xFF)
                    | _KNOWN_WHERE
                    | (_ELSEWHERE if link.context.is_remote else 0),
                }
                for link in span.links
            ]
        if span.left:
            document["droppedAttributesCount"] = span.left
        return _encode(document)

    def times(self, start: int, stop: int) -> tuple[int, int]:
        if start < 0:
            start = 0
        return start, stop if stop > start else start

    def body(self, spans: Sequence[Waiting], encoded: list[bytes]) -> list[bytes]:
        groups: dict[Scope, list[bytes]] = {}
        last, texts = None, []
        for span, text in zip(spans, encoded, strict=True):
            if span.scope is not last:  # most have that of the one before
                last = span.scope
                texts = groups.setdefault(last, [])
            texts.append(text)
        pieces: list[bytes] = []
        before = b'{"resourceSpans":[{"resource":%b,"scopeSpans":[' % self._resource
        for scope, texts in groups.items():
            before += b'{"scope":%b,"spans":[' % _encode(_scope(scope))
            pieces += listed(before, texts, b"]}")
            before = b","
        return [*pieces, b"]}]}"] if groups else [before + b"]}]}"]

    def rejected(self, answer: bytes) -> int:
        try:
            return int(msgspec.json.decode(answer, type=_ExportReply).partialSuccess.rejectedSpans)
        except (ValueError, RecursionError):
            return 0


class _Partial(msgspec.Struct):
    rejectedSpans: int | str = 0


class _ExportReply(msgspec.Struct):
    partialSuccess: _Partial = msgspec.field(default_factory=_Partial)


def _scope(scope: Scope) -> dict[str, str]:
    return {"name": scope.name, "version": scope.version} if scope.version else {"name": scope.name}


# Most of what is written. Made and written a sixth quicker than dictionaries.
class _Text(msgspec.Struct, gc=False):
    stringValue: str


class _Attribute(msgspec.Struct, gc=False):
    key: str
    value: Any


def _attributes(attributes: Mapping[str, Any]) -> list[_Attribute]:
    return [
        _Attribute(key, _Text(value) if type(value) is str else _value(value))
        for key, value in attributes.items()
    ]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        # JSON has no such numbers; protobuf's mapping writes them as text.
        return {"doubleValue": value if math.isfinite(value) else _NAMES.get(value, "NaN")}
    if isinstance(value, tuple):
        return {"arrayValue": {"values": [_value(item) for item in value]}}
    return {"stringValue": str(value)}


_NAMES = {math.inf: "Infinity", -math.inf: "-Infinity"}
