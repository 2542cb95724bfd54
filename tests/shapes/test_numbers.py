"""Which numbers of a decoded value are looked at."""

from __future__ import annotations

import dataclasses
import math
from decimal import Decimal
from typing import Any, NamedTuple, TypedDict

import msgspec
import pydantic
import pytest

from sanic_ms.shapes.numbers import number_finder


class Price(msgspec.Struct):
    """An amount, and a rate under another name."""

    amount: Decimal
    rate: float = msgspec.field(default=0.0, name="Rate")


class Paid(pydantic.BaseModel):
    """An amount in a model of pydantic's."""

    amount: Decimal = pydantic.Field(allow_inf_nan=True)


@pytest.mark.parametrize("type_", [float, list[float], dict[str, float], float | None])
def test_a_float_is_looked_at_only_where_it_is_asked_for(type_: Any) -> None:
    """JSON has none but finite ones, so a body of JSON pays nothing."""
    assert number_finder(type_) is None
    assert number_finder(type_, floats=True) is not None


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_a_float_that_is_not_finite_is_found(number: float) -> None:
    """Alone, in containers and in objects."""
    for type_, value in (
        (float, number),
        (list[float], [1.0, number]),
        (dict[str, float], {"a": number}),
        (Price, Price(Decimal(1), number)),
        (list[Price], [Price(Decimal(1)), Price(Decimal(1), number)]),
    ):
        find = number_finder(type_, floats=True)
        assert find is not None
        assert find(value) is not None
    find = number_finder(Price)
    assert find is not None
    assert find(Price(Decimal(1), number)) is None


def test_every_decimal_is_looked_at() -> None:
    """Of each member of an object."""
    find = number_finder(list[Price])
    assert find is not None
    assert find([Price(Decimal("1.5")), Price(Decimal(2))]) is None
    assert find([Price(Decimal("1.5")), Price(Decimal("NaN"))]) is not None
    assert number_finder(list[int]) is None


def test_a_decimal_of_a_pydantic_model_is_looked_at() -> None:
    """As of a Struct."""
    find = number_finder(list[Paid])
    assert find is not None
    assert find([Paid(amount=Decimal(1))]) is None
    assert find([Paid(amount=Decimal(1)), Paid(amount=Decimal("NaN"))]) is not None


@pytest.mark.parametrize(
    ("number", "found"),
    [
        ("1e999", False),
        ("-1e999", False),
        ("1e1000", True),
        ("-1e1000", True),
        ("1.5e1000", False),
        ("9" * 2001, False),
        ("9" * 2002, True),
        ("9" * 1500 + "e999", True),
        ("1e-2000", False),
        ("1e-2001", True),
        ("0.5", False),
        ("NaN", True),
        ("sNaN", True),
        ("-Infinity", True),
    ],
)
def test_a_decimal_of_any_use_is_taken(number: str, found: bool) -> None:
    """With an exponent up to 999, and so many digits that each may be written out."""
    find = number_finder(Decimal)
    assert find is not None
    assert (find(Decimal(number)) is not None) is found


class Line(msgspec.Struct, array_like=True):
    """An object that is an array on the wire."""

    name: str
    amount: Decimal


class Pair(NamedTuple):
    """A named tuple."""

    name: str
    amount: Decimal


class Row(TypedDict, total=False):
    """An object that stays a dict."""

    name: str
    amount: Decimal


@dataclasses.dataclass
class Record:
    """A dataclass."""

    name: str
    amount: Decimal


NAN, GOOD = Decimal("NaN"), Decimal(1)


@pytest.mark.parametrize(
    ("type_", "good", "bad", "place"),
    [
        (list[Decimal], [GOOD], [GOOD, NAN], "[1]"),
        (set[Decimal], {GOOD}, {NAN}, "[0]"),
        (tuple[str, Decimal], ("a", GOOD), ("a", NAN), "[1]"),
        (tuple[Decimal, ...], (GOOD,), (GOOD, GOOD, NAN), "[2]"),
        (dict[str, Decimal], {"a": GOOD}, {"a": GOOD, "b": NAN}, "b"),
        (dict[Decimal, str], {GOOD: "a"}, {NAN: "a"}, "NaN"),
        (dict[str, list[Decimal]], {"a": [GOOD]}, {"a": [GOOD, NAN]}, "a[1]"),
        (Line, Line("a", GOOD), Line("a", NAN), "[1]"),
        (Pair, Pair("a", GOOD), Pair("a", NAN), "[1]"),
        (Row, {"name": "a", "amount": GOOD}, {"amount": NAN}, "amount"),
        (Row, {"name": "a"}, {"amount": NAN}, "amount"),
        (Record, Record("a", GOOD), Record("a", NAN), "amount"),
        (Price, Price(GOOD), Price(NAN), "amount"),
        (Price | None, None, Price(NAN), "amount"),
        (list[Price] | dict[str, Decimal], {"a": GOOD}, [Price(GOOD), Price(NAN)], "[1].amount"),
        (list[Price] | dict[str, Decimal], [Price(GOOD)], {"a": NAN}, "a"),
        (int | Decimal | None, 1, NAN, ""),
    ],
)
def test_the_place_of_a_number_is_named(type_: Any, good: Any, bad: Any, place: str) -> None:
    """As it stands on the wire: the index of an item, the key of a field. A value of another type
    is none."""
    find = number_finder(type_)
    assert find is not None
    assert find(good) is None
    number = find(bad)
    assert number is not None
    assert (number.place, number.type) == (place, "finite_number")
    for other in ("NaN", 1, None, [], {}, (), b"NaN", [1], {"a": 1}, ("a",)):
        assert find(other) is None


def test_floats_have_their_place_too() -> None:
    """Under the name on the wire."""
    find = number_finder(list[Price], floats=True)
    assert find is not None
    number = find([Price(GOOD), Price(GOOD, math.inf)])
    assert number is not None
    assert (number.place, number.message) == ("[1].Rate", "expected a finite number")
