"""What a scrape reads, checked with prometheus-client's own parsers."""

from __future__ import annotations

import functools
import math
import operator
import subprocess
import sys
from typing import Any

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open
from prometheus_client.parser import text_string_to_metric_families as read_plain

from sanic_ms.telemetry.metrics import Registry, render

OPEN = "application/openmetrics-text; version=1.0.0"
# What Prometheus 3 sends.
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(registry: Registry, accept: str) -> Samples:
    """All samples of a scrape, by name and labels."""
    text = render(registry, accept).body.decode()
    parser: Any = read_open if accept else read_plain
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parser(text)
        for sample in family.samples
    }


@pytest.mark.parametrize("accept", ["", OPEN])
@given(value=st.text(st.characters(codec=None)), help=st.text(st.characters(codec="utf-8")))
def test_any_label_value_and_help_come_through(accept: str, value: str, help: str) -> None:
    """Quotes, line ends, backslashes and characters of every kind survive the format."""
    registry = Registry()
    counter = registry.counter("a", f"x{help}", labels=["b", "c"])
    cell = counter.labels(value, "c")
    cell.inc(3)
    found = read(registry, accept)
    assert found["a_total", (("b", cell.label_values[0]), ("c", "c"))] == 3


@pytest.mark.parametrize("accept", ["", OPEN])
@given(
    numbers=st.lists(st.floats(0, allow_infinity=False, width=32)),
    bounds=st.lists(st.floats(0, 1e9), min_size=1, max_size=20, unique=True).map(sorted),
    level=st.floats(),
)
def test_any_number_comes_through(
    accept: str, numbers: list[float], bounds: list[float], level: float
) -> None:
    """Buckets are added up, count and sum agree with them, and NaN and infinity are numbers."""
    registry = Registry()
    sizes = registry.histogram("a", "A.", buckets=bounds, labels=["b"]).labels("x")
    for number in numbers:
        sizes.observe(number)
    gauge = registry.gauge("g", "G.")
    gauge.set(level)
    found = read(registry, accept)
    assert found["g", ()] == level or (math.isnan(found["g", ()]) and math.isnan(level))
    labels = (("b", "x"),)
    assert found["a_count", labels] == len(numbers)
    # One after the other: sum() keeps what is rounded off, from Python 3.12 on.
    assert found["a_sum", labels] == functools.reduce(operator.add, numbers, 0.0)
    buckets = {
        float(dict(key)["le"]): value for (name, key), value in found.items() if name == "a_bucket"
    }
    assert buckets == {
        bound: sum(number <= bound for number in numbers) for bound in [*bounds, math.inf]
    }


@pytest.mark.parametrize(
    ("accept", "is_open"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        (PROMETHEUS, True),
        (OPEN, True),
        ("APPLICATION/OPENMETRICS-TEXT", True),
        ("application/openmetrics-text;version=0.0.1", False),
        ("application/openmetrics-text;version=2.0.0", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=x,text/plain", False),
        ("application/openmetrics-text;q=0.1,text/plain;q=0.2", False),
        (";;,,q=;==", False),
    ],
)
def test_the_scrape_chooses_the_format(accept: str, is_open: bool) -> None:
    """OpenMetrics for who prefers it in the version that we speak, plain text for the rest."""
    body, content_type = render(Registry(), accept)
    assert content_type.startswith("application/openmetrics-text" if is_open else "text/plain")
    assert body.endswith(b"# EOF\n") == is_open


def test_a_counter_is_called_as_each_format_wants() -> None:
    """The family's name has ``_total`` in the one and not in the other."""
    registry = Registry()
    registry.counter("orders", "Orders.").inc()
    assert b"# TYPE orders_total counter\norders_total 1.0\n" in render(registry).body
    assert b"# TYPE orders counter\norders_total 1.0\n" in render(registry, OPEN).body


@pytest.mark.parametrize("accept", ["", OPEN])
def test_metrics_of_other_libraries_are_shown(accept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in prometheus-client's registry comes along, unless we say it ourselves."""
    theirs = prometheus_client.CollectorRegistry()
    prometheus_client.Counter("jobs", "Jobs.", registry=theirs).inc(7)
    prometheus_client.Counter("orders", "Theirs.", registry=theirs).inc(100)
    monkeypatch.setattr(prometheus_client, "REGISTRY", theirs)
    registry = Registry()
    registry.counter("orders", "Orders.").inc()
    found = read(registry, accept)
    assert found["jobs_total", ()] == 7
    assert found["orders_total", ()] == 1


def test_prometheus_client_is_not_imported_for_nothing() -> None:
    """Its import takes 100 ms, most of it for HTTP servers that nobody asked for."""
    code = (
        "import sys; from sanic_ms.telemetry.metrics import Registry, render; "
        "render(Registry()); sys.exit('prometheus_client' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
