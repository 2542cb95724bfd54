"""The span of a request: when it is recorded, what it says, and who sees it."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import get_current
from tests.telemetry.collected import Collected
from tests.telemetry.tracing.conftest import SPAN, TRACE, FakeRequest

from sanic_ms.config import Settings
from sanic_ms.telemetry.redaction import redactor
from sanic_ms.telemetry.tracing import (
    MOST_TEXT,
    Provider,
    ServerSpans,
    Tracing,
    current_ids,
    headers_out,
    recording_span,
    server_span,
)
from sanic_ms.telemetry.tracing.attributes import (
    safe_path,
    safe_query,
    safe_stack,
    safe_text,
)
from sanic_ms.telemetry.tracing.sampling import skip_count
from sanic_ms.telemetry.tracing.span import RecordedSpan

Apart = Callable[..., Any]
RECORDED = f"traceparent: 00-{TRACE}-{SPAN}-01"
NOT_RECORDED = f"traceparent: 00-{TRACE}-{SPAN}-00"


def serving(ratio: float, spans: Collected, **options: Any) -> Callable[..., Any]:
    """A function that serves one request. Of records come the spans that are sent for them."""
    provider = Provider(
        spans.append, put_record=lambda record: spans.append(record.span()), ratio=ratio
    )
    route = ServerSpans(provider).route("GET", "/users/<id>", **options)

    def serve(
        request: FakeRequest,
        status: int = 200,
        exc: BaseException | None = None,
        handler: Callable[[], Any] = lambda: None,
    ) -> Any:
        span = route.begin(request)
        answer = handler()
        span.end(status, exc)
        return answer

    return serve


def test_a_request_is_a_span(spans: Collected, apart: Apart) -> None:
    """Named by method and route, with what the conventions for HTTP servers ask for."""
    apart(serving(1, spans), FakeRequest(raw_url=b"/users/7?page=2&token=abc"), 201)
    (span,) = spans
    assert span.name == "GET /users/<id>"
    assert span.kind is trace.SpanKind.SERVER
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/users/<id>",
        "url.scheme": "http",
        "url.path": "/users/7",
        "url.query": "page=2&token=***",
        "http.response.status_code": 201,
    }
    assert (span.status, span.parent_id, span.events) == (0, "", None)
    assert span.start < span.stop


def test_what_is_secret_in_logs_is_secret_in_spans(spans: Collected, apart: Apart) -> None:
    """By one list, which the setting REDACT adds to, at any time: paths, queries, attributes,
    events, names and texts."""
    serve = serving(1, spans)

    def handler() -> None:
        span = server_span()
        span.set_attributes({"customer.iban": "DE12", "x-auth": "x", "note": "iban=DE12, a=1"})
        span.add_event("paid", {"iban": "DE12", "list": ["token=x", "b"]})
        span.set_status(trace.StatusCode.ERROR, "refused: iban=DE12")

    target = b"/to/https://u:pw@h/x?iban=DE12&sessionid=x&auth=y&page=1"
    redactor.use(["iban"])
    try:
        apart(serve, FakeRequest(raw_url=target), 200, None, handler)
    finally:
        redactor.use(())
    apart(serve, FakeRequest(raw_url=target))
    hidden, shown = spans
    assert hidden.attributes["url.path"] == "/to/https://u:***@h/x"
    assert hidden.attributes["url.query"] == "iban=***&sessionid=***&auth=***&page=1"
    assert hidden.attributes["customer.iban"] == hidden.attributes["x-auth"] == "***"
    assert hidden.attributes["note"] == "iban=***, a=1"
    assert hidden.events is not None
    assert hidden.events[0].attributes == {"iban": "***", "list": ("token=***", "b")}
    assert hidden.description == "refused: iban=***"
    assert shown.attributes["url.query"] == "iban=DE12&sessionid=***&auth=***&page=1"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x" * (MOST_TEXT - 24), ""),
        ("x" * (MOST_TEXT - 24), "/" + "x" * 9000),
        # Where the text is cut before it is searched, in one that gets shorter by that.
        ("token=" + "x" * 2000 + "&" + "x" * (MOST_TEXT - 1000), "/" + "x" * 9000),
        *(("token=" + "x" * 2000 + "&" + "x" * (3084 + n), "@h") for n in range(0, 40, 5)),
    ],
)
def test_a_secret_is_not_cut_in_two(before: str, after: str) -> None:
    """A text is cut after its secrets are gone: the first half of a password is one as well."""
    text = f"{before}/http://u:{'hunter2' * 9}@h{after}"
    for shown in (safe_text(text), safe_path(text), safe_query(text)):
        assert "hunter" not in shown
        assert 1000 < len(shown) <= MOST_TEXT
    shown = safe_stack(f"{'x' * 50}/http://u:{'hunter2' * 9}@h/{before}")
    assert "hunter" not in shown
    assert len(shown) <= MOST_TEXT


def test_tls_is_the_scheme(spans: Collected, apart: Apart) -> None:
    """A request over TLS has the scheme https."""
    apart(serving(1, spans), FakeRequest(secure=True))
    assert spans[0].attributes["url.scheme"] == "https"


@pytest.mark.parametrize(
    ("ratio", "sample", "header", "recorded"),
    [
        (1, None, [], True),
        (0, None, [], False),
        (0, None, [RECORDED], True),
        (1, None, [NOT_RECORDED], False),
        (0, 1.0, [], True),
        (1, 0.0, [], False),
        # A route that is switched off stays off, whatever the caller says.
        (1, 0.0, [RECORDED], False),
        (0, 1.0, [NOT_RECORDED], False),
        (1, None, ["b3: 0"], False),
        (0, None, ["b3: 1"], True),
        # Left to us: the ratio decides.
        (1, None, [f"b3: {TRACE}-{SPAN}"], True),
        (0, None, [f"b3: {TRACE}-{SPAN}"], False),
        (1, None, ["traceparent: nonsense"], True),
    ],
)
@pytest.mark.parametrize("asgi", [False, True])
def test_the_caller_decides_then_the_route_then_the_ratio(
    spans: Collected,
    apart: Apart,
    ratio: float,
    sample: float | None,
    header: list[str],
    recorded: bool,
    asgi: bool,
) -> None:
    """One decision for a trace, made where it begins."""
    apart(serving(ratio, spans, sample=sample), FakeRequest(*header, asgi=asgi))
    assert len(spans) == recorded


def test_the_ratio_is_a_share(spans: Collected, apart: Apart) -> None:
    """A quarter of the traces is about a quarter of them."""
    serve = serving(0.25, spans)
    for _ in range(2000):
        apart(serve, FakeRequest())
    assert 400 < len(spans) < 600


def test_each_trace_has_the_same_chance() -> None:
    """Whatever became of those before it: recorded ones do not keep their distance."""
    route = ServerSpans(Provider(lambda span: None, ratio=0.5)).route("GET", "/")
    begun = [route.begin(FakeRequest()) for _ in range(8000)]
    route.begin(FakeRequest()).detach()
    pairs = Counter(pairwise(span.sampled for span in begun))
    assert len(pairs) == 4
    assert all(1700 < count < 2300 for count in pairs.values())


@pytest.mark.parametrize(
    ("ratio", "drawn", "expected"),
    [
        (1, 0.999, 0),
        (0.999999, 0.5, 0),
        (0.5, 0.0, 0),
        (0.5, 0.49, 0),
        (0.5, 0.51, 1),
        (0.5, 0.74, 1),
        (0.5, 0.76, 2),
        (0.01, 0.5, 68),
        (5e-324, 0.5, sys.maxsize),
        (0, 0.5, sys.maxsize),
    ],
)
def test_how_many_are_left_out(ratio: float, drawn: float, expected: int) -> None:
    """By inversion: half of the draws leave out none where the chance is a half, and so on."""
    assert skip_count(ratio, lambda: drawn) == expected


async def test_a_process_draws_its_own_traces() -> None:
    """What was drawn before a fork, each of the children would draw."""
    tracing = Tracing(Settings(trace_exporter="console", trace_sample=0.5), "shop")
    tracing.provider.share = lambda: 0.999
    route = tracing.server.route("GET", "/")
    tracing.provider.share = lambda: 0.0
    await tracing.start()
    span = route.begin(FakeRequest())
    span.detach()
    await tracing.stop()
    assert span.sampled


@pytest.mark.parametrize(
    ("status", "exc", "error"),
    [
        (500, None, "500"),
        (503, None, "503"),
        (0, asyncio.CancelledError(), "asyncio.exceptions.CancelledError"),
        (500, ValueError("password=hunter2"), "ValueError"),
        (404, None, None),
        (200, None, None),
    ],
)
@pytest.mark.parametrize("header", [[], [NOT_RECORDED]])
def test_a_request_that_fails_is_recorded_after_all(
    spans: Collected,
    apart: Apart,
    header: list[str],
    status: int,
    exc: BaseException | None,
    error: str | None,
) -> None:
    """Errors are kept although the trace is not sampled, with the true time of the start, in the
    caller's trace, and with what the handler has noted."""
    begun: list[Any] = []

    def handler() -> None:
        begun.append(trace.get_current_span())
        trace.get_current_span().set_attribute("user.id", 7)

    apart(serving(0, spans), FakeRequest(*header), status, exc, handler)
    assert begun[0].is_recording() is False
    assert len(spans) == (error is not None)
    if error is not None:
        (span,) = spans
        assert span.attributes["error.type"] == error
        assert span.attributes["user.id"] == 7
        assert span.attributes.get("http.response.status_code", 0) == status
        assert span.status == 2
        assert (span.trace_id, span.parent_id) == ((TRACE, SPAN) if header else (span.trace_id, ""))
        assert span.span_id not in ("", SPAN)
        assert span.stop - span.start > 0


