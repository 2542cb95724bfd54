"""Zipkin's second format, as JSON (https://zipkin.io/zipkin-api/), for ``/api/v2/spans``.

What OpenTelemetry calls things becomes what Zipkin does by OpenTelemetry's own rules:
https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/zipkin/
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from opentelemetry.trace import SpanKind

from sanic_ms.telemetry.tracing.export.base import Format, listed
from sanic_ms.telemetry.tracing.export.queue import Waiting
from sanic_ms.telemetry.tracing.span import RecordedSpan

__all__ = ["ZipkinFormat"]

_KINDS = {
    SpanKind.SERVER: "SERVER",
    SpanKind.CLIENT: "CLIENT",
    SpanKind.PRODUCER: "PRODUCER",
    SpanKind.CONSUMER: "CONSUMER",
}
_STATUSES = {1: "OK", 2: "ERROR"}
_encode = msgspec.json.Encoder().encode


class ZipkinFormat(Format):
    """Each span is an object; attributes are its tags, all of them text."""

    def __init__(self, resource: Mapping[str, str]) -> None:
        super().__init__(resource)
        self._local = {"serviceName": resource.get("service.name", "unknown_service")}
        # What a service says of itself in OTEL_RESOURCE_ATTRIBUTES; the rest would only be noise.
        self._tags = {
            key: value
            for key, value in resource.items()
            if key != "service.name" and not key.startswith(("telemetry.", "process.", "host."))
        }

    def span(self, span: RecordedSpan, offset: int) -> bytes:
        tags = self._tags.copy()
        for key, value in span.attributes.items():
            tags[key] = value if type(value) is str else _text(value)
        if span.status:
            tags["otel.status_code"] = _STATUSES[span.status]
        if span.status == 2:
            tags["error"] = span.description or tags.get("error.type", "true")
        tags["otel.scope.name"] = span.scope.name
        if span.scope.version:
            tags["otel.scope.version"] = span.scope.version
        timestamp, duration = self.times(span.start + offset, span.stop + offset)
        document: dict[str, Any] = {
            "traceId": span.trace_id,
            "id": span.span_id,
            "name": span.name,
            "timestamp": timestamp,
            "duration": duration,
            "localEndpoint": self._local,
            "tags": tags,
        }
        if span.parent_id:
            document["parentId"] = span.parent_id
        kind = _KINDS.get(span.kind)
        if kind is not None:
            document["kind"] = kind
            if kind in ("CLIENT", "PRODUCER"):
                remote = _remote(span.attributes)
                if remote:
                    document["remoteEndpoint"] = remote
        if span.events:
            document["annotations"] = _annotations(span, offset)
        return _encode(document)

    def times(self, start: int, stop: int) -> tuple[int, int]:
        # A moment and a duration, in microseconds; less than one is one.
        took = (stop - start + 500) // 1000
        return start // 1000 if start > 0 else 0, took if took > 1 else 1

    def body(self, spans: Sequence[Waiting], encoded: list[bytes]) -> list[bytes]:
        return listed(b"[", encoded, b"]")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return _encode(value).decode()
    return str(value)


def _annotations(span: RecordedSpan, offset: int) -> list[dict[str, Any]]:
    """The events. Zipkin refuses two that are alike, so the second is left out."""
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for event in span.events or ():
        value = event.name
        if event.attributes:
            value = _encode({event.name: event.attributes}).decode()
        at = max(0, event.time + offset) // 1000
        found[at, value] = {"timestamp": at, "value": value}
    return list(found.values())


def _remote(attributes: Mapping[str, Any]) -> dict[str, Any]:
    address = str(attributes.get("server.address", ""))
    name = attributes.get("peer.service") or attributes.get("db.namespace") or address
    port = attributes.get("server.port")
    return _endpoint(str(name), address, port if isinstance(port, int) else 0)


@lru_cache(maxsize=256)
def _endpoint(name: str, address: str, port: int) -> dict[str, Any]:
    endpoint: dict[str, Any] = {"serviceName": name} if name else {}
    version = _ip_version(address)
    if version:
        endpoint[f"ipv{version}"] = address
    if port > 0:
        endpoint["port"] = port
    return endpoint


def _ip_version(address: str) -> int:
    """4 or 6; 0 for a name."""
    try:
        return ipaddress.ip_address(address).version
    except ValueError:
        return 0
