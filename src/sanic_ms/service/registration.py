"""Where each route of a service is registered: kept on the route, as its name does not tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sanic import Blueprint, Sanic

from sanic_ms.values.route import RouteOrigin, set_origin

__all__ = ["Registration"]


class Registration:
    """The blueprint that a service registers at the moment, and the prefix of its names.

    Args:
        app: The service.
    """

    def __init__(self, app: Sanic[Any, Any]) -> None:
        self._app = app
        self._blueprint: Blueprint | None = None
        self._prefix = ""

    @contextmanager
    def of(self, blueprint: Any, name_prefix: str | None) -> Iterator[None]:
        """Register a blueprint in the block; a group is registered one blueprint at a time."""
        before = self._blueprint, self._prefix
        self._blueprint = blueprint if isinstance(blueprint, Blueprint) else None
        self._prefix = f"{name_prefix}_" if name_prefix else ""
        try:
            yield
        finally:
            self._blueprint, self._prefix = before

    def keep(self, routes: list[Any], name: str) -> None:
        """Keep on new routes where they were registered.

        Args:
            routes: The routes; several where there are several hosts.
            name: Their name, as Sanic has made it.
        """
        origin = self._origin(name)
        for route in routes:
            set_origin(route, origin)

    def _origin(self, name: str) -> RouteOrigin:
        blueprint = self._blueprint
        if blueprint is None:
            return RouteOrigin(name.removeprefix(self._before("")))
        # A copy keeps the names of its original until Sanic renames the routes.
        registered = blueprint.copied_from or blueprint.name
        group = f"{self._prefix}{blueprint.name}"
        for before in (f"{self._prefix}{registered}.", f"{registered}."):  # statics: without prefix
            start = self._before(before)
            if name.startswith(start):
                return RouteOrigin(name.removeprefix(start), group, blueprint)
        return RouteOrigin(name.removeprefix(self._before("")), group, blueprint)

    def _before(self, local: str) -> str:
        """What the name of a route begins with, for names in the application that begin so."""
        return self._app.generate_name(f"{local}x")[:-1]
