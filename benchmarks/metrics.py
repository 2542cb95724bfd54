"""What it costs to count, and to be scraped.

Counting    one call of each kind, in memory (a process that serves alone) and in a file (a worker
            among several); ``request`` is `RouteMetrics.begin` and ``end`` together, which is all
            that a request pays; beside them prometheus-client's own counter and histogram
Scraping    merging and rendering a service of so many routes and workers, in the process that is
            asked; beside it prometheus-client's renderer on the same series

The ways take turns in rounds of random order, and the lowest processor time of each is shown: what
a busy machine adds is not theirs. The empty call that measures the loop is subtracted.

Bias: one cell in a hot loop, whose memory is always in the cache.

Usage: python benchmarks/metrics.py [--rounds 15] [--calls 20000] [--routes 50] [--workers 4]
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import prometheus_client
from prometheus_client.metrics_core import Metric

from sanic_ms.telemetry.metrics import (
    Counter,
    Labelled,
    Registry,
    RouteMetrics,
    ServerMetrics,
    render,
)
from sanic_ms.telemetry.metrics.multiprocess.merge import Family


def main() -> None:
    """Run both and print their tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--routes", type=int, default=50)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    memory = Path("/dev/shm") if Path("/dev/shm").exists() else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        counting(Path(folder) / "count", options.rounds, options.calls)
        scraping(Path(folder) / "scrape", options.rounds, options.routes, options.workers)


def counting(folder: Path, rounds: int, calls: int) -> None:
    """Time one call of each kind."""
    ways: dict[str, Callable[[], Any]] = {"": lambda: None}
    for where in ("memory", "file"):
        registry = Registry()
        if where == "file":
            registry.open(folder)
        labelled = registry.counter("labelled", "Bench.", labels=["a", "b"])
        route = ServerMetrics(registry).route("GET", "/users/{id}")
        ways[f"{where} counter.inc()"] = registry.counter("counter", "Bench.").inc
        gauge, histogram = registry.gauge("gauge", "B."), registry.histogram("histogram", "B.")
        ways[f"{where} gauge.set(3)"] = partial(gauge.set, 3)
        ways[f"{where} histogram.observe(0.3)"] = partial(histogram.observe, 0.3)
        ways[f"{where} labels('x', 'y').inc()"] = labels(labelled)
        ways[f"{where} request"] = request(route)
    theirs = prometheus_client.CollectorRegistry()
    ways["prometheus-client counter.inc()"] = prometheus_client.Counter(
        "c", "B.", registry=theirs
    ).inc
    see = prometheus_client.Histogram("h", "B.", registry=theirs).observe
    ways["prometheus-client histogram.observe(0.3)"] = partial(see, 0.3)
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in random.sample(list(ways.items()), len(ways)):
            best[name] = min(best[name], timed(way, calls))
    empty = best.pop("")
    show("one call", "ns", {name: (seconds - empty) * 1e9 for name, seconds in best.items()})


def labels(metric: Labelled[Counter]) -> Callable[[], None]:
    """Count where the label values are known only then."""
    return lambda: metric.labels("x", "y").inc()


def request(route: RouteMetrics) -> Callable[[], None]:
    """Count one request."""
    return lambda: route.end(route.begin(), 200)


def timed(way: Callable[[], Any], calls: int) -> float:
    """Processor seconds of one call."""
    started = time.process_time()
    for _ in range(calls):
        way()
    return (time.process_time() - started) / calls


def scraping(folder: Path, rounds: int, routes: int, workers: int) -> None:
    """Time the answer to a scrape."""
    registries = [Registry() for _ in range(workers)]
    for registry in registries:
        registry.open(folder)
        server = ServerMetrics(registry)
        for number in range(routes):
            route = server.route("GET", f"/things/{number}/{{id}}")
            for status in (200, 404, 500):
                route.end(route.begin(), status)
    registry = registries[0]
    families = registry.families()
    lines = render(registry).body.count(b"\n")
    theirs: Any = Theirs(families)
    ways: dict[str, Callable[[], Any]] = {
        "ours, merge and render": lambda: render(registry),
        "ours, merge": registry.families,
        "prometheus-client, render": lambda: prometheus_client.generate_latest(theirs),
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in random.sample(list(ways.items()), len(ways)):
            best[name] = min(best[name], timed(way, 1))
    title = f"{workers} workers, {routes} routes, {lines} lines"
    show(title, "ms", {name: seconds * 1000 for name, seconds in best.items()})


def show(title: str, unit: str, numbers: dict[str, float]) -> None:
    """Write a table."""
    rows = "".join(f"| {name} | {number:.3g} |\n" for name, number in numbers.items())
    sys.stdout.write(f"| {title} | {unit} |\n| --- | --- |\n{rows}\n")


class Theirs:
    """The same series as prometheus-client's renderer reads them."""

    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        """Metrics with a sample for each line."""
        return [self._metric(family) for family in self._families]

    def _metric(self, family: Family) -> Metric:
        definition = family.definition
        metric = Metric(definition.name, definition.help, definition.kind)
        for values, numbers in family.cells.items():
            labels = dict(zip(family.labels, values, strict=True))
            if definition.kind != "histogram":
                metric.add_sample(definition.name, labels, numbers[0])
                continue
            below = 0.0
            for bound, count in zip((*definition.bounds, "+Inf"), numbers, strict=False):
                below += count
                metric.add_sample(f"{definition.name}_bucket", {**labels, "le": str(bound)}, below)
            metric.add_sample(f"{definition.name}_sum", labels, numbers[-1])
            metric.add_sample(f"{definition.name}_count", labels, below)
        return metric


if __name__ == "__main__":
    main()
