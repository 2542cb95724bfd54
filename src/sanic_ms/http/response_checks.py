"""Responses that lack a field which their shape requires: what the service does about them."""

from __future__ import annotations

import logging

from sanic_ms.exception import ServerError
from sanic_ms.shapes import ShapeMismatch
from sanic_ms.telemetry.metrics import Registry

__all__ = ["ResponseChecks", "RouteChecks"]

log = logging.getLogger("sanic_ms.http")


class ResponseChecks:
    """What an application does about responses that are not as their shape says.

    Args:
        strict: Whether such a response becomes an error: in development and in tests. Otherwise it
            is sent as it is, and counted.
        registry: Where it is counted; None: nowhere.
    """

    def __init__(self, *, strict: bool = True, registry: Registry | None = None) -> None:
        self.strict = strict
        self._counter = None
        if registry is not None:
            self._counter = registry.counter(
                "http_server_response_mismatch_total",
                "Responses without a field that their declared shape requires.",
                labels=["route"],
            )

    def route(self, template: str) -> RouteChecks:
        """The checks of one route; ``template`` is the route as it was written."""
        return RouteChecks(self, template)

    def count(self, template: str) -> None:
        """Count one response."""
        if self._counter is not None:
            self._counter.labels(template).inc()


class RouteChecks:
    """The checks of one route.

    Args:
        checks: Those of the application.
        template: The route as it was written: ``/users/{id}``.
    """

    def __init__(self, checks: ResponseChecks, template: str) -> None:
        self._checks = checks
        self._template = template
        self._has_warned = False

    def report(self, handler: str, mismatch: ShapeMismatch) -> None:
        """Count a response that lacks a field; the first one of a process is a warning.

        Args:
            handler: The handler in words.
            mismatch: The field, and the shape that requires it.

        Raises:
            ServerError: the checks are strict. Its text is for the one who writes the handler.
        """
        self._checks.count(self._template)
        text = f"{self._template}: the response of {handler} lacks a field: {mismatch}"
        if self._checks.strict:
            raise ServerError(text) from None
        if not self._has_warned:
            self._has_warned = True
            log.warning("%s (it is sent as it is; further ones are only counted)", text)
