"""Health over HTTP: liveness, readiness and startup, from the checks of the service's parts.

The answers are not in the envelope: they are for probes, which read the status alone (Kubernetes),
or the form of Spring's Actuator, ``{"status": "UP", "components": {…}}``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from sanic import HTTPResponse, Sanic
from sanic.request import Request
from sanic_routing.exceptions import RouteExists

from sanic_ms.config.masking import mask_text
from sanic_ms.exception import ConfigError
from sanic_ms.lifecycle import Health, Lifecycle
from sanic_ms.shapes import ENCODER
from sanic_ms.values.route import route_spec

__all__ = ["HealthChecks", "mount_health"]


class HealthChecks:
    """How the parts of a service are, asked at most once a second however many want to know.

    Args:
        lifecycle: The parts.
        max_age: Seconds for which what the parts said last is the answer. Default 1.

    Attributes:
        started: Whether the service's start is done; the service sets it.
    """

    def __init__(self, lifecycle: Lifecycle, *, max_age: float = 1.0) -> None:
        self.started = False
        self._lifecycle = lifecycle
        self._max_age = max_age
        self._asking: asyncio.Task[Mapping[str, Health]] | None = None
        self._asked_at = 0.0

    def is_open(self) -> bool:
        """Whether the start is done and no stop was announced."""
        return self.started and self._lifecycle.ready

    async def parts(self) -> Mapping[str, Health]:
        """What each part says of itself, by its name; at most ``max_age`` old.

        Those who ask at the same time share one check; one who is cancelled cancels nobody else's.
        """
        loop = asyncio.get_running_loop()
        asking = self._asking
        if asking is not None and asking.get_loop() is not loop:
            asking = None  # of an earlier life of the service
        if asking is None or (
            asking.done() and (asking.cancelled() or loop.time() - self._asked_at > self._max_age)
        ):
            asking = self._asking = loop.create_task(self._ask())
        return await asyncio.shield(asking)

    async def _ask(self) -> Mapping[str, Health]:
        try:
            return await self._lifecycle.check()
        finally:
            self._asked_at = asyncio.get_running_loop().time()

    def close(self) -> None:
        """The service stops: nothing is asked any more."""
        self.started = False
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None


def mount_health(
    app: Sanic[Any, Any],
    checks: HealthChecks,
    *,
    live: str | None = "/health/live",
    ready: str | None = "/health/ready",
    startup: str | None = "/health/startup",
    detailed: Callable[[Request], bool] = lambda request: False,
) -> None:
    """Serve liveness, readiness and startup. They stand neither in the document nor in the log.

    Args:
        app: The application.
        checks: What is served.
        live, ready, startup: The three paths; None for one that is not served.
        detailed: Whether a request may see how each part is.

    Raises:
        ConfigError: the application has one of the paths already, or two of them are the same.
    """

    async def health_live(request: Request) -> HTTPResponse:
        # Nothing is asked here: a database that is down is no reason to kill the process.
        return _answer("UP")

    async def health_startup(request: Request) -> HTTPResponse:
        return _answer("UP" if checks.started else "OUT_OF_SERVICE")

    async def health_ready(request: Request) -> HTTPResponse:
        if not checks.is_open():
            return _answer("OUT_OF_SERVICE")
        parts = await checks.parts()
        if not checks.is_open():  # it stopped meanwhile
            return _answer("OUT_OF_SERVICE")
        words = {health.status for health in parts.values()}
        status = "DOWN" if "down" in words else "DEGRADED" if "degraded" in words else "UP"
        return _answer(status, parts if detailed(request) else None)

    for handler, path in ((health_live, live), (health_ready, ready), (health_startup, startup)):
        if path is None:
            continue
        spec = route_spec(handler)
        spec.hidden, spec.security = True, []
        try:
            app.add_route(
                handler,
                path,
                methods=["GET", "HEAD"],
                name=f"sanic_ms.{handler.__name__}",
                ctx_access_log=False,
            )
        except RouteExists:
            setting = f"{handler.__name__.upper()}_PATH={path!r}"
            raise ConfigError(
                f"{setting}: there is a route with this path already; set another, or HEALTH=false"
            ) from None


def _answer(status: str, parts: Mapping[str, Health] | None = None) -> HTTPResponse:
    body: dict[str, Any] = {"status": status}
    if parts is not None:
        body["components"] = {name: _component(health) for name, health in parts.items()}
    code = 200 if status in ("UP", "DEGRADED") else 503
    # A proxy that kept one would go on telling it.
    headers = {"cache-control": "no-store"}
    return HTTPResponse(ENCODER.encode(body), code, headers, "application/json")


def _component(health: Health) -> dict[str, Any]:
    details: dict[str, Any] = {"latency_ms": health.latency_ms}
    if health.detail:
        details["error" if health.status == "down" else "detail"] = mask_text(health.detail)
    return {"status": health.status.upper(), "details": details}
