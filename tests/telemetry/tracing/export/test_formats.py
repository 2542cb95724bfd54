"""What is sent, held against the published schema of Zipkin and the protocol's own messages."""

from __future__ import annotations

import base64
import io
import json
import logging
import math
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import Parse
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator, FormatChecker
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from tests.telemetry.collected import Collected
from tests.telemetry.tracing.conftest import SPAN, TRACE, FakeRequest
from tests.telemetry.tracing.export.receiver import receiver

from sanic_ms.config import Settings
from sanic_ms.telemetry.tracing import Provider, Tracing
from sanic_ms.telemetry.tracing.export.base import Format
from sanic_ms.telemetry.tracing.export.console import ConsoleSender
from sanic_ms.telemetry.tracing.export.log import SPAN_LOGGER, LogSender
from sanic_ms.telemetry.tracing.export.otlp import OtlpFormat
from sanic_ms.telemetry.tracing.export.zipkin import ZipkinFormat
from sanic_ms.telemetry.tracing.server import ServerSpans
from sanic_ms.telemetry.tracing.span import RecordedSpan, Scope, wall_offset

RESOURCE = {"service.name": "shop", "zone": "eu", "host.name": "h"}


@cache
def schema() -> Draft4Validator:
    """Zipkin's own schema of a list of spans."""
    document = json.loads((Path(__file__).parent / "zipkin2.json").read_text(encoding="utf-8"))
    return Draft4Validator(document, format_checker=FormatChecker())


def written(format: Format, spans: list[RecordedSpan]) -> bytes:
    """One body."""
    offset = wall_offset()
    return b"".join(format.body(spans, [format.span(span, offset) for span in spans]))


def zipkin(*spans: RecordedSpan) -> list[dict[str, Any]]:
    """The spans as Zipkin gets them, checked."""
    document = json.loads(written(ZipkinFormat(RESOURCE), list(spans)))
    schema().validate(document)
    return list(document)


