"""Fields of answers that never leave, that are computed or stand elsewhere, and dates."""

from __future__ import annotations

import collections
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, cast

import msgspec
import peewee as pw
import pydantic
import pydantic.alias_generators
import pytest
from tests.answers import answered, input_of, output

import sanic_ms.doc as doc
from sanic_ms.shapes import ENCODER, ShapeMismatch

# --- fields that never leave ----------------------------------------------------------------------


class Account:
    id = doc.Integer("key", read_only=True)
    name = doc.String("name")
    password = doc.String("password", write_only=True)


class HiddenModel(pydantic.BaseModel):
    id: int
    name: str
    password: str = pydantic.Field(exclude=True)


class HiddenColumns(pw.Model):
    name = pw.CharField()
    password = doc.write_only(pw.CharField())
    salt = doc.read_only(doc.write_only(pw.CharField()))


HIDDEN: dict[str, Any] = {"id": 1, "name": "Ann", "password": "secret", "salt": "secret"}


@pytest.mark.parametrize(
    "shape",
    [
        Account,
        {"id": int, "name": str, "password": doc.String(write_only=True)},
        HiddenModel,
        HiddenColumns,
    ],
    ids=["class", "dict", "pydantic", "Peewee"],
)
@pytest.mark.parametrize(
    "data",
    [HIDDEN, HiddenColumns(**HIDDEN), HiddenModel(**HIDDEN), collections.OrderedDict(HIDDEN)],
    ids=["row", "Peewee", "pydantic", "mapping"],
)
def test_a_write_only_field_never_leaves(shape: Any, data: Any) -> None:
    """Not of a row, of an instance or of an object of another class, wherever it stands."""
    assert answered(shape, data) == {"id": 1, "name": "Ann"}
    assert answered({"of": [shape]}, {"of": [data]}) == {"of": [{"id": 1, "name": "Ann"}]}
    assert set(output(shape)["properties"]) == {"id", "name"}


def test_a_write_only_column_does_not_leave_where_no_shape_is_declared() -> None:
    """A model that a handler returns without a word about it hides what it hides."""
    assert msgspec.json.decode(ENCODER.encode([HiddenColumns(**HIDDEN)])) == [
        {"id": 1, "name": "Ann"}
    ]


def test_requests_show_what_is_write_only_and_answers_what_is_read_only() -> None:
    """OpenAPI has the words for both."""
    assert input_of(Account)["properties"]["password"]["writeOnly"] is True
    assert "id" not in input_of(Account)["properties"]
    assert output(Account)["properties"]["id"]["readOnly"] is True
    columns = input_of(HiddenColumns)["properties"]
    assert columns["password"]["writeOnly"] is True
    assert "salt" not in columns


# --- computed fields ------------------------------------------------------------------------------


class Person:
    first = doc.String("first name")
    full_name = doc.String(
        "the whole name", name="fullName", compute=lambda row: f"{row['first']} {row['last']}"
    )
    card = doc.String(compute=lambda row: f"*{row['card'][-2:]}")


PERSON = {"first": "Ann", "last": "Lee", "card": "1234", "fullName": "no"}


@pytest.mark.parametrize(
    "shape",
    [
        Person,
        {
            "first": str,
            "full_name": Person.full_name,
            "card": doc.String(compute=lambda row: f"*{row['card'][-2:]}"),
        },
    ],
    ids=["class", "dict"],
)
def test_a_computed_field_is_made_of_the_whole_row(shape: Any) -> None:
    """Of undeclared keys too, and in spite of a value under the field's own name."""
    expected = {"first": "Ann", "fullName": "Ann Lee", "card": "*34"}
    before = dict(PERSON)
    assert answered(shape, PERSON) == expected
    assert answered([shape], [PERSON, PERSON]) == [expected] * 2
    assert answered({"of": shape}, {"of": PERSON}) == {"of": expected}
    assert before == PERSON
    schema = output(shape)
    assert schema["properties"]["fullName"]["readOnly"] is True
    assert set(schema["required"]) == {"first", "fullName", "card"}
    assert set(input_of(shape)["properties"]) == {"first"}


def test_a_computed_field_is_made_of_an_object_as_of_a_row() -> None:
    """The function gets the attributes by name."""

    class Named(msgspec.Struct, rename="camel"):
        first: str
        last: str
        card: str

    assert answered(Person, Named("Ann", "Lee", "1234"))["fullName"] == "Ann Lee"


