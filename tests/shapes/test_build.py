"""What may be written as a shape, and the type that it stands for."""

from __future__ import annotations

import dataclasses
import enum
import pathlib
import threading
import typing
import uuid
from decimal import Decimal
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NotRequired,
    Optional,
    TypedDict,
    TypeVar,
)

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sanic_ms.doc as doc
from sanic_ms.shapes import (
    dec_hook,
    defaults_of,
    describe,
    filler,
    require_shape,
    schema_hook,
    to_type,
)


class Struct(msgspec.Struct):
    id: int


@dataclasses.dataclass
class Data:
    id: int


class Typed(TypedDict):
    id: int


class Named(NamedTuple):
    id: int


class Pydantic(pydantic.BaseModel):
    id: int


class Colour(enum.Enum):
    RED = "red"


class CityApi:
    """A city."""

    id = doc.Integer("city id")
    name = str


class Annotations:
    id: int
    name: str = "none"
    note: str | None
    constant: typing.ClassVar[int] = 3
    _hidden: int


class Node:
    value = int
    children = doc.List(doc.Object(dict), default=[])


Node.children = doc.List(Node, default=[])


def decode(shape: Any, text: str) -> Any:
    return msgspec.json.decode(text, type=to_type(shape, "input"), dec_hook=dec_hook)


@pytest.mark.parametrize("shape", [Struct, Data, Typed, Pydantic])
def test_a_type_that_msgspec_or_pydantic_knows_is_its_own_type(shape: Any) -> None:
    """Classes with a meaning of their own stay what they are, in both directions."""
    assert to_type(shape, "input") is to_type(shape, "output") is shape
    assert decode(shape, '{"id": 1}') is not None


@pytest.mark.parametrize(
    ("shape", "text", "value"),
    [
        ({"id": int}, '{"id": 1, "more": 2}', {"id": 1}),
        ([{"id": int}], '[{"id": 1}]', [{"id": 1}]),
        ({"a": {"b": [str]}}, '{"a": {"b": ["x"]}}', {"a": {"b": ["x"]}}),
        ({str: int}, '{"x": 1}', {"x": 1}),
        ({}, '{"x": 1}', {"x": 1}),
        ([], "[1]", [1]),
        (CityApi, '{"id": 1, "name": "x"}', {"id": 1, "name": "x"}),
        (list[CityApi], '[{"id": 1, "name": "x"}]', [{"id": 1, "name": "x"}]),
        (CityApi | None, "null", None),
        (Optional[CityApi], '{"id": 1, "name": "x"}', {"id": 1, "name": "x"}),  # noqa: UP045
        (dict[str, CityApi], '{"k": {"id": 1, "name": "x"}}', {"k": {"id": 1, "name": "x"}}),
        (tuple[CityApi, ...], '[{"id": 1, "name": "x"}]', ({"id": 1, "name": "x"},)),
        (Annotated[CityApi, "meta"], '{"id": 1, "name": "x"}', {"id": 1, "name": "x"}),
        (doc.List(CityApi), '[{"id": 1, "name": "x"}]', [{"id": 1, "name": "x"}]),
        ({"id": doc.Integer}, '{"id": 1}', {"id": 1}),
        (Named, "[1]", Named(1)),
        (Literal["a"], '"a"', "a"),
        (Colour, '"red"', Colour.RED),
        (uuid.UUID, f'"{uuid.UUID(int=1)}"', uuid.UUID(int=1)),
        (Decimal, '"1.50"', Decimal("1.50")),
        (pathlib.PurePosixPath, '"/a"', pathlib.PurePosixPath("/a")),
        (None, "null", None),
    ],
)
def test_a_shape_decodes_what_it_says(shape: Any, text: str, value: Any) -> None:
    """Plain data comes out of dict shapes and classes, with the declared keys only."""
    assert decode(shape, text) == value


def test_the_same_shape_is_the_identical_type() -> None:
    """One class gives one type, and so do two dict shapes that say the same."""
    assert to_type(CityApi, "input") is to_type(CityApi, "input")
    assert to_type({"id": int}, "input") is to_type({"id": int}, "input")
    assert to_type({"id": int}, "input") is not to_type({"id": str}, "input")
    assert to_type({"id": int}, "input") is not to_type({"id": int}, "output")
    field = {"id": doc.Integer("x", minimum=1)}
    assert to_type(field, "input") is to_type({"id": doc.Integer("x", minimum=1)}, "input")
    assert to_type(field, "input") is not to_type({"id": doc.Integer("x", minimum=2)}, "input")


