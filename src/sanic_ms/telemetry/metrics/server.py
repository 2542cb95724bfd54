"""What a server counts of each request."""

from __future__ import annotations

from bisect import bisect_left
from time import perf_counter

from sanic_ms.telemetry.metrics.definition import OTHER, method_label
from sanic_ms.telemetry.metrics.registry import Registry
from sanic_ms.telemetry.metrics.series import Histogram
from sanic_ms.telemetry.metrics.store import Values

__all__ = ["BOUNDS", "RouteMetrics", "ServerMetrics"]

UNMATCHED = "unmatched"
"""The route of requests that have none: 404, and what was refused before there was a path."""

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class ServerMetrics:
    """The requests of one service. Make one for each application.

    Args:
        registry: The application's.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._routes: dict[tuple[str, str], RouteMetrics] = {}
        # Both are bounded by the routes of the program and not by what clients send.
        self._duration = registry.histogram(
            "http_server_request_duration_seconds",
            "How long requests took, from their head to the end of their answer.",
            labels=["method", "route", "status"],
            buckets=BOUNDS,
            max_labels=100_000,
        )
        self._active = registry.gauge(
            "http_server_active_requests",
            "Requests in flight.",
            labels=["method", "route"],
            max_labels=100_000,
        )
        registry.on_sample(self._sample)

    def route(self, method: str, template: str) -> RouteMetrics:
        """What to call for the requests of a route: ask at the start, and keep it.

        Args:
            method: ``GET``; an unknown one is counted as ``other``.
            template: As it is written, ``/users/{id}``: never the path of a request.
        """
        method = method_label(method)
        known = self._routes.get((method, template))
        if known is None:
            known = self._routes[method, template] = RouteMetrics(self, method, template)
        return known

    def unmatched(self, method: str) -> RouteMetrics:
        """The same for requests without a route: 404, 405, refused."""
        return self.route(method, UNMATCHED)

    def cell(self, method: str, template: str, status: int) -> Histogram:
        """Where the requests of one status are counted. For `RouteMetrics`."""
        return self._duration.labels(method, template, status if 100 <= status <= 999 else OTHER)

    def follow(self, route: RouteMetrics) -> None:
        """Tell the route when its cells move. For `RouteMetrics`."""
        self._registry.follow(route)

    def _sample(self) -> None:
        for (method, template), route in list(self._routes.items()):
            self._active.labels(method, template).set(route.in_flight)


class RouteMetrics:
    """One route and method. Made by `ServerMetrics.route`.

    `begin` and `end` are called for each request, so they do what the cells' methods would do
    themselves, on the numbers, and the requests in flight are a plain number until a scrape.

    Attributes:
        in_flight: Requests that have begun and not ended.
    """

    __slots__ = (
        "__weakref__",
        "_at",
        "_cells",
        "_method",
        "_server",
        "_template",
        "_values",
        "in_flight",
    )

    def __init__(self, server: ServerMetrics, method: str, template: str) -> None:
        self._server = server
        self._method = method
        self._template = template
        self._cells: dict[int, Histogram] = {}
        self._at: dict[int, int] = {}
        self._values: Values = []
        self.in_flight = 0
        server.follow(self)

    def begin(self) -> float:
        """A request begins. Gives the time for `end`, which must be called once."""
        self.in_flight += 1
        return perf_counter()

    def end(self, started: float, status: int) -> None:
        """It ends: its answer is sent, or will never be.

        Args:
            started: What `begin` gave.
            status: That of the answer; 499 where the client left before it.
        """
        elapsed = perf_counter() - started
        self.in_flight -= 1
        try:
            at = self._at[status]
        except KeyError:
            at = self._first(status)
        values = self._values
        values[at if elapsed <= _QUICK else at + bisect_left(BOUNDS, elapsed)] += 1.0
        values[at + _SUM] += elapsed

    def rebind(self) -> None:
        """The cells have moved. For the registry."""
        at = {}
        for status, cell in self._cells.items():
            self._values, at[status] = cell.place
        self._at = at

    def _first(self, status: int) -> int:
        self._cells[status] = self._server.cell(self._method, self._template, status)
        self.rebind()
        return self._at[status]


_QUICK = BOUNDS[0]  # the bucket of most answers is the first
_SUM = len(BOUNDS) + 1
