"""Values as bytes and back."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanic_ms.cache.values import pack, unpack

SCALARS: list[Any] = [
    None, True, 0, -1, 2**62, 2**63, -(2**200), 1.5, "é", b"\xff", datetime(2026, 1, 2, 3, 4, 5, 6),
    datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=5))),
    date(2026, 1, 2), time(3, 4, 5, 6), timedelta(-1, 5, 7), Decimal("1.10"),
    UUID("12345678123456781234567812345678"),
]  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.datetimes()
    | st.timedeltas() | st.uuids() | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(0, 9), inner)
    | st.tuples(inner, inner),
)  # fmt: skip


@pytest.mark.parametrize("value", SCALARS, ids=repr)
def test_a_value_comes_back_with_its_type(value: Any) -> None:
    """Also within a list, a dict and a tuple."""
    for whole in (value, [value], {"a": value}, {1: (value,)}):
        result = unpack(pack(whole))
        assert result == whole
        assert repr(result) == repr(whole)


@pytest.mark.parametrize("value", [{1, 2}, frozenset({"a"}), (), (1, (2, {3}))])
def test_sets_and_tuples_come_back(value: Any) -> None:
    """They are no lists."""
    result = unpack(pack(value))
    assert result == value
    assert type(result) is type(value)


@given(VALUES)
def test_any_plain_value_comes_back(value: Any) -> None:
    """Whatever is nested in what."""
    assert unpack(pack(value)) == value


class Point(msgspec.Struct):
    x: int


@dataclasses.dataclass
class Line:
    x: int


class Text(str):
    """A text with something more."""


@pytest.mark.parametrize(
    "value", [Point(1), Line(1), object(), Text("a"), [Point(1)], {"a": {Line}}]
)
def test_what_would_not_come_back_is_an_error(value: Any) -> None:
    """The text names the class and says what to do."""
    with pytest.raises(TypeError, match=r"cannot be cached .* annotate"):
        pack(value)


def test_keys_are_texts_and_numbers() -> None:
    """Another key would come back as something else."""
    with pytest.raises(TypeError, match="keys of text or int"):
        pack({(1, 2): 3})


@pytest.mark.parametrize("cut", range(0, 40, 7))
def test_half_a_value_is_an_error(cut: int) -> None:
    """Never a part of the value."""
    data = pack({"a": [datetime(2026, 1, 2), Decimal("1.5"), (1, 2)], "b": "text"})
    with pytest.raises(ValueError):  # noqa: PT011 (its text is the library's)
        unpack(data[:cut])


def test_another_extension_is_an_error() -> None:
    """A version that knows more writes what this one cannot read."""
    data = msgspec.msgpack.encode(msgspec.msgpack.Ext(99, b"x"))
    with pytest.raises(ValueError, match="99"):
        unpack(data)
