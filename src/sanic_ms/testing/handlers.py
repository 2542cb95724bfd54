"""Handlers by their names: which method and path a call of one means. No input or output here."""

from __future__ import annotations

import difflib
import re
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import quote

from sanic import Blueprint, Sanic
from sanic_routing.route import Route

from sanic_ms.http.routes import operations_of
from sanic_ms.values.path import path_parameters
from sanic_ms.values.route import RouteOrigin, RouteSpec, origin_of, template_of

__all__ = ["Handler", "find_handler"]

_OURS = "sanic_ms."  # the group of the framework's own handlers
_WITHOUT_OWN_HANDLER = {"HEAD", "OPTIONS"}


class Handler(NamedTuple):
    """A route as a test calls it."""

    name: str
    route: Route

    def method(self, wanted: str | None = None) -> str:
        """The method to call it with.

        Raises:
            TypeError: it has several and ``wanted`` chooses none of them.
        """
        methods = sorted(self.route.methods - _WITHOUT_OWN_HANDLER) or sorted(self.route.methods)
        if wanted is None and len(methods) == 1:
            return methods[0]
        if wanted is not None and wanted.upper() in self.route.methods:
            return wanted.upper()
        raise TypeError(f"{self.name} answers {', '.join(methods)}: say which with method=")

    def path(self, values: dict[str, Any]) -> str:
        """The path with its parameters filled in and quoted.

        Raises:
            TypeError: a parameter is missing or None, or there is none of that name.
        """
        names = list(path_parameters(self.route))
        unknown = sorted(set(values) - set(names))
        missing = [name for name in names if name not in values]
        if unknown or missing:
            what = f"has no path parameter {', '.join(unknown)}" if unknown else ""
            if missing:
                what = f"{what}{' and ' if what else ''}needs {', '.join(missing)}"
            known = ", ".join(names) or "none"
            hint = "; give one that is named like an argument in path={…}" if missing else ""
            raise TypeError(f"{self.name} {what} (path parameters: {known}){hint}")
        for name in names:
            if values[name] is None:
                raise TypeError(f"{self.name}: the path parameter {name} is None")
        slashes = {p.name for p in self.route.defined_params.values() if _takes_slashes(p)}

        def written(match: re.Match[str]) -> str:
            name = match[1]
            value = values[name]
            text = str(value.value if isinstance(value, Enum) else value)
            return quote(text, safe="/" if name in slashes else "")

        return re.sub(r"\{(\w+)\}", written, template_of(self.route))

    def spec(self, method: str) -> RouteSpec:
        """What the handler of one of its methods declares."""
        operation = operations_of(self.route).get(method)
        return RouteSpec() if operation is None else operation.spec


def find_handler(
    app: Sanic[Any, Any], name: str, blueprint: str | Blueprint | None = None
) -> Handler:
    """The route of a handler.

    Args:
        app: The application.
        name: The handler's name, with its blueprint's before it where that is needed:
            ``create_user``, ``user.create_user``.
        blueprint: Look only there.

    Raises:
        AttributeError: there is none, or several; the text lists what there is.
    """
    known: dict[str, list[Route]] = {}
    for route in app.router.routes:
        origin = origin_of(route)
        if getattr(route.ctx, "preflight", False) or not _is_of(origin, blueprint):
            continue
        local = origin.full_name if blueprint is None else origin.name
        known.setdefault(local, []).append(route)
    found = {local: routes for local, routes in known.items() if _means(name, local)}
    if name in found:
        found = {name: found[name]}
    if len(found) == 1:
        ((local, routes),) = found.items()
        return Handler(local, routes[0])
    shown = blueprint.name if isinstance(blueprint, Blueprint) else blueprint
    where = app.name if shown is None else f"blueprint {shown!r} of {app.name}"
    if found:
        raise AttributeError(f"{where} has several handlers {name!r}: {', '.join(sorted(found))}")
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    listed = ", ".join(sorted(name for name in known if not name.startswith(_OURS))) or "none"
    raise AttributeError(f"{where} has no handler {name!r} (it has: {listed}){hint}")


def _is_of(origin: RouteOrigin, blueprint: str | Blueprint | None) -> bool:
    """Whether a route was registered with a blueprint, that is named with or without the prefix of
    its names."""
    if blueprint is None or isinstance(blueprint, str):
        names = (None, origin.group, getattr(origin.blueprint, "name", origin.group))
        return blueprint in names
    if origin.blueprint is None:  # of an application that keeps no origins
        return origin.group == blueprint.name
    return origin.blueprint is blueprint


def _takes_slashes(param: Any) -> bool:
    return param.label == "path" or "/" in param.label


def _means(name: str, local: str) -> bool:
    return local == name or local.endswith(f".{name}")
