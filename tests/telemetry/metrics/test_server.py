"""What a server counts of each request."""

from __future__ import annotations

import gc
from pathlib import Path

from sanic_ms.telemetry.metrics import Registry, ServerMetrics

DURATION = "http_server_request_duration_seconds"
ACTIVE = "http_server_active_requests"


def counts(registry: Registry) -> dict[tuple[str, ...], float]:
    """Requests by method, route and status."""
    registry.sample()
    for family in registry.families():
        if family.definition.name == DURATION:
            return {labels: sum(numbers[:-1]) for labels, numbers in family.cells.items()}
    return {}


def active(registry: Registry) -> dict[tuple[str, ...], float]:
    """Requests in flight by method and route."""
    registry.sample()
    families = {family.definition.name: family.cells for family in registry.families()}
    return {labels: numbers[0] for labels, numbers in families[ACTIVE].items()}


def test_requests_are_counted_by_route_method_and_status() -> None:
    """Each in its own series, and those in flight beside."""
    registry = Registry()
    server = ServerMetrics(registry)
    users = server.route("GET", "/users/{id}")
    assert server.route("GET", "/users/{id}") is users
    users.end(users.begin(), 200)
    users.end(users.begin(), 200)
    users.end(users.begin(), 500)
    posted = server.route("POST", "/users")
    started = posted.begin()
    assert active(registry) == {("GET", "/users/{id}"): 0, ("POST", "/users"): 1}
    posted.end(started, 201)
    assert active(registry) == {("GET", "/users/{id}"): 0, ("POST", "/users"): 0}
    assert counts(registry) == {
        ("GET", "/users/{id}", "200"): 2,
        ("GET", "/users/{id}", "500"): 1,
        ("POST", "/users", "201"): 1,
    }


def test_the_time_that_passed_is_what_is_observed() -> None:
    """From `begin` to `end`, in seconds."""
    registry = Registry()
    route = ServerMetrics(registry).route("GET", "/")
    started = route.begin()
    route.end(started - 3.0, 200)
    cells = {family.definition.name: family.cells for family in registry.families()}[DURATION]
    *buckets, total = cells["GET", "/", "200"]
    assert 3.0 <= total < 3.5
    assert buckets.index(1.0) == 11  # above 2.5, up to 5


def test_requests_without_a_route_have_one_series() -> None:
    """Paths and methods that clients make up are not labels."""
    registry = Registry()
    server = ServerMetrics(registry)
    for method in ("GET", "HACK", "FOO"):
        route = server.unmatched(method)
        route.end(route.begin(), 404)
    route.end(route.begin(), 70_000)
    assert counts(registry) == {
        ("GET", "unmatched", "404"): 1,
        ("other", "unmatched", "404"): 2,
        ("other", "unmatched", "other"): 1,
    }


def test_routes_count_on_when_the_numbers_move(tmp_path: Path) -> None:
    """Into a file, into a longer one, and back to memory."""
    registry = Registry()
    server = ServerMetrics(registry)
    routes = [server.route("GET", f"/{number}") for number in range(300)]
    for route in routes[:10]:
        route.end(route.begin(), 200)
    registry.open(tmp_path)
    first = (tmp_path / "0.values").stat().st_size
    gc.collect()
    for route in routes:
        route.end(route.begin(), 200)
        routes[0].end(routes[0].begin(), 200)
    assert (tmp_path / "0.values").stat().st_size > first
    found = counts(registry)
    assert found["GET", "/0", "200"] == 302
    assert found["GET", "/9", "200"] == 2
    assert found["GET", "/299", "200"] == 1
    registry.close()
    routes[0].end(routes[0].begin(), 200)
    assert counts(registry)["GET", "/0", "200"] == 1
