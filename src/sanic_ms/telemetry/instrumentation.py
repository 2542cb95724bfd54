"""What is seen of each request: one pair a route, bound at start, that counts and traces."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sanic_ms.telemetry.metrics.server import RouteMetrics, ServerMetrics
from sanic_ms.telemetry.tracing.server import RouteSpans, ServerSpan, ServerSpans, TracedRequest

__all__ = ["Instrumentation", "Observation", "RouteInstrumentation", "failure_of"]


class Instrumentation:
    """Counts and traces the requests of one application.

    Args:
        metrics: What counts; None: nothing.
        spans: What traces; None: nothing.
        exclude: Templates of routes that are neither counted nor traced.
    """

    def __init__(
        self,
        metrics: ServerMetrics | None,
        spans: ServerSpans | None,
        *,
        exclude: Collection[str] = (),
    ) -> None:
        self._metrics = metrics
        self._spans = spans
        self._exclude = frozenset(exclude)
        self._watches: dict[tuple[str, str], RouteInstrumentation] = {}

    def route(
        self, method: str, template: str, *, sample: float | None = None
    ) -> RouteInstrumentation:
        """The watch of a route, the same at each call.

        Args:
            method: In upper case.
            template: The route as it was written: ``/users/{id}``, never a path.
            sample: The share of its requests that are traced; default the application's.
        """
        watch = self._watches.get((method, template))
        if watch is None:
            if template in self._exclude:
                metrics = spans = None
            else:
                metrics, spans = self._metrics, self._spans
            watch = self._watches[method, template] = RouteInstrumentation(
                None if metrics is None else metrics.route(method, template),
                None if spans is None else spans.route(method, template, sample=sample),
            )
        return watch

    def unmatched(self, method: str) -> RouteInstrumentation:
        """The watch of requests that no route takes, or that could not be understood."""
        metrics, spans = self._metrics, self._spans
        return RouteInstrumentation(
            None if metrics is None else metrics.unmatched(method),
            None if spans is None else spans.unmatched(method),
        )


class RouteInstrumentation:
    """What counts and what traces the requests of one route; either may be None."""

    __slots__ = ("meter", "spans")

    def __init__(self, meter: RouteMetrics | None, spans: RouteSpans | None) -> None:
        self.meter = meter
        self.spans = spans

    def begin(self, request: TracedRequest) -> Observation:
        """Begin to watch a request, in its task and before anything else is done for it."""
        started = self.meter.begin() if self.meter is not None else 0.0
        span = self.spans.begin(request) if self.spans is not None else None
        return Observation(self.meter, started, span)


class Observation:
    """One request that is being watched."""

    __slots__ = ("_meter", "_span", "_started")

    def __init__(self, meter: RouteMetrics | None, started: float, span: ServerSpan | None) -> None:
        self._meter = meter
        self._started = started
        self._span = span

    def end(self, status: int, failure: BaseException | None = None) -> None:
        """The answer was sent, or there will be none. Call it once.

        Args:
            status: Of the answer; 499 where the client left before it.
            failure: The exception that made the status 500 or more, where it is known.
        """
        if self._span is not None:
            self._span.end(status, failure if status >= 500 else None)
        if self._meter is not None:
            self._meter.end(self._started, status)

    def detach(self) -> None:
        """Make current the span that was so before; for servers that serve several requests in one
        task."""
        if self._span is not None:
            self._span.detach()


def failure_of(request: Any) -> BaseException | None:
    """The exception that the application's error handler noted on a request."""
    failure: BaseException | None = getattr(request, "failure", None)
    return failure
