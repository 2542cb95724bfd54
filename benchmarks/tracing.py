"""What the span of a request costs: begin and end of `telemetry.trace.server`, without a server.

The ways take turns within every round, so that a busy machine slows all of them; each way's figure
is the median of its rounds in processor time, less that of the empty loop. "unsampled" is the usual
request of a service that records few traces, or none. "sampled" includes the hand-over to the
queue, which is emptied between rounds, and not the encoding, which the exporter's task does later:
"encode" is that, for each of the two formats. Every round runs in a context of its own.

--collectors compares instead what requests cost while the collector answers, hangs, is absent or
answers 500: tasks with a recorded server span and two children, and the exporter beside them on the
same loop, over senders without a network.

Bias: one route, one small head (GET with five headers), everything in the caches.

    python benchmarks/tracing.py --rounds 200 --calls 2000
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Callable
from contextvars import Context
from typing import Any

from opentelemetry.trace import SpanKind

from sanic_ms.telemetry.trace.base import Answer, Format, Sender
from sanic_ms.telemetry.trace.exporter import Exporter
from sanic_ms.telemetry.trace.otlp import OtlpFormat
from sanic_ms.telemetry.trace.provider import Provider
from sanic_ms.telemetry.trace.queue import SpanQueue
from sanic_ms.telemetry.trace.server import RouteSpans, ServerSpans
from sanic_ms.telemetry.trace.span import RecordedSpan, Scope, wall_offset
from sanic_ms.telemetry.trace.zipkin import ZipkinFormat

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


def encoding(format: Format) -> Callable[[int], None]:
    spans: list[RecordedSpan] = []
    ServerSpans(Provider(spans.append)).route("GET", "/users/<id>").begin(Request(HEAD)).end(200)

    def run(calls: int) -> None:
        offset = wall_offset()
        for _ in range(calls):
            format.span(spans[0], offset)

    return run


def empty(calls: int) -> None:
    for _ in range(calls):
        pass


def measure(rounds: int, calls: int) -> dict[str, list[float]]:
    kept: list[RecordedSpan] = []

    def route(ratio: float) -> RouteSpans:
        return ServerSpans(Provider(kept.append, ratio=ratio)).route("GET", "/users/<id>")

    ways: dict[str, Callable[[int], None]] = {
        "empty": empty,
        "no exporter": calling(ServerSpans(Provider()).route("GET", "/"), Request(HEAD)),
        "unsampled": calling(route(1e-9), Request(HEAD)),
        "unsampled, traceparent": calling(route(1e-9), Request(HEAD + PARENT + b"0")),
        "sampled": calling(route(1.0), Request(HEAD)),
        "sampled, traceparent": calling(route(1.0), Request(HEAD + PARENT + b"1")),
        "encode zipkin": encoding(ZipkinFormat({"service.name": "shop"})),
        "encode otlp": encoding(OtlpFormat({"service.name": "shop"})),
    }
    results: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(rounds + 1):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            context = Context()
            began = time.process_time_ns()
            context.run(ways[name], calls)
            took = time.process_time_ns() - began
            kept.clear()
            if number:  # the first round warms up
                results[name].append(took / calls)
    return results


class Collector(Sender):
    """Does with each body what its name says."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    async def send(self, body: bytes) -> Answer:
        await asyncio.sleep(3600 if self.kind == "hangs" else 0.001)
        return {"answers": Answer(200), "answers 500": Answer(500)}.get(self.kind, Answer(0))


async def requests(kind: str, calls: int) -> float:
    """Nanoseconds of processor time a request, all that the exporter does meanwhile included."""
    exporter = Exporter(
        SpanQueue(10_000), ZipkinFormat({}), Collector(kind), interval=0.05, stop_timeout=0.01
    )
    route = ServerSpans(Provider(exporter.queue.put)).route("GET", "/users/<id>")
    request, scope = Request(HEAD), Scope("benchmark")

    async def serve() -> None:
        span = route.begin(request)
        for name in ("SELECT users", "GET"):
            child = span._own().child(scope, name, SpanKind.CLIENT, {"db.query.text": "SELECT 1"})
            await asyncio.sleep(0)
            child.end()
        span.end(200)

    await exporter.start()
    began = time.process_time_ns()
    for _ in range(calls // 20):
        await asyncio.gather(*(serve() for _ in range(20)))
    took = time.process_time_ns() - began
    await exporter.stop()
    return took / calls


def compare_collectors(rounds: int, calls: int) -> dict[str, list[float]]:
    kinds = ["answers", "hangs", "absent", "answers 500"]
    results: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(rounds):
        for kind in kinds[number % 4 :] + kinds[: number % 4]:
            results[kind].append(asyncio.run(requests(kind, calls)))
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
