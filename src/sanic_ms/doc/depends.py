"""`depends`: functions that run before a handler."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from sanic_ms.doc.decorators import spec_for
from sanic_ms.exception import LifecycleError
from sanic_ms.values.depends import Depends, add_dependencies, as_dependencies
from sanic_ms.values.route import compiled_route

if TYPE_CHECKING:
    from sanic import Blueprint

__all__ = ["depends"]

Target = TypeVar("Target")


def depends(*functions: Callable[..., Any] | Depends) -> Callable[[Target], Target]:
    """Functions that run before the handler: ``@doc.depends(require_login)``.

    Their parameters are filled like those of a handler and stand in the document. What they return
    is not passed on; an error of one is the response. Those of the application run first, then
    those of the blueprint, of the class view and of the handler, each from the top down. The same
    function runs once for each request.

    Args:
        functions: The functions. A handler, a class view, a blueprint
            (``doc.depends(require_login)(blueprint)``) or a group of blueprints takes them.

    Raises:
        TypeError: none is given, one cannot be called, or the target takes none.
        LifecycleError: the blueprint belongs to a service whose routes are compiled.
    """
    added = as_dependencies("doc.depends", functions)

    def decorate(target: Target) -> Target:
        # Here, since the declarations of a route do not load a server.
        from sanic import Blueprint, Sanic
        from sanic.blueprints import BlueprintGroup
        from sanic.views import HTTPMethodView

        if isinstance(target, Sanic):
            raise TypeError("doc.depends on the application: write app.depends(…)")
        if isinstance(target, BlueprintGroup):
            for blueprint in target:
                decorate(blueprint)
        elif isinstance(target, Blueprint):
            _require_uncompiled(target)
            add_dependencies(target, added)
        elif inspect.isclass(target) and issubclass(target, HTTPMethodView):
            add_dependencies(target, added)
        else:
            handler: Any = target
            spec = spec_for(handler, "depends")
            spec.depends = list(dict.fromkeys([*added, *spec.depends]))
        return target

    return decorate


def _require_uncompiled(blueprint: Blueprint) -> None:
    for app in blueprint._apps:
        if any(compiled_route(route) is not None for route in app.router.routes):
            raise LifecycleError(
                f"doc.depends on the blueprint {blueprint.name!r}: the routes of {app.name!r} are "
                "compiled already; declare it before the start, compile() and openapi()"
            )
