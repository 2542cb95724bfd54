"""Values that several packages share: a route's declarations, pages, database URLs."""

from sanic_ms.values.dsn import DatabaseURL
from sanic_ms.values.page import Page, Pagination
from sanic_ms.values.route import (
    DocumentedRoute,
    EnvelopeSchema,
    ResponseSpec,
    RouteSpec,
    route_spec,
)

__all__ = [
    "DatabaseURL",
    "DocumentedRoute",
    "EnvelopeSchema",
    "Page",
    "Pagination",
    "ResponseSpec",
    "RouteSpec",
    "route_spec",
]
