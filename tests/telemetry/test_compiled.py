"""Compiled code of telemetry against the Python that it stands for: same results, no crash.

`_observer` is called by other compiled code alone: requests are served in memory by `HttpProtocol`
and by the methods that it stands for, and what both leave is compared. `_writer` has functions that
Python can call as well.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
from collections.abc import Callable
from contextvars import Context
from itertools import count
from time import perf_counter_ns
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.telemetry.tracing.conftest import SPAN, TRACE, FakeRequest

from sanic_ms import Service
from sanic_ms.native.compiled import compiled
from sanic_ms.server import HttpProtocol
from sanic_ms.server.http1.fast_path import FastPath
from sanic_ms.server.http1.receiver import Receiver
from sanic_ms.telemetry.metrics.server import BOUNDS
from sanic_ms.telemetry.redaction import redactor
from sanic_ms.telemetry.tracing import (
    ChildSpans,
    Provider,
    Scope,
    ServerSpans,
    SpanQueue,
    current_ids,
    recording_parent,
    server_span,
)
from sanic_ms.telemetry.tracing.context import get_context
from sanic_ms.telemetry.tracing.export.base import Format
from sanic_ms.telemetry.tracing.export.console import ConsoleFormat
from sanic_ms.telemetry.tracing.export.otlp import OtlpFormat
from sanic_ms.telemetry.tracing.export.queue import PAGE, spans_in
from sanic_ms.telemetry.tracing.export.templates import Templates, taker
from sanic_ms.telemetry.tracing.export.zipkin import ZipkinFormat
from sanic_ms.telemetry.tracing.headers import Parent
from sanic_ms.telemetry.tracing.record import RequestRecord
from sanic_ms.telemetry.tracing.server import ServerSpan
from sanic_ms.telemetry.tracing.span import RecordedSpan, wall_offset

_writer = compiled("sanic_ms.telemetry.tracing.export._writer")
_numbers = count()
needs_compiled = pytest.mark.skipif(_writer is None, reason="nothing is compiled")

RESOURCE = {"service.name": "shöp 100%", "deployment.environment": 'a "test"'}
FORMATS: dict[str, type[Format]] = {"zipkin": ZipkinFormat, "otlp": OtlpFormat}
DIGITS = re.compile(rb'(?<=[:"])\d{16,19}(?=[,"])|(?<=duration":)\d+|[0-9a-f]{32}|[0-9a-f]{16}')


@pytest.fixture(params=sorted(FORMATS))
def form(request: pytest.FixtureRequest) -> Format:
    """Each format that is written by compiled code."""
    return FORMATS[request.param](RESOURCE)


class Fixed:
    """A handler of requests in memory that has two routes."""

    def __init__(self, **settings: Any) -> None:
        self.app = Service(f"compiled-{next(_numbers)}")
        self.app.configure(access_log=False, otel_service_name="shop", **settings)
        self.seen: list[Any] = []

        @self.app.get("/fine")
        async def fine(request: Any) -> dict[str, int]:
            return {"a": 1}

        @self.app.get("/look")
        async def look(request: Any) -> dict[str, int]:
            self.seen.append((current_ids(), recording_parent()))
            return {"a": 1}

        @self.app.get("/items/<id:int>")
        async def item(request: Any, id: int) -> dict[str, int]:
            return {"a": id}

        @self.app.get("/fails")
        async def fails(request: Any) -> dict[str, int]:
            raise KeyError("x")


class Wire(asyncio.Transport):
    """What is written goes nowhere."""

    def __init__(self, loop: Any, secure: bool = False) -> None:
        self._loop = loop
        self.secure = secure
        self.written: list[bytes] = []

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return object() if self.secure and name == "sslcontext" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def is_closing(self) -> bool:
        return False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def close(self) -> None: ...
    def abort(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


def asked(targets: list[bytes], lines: bytes = b"", secure: bool = False, **settings: Any) -> Any:
    """The texts of the spans that requests of these targets leave in the queue, and the service."""

    async def run() -> tuple[list[bytes], Fixed]:
        served = Fixed(zipkin_server="http://127.0.0.1:9", **settings)
        app = served.app
        await app._startup()
        loop = asyncio.get_running_loop()
        wire = Wire(loop, secure)
        connection = HttpProtocol(loop=loop, app=app, connections=set())
        connection.connection_made(wire)
        for number, target in enumerate(targets):
            connection.data_received(b"GET %b HTTP/1.1\r\nHost: a\r\n%b\r\n" % (target, lines))
            while len(wire.written) <= number:  # noqa: ASYNC110 - it ends within a few steps
                await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert app.tracing is not None
        assert app.tracing.queue is not None
        queue = app.tracing.queue
        length = len(queue)
        waited = queue.take(1000)
        assert spans_in(waited) == length
        assert len(queue) == 0
        texts = app.tracing._exporter._templates.write(waited, wall_offset())  # type: ignore[union-attr]
        return split(texts), served

    return asyncio.run(run())


def split(texts: list[bytes]) -> list[bytes]:
    """The text of each span."""
    return [
        json.dumps(span, ensure_ascii=False, separators=(",", ":")).encode()
        for text in texts
        for span in json.loads(b"[" + text + b"]")
    ]


def bare(texts: list[bytes]) -> list[bytes]:
    """Texts without their ids and times."""
    return [DIGITS.sub(b"*", text) for text in texts]


@needs_compiled
@pytest.mark.parametrize(
    ("targets", "pages"),
    [
        ([b"/fine"] * 5, True),
        ([b"/items/7", b"/items/8", b"/items/9"], True),
        ([b"/look"] * 3, True),
        ([b"/fine?a=1", b"/fine?token=abc"], False),
        ([b"/fine", b"/missing", b"/fine", b"/fails", b"/fine"], True),
    ],
)
@pytest.mark.parametrize("lines", [b"", b"traceparent: 00-%b-%b-01\r\n"])
@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_what_requests_leave_is_the_same(
    targets: list[bytes], pages: bool, lines: bytes, secure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same spans whether compiled code or Python ends them; only ids and times differ."""
    if lines:
        lines %= (TRACE.encode(), SPAN.encode())
    written, served = asked(targets, lines, secure, trace_sample=1.0)
    assert sorted(bare(written))
    ids = [(span["traceId"], span["id"]) for span in map(json.loads, written)]
    assert len(set(ids)) == len(targets)
    for pair, _ in served.seen:
        assert pair in ids
    put = SpanQueue.put
    monkeypatch.setattr(
        "sanic_ms.telemetry.tracing.export.exporter.taker", lambda queue, _: put.__get__(queue)
    )
    plain, _ = asked(targets, lines, secure, trace_sample=1.0)
    assert sorted(bare(plain)) == sorted(bare(written))


