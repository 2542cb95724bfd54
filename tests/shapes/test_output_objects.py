"""Responses made of objects that are neither rows nor instances of the declared shape."""

from __future__ import annotations

import types
from collections import ChainMap, UserDict, deque
from collections.abc import Iterator
from typing import Any, NamedTuple, TypedDict

import msgspec
import pydantic
import pytest
from msgspec import UNSET, UnsetType
from sqlalchemy import orm
from tests.answers import answered

import sanic_ms.doc as doc
from sanic_ms.shapes import ShapeMismatch, projector


class CamelGuest(msgspec.Struct, rename="camel"):
    id: int
    first_name: str


class TypedGuest(TypedDict):
    id: int
    first_name: str


class ModelGuest(pydantic.BaseModel):
    id: int
    first_name: str


class FieldGuest:
    id = doc.Integer("key")
    first_name = doc.String(compute=lambda row: row["first_name"])


class Ordinary:
    """A class with a constructor, as most are."""

    def __init__(self, id: int, first_name: str) -> None:
        self.id = id
        self.first_name = first_name
        self.password = "secret"
        self._session = object()


class Slotted:
    __slots__ = ("first_name", "id")

    def __init__(self, id: int, first_name: str) -> None:
        self.id = id
        self.first_name = first_name


class Computing:
    def __init__(self, id: int, first_name: str) -> None:
        self.id = id
        self.names = [first_name]

    @property
    def first_name(self) -> str:
        return self.names[0]


class Pair(NamedTuple):
    id: int
    first_name: str


class Entities(orm.DeclarativeBase):
    pass


class Entity(Entities):
    __tablename__ = "guests"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    first_name: orm.Mapped[str]
    password: orm.Mapped[str]


OBJECTS: dict[str, Any] = {
    "ordinary": Ordinary(1, "Ann"),
    "namespace": types.SimpleNamespace(id=1, first_name="Ann", password="secret"),
    "namedtuple": Pair(1, "Ann"),
    "entity": Entity(id=1, first_name="Ann", password="secret"),
}
ON_DEMAND = {"slots": Slotted(1, "Ann"), "property": Computing(1, "Ann")}


@pytest.mark.parametrize("kind", [*OBJECTS, *ON_DEMAND])
@pytest.mark.parametrize(
    "shape", [CamelGuest, TypedGuest, ModelGuest], ids=lambda cls: cls.__name__
)
def test_an_object_of_any_class_has_the_declared_attributes(shape: Any, kind: str) -> None:
    """The declared attributes and nothing else, by itself, in a list and inside another shape."""
    guest = {**OBJECTS, **ON_DEMAND}[kind]
    wire = "firstName" if shape is CamelGuest else "first_name"
    expected = {"id": 1, wire: "Ann"}
    assert answered(shape, guest) == expected
    assert answered(list[shape], [guest, guest]) == [expected, expected]
    assert answered({"guest": shape}, {"guest": guest, "password": "x"}) == {"guest": expected}


@pytest.mark.parametrize("kind", OBJECTS)
def test_a_computed_field_is_made_of_the_attributes_of_any_object(kind: str) -> None:
    """The function gets a dict, as for rows and for instances."""
    assert answered(FieldGuest, OBJECTS[kind]) == {"id": 1, "first_name": "Ann"}


def test_an_object_that_lacks_an_attribute_lacks_a_field() -> None:
    """It is found as a missing field is, and not answered without it."""
    project = projector(CamelGuest, strict=True)
    assert project is not None
    with pytest.raises(ShapeMismatch, match="firstName is missing"):
        project(types.SimpleNamespace(id=1))


def generate() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    "data",
    [object(), generate(), generate, CamelGuest, types, Ordinary.__init__],
    ids=["object", "generator", "function", "class", "module", "method"],
)
def test_an_object_without_data_is_an_error(data: Any) -> None:
    """A forgotten call or ``await`` is no empty response."""
    project = projector(CamelGuest)
    assert project is not None
    with pytest.raises(TypeError, match="cannot be written as JSON"):
        project(data)


class Optional(msgspec.Struct, rename="camel"):
    id: int
    nick_name: str | UnsetType = UNSET


class NeverUnset(msgspec.Struct):
    id: int
    name: str | UnsetType


