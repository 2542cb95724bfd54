"""The exporter: what arrives at a collector, and what becomes of spans when nothing does."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
import weakref
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from typing import Any

import pytest
from opentelemetry import context as otel
from opentelemetry.trace import SpanKind, get_tracer
from tests.telemetry.tracing.conftest import FakeRequest
from tests.telemetry.tracing.export.receiver import Behaviour, answer, receiver

from sanic_ms.config import Settings
from sanic_ms.exception import ConfigError
from sanic_ms.telemetry.tracing import Provider, ServerSpans, SpanQueue, Tracing
from sanic_ms.telemetry.tracing.export.base import ExportResult, Sender
from sanic_ms.telemetry.tracing.export.exporter import Exporter
from sanic_ms.telemetry.tracing.export.http import HttpSender
from sanic_ms.telemetry.tracing.export.otlp import OtlpFormat
from sanic_ms.telemetry.tracing.export.zipkin import ZipkinFormat
from sanic_ms.telemetry.tracing.span import RecordedSpan, Scope, clock

FORMATS = {"zipkin": ZipkinFormat, "otlp": OtlpFormat}


def settings_for(kind: str, url: str, **values: Any) -> Settings:
    """Settings that name a collector, by its address alone."""
    if kind == "zipkin":
        return Settings(zipkin_server=url, **values)
    return Settings(otel_exporter_otlp_endpoint=url, **values)


def ended(number: int = 0) -> RecordedSpan:
    """A span that has ended."""
    span = RecordedSpan(
        Provider(), Scope("test"), f"work {number}", SpanKind.INTERNAL, "a" * 32, "", clock(), {}
    )
    span.end()
    return span


class Scripted(Sender):
    """Gives the answers of a list, the last of them for ever, and remembers when it was asked."""

    def __init__(self, *answers: ExportResult | Callable[[], Awaitable[ExportResult]]) -> None:
        self.answers = list(answers)
        self.times: list[float] = []
        self.contexts: list[otel.Context] = []
        self.closed = False

    async def send(self, body: Sequence[bytes]) -> ExportResult:
        self.times.append(time.monotonic())
        self.contexts.append(otel.get_current())
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return given if isinstance(given, ExportResult) else await given()

    async def close(self) -> None:
        self.closed = True


def exporting(
    sender: Sender, *, limit: int = 1000, kind: str = "zipkin", **options: Any
) -> Exporter:
    """An exporter in a hurry."""
    options = {"interval": 0.005, "backoff": 0.01, "longest": 0.3, "stop_timeout": 0.3, **options}
    return Exporter(SpanQueue(limit), FORMATS[kind]({"service.name": "shop"}), sender, **options)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another task brings about."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what it waits for sets no event
            await asyncio.sleep(0.002)


async def hang() -> ExportResult:
    await asyncio.sleep(60)
    return ExportResult(0)


# --- what arrives --------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "path"), [("zipkin", "/api/v2/spans"), ("otlp", "/v1/traces")])
async def test_spans_arrive_when_the_service_stops(kind: str, path: str) -> None:
    """Those of requests and those of other libraries, however late they ended."""
    async with receiver() as collector:
        tracing = Tracing(settings_for(kind, collector.url), "shop")
        await tracing.start()
        span = tracing.server.route("GET", "/users/<id>").begin(FakeRequest())
        with get_tracer("library").start_as_current_span("work"):
            pass
        span.end(200)
        span.detach()
        await tracing.stop()
        await tracing.stop()
    (received,) = collector.received
    assert received.path == path
    assert received.headers["content-type"] == "application/json"
    assert b"GET /users/<id>" in received.body
    assert b'"work"' in received.body
    assert tracing.queue is not None
    assert (tracing.queue.sent, tracing.queue.dropped, len(tracing.queue)) == (2, 0, 0)


async def test_spans_arrive_while_the_service_runs() -> None:
    """In the background, packed where that is worth it, in batches."""
    async with receiver() as collector:
        exporter = exporting(HttpSender(f"{collector.url}/x", compress=True), batch=40)
        await exporter.start()
        for number in range(100):
            exporter.queue.put(ended(number))
        await collector.wait_for(3)
        await until(lambda: exporter.queue.sent == 100)
        await exporter.stop()
    assert [len(received.json) for received in collector.received] == [40, 40, 20]
    assert collector.received[0].headers["content-encoding"] == "gzip"
    names = [span["name"] for received in collector.received for span in received.json]
    assert names == [f"work {number}" for number in range(100)]


@pytest.mark.parametrize(
    ("values", "path", "header", "packed"),
    [
        ({"otel_exporter_otlp_endpoint": "/base/"}, "/base/v1/traces", None, False),
        (
            {
                "otel_exporter_otlp_endpoint": "/other",
                "otel_exporter_otlp_traces_endpoint": "/whole?x=1",
                "otel_exporter_otlp_headers": {"api-key": "a%20b"},
                "otel_exporter_otlp_compression": "none",
            },
            "/whole?x=1",
            "a b",
            False,
        ),
        (
            {
                "otel_exporter_otlp_endpoint": "",
                "otel_exporter_otlp_headers": {"api-key": "all"},
                "otel_exporter_otlp_traces_headers": {"api-key": "traces"},
                "otel_exporter_otlp_compression": "gzip",
            },
            "/v1/traces",
            "traces",
            True,
        ),
        ({"zipkin_server": "/"}, "/api/v2/spans", None, False),
        ({"zipkin_server": "/zipkin/api/v2/spans"}, "/zipkin/api/v2/spans", None, False),
    ],
)
async def test_the_settings_say_where_and_how(
    values: dict[str, Any], path: str, header: str | None, packed: bool
) -> None:
    """OpenTelemetry's own variables mean what its specification says."""
    async with receiver() as collector:
        values = {
            name: collector.url + value if name.endswith(("endpoint", "server")) else value
            for name, value in values.items()
        }
        tracing = Tracing(Settings(**values, otel_resource_attributes={"zone": "e" * 2000}), "shop")
        await tracing.start()
        get_tracer("library").start_span("work").end()
        await tracing.stop()
    (received,) = collector.received
    assert received.path == path
    assert received.headers.get("api-key") == header
    assert ("content-encoding" in received.headers) == packed