def test_metadata_that_cannot_be_hashed_does_not_matter() -> None:
    """Annotated with a list or dict beside the type is a shape like any other."""
    shape = {"id": Annotated[int, ["unhashable"]]}
    assert decode(shape, '{"id": 1}') == {"id": 1}
    other = {"name": Annotated[str, ["unhashable"]]}
    assert decode(other, '{"name": "x"}') == {"name": "x"}
    assert to_type(shape, "input") is to_type(shape, "input") is not to_type(other, "input")


def test_names_of_components_are_stable_and_tell_the_directions_apart() -> None:
    """A class is called by its name in answers, and with Input behind it in requests."""
    assert to_type(CityApi, "output").__name__ == "CityApi"
    assert to_type(CityApi, "input").__name__ == "CityApiInput"
    assert to_type({"a": int}, "output", name="Created").__name__ == "Created"


def test_annotations_with_defaults_make_a_class_a_shape() -> None:
    """``name: str = "x"`` has a default, ``note: str | None`` may be left out and is then None."""
    assert decode(Annotations, '{"id": 1}') == {"id": 1}
    assert defaults_of(Annotations) == {"name": "none", "note": None}
    with pytest.raises(msgspec.ValidationError, match="id"):
        decode(Annotations, "{}")


def test_a_key_that_is_not_required_stays_absent() -> None:
    """NotRequired and ``required=False`` mean that nothing stands in for the key."""
    shape = {"a": NotRequired[int], "b": doc.String(required=False)}
    assert decode(shape, "{}") == {}
    assert defaults_of(shape) == {}


def test_defaults_are_filled_in_at_every_depth() -> None:
    """`filler` works in place, calls functions, and copies lists: no two requests share one."""
    counter = iter(range(10))
    item = {"n": doc.Integer(default=lambda: next(counter)), "tags": doc.List(str, default=[])}
    shape = {"items": [item], "by": {str: item}, "kind": doc.String(default="a", choices=["a"])}
    fill = filler(shape)
    assert fill is not None
    data = decode(shape, '{"items": [{}, {"n": 7}], "by": {"x": {}}}')
    fill(data)
    assert data == {
        "items": [{"n": 0, "tags": []}, {"n": 7, "tags": []}],
        "by": {"x": {"n": 1, "tags": []}},
        "kind": "a",
    }
    assert data["items"][0]["tags"] is not data["items"][1]["tags"]


def test_a_shape_may_lead_back_to_itself() -> None:
    """A class that holds itself is decoded, filled and documented to any depth."""
    text = '{"value": 1, "children": [{"value": 2}]}'
    data = decode(Node, text)
    fill = filler(Node)
    assert fill is not None
    fill(data)
    assert data == {"value": 1, "children": [{"value": 2, "children": []}]}
    assert "NodeInput" in msgspec.json.schema(to_type(Node, "input"))["$defs"]


def test_nothing_has_no_filler() -> None:
    """Where nothing has a default there is nothing to do for each request."""
    assert filler({"a": int}) is None
    assert filler(int) is None
    assert filler(Struct) is None


class One:
    a = int


class Two:
    b = int


@pytest.mark.parametrize("shape", [One | Two, One | Two | None, list[One] | list[Two] | int])
def test_unions_that_msgspec_refuses_are_read_by_trying(shape: Any) -> None:
    """Two objects in a union: the first that the data fits is taken; a misfit names both."""
    data = '[{"b": 1}]' if "list" in str(shape) else '{"b": 1}'
    assert decode(shape, data) in ({"b": 1}, [{"b": 1}])
    with pytest.raises(msgspec.ValidationError, match="Expected a"):
        decode(shape, '{"c": 1}')
    schema = msgspec.json.schema(to_type(shape, "input"), schema_hook=schema_hook)
    assert "TwoInput" in str(schema)


class WithDefault:
    kind = doc.String(choices=["b"])
    size = doc.Integer(default=3)


class Box(msgspec.Struct):
    inner: WithDefault


def test_defaults_reach_what_only_the_hook_knows() -> None:
    """A member of a union, and an object inside a Struct."""
    assert decode(One | WithDefault, '{"kind": "b"}') == {"kind": "b", "size": 3}
    assert vars(decode(Box, '{"inner": {"kind": "b"}}').inner) == {"kind": "b", "size": 3}


def test_the_one_object_of_a_union_is_filled() -> None:
    """Whether the others of the union are scalars or None."""
    for shape in (WithDefault | None, WithDefault | int, int | WithDefault | None):
        fill = filler(shape)
        assert fill is not None
        data: Any = {"kind": "b"}
        fill(data)
        assert data == {"kind": "b", "size": 3}
        for other in (None, 1):
            fill(other)


