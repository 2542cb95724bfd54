"""The metrics of a whole service, alone and with workers."""

from __future__ import annotations

import os
import signal
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.calls import call

from sanic_ms import Service
from sanic_ms.exception import ConfigError

TOKEN = "0123456789abcdef"

SERVER = """
import os
from sanic_ms import Service

app = Service("shop")
visits = app.metrics.counter("visits", "Visits.", labels=["page"])
boss = app.metrics.gauge("pids", "Pids.", across="worker")

@app.get("/visit")
async def visit(request):
    visits.labels("x").inc()
    boss.set(os.getpid())
    return {"pid": os.getpid()}

if __name__ == "__main__":
    app.run()
"""


def make(**settings: Any) -> Service:
    """A service with a name of its own."""
    app = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)
    app.configure(**settings)
    return app


async def get(app: Service, path: str, **headers: str) -> Any:
    """One GET."""
    return await call(app, "get", path, headers=headers)


async def test_metrics_are_served_and_not_documented() -> None:
    """Plain text or OpenMetrics, never in the envelope, and no operation of the API."""
    app = make()
    app.metrics.counter("orders", "Orders.").inc(3)
    answer = await get(app, "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "orders_total 3.0\n" in answer.text
    assert "process_cpu_seconds_total" in answer.text
    answer = await get(app, "/metrics", accept="application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
    assert app.openapi()["paths"] == {}


async def test_metrics_can_be_elsewhere_or_off() -> None:
    """Off, what the application counts itself does not fail."""
    assert (await get(make(metrics_path="/numbers"), "/numbers")).status == 200
    off = make(metrics=False)
    off.metrics.counter("orders", "Orders.").inc()
    assert (await get(off, "/metrics")).status == 404


async def test_metrics_ask_for_the_admin_token() -> None:
    """Where there is one."""
    app = make(admin_token=TOKEN)
    assert (await get(app, "/metrics")).status == 401
    assert (await get(app, "/metrics", authorization=f"Bearer {TOKEN}")).status == 200


def test_a_path_that_is_served_already_is_told() -> None:
    """With the names of both settings, unless one of the two is off."""
    with pytest.raises(ConfigError, match="METRICS_PATH and DOCS_PATH are both '/docs'"):
        make(metrics_path="/docs").compile()
    make(metrics_path="/docs", docs=False).compile()


async def test_the_limit_of_labels_is_a_setting() -> None:
    """It holds for metrics that were defined before the settings were read."""
    app = make(metrics_max_labels=2)
    visits = app.metrics.counter("visits", "Visits.", labels=["who"])
    app.compile()
    for who in range(4):
        visits.labels(who).inc()
    assert 'visits_total{who="other"} 2.0\n' in (await get(app, "/metrics")).text


def scrape(serving: Any, url: str) -> dict[str, dict[str, float]]:
    """Values by name, and by worker where there is one."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(serving.get(f"{url}/metrics").decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[sample.labels.get("worker", "")] = sample.value
    return found


def test_counters_survive_a_worker_that_is_killed(tmp_path: Path, serving: Any) -> None:
    """Whichever worker is asked answers for all, and for those that are dead."""
    (tmp_path / "server.py").write_text(SERVER)
    with serving.serve(tmp_path, WORKERS="2", ACCESS_LOG="false") as url:
        visits = 0
        deadline = time.monotonic() + 60
        pids: set[int] = set()
        while len(pids) < 2 and time.monotonic() < deadline:
            serving.get(f"{url}/visit")
            visits += 1
            pids = {int(pid) for pid in scrape(serving, url).get("pids", {}).values()}
        assert len(pids) == 2
        victim = pids.pop()
        os.kill(victim, signal.SIGKILL)
        while time.monotonic() < deadline:
            found = scrape(serving, url)
            assert found["visits_total"][""] == visits
            if victim not in found["pids"].values():
                break
        assert set(found["pids"].values()) == pids
        serving.get(f"{url}/visit")
        assert scrape(serving, url)["visits_total"][""] == visits + 1