def test_an_exception_is_an_event_without_its_secrets(spans: Collected, apart: Apart) -> None:
    """Type, text and stack are there; a password in the text is not."""
    try:
        raise ValueError("cannot log in with password=hunter2")
    except ValueError as exc:
        apart(serving(1, spans), FakeRequest(), 500, exc)
    (event,) = spans[0].events or []
    assert event.name == "exception"
    assert event.attributes["exception.type"] == "ValueError"
    assert event.attributes["exception.message"] == "cannot log in with password=***"
    assert "test_server.py" in event.attributes["exception.stacktrace"]
    assert "hunter2" not in repr(event)
    assert "hunter2" not in spans[0].description


def test_an_unsampled_request_has_a_trace_of_its_own(spans: Collected, apart: Apart) -> None:
    """Log lines have an id, and the next service is told not to sample either."""
    ids, headers = apart(
        serving(0, spans), FakeRequest(), 200, None, lambda: (current_ids(), dict(headers_out()))
    )
    assert ids is not None
    assert (len(ids[0]), len(ids[1])) == (32, 16)
    assert headers == {"traceparent": f"00-{ids[0]}-{ids[1]}-00"}
    assert spans == []


@pytest.mark.parametrize("lines", [(), (RECORDED,), (NOT_RECORDED,)])
def test_no_span_is_made_of_a_request_to_hand_its_trace_on(
    lines: tuple[str, ...], apart: Apart
) -> None:
    """Nobody will see it; asked for it later, it is the one that the headers named."""
    route = ServerSpans(Provider()).route("GET", "/")

    def serve() -> None:
        holder = route.begin(FakeRequest(*lines))
        headers = dict(headers_out())
        assert holder._span is None
        assert headers == dict(headers_out(holder.span))
        holder.end(200)

    apart(serve)


