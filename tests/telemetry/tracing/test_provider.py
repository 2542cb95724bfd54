"""Our provider through OpenTelemetry's own interface, and beside other providers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags
from tests.telemetry.collected import Collected, recording
from tests.telemetry.tracing.conftest import FakeRequest

from sanic_ms.telemetry.tracing import Provider, ServerSpans, Span, current_span, server_span
from sanic_ms.telemetry.tracing.provider import (
    foreign_provider,
    install,
    installed_provider,
    uninstall,
)
from sanic_ms.telemetry.tracing.sampling import sampled_by_id


def test_spans_nest(spans: Collected) -> None:
    """By the current context, also as a decorator, and with exceptions told."""
    tracer = Provider(spans.append).get_tracer("library")

    @tracer.start_as_current_span("decorated", kind=SpanKind.CONSUMER)
    def decorated() -> Span:
        return trace.get_current_span()

    with tracer.start_as_current_span("outer", attributes={"a": 1}) as outer:
        assert current_span() is outer
        first, second = decorated(), decorated()
        assert first is not second
        with (
            pytest.raises(ValueError, match="no"),
            tracer.start_as_current_span("failing"),
        ):
            raise ValueError("no")
    assert current_span() is None
    outer_span, failing = spans.named("outer"), spans.named("failing")
    assert [span.name for span in spans] == ["decorated", "decorated", "failing", "outer"]
    assert {span.parent_id for span in spans[:3]} == {outer_span.span_id}
    assert outer_span.attributes == {"a": 1}
    assert (failing.status, failing.description) == (2, "ValueError: no")
    assert [event.name for event in failing.events or []] == ["exception"]


def test_a_span_as_a_context_manager_ends_itself(spans: Collected) -> None:
    """`with tracer.start_span(…)` records what passes and does not hide it."""
    tracer = Provider(spans.append).get_tracer("library")
    with pytest.raises(ZeroDivisionError), tracer.start_span("work"):
        _ = 1 / 0
    assert spans[0].attributes["error.type"] == "ZeroDivisionError"


def test_times_can_be_given(spans: Collected) -> None:
    """As nanoseconds since 1970, as everywhere in OpenTelemetry."""
    span = Provider(spans.append).get_tracer("library").start_span("work", start_time=10**18)
    span.end(10**18 + 5000)
    assert abs(spans[0].stop - spans[0].start - 5000) < 10**6


def test_a_status_that_is_fine_stays_fine(spans: Collected) -> None:
    """And one that is unset changes nothing."""
    span = Provider(spans.append).get_tracer("library").start_span("work")
    span.set_status(StatusCode.ERROR, "first")
    span.set_status(StatusCode.UNSET)
    assert isinstance(span, Span)
    span.set_status(StatusCode.OK)
    span.set_status(StatusCode.ERROR, "late")
    span.update_name("renamed")
    span.end()
    assert (spans[0].status, spans[0].description, spans[0].name) == (1, "", "renamed")


@pytest.mark.parametrize("flags", [0, 1])
def test_a_remote_parent_decides(spans: Collected, flags: int) -> None:
    """A context that somebody's propagator made is followed."""
    remote = NonRecordingSpan(SpanContext(7, 8, True, TraceFlags(flags)))
    tracer = Provider(spans.append).get_tracer("library")
    span = tracer.start_span("work", trace.set_span_in_context(remote))
    span.end()
    assert span.get_span_context().trace_id == 7
    assert len(spans) == flags
    if flags:
        assert (spans[0].parent_id, spans[0].remote) == (f"{8:016x}", True)


def test_a_trace_that_is_not_sampled_has_no_recorded_children(
    spans: Collected, apart: Callable[..., Any]
) -> None:
    """They have its ids, so that what they cause is in the same trace."""
    provider = Provider(spans.append, ratio=0)

    def serve() -> None:
        request = ServerSpans(provider).route("GET", "/").begin(FakeRequest())
        with provider.get_tracer("library").start_as_current_span("work") as span:
            assert not span.is_recording()
            inner = span.get_span_context()
            assert inner == server_span().get_span_context()
        request.end(200)
        root = provider.get_tracer("library").start_span("alone", context=Context())
        assert root.get_span_context().is_valid
        assert not root.get_span_context().trace_flags.sampled

    apart(serve)
    assert spans == []


def test_the_decision_by_id_is_that_of_others() -> None:
    """As TraceIdRatioBased of OpenTelemetry: by the lower 64 bits."""
    assert sampled_by_id("f" * 16 + "0" * 16, 0.001)
    assert not sampled_by_id("0" * 16 + "f" * 16, 0.999)
    assert sampled_by_id("0" * 16 + "f" * 16, 1)
    assert not sampled_by_id("0" * 32, 0)
    assert sampled_by_id("0" * 16 + "7" + "f" * 15, 0.5)
    assert not sampled_by_id("0" * 16 + "8" + "0" * 15, 0.5)


