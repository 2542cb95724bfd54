"""``set_tag``, ``log_kv`` and ``finish``: OpenTracing's words for OpenTelemetry's spans."""

from __future__ import annotations

from opentelemetry.trace import INVALID_SPAN, SpanKind

from sanic_ms.telemetry.tracing import Provider, Scope, request_span
from sanic_ms.telemetry.tracing.opentracing import WrappedSpan
from sanic_ms.telemetry.tracing.span import RecordedSpan, clock


def span_of(ended: list[RecordedSpan]) -> RecordedSpan:
    """A span that is recorded."""
    provider = Provider(ended.append)
    return RecordedSpan(provider, Scope("test"), "x", SpanKind.INTERNAL, "a" * 32, "", clock(), {})


def test_tags_are_attributes_and_logs_are_events() -> None:
    """Any value can be a tag; an event without a name is called ``log``."""
    ended: list[RecordedSpan] = []
    span = span_of(ended)
    assert span.set_tag("a", 1).set_tag("b", None).set_tag("c", [1]) is span
    assert span.log_kv({"event": "sent", "to": ("a", "b"), "bytes": 3}) is span
    span.log_kv({"message": "hello"}, timestamp=0.5)
    assert span.attributes == {"a": 1, "b": "None", "c": "[1]"}
    assert span.events is not None
    first, second = span.events
    assert (first.name, first.attributes) == ("sent", {"to": "('a', 'b')", "bytes": 3})
    assert (second.name, second.attributes) == ("log", {"message": "hello"})
    assert second.time < first.time
    span.finish()
    span.finish()
    assert ended == [span]


def test_finish_may_say_when() -> None:
    """In seconds since 1970, as OpenTracing has it."""
    ended: list[RecordedSpan] = []
    span = span_of(ended)
    span.finish(finish_time=0.5)
    assert span.stop < span.start


def test_outside_of_a_request_they_do_nothing() -> None:
    """``request["span"]`` of a request that nobody traces is one that does nothing."""
    span = request_span()
    assert isinstance(span, WrappedSpan)
    span.set_tag("a", 1).log_kv({"event": "x"})
    span.finish()
    assert not span.is_recording()
    assert span.get_span_context() == INVALID_SPAN.get_span_context()
