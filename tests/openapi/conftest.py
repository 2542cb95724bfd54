"""Routes as the document gets them, and the document of some."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from openapi_spec_validator import validate

from sanic_ms.http.envelope import Envelope
from sanic_ms.openapi import build
from sanic_ms.values.route import DocumentedRoute, RouteSpec

Route = Callable[..., DocumentedRoute]
Build = Callable[..., dict[str, Any]]


@pytest.fixture
def route() -> Route:
    """``route("POST /users", body=User)``; the name is made from the path."""

    def make(where: str, *, spec: RouteSpec | None = None, **options: Any) -> DocumentedRoute:
        method, _, path = where.partition(" ")
        name = options.pop("name", f"{method.lower()}{path.replace('/', '_')}")
        return DocumentedRoute(path, (method,), name, spec or RouteSpec(), **options)

    return make


@pytest.fixture
def build_valid() -> Build:
    """Builds a document and lets the published validator look at it."""

    def make(*routes: DocumentedRoute, **options: Any) -> dict[str, Any]:
        options.setdefault("envelope", Envelope())
        document = build(routes, title="users", version="1.2.3", **options)
        validate(document)
        return document

    return make
