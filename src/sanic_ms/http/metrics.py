"""Metrics over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sanic import HTTPResponse, Sanic
from sanic.request import Request
from sanic_routing.exceptions import RouteExists

from sanic_ms.exception import ConfigError
from sanic_ms.telemetry.metrics import Registry, render
from sanic_ms.values.route import route_spec

__all__ = ["mount_metrics"]


def mount_metrics(
    app: Sanic[Any, Any],
    registry: Registry,
    *,
    path: str = "/metrics",
    protect: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda handler: handler,
) -> None:
    """Serve the metrics of all workers. They stand neither in the document nor in the log.

    Args:
        app: The application.
        registry: What is served.
        path: Where.
        protect: Makes of the handler one for those who may see it.

    Raises:
        ConfigError: the application has this path already.
    """

    async def metrics(request: Request) -> HTTPResponse:
        body, content_type = render(registry, request.headers.get("accept", ""))
        return HTTPResponse(body, headers={"cache-control": "no-store"}, content_type=content_type)

    handler = protect(metrics)
    spec = route_spec(handler)
    spec.hidden, spec.security = True, []
    try:
        app.add_route(
            handler,
            path,
            methods=["GET", "HEAD"],
            name="sanic_ms.metrics",
            ctx_access_log=False,
        )
    except RouteExists:
        raise ConfigError(
            f"METRICS_PATH={path!r}: there is a route with this path already; set another, or "
            "METRICS=false"
        ) from None
