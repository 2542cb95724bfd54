"""Requests and children that are written by templates: the bytes are those of any other span."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from tests.telemetry.tracing.conftest import SPAN, TRACE, FakeRequest

from sanic_ms.telemetry.tracing import (
    ChildSpans,
    Provider,
    Scope,
    ServerSpans,
    current_ids,
    headers_out,
    server_span,
)
from sanic_ms.telemetry.tracing.attributes import is_plain_path, safe_path
from sanic_ms.telemetry.tracing.child import ChildRecord
from sanic_ms.telemetry.tracing.export.base import Format
from sanic_ms.telemetry.tracing.export.console import ConsoleFormat
from sanic_ms.telemetry.tracing.export.otlp import OtlpFormat
from sanic_ms.telemetry.tracing.export.queue import Ended
from sanic_ms.telemetry.tracing.export.templates import Templates
from sanic_ms.telemetry.tracing.export.zipkin import ZipkinFormat
from sanic_ms.telemetry.tracing.record import RequestRecord
from sanic_ms.telemetry.tracing.span import RecordedSpan

RESOURCE = {"service.name": "shöp 100%", "deployment.environment": 'a "test"'}
FORMATS = [ZipkinFormat(RESOURCE), OtlpFormat(RESOURCE), ConsoleFormat(RESOURCE)]
OFFSET = 1_700_000_000_000_000_000

# What paths and queries have in them, and what might trip a template or a JSON text.
PIECES = st.sampled_from(
    [
        *(b"/", b"users", b"7", b"?", b"&", b"=", b":", b"%", b"%s", b"%41", b"%22", b'"', b"\\"),
        *(b"\x00", b"\x7f", b"\xc3\xa4", b"\xff", b"@", b"//", b"eyJhbGci.eyJzdWIi.x", b"token="),
        *(b"http://user:password@host", b"%d", b"{}", b"{0}", b"5a4e1c0a-path", b"a" * 5000),
    ]
)
URLS = st.lists(PIECES, max_size=8).map(b"".join)
LINES = st.sampled_from(
    [
        (),
        (f"traceparent: 00-{TRACE}-{SPAN}-01",),
        (f"traceparent: 00-{TRACE}-{SPAN}-01", "tracestate: vendor=a%s,other=b"),
        (f"b3: {TRACE}-{SPAN}-1",),
        ("X-B3-Sampled: 1",),
    ]
)


def served(
    request: FakeRequest,
    status: int = 200,
    handler: Callable[[], Any] = lambda: None,
    route: tuple[str, str] = ("GET", "/users/<id>"),
) -> list[Ended]:
    """What a request leaves in the queue."""
    ended: list[Ended] = []
    spans = ServerSpans(Provider(ended.append, put_record=ended.append))

    def run() -> None:
        span = spans.route(*route).begin(request)
        handler()
        span.end(status)

    Context().run(run)
    return ended


@pytest.mark.parametrize("form", FORMATS, ids=["zipkin", "otlp", "console"])
@given(
    url=URLS,
    lines=LINES,
    status=st.sampled_from([0, 200, 204, 404, 499]),
    secure=st.booleans(),
    route=st.sampled_from(
        [("GET", "/users/<id>"), ("", ""), ("POST", "/5a4e1c075a4e1c075a4e1c075a4e1c07/ä/%s")]
    ),
    times=st.sampled_from([(0, 0), (0, 499), (1, 1501), (10, 5), (0, 10**12)]),
    offset=st.sampled_from([OFFSET, 0, -(10**6)]),
)
def test_a_template_writes_what_the_format_does(
    form: Format,
    url: bytes,
    lines: tuple[str, ...],
    status: int,
    secure: bool,
    route: tuple[str, str],
    times: tuple[int, int],
    offset: int,
) -> None:
    """Byte for byte, whatever the client sends, the first time and from the kept template."""
    request = FakeRequest(*lines, raw_url=url, secure=secure)
    (record,) = served(request, status, route=route)
    assert isinstance(record, RequestRecord)
    record.start, record.stop = times
    expected = form.span(record.span(), offset)
    templates = Templates(form)
    assert templates.write([record], offset) == [expected]
    assert templates.write([record], offset) == [expected]


def test_a_route_has_one_template_for_each_kind_of_request() -> None:
    """The format itself is asked once for each, not for each request."""
    asked = []

    class Counting(ZipkinFormat):
        def span(self, span: RecordedSpan, offset: int) -> bytes:
            asked.append(span.attributes)
            return super().span(span, offset)

    templates = Templates(Counting(RESOURCE))
    ended: list[Ended] = []
    route = ServerSpans(Provider(ended.append, put_record=ended.append)).route("GET", "/<id>")
    for number in range(50):
        for url in (b"/%d" % number, b"/%d?a=%d" % (number, number)):
            span = route.begin(FakeRequest(raw_url=url))
            span.end(404 if number % 2 else 200)
            span.detach()
    for record in ended:
        assert isinstance(record, RequestRecord)
        templates.write([record], OFFSET)
    assert len(ended) == 100
    assert len(asked) == 4


@pytest.mark.parametrize("form", FORMATS, ids=["zipkin", "otlp", "console"])
@given(
    text=st.lists(PIECES, max_size=8).map(lambda pieces: b"".join(pieces).decode("latin-1")),
    state=st.sampled_from(["", "vendor=a%s,other=b"]),
    version=st.sampled_from(["", "1.0"]),
    times=st.sampled_from([(0, 0), (0, 499), (1, 1501), (10, 5), (0, 10**12)]),
    offset=st.sampled_from([OFFSET, 0, -(10**6)]),
)
def test_a_template_writes_a_statement_as_the_format_does(
    form: Format, text: str, state: str, version: str, times: tuple[int, int], offset: int
) -> None:
    """Byte for byte, whatever its text, the first time and from the kept template."""
    said = {"db.query.text": text, "server.address": "::1", "server.port": 5432, "url.path": "/"}
    spans = ChildSpans(Scope("sanic_ms.db", version), f"SELECT {text}", said)
    child = ChildRecord(spans, Provider(), TRACE, SPAN, SPAN[::-1], state, *times)
    expected = form.span(child.span(), offset)
    templates = Templates(form)
    assert templates.write([child], offset) == [expected]
    child.state = ""
    child.span_id = "00f067aa0ba902b8"
    assert templates.write([child], offset) == [form.span(child.span(), offset)]


def test_a_statement_has_one_template_in_each_format() -> None:
    """Made once, whatever else writes the same statement; it goes when the statement does."""
    asked: list[str] = []

    class Counting(OtlpFormat):
        def span(self, span: RecordedSpan, offset: int) -> bytes:
            asked.append(span.name)
            return super().span(span, offset)

    spans = ChildSpans(Scope("sanic_ms.db"), "SELECT", {"db.query.text": "SELECT 1"})
    writers = [Templates(Counting({"service.name": name})) for name in ("shop", "users")]
    for _ in range(50):
        child = ChildRecord(spans, Provider(), TRACE, SPAN, SPAN, "", 1, 2)
        texts = [templates.write([child], OFFSET) for templates in writers]
    assert texts[0] == texts[1] == [OtlpFormat(RESOURCE).span(child.span(), OFFSET)]
    assert len(asked) == 2


@given(st.lists(PIECES, max_size=6).map(b"".join) | st.binary(max_size=30))
def test_a_plain_path_holds_nothing_to_hide_or_escape(path: bytes) -> None:
    """What the quick look lets through is what the careful one would give."""
    if is_plain_path(path):
        text = path.decode("ascii")
        assert safe_path(text) == text
        assert not set(text) & {'"', "\\"}
        assert text.isprintable()


@pytest.mark.parametrize(
    "handler",
    [
        lambda: server_span().set_attribute("shop.item", 7),
        lambda: server_span().set_attribute("http.route", "/other"),
        lambda: server_span().add_event("found"),
        lambda: server_span().update_name("other"),
        lambda: server_span().set_status(trace.StatusCode.OK),
        lambda: server_span().record_exception(KeyError("x")),
        lambda: server_span().add_link(trace.SpanContext(1, 2, True)),
    ],
)
def test_a_span_that_something_was_said_of_is_sent_as_it_is(handler: Callable[[], Any]) -> None:
    """A handler's attributes, events, name and status are never lost to a template."""
    (span,) = served(FakeRequest(), handler=handler)
    assert isinstance(span, RecordedSpan)
    assert span.stop


