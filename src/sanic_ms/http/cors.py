"""Preflights: what a browser asks before a page of another origin may send a request.

They are answered by routes of their own, so that no other request pays for them and no handler
runs. The headers of the other answers are `sanic_ms.values.response_headers.DefaultHeaders`.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from typing import Any

from sanic import HTTPResponse, Sanic
from sanic.request import Request
from sanic_routing.route import Route

from sanic_ms.values.cors import Cors
from sanic_ms.values.route import route_spec

__all__ = ["clear_preflights", "mount_preflights"]


def mount_preflights(app: Sanic[Any, Any], cors: Cors) -> None:
    """Give every path a route for OPTIONS; where it has one, preflights no longer reach it.

    Doing it again does it for the routes that came since.
    """
    by_path: dict[tuple[str, Any], list[Route]] = {}
    for route in app.router.routes:
        host = route.requirements.get("host")
        by_path.setdefault((route.uri, host), []).append(route)
    for (uri, host), routes in by_path.items():
        methods = frozenset().union(*(route.methods for route in routes))
        own = [route for route in routes if "OPTIONS" in route.methods]
        for route in own:
            if not hasattr(route.ctx, "preflight"):
                route.ctx.preflight = False
                route.extra.around = functools.partial(_before, cors=cors, methods=methods)
        if not own:
            first = routes[0]
            app.add_route(
                _answering(cors, methods | {"OPTIONS"}),
                uri,
                methods=["OPTIONS"],
                host=host,
                strict_slashes=first.strict,
                name=f"preflight_{len(app.router.routes)}",
                unquote=first.unquote,
                ctx_preflight=True,
            )


def clear_preflights(app: Sanic[Any, Any]) -> None:
    """Let no middleware come before the answers: a preflight carries no credentials, and one that
    asks for them would close the application to every page."""
    for route in app.router.routes:
        if getattr(route.ctx, "preflight", False):
            route.extra.request_middleware = deque()


def _answering(cors: Cors, methods: frozenset[str]) -> Callable[..., Any]:
    allow = ", ".join(sorted(methods))

    async def preflight(request: Request, **path: Any) -> HTTPResponse:
        headers = {"allow": allow}
        if _is_preflight(request):
            headers.update(cors.preflight(request.headers.get("origin"), methods))
        return HTTPResponse(status=204, headers=headers)

    spec = route_spec(preflight)
    spec.hidden, spec.security = True, []
    return preflight


def _before(handler: Callable[..., Any], cors: Cors, methods: frozenset[str]) -> Callable[..., Any]:
    answer = _answering(cors, methods)

    @functools.wraps(handler)
    def preflight_or_handler(request: Request, *args: Any, **keywords: Any) -> Any:
        if request.method == "OPTIONS" and _is_preflight(request):
            return answer(request)
        return handler(request, *args, **keywords)

    return preflight_or_handler


def _is_preflight(request: Request) -> bool:
    return "origin" in request.headers and "access-control-request-method" in request.headers
