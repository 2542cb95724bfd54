"""Only what the shape declares leaves the service."""

from __future__ import annotations

import collections
import copy
import dataclasses
import enum
import pathlib
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple, TypedDict

import msgspec
import peewee as pw
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sanic_ms.doc as doc
from sanic_ms.shapes import ENCODER, projector


class Public:
    id = int
    name = str


class Account(msgspec.Struct):
    id: int
    name: str
    password: str = "secret"


class PublicStruct(msgspec.Struct):
    id: int
    name: str


class Wide(PublicStruct):
    password: str = "secret"


@dataclasses.dataclass
class PublicData:
    id: int
    name: str


@dataclasses.dataclass
class WideData(PublicData):
    password: str = "secret"


class PublicTyped(TypedDict):
    id: int
    name: str


class PublicModel(pydantic.BaseModel):
    id: int
    name: str


class WideModel(PublicModel):
    password: str = "secret"


class Row(pw.Model):
    name = pw.CharField()


class WideRow(Row):
    password = pw.CharField()


class Kind(enum.Enum):
    A = "a"


class Record:
    """Like a record of a driver: it iterates over values and has keys."""

    def __init__(self, **data: Any) -> None:
        self._data = data

    def __iter__(self) -> Any:
        return iter(self._data.values())

    def keys(self) -> Any:
        return self._data.keys()

    def __getitem__(self, key: str) -> Any:
        return self._data[key]


WIDE = {"id": 1, "name": "x", "password": "secret"}
SHAPES = [
    Public,
    PublicStruct,
    PublicData,
    PublicTyped,
    PublicModel,
    Row,
    {"id": int, "name": str},
    Public | None,
    doc.Object(Public),
    Public | int,
]
OBJECTS = [
    WIDE,
    collections.OrderedDict(WIDE),
    Account(1, "x"),
    Wide(1, "x"),
    WideData(1, "x"),
    WideModel(id=1, name="x"),
    WideRow(id=1, name="x", password="secret"),
    Record(**WIDE),
]


def project(shape: Any, data: Any) -> Any:
    function = projector(shape)
    return data if function is None else function(data)


def sent(shape: Any, data: Any) -> Any:
    """What a caller gets."""
    return msgspec.json.decode(ENCODER.encode(project(shape, data)))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("data", OBJECTS, ids=lambda data: type(data).__name__)
def test_an_undeclared_key_never_leaves(shape: Any, data: Any) -> None:
    """Whatever the shape is written as, and whatever the handler returns."""
    assert sent(shape, data) == {"id": 1, "name": "x"}
    assert sent([shape], [data, data]) == [{"id": 1, "name": "x"}] * 2
    assert sent({"inner": shape}, {"inner": data}) == {"inner": {"id": 1, "name": "x"}}
    assert sent({str: shape}, {"key": data}) == {"key": {"id": 1, "name": "x"}}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_one_where_many_are_declared_is_cut_down_too(shape: Any) -> None:
    """A wrong declaration does not open the door."""
    assert sent([shape], WIDE) == {"id": 1, "name": "x"}
    assert sent(shape, [WIDE]) == [{"id": 1, "name": "x"}]
    assert sent(shape, collections.deque([WIDE])) == [{"id": 1, "name": "x"}]
    assert sent([shape], {1: WIDE}.values()) == [{"id": 1, "name": "x"}]


@pytest.mark.parametrize("shape", [dict, int, None, Any, [int], {}, list, dict[str, int], str])
def test_a_shape_that_declares_no_keys_has_nothing_to_do(shape: Any) -> None:
    """The request pays nothing where nothing could be dropped."""
    assert projector(shape) is None


def test_a_union_with_any_object_lets_every_object_through() -> None:
    """``User | dict`` declares nothing."""
    assert projector(Public | dict) is None


def test_nothing_is_copied_where_nothing_is_dropped() -> None:
    """The fast path gives the handler's own data back."""
    row = {"id": 1, "name": "x"}
    rows = [row, dict(row)]
    nested = {"rows": rows, "city": None}
    assert project(Public, row) is row
    assert project([Public], rows) is rows
    assert project({"rows": [Public], "city": Public | None}, nested) is nested
    struct = PublicStruct(1, "x")
    assert project(PublicStruct, struct) is struct