class Plain(HttpProtocol):
    """A connection that is served by Python alone."""

    __slots__ = ()
    data_received = Receiver.data_received
    _open = FastPath._open
    _deliver = FastPath._deliver
    _account = FastPath._account


def observed(connection: type[HttpProtocol], ratio: float, lines: bytes) -> list[Any]:
    """What handlers see of the spans of some requests, and what is counted and left of them."""

    async def run() -> list[Any]:
        app = Service(f"compiled-{next(_numbers)}")
        app.configure(access_log=False, zipkin_server="http://127.0.0.1:9", trace_sample=ratio)
        seen: list[Any] = []
        spans: list[Any] = []

        @app.get("/fine")
        async def fine(request: Any) -> dict[str, int]:
            span = get_context()
            spans.append(span)
            seen.append((type(span), span.sampled, span.log_ids, span._parent, span._ids))
            seen.append((span._request is request, type(span._start), span._span, span.known))
            return {"a": 1}

        @app.get("/fails")
        async def fails(request: Any) -> dict[str, int]:
            spans.append(get_context())
            raise KeyError("x")

        await app._startup()
        loop = asyncio.get_running_loop()
        wire = Wire(loop)
        served = connection(loop=loop, app=app, connections=set())
        served.connection_made(wire)
        for number, target in enumerate((b"/fine", b"/fine", b"/fails", b"/fine", b"/none")):
            served.data_received(b"GET %b HTTP/1.1\r\nHost: a\r\n%b\r\n" % (target, lines))
            while len(wire.written) <= number:  # noqa: ASYNC110 - it ends within a few steps
                await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert app.tracing is not None
        assert app.tracing.queue is not None
        seen += [len(app.tracing.queue), app.tracing.queue.dropped]
        seen += [(span.sampled, span._request, type(span._span)) for span in spans]
        seen += [span._route._skip_count for span in spans if span._route._ratio in (0.0, 1.0)]
        for span in spans:
            assert span._start < perf_counter_ns()
        buckets = len(BOUNDS) + 1
        for plan in served.wire.routes.plans.values():
            meter: Any = plan.meter
            assert meter.in_flight == 0
            for status, at in sorted(meter._at.items()):
                seen.append((status, sum(meter._values[at : at + buckets])))
                assert 0.0 < meter._values[at + buckets] < 60.0
        return seen

    return asyncio.run(run())


