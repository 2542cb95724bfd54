"""Answers that lack a field which their shape requires."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec
import peewee as pw
import pydantic
import pydantic.alias_generators
import pytest
from msgspec import UNSET, UnsetType
from tests.answers import answered, output

import sanic_ms.doc as doc
from sanic_ms.shapes import ShapeMismatch, to_type


class CamelStruct(msgspec.Struct, rename="camel"):
    id: int
    first_name: str


class Other(msgspec.Struct):
    size: int
    weight: int


class CityApi:
    id = doc.Integer("key")
    name = doc.String("name", name="cityName")


class Address:
    street = doc.String(source="line_1")
    city = doc.Object(CityApi, "where", prefix="city_")


class ComputedModel(pydantic.BaseModel):
    first_name: str = pydantic.Field(alias="firstName")

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def greeting(self) -> str:
        """What is said."""
        return f"hello {self.first_name}"


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