class Owner(msgspec.Struct, frozen=True, tag="owner"):
    public: Public
    any: Any = None


class Pair(NamedTuple):
    left: Public
    right: int


@dataclasses.dataclass(frozen=True)
class Holder:
    public: PublicStruct


def test_values_inside_declared_instances_are_cut_down() -> None:
    """A Struct of the declared class may still hold more than it declares."""
    public = {"id": 1, "name": "x"}
    expected = {"type": "owner", "public": public, "any": None}
    assert sent(Owner, Owner(WIDE)) == expected  # type: ignore[arg-type]
    assert sent(Holder, Holder(Wide(1, "x"))) == {"public": public}
    assert sent(Pair, Pair(WIDE, 3)) == [public, 3]  # type: ignore[arg-type]
    assert sent(tuple[Public, int], (WIDE, 3)) == [public, 3]
    assert sent(tuple[Public, ...], (WIDE, WIDE)) == [public, public]


class City:
    id = int
    inhabitants = int


@dataclasses.dataclass
class Open:
    """The same, and it may be changed."""

    public: Public


class OpenStruct(msgspec.Struct):
    public: Public
    more: list[Public]


@pytest.mark.parametrize(
    ("shape", "make"),
    [
        (Public, lambda: dict(WIDE)),
        (Public, lambda: collections.OrderedDict(WIDE)),
        (PublicStruct, lambda: Wide(1, "x")),
        (PublicStruct, lambda: Account(1, "x")),
        (PublicData, lambda: WideData(1, "x")),
        (PublicModel, lambda: WideModel(id=1, name="x")),
        (Row, lambda: WideRow(id=1, name="x", password="secret")),
        (Owner, lambda: Owner(dict(WIDE))),  # type: ignore[arg-type]
        (Holder, lambda: Holder(Wide(1, "x"))),
        (Open, lambda: Open(dict(WIDE))),  # type: ignore[arg-type]
        (OpenStruct, lambda: OpenStruct(dict(WIDE), [dict(WIDE)])),  # type: ignore[arg-type,list-item]
        (Pair, lambda: Pair(dict(WIDE), 3)),  # type: ignore[arg-type]
        (tuple[Public, int], lambda: [dict(WIDE), 3]),
        ([Public], lambda: [dict(WIDE), {"id": 2, "name": "y"}]),
        (set[PublicStruct], lambda: [Wide(1, "x")]),
        ({str: Public}, lambda: {"key": dict(WIDE)}),
        ({"inner": Public, "many": [Public]}, lambda: {"inner": dict(WIDE), "many": [dict(WIDE)]}),
        ({"inner": {"inner": Public}}, lambda: {"inner": {"inner": dict(WIDE)}}),
        (Public | int, lambda: dict(WIDE)),
        (PublicStruct | City, lambda: dict(WIDE)),
        (list[Public] | list[City], lambda: [dict(WIDE)]),
    ],
)
@pytest.mark.parametrize("depth", [0, 1])
def test_the_handlers_own_object_is_not_changed(
    shape: Any, make: Callable[[], Any], depth: int
) -> None:
    """It may be a cached one: what is left out of the answer stays in it, at every depth, and the
    second answer is as the first."""
    data = {"rows": [make(), make()]} if depth else make()
    function = projector({"rows": [shape]} if depth else shape)
    assert function is not None
    before = ENCODER.encode(data)
    answers = {ENCODER.encode(function(data)) for _ in range(2)}
    assert ENCODER.encode(data) == before
    assert b"secret" in before
    assert len(answers) == 1
    assert b"secret" not in answers.pop()


class Cat(msgspec.Struct, tag=True):
    name: str


class Dog(msgspec.Struct, tag=True):
    name: str
    tricks: list[Public]