def test_a_union_of_an_object_and_something_else_is_filled() -> None:
    """Only the object has defaults."""
    shape = WithDefault | list[WithDefault] | int
    fill = filler(shape)
    assert fill is not None
    for text, expected in (
        ('{"kind": "b"}', {"kind": "b", "size": 3}),
        ('[{"kind": "b"}]', [{"kind": "b", "size": 3}]),
        ("1", 1),
    ):
        data = decode(shape, text)
        fill(data)
        assert data == expected


@pytest.mark.parametrize(
    ("shape", "text", "value"),
    [
        (Struct | One, '{"id": 1}', Struct(1)),
        (Struct | One, '{"a": 1}', {"a": 1}),
        (Data | dict[str, str], '{"id": "x"}', {"id": "x"}),
        (Pydantic | int, "3", 3),
        (Named | list[str], '["x"]', ["x"]),
        (str | int | One, '"x"', "x"),
        (pathlib.PurePosixPath | One, '"/a"', pathlib.PurePosixPath("/a")),
    ],
)
def test_any_two_kinds_may_stand_in_a_union(shape: Any, text: str, value: Any) -> None:
    """Also where msgspec has no decoder for the pair."""
    assert decode(shape, text) == value


def test_metadata_that_cannot_be_hashed_has_a_filler_too() -> None:
    """It is compiled without the cache."""
    fill = filler(Annotated[WithDefault, ["unhashable"]])
    data = {"kind": "b"}
    assert fill is not None
    fill(data)
    assert data == {"kind": "b", "size": 3}


class Forward:
    other: Missing  # type: ignore[name-defined]  # noqa: F821


class Service:
    pool: int

    def __init__(self, pool: int) -> None:
        self.pool = pool


CYCLE: dict[str, Any] = {}
CYCLE["self"] = CYCLE


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (1, "write its type"),
        ("User", "it is text"),
        ((int, str), "is not a shape"),
        ([int, str], "one element"),
        ({1: int}, "the key 1"),
        ({"a": {"b": 3}}, "at a.b"),
        ({"a": [{"b": "x"}]}, r"at a\[\].b"),
        (CYCLE, "contains itself"),
        (object, "its values are not data"),
        ({"a": [threading.Thread]}, "threading.Thread is not a shape"),
        (Service, "is not a shape"),
        (Forward, "'Missing'"),
        ({"a": Annotated[int, msgspec.Meta(max_length=3)]}, "max_length"),
        ({"a": doc.Integer(name="x"), "x": int}, "given to two keys"),
        (str | uuid.UUID, "str-like"),
    ],
)
def test_what_is_not_a_shape_is_refused_with_its_place(shape: Any, message: str) -> None:
    """The mistake is named when the program starts, and not at a request."""
    for direction in ("input", "output"):
        with pytest.raises(TypeError, match=message):
            to_type(shape, direction)


def test_a_wrong_direction_is_refused() -> None:
    """There are two directions."""
    with pytest.raises(TypeError, match="direction"):
        to_type(int, "in")  # type: ignore[arg-type]


class Broken:
    good = int
    bad = doc.Object({"x": object})


T = TypeVar("T")


class Boxed(Generic[T]):
    """Nobody can say what its values are written as."""

    def __init__(self, value: T) -> None:
        self.value = value


class Around(msgspec.Struct):
    one: Boxed[int]


@pytest.mark.parametrize("shape", [Boxed, Boxed[int], list[Boxed[int]], Around])
def test_a_generic_class_that_is_no_shape_is_named(shape: Any) -> None:
    """With its arguments or without, alone or inside of another shape."""
    with pytest.raises(TypeError, match=r"test_build\.Boxed is not a shape: its values"):
        to_type(shape, "output")


class Leading:
    """Leads to a class that leads back, and then fails while its keys are collected."""

    back: Back
    wrong = [int, str]  # noqa: RUF012


class Back:
    to: Leading
    name = str


@pytest.mark.parametrize("direction", ["input", "output"])
def test_no_type_without_its_keys_is_found_after_a_failure(direction: Any) -> None:
    """All types that were begun with the one that failed are forgotten: asked for again, or for one
    that leads there, the mistake is named again. Until it is mended: then all keys are there."""

    class Leading:
        wrong = [int, str]  # noqa: RUF012

    class Back:
        to = Leading
        name = str

    for shape in (Leading, Back, Leading, [Leading], Leading | None, {"key": Back}):
        with pytest.raises(TypeError, match="has 2 elements"):
            to_type(shape, direction)
    Leading.wrong = [int]
    data = {"to": {"wrong": [1]}, "name": "x"}
    assert msgspec.convert(data, to_type(Back, direction), dec_hook=dec_hook) == data


