"""What an answer holds of rows and objects: every kind of shape, in every place, from every source,
and always as the OpenAPI document shows it."""

from __future__ import annotations

import collections
import copy
import dataclasses
from collections.abc import Callable
from typing import Any, Generic, TypedDict, TypeVar, cast

import msgspec
import peewee as pw
import pydantic
import pydantic.alias_generators
import pytest
from tests.answers import answered

import sanic_ms.doc as doc
from sanic_ms.shapes import ENCODER, dec_hook, projector, to_type

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


def test_two_dict_shapes_that_name_their_keys_otherwise_are_two() -> None:
    """The same key on the wire may stand for other keys of the row."""
    one, two = {"a": doc.String(name="x")}, {"b": doc.String(name="x")}
    assert answered(one, {"a": "1", "b": "2"}) == {"x": "1"}
    assert answered(two, {"a": "1", "b": "2"}) == {"x": "2"}