@pytest.mark.parametrize("ratio", [0.0, 1.0])
@pytest.mark.parametrize("lines", [b"", b"traceparent: 00-%b-%b-00\r\n", b"x-b3-sampled: 1\r\n"])
@pytest.mark.filterwarnings("ignore")
def test_a_request_is_observed_alike(ratio: float, lines: bytes) -> None:
    """Compiled or not: what the handler finds current, what is recorded, what is let go."""
    if b"%b" in lines:
        lines %= (TRACE.encode(), SPAN.encode())
    seen = observed(HttpProtocol, ratio, lines)
    assert seen == observed(Plain, ratio, lines)
    assert (200, 3.0) in seen
    assert (500, 1.0) in seen


LOOKS: dict[str, Callable[[], Any]] = {
    "nobody": lambda: None,
    "ids": current_ids,
    "span": server_span,
    "said": lambda: server_span().set_attribute("a", 1),
}
LINES: dict[str, tuple[str, ...]] = {
    "none": (),
    "w3c": (f"traceparent: 00-{TRACE}-{SPAN}-01",),
    "state": (f"traceparent: 00-{TRACE}-{SPAN}-01", "tracestate: vendor=a%s"),
    "decision": ("X-B3-Sampled: 1",),
}


def children(form: Format, take: Callable[[SpanQueue], Any], *lines: str) -> list[bytes]:
    """What a request with two statements leaves, as texts of spans."""
    queue = SpanQueue()
    route = ServerSpans(Provider(queue.put, put_record=take(queue))).route("GET", "/a/<b>")
    statement = ChildSpans(
        Scope("sanic_ms.db", "1"), "SELECT ä%s", {"db.query.text": 'SELECT "%"', "server.port": 1}
    )

    async def work() -> int:
        return 7

    def run() -> None:
        span = route.begin(FakeRequest(*lines))
        for _ in range(2):
            parent = recording_parent()
            assert parent is not None
            with pytest.raises(StopIteration):
                statement.around(parent, work(), None).send(None)
        span.end(200)
        with pytest.raises(StopIteration):  # one that outlives its request
            statement.around(span, work(), None).send(None)

    Context().run(run)
    texts: list[bytes] = []
    for one in queue.take(100):
        texts += Templates(form).write([one], wall_offset())
    return split(texts)


@pytest.mark.parametrize("lines", LINES.values(), ids=LINES)
def test_statements_are_the_same(form: Format, lines: tuple[str, ...]) -> None:
    """Written at once or as records, below the same request."""
    written = children(form, lambda queue: taker(queue, form), *lines)
    plain = children(form, lambda queue: queue.put, *lines)
    assert len(written) == len(plain) == 4
    assert sorted(bare(written)) == sorted(bare(plain))
    spans = [json.loads(text) for text in written]
    parents = [span.get("parentId", span.get("parentSpanId")) for span in spans]
    ids = [span.get("id", span.get("spanId")) for span in spans]
    assert len({span["traceId"] for span in spans}) == 1
    assert len(set(ids)) == 4
    assert max(map(parents.count, ids)) == 3


def ended(
    writer: Any, request: FakeRequest, status: Any, handler: Callable[[], Any] = lambda: None
) -> tuple[Any, ServerSpan]:
    """A request that compiled code is asked to end: what it says, and its span."""
    route = ServerSpans(Provider(writer.__call__, put_record=writer)).route("GET", "/a/<b>")

    def run() -> tuple[Any, ServerSpan]:
        span = route.begin(request)
        handler()
        return _writer.end_request(span, status), span  # type: ignore[union-attr]

    return Context().run(run)


PIECES = st.sampled_from(
    [
        *(b"/", b"users", b"7", b"?", b"&", b":", b"%", b"%s", b"%41", b'"', b"\\", b"\x00"),
        *(b"\x7f", b"\xc3\xa4", b"\xff", b"@", b"eyJhbGci.eyJzdWIi.x", b"eyJ", b"e", b"yJ", b"~"),
        *(b"http://user:password@host", b"a" * 5000, b"a" * 4094, b"5a4e1c0a-path"),
    ]
)