@pytest.mark.parametrize(
    ("shape", "data", "expected"),
    [
        (Public | City, WIDE, {"id": 1, "name": "x"}),
        (Public | City, {"id": 1, "inhabitants": 2, "x": 1}, {"id": 1, "inhabitants": 2}),
        (list[Public] | list[City], [WIDE], [{"id": 1, "name": "x"}]),
        (Cat | Dog, Cat("c"), {"type": "Cat", "name": "c"}),
        (
            Cat | Dog,
            Dog("d", [WIDE]),  # type: ignore[list-item]
            {"type": "Dog", "name": "d", "tricks": [{"id": 1, "name": "x"}]},
        ),
        (Public | City | int, 3, 3),
        (Public | City | None, None, None),
    ],
)
def test_of_several_objects_the_one_that_fits_is_declared(
    shape: Any, data: Any, expected: Any
) -> None:
    """A union keeps the keys of one member, never those of all."""
    assert sent(shape, data) == expected


class Node:
    value = int
    children: list[Node]


def test_a_shape_that_holds_itself_is_cut_down_at_every_depth() -> None:
    """Recursion ends with the data."""
    tree = {"value": 1, "x": 1, "children": [{"value": 2, "x": 1, "children": []}]}
    assert sent(Node, tree) == {"value": 1, "children": [{"value": 2, "children": []}]}


@pytest.mark.parametrize("value", [None, 1, "x", 1.5, True, Decimal("1.5"), b"x"])
def test_scalars_pass(value: Any) -> None:
    """What has no keys cannot have too many."""
    assert project(Public, value) is value


class DriversUUID(uuid.UUID):
    """Like that of asyncpg."""


@pytest.mark.parametrize(
    "value", [DriversUUID(int=1), Kind.A, pathlib.PurePosixPath("/a"), uuid.UUID(int=1)]
)
def test_an_id_stays_where_its_object_was_not_fetched(value: Any) -> None:
    """``help_text=CityApi`` declares an object; the row has its id, of whatever class."""
    assert project({"city_id": Public}, {"city_id": value})["city_id"] is value


def test_pydantic_models_that_declare_more_let_more_through() -> None:
    """``extra="allow"``, and a root model, which has no keys of its own."""

    class Open(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")

    class Root(pydantic.RootModel[dict[str, PublicModel]]):
        pass

    assert projector(Open) is None
    assert sent(Root, {"a": WIDE}) == {"a": {"id": 1, "name": "x"}}
    assert sent(Root, Root({"a": PublicModel(id=1, name="x")})) == {"a": {"id": 1, "name": "x"}}


def test_what_is_no_data_is_named() -> None:
    """A generator or a client instead of data: the type stands in the error."""
    with pytest.raises(TypeError, match="generator"):
        project([Public], (row for row in [WIDE]))


def test_a_row_of_text_that_looks_like_keys_does_not_pass() -> None:
    """The fast path is for dicts alone: a record whose values are names of keys is taken apart."""
    assert sent([Public], [Record(id="id", name="name", password="id")]) == [
        {"id": "id", "name": "name"}
    ]


KEYS = st.sampled_from(["id", "name", "password", "inner", "list"])
DATA = st.recursive(
    st.one_of(st.none(), st.integers(), st.text()),
    lambda inner: st.one_of(st.dictionaries(KEYS, inner, max_size=5), st.lists(inner, max_size=3)),
    max_leaves=20,
)
TREE = {"id": int, "inner": {"id": int, "list": [{"name": str}]}, "list": [{"id": int}]}


@given(DATA)
def test_whatever_the_data_is_undeclared_keys_are_gone_and_it_is_not_changed(data: Any) -> None:
    """The answer has no ``password`` at a declared place, and the handler's data is as it was."""
    before = copy.deepcopy(data)
    out = project(TREE, data)
    assert data == before

    def check(value: Any, shape: Any) -> None:
        if isinstance(value, list):
            for item in value:
                check(item, shape[0] if isinstance(shape, list) else shape)
        elif isinstance(value, dict):
            shape = shape[0] if isinstance(shape, list) else shape
            if isinstance(shape, dict):
                assert value.keys() <= shape.keys()
                for key, inner in value.items():
                    check(inner, shape[key])

    check(out, TREE)
