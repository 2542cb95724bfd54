"""What an answer holds of rows and objects: every kind of shape, in every place, from every source,
and always as the OpenAPI document shows it."""

from __future__ import annotations

import collections
import copy
import dataclasses
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Annotated, Any, Generic, NotRequired, TypedDict, TypeVar, cast

import msgspec
import peewee as pw
import pydantic
import pydantic.alias_generators
import pytest
from jsonschema import Draft202012Validator
from msgspec import UNSET, UnsetType

import sanic_ms.doc as doc
from sanic_ms.http.envelope import Envelope
from sanic_ms.openapi import build
from sanic_ms.shapes import ENCODER, ShapeMismatch, dec_hook, projector, to_type
from sanic_ms.values.page import Pagination
from sanic_ms.values.route import DocumentedRoute, RouteSpec

WIRE = {"id": 1, "firstName": "Ann"}
SAME = {"id": 1, "first_name": "Ann"}


class CamelStruct(msgspec.Struct, rename="camel"):
    id: int
    first_name: str


class FieldStruct(msgspec.Struct):
    id: int
    first_name: str = msgspec.field(name="firstName")


@dataclasses.dataclass
class SameDataclass:
    id: int
    first_name: str


class SameTyped(TypedDict):
    id: int
    first_name: str


class AliasModel(pydantic.BaseModel):
    id: int
    first_name: str = pydantic.Field(alias="firstName")


class WireAliasModel(pydantic.BaseModel):
    id: int
    first_name: str = pydantic.Field(serialization_alias="firstName")


