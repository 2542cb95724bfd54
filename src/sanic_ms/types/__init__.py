"""Values that several rooms share: shapes, declarations of a route, pages, database URLs."""

from sanic_ms.types.dsn import DatabaseURL
from sanic_ms.types.page import Page, Pagination
from sanic_ms.types.route import Answer, DocumentedRoute, EnvelopeSchema, RouteSpec, route_spec

__all__ = [
    "Answer",
    "DatabaseURL",
    "DocumentedRoute",
    "EnvelopeSchema",
    "Page",
    "Pagination",
    "RouteSpec",
    "route_spec",
]