@pytest.mark.parametrize(
    ("url", "packs"),
    [
        ("http://127.0.0.1:9411/x", False),
        ("http://127.8.9.10/x", False),
        ("https://user:secret@[::1]:4318/x", False),
        ("http://LocalHost:9411/x", False),
        ("http://10.0.0.1:9411/x", True),
        ("http://[fd00::1]/x", True),
        ("http://zipkin/x", True),
        ("http://localhost.example/x", True),
        ("http:///x", True),
        ("http://[::1/x", True),  # malformed: tracing must not keep a service from starting
        ("http://a[b]/x", True),
    ],
)
def test_what_stays_on_this_machine_is_not_packed(url: str, packs: bool) -> None:
    """There packing takes longer than sending; a network is worth it, unless the caller says."""
    assert HttpSender(url).packs is packs
    assert HttpSender(url, compress=True).packs
    assert not HttpSender(url, compress=False).packs


@pytest.mark.parametrize("kind", ["zipkin", "otlp"])
async def test_the_service_is_named(kind: str) -> None:
    """OTEL_SERVICE_NAME wins over OTEL_RESOURCE_ATTRIBUTES, which win over the service's name."""
    for values, name in (
        ({}, "shop"),
        ({"otel_resource_attributes": {"service.name": "a%2Cb", "zone": "eu"}}, "a,b"),
        ({"otel_service_name": "c", "otel_resource_attributes": {"service.name": "a"}}, "c"),
    ):
        async with receiver() as collector:
            tracing = Tracing(settings_for(kind, collector.url, **values), "shop")
            await tracing.start()
            get_tracer("library").start_span("work").end()
            await tracing.stop()
        document = collector.received[0].json
        if kind == "zipkin":
            assert document[0]["localEndpoint"]["serviceName"] == name
            assert document[0]["tags"].get("zone") == ("eu" if "a%2Cb" in repr(values) else None)
        else:
            said = {
                entry["key"]: entry["value"]["stringValue"]
                for entry in document["resourceSpans"][0]["resource"]["attributes"]
            }
            assert said["service.name"] == name
            assert said["telemetry.sdk.language"] == "python"


