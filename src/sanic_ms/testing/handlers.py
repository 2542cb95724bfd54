"""Handlers by their names: which method and path a call of one means. No input or output here."""

from __future__ import annotations

import difflib
from typing import Any, NamedTuple
from urllib.parse import quote

from sanic import Blueprint, Sanic
from sanic_routing.route import Route

from sanic_ms.http.routes import operations_of
from sanic_ms.values.route import RouteSpec

__all__ = ["Handler", "find_handler"]

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
        params = self.route.defined_params
        names = [param.name for param in params.values()]
        unknown = sorted(set(values) - set(names))
        missing = [name for name in names if name not in values]
        if unknown or missing:
            what = f"has no path parameter {', '.join(unknown)}" if unknown else ""
            if missing:
                what = f"{what}{' and ' if what else ''}needs {', '.join(missing)}"
            known = ", ".join(names) or "none"
            raise TypeError(f"{self.name} {what} (path parameters: {known})")
        for name in names:
            if values[name] is None:
                raise TypeError(f"{self.name}: the path parameter {name} is None")
        parts = []
        for index, part in enumerate(self.route.parts):
            if index not in params:
                parts.append(part)
                continue
            param = params[index]
            safe = "/" if param.label == "path" else ""
            parts.append(quote(str(values[param.name]), safe=safe))
        return "/" + "/".join(parts) + ("/" if self._ends_with_slash else "")

    @property
    def _ends_with_slash(self) -> bool:
        raw = str(self.route.raw_path)
        return bool(self.route.parts) and bool(self.route.strict) and raw.endswith("/")

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
    group = blueprint.name if isinstance(blueprint, Blueprint) else blueprint
    known: dict[str, list[Route]] = {}
    for route in app.router.routes:
        _, _, local = route.name.partition(".")
        if group is not None:
            if not local.startswith(f"{group}."):
                continue
            local = local.removeprefix(f"{group}.")
        known.setdefault(local, []).append(route)
    found = {local: routes for local, routes in known.items() if _means(name, local)}
    if name in found:
        found = {name: found[name]}
    if len(found) == 1:
        ((local, routes),) = found.items()
        return Handler(local, routes[0])
    where = app.name if group is None else f"blueprint {group!r} of {app.name}"
    if found:
        raise AttributeError(f"{where} has several handlers {name!r}: {', '.join(sorted(found))}")
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    listed = ", ".join(sorted(known)) or "none"
    raise AttributeError(f"{where} has no handler {name!r} (it has: {listed}){hint}")


def _means(name: str, local: str) -> bool:
    return local == name or local.endswith(f".{name}")