@pytest.mark.parametrize("key", ["nick_name", "nickName"])
def test_unset_in_a_row_is_a_key_that_is_not_there(key: str) -> None:
    """As in an instance; the row itself stays as it was."""
    row = {"id": 1, key: UNSET}
    assert answered(Optional, row) == {"id": 1}
    assert answered(list[Optional], [row, {"id": 2, key: "x"}]) == [
        {"id": 1},
        {"id": 2, "nickName": "x"},
    ]
    assert row == {"id": 1, key: UNSET}
    project = projector(NeverUnset, strict=True)
    assert project is not None
    with pytest.raises(ShapeMismatch, match="name is missing"):
        project({"id": 1, "name": UNSET})


class Point(msgspec.Struct, array_like=True):
    x: int
    y: int
    label: str = ""


class Circle(msgspec.Struct, array_like=True, tag="circle"):
    centre: Point


class Box(msgspec.Struct, array_like=True, tag="box"):
    corners: list[Point]


def test_a_struct_that_is_an_array_is_one_for_rows_too() -> None:
    """The values in the declared order, whatever the handler returns."""
    row = {"label": "a", "y": 2, "x": 1, "secret": 3}
    assert answered(Point, row) == [1, 2, "a"]
    assert answered(Point, {"y": 2, "x": 1}) == [1, 2]
    assert answered(Point, Point(1, 2, "a")) == [1, 2, "a"]
    assert answered(list[Point], [row, Point(3, 4)]) == [[1, 2, "a"], [3, 4, ""]]
    assert answered(Circle | Box, {"centre": row}) == ["circle", [1, 2, "a"]]
    assert answered(Circle | Box, {"corners": [row]}) == ["box", [[1, 2, "a"]]]
    project = projector(Point, strict=True)
    assert project is not None
    with pytest.raises(ShapeMismatch, match="y is missing"):
        project({"x": 1})


class Rows(list[Any]):
    """A list of a class of its own, as ORMs give them."""


ROW = {"id": 1, "first_name": "Ann", "password": "secret"}
CUT = {"id": 1, "firstName": "Ann"}


@pytest.mark.parametrize("container", [types.MappingProxyType, UserDict, ChainMap])
def test_a_mapping_of_any_class_holds_what_is_declared(container: Any) -> None:
    """What it holds is cut down as that of a dict is."""
    assert answered(dict[str, CamelGuest], container({"k": ROW})) == {"k": CUT}
    data = {"outer": container({"k": ROW})}
    assert answered(dict[str, dict[str, CamelGuest]], data) == {"outer": {"k": CUT}}


@pytest.mark.parametrize("container", [Rows, deque, list])
def test_a_list_of_any_class_holds_what_is_declared(container: Any) -> None:
    """Also where its items are no objects: mappings, tuples and lists."""
    assert answered(list[CamelGuest], container([ROW])) == [CUT]
    assert answered(list[list[CamelGuest]], container([container([ROW])])) == [[CUT]]
    assert answered(list[dict[str, CamelGuest]], container([{"k": ROW}])) == [{"k": CUT}]
    assert answered(list[tuple[CamelGuest, int]], container([(ROW, 1)])) == [[CUT, 1]]
    assert answered(tuple[CamelGuest, int], container([ROW, 1])) == [CUT, 1]


def test_a_list_where_a_mapping_is_declared_does_not_fail_open() -> None:
    """Its items are projected one by one, as they are where one object is declared."""
    project = projector(dict[str, CamelGuest])
    assert project is not None
    assert project([{"k": ROW}]) == [{"k": CUT}]


@pytest.mark.parametrize(
    "guest", [ROW, CamelGuest(1, "Ann"), *OBJECTS.values()], ids=["row", "struct", *OBJECTS]
)
def test_an_object_of_a_union_with_a_mapping_is_cut_down(guest: Any) -> None:
    """An object with any keys is one whose values are objects themselves: a row is none."""
    either = dict[str, CamelGuest] | CamelGuest
    assert answered(either, guest) == CUT
    assert answered(either, {"k": guest}) == {"k": CUT}
    many = dict[str, CamelGuest] | list[CamelGuest]
    assert answered(many, [guest, guest]) == [CUT, CUT]
    assert answered(many, {"k": guest}) == {"k": CUT}
    lists = list[CamelGuest] | list[Optional]
    assert answered(lists, [guest]) == [CUT]
    assert answered(lists, [{"id": 2, "nick_name": "x"}]) == [{"id": 2, "nickName": "x"}]
