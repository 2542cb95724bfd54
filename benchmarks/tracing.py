"""What the span of a request costs: begin and end of `telemetry.trace.server`, without a server.

The ways take turns within every round, so that a busy machine slows all of them; each way's figure
is the median of its rounds in processor time, less that of the empty loop. "unsampled" is the usual
request of a service that records few traces, or none. "sampled" includes the hand-over to the
queue, which is emptied between rounds, and not the encoding, which the exporter's task does
later: "encode" is that, for each of the two formats. "written" is what compiled code does in place
of both, where there is any: the end of a request, or a statement, as text in the queue. A statement
runs at once and is recorded; a "child" is a span in full, as other calls make. "looked at" are
requests whose span was asked for, as a child or a log line does. Every round runs in a context of
its own.

--collectors compares instead what requests cost while the collector, a process of its own on the
loopback, answers, hangs, resets connections, answers 500 or is absent: tasks with a recorded server
span and two children, as fast as they go, and the exporter beside them on the same loop. "none"
records nothing, "thrown away" records and has no exporter.

Bias: one route, one small head (GET with five headers), everything in the caches.

    python -m benchmarks.tracing --rounds 200 --calls 2000
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import Context
from functools import partial
from subprocess import PIPE, Popen
from typing import Any

from benchmarks.collector import KINDS
from sanic_ms.native.compiled import compiled
from sanic_ms.telemetry.tracing import (
    ChildSpans,
    end_child,
    recording_parent,
    recording_span,
    start_child,
)
from sanic_ms.telemetry.tracing.export.base import Format
from sanic_ms.telemetry.tracing.export.exporter import Exporter
from sanic_ms.telemetry.tracing.export.http import HttpSender
from sanic_ms.telemetry.tracing.export.otlp import OtlpFormat
from sanic_ms.telemetry.tracing.export.queue import SpanQueue
from sanic_ms.telemetry.tracing.export.templates import Templates, taker
from sanic_ms.telemetry.tracing.export.zipkin import ZipkinFormat
from sanic_ms.telemetry.tracing.provider import Provider
from sanic_ms.telemetry.tracing.server import RouteSpans, ServerSpan, ServerSpans
from sanic_ms.telemetry.tracing.span import Scope, wall_offset

HEAD = (
    b"GET /users/1 HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: python-httpx/0.27\r\n"
    b"Accept: */*\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive"
)
PARENT = b"\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"


class Transport:
    def get_extra_info(self, name: str) -> None:
        return None


class Request:
    __slots__ = ("head", "headers", "raw_url", "transport")

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.headers: dict[str, str] = {}
        self.raw_url = b"/users/1"
        self.transport = Transport()


def calling(route: RouteSpans, request: Request) -> Callable[[int], None]:
    begin = route.begin

    def run(calls: int) -> None:
        for _ in range(calls):
            begin(request).end(200)

    return run


def writing(
    route: RouteSpans, request: Request, end: Callable[[ServerSpan, int], bool]
) -> Callable[[int], None]:
    begin = route.begin

    def run(calls: int) -> None:
        for _ in range(calls):
            end(begin(request), 200)

    return run


def looking(route: RouteSpans, request: Request) -> Callable[[int], None]:
    begin = route.begin

    def run(calls: int) -> None:
        for _ in range(calls):
            span = begin(request)
            _ = span.span
            span.end(200)

    return run


SAID = {
    "db.system.name": "postgresql", "db.namespace": "shop", "server.address": "127.0.0.1",
    "server.port": 5432, "db.query.text": "SELECT id, name FROM users WHERE id = $1",
    "db.operation.name": "SELECT", "db.query.summary": "SELECT users",
    "db.collection.name": "users",
}  # fmt: skip
SCOPE = Scope("sanic_ms.db")


def children(route: RouteSpans) -> Callable[[int], None]:
    def run(calls: int) -> None:
        parent = route.begin(Request(HEAD)).span
        for _ in range(calls):
            end_child(start_child(parent, SCOPE, "SELECT users", {**SAID}))

    return run


STATEMENT = ChildSpans(SCOPE, "SELECT users", SAID)


async def answer() -> None:
    """What the database gives at once."""


def statements(route: RouteSpans) -> Callable[[int], None]:
    def run(calls: int) -> None:
        request = route.begin(Request(HEAD))
        for _ in range(calls):
            parent = recording_parent()
            assert parent is not None
            for _ in STATEMENT.around(parent, answer(), said_of).__await__():
                pass
        request.end(200)

    return run


def said_of(exc: BaseException) -> dict[str, str]:
    return {}


def encoding(
    format: Format, way: Callable[[RouteSpans], Callable[[int], None]]
) -> Callable[[int], None]:
    kept: list[Any] = []
    provider = Provider(kept.append, put_record=kept.append)
    Context().run(way(ServerSpans(provider).route("GET", "/users/<id>")), 1)
    write = Templates(format).write

    def run(calls: int) -> None:
        write([kept[0]] * calls, wall_offset())

    return run


def empty(calls: int) -> None:
    for _ in range(calls):
        pass


def measure(rounds: int, calls: int) -> dict[str, list[float]]:
    kept: list[Any] = []
    queues: dict[str, SpanQueue] = {}

    def route(ratio: float) -> RouteSpans:
        provider = Provider(kept.append, put_record=kept.append, ratio=ratio)
        return ServerSpans(provider).route("GET", "/users/<id>")

    ways: dict[str, Callable[[int], None]] = {
        "empty": empty,
        "no exporter": calling(ServerSpans(Provider()).route("GET", "/"), Request(HEAD)),
        "unsampled": calling(route(1e-9), Request(HEAD)),
        "unsampled, traceparent": calling(route(1e-9), Request(HEAD + PARENT + b"0")),
        "sampled": calling(route(1.0), Request(HEAD)),
        "sampled, traceparent": calling(route(1.0), Request(HEAD + PARENT + b"1")),
        "sampled, looked at": looking(route(1.0), Request(HEAD)),
        "child of a sampled one": children(route(1.0)),
        "statement of a sampled one": statements(route(1.0)),
    }
    writer = compiled("sanic_ms.telemetry.tracing.export._writer")
    if writer is not None:
        for form in (ZipkinFormat, OtlpFormat):
            short = form.__name__.removesuffix("Format").lower()
            queue = queues[short] = SpanQueue(10 * calls)
            put = taker(queue, form({"service.name": "shop"}))
            written = ServerSpans(Provider(queue.put, put_record=put)).route("GET", "/users/<id>")
            ways[f"written, {short}"] = writing(written, Request(HEAD), writer.end_request)
            ways[f"written statement, {short}"] = statements(written)
    requests = partial(calling, request=Request(HEAD))
    for name, way in (("", requests), (" statement", statements), (" child", children)):
        for form in (ZipkinFormat, OtlpFormat):
            short = form.__name__.removesuffix("Format").lower()
            ways[f"encode{name}, {short}"] = encoding(form({"service.name": "shop"}), way)
    results: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(rounds + 1):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            context = Context()
            began = time.process_time_ns()
            context.run(ways[name], calls)
            took = time.process_time_ns() - began
            kept.clear()
            for queue in queues.values():
                queue.take(queue.limit)
            if number:  # the first round warms up
                results[name].append(took / calls)
    return results


@contextmanager
def collectors() -> Iterator[dict[str, str]]:
    """The addresses of collectors of every kind, each in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.collector", "0"]
    with ExitStack() as stack:
        urls = {}
        for kind in KINDS:
            process = stack.enter_context(Popen([*command, kind], stdout=PIPE, text=True))
            stack.callback(process.terminate)
            assert process.stdout is not None
            urls[kind] = f"http://127.0.0.1:{int(process.stdout.readline())}"
        absent = stack.enter_context(socket.socket())
        absent.bind(("127.0.0.1", 0))  # taken, and nobody listens
        yield {**urls, "absent": f"http://127.0.0.1:{absent.getsockname()[1]}"}


