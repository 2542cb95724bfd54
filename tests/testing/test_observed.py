"""What a test sees of traces, metrics and the clock."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry import trace

from sanic_ms import Service
from sanic_ms.models import utcnow
from sanic_ms.testing import Spans, TestClient
from sanic_ms.testing.frozen import frozen
from sanic_ms.testing.logs import recorded_logs
from sanic_ms.testing.measured import Metrics

Make = Callable[..., Service]


def traced(make: Make, **settings: Any) -> Service:
    """A service whose handler makes spans of its own."""
    app = make(db_url="sqlite://:memory:", **settings)

    @app.get("/things/<id:int>", name="get_thing")
    async def get_thing(request: Any, id: int) -> Any:
        tracer = trace.get_tracer("test")
        with tracer.start_as_current_span("work"), tracer.start_as_current_span("inner") as span:
            span.set_attribute("id", id)
            logging.getLogger("shop").info("thing %d", id, extra={"thing": id})
        if id == 0:
            raise RuntimeError("broken")
        return id

    return app


@pytest.mark.parametrize("compiled", [False, True])
async def test_spans_are_a_tree(make: Make, compiled: bool) -> None:
    """Whatever the settings record, and also where the routes were compiled before."""
    app = traced(make, trace_sample=0.0)
    if compiled:
        app.compile()
    async with TestClient(app) as client:
        spans = client.running.spans
        assert str(spans) == "no spans"
        await client.get_thing(id=7)
        (root,) = spans.roots
        assert (root.kind, root.name, root.status) == ("server", "GET /things/{id}", "unset")
        assert [node.name for node in root] == [root.name, "work", "inner"]
        inner = spans.find("inner")
        assert inner.attributes == {"id": 7}
        assert inner.trace_id == root.trace_id
        assert 0 <= inner.duration <= root.duration
        assert str(spans) == "server GET /things/{id}\n  internal work\n    internal inner\n"
        await client.get_thing(id=0)
        assert [entry.status for entry in spans.roots] == ["unset", "error"]
        with pytest.raises(AssertionError, match=r"2 spans 'work' in:\nserver GET"):
            spans.find("work")
        spans.clear()
        with pytest.raises(AssertionError, match="no spans 'work'"):
            spans.find("work")
        assert len(spans) == 0


async def test_two_services_have_spans_of_their_own(make: Make) -> None:
    """Side by side in one loop; and a second client of one begins with none."""
    async with TestClient(traced(make)) as one, TestClient(traced(make)) as two:
        await asyncio.gather(one.get_thing(id=1), two.get_thing(id=2), one.get_thing(id=3))
        assert [len(client.running.spans.roots) for client in (one, two)] == [2, 1]
        assert two.running.spans.find("inner").attributes == {"id": 2}
    async with TestClient(one.app) as again:
        assert len(again.running.spans) == 0


async def test_nothing_is_sent_to_a_collector(make: Make) -> None:
    """Though one is configured: nobody listens there, and nobody is asked."""
    app = traced(make, trace_exporter="zipkin", zipkin_server="http://127.0.0.1:1")
    async with TestClient(app) as client:
        await client.get_thing(id=1)
        assert len(client.running.spans) == 3
    queue = app.tracing.queue
    assert queue is not None
    assert (len(queue), queue.sent, queue.dropped) == (0, 0, 0)


def test_spans_whose_parent_is_elsewhere_are_roots() -> None:
    """None at all is an empty tree."""
    assert Spans().roots == []


async def test_metrics_count_from_the_begin_of_the_test(make: Make) -> None:
    """By name and labels; a name that there is not lists those that there are."""
    app = traced(make)
    for _ in range(2):
        metrics = Metrics(app)
        async with TestClient(app) as client:
            await client.get_thing(id=1)
            await client.get_thing(id=2)
            await client.get("/nothing")
            name = "http_server_request_duration_seconds_count"
            assert name in metrics.text
            route = {"route": "/things/{id}"}
            assert metrics(name, **route) == 2
            assert metrics(name, **route, status="500") == 0
            with pytest.raises(AssertionError, match=rf"no metric 'requests'; there are: .*{name}"):
                metrics("requests")


async def test_the_clock_stands_still() -> None:
    """For everything that tells the time of day; durations go on."""
    before = time.monotonic()
    with frozen(datetime(2030, 1, 1, tzinfo=UTC)) as clock:
        assert utcnow() == clock.now == datetime(2030, 1, 1, tzinfo=UTC)
        await asyncio.sleep(0.001)
        assert time.time() == datetime(2030, 1, 1, tzinfo=UTC).timestamp()
        clock.tick(90)
        assert utcnow() == datetime(2030, 1, 1, 0, 1, 30, tzinfo=UTC)
        clock.move_to(datetime(2031, 1, 1))
        assert utcnow() == datetime(2031, 1, 1, tzinfo=UTC)
        assert time.monotonic() > before
        for wrong in (None, "2031-01-01", 3):
            with pytest.raises(TypeError, match=r"move_to\(.*\): give a datetime"):
                clock.move_to(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"tick\('5'\): give seconds"):
            clock.tick("5")  # type: ignore[arg-type]
    assert utcnow().year < 2030


async def test_log_lines_are_those_of_production(make: Make) -> None:
    """With ids and extra fields, without secrets; levels are as before at the end."""
    app = traced(make)
    before = [logging.getLogger(name).level for name in (None, "sanic", "sanic_ms")]
    with recorded_logs(app) as logs:
        assert str(logs) == "no lines"
        async with TestClient(app) as client:
            await client.get_thing(id=7)
            line = logs.find("thing 7")
            assert (line["level"], line["logger"], line["thing"]) == ("INFO", "shop", 7)
            assert line["service"] == app.name
            assert line["trace_id"] == client.running.spans.find("work").trace_id
            await client.get_thing(id=0)
            error = logs.find("GET /things/0", level="ERROR")
            assert error["exception"]["type"] == "RuntimeError"
        logging.getLogger("shop").info("password=hunter2")
        assert "hunter2" not in str(logs)
        with pytest.raises(AssertionError, match=r"2 lines with 'thing ' in:\n"):
            logs.find("thing ")
        assert len(logs) == len(logs.messages) == len(list(logs)) > 3
        logs.clear()
        assert len(logs) == 0
    assert [logging.getLogger(name).level for name in (None, "sanic", "sanic_ms")] == before
