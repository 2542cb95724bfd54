"""The framework's own routes beside those of the application, which win."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sanic import Sanic
from sanic.router import Router
from sanic_routing import BaseRouter
from sanic_routing.exceptions import NoMethod, NotFound
from sanic_routing.route import Route

__all__ = ["METHODS", "route_that_answers"]

METHODS = frozenset(("GET", "HEAD"))
"""The methods of the framework's own routes."""


def route_that_answers(app: Sanic[Any, Any], paths: Iterable[str]) -> Route | None:
    """The application's route that answers one of the paths; None where they are free.

    A path is the route's where its first part stands in the route as it is. A route that begins
    with a parameter (``/<path:path>``, static files at ``/``) takes what is left: a service without
    probes is none that anybody has asked for.

    Args:
        app: The application.
        paths: Paths that the framework would answer with `METHODS`.
    """
    for path in paths:
        first = path.strip("/").partition("/")[0]
        routes: tuple[Route, ...] = app.router.routes
        for route in routes:
            if route.parts[:1] == (first,) and METHODS & route.methods and _answers(route, path):
                return route
    return None


def _answers(route: Route, path: str) -> bool:
    """Whether a route alone would answer a path: asked of a router with this one route."""
    router = Router()
    router.regex_types = route.router.regex_types
    BaseRouter.add(
        router,
        path=str(route.raw_path),
        handler=route.handler,
        methods=route.methods,
        strict=route.strict,
    )
    router.finalize()
    for method in METHODS & route.methods:
        try:
            router.resolve(path, method=method)
        except (NotFound, NoMethod):
            continue
        return True
    return False
