"""Children that are alike: what is kept of them, and below which span they are."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context
from typing import Any

import pytest
from opentelemetry import trace
from tests.telemetry.tracing.conftest import SPAN, TRACE, FakeRequest

from sanic_ms.telemetry.tracing import (
    ChildSpans,
    Provider,
    Scope,
    ServerSpans,
    SpanQueue,
    current_ids,
    headers_out,
    recording_parent,
    server_span,
)
from sanic_ms.telemetry.tracing.child import ChildRecord
from sanic_ms.telemetry.tracing.export.queue import Ended
from sanic_ms.telemetry.tracing.record import RequestRecord
from sanic_ms.telemetry.tracing.span import RecordedSpan

STATEMENT = ChildSpans(Scope("sanic_ms.db"), "SELECT", {"db.query.text": "SELECT 1"})


async def work(fails: BaseException | None = None) -> int:
    if fails is not None:
        raise fails
    return 7


def said_of(exc: BaseException) -> Mapping[str, Any]:
    return {"db.response.status_code": "23505"}


def finish(coroutine: Coroutine[Any, Any, int]) -> int:
    """The result of one that waits for nothing."""
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    result: int = stopped.value.value
    return result


def ask(fails: BaseException | None = None) -> int:
    """Run the statement below whatever is current."""
    parent = recording_parent()
    assert parent is not None
    return finish(STATEMENT.around(parent, work(fails), said_of))


def served(handler: Callable[[], Any], *lines: str, status: int = 200) -> list[Ended]:
    """What a request leaves in the queue."""
    ended: list[Ended] = []
    spans = ServerSpans(Provider(ended.append, put_record=ended.append))

    def run() -> None:
        span = spans.route("GET", "/").begin(FakeRequest(*lines))
        handler()
        span.end(status)

    Context().run(run)
    return ended


def test_a_request_and_its_statement_are_records_of_one_trace() -> None:
    """A child makes no span of its request, and both have the ids that a log line shows."""
    ids: list[Any] = []

    def handler() -> None:
        assert ask() == 7
        ids.append(current_ids())

    child, request = served(handler)
    assert isinstance(child, ChildRecord)
    assert isinstance(request, RequestRecord)
    assert (child.trace_id, child.parent_id) == ids[0] == (request.ids[:32], request.ids[32:])
    assert child.span_id not in ("", child.parent_id)
    assert request.start <= child.start <= child.stop <= request.stop


def test_a_statement_goes_on_with_the_trace_that_came() -> None:
    """Its id and its state are those that the caller sent."""
    lines = f"traceparent: 00-{TRACE}-{SPAN}-01", "tracestate: vendor=x"
    child, request = served(ask, *lines)
    assert isinstance(child, ChildRecord)
    assert isinstance(request, RequestRecord)
    assert (child.trace_id, child.parent_id) == (TRACE, request.ids[32:])
    assert child.span().state == request.span().state == "vendor=x"


def test_a_statement_is_below_the_span_that_is_current() -> None:
    """One that a handler made, as well as the request's own after it was looked at."""

    def handler() -> None:
        server_span().set_attribute("shop.item", 7)
        ask()
        tracer = Provider().get_tracer("test")
        with tracer.start_as_current_span("step"):
            ask()

    first, second, step, request = served(handler)
    assert isinstance(first, ChildRecord)
    assert isinstance(second, ChildRecord)
    assert isinstance(step, RecordedSpan)
    assert isinstance(request, RecordedSpan)
    assert first.parent_id == step.parent_id == request.span_id
    assert second.parent_id == step.span_id
    assert {first.trace_id, second.trace_id} == {request.trace_id}


def test_a_statement_that_outlives_its_request_is_in_its_trace() -> None:
    """Whether the request was recorded as a record or, as it failed, as a span."""
    for status in (200, 500):
        ended: list[Ended] = []
        route = ServerSpans(Provider(ended.append, put_record=ended.append)).route("GET", "/")
        request = route.begin(FakeRequest())
        parent = recording_parent()
        assert parent is request
        running = STATEMENT.around(parent, work(), said_of)
        request.end(status)
        finish(running)
        span, child = [one if isinstance(one, RecordedSpan) else one.span() for one in ended]
        assert (child.trace_id, child.parent_id) == (span.trace_id, span.span_id)
        request.detach()


def test_a_statement_that_fails_is_a_span() -> None:
    """What is said of it is said of it alone, and not of the next of its kind."""

    def handler() -> None:
        parent = recording_parent()
        assert parent is not None
        with pytest.raises(KeyError):
            STATEMENT.around(parent, work(KeyError()), said_of).send(None)
        ask()

    failed, good, request = served(handler)
    assert isinstance(failed, RecordedSpan)
    assert isinstance(good, ChildRecord)
    assert isinstance(request, RequestRecord)
    assert failed.status == 2
    assert failed.attributes == {
        "db.query.text": "SELECT 1",
        "error.type": "KeyError",
        "db.response.status_code": "23505",
    }
    assert failed.parent_id == good.parent_id == request.ids[32:]
    assert good.span().attributes == {"db.query.text": "SELECT 1"}
    assert failed.start < failed.stop


@pytest.mark.parametrize("status", [200, 500])
def test_a_request_that_is_not_sampled_has_no_children(status: int) -> None:
    """Not even where it fails, and is kept."""

    def handler() -> None:
        assert recording_parent() is None

    line = f"traceparent: 00-{TRACE}-{SPAN}-00"
    assert len(served(handler, line, status=status)) == (status == 500)


def test_where_spans_are_asked_for_a_statement_is_one() -> None:
    """A provider that takes no records gets it in full."""
    ended: list[RecordedSpan] = []
    span = ServerSpans(Provider(ended.append)).route("GET", "/").begin(FakeRequest())
    ask()
    span.end(200)
    span.detach()
    child, request = ended
    assert (child.name, child.parent_id) == ("SELECT", request.span_id)
    assert 0 < child.start <= child.stop


def test_records_count_as_spans_in_the_queue() -> None:
    """Those of statements fill it, and are dropped and counted beyond its bound."""
    queue = SpanQueue(5)
    route = ServerSpans(Provider(queue.put, put_record=queue.put)).route("GET", "/")
    span = route.begin(FakeRequest())
    for _ in range(7):
        ask()
    span.end(200)
    span.detach()
    assert (len(queue), queue.dropped) == (5, 3)


def test_the_span_of_another_library_is_handed_on_as_w3c_has_it() -> None:
    """It need not be one that we record. Without a valid id there is no trace to join."""
    state = trace.TraceState([("a", "1")])
    for flags, end in ((1, "01"), (0, "00")):
        context = trace.SpanContext(0xABC, 0xDEF, True, trace.TraceFlags(flags), state)
        assert list(headers_out(trace.NonRecordingSpan(context))) == [
            ("traceparent", f"00-{0xABC:032x}-{0xDEF:016x}-{end}"),
            ("tracestate", "a=1"),
        ]
    assert list(headers_out(trace.INVALID_SPAN)) == []
    assert list(headers_out()) == []