@needs_compiled
@pytest.mark.parametrize("kind", sorted(FORMATS))
@given(
    url=st.lists(PIECES, max_size=6).map(b"".join),
    lines=st.sampled_from(sorted(LINES)),
    look=st.sampled_from(sorted(LOOKS)),
    status=st.sampled_from([0, 200, 404, 499, 500]),
    secure=st.booleans(),
)
def test_a_text_has_the_bytes_that_a_record_would(
    kind: str, url: bytes, lines: str, look: str, status: int, secure: bool
) -> None:
    """Byte for byte, whatever the client sends; or it is left alone, and nothing has changed."""
    form = FORMATS[kind](RESOURCE)
    queue = SpanQueue()
    writer = taker(queue, form)
    request = FakeRequest(*LINES[lines], raw_url=url, secure=secure)
    for _ in range(2):
        done, span = ended(writer, request, status, LOOKS[look])
        if not done:
            assert span._request is request
            assert len(queue) == 0
            continue
        (page,) = queue.take(10)
        assert isinstance(page, PAGE)  # type: ignore[arg-type]
        text = page.text()
        document = json.loads(text)
        stop = (
            span._start + 1000 * document["duration"]
            if kind == "zipkin"
            else int(document["endTimeUnixNano"]) - int(document["startTimeUnixNano"]) + span._start
        )
        ids = "".join(span._ended)
        record = RequestRecord(
            span._route, span._parent, ids, span._start, stop, url, secure, status
        )
        if kind == "zipkin":
            offset = 1000 * document["timestamp"] + span._start % 1000 - span._start
            offset -= (span._start + offset) % 1000
        else:
            offset = int(document["startTimeUnixNano"]) - span._start
        assert text == form.span(record.span(), offset)
        assert span.ids == (document["traceId"], document.get("id") or document["spanId"])


@needs_compiled
@pytest.mark.parametrize("name", ["token", "secret", "password"])
def test_what_is_secret_is_never_in_a_text(name: str) -> None:
    """Paths that might hold a secret, and all queries, go the way that hides them."""
    queue = SpanQueue()
    writer = taker(queue, ZipkinFormat(RESOURCE))
    for url in (f"/a?{name}=x", f"/{name}=x", f"/a;{name}=x", "/eyJhbGci.eyJzdWIi.x"):
        text = url.encode()
        if redactor.path(url.partition("?")[0]) != url.partition("?")[0] or "?" in url:
            assert not ended(writer, FakeRequest(raw_url=text), 200)[0]


CALLER = Parent(TRACE, SPAN, True)


class Other:
    """Neither a span nor a request."""


@needs_compiled
def test_what_is_none_of_ours_is_left_alone() -> None:
    """Whatever is passed: no crash, and no change."""
    assert _writer is not None
    queue = SpanQueue()
    writer = taker(queue, ZipkinFormat(RESOURCE))
    route = ServerSpans(Provider(queue.put, put_record=writer)).route("GET", "/")
    span = Context().run(route.begin, FakeRequest())
    for wrong in (None, 1, "x", Other(), ServerSpan, route, object()):
        assert not _writer.end_request(wrong, 200)
        assert not _writer.write_child(wrong, span, 1)
        assert not _writer.write_child(ChildSpans(Scope("a"), "b", {}), wrong, 1)
        assert not _writer.write_child(ChildSpans(Scope("a"), "b", {}), span, wrong) or wrong == 1
    assert not _writer.end_request(span, None)
    assert not _writer.end_request(span, "200")
    with pytest.raises(AttributeError):
        _writer.end_request(ServerSpan(), 200)
    with pytest.raises(AttributeError):
        _writer.write_child(ChildSpans(Scope("a"), "b", {}), ServerSpan(), 1)
    for ids in ((), ("a",), ("a", "b"), ("ä" * 32, "b" * 16), "a" * 48, (1, 2)):
        span._ids = ids  # type: ignore[assignment]
        assert not _writer.end_request(span, 200)
        assert not _writer.write_child(ChildSpans(Scope("a"), "b", {}), span, 1)
    span._ids = None
    for parent in (tuple.__new__(Parent, ()), (), "x", CALLER._replace(span_id="")):
        span._parent = parent  # type: ignore[assignment]
        assert not _writer.end_request(span, 200)
    span._parent = None
    statement = ChildSpans(Scope("a"), "b", {})
    assert _writer.write_child(statement, span, 1)
    for usual in (_writer.Usual(), *statement.templates.values(), 1):
        route._usual = usual
        assert _writer.end_request(Context().run(route.begin, FakeRequest()), 200)
    for usual in (_writer.Usual(), route._usual, 1):
        statement.templates = dict.fromkeys(statement.templates, usual)
        assert not _writer.write_child(statement, span, 1)
    with pytest.raises(TypeError):
        _writer.Writer([], ZipkinFormat(RESOURCE))
    with pytest.raises(TypeError):
        _writer.Writer(queue, ConsoleFormat(RESOURCE))
    before = len(queue)
    assert taker(queue, ConsoleFormat(RESOURCE)) == queue.put
    assert len(queue) == before