class GeneratedAliasModel(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(
        alias_generator=pydantic.alias_generators.to_camel, populate_by_name=True
    )
    id: int
    first_name: str


class NamedModel(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(serialize_by_alias=False)
    id: int
    first_name: str = pydantic.Field(alias="firstName")


class ColumnModel(pw.Model):
    first_name = pw.CharField(column_name="firstName")


class FieldClass:
    id = doc.Integer("key")
    first_name = doc.String("first name", name="firstName")


FIELD_DICT = {"id": int, "first_name": doc.String(name="firstName")}


def instance_of_fields() -> FieldClass:
    made = FieldClass()
    made.id, made.first_name = 1, "Ann"  # type: ignore[assignment]
    return made


class Stranger(msgspec.Struct):
    # No shape declares this class.
    id: int = 1
    first_name: str = "Ann"
    password: str = "secret"


class StrangeModel(pydantic.BaseModel):
    id: int = 1
    first_name: str = pydantic.Field(default="Ann", serialization_alias="vorname")
    password: str = "secret"


class StrangeRow(pw.Model):
    first_name = pw.CharField(column_name="vorname")
    password = pw.CharField()


# By name: the shape, the object that is answered, and an instance of the declared class.
KINDS: dict[str, tuple[Any, dict[str, Any], Callable[[], Any]]] = {
    "Struct": (CamelStruct, WIRE, lambda: CamelStruct(1, "Ann")),
    "Struct-field": (FieldStruct, WIRE, lambda: FieldStruct(1, "Ann")),
    "dataclass": (SameDataclass, SAME, lambda: SameDataclass(1, "Ann")),
    "TypedDict": (SameTyped, SAME, lambda: SameTyped(id=1, first_name="Ann")),
    "pydantic": (AliasModel, WIRE, lambda: AliasModel(id=1, firstName="Ann")),
    "pydantic-serialization": (
        WireAliasModel,
        WIRE,
        lambda: WireAliasModel(id=1, first_name="Ann"),
    ),
    "pydantic-generator": (
        GeneratedAliasModel,
        WIRE,
        lambda: GeneratedAliasModel(id=1, first_name="Ann"),
    ),
    "pydantic-by-name": (NamedModel, SAME, lambda: NamedModel(id=1, firstName="Ann")),
    "Peewee": (ColumnModel, WIRE, lambda: ColumnModel(id=1, first_name="Ann")),
    "dict": (FIELD_DICT, WIRE, lambda: dict(WIRE)),
    "class": (FieldClass, WIRE, instance_of_fields),
}
SOURCES: dict[str, Callable[[dict[str, Any], Callable[[], Any]], Any]] = {
    "by-attribute": lambda wire, instance: dict(SAME),
    "by-wire": lambda wire, instance: dict(wire),
    "too-much": lambda wire, instance: {"password": "secret", **SAME},
    "mapping": lambda wire, instance: collections.OrderedDict(SAME, password="secret"),
    "instance": lambda wire, instance: instance(),
    "other-Struct": lambda wire, instance: Stranger(),
    "other-pydantic": lambda wire, instance: StrangeModel(),
    "other-Peewee": lambda wire, instance: StrangeRow(id=1, first_name="Ann", password="secret"),
}
# The shape around a shape, the data around data, and the answer around an answer.
Around = Callable[[Any], Any]
PLACES: dict[str, tuple[Around, Around]] = {
    "single": (lambda shape: shape, lambda data: data),
    "list": (lambda shape: [shape], lambda data: [data, data]),
    "list-annotation": (lambda shape: list[to_type(shape, "output")], lambda data: [data]),  # type: ignore[misc]
    "nested": (lambda shape: {"of": {"it": shape}}, lambda data: {"of": {"it": data}}),
    "nested-list": (lambda shape: [{"of": [shape]}], lambda data: [{"of": [data]}]),
    "values": (lambda shape: {str: shape}, lambda data: {"key": data}),
    "or-none": (lambda shape: doc.Object(shape, null=True), lambda data: data),
    "union": (lambda shape: union_with_other(shape), lambda data: data),
    "page": (lambda shape: [shape], lambda data: [data]),
}


class Other(msgspec.Struct):
    size: int
    weight: int


def union_with_other(shape: Any) -> Any:
    """A union that msgspec has no decoder for."""
    return to_type(shape, "output") | Other


PAGE = Pagination(1, 20, 1, 1)


def answered(shape: Any, data: Any, *, paginated: bool = False, strict: bool = True) -> Any:
    """What a client reads of data; the document of the route is held against it."""
    project = projector(shape, strict=strict)
    kept = data if project is None else project(data)
    envelope = Envelope()
    body = envelope.success_page(kept, PAGE) if paginated else envelope.success(kept)
    answer = msgspec.json.decode(body)
    if strict:
        validate(shape, answer, paginated)
    return answer["data"]


def validate(shape: Any, answer: Any, paginated: bool = False) -> None:
    """Hold an answer against the document of a route that declares the shape, where no key may be
    that the document does not show."""
    route = DocumentedRoute("/x", ("GET",), "x", RouteSpec(), produces=shape, paginated=paginated)
    document = build([route], envelope=Envelope(), title="t", version="1")
    pointer = "#/paths/~1x/get/responses/200/content/application~1json/schema"
    closed(document)
    checker = Draft202012Validator.FORMAT_CHECKER
    Draft202012Validator({**document, "$ref": pointer}, format_checker=checker).validate(answer)


def closed(node: Any) -> None:
    """No object of a document takes more keys than it shows."""
    if isinstance(node, dict):
        if node.get("type") == "object" and "properties" in node:
            node.setdefault("additionalProperties", False)
        for value in node.values():
            closed(value)
    elif isinstance(node, list):
        for value in node:
            closed(value)


def output(shape: Any) -> dict[str, Any]:
    """The schema of an object in answers."""
    route = DocumentedRoute("/x", ("GET",), "x", RouteSpec(), produces=shape)
    document = build([route], envelope=Envelope(), title="t", version="1")
    response = document["paths"]["/x"]["get"]["responses"]["200"]
    schema: dict[str, Any] = response["content"]["application/json"]["schema"]
    schema = schema["properties"]["data"]
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def input_of(shape: Any) -> dict[str, Any]:
    """The schema of an object in requests."""
    schema: dict[str, Any] = msgspec.json.schema(to_type(shape, "input"))
    defs = schema.get("$defs", {})
    found: dict[str, Any] = defs[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return found


def unchanging(data: Any) -> str:
    """All that data holds, as text that can be compared."""
    return repr(
        msgspec.to_builtins(data, enc_hook=lambda value: {**vars(value)}, order="deterministic")
    )


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_has_the_names_on_the_wire(kind: str, source: str, place: str) -> None:
    """Whatever the shape is written as, wherever it stands, and whatever a handler returns for it;
    the document shows the same, and the handler's data is as it was."""
    shape, wire, instance = KINDS[kind]
    shape_around, around = PLACES[place]
    data = around(SOURCES[source](wire, instance))
    before = copy.deepcopy(data)
    shown = answered(shape_around(shape), data, paginated=place == "page")
    assert shown == around(wire)
    assert unchanging(data) == unchanging(before)


@pytest.mark.parametrize("kind", KINDS)
def test_the_name_on_the_wire_counts_where_a_row_has_both(kind: str) -> None:
    """The row says itself what is to be sent under that name."""
    shape, wire, _ = KINDS[kind]
    row = {"first_name": "attribute", "firstName": "wire", "id": 1}
    name = "firstName" if "firstName" in wire else "first_name"
    value = "wire" if name == "firstName" else "attribute"
    assert answered(shape, row) == {"id": 1, name: value}


class Crossed(msgspec.Struct):
    a: int = msgspec.field(name="b")
    b: int = msgspec.field(name="c")


class Swapped(msgspec.Struct):
    a: int = msgspec.field(name="b")
    b: int = msgspec.field(name="a")


@pytest.mark.parametrize(
    ("shape", "row", "expected"),
    [
        (Crossed, {"a": 1, "b": 2}, {"b": 1, "c": 2}),
        (Crossed, {"a": 1, "b": 2, "x": 3}, {"b": 1, "c": 2}),
        (Crossed, {"b": 1, "c": 2}, {"b": 1, "c": 2}),
        (Crossed, {"b": 1, "c": 2, "x": 3}, {"b": 1, "c": 2}),
        (Crossed, Crossed(1, 2), {"b": 1, "c": 2}),
        (Swapped, {"a": 1, "b": 2}, {"a": 1, "b": 2}),
        (Swapped, {"a": 1, "b": 2, "x": 3}, {"a": 1, "b": 2}),
        (Swapped, Swapped(1, 2), {"b": 1, "a": 2}),
    ],
)
def test_a_name_that_is_two_keys_is_read_as_the_whole_row_is(
    shape: Any, row: Any, expected: Any
) -> None:
    """Names on the wire if all of them are there, otherwise those in Python; never a mixture."""
    assert answered(shape, row) == expected


class Town(pw.Model):
    name = pw.CharField()


class Citizen(pw.Model):
    town = pw.ForeignKeyField(Town)
    nick = pw.CharField(column_name="nick_name", null=True)
    hash = doc.write_only(pw.CharField())


@pytest.mark.parametrize(
    "row",
    [
        {"id": 1, "town": 3, "nick": "x"},
        {"id": 1, "town_id": 3, "nick_name": "x", "hash": "secret"},
        {"id": 1, "town": Town(id=3, name="rome"), "nick": "x"},
        {"id": 1, "town": {"id": 3, "name": "rome"}, "nick": "x"},
        Citizen(id=1, town=3, nick="x", hash="secret"),
        Citizen(id=1, town=Town(id=3, name="rome"), nick="x", hash="secret"),
    ],
    ids=["attributes", "columns", "instance-in-row", "row-in-row", "instance", "joined"],
)
def test_a_foreign_key_is_the_key_whatever_stands_for_it(row: Any) -> None:
    """`.dicts()` names it by the attribute, and a join gives the object; the answer has the key."""
    assert answered(Citizen, row) == {"id": 1, "town_id": 3, "nick_name": "x"}
    assert answered([Citizen], [row]) == [{"id": 1, "town_id": 3, "nick_name": "x"}]


class Visitor(pw.Model):
    town = pw.ForeignKeyField(Town, help_text=cast(Any, {"id": int, "name": str}))


@pytest.mark.parametrize("key", ["town", "town_id"])
@pytest.mark.parametrize("town", [{"id": 3, "name": "rome", "x": 1}, Town(id=3, name="rome")])
def test_a_foreign_key_that_is_shown_as_an_object_is_one(key: str, town: Any) -> None:
    """The model's ``help_text`` says what the object has."""
    shown = {"id": 1, "town_id": {"id": 3, "name": "rome"}}
    assert answered(Visitor, {"id": 1, key: town}) == shown


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


# --- what must be there ---------------------------------------------------------------------------


class Required(msgspec.Struct):
    id: int
    nullable: int | None
    default: int = 1
    factory: list[int] = msgspec.field(default_factory=list)
    unset: int | UnsetType = UNSET


@dataclasses.dataclass
class RequiredData:
    id: int
    nullable: int | None
    default: int = 1


class RequiredTyped(TypedDict):
    id: int
    nullable: int | None
    default: NotRequired[int]


class RequiredModel(pydantic.BaseModel):
    id: int
    nullable: int | None
    default: int = 1


class RequiredFields:
    id = int
    nullable = doc.Integer(null=True)
    default = doc.Integer(required=False)


class RequiredColumns(pw.Model):
    nullable = pw.IntegerField(null=True)


REQUIRING = [
    Required,
    RequiredData,
    RequiredTyped,
    RequiredModel,
    RequiredFields,
    RequiredColumns,
    {"id": int, "nullable": int | None, "default": NotRequired[int]},
]
NAMES = ["Struct", "dataclass", "TypedDict", "pydantic", "class", "Peewee", "dict"]


@pytest.mark.parametrize("shape", REQUIRING, ids=NAMES)
def test_a_missing_field_is_found_where_the_document_requires_it(shape: Any) -> None:
    """What has a default or may be left out may stay away; what may be null must be there."""
    assert set(output(shape)["required"]) == {"id", "nullable"}
    row = {"id": 1, "nullable": None}
    assert answered(shape, row) == row
    assert answered([shape], [row, row]) == [row, row]
    for key in row:
        short = {name: value for name, value in row.items() if name != key}
        with pytest.raises(ShapeMismatch) as caught:
            answered(shape, short)
        assert caught.value.path == key
        assert answered(shape, short, strict=False) == short
        with pytest.raises(ShapeMismatch) as caught:
            answered([shape], [row, short])
        assert caught.value.path == f"[1].{key}"


@pytest.mark.parametrize(
    ("shape", "data", "path"),
    [
        (
            {"items": [{"city": CityApi}]},
            {"items": [{"city": {"id": 1}}]},
            "items[0].city.cityName",
        ),
        ({str: CityApi}, {"rome": {"id": 1}}, "rome.cityName"),
        (tuple[CityApi, int], ({"id": 1}, 3), "[0].cityName"),
        (doc.Object(CityApi, null=True), {}, "id"),
        (CamelStruct, Other(1, 2), "id"),
        (Annotated[CamelStruct, "x"], {"id": 1, "name": 2}, "firstName"),
        (Address, {"line_1": "x", "city_id": 1}, "city.cityName"),
        (ComputedModel, {}, "firstName"),
    ],
)
def test_the_path_of_a_missing_field_is_said(shape: Any, data: Any, path: str) -> None:
    """Through objects, lists, dicts and tuples."""
    with pytest.raises(ShapeMismatch) as caught:
        answered(shape, data)
    assert caught.value.path == path


def test_a_missing_field_inside_an_instance_is_found() -> None:
    """A Struct, a dataclass and a NamedTuple hold rows too."""

    class Outer(msgspec.Struct, rename="camel"):
        the_city: CityApi

    @dataclasses.dataclass
    class OuterData:
        the_city: CityApi

    for made, path in ((Outer, "theCity.cityName"), (OuterData, "the_city.cityName")):
        with pytest.raises(ShapeMismatch) as caught:
            answered(made, made({"id": 1}))  # type: ignore[arg-type]
        assert caught.value.path == path


class NeverUnset(msgspec.Struct, rename="camel"):
    the_key: int | UnsetType
    other: int | UnsetType = UNSET


def test_unset_is_a_missing_field_where_the_document_requires_it() -> None:
    """A type that allows UNSET without a default is required all the same."""
    assert output(NeverUnset)["required"] == ["theKey"]
    assert answered(NeverUnset, NeverUnset(1)) == {"theKey": 1}
    with pytest.raises(ShapeMismatch) as caught:
        answered([NeverUnset], [NeverUnset(1), NeverUnset(UNSET)])
    assert caught.value.path == "[1].theKey"
    assert answered(NeverUnset, NeverUnset(UNSET), strict=False) == {}


def test_a_union_takes_the_member_that_lacks_nothing() -> None:
    """And names the first where all do."""
    shape = to_type({"id": int, "name": str}, "output") | Other
    assert answered(shape, {"size": 1, "weight": 2, "id": 3}) == {"size": 1, "weight": 2}
    with pytest.raises(ShapeMismatch, match=r"name is missing, which \{id, name\} requires"):
        answered(shape, {"id": 1})


class Cat(msgspec.Struct, tag=True, rename="camel"):
    first_name: str


class Dog(msgspec.Struct, tag=True, rename="camel"):
    first_name: str
    is_big: bool = False


def test_a_tag_is_added_and_tells_members_apart() -> None:
    """The document requires it; a row that has it says what it is."""
    assert answered(Cat, {"first_name": "x"}) == {"type": "Cat", "firstName": "x"}
    row = {"type": "Cat", "first_name": "x", "is_big": True}
    assert answered(Cat | Dog, row) == {"type": "Cat", "firstName": "x"}
    row = {"type": "Dog", "first_name": "x"}
    assert answered(Cat | Dog, row) == {"type": "Dog", "firstName": "x"}
    assert answered(Cat | Dog, Cat("x")) == {"type": "Cat", "firstName": "x"}


class Tree(msgspec.Struct, rename="camel"):
    the_value: int
    the_children: list[Tree] = []


def test_a_shape_that_holds_itself_is_renamed_at_every_depth() -> None:
    """Recursion ends with the data, and paths lead to its end."""
    tree = {"the_value": 1, "the_children": [{"the_value": 2}]}
    assert answered(Tree, tree) == {"theValue": 1, "theChildren": [{"theValue": 2}]}
    with pytest.raises(ShapeMismatch) as caught:
        answered(Tree, {"the_value": 1, "the_children": [{"the_value": 2, "the_children": [{}]}]})
    assert caught.value.path == "theChildren[0].theChildren[0].theValue"


# --- pydantic in pydantic -------------------------------------------------------------------------


class Inner(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(serialize_by_alias=False, populate_by_name=True)
    a_b: int = pydantic.Field(alias="aB")


class OuterModel(pydantic.BaseModel):
    the_inner: Inner = pydantic.Field(alias="theInner")


class OpenModel(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    a_b: int = pydantic.Field(alias="aB")


@pytest.mark.parametrize(
    "data",
    [
        {"the_inner": {"a_b": 1}},
        {"theInner": {"aB": 1}},
        {"the_inner": Inner.model_validate({"aB": 1})},
        OuterModel(theInner=Inner.model_validate({"aB": 1})),
    ],
    ids=["attributes", "aliases", "instance-in-row", "instance"],
)
def test_the_outermost_model_says_whether_aliases_are_written(data: Any) -> None:
    """As pydantic itself and its schema do."""
    assert answered(OuterModel, data) == {"theInner": {"aB": 1}}
    assert answered(Inner, Inner.model_validate({"aB": 1})) == {"a_b": 1}


def test_a_model_that_takes_more_is_renamed_all_the_same() -> None:
    """Undeclared keys stay, declared ones have their alias."""
    assert answered(OpenModel, {"a_b": 1, "x": 2}) == {"aB": 1, "x": 2}
    assert answered(OpenModel, {"aB": 1, "x": 2}) == {"aB": 1, "x": 2}
    assert answered(OpenModel, OpenModel(aB=1, x=2)) == {"aB": 1, "x": 2}  # type: ignore[call-arg]


T = TypeVar("T")


class Box(msgspec.Struct, Generic[T], rename="camel"):
    the_item: T


class BoxModel(pydantic.BaseModel, Generic[T]):
    the_items: list[T] = pydantic.Field(alias="theItems")
    an_item: T | None = pydantic.Field(None, alias="anItem")


@pytest.mark.parametrize(
    ("shape", "data", "expected"),
    [
        (Box[CamelStruct], {"the_item": SAME}, {"theItem": WIRE}),
        (Box[CamelStruct], Box(SAME), {"theItem": WIRE}),
        (Box[CamelStruct], Box(CamelStruct(1, "Ann")), {"theItem": WIRE}),
        (BoxModel[AliasModel], {"the_items": [SAME]}, {"theItems": [WIRE]}),
        (BoxModel[AliasModel], {"theItems": [], "an_item": SAME}, {"theItems": [], "anItem": WIRE}),
    ],
)
def test_generic_classes_are_renamed_as_others_are(shape: Any, data: Any, expected: Any) -> None:
    """By what they are made of."""
    assert answered(shape, data) == expected


def test_nothing_is_copied_of_rows_that_are_as_they_go_out() -> None:
    """Looking for missing keys is no reason for a copy."""
    rows = [dict(WIRE), dict(WIRE)]
    one, many = projector(CamelStruct, strict=True), projector([CamelStruct], strict=True)
    assert one is not None
    assert many is not None
    assert one(rows[0]) is rows[0]
    assert many(rows) is rows
    assert many([]) == []


# --- instances of a class of fields ---------------------------------------------------------------


class Holder(msgspec.Struct):
    it: FieldClass


def test_an_instance_of_a_class_of_fields_has_its_attributes_by_their_names() -> None:
    """What was read as ``firstName`` is ``.first_name`` in Python, and goes out as it came."""
    read = msgspec.json.decode(
        b'{"it": {"id": 1, "firstName": "Ann"}}', type=Holder, dec_hook=dec_hook
    )
    first_name: Any = read.it.first_name
    assert first_name == "Ann"
    assert msgspec.json.decode(ENCODER.encode(read)) == {"it": WIRE}
    assert answered(Holder, read) == {"it": WIRE}


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


def test_two_dict_shapes_that_name_their_keys_otherwise_are_two() -> None:
    """The same key on the wire may stand for other keys of the row."""
    one, two = {"a": doc.String(name="x")}, {"b": doc.String(name="x")}
    assert answered(one, {"a": "1", "b": "2"}) == {"x": "1"}
    assert answered(two, {"a": "1", "b": "2"}) == {"x": "2"}
