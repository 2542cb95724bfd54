"""One user's request through the three services of the example is one trace."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.telemetry.trace.receiver import receiver


async def test_one_request_is_one_trace_through_three_services(e2e: Any, tmp_path: Path) -> None:
    """`GET /users/1` reads its database, then calls two services at once, which read theirs; each
    span hangs below the one that caused it. What fails before its handler has a span as well."""

    def use() -> None:
        folder = tmp_path / "users"
        with e2e.running_example(folder, ZIPKIN_SERVER=collector.url) as example:
            assert example.call("GET", "user", "/users/1").status == 200
            assert example.call("GET", "user", "/nothing").status == 404
            refused = example.call("POST", "user", "/users/", {"name": 7})
            assert refused.status in (400, 422)
            traces.append(refused.json["trace_id"])

    traces: list[str] = []
    async with receiver() as collector:
        await asyncio.to_thread(use)
    spans = [span for received in collector.received for span in received.json]
    known = {span["id"]: span for span in spans}
    (user,) = [span for span in spans if span["name"] == "GET /users/{id}"]
    assert "parentId" not in user
    trace = [span for span in spans if span["traceId"] == user["traceId"]]

    def place(span: dict[str, Any]) -> tuple[str, ...]:
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
    assert {entry[0] for entry in places} == {root}
    callers = {span["tags"].get("peer.service") for span in trace if place(span)[-1] == call}
    assert callers == {"region-service", "role-service"}

    (missing,) = [span for span in spans if span["tags"].get("url.path") == "/nothing"]
    assert (missing["name"], missing["tags"]["http.response.status_code"]) == ("GET", "404")
    (wrong,) = [span for span in spans if span["name"].startswith("POST /users")]
    assert wrong["traceId"] == traces[0]
