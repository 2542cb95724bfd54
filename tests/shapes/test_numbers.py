"""Which numbers of a decoded value are looked at."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

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
