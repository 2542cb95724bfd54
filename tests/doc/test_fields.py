"""Fields: what they hold, and what they say in the document."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any, NewType, NotRequired, Optional

import msgspec
import pytest

import sanic_ms.doc as doc
from sanic_ms.openapi.schemas import Schemas
from sanic_ms.shapes import defaults_of, to_type


class City:
    id = doc.Integer("city id")
    name = doc.String("its name", name="city_name")


def convert(field: Any, value: Any) -> Any:
    return msgspec.convert({"x": value}, to_type({"x": field}, "input"))["x"]


def schema(field: Any, direction: Any = "input") -> dict[str, Any]:
    return msgspec.json.schema(to_type(field, direction))


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        (doc.Integer("x"), [1, -1], ["1", 1.5, None, True]),
        (doc.Integer(minimum=1, maximum=3), [1, 3], [0, 4]),
        (doc.Integer(choices=[1, 2]), [1, 2], [3]),
        (doc.Float(minimum=0.5), [0.5, 1], [0.4, "1"]),
        (doc.String(min_length=1, max_length=2), ["a", "ab"], ["", "abc", 1]),
        (doc.String(pattern="^a+$"), ["a", "aa"], ["b", "ab"]),
        (doc.String(choices=["a"]), ["a"], ["b"]),
        (doc.String(null=True, max_length=1), ["a", None], ["ab"]),
        (doc.Boolean(), [True], [1, "true"]),
        (doc.List(), [[], [1, "a"]], [{}, "a"]),
        (doc.List(int, min_items=1, max_items=2), [[1]], [[], [1, 2, 3], ["a"]]),
        (doc.List([int]), [[1]], [["a"]]),
        (doc.Dictionary(), [{}, {"a": 1}], [[]]),
        (doc.Dictionary(int), [{"a": 1}], [{"a": "b"}]),
        (doc.Object({"a": int}), [{"a": 1}], [{"a": "b"}, {}]),
        (doc.Object(City), [{"id": 1, "city_name": "x"}], [{"id": 1, "name": "x"}]),
        (doc.List(doc.Integer(minimum=1)), [[1]], [[0]]),
        (doc.Dictionary(fields={"a": int}), [{"a": 1}], [{"a": "b"}, {}]),
        (doc.Dictionary(fields={}), [{}, {"a": 1}], [[]]),
        (doc.Object(City, object_name="Town"), [{"id": 1, "city_name": "x"}], [{"id": 1}]),
        (doc.Object({"a": int}, object_name="Town"), [{"a": 1}], [{"a": "b"}, {}]),
        (doc.Tuple(), [[], [1, "a"]], [{}, "a"]),
        (doc.Tuple("a pair"), [[1, "a"]], [{}]),
    ],
    ids=repr,
)
def test_a_field_takes_what_it_says(field: Any, good: list[Any], bad: list[Any]) -> None:
    """Types are strict and limits hold."""
    for value in good:
        assert convert(field, value) == value
    for value in bad:
        with pytest.raises(msgspec.ValidationError):
            convert(field, value)


def test_dates_are_read_as_dates() -> None:
    """Text on the wire, Python values in the handler."""
    assert convert(doc.Date(), "2024-05-17") == datetime.date(2024, 5, 17)
    assert convert(doc.DateTime(), "2024-05-17T10:00:00Z").tzinfo is datetime.UTC
    with pytest.raises(msgspec.ValidationError):
        convert(doc.Date(), "17.5.2024")


def test_a_field_says_all_of_itself_in_the_document() -> None:
    """Description, limits, example, format and default."""
    field = doc.String(
        "a name",
        min_length=1,
        max_length=9,
        pattern="^a",
        format="email",
        example="abc",
        default="a",
    )
    assert schema(field) == {
        "type": "string",
        "description": "a name",
        "minLength": 1,
        "maxLength": 9,
        "pattern": "^a",
        "format": "email",
        "examples": ["abc"],
        "default": "a",
    }
    assert "default" not in schema(field, "output")
    assert schema(doc.Integer(minimum=1, maximum=3)) == {
        "type": "integer",
        "minimum": 1,
        "maximum": 3,
    }
    assert schema(doc.DateTime())["format"] == "date-time"
    assert schema(doc.Date())["format"] == "date"
    assert schema(doc.String(choices=["b", "a"]))["enum"] == ["a", "b"]


def test_requests_may_leave_out_what_has_a_default() -> None:
    """A default stands in; ``required=False`` alone leaves the key out; null without a default is
    None."""
    shape = {
        "a": doc.Integer(default=1),
        "b": doc.Integer(required=False),
        "c": doc.Integer(null=True),
        "d": doc.Integer(),
        "e": doc.Integer(null=True, required=True),
        "f": doc.List(default=list),
    }
    assert set(to_type(shape, "input").__required_keys__) == {"d", "e"}
    assert set(to_type(shape, "output").__required_keys__) == {"a", "c", "d", "e", "f"}
    assert defaults_of(shape) == {"a": 1, "c": None, "f": list}


def test_text_in_the_first_place_is_the_description() -> None:
    """Containers may have a description and nothing else."""
    assert schema(doc.List("names")) == {"type": "array", "description": "names"}
    assert schema(doc.Dictionary("anything"))["description"] == "anything"


@pytest.mark.parametrize(
    "make",
    [
        lambda: doc.Integer(3),  # type: ignore[arg-type]
        lambda: doc.Integer(default="x"),
        lambda: doc.Integer(default=None),
        lambda: doc.Integer(minimum=3, default=1),
        lambda: doc.Integer(minimum="a"),  # type: ignore[arg-type]
        lambda: doc.String(choices=["a"], default="b"),
        lambda: doc.String(choices=[1]),
        lambda: doc.String(choices=[]),
        lambda: doc.Float(choices=[0.5]),
        lambda: doc.String(pattern="("),
        lambda: doc.String(max_length=-1),
        lambda: doc.String(max_length="3"),  # type: ignore[arg-type]
        lambda: doc.String(unknown=1),
        lambda: doc.List(3),
        lambda: doc.Object("City"),
        lambda: doc.Object({"a": 1}),
        lambda: doc.Dictionary([int, str]),
        lambda: doc.Dictionary(int, fields={"a": int}),
        lambda: doc.Dictionary(fields={"a": 3}),
        lambda: doc.Object(list[int], object_name="Town"),
        lambda: doc.Object(City, object_name="a town"),
        lambda: doc.Object({"_id": int}, object_name="Town"),
        lambda: doc.Tuple([int, 3]),
        lambda: doc.Tuple(3),  # type: ignore[arg-type]
    ],
)
def test_a_field_that_contradicts_itself_is_refused_at_import(make: Callable[[], Any]) -> None:
    """Where it is written, and not at the first request."""
    with pytest.raises(TypeError):
        make()


def test_a_tuple_has_a_shape_for_each_item() -> None:
    """And so many items."""
    pair = doc.Tuple([int, {"name": doc.String(max_length=3)}], "id and more")
    assert convert(pair, [1, {"name": "ann"}]) == (1, {"name": "ann"})
    for wrong in ([1], [1, {"name": "anna"}], ["1", {"name": "ann"}], [1, {"name": "ann"}, 3]):
        with pytest.raises(msgspec.ValidationError):
            convert(pair, wrong)
    said = schema({"x": pair}, "output")
    (pair_schema,) = (
        found["properties"]["x"] for found in said["$defs"].values() if "x" in found["properties"]
    )
    assert (pair_schema["minItems"], pair_schema["maxItems"]) == (2, 2)
    assert pair_schema["description"] == "id and more"


@pytest.mark.parametrize(
    "shape",
    [
        City,
        {
            "id": doc.Integer("city id"),
            "city_name": doc.String("its name"),
            "more": NotRequired[Optional[int]],  # noqa: UP045 - the old spelling too
            "any": Any,
            "number": NewType("Number", int),
        },
    ],
    ids=["class", "dict"],
)
def test_an_object_may_have_a_name_in_the_document(shape: Any) -> None:
    """``object_name``: it is a component of that name and has all the keys of the shape."""
    schemas = Schemas()
    reference = schemas.of(doc.Object(shape, object_name="Town"), "output")
    assert reference["$ref"] == "#/components/schemas/Town"
    found = schemas.resolve(reference)["properties"]
    plain = schemas.resolve(schemas.of(doc.Object(shape), "output"))["properties"]
    assert found == plain
    again = schemas.of(doc.Object(shape, object_name="Town"), "output")
    assert again == reference