async def test_the_terminal_is_a_collector_too(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each span, whatever is in it."""
    tracing = Tracing(Settings(trace_exporter="console"), "shop")
    await tracing.start()
    with get_tracer("library").start_as_current_span("work") as span:
        span.set_attribute("name", "Zoë\ud800")
        span.add_event("half")
    await tracing.stop()
    (line,) = capsys.readouterr().out.splitlines()
    assert "work" in line
    assert "event='half'" in line


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"trace_exporter": "zipkin"}, "set ZIPKIN_SERVER="),
        ({"trace_exporter": "otlp"}, "set OTEL_EXPORTER_OTLP_ENDPOINT="),
    ],
)
def test_an_exporter_without_an_address_stops_the_start(
    values: dict[str, Any], message: str
) -> None:
    """One line says which setting is missing."""
    with pytest.raises(ConfigError, match=message):
        Tracing(Settings(**values), "shop")


async def test_none_is_none_whatever_addresses_are_set() -> None:
    """TRACE_EXPORTER=none switches recording off."""
    tracing = Tracing(Settings(trace_exporter="none", zipkin_server="http://127.0.0.1:1"), "shop")
    await tracing.start()
    assert not get_tracer("library").start_span("work").is_recording()
    assert tracing.queue is None
    await tracing.stop()


# --- when nothing arrives -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zipkin", "otlp"])
@pytest.mark.parametrize(
    "first", [answer(503), answer(429, Retry_After="0"), answer(502), "reset"], ids=str
)
async def test_a_batch_is_sent_again_after_a_failure(kind: str, first: Behaviour) -> None:
    """What passes by itself loses nothing, and arrives once."""
    async with receiver(lambda number: first if number == 1 else answer(200)) as collector:
        exporter = exporting(HttpSender(collector.url), kind=kind)
        await exporter.start()
        exporter.queue.put(ended())
        await until(lambda: exporter.queue.sent == 1)
        assert (await exporter.check()).status == "up"
        await exporter.stop()
    assert len(collector.received) == 2
    assert exporter.queue.dropped == 0


@pytest.mark.parametrize(
    ("kind", "status", "tries"),
    [
        ("zipkin", 400, 1),
        ("zipkin", 500, 3),
        ("otlp", 500, 1),
        ("otlp", 404, 1),
        ("zipkin", 302, 1),
    ],
)
async def test_what_would_fail_again_is_not_sent_again(kind: str, status: int, tries: int) -> None:
    """Each protocol says after which answers a repeat makes sense; then the batch is counted."""
    async with receiver(lambda _: answer(status, Location="/elsewhere")) as collector:
        exporter = exporting(HttpSender(collector.url), kind=kind, attempts=3)
        await exporter.start()
        exporter.queue.put(ended())
        await until(lambda: exporter.queue.dropped == 1)
        health = await exporter.check()
        await exporter.stop()
    assert len(collector.received) == tries
    assert (health.status, health.detail) == ("degraded", f"{collector.url} answers {status}")


async def test_waits_grow_and_the_collector_may_ask_for_longer_ones() -> None:
    """Each wait is about twice the one before; Retry-After is obeyed up to a limit."""
    sender = Scripted(
        ExportResult(503),
        ExportResult(503),
        ExportResult(503),
        ExportResult(429, 0.15),
        ExportResult(429, 99.0),
    )
    exporter = exporting(sender, attempts=6, backoff=0.02, longest=0.3)
    await exporter.start()
    exporter.queue.put(ended())
    await until(lambda: exporter.queue.dropped == 1)
    await exporter.stop()
    waits = [after - before for before, after in zip(sender.times, sender.times[1:], strict=False)]
    for wait, least in zip(waits, (0.01, 0.02, 0.04, 0.15, 0.3), strict=True):
        assert wait >= least - 0.001
    assert waits[4] < 5


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("a date", 100.0),
        (formatdate(0, usegmt=True), 0.0),
        ("soon", None),
        ("-1", None),
        ("", None),
    ],
)
async def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    """Anything else is as if it were not there."""
    if value == "a date":
        value = formatdate(time.time() + 100, usegmt=True)
    async with receiver(lambda _: answer(503, Retry_After=value)) as collector:
        sender = HttpSender(collector.url)
        told = (await sender.send([b"[]"])).retry_after
        await sender.close()
        await sender.close()
    assert told == (pytest.approx(seconds, abs=20) if seconds else seconds)


async def test_a_dead_collector_costs_bounded_memory() -> None:
    """The queue fills, the rest is counted, and the spans keep nothing of their requests."""
    exporter = exporting(Scripted(hang), limit=50, batch=10)
    await exporter.start()
    exporter.queue.put(ended())
    sender = exporter._sender
    assert isinstance(sender, Scripted)
    await until(lambda: len(sender.times) == 1)
    provider = Provider(exporter.queue.put, put_record=exporter.queue.put)
    route = ServerSpans(provider).route("GET", "/")
    requests = []
    for _ in range(200):
        request = FakeRequest()
        requests.append(weakref.ref(request))
        span = route.begin(request)
        span.end(200)
        span.detach()
    del request, span
    gc.collect()
    assert len(exporter.queue) == 50
    assert exporter.queue.dropped == 150
    assert [reference for reference in requests if reference() is not None] == []
    await exporter.stop()
    assert exporter.queue.dropped == 201
    assert sender.closed


async def test_a_collector_that_hangs_is_given_up() -> None:
    """Each attempt has a limit in time, and so has the end of the service."""
    async with receiver(lambda _: "hang") as collector:
        exporter = exporting(HttpSender(collector.url, timeout=0.1), attempts=2)
        await exporter.start()
        exporter.queue.put(ended())
        await until(lambda: exporter.queue.dropped == 1)
        assert (await exporter.check()).detail == f"{collector.url} gives no answer within 0.1 s"
        await exporter.stop()
        exporter = exporting(HttpSender(collector.url, timeout=60), stop_timeout=0.1)
        await exporter.start()
        for _ in range(3):
            exporter.queue.put(ended())
        began = time.monotonic()
        await exporter.stop()
    assert time.monotonic() - began < 5
    assert exporter.queue.dropped == 3


async def test_an_absent_collector_is_named_without_its_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log says what is wrong, once a minute, and never shows credentials."""
    async with receiver() as gone:
        pass
    url = gone.url.replace("//", "//user:hunter2@")
    exporter = exporting(HttpSender(url), attempts=1)
    await exporter.start()
    with caplog.at_level(logging.WARNING, "sanic_ms.telemetry.tracing"):
        for number in range(1, 6):
            exporter.queue.put(ended())
            await until(lambda number=number: exporter.queue.dropped == number)  # type: ignore[misc]
            await asyncio.sleep(0.02)
        assert len(caplog.records) == 1
        await exporter.stop()
    first, last = caplog.messages
    assert first.startswith("traces: 1 spans lost, 1 since the start: ")
    assert "cannot be reached" in first
    assert last.startswith("traces: 4 spans lost, 5 since the start: ")
    assert "hunter2" not in caplog.text


async def test_a_partial_success_is_counted() -> None:
    """OTLP: the collector takes the request and refuses some of its spans."""
    body = b'{"partialSuccess": {"rejectedSpans": "2", "errorMessage": "too old"}}'
    async with receiver(lambda _: answer(200, body)) as collector:
        exporter = exporting(HttpSender(collector.url), kind="otlp")
        await exporter.start()
        for _ in range(5):
            exporter.queue.put(ended())
        await until(lambda: exporter.queue.sent == 3)
        await exporter.stop()
    assert exporter.queue.dropped == 2


async def test_a_span_that_cannot_be_written_harms_no_other() -> None:
    """It is counted as lost."""
    async with receiver() as collector:
        exporter = exporting(HttpSender(collector.url))
        broken = ended()
        broken.name = "\ud800"
        await exporter.start()
        for span in (ended(1), broken, ended(2)):
            exporter.queue.put(span)
        await until(lambda: exporter.queue.sent == 2)
        await exporter.stop()
    assert exporter.queue.dropped == 1


async def test_the_exporter_survives_a_fault_of_its_own() -> None:
    """Whatever a sender raises costs a batch, not the exporter."""

    async def fail() -> ExportResult:
        raise RuntimeError("a bug")

    exporter = exporting(Scripted(fail, ExportResult(200)))
    await exporter.start()
    exporter.queue.put(ended())
    await until(lambda: exporter.queue.dropped == 1)
    exporter.queue.put(ended())
    await until(lambda: exporter.queue.sent == 1)
    await exporter.stop()


async def test_the_exporters_own_calls_are_not_traced() -> None:
    """They are in nobody's trace, and instrumentation of others is asked to leave them alone."""
    sender = Scripted(ExportResult(200))
    exporter = exporting(sender)
    provider = Provider(exporter.queue.put)
    with provider.get_tracer("test").start_as_current_span("starts the service"):
        await exporter.start()
    await until(lambda: exporter.queue.sent == 1)
    await exporter.stop()
    (context,) = sender.contexts
    assert context.get(otel._SUPPRESS_INSTRUMENTATION_KEY) is True
    assert [key for key in context if key.startswith("current-span")] == []
    async with receiver() as collector:
        http = exporting(HttpSender(collector.url))
        with provider.get_tracer("test").start_as_current_span("starts the service"):
            await http.start()
        http.queue.put(ended())
        await collector.wait_for(1)
        await http.stop()
    assert "traceparent" not in collector.received[0].headers


@pytest.mark.parametrize(
    ("limit", "batch", "waiting", "looks"),
    [
        (1000, 10, 10, 1),  # a full batch
        (1000, 10, 9, 5),  # less goes out when the interval is over
        (1000, 10, 25, 1),  # the full ones at once, the rest later
        (10, 2048, 5, 1),  # a small queue overflows before a batch is full
        (10, 2048, 4, 5),
        (1, 2048, 1, 1),
    ],
)
async def test_full_batches_are_not_waited_for(
    limit: int, batch: int, waiting: int, looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue is looked at five times in an interval, and what is enough is sent at once."""
    sender = Scripted(ExportResult(200))
    exporter = exporting(sender, limit=limit, batch=batch)
    seen: list[int] = []

    async def pause(seconds: float) -> None:
        seen.append(len(sender.times))
        await asyncio.sleep(0)

    monkeypatch.setattr(exporter, "_pause", pause)
    for number in range(waiting):
        exporter.queue.put(ended(number))
    await exporter.start()
    await until(lambda: len(exporter.queue) == 0 and exporter.queue.sent == waiting)
    await exporter.stop()
    assert seen.count(0) == looks
    assert exporter.queue.dropped == 0


async def test_spans_that_end_after_the_stop_are_counted_as_lost() -> None:
    """Those of requests too, which compiled code writes; after another start they are sent."""
    async with receiver() as collector:
        tracing = Tracing(settings_for("zipkin", collector.url), "shop")
        assert tracing.queue is not None
        await tracing.start()
        late = tracing.server.route("GET", "/late").begin(FakeRequest())
        await tracing.stop()
        late.end(200)
        late.detach()
        tracing.queue.put(ended(1))
        assert (tracing.queue.sent, tracing.queue.dropped, len(tracing.queue)) == (0, 2, 0)
        await tracing.start()
        tracing.queue.put(ended(2))
        await tracing.stop()
        assert (tracing.queue.sent, tracing.queue.dropped, len(tracing.queue)) == (1, 2, 0)


async def test_stopping_what_never_started_is_nothing() -> None:
    """As a component must."""
    exporter = exporting(Scripted(ExportResult(200)))
    await exporter.stop()
    tracing = Tracing(Settings(zipkin_server="http://127.0.0.1:1"), "shop")
    await tracing.stop()
    assert (await tracing.check()).status == "up"


@pytest.mark.parametrize("limit", [0, -1])
def test_a_queue_holds_at_least_one(limit: int) -> None:
    """A queue for nothing is a mistake."""
    with pytest.raises(ValueError, match="at least one"):
        SpanQueue(limit)
