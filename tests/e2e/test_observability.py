"""One user's request through the three services of the example: traces, log lines and metrics.

The services are started once, as that is what takes the time; what they told is looked at after.
"""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from tests.telemetry.tracing.export.receiver import receiver

Span = dict[str, Any]
CALLER = "0af7651916cd43dd8448eb211c80319c"
SERVICES = {"user": "/users/{id}", "region": "/cities/{id}", "role": "/roles/{id}"}


async def test_one_request_is_seen_in_three_ways_without_any_code(e2e: Any, tmp_path: Path) -> None:
    """Spans with the right parents, lines with the trace's id, metrics by route; secrets in none.

    One request begins its trace here, one belongs to that of its caller, and two fail before their
    handlers.
    """
    metrics: dict[str, str] = {}
    output = refused = ""

    def use() -> None:
        nonlocal output, refused
        variables = {"ZIPKIN_SERVER": collector.url, "LOG_FORMAT": "json"}
        with e2e.running_example(tmp_path / "users", **variables) as example:
            assert example.call("GET", "user", "/users/1").status == 200
            metrics.update(
                {name: example.call("GET", name, "/metrics").body.decode() for name in SERVICES}
            )
            headers = {"traceparent": f"00-{CALLER}-b7ad6b7169203331-01", "X-Request-ID": "r-1"}
            # Another user: the city and the role of the first are in the cache.
            url = example.url("user", "/users/2?token=hunter2")
            assert e2e.call("GET", url, headers=headers).status == 200
            assert example.call("GET", "user", "/nothing").status == 404
            answer = example.call("POST", "user", "/users/", {"name": 7})
            assert answer.status in (400, 422)
            refused = answer.json["trace_id"]
            output = e2e.stop(example.process)

    async with receiver() as collector:
        await asyncio.to_thread(use)
    spans: list[Span] = [span for received in collector.received for span in received.json]
    # `up` writes the service's folder before each line.
    texts = [line.partition("| ")[2] for line in output.splitlines()]
    assert not [text for text in texts if "Traceback" in text]
    assert "hunter2" not in output + json.dumps(spans)
    lines = [json.loads(text) for text in texts if text.startswith("{")]

    (first,) = [
        span for span in spans if span["name"] == "GET /users/{id}" and "parentId" not in span
    ]
    _check_trace(spans, first)
    _check_failures(spans, refused)
    _check_lines(lines, first["traceId"], 1)
    _check_lines(lines, CALLER, 2)
    callers = [line for line in lines if line.get("trace_id") == CALLER]
    assert {line["request_id"] for line in callers if line["service"] == "user-service"} == {"r-1"}
    _check_metrics(metrics)


def _check_trace(spans: list[Span], user: Span) -> None:
    """`GET /users/1` reads its database, then calls two services at once, which read theirs; each
    span hangs below the one that caused it."""
    known = {span["id"]: span for span in spans}
    trace = [span for span in spans if span["traceId"] == user["traceId"]]

    def place(span: Span) -> tuple[str, ...]:
        """A span's name with its service's, below those of its parents."""
        own = f"{span['localEndpoint']['serviceName']}: {span['name']}"
        return (*place(known[span["parentId"]]), own) if "parentId" in span else (own,)

    root, call = "user-service: GET /users/{id}", "user-service: GET"
    get_city, get_role = "user-service: get_city", "user-service: get_role"  # by their @logger
    city, role = "region-service: GET /cities/{id}", "role-service: GET /roles/{id}"
    places = [place(span) for span in trace]
    assert {
        (root,),
        (root, "user-service: SELECT users"),
        (root, get_city, call),
        (root, get_city, call, city),
        (root, get_role, call),
        (root, get_role, call, role),
        (root, get_role, call, role, "role-service: SELECT roles"),
    } <= set(places)
    assert any(entry[:4] == (root, get_city, call, city) and len(entry) == 5 for entry in places)
    assert {entry[0] for entry in places} == {root}
    callers = {span["tags"].get("peer.service") for span in trace if place(span)[-1] == call}
    assert callers == {"region-service", "role-service"}


def _check_failures(spans: list[Span], refused: str) -> None:
    """What fails before its handler has a span as well."""
    (missing,) = [span for span in spans if span["tags"].get("url.path") == "/nothing"]
    assert (missing["name"], missing["tags"]["http.response.status_code"]) == ("GET", "404")
    (wrong,) = [span for span in spans if span["name"].startswith("POST /users")]
    assert wrong["traceId"] == refused


def _check_lines(lines: list[dict[str, Any]], trace: str, number: int) -> None:
    """Every service's lines are found by the trace, and one request has one id in all of them."""
    ours = [line for line in lines if line.get("trace_id") == trace]
    seen = {(line["service"], line["logger"], line["message"].partition(":")[0]) for line in ours}
    assert {
        ("user-service", "sanic.access", f"GET /users/{number} 200"),
        ("user-service", "views", "get_city"),
        ("user-service", "views", "get_role"),
        ("region-service", "sanic.access", f"GET /cities/{number} 200"),
        ("role-service", "sanic.access", f"GET /roles/{number} 200"),
    } <= seen
    access = {line["service"]: line for line in ours if line["logger"] == "sanic.access"}
    assert {name: line["route"] for name, line in access.items()} == {
        f"{name}-service": route for name, route in SERVICES.items()
    }
    assert len({line["request_id"] for line in access.values()}) == 1


def _check_metrics(metrics: dict[str, str]) -> None:
    """After the first request: counted once by each service, and once by its caller."""
    for name, route in SERVICES.items():
        counted = (
            f'http_server_request_duration_seconds_count{{method="GET",route="{route}",'
            'status="200"} 1'
        )
        assert counted in metrics[name]
    for service in ("region-service", "role-service"):
        assert re.search(
            rf'http_client_request_duration_seconds_count{{service="{service}",method="GET",'
            r'outcome="2xx"} 1',
            metrics["user"],
        )
