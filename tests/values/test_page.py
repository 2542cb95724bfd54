"""Pages."""

from __future__ import annotations

import copy

import pytest

from sanic_ms.values import Page, Pagination


@pytest.mark.parametrize(("total", "pages"), [(0, 0), (1, 1), (20, 1), (21, 2)])
def test_pages_are_counted_up(total: int, pages: int) -> None:
    """A page that is begun counts; an empty list has none."""
    assert Page(page=1, page_size=20).of(total) == Pagination(1, 20, total, pages)


def test_limit_and_offset_are_those_of_sql() -> None:
    """The first page skips nothing."""
    assert (Page().limit, Page().offset) == (20, 0)
    assert (Page(page=3, page_size=7).limit, Page(page=3, page_size=7).offset) == (7, 14)


@pytest.mark.parametrize("value", [Page(), Pagination(1, 20, 0, 0)])
def test_a_page_is_a_value(value: Page | Pagination) -> None:
    """It is never changed, so that one may serve as a default of many handlers, and as a key."""
    with pytest.raises(AttributeError, match="immutable"):
        value.page = 2  # type: ignore[misc]
    assert {value: 1}[copy.copy(value)] == 1