def as_message(body: bytes) -> ExportTraceServiceRequest:
    """The body as OTLP's message. The mapping of protobuf writes bytes in base 64; OTLP makes an
    exception of ids, which are undone here."""
    document = json.loads(body)

    def undo(value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                undo(item)
        elif isinstance(value, dict):
            for key, item in value.items():
                if key in ("traceId", "spanId", "parentSpanId"):
                    assert len(item) == (32 if key == "traceId" else 16)
                    value[key] = base64.b64encode(bytes.fromhex(item)).decode()
                else:
                    undo(item)

    undo(document)
    message = ExportTraceServiceRequest()
    Parse(json.dumps(document), message)
    return message


def otlp(*spans: RecordedSpan) -> list[trace_pb2.Span]:
    """The spans as an OTLP collector reads them."""
    (resource,) = as_message(written(OtlpFormat(RESOURCE), list(spans))).resource_spans
    return [span for scope in resource.scope_spans for span in scope.spans]


def plain(value: Any) -> Any:
    """A value of OTLP as Python's."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(plain(item) for item in value.array_value.values)
    return getattr(value, kind)


def attributes(message: Any) -> dict[str, Any]:
    return {entry.key: plain(entry.value) for entry in message.attributes}


def one(spans: Collected, **options: Any) -> RecordedSpan:
    """A span of everything."""
    tracer = Provider(spans.append).get_tracer("library", "1.2")
    span = tracer.start_span(
        "work",
        kind=SpanKind.PRODUCER,
        attributes={
            "text": "a",
            "flag": True,
            "big": 1 << 62,
            "bigger": 1 << 70,
            "part": 0.5,
            "list": ["a", "b"],
            "mixed": [1, None, True],
            "none": None,
            "server.address": "10.0.0.1",
            "server.port": 5672,
            "password": "hunter2",
            "url": "amqp://me:hunter2@host/",
            **options,
        },
        links=[
            Link(SpanContext(int(TRACE, 16), int(SPAN, 16), True, TraceFlags(1)), {"why": "batch"})
        ],
    )
    span.add_event("begun")
    span.add_event("halfway", {"share": 0.5})
    span.set_status(Status(StatusCode.ERROR, "the queue is full"))
    span.end()
    return spans[-1]


def test_a_span_as_zipkin_reads_it(spans: Collected) -> None:
    """Attributes are tags of text; events are annotations; the status becomes an error tag."""
    span = one(spans)
    (found,) = zipkin(span)
    timestamp, duration = found.pop("timestamp"), found.pop("duration")
    assert abs(timestamp * 1000 - (span.start + wall_offset())) < 1e9
    assert duration == max(1, round((span.stop - span.start) / 1000))
    for annotation in found["annotations"]:
        assert timestamp <= annotation.pop("timestamp") <= timestamp + duration
    assert found == {
        "traceId": span.trace_id,
        "id": span.span_id,
        "name": "work",
        "kind": "PRODUCER",
        "localEndpoint": {"serviceName": "shop"},
        "remoteEndpoint": {"serviceName": "10.0.0.1", "ipv4": "10.0.0.1", "port": 5672},
        "annotations": [{"value": "begun"}, {"value": '{"halfway":{"share":0.5}}'}],
        "tags": {
            "zone": "eu",
            "text": "a",
            "flag": "true",
            "big": str(1 << 62),
            "bigger": str(1 << 70),
            "part": "0.5",
            "list": '["a","b"]',
            "mixed": "[1,true]",
            "server.address": "10.0.0.1",
            "server.port": "5672",
            "password": "***",
            "url": "amqp://me:***@host/",
            "error": "the queue is full",
            "otel.status_code": "ERROR",
            "otel.scope.name": "library",
            "otel.scope.version": "1.2",
        },
    }


def test_a_span_as_otlp_reads_it(spans: Collected) -> None:
    """The same through the protocol's own message."""
    span = one(spans)
    (found,) = otlp(span)
    assert found.trace_id.hex() == span.trace_id
    assert found.span_id.hex() == span.span_id
    assert found.parent_span_id == b""
    assert (found.name, found.kind) == ("work", trace_pb2.Span.SPAN_KIND_PRODUCER)
    assert found.end_time_unix_nano - found.start_time_unix_nano == span.stop - span.start
    assert attributes(found) == {
        "text": "a",
        "flag": True,
        "big": 1 << 62,
        "bigger": str(1 << 70),
        "part": 0.5,
        "list": ("a", "b"),
        "mixed": (1, True),
        "server.address": "10.0.0.1",
        "server.port": 5672,
        "password": "***",
        "url": "amqp://me:***@host/",
    }
    assert found.flags == 0x101
    assert (found.status.code, found.status.message) == (2, "the queue is full")
    assert [(event.name, attributes(event)) for event in found.events] == [
        ("begun", {}),
        ("halfway", {"share": 0.5}),
    ]
    for event in found.events:
        assert found.start_time_unix_nano <= event.time_unix_nano <= found.end_time_unix_nano
    (link,) = found.links
    assert (link.trace_id.hex(), link.span_id.hex()) == (TRACE, SPAN)
    assert (attributes(link), link.flags) == ({"why": "batch"}, 0x301)


def test_otlp_names_the_resource_and_who_made_the_spans(spans: Collected) -> None:
    """Spans are grouped by the library that made them."""
    provider = Provider(spans.append)
    for scope in ("a", "b", "a"):
        provider.get_tracer(scope, "1").start_span("work").end()
    message = as_message(written(OtlpFormat(RESOURCE), spans))
    (resource,) = message.resource_spans
    assert attributes(resource.resource) == RESOURCE
    assert [
        (entry.scope.name, entry.scope.version, len(entry.spans)) for entry in resource.scope_spans
    ] == [("a", "1", 2), ("b", "1", 1)]


def test_a_request_from_elsewhere_names_its_caller(spans: Collected) -> None:
    """The parent, the state of the trace, and that the parent is another service's span."""
    request = FakeRequest(f"traceparent: 00-{TRACE}-{SPAN}-01", "tracestate: vendor=x")
    span = ServerSpans(Provider(spans.append)).route("GET", "/").begin(request)
    span.end(500)
    span.detach()
    (found,) = otlp(*spans)
    assert (found.trace_id.hex(), found.parent_span_id.hex()) == (TRACE, SPAN)
    assert (found.trace_state, found.flags) == ("vendor=x", 0x301)
    assert found.kind == trace_pb2.Span.SPAN_KIND_SERVER
    (document,) = zipkin(*spans)
    assert (document["parentId"], document["kind"]) == (SPAN, "SERVER")
    assert document["tags"]["error"] == "500"
    assert "remoteEndpoint" not in document


@pytest.mark.parametrize(
    ("value", "text", "number"),
    [(math.inf, "inf", math.inf), (-math.inf, "-inf", -math.inf), (math.nan, "nan", None)],
)
def test_numbers_that_json_has_not(
    spans: Collected, value: float, text: str, number: float | None
) -> None:
    """They are written as the mapping says, and still valid."""
    span = one(spans, odd=value)
    assert zipkin(span)[0]["tags"]["odd"] == text
    found = attributes(otlp(span)[0])["odd"]
    assert math.isnan(found) if number is None else found == number


def test_a_span_is_of_bounded_size(spans: Collected) -> None:
    """Whatever an application puts on it, what is left out is counted."""
    span = Provider(spans.append).get_tracer("library").start_span("n" * 10_000)
    for number in range(150):
        span.set_attribute(f"key{number}", "v" * 10_000)
        span.add_event("e" * 10_000, {"k": 1} if number else {f"k{n}": n for n in range(200)})
    span.set_attribute("key0", [["deep"] * 200] * 200)
    span.end()
    span.set_attribute("late", 1)
    span.add_event("late")
    span.set_status(StatusCode.ERROR)
    (kept,) = spans
    assert (len(kept.attributes), len(kept.events or [])) == (128, 128)
    assert kept.left == 22 + 22 + 72  # attributes, events, attributes of the first event
    assert (len(kept.name), len(kept.attributes["key1"])) == (4096, 4096)
    assert kept.status == 0
    assert "late" not in kept.attributes
    assert otlp(kept)[0].dropped_attributes_count == kept.left
    zipkin(kept)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary()
    | st.text(st.characters(codec=None), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)  # fmt: skip


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), values, max_size=4))
def test_whatever_is_put_on_a_span_can_be_sent(given_attributes: dict[str, Any]) -> None:
    """No value of an application's makes a body that a collector refuses."""
    spans = Collected()
    span = Provider(spans.append).get_tracer("library").start_span("work")
    span.set_attributes(given_attributes)
    span.add_event("event", given_attributes)
    span.end()
    zipkin(*spans)
    otlp(*spans)


