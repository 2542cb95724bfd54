"""One user's request through three services: one trace, log lines with its id, and counts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

SPAN = re.compile(
    r"^(?P<service>\w+) +\| (?P<kind>\w+) +(?P<name>.+?) [\d.]+ ms trace=(?P<trace>\w+) "
    r"span=(?P<span>\w+)(?: parent=(?P<parent>\w+))?"
)


def test_one_request_is_one_trace_seen_in_three_ways(e2e: Any, tmp_path: Path) -> None:
    """Spans with the right parents, lines with the trace's id, and metrics by route: no code."""
    variables = {"TRACE_EXPORTER": "console", "LOG_FORMAT": "json"}
    with e2e.running_example(tmp_path / "users", **variables) as example:
        assert example.call("GET", "user", "/users/1").status == 200
        metrics = {
            name: example.call("GET", name, "/metrics").body.decode() for name in example.ports
        }
        output = e2e.stop(example.process)

    spans = [match.groupdict() for match in map(SPAN.match, output.splitlines()) if match]
    (root,) = [span for span in spans if span["name"] == "GET /users/{id}"]
    trace = [span for span in spans if span["trace"] == root["trace"]]
    by_id = {span["span"]: span for span in trace}
    assert root["parent"] is None
    for service, route in (("region", "GET /cities/{id}"), ("role", "GET /roles/{id}")):
        (served,) = [span for span in trace if span["name"] == route]
        assert served["service"] == service
        call = by_id[served["parent"]]
        assert (call["service"], call["kind"], call["name"]) == ("user", "client", "GET")
        above = call
        while above["parent"] is not None:  # through the span of the decorated function, if any
            above = by_id[above["parent"]]
        assert above is root
        (query,) = [span for span in trace if span["parent"] == served["span"]]
        assert query["name"].startswith("SELECT ")

    lines = [
        json.loads(line.partition("| ")[2])
        for line in output.splitlines()
        if line.partition("| ")[2].startswith("{")
    ]
    access = {
        line["service"]: line
        for line in lines
        if line["logger"] == "sanic.access" and line.get("trace_id") == root["trace"]
    }
    assert {name: line["route"] for name, line in access.items()} == {
        "user-service": "/users/{id}",
        "region-service": "/cities/{id}",
        "role-service": "/roles/{id}",
    }
    assert len({line["request_id"] for line in access.values()}) == 1

    for name, route in (("user", "users"), ("region", "cities"), ("role", "roles")):
        counted = (
            f'http_server_request_duration_seconds_count{{method="GET",route="/{route}/{{id}}",'
            'status="200"} 1'
        )
        assert counted in metrics[name]
    for service in ("region-service", "role-service"):
        assert re.search(
            rf'http_client_request_duration_seconds_count{{service="{service}",method="GET",'
            r'outcome="2xx"} 1',
            metrics["user"],
        )