class ComputedModel(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(alias_generator=pydantic.alias_generators.to_camel)
    first_name: str
    last_name: str

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def full_name(self) -> str:
        """The whole name."""
        return f"{self.first_name} {self.last_name}"


def test_a_property_of_pydantic_is_computed_of_rows_too() -> None:
    """The document promises it, whatever the handler returns."""
    expected = {"firstName": "Ann", "lastName": "Lee", "fullName": "Ann Lee"}
    assert answered(ComputedModel, {"first_name": "Ann", "last_name": "Lee"}) == expected
    assert answered(ComputedModel, {"firstName": "Ann", "lastName": "Lee"}) == expected
    instance = ComputedModel.model_validate({"firstName": "Ann", "lastName": "Lee"})
    assert answered(ComputedModel, instance) == expected
    with pytest.raises(ShapeMismatch, match="lastName is missing"):
        answered(ComputedModel, {"first_name": "Ann"})


# --- values that stand elsewhere in the row -------------------------------------------------------


class CityApi:
    id = doc.Integer("key")
    name = doc.String("name", name="cityName")


class Address:
    street = doc.String(source="line_1")
    city = doc.Object(CityApi, "where", prefix="city_", null=True)


ADDRESS = {"street": "x", "cityName": "x", "city": {"id": 3, "cityName": "rome"}}


@pytest.mark.parametrize(
    ("row", "city"),
    [
        ({"city_id": 3, "city_name": "rome", "city_mayor": "m"}, {"id": 3, "cityName": "rome"}),
        ({"city_id": 3, "city_cityName": "rome"}, {"id": 3, "cityName": "rome"}),
        ({"city": {"id": 3, "name": "rome", "mayor": "m"}}, {"id": 3, "cityName": "rome"}),
        ({"city": {"id": 3, "name": "rome"}, "city_id": 4}, {"id": 3, "cityName": "rome"}),
        ({"city_id": None, "city_name": None}, None),
        ({"city": None}, None),
    ],
)
def test_joined_columns_become_an_object(row: dict[str, Any], city: Any) -> None:
    """Those that begin with the prefix; of a LEFT JOIN that found nothing, null. A row that has the
    object itself keeps it."""
    row = {"line_1": "s", "street": "private", **row}
    assert answered(Address, row) == {"street": "s", "city": city}
    assert answered([Address], [row, row]) == [{"street": "s", "city": city}] * 2


def test_a_source_is_the_only_key_that_counts() -> None:
    """What stands under the field's own name is another column."""
    with pytest.raises(ShapeMismatch, match="street is missing"):
        answered(Address, {"street": "private", "city": None})
    assert answered(Address, {"street": "private", "city": None}, strict=False) == {"city": None}


# --- dates ----------------------------------------------------------------------------------------

MOMENT = datetime(2024, 5, 17, 10, 0, 0, 900000, tzinfo=UTC)
NEW_YORK = timezone(timedelta(hours=-4))
SHOWN = {
    "seconds": 1715940000,
    "millis": 1715940000900,
    "text": "17.05.2024 10:00",
    "day": "17/05/24",
    "many": [1715940000],
    "by_name": {"a": 1715940000, "b": None},
}


class Dated:
    seconds = doc.DateTime(format="unix", source="at")
    millis = doc.DateTime(format="unix_ms", source="at", null=True)
    text = doc.DateTime(format="%d.%m.%Y %H:%M", source="at")
    day = doc.Date(format="%d/%m/%y", source="at")
    many = doc.List(doc.DateTime(format="unix"))
    by_name = doc.Dictionary(doc.DateTime(format="unix", null=True))
    at = doc.DateTime("as it is", required=False)


@pytest.mark.parametrize(
    "value",
    [MOMENT, MOMENT.replace(tzinfo=None), MOMENT.isoformat(), MOMENT.astimezone(NEW_YORK)],
    ids=["UTC", "without-zone", "text", "New-York"],
)
def test_a_field_says_how_a_date_is_written(value: Any) -> None:
    """As a number, as text of a format, also inside lists; a moment without a zone is UTC, and text
    of ISO 8601 is a moment."""
    row = {"at": value, "many": [value], "by_name": {"a": value, "b": None}}
    shape = {key: field for key, field in vars(Dated).items() if key in SHOWN}
    local = "06:00" if getattr(value, "tzinfo", None) is NEW_YORK else "10:00"
    assert answered(shape, row) == {**SHOWN, "text": f"17.05.2024 {local}"}
    assert row == {"at": value, "many": [value], "by_name": {"a": value, "b": None}}


def test_the_document_shows_how_dates_are_written() -> None:
    """Integers and text in answers; requests have ISO 8601."""
    shown, read = output(Dated)["properties"], input_of(Dated)["properties"]
    assert shown["seconds"] == {"type": "integer", "format": "int64", "examples": [1715941800]}
    assert shown["text"] == {"type": "string", "examples": ["17.05.2024 10:30"]}
    assert shown["at"]["format"] == "date-time"
    assert read["seconds"] == {"type": "string", "format": "date-time"}
    assert read["day"] == {"type": "string", "format": "date"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (date(1969, 12, 31), -86400),
        (datetime(1969, 12, 31, 23, 59, 59, 500000), -1),
        (1715940000, 1715940000),
        (None, None),
    ],
)
def test_a_moment_is_a_whole_number_of_seconds(value: Any, expected: Any) -> None:
    """Rounded down, before 1970 too; a number is one already, and None stays."""
    shape = {"at": doc.DateTime(format="unix", null=True)}
    assert answered(shape, {"at": value}) == {"at": expected}


@pytest.mark.parametrize("value", ["soon", b"x", object()])
def test_what_is_no_date_is_an_error(value: Any) -> None:
    """A programming error is not silent."""
    with pytest.raises((TypeError, ValueError)):
        answered({"at": doc.DateTime(format="unix")}, {"at": value})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: doc.String(read_only=True, write_only=True), "write_only= and read_only="),
        (lambda: doc.String(source="a", compute=len), "source= and compute="),
        (lambda: doc.Object({"a": int}, prefix="a_", source="a"), "source= and prefix="),
        (lambda: doc.String(source="a", write_only=True), "write_only= and source="),
        (lambda: doc.String(source=""), "source=''"),
        (lambda: doc.Object({"a": int}, prefix=cast(Any, 3)), "prefix=3"),
        (lambda: doc.String(compute="x"), "compute='x'"),
        (lambda: doc.String(compute=len, default="x"), "no default"),
        (lambda: doc.DateTime(format="soon"), "format='soon'.*'iso', 'unix', 'unix_ms'"),
        (lambda: doc.Date(format="unix"), "format='unix'.*write 'iso' or"),
        (lambda: doc.DateTime(format=cast(Any, None)), "format=None"),
    ],
)
def test_a_field_that_contradicts_itself_is_refused_where_it_is_written(
    make: Callable[[], Any], message: str
) -> None:
    """A mistake in a declaration stops the start."""
    with pytest.raises(TypeError, match=message):
        make()
