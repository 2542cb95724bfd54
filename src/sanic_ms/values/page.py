"""Pagination: a handler takes a `Page` and gives back its rows and a `Pagination`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["MAX_PAGE_SIZE", "Page", "Pagination"]

MAX_PAGE_SIZE = 100


class Page(msgspec.Struct, frozen=True):
    """Which part of a list the caller wants: ``?page=2&page_size=50``.

    Attributes:
        page: The page's number, from 1.
        page_size: Rows in a page, 1 to 100; default 20.
    """

    page: Annotated[int, Meta(ge=1, le=1_000_000, description="number of the page, from 1")] = 1
    page_size: Annotated[int, Meta(ge=1, le=MAX_PAGE_SIZE, description="rows in a page")] = 20

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


class Pagination(msgspec.Struct, frozen=True):
    """What the answer says about a page: ``"pagination": {…}`` beside ``"data"``.

    Attributes:
        page, page_size: Those of the request.
        total: Rows in the whole list.
        pages: Pages in the whole list.
    """

    page: int
    page_size: int
    total: int
    pages: int
