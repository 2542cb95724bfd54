"""What the annotations of a handler say of its answers."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any, Never, NoReturn, Optional

import msgspec
import pytest
from sanic.response import HTTPResponse, JSONResponse

from sanic_ms.shapes.annotations import names_response, read_returns, resolve
from sanic_ms.values.page import Pagination


class City(msgspec.Struct):
    """A shape."""

    id: int


@pytest.mark.parametrize(
    ("annotation", "shape", "paginated"),
    [
        (City, City, False),
        (list[City], list[City], False),
        (None, None, False),
        (type(None), None, False),
        (Any, None, False),
        (Never, None, False),
        (NoReturn, None, False),
        (HTTPResponse, None, False),
        (JSONResponse, None, False),
        (City | HTTPResponse, City, False),
        (HTTPResponse | JSONResponse, None, False),
        (Optional[City], Optional[City], False),  # noqa: UP045
        (Awaitable[City], City, False),
        (Coroutine[Any, Any, City | HTTPResponse], City, False),
        (tuple[list[City], Pagination], list[City], True),
        (Awaitable[tuple[list[City], Pagination]], list[City], True),
        (tuple[list[City], int, Pagination], tuple[list[City], int, Pagination], False),
        # With a status, and headers behind it.
        (tuple[City, int], City, False),
        (tuple[City, HTTPStatus], City, False),
        (tuple[str, HTTPStatus], str, False),
        (tuple[City, int, dict[str, str]], City, False),
        (tuple[City, int, Mapping[str, str]], City, False),
        (tuple[City, int] | HTTPResponse, City, False),
        (tuple[City, int, str], tuple[City, int, str], False),
        (tuple[City, int, dict[str, str], str], tuple[City, int, dict[str, str], str], False),
        # Data all of it.
        (tuple[str, int], tuple[str, int], False),
        (tuple[int, int], tuple[int, int], False),
        (tuple[City, str], tuple[City, str], False),
        (tuple[City], tuple[City], False),
        (tuple[int, ...], tuple[int, ...], False),
        (tuple, tuple, False),
        (tuple[()], tuple[()], False),
    ],
    ids=str,
)
def test_the_shape_of_what_is_returned(annotation: Any, shape: Any, paginated: bool) -> None:
    """Without responses, statuses and headers; None where nothing is said of the data."""
    assert read_returns(annotation) == (shape, Pagination if paginated else None)


def named() -> file:  # type: ignore[name-defined]  # noqa: F821
    """Names a response of Sanic's that is not imported."""


def dotted() -> sanic.response.JSONResponse:  # type: ignore[name-defined]  # noqa: F821
    """The same with its module."""


def unknown() -> Nothing:  # type: ignore[name-defined]  # noqa: F821
    """Names nothing."""


def silent():  # type: ignore[no-untyped-def]
    """Says nothing."""


@pytest.mark.parametrize(
    ("function", "expected"),
    [(named, True), (dotted, True), (unknown, False), (silent, False), (divmod, False)],
)
def test_a_response_may_be_named_without_being_imported(function: Any, expected: bool) -> None:
    """As one that only type checkers see. An object of C says nothing."""
    assert names_response(function) is expected


def test_an_object_of_c_has_no_annotations() -> None:
    """It is no error that it has none."""
    assert resolve(type.__call__, frozenset(), {}) == ({}, {})
