"""The routes of an application and who may call each: listed, and found where nobody has said it.

A route's policy is what its handler declares with ``doc.security``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sanic import Sanic
from sanic_routing.route import Route

from sanic_ms.exception import LifecycleError
from sanic_ms.http.routes import RouteOperation, operations_of

__all__ = [
    "RouteEntry",
    "list_routes",
    "require_policies",
    "requirements_of",
    "routes_without_policy",
]


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """One path with those of its methods that one handler serves.

    Attributes:
        methods: Upper case, sorted.
        path: As the application wrote it, ``/users/<id:int>``; behind its host where it has one.
        handler: Module and name.
        source: File and line, relative to the working directory where it is below it; empty where
            there is none.
        policy: ``"open"``; the schemes that a caller must show (``"bearer or key"``); None where
            nothing is declared.
    """

    methods: tuple[str, ...]
    path: str
    handler: str
    source: str
    policy: str | None


def list_routes(app: Sanic[Any, Any]) -> list[RouteEntry]:
    """Every route, sorted by path. The application need not run; a service should be compiled."""
    found = [entry for route in app.router.routes for entry in _entries(route)]
    return sorted(found, key=lambda entry: (entry.path, entry.methods))


def routes_without_policy(app: Sanic[Any, Any]) -> list[RouteEntry]:
    """The routes whose handlers do not say who may call them; for a test of the application's own.

    Static files and what the framework mounts itself count as open.
    """
    return [entry for entry in list_routes(app) if entry.policy is None]


def requirements_of(app: Sanic[Any, Any]) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """Each requirement of `doc.security`, behind the method and path that it belongs to."""
    for route in app.router.routes:
        for method, operation in operations_of(route).items():
            for requirement in operation.spec.security or ():
                yield f"{method} {route.uri}", requirement


def require_policies(app: Sanic[Any, Any]) -> None:
    """The setting ``DENY_BY_DEFAULT``.

    Raises:
        LifecycleError: a route declares no policy. One line names the first few.
    """
    found = routes_without_policy(app)
    if found:
        shown = ", ".join(f"{','.join(each.methods)} {each.path}" for each in found[:3])
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise LifecycleError(
            f"routes without a policy: {shown}{more}; say who may call them with @doc.security "
            "(sanic-ms routes --without-policy lists them)"
        )


def _entries(route: Route) -> Iterator[RouteEntry]:
    host = route.requirements.get("host", "")
    by_handler: dict[Any, list[tuple[str, RouteOperation]]] = {}
    for method, operation in operations_of(route).items():
        by_handler.setdefault(_declared(operation.handler), []).append((method, operation))
    for handler, operations in by_handler.items():
        security = operations[0][1].spec.security
        policy = None if security is None else _policy(security)
        if getattr(route.extra, "static", False):
            policy = "open"
        yield RouteEntry(
            methods=tuple(sorted(method for method, _ in operations)),
            path=f"{host}{route.uri}",
            handler=_name(handler),
            source=_source(handler),
            policy=policy,
        )


def _declared(handler: Any) -> Any:
    """The function that was written, below what Sanic and partials put around it."""
    while isinstance(handler, partial):
        handler = handler.func
    return getattr(handler, "__func__", handler)


def _policy(security: list[dict[str, list[str]]]) -> str:
    """OpenAPI's requirements in words: each is an alternative that needs all of its schemes."""
    alternatives = [
        " and ".join(
            f"{name}({', '.join(scopes)})" if scopes else name for name, scopes in each.items()
        )
        for each in security
    ]
    return " or ".join(filter(None, alternatives)) if all(security) and security else "open"


def _name(handler: Callable[..., Any]) -> str:
    handler = inspect.unwrap(handler)
    name = getattr(handler, "__qualname__", type(handler).__qualname__)
    return f"{getattr(handler, '__module__', type(handler).__module__)}.{name}"


def _source(handler: Callable[..., Any]) -> str:
    code = getattr(inspect.unwrap(handler), "__code__", None)
    if code is None:
        return ""
    path, here = Path(code.co_filename), Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    return f"{shown}:{code.co_firstlineno}"