@pytest.mark.parametrize("kind", ["zipkin", "otlp"])
async def test_what_a_collector_receives_is_valid(kind: str) -> None:
    """The same checks on what came over HTTP, packed or in more than a MiB."""
    async with receiver() as collector:
        settings = (
            Settings(zipkin_server=collector.url)
            if kind == "zipkin"
            else Settings(
                otel_exporter_otlp_endpoint=collector.url,
                otel_exporter_otlp_compression="none",
            )
        )
        tracing = Tracing(settings, "shop")
        await tracing.start()
        for number in range(2500):
            span = tracing.server.route("GET", f"/{number}").begin(FakeRequest())
            span.end(200 if number % 2 else 503)
            span.detach()
        await tracing.stop()
    assert len(collector.received) == 2
    count = 0
    for received in collector.received:
        if kind == "zipkin":
            schema().validate(received.json)
            count += len(received.json)
        else:
            (resource,) = as_message(received.body).resource_spans
            count += sum(len(scope.spans) for scope in resource.scope_spans)
    assert count == 2500


@pytest.mark.parametrize("state", ["none", "closed"])
async def test_spans_for_a_console_that_is_not_there_are_lost(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempt fails with a reason, as with a collector that does not answer."""
    stream = None
    if state == "closed":
        stream = io.StringIO()
        stream.close()
    monkeypatch.setattr(sys, "stdout", stream)
    result = await ConsoleSender().send([b"a span"])
    assert result.status == 0
    assert result.problem.startswith("standard output takes nothing: ")


async def test_each_line_of_the_log_is_a_valid_span(caplog: pytest.LogCaptureFixture) -> None:
    """Held against the published schema, whatever is in a span; a line of text has one line."""
    caplog.set_level(logging.INFO, SPAN_LOGGER)
    tracing = Tracing(Settings(trace_exporter="log"), "shop")
    await tracing.start()
    for number in range(200):
        span = tracing.server.route("GET", f"/{number}").begin(FakeRequest())
        span.span.set_attribute("text", "50 % of\nZoë\u2028\x85\x7f\ud800")
        span.end(200 if number % 2 else 503)
        span.detach()
    await tracing.stop()
    lines = [record.getMessage() for record in caplog.records if record.name == SPAN_LOGGER]
    assert len(lines) == 200
    for line in lines:
        assert line.splitlines() == [line]
        schema().validate([json.loads(line)])
    assert {json.loads(line)["localEndpoint"]["serviceName"] for line in lines} == {"shop"}
    assert tracing.queue is not None
    assert (tracing.queue.sent, tracing.queue.dropped) == (200, 0)


async def test_spans_for_a_logger_that_is_off_are_lost(caplog: pytest.LogCaptureFixture) -> None:
    """The attempt fails with a reason, and is not repeated."""
    caplog.set_level(logging.WARNING, SPAN_LOGGER)
    result = await LogSender().send([b"{}"])
    assert (result.status, result.problem) == (
        403,
        "the logger sanic_ms.spans is off at level INFO",
    )
    assert caplog.records == []


def test_a_library_may_have_no_version(spans: Collected) -> None:
    """As the framework's own spans, whose version is that of the resource: then none is sent."""
    provider = Provider(spans.append)
    provider.get_tracer("library").start_span("work").end()
    (span,) = spans
    assert span.scope == Scope("library")
    document = json.loads(written(OtlpFormat(RESOURCE), [span]))
    (group,) = document["resourceSpans"][0]["scopeSpans"]
    assert group["scope"] == {"name": "library"}
    assert "otel.scope.version" not in zipkin(span)[0]["tags"]