def test_a_span_that_was_only_looked_at_is_a_record() -> None:
    """By the ids that log lines and calls were given meanwhile; it takes nothing once it ended."""
    seen: list[Any] = []

    def look() -> None:
        seen.extend((server_span(), current_ids(), headers_out()))

    (record,) = served(FakeRequest(), handler=look)
    assert isinstance(record, RequestRecord)
    span, ids, headers = seen
    assert ids == (record.ids[:32], record.ids[32:])
    assert headers == [("traceparent", f"00-{ids[0]}-{ids[1]}-01")]
    assert not span.is_recording()
    span.set_attribute("late", 1)
    assert "late" not in record.span().attributes


def test_a_task_that_outlives_its_request_belongs_to_the_span_that_was_sent() -> None:
    """Whoever asks for the span after the end finds its ids, and makes children below it."""
    ended: list[Ended] = []
    spans = ServerSpans(Provider(ended.append, put_record=ended.append))

    def run() -> tuple[str, str] | None:
        request = spans.route("GET", "/").begin(FakeRequest())
        request.end(200)
        request.end(500)
        child = server_span()
        assert not child.is_recording()
        assert server_span() is child
        return current_ids()

    ids = Context().run(run)
    (record,) = ended
    assert isinstance(record, RequestRecord)
    assert ids == (record.ids[:32], record.ids[32:])


@pytest.mark.parametrize("status", [500, 503])
def test_a_failed_request_is_a_span(status: int) -> None:
    """Failures are seldom, and have more to tell."""
    (span,) = served(FakeRequest(), status)
    assert isinstance(span, RecordedSpan)
    assert span.status == 2