def test_a_sampled_request_hands_its_trace_on(spans: Collected, apart: Apart) -> None:
    """The caller's trace goes on, below our span, with the state that it brought."""
    serve = serving(1, spans)
    request = FakeRequest(RECORDED, "tracestate: vendor=x")
    headers = apart(serve, request, 200, None, lambda: dict(headers_out()))
    (span,) = spans
    assert (span.trace_id, span.parent_id, span.remote) == (TRACE, SPAN, True)
    assert headers == {
        "traceparent": f"00-{TRACE}-{span.span_id}-01",
        "tracestate": "vendor=x",
    }


def test_without_an_exporter_traces_pass_through(apart: Apart) -> None:
    """A service that records nothing does not break the trace of those around it."""
    route = ServerSpans(Provider()).route("GET", "/")

    def serve() -> dict[str, str]:
        span = route.begin(FakeRequest(RECORDED))
        headers = dict(headers_out())
        assert recording_span() is None
        span.end(500, ValueError())
        return headers

    assert apart(serve) == {"traceparent": f"00-{TRACE}-{SPAN}-01"}


def test_requests_that_no_route_takes_have_a_span(spans: Collected, apart: Apart) -> None:
    """By method alone: a path that a stranger made up is no name; nor is a method."""
    server = ServerSpans(Provider(spans.append))
    assert server.unmatched("GET") is server.unmatched("GET")
    for method in ("GET", "BREW", ""):
        apart(lambda m=method: server.unmatched(m).begin(FakeRequest()).end(404))
    assert [span.name for span in spans] == ["GET", "HTTP", "HTTP"]
    assert [span.attributes["http.request.method"] for span in spans] == [
        "GET",
        "_OTHER",
        "_OTHER",
    ]
    assert all("http.route" not in span.attributes for span in spans)


@pytest.mark.parametrize("ratio", [0, 1])
def test_the_span_is_current_for_opentelemetry(
    spans: Collected, apart: Apart, ratio: float
) -> None:
    """Other people's code finds it by the standard functions, and can add to its context."""

    def handler() -> None:
        span = trace.get_current_span()
        assert isinstance(span, RecordedSpan)
        assert span.is_recording() == bool(ratio)
        assert span.get_span_context().trace_flags.sampled == bool(ratio)
        assert dict(get_current())
        other = trace.NonRecordingSpan(trace.SpanContext(1, 2, False))
        with trace.use_span(other):
            assert trace.get_current_span() is other
            assert server_span() is span
        assert trace.get_current_span() is server_span() is span

    apart(serving(ratio, spans), FakeRequest(), 200, None, handler)