@needs_compiled
def test_a_full_queue_drops_and_counts() -> None:
    """Spans in pages are counted as others are, and ids are told of one that was dropped."""
    queue = SpanQueue(5)
    writer = taker(queue, ZipkinFormat(RESOURCE))
    spans = [ended(writer, FakeRequest(), 200)[1] for _ in range(7)]
    assert (len(queue), queue.dropped) == (5, 2)
    assert len({span.ids for span in spans}) == 7
    assert spans_in(queue.take(1)) == 5
    assert len(queue) == 0


@needs_compiled
def test_pages_have_a_bound_and_are_taken_whole(form: Format) -> None:
    """A batch has as many spans as it may; what waits keeps its order."""
    queue = SpanQueue(10_000)
    writer = taker(queue, form)
    for number in range(1000):
        assert ended(writer, FakeRequest(raw_url=b"/%d" % number), 200)[0]
    waited = queue.take(600)
    assert spans_in(waited) == 512
    waited += queue.take(10)
    assert spans_in(waited) == 640
    assert spans_in(queue.take(10_000)) == 360
    body = b"".join(form.body(waited, Templates(form).write(waited, 0)))
    paths = re.findall(rb'"(/\d+)"', body)
    assert paths == [b"/%d" % number for number in range(640)]
    json.loads(body)


@needs_compiled
def test_a_page_that_was_taken_takes_nothing_more(form: Format) -> None:
    """The next span has another page."""
    queue = SpanQueue()
    writer = taker(queue, form)
    ended(writer, FakeRequest(), 200)
    (first,) = queue.take(10)
    ended(writer, FakeRequest(), 200)
    (second,) = queue.take(10)
    assert first is not second
    assert isinstance(first, PAGE)  # type: ignore[arg-type]
    assert first.count == first.seal() == 1
    assert first.text() is first.text()


@needs_compiled
def test_threads_lose_nothing() -> None:
    """Any thread may end spans while another takes them."""
    queue = SpanQueue(100_000)
    writer = taker(queue, ZipkinFormat(RESOURCE))

    def run() -> None:
        for _ in range(2000):
            ended(writer, FakeRequest(), 200)

    threads = [threading.Thread(target=run) for _ in range(4)]
    texts: list[bytes] = []
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        texts += Templates(ZipkinFormat(RESOURCE)).write(queue.take(300), 0)
    texts += Templates(ZipkinFormat(RESOURCE)).write(queue.take(100_000), 0)
    spans = [span for text in texts for span in json.loads(b"[" + text + b"]")]
    assert len({span["id"] for span in spans}) == 8000
    assert len(queue) == 0


@needs_compiled
def test_ids_are_others_after_a_fork() -> None:
    """Two processes never give the same ids."""
    queue = SpanQueue()
    writer = taker(queue, ZipkinFormat(RESOURCE))
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, "".join(ended(writer, FakeRequest(), 200)[1].ids).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(read, 100).decode()
    os.close(read)
    os.close(write)
    assert len(theirs) == 48
    assert theirs != "".join(ended(writer, FakeRequest(), 200)[1].ids)


def test_a_span_asked_for_after_the_end_has_ended(form: Format) -> None:
    """By its ids, whichever way it was sent."""
    queue = SpanQueue()
    put = taker(queue, form)
    route = ServerSpans(Provider(queue.put, put_record=put)).route("GET", "/")

    def run() -> None:
        span = route.begin(FakeRequest())
        if _writer is None or not _writer.end_request(span, 200):
            span.end(200)
        late = span.span
        assert isinstance(late, RecordedSpan)
        assert not late.is_recording()
        assert (late.trace_id, late.span_id) == span.ids == current_ids()
        span.end(500)
        assert len(queue) == 1

    Context().run(run)
