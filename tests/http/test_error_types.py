"""The `type` of an entry of `errors`: read off msgspec's sentences, and listed in the docs."""

from __future__ import annotations

import datetime
import enum
import re
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pydantic
import pytest
from msgspec import Meta

from sanic_ms.exception import FieldError, ValidationError
from sanic_ms.http.error_types import error_type, pydantic_error_params, pydantic_error_type
from sanic_ms.http.fields import field_errors

PAGE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    """One key and no other."""

    a: int


class Cat(msgspec.Struct, tag=True):
    """One of two, told by its tag."""


class Dog(msgspec.Struct, tag=True):
    """The other."""


class Colour(enum.Enum):
    """By value."""

    RED = "red"


CASES: list[tuple[Any, Any, str]] = [
    (Strict, {}, "missing"),
    (Strict, {"a": 1, "b": 2}, "unknown_field"),
    (Cat | Dog, {}, "missing"),
    (Cat | Dog, {"type": "Cow"}, "not_allowed"),
    (int, "x", "int_type"),
    (int, None, "int_type"),
    (int | None, "x", "int_type"),
    (float, "x", "float_type"),
    (str, 1, "str_type"),
    (bool, 1, "bool_type"),
    (None, 1, "null_type"),
    (Strict, [], "object_type"),
    (dict[str, int], [], "object_type"),
    (list[int], {}, "array_type"),
    (int | str, [], "wrong_type"),
    (datetime.date, 1, "date_type"),
    (Annotated[str, Meta(min_length=2)], "x", "too_short"),
    (Annotated[list[int], Meta(min_length=2)], [1], "too_short"),
    (Annotated[dict[str, int], Meta(max_length=1)], {"a": 1, "b": 2}, "too_long"),
    (Annotated[str, Meta(max_length=2)], "xyz", "too_long"),
    (Annotated[str, Meta(max_length=2)] | None, "xyz", "too_long"),
    (tuple[int, int], [1], "wrong_length"),
    (Annotated[int, Meta(ge=2)], 1, "too_small"),
    (Annotated[float, Meta(gt=2)], 2.0, "too_small"),
    (Annotated[int, Meta(le=2)], 3, "too_large"),
    (Annotated[float, Meta(lt=2)], 2.0, "too_large"),
    (Annotated[int, Meta(multiple_of=2)], 3, "not_a_multiple"),
    (Annotated[str, Meta(pattern="^a")], "b", "pattern_mismatch"),
    (Literal["a", "b"], "c", "not_allowed"),
    (Literal[1, 2], 3, "not_allowed"),
    (Colour, "blue", "not_allowed"),
    (datetime.date, "x", "date_format"),
    (datetime.datetime, "x", "datetime_format"),
    (datetime.time, "x", "time_format"),
    (datetime.timedelta, "x", "duration_format"),
    (datetime.timedelta, "P1000000000000D", "out_of_range"),
    (uuid.UUID, "x", "uuid_format"),
    (Decimal, "x", "decimal_format"),
    (Decimal, [], "decimal_type"),
    (Decimal, "NaN", "finite_number"),
    (bytes, "x", "bytes_format"),
    (Annotated[datetime.datetime, Meta(tz=True)], "2026-01-01T00:00:00", "timezone"),
]


@pytest.mark.parametrize(("kind", "value", "expected"), CASES)
def test_each_error_has_its_type(kind: Any, value: Any, expected: str) -> None:
    """Alone and as the field of an object; a new msgspec that says it otherwise is noticed here."""
    whole = msgspec.ValidationError("Expected a finite number")
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as exc:
        whole = exc
    assert [error.type for error in field_errors(value, kind, whole)] == [expected]
    box: Any = msgspec.defstruct("Box", [("x", kind)])
    inner = msgspec.ValidationError(f"{str(whole).partition(' - at')[0]} - at `$.x`")
    (error,) = field_errors({"x": value}, box, inner)
    assert error.type == expected


def test_the_page_lists_every_type() -> None:
    """What a client may rely on stands in the docs."""
    listed = set(re.findall(r"`(\w+)`", PAGE))
    kinds = {expected for _, _, expected in CASES}
    assert kinds - listed - {"date_type", "decimal_type"} == set()
    assert {"repeated", "not_utf8", "invalid"} <= listed


def test_a_sentence_that_is_not_known_is_invalid() -> None:
    """As is an entry that a handler gives without a type."""
    assert error_type("something else") == "invalid"
    assert error_type("expected something, not this") == "invalid"
    assert ValidationError([("name", "is taken")]).errors == (
        FieldError("name", "is taken", "invalid"),
    )
    assert ValidationError([("name", "is taken", "taken")]).errors[0].type == "taken"


class Tree(pydantic.BaseModel):
    """Any model."""