async def requests(url: str, limit: int, calls: int) -> tuple[float, int]:
    """Nanoseconds of processor time a request, all that the exporter does meanwhile included, and
    the most spans that waited.

    Args:
        url: Of the collector; ``""``: nothing is recorded.
        limit: Of the queue. 0: spans are recorded and thrown away.
    """
    queue = SpanQueue(limit or 1)
    sender = HttpSender(f"{url}/api/v2/spans", timeout=1.0)
    exporter = Exporter(queue, ZipkinFormat({}), sender, interval=0.05, stop_timeout=0.01)
    put = (queue.put if limit else lambda span: None) if url else None
    provider = Provider(put, put_record=exporter.put_record if limit else put)
    route = ServerSpans(provider).route("GET", "/users/<id>")
    request, scope = Request(HEAD), Scope("benchmark")
    most = 0

    async def serve() -> None:
        span = route.begin(request)
        for name in ("SELECT users", "GET"):
            parent = recording_span()
            if parent is not None:
                child = start_child(parent, scope, name, {"db.query.text": "SELECT 1"})
                await asyncio.sleep(0)
                end_child(child)
            else:
                await asyncio.sleep(0)
        span.end(200)

    if url and limit:
        await exporter.start()
    began = time.process_time_ns()
    for _ in range(calls // 20):
        await asyncio.gather(*(serve() for _ in range(20)))
        most = max(most, len(queue))
    took = time.process_time_ns() - began
    await exporter.stop()
    return took / calls, most


def compare_collectors(rounds: int, calls: int) -> dict[str, list[float]]:
    logging.getLogger("sanic_ms").setLevel(logging.ERROR)  # what is lost is meant to be
    with collectors() as urls:
        ways = {"none": ("", 0), "thrown away": ("http://-", 0)}
        ways |= {kind: (url, 10_000) for kind, url in urls.items()}
        results: dict[str, list[float]] = {kind: [] for kind in ways}
        most = dict.fromkeys(ways, 0)
        kinds = list(ways)
        for number in range(rounds):
            for kind in kinds[number % len(kinds) :] + kinds[: number % len(kinds)]:
                took, waited = asyncio.run(requests(*ways[kind], calls))
                results[kind].append(took)
                most[kind] = max(most[kind], waited)
    sys.stdout.write(f"most spans that waited: {most}\n")
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--calls", type=int, default=2000, help="calls of each way in a round")
    parser.add_argument("--collectors", action="store_true")
    options = parser.parse_args()
    results: dict[str, Any]
    if options.collectors:
        results, base = compare_collectors(options.rounds, options.calls), 0.0
    else:
        results = measure(options.rounds, options.calls)
        base = statistics.median(results.pop("empty"))
    sys.stdout.write(f"{'nanoseconds of a request':30}{'median':>10}{'best':>10}\n")
    for name, figures in results.items():
        median, best = statistics.median(figures) - base, min(figures) - base
        sys.stdout.write(f"{name:30}{median:10.0f}{best:10.0f}\n")


if __name__ == "__main__":
    main()