def test_a_failure_in_a_circle_leaves_no_type_behind() -> None:
    """Whichever of them is asked for, and in whatever order."""
    for shape in (Leading, Back, Leading, Back):
        with pytest.raises(TypeError, match=r"Leading\.wrong has 2 elements"):
            to_type(shape, "input")


def test_types_that_were_there_before_a_failure_stay_the_same() -> None:
    """An equal dict shape still gives the identical type."""
    shape = {"before": int, "city": CityApi}
    before = to_type(shape, "output"), to_type(CityApi, "output")
    with pytest.raises(TypeError):
        to_type({"city": CityApi, "new": {"x": int}, "bad": Broken}, "output")
    assert (to_type(dict(shape), "output"), to_type(CityApi, "output")) == before


def test_threads_get_one_and_the_same_type() -> None:
    """Shapes may be compiled from several threads at once."""

    class Local:
        id = int
        city = CityApi

    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append(to_type(Local, "input"))) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert len({id(type_) for type_ in found}) == 1


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (CityApi, "a CityApi object"),
        ([CityApi], "a list of CityApi objects"),
        (list[int], "a list of integers"),
        ({"id": int, "name": str}, "an object with id, name"),
        ({}, "an object"),
        (int, "an integer"),
        (CityApi | None, "a CityApi object"),
        (One | Two, "a One object or a Two object"),
        (Literal["a", "b"], "one of 'a', 'b'"),
        (None, "nothing"),
        (Any, "any value"),
        (doc.Integer("x"), "an integer"),
        (Decimal, "a Decimal"),
    ],
)
def test_a_shape_in_words(shape: Any, text: str) -> None:
    """Messages to callers say what was expected."""
    assert describe(shape) == text


@pytest.mark.parametrize("shape", [1, {"a": "x"}, [int, str], {1: int}, [{"a": 3}]])
def test_values_are_refused_at_import_already(shape: Any) -> None:
    """A decorator refuses what no import order can make a shape."""
    with pytest.raises(TypeError):
        require_shape(shape)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (7, "7 is not a shape; "),
        ([7], "7 at [] is not a shape; "),
        ({"a": 7}, "7 at a is not a shape; "),
        ({"a": {"b": [{"c": 7}]}}, "7 at a.b[].c is not a shape; "),
        ([[7]], "7 at [][] is not a shape; "),
    ],
)
def test_the_place_of_what_is_no_shape_is_named(shape: Any, message: str) -> None:
    """By the keys on the way there; the whole has no place."""
    with pytest.raises(TypeError) as caught:
        require_shape(shape)
    assert str(caught.value).startswith(message)


def test_a_member_says_only_what_it_was_given() -> None:
    """A text for people that is not there is no empty text in the document."""

    def schema(field: Any) -> Any:
        whole = msgspec.json.schema(to_type({"a": field}, "input"), schema_hook=schema_hook)
        (component,) = whole["$defs"].values()
        return component["properties"]["a"]

    assert schema(doc.Integer()) == {"type": "integer"}
    assert schema(doc.Integer("Rows.")) == {"type": "integer", "description": "Rows."}
    assert schema(doc.Integer(example=1)) == {"type": "integer", "examples": [1]}
    assert schema(doc.Integer(write_only=True)) == {"type": "integer", "writeOnly": True}


LEAVES = st.sampled_from([int, str, float, bool, Any, list[int], doc.String("text", max_length=9)])
SHAPES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.dictionaries(st.text(min_size=1, max_size=8), inner, min_size=1, max_size=4),
        st.lists(inner, min_size=1, max_size=1),
    ),
    max_leaves=8,
)
VALUES: dict[Any, Any] = {int: 1, str: "x", float: 0.5, bool: True, Any: None, list[int]: [1]}


def value_of(shape: Any) -> Any:
    if isinstance(shape, dict):
        return {key: value_of(inner) for key, inner in shape.items()}
    if isinstance(shape, list):
        return [value_of(shape[0])] * 2
    return "x" if isinstance(shape, doc.String) else VALUES[shape]


@given(SHAPES)
def test_any_dict_shape_takes_its_own_data(shape: Any) -> None:
    """Whatever keys and nesting: data of the shape comes through unchanged, and has a schema."""
    value = value_of(shape)
    text = msgspec.json.encode(value)
    assert msgspec.json.decode(text, type=to_type(shape, "input"), dec_hook=dec_hook) == value
    assert msgspec.json.schema(to_type(shape, "output"), schema_hook=schema_hook) is not None
