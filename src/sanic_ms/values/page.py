"""Pagination: a handler takes a page and gives back its rows and a pagination.

`Page` counts pages, `Offset` rows, and `Cursor` goes on behind the last row that the caller has.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

__all__ = [
    "MAX_PAGE_SIZE",
    "PAGINATIONS",
    "Cursor",
    "CursorPagination",
    "Offset",
    "OffsetPagination",
    "Page",
    "Pagination",
    "is_page",
]

MAX_PAGE_SIZE = 100

_Text = Annotated[str, Meta(max_length=4096)]
_Limit = Annotated[int, Meta(ge=1, le=MAX_PAGE_SIZE, description="rows in a page")]


class Page(msgspec.Struct, frozen=True):
    """Which part of a list the caller wants: ``?page=2&page_size=50``.

    Attributes:
        page: The page's number, from 1.
        page_size: Rows in a page, 1 to 100; default 20.
    """

    page: Annotated[int, Meta(ge=1, le=1_000_000, description="number of the page, from 1")] = 1
    page_size: _Limit = 20

    @property
    def limit(self) -> int:
        """Rows to fetch: the ``LIMIT`` of the statement."""
        return self.page_size

    @property
    def offset(self) -> int:
        """Rows to skip: the ``OFFSET`` of the statement."""
        return (self.page - 1) * self.page_size

    def of(self, total: int) -> Pagination:
        """The `Pagination` of this page in a list of ``total`` rows."""
        return Pagination(self.page, self.page_size, total, -(-total // self.page_size))


class Offset(msgspec.Struct, frozen=True):
    """Which part of a list the caller wants, counted in rows: ``?offset=40&limit=20``.

    Attributes:
        offset: Rows to skip; default 0.
        limit: Rows in a page, 1 to 100; default 20.
    """

    offset: Annotated[int, Meta(ge=0, le=100_000_000, description="rows to skip")] = 0
    limit: _Limit = 20

    def of(self, total: int) -> OffsetPagination:
        """The `OffsetPagination` of this part of a list of ``total`` rows."""
        return OffsetPagination(self.offset, self.limit, total)


class Cursor(msgspec.Struct, frozen=True):
    """The part of a list behind a row: ``?cursor=…&limit=20``.

    Attributes:
        cursor: The ``next`` of the pagination before; None: the beginning of the list.
        limit: Rows in a page, 1 to 100; default 20.
    """

    cursor: Annotated[_Text | None, Meta(description="the `next` of the page before")] = None
    limit: _Limit = 20

    def of(self, next: str | None) -> CursorPagination:
        """The `CursorPagination` of a page behind which the list goes on at ``next``."""
        return CursorPagination(self.limit, next)


class Pagination(msgspec.Struct, frozen=True):
    """What the answer says about a page: ``"pagination": {…}`` beside ``"data"``.

    Attributes:
        page, page_size: Those of the request.
        total: Rows in the whole list.
        pages: Pages in the whole list.
    """

    page: int
    page_size: int
    total: Annotated[int, Meta(description="rows in the whole list")]
    pages: Annotated[int, Meta(description="pages in the whole list")]


class OffsetPagination(msgspec.Struct, frozen=True):
    """The pagination of an `Offset`.

    Attributes:
        offset, limit: Those of the request.
        total: Rows in the whole list.
    """

    offset: int
    limit: int
    total: Annotated[int, Meta(description="rows in the whole list")]


class CursorPagination(msgspec.Struct, frozen=True):
    """The pagination of a `Cursor`.

    Attributes:
        limit: That of the request.
        next: The ``cursor`` of the next page; None where this one is the last.
    """

    limit: int
    next: Annotated[str | None, Meta(description="the cursor of the next page; null at the end")]


PAGINATIONS: Final[dict[Any, Any]] = {
    Page: Pagination,
    Offset: OffsetPagination,
    Cursor: CursorPagination,
}
"""What a handler may take for the part of a list, and the pagination that each leads to."""


def is_page(annotation: Any) -> bool:
    """Whether a parameter with this annotation is the part of a list that the caller wants."""
    return any(annotation is page for page in PAGINATIONS)
