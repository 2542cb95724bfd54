"""The OpenAPI 3.1 document of an application: routes in, a dict out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sanic_ms.openapi.operation import ERRORS, Operations
from sanic_ms.openapi.schemas import Schemas
from sanic_ms.values.route import DocumentedRoute, EnvelopeSchema

__all__ = ["KNOWN_SECURITY_SCHEMES", "build"]

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

_PARAMETER = re.compile(r"\{[^}]*\}")

KNOWN_SECURITY_SCHEMES: Mapping[str, Mapping[str, Any]] = {
    "basic": {"type": "http", "scheme": "basic"},
    "bearer": {"type": "http", "scheme": "bearer"},
}
"""The security schemes that need no declaration, as OpenAPI writes them."""


def build(
    routes: Iterable[DocumentedRoute],
    *,
    envelope: EnvelopeSchema,
    title: str,
    version: str,
    description: str = "",
    servers: Sequence[str | Mapping[str, Any]] = (),
    security_schemes: Mapping[str, Mapping[str, Any]] | None = None,
    security: Sequence[Mapping[str, Sequence[str]]] | None = None,
) -> dict[str, Any]:
    """The document. The same routes in any order give the same document, byte for byte.

    Args:
        routes: What to draw; those that are hidden, or have a method that OpenAPI does not know,
            are left out. Of two routes with one path and method the first in sorted order counts.
            Paths that differ in the names of parameters only are one, with the names of the first;
            where two of them have the same method, which OpenAPI cannot say, each stays.
        envelope: The form of answers.
        title, version, description: Of the service's API.
        servers: URLs of the service, or server objects as OpenAPI writes them.
        security_schemes: By name, as OpenAPI writes them. ``bearer`` and ``basic`` are known.
        security: What routes ask for that say nothing themselves.

    Raises:
        TypeError: a route declares something that is not a shape, or names a security scheme that
            is not defined. The text names the route.
    """
    drawn = sorted(
        (
            (route.path, method.lower(), route)
            for route in routes
            if not route.spec.hidden
            for method in route.methods
        ),
        key=lambda entry: (entry[0], entry[1], entry[2].group, entry[2].name),
    )
    found: dict[tuple[str, str], DocumentedRoute] = {}
    shown: dict[str, str] = {}
    for path, method, route in drawn:
        if method in _METHODS and (path, method) not in found:
            first = shown.setdefault(_PARAMETER.sub("{}", path), path)
            found[path if (first, method) in found else first, method] = route
    ids = _operation_ids(found)
    schemas = Schemas()
    operations = Operations(schemas, envelope, secured=bool(security))
    paths: dict[str, dict[str, Any]] = {}
    for key, route in found.items():
        paths.setdefault(key[0], {})[key[1]] = _under(
            key[0], route, operations.draw(route, ids[key])
        )
    responses = {
        ERRORS[status][0]: operations.shared_error(status) for status in sorted(operations.errors)
    }

    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
    }
    if description:
        document["info"]["description"] = description
    if servers:
        document["servers"] = [
            {"url": server} if isinstance(server, str) else dict(server) for server in servers
        ]
    if security:
        document["security"] = [
            {name: list(scopes) for name, scopes in requirement.items()} for requirement in security
        ]
    document["paths"] = paths
    schemes = _schemes(found, document.get("security", ()), security_schemes or {})
    components = {
        "schemas": schemas.used_by([paths, responses]),
        "responses": dict(sorted(responses.items())),
        "securitySchemes": schemes,
    }
    if any(components.values()):
        document["components"] = {name: part for name, part in components.items() if part}
    tags = sorted({tag for path in paths.values() for one in path.values() for tag in _tags(one)})
    if tags:
        document["tags"] = [{"name": tag} for tag in tags]
    return document


def _under(path: str, route: DocumentedRoute, operation: dict[str, Any]) -> dict[str, Any]:
    """The operation of a route, with the names that the path has for its parameters."""
    if path != route.path:
        own, shown = _PARAMETER.findall(route.path), _PARAMETER.findall(path)
        names = dict(zip(own, shown, strict=True))
        for parameter in operation["parameters"]:
            if parameter["in"] == "path":
                parameter["name"] = names[f"{{{parameter['name']}}}"][1:-1]
    return operation


def _tags(operation: Mapping[str, Any]) -> Sequence[str]:
    tags: Sequence[str] = operation.get("tags", ())
    return tags


def _operation_ids(
    found: Mapping[tuple[str, str], DocumentedRoute],
) -> dict[tuple[str, str], str]:
    """An id for each operation: the route's name, with its method, its group or a number where
    that name alone would not be the only one."""
    plain = Counter(route.name for route in found.values())
    ids: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    for (path, method), route in found.items():
        name = route.name
        if plain[name] > 1 and len(route.methods) > 1:
            name = f"{name}_{method}"
        elif plain[name] > 1 and route.group:
            name = f"{route.group}.{name}"
        number, free = 1, name
        while free in taken:
            number += 1
            free = f"{name}_{number}"
        taken.add(free)
        ids[path, method] = free
    return ids


def _schemes(
    found: Mapping[tuple[str, str], DocumentedRoute],
    security: Iterable[Mapping[str, Any]],
    defined: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """The security schemes that are defined, and those known ones that are asked for."""
    schemes = {name: dict(scheme) for name, scheme in defined.items()}
    asked = [("the document", requirement) for requirement in security]
    for (path, method), route in found.items():
        where = f"{method.upper()} {path}"
        asked += [(where, requirement) for requirement in route.spec.security or ()]
    for where, requirement in asked:
        for name in requirement:
            if name not in schemes and name not in KNOWN_SECURITY_SCHEMES:
                raise TypeError(
                    f"{where} asks for the security scheme {name!r}, which is not defined "
                    f"(defined: {', '.join(sorted({*schemes, *KNOWN_SECURITY_SCHEMES}))})"
                )
            schemes.setdefault(name, dict(KNOWN_SECURITY_SCHEMES.get(name, {})))
    return dict(sorted(schemes.items()))