def test_nobody_but_the_server_ends_its_span(spans: Collected, apart: Apart) -> None:
    """A handler that ends ``request["span"]`` does not cut its request's span short."""
    apart(serving(1, spans), FakeRequest(), 201, None, lambda: server_span().end())
    assert spans[0].attributes["http.response.status_code"] == 201


def test_ending_twice_is_once(spans: Collected, apart: Apart) -> None:
    """The first status counts."""

    def serve() -> None:
        span = ServerSpans(Provider(spans.append)).route("GET", "/").begin(FakeRequest())
        span.end(200)
        span.end(500)

    apart(serve)
    assert [span.attributes["http.response.status_code"] for span in spans] == [200]


def test_requests_in_one_context_do_not_see_each_other(spans: Collected, apart: Apart) -> None:
    """Where a server handles several in one task, each begins anew; `detach` leaves none behind."""
    route = ServerSpans(Provider(spans.append)).route("GET", "/")

    def serve() -> None:
        for _ in range(2):
            span = route.begin(FakeRequest())
            span.end(200)
        span.detach()
        assert current_ids() is None
        assert trace.get_current_span() is trace.INVALID_SPAN
        assert server_span() is trace.INVALID_SPAN

    apart(serve)
    assert spans[0].trace_id != spans[1].trace_id
    assert [span.parent_id for span in spans] == ["", ""]


@pytest.mark.parametrize("sample", [-0.1, 1.1, float("nan")])
def test_a_share_is_from_0_to_1(sample: float) -> None:
    """Anything else is refused where it is written."""
    with pytest.raises(ValueError, match="from 0 to 1"):
        ServerSpans(Provider()).route("GET", "/", sample=sample)
    with pytest.raises(ValueError, match="from 0 to 1"):
        Provider(ratio=sample)


async def test_tasks_of_a_request_are_in_its_trace(spans: Collected) -> None:
    """Calls in parallel and background tasks hang below the span that was current when they were
    made, also when the answer was sent long before they end."""
    provider = Provider(spans.append)
    tracer = provider.get_tracer("test")
    answered = asyncio.Event()

    async def work(name: str) -> None:
        if name == "late":
            await answered.wait()
        with tracer.start_as_current_span(name):
            await asyncio.sleep(0)

    async def serve() -> asyncio.Task[None]:
        span = ServerSpans(provider).route("GET", "/").begin(FakeRequest())
        late = asyncio.create_task(work("late"))
        with tracer.start_as_current_span("both"):
            await asyncio.gather(work("one"), work("two"))
        span.end(200)
        answered.set()
        return late

    await (await asyncio.create_task(serve()))
    server, both = spans.named("GET /"), spans.named("both")
    assert {span.trace_id for span in spans} == {server.trace_id}
    assert both.parent_id == spans.named("late").parent_id == server.span_id
    assert spans.named("one").parent_id == spans.named("two").parent_id == both.span_id
    assert current_ids() is None


@pytest.mark.parametrize("head", ["Accept: */*", NOT_RECORDED, RECORDED])
@pytest.mark.parametrize("sample", [0.0, 1.0])
@pytest.mark.parametrize("first", ["ids", "span", "neither"])
@pytest.mark.parametrize("exc", [None, RuntimeError()])
def test_ids_are_the_same_whoever_asks_and_when(
    spans: Collected, apart: Apart, head: str, sample: float, first: str, exc: Any
) -> None:
    """A log line's, the span's, those that other services are told, and those of the record."""

    def of_span() -> tuple[str, str]:
        context = trace.get_current_span().get_span_context()
        return f"{context.trace_id:032x}", f"{context.span_id:016x}"

    asked = {"ids": [current_ids, of_span], "span": [of_span, current_ids], "neither": []}[first]

    def serve() -> list[Any]:
        seen: list[Any] = []
        serving(sample, spans, sample=sample)(
            FakeRequest(head), exc=exc, handler=lambda: seen.extend(ask() for ask in asked)
        )
        passes_through = head == RECORDED and sample == 0
        if spans and not passes_through:
            seen.append((spans[0].trace_id, spans[0].span_id))
        if not (passes_through and exc):
            seen += [current_ids(), of_span()]  # as a task does that outlives the request
        return seen

    found = apart(serve)
    assert len(set(found)) == bool(found), found
