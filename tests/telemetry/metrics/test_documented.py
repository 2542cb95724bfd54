"""The page about metrics, the dashboard and the alerts: they name what there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sanic_ms.client.metrics import CallMetrics
from sanic_ms.db import ConnectionPool
from sanic_ms.http.response_checks import ResponseChecks
from sanic_ms.telemetry.metrics import Registry, Sampler, ServerMetrics, render, watch_queue

ROOT = Path(__file__).parents[3]
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def registry() -> Registry:
    """One in which everything of the framework is defined."""
    registry = Registry()
    Sampler(registry, lambda: None)
    ServerMetrics(registry)
    ConnectionPool("sqlite://:memory:").measure(registry)
    CallMetrics(registry, "region-service")
    watch_queue(registry, "traces", lambda: 0)
    ResponseChecks(registry=registry)
    return registry


def test_the_table_lists_every_metric_as_it_is(registry: Registry) -> None:
    """Name, kind, labels and meaning: as the code says, by name."""
    expected = []
    for entry in registry.definitions:
        name = f"{entry.name}_total" if entry.kind == "counter" else entry.name
        labels = [*entry.labels, "worker"] if entry.across == "worker" else entry.labels
        names = " ".join(f"`{label}`" for label in labels) or "–"
        expected.append((name, entry.kind, names, entry.help))
    assert ROW.findall((ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")) == expected


DASHBOARD = ROOT / "deploy" / "grafana" / "sanic-ms.json"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
# Of PromQL and of Grafana; ``up`` is made by Prometheus for each target.
WORDS = {
    *("sum", "rate", "increase", "changes", "histogram_quantile", "by", "label_values"),
    *("job", "instance", "up"),
}


def names(query: str) -> set[str]:
    """The metrics that a query reads: what is left without labels, ranges and PromQL's words."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|without) \([^)]*\)", " ", query)
    return set(re.findall(r"[a-zA-Z_]\w*", bare)) - WORDS


def dashboard() -> Iterator[tuple[str, str]]:
    """The queries of the dashboard, by their panel."""
    document: Any = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    for panel in document["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for variable in document["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]


def alerts() -> Iterator[tuple[str, str]]:
    """The expressions of the alerts, by their name."""
    text = ALERTS.read_text(encoding="utf-8")
    pattern = r"- alert: (\w+)\n\s+expr: >?(.*?)\n\s+(?:for|labels):"
    yield from re.findall(pattern, text, re.DOTALL)


def labels_of(query: str) -> Iterator[tuple[str, str]]:
    """Each metric of a query with each label that is chosen by."""
    for name, chosen in re.findall(r"(\w+)\{([^}]*)\}", query):
        for label in re.findall(r"(\w+)\s*[=!]", chosen):
            yield name, label


@pytest.mark.parametrize("queries", [dashboard, alerts])
def test_dashboard_and_alerts_read_what_there_is(registry: Registry, queries: Any) -> None:
    """Each metric exists, and has the labels that are asked for."""
    found = list(queries())
    assert len(found) >= 10
    for title, query in found:
        read = names(query)
        assert read or query == "up == 0", title
        assert [name for name in read if name not in registry] == [], title
        for name, label in labels_of(query):
            definition = registry[name].definition
            assert label in (*definition.labels, "job", "instance"), title


def test_the_alerts_are_all_found() -> None:
    """The test above reads them with a pattern of its own."""
    assert len(list(alerts())) == ALERTS.read_text(encoding="utf-8").count("- alert:") > 5


def promtool(*arguments: str, text: str = "") -> None:
    """Run Prometheus' own checker."""
    command = shutil.which("promtool")
    if command is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    done = subprocess.run([command, *arguments], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr.strip()


def test_prometheus_takes_the_alerts() -> None:
    """As it would when it starts."""
    promtool("check", "rules", str(ALERTS))


def test_prometheus_has_nothing_to_say_of_the_metrics(registry: Registry) -> None:
    """Neither of the format nor of names, units and help."""
    for definition in registry.definitions:
        metric: Any = registry[definition.name]
        if definition.labels:
            metric = metric.labels(*definition.labels)
        metric.inc() if definition.kind != "histogram" else metric.observe(1)
    promtool("check", "metrics", text=render(registry).body.decode())