PYDANTIC: list[tuple[Any, Any, str]] = [
    (bool, "x", "bool_type"),
    (Decimal, "x", "decimal_format"),
    (Decimal, [], "decimal_type"),
    (Colour, "blue", "not_allowed"),
    (Annotated[float, pydantic.Field(allow_inf_nan=False)], float("inf"), "finite_number"),
    (float, "x", "float_type"),
    (Annotated[int, pydantic.Field(gt=1)], 1, "too_small"),
    (Annotated[int, pydantic.Field(ge=1)], 0, "too_small"),
    (int, 1.5, "int_type"),
    (int, "x", "int_type"),
    (int, None, "int_type"),
    (Annotated[int, pydantic.Field(lt=1)], 1, "too_large"),
    (Annotated[int, pydantic.Field(le=1)], 2, "too_large"),
    (Literal["a"], "b", "not_allowed"),
    (Tree, 1, "object_type"),
    (dict[str, int], 1, "object_type"),
    (list[int], 1, "array_type"),
    (Annotated[int, pydantic.Field(multiple_of=2)], 1, "not_a_multiple"),
    (Annotated[str, pydantic.Field(pattern="^a")], "b", "pattern_mismatch"),
    (Annotated[str, pydantic.Field(max_length=1)], "ab", "too_long"),
    (Annotated[str, pydantic.Field(min_length=2)], "a", "too_short"),
    (str, 1, "str_type"),
    (uuid.UUID, "x", "uuid_format"),
    (Annotated[list[int], pydantic.Field(max_length=1)], [1, 2], "too_long"),
    (Annotated[list[int], pydantic.Field(min_length=1)], [], "too_short"),
    (bool, [], "bool_type"),
    (float, [], "float_type"),
]


@pytest.mark.parametrize(("kind", "value", "expected"), PYDANTIC)
def test_each_error_of_pydantics_has_our_word(kind: Any, value: Any, expected: str) -> None:
    """Where we have one; a new pydantic that says it otherwise is noticed here."""
    with pytest.raises(pydantic.ValidationError) as caught:
        pydantic.TypeAdapter(kind).validate_python(value)
    (error,) = caught.value.errors()
    assert pydantic_error_type(error["type"]) == expected


def test_an_unknown_field_of_a_pydantic_model_has_our_word() -> None:
    """As of a Struct."""

    class Closed(pydantic.BaseModel, extra="forbid"):
        pass

    with pytest.raises(pydantic.ValidationError) as caught:
        Closed.model_validate({"a": 1})
    (error,) = caught.value.errors()
    assert pydantic_error_type(error["type"]) == "unknown_field"


def test_pydantic_has_our_words_where_they_fit() -> None:
    """A client need not know which library a shape is written with."""
    assert pydantic_error_type("string_too_long") == "too_long"
    assert pydantic_error_type("missing") == "missing"
    assert pydantic_error_type("value_error") == "value_error"


PARAMS: list[tuple[Any, Any, dict[str, Any]]] = [
    (Annotated[str, Meta(max_length=2)], "xyz", {"limit": 2}),
    (Annotated[str, Meta(min_length=2)], "x", {"limit": 2}),
    (Annotated[dict[str, int], Meta(max_length=1)], {"a": 1, "b": 2}, {"limit": 1}),
    (tuple[int, int], [1], {"limit": 2}),
    (Annotated[int, Meta(ge=-2)], -3, {"limit": -2, "inclusive": True}),
    (Annotated[float, Meta(gt=2.5)], 2.0, {"limit": 2.5, "inclusive": False}),
    (Annotated[float, Meta(le=1e30)], 1e31, {"limit": 1e30, "inclusive": True}),
    (Annotated[float, Meta(lt=2.5)], 3.0, {"limit": 2.5, "inclusive": False}),
    (Annotated[int, Meta(multiple_of=2)], 3, {"limit": 2}),
    (Annotated[str, Meta(pattern="^a'b$")], "b", {"pattern": "^a'b$"}),
    (Literal["a", "b"], "it's 'c'", {"value": "it's 'c'"}),
    (Literal[1, 2], 3, {"value": 3}),
    (int, "x", {"expected": "int", "got": "str"}),
    (int | None, "x", {"expected": "int | null", "got": "str"}),
    (datetime.date, "x", {}),
]


@pytest.mark.parametrize(("kind", "value", "expected"), PARAMS)
def test_the_values_that_a_sentence_mentions_are_there(
    kind: Any, value: Any, expected: dict[str, Any]
) -> None:
    """For a translator's own sentence; a new msgspec that says it otherwise is noticed here."""
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(value, kind)
    (error,) = field_errors(value, kind, caught.value)
    assert error.params == expected


def test_pydantics_limits_have_one_name() -> None:
    """Beside its own, which stay."""
    assert pydantic_error_params({"max_length": 3}) == {"max_length": 3, "limit": 3}
    assert pydantic_error_params({"gt": 0}) == {"gt": 0, "limit": 0, "inclusive": False}
    assert pydantic_error_params({"expected": "'a'"}) == {"expected": "'a'"}