def test_ids_are_random_and_differ_after_a_fork() -> None:
    """A process that was forked does not repeat its parent's."""
    provider = Provider()
    state = provider._random.getstate()
    first = [provider.new_trace_id() for _ in range(100)]
    provider._random.setstate(state)
    provider.reseed()
    assert len({*first, *(provider.new_trace_id() for _ in range(100))}) == 200


def test_the_last_service_that_runs_is_the_process_provider() -> None:
    """Two services in one process keep their own traces; stopping one brings the other back."""
    with recording() as outer:
        with recording() as inner:
            trace.get_tracer("library").start_span("work", context=Context()).end()
        trace.get_tracer("library").start_span("later", context=Context()).end()
        child = trace.get_tracer("library").start_span("child")
        with recording():
            child.end()
    assert [span.name for span in inner] == ["work"]
    # The roots of the inner ones are children of the outer one's, and so are recorded there.
    assert [span.name for span in outer] == ["root", "later", "child", "root", "root"]
    assert installed_provider() is None
    assert not trace.get_tracer("library").start_span("nobody").is_recording()


def test_installing_twice_is_undone_once() -> None:
    """And what was never installed can be taken away."""
    provider = Provider()
    uninstall(provider)
    assert install(provider)
    assert installed_provider() is provider
    assert foreign_provider() is None
    uninstall(provider)
    uninstall(provider)
    assert installed_provider() is None


FOREIGN = """
import asyncio
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

memory = InMemorySpanExporter()
theirs = TracerProvider()
theirs.add_span_processor(SimpleSpanProcessor(memory))
trace.set_tracer_provider(theirs)

from sanic_ms.config import Settings
from sanic_ms.db import ConnectionPool
from sanic_ms.telemetry.tracing import Tracing, current_ids, headers_out, server_span
from tests.telemetry.tracing.conftest import SPAN, TRACE, FakeRequest


async def main():
    tracing = Tracing(Settings(zipkin_server="http://127.0.0.1:1"), "shop")
    route = tracing.server.route("GET", "/users/<id>")
    await tracing.start()
    pool = ConnectionPool("sqlite://:memory:")
    await pool.start()

    async def serve(*headers, status=200, exc=None):
        span = route.begin(FakeRequest(*headers))
        assert span.sampled and server_span() is trace.get_current_span()
        await pool.fetchval("SELECT $1", "hunter2")
        assert dict(headers_out())["traceparent"].split("-")[1] == current_ids()[0]
        span.end(status, exc)
        span.end(500)
        return dict(headers_out()).get("baggage")

    parent = f"traceparent: 00-{TRACE}-{SPAN}-01"
    assert await asyncio.create_task(serve(parent, "baggage: a=1")) == "a=1"
    assert await asyncio.create_task(serve(status=500, exc=ValueError("no"))) is None
    assert list(headers_out()) == []
    token = context.attach(baggage.set_baggage("job", "7"))
    assert list(headers_out()) == [("baggage", "job=7")]
    context.detach(token)
    await pool.stop()
    assert (await tracing.check()).status == "up"
    await tracing.stop()
    assert len(tracing.queue) == 0

asyncio.run(main())
query, first, _, second = memory.get_finished_spans()
assert (query.name, first.name) == ("SELECT", "GET /users/<id>")
assert query.parent.span_id == first.context.span_id
assert first.kind is trace.SpanKind.SERVER
assert first.parent.span_id == int(SPAN, 16) and first.context.trace_id == int(TRACE, 16)
assert first.attributes["http.response.status_code"] == 200
assert first.attributes["url.path"] == "/users/7"
assert query.attributes["db.query.text"] == "SELECT $1"
assert second.status.status_code is trace.StatusCode.ERROR
assert second.attributes["error.type"] == "ValueError"
assert [event.name for event in second.events] == ["exception"]
print("good")
"""


def test_the_official_sdk_is_used_where_it_is_installed() -> None:
    """Its provider makes all spans, and nothing is exported from here."""
    done = subprocess.run([sys.executable, "-c", FOREIGN], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("good\n", "")


def test_propagators_that_are_not_installed_do_not_matter() -> None:
    """OTEL_PROPAGATORS is for the SDK; ours reads B3 without a package."""
    code = "import sanic_ms.telemetry.tracing, sanic_ms.client, sanic_ms.db; print('good')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"OTEL_PROPAGATORS": "b3,b3multi"},
    )
    assert (done.stdout, done.stderr) == ("good\n", "")
