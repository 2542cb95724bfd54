"""Pages of any query: `fetch_page`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, overload

from sanic_ms.db import Connection, ConnectionPool
from sanic_ms.db.base import Row
from sanic_ms.db.builders import BuiltQuery
from sanic_ms.db.sql.placeholders import Dialect
from sanic_ms.db.sql.statement import Statement
from sanic_ms.repository.paging import (
    Order,
    OrderColumn,
    dialect_of,
    fetch_behind,
    fetch_window,
    parse_order,
    spelled,
)
from sanic_ms.values.page import (
    Cursor,
    CursorPagination,
    Offset,
    OffsetPagination,
    Page,
    Pagination,
)

__all__ = ["fetch_page", "page_of"]

Database = ConnectionPool | Connection


@overload
async def fetch_page(
    db: Database,
    page: Page,
    query: object,
    *args: Any,
    order_by: str | Sequence[str] = (),
    key: str = "id",
    nullable: bool = True,
) -> tuple[list[Row], Pagination]: ...


@overload
async def fetch_page(
    db: Database,
    page: Offset,
    query: object,
    *args: Any,
    order_by: str | Sequence[str] = (),
    key: str = "id",
    nullable: bool = True,
) -> tuple[list[Row], OffsetPagination]: ...


@overload
async def fetch_page(
    db: Database,
    page: Cursor,
    query: object,
    *args: Any,
    order_by: str | Sequence[str] = (),
    key: str = "id",
    nullable: bool = True,
) -> tuple[list[Row], CursorPagination]: ...


async def fetch_page(
    db: Database,
    page: Page | Offset | Cursor,
    query: object,
    *args: Any,
    order_by: str | Sequence[str] = (),
    key: str = "id",
    nullable: bool = True,
) -> tuple[list[Row], Any]:
    """One page of a query's rows, and its pagination: what a handler returns.

    A `Page` and an `Offset` have the total in the same statement, right past the last page too. A
    `Cursor` has none, and costs the same for each page where an index has the order's columns.

    Args:
        db: The pool, or a connection.
        page: Which part.
        query: SQL text, a Peewee query or a SQLAlchemy statement, without an order or a limit. It
            selects the order's columns and the key, and no name twice.
        args: The values of a text.
        order_by: Names of columns of the rows, with ``-`` for descending: ``"-created,name"``. The
            text is the program's: what a client may sort by is a ``Literal`` of such texts.
        key: A column of the rows that is unique and never NULL. It decides between rows that are
            equal in the order.
        nullable: The columns of ``order_by`` may be NULL. False is faster with a `Cursor`.

    Raises:
        BadRequest: the cursor is none of this list.
        StatementError: the query cannot be run, or does not select a column of the order, or the
            text has another number of values.
        TypeError: ``order_by`` is no text or sequence.
        ValueError: ``order_by`` has an empty name, or one twice.
    """
    pool = db if isinstance(db, ConnectionPool) else db.pool
    built = pool.build(query, args)
    if isinstance(query, str):
        # A value that is missing would be taken from those of the page, and so from the client.
        _statement(query, dialect_of(pool)).check(built.args)
    order = _order(spelled(order_by), key, nullable)
    return await page_of(db, page, built, order, None)


@functools.lru_cache(maxsize=1024)
def _statement(text: str, dialect: Dialect) -> Statement:
    return Statement(text, dialect, prove=False)


@functools.lru_cache(maxsize=1024)
def _order(order_by: str | tuple[str, ...], key: str, nullable: bool) -> Order:
    parsed = parse_order(order_by)
    order = [OrderColumn(name, down, nullable and name != key) for name, down in parsed]
    if key not in dict(parsed):
        order.append(OrderColumn(key, bool(parsed) and parsed[-1][1], nullable=False))
    return Order(tuple(order))


async def page_of(
    db: Database,
    page: Page | Offset | Cursor,
    query: BuiltQuery,
    order: Order,
    make: Callable[[Row], Any] | None,
) -> tuple[list[Any], Any]:
    """The rows of a page and its pagination.

    Args:
        make: Makes of a row what is given for it; None: rows are given.

    Raises:
        TypeError: ``page`` is none.
    """
    pagination: Any
    if isinstance(page, Cursor):
        rows, following = await fetch_behind(db, query, order, page.limit, page.cursor)
        pagination = page.of(following)
    elif isinstance(page, Page | Offset):
        rows, total = await fetch_window(db, query, order, page.limit, page.offset)
        pagination = page.of(total)
    else:
        raise TypeError(f"a page is a Page, an Offset or a Cursor, not {page!r}")
    return (rows if make is None else [make(row) for row in rows]), pagination
