"""Values that several packages share: a route's declarations, pages, database URLs, table sets."""

from sanic_ms.values.dsn import DatabaseURL
from sanic_ms.values.page import (
    Cursor,
    CursorPagination,
    Offset,
    OffsetPagination,
    Page,
    Pagination,
)
from sanic_ms.values.route import (
    DocumentedRoute,
    EnvelopeSchema,
    ResponseSpec,
    RouteSpec,
    route_spec,
)
from sanic_ms.values.table_sets import TableSet

__all__ = [
    "Cursor",
    "CursorPagination",
    "DatabaseURL",
    "DocumentedRoute",
    "EnvelopeSchema",
    "Offset",
    "OffsetPagination",
    "Page",
    "Pagination",
    "ResponseSpec",
    "RouteSpec",
    "TableSet",
    "route_spec",
]
