"""The hooks that teach msgspec further types."""

from __future__ import annotations

import collections
import datetime
import ipaddress
import pathlib
import uuid
from decimal import Decimal
from typing import Any

import asyncpg.pgproto.pgproto
import msgspec
import pydantic
import pytest

import sanic_ms.doc as doc
from sanic_ms.shapes import ENCODER, dec_hook, schema_hook, to_type


class Inner(pydantic.BaseModel):
    at: datetime.date


class Outer(pydantic.BaseModel):
    inner: Inner
    size: int = pydantic.Field(alias="Size")


class Holder(msgspec.Struct):
    outer: Outer
    path: pathlib.PurePosixPath
    ip: ipaddress.IPv4Address


def test_pydantic_models_are_read_and_written_by_pydantic() -> None:
    """With aliases, nested, alone and inside other types."""
    text = b'{"outer":{"inner":{"at":"2024-05-17"},"Size":3},"path":"/a","ip":"10.0.0.1"}'
    value = msgspec.json.decode(text, type=to_type(Holder, "input"), dec_hook=dec_hook)
    assert value.outer.inner.at == datetime.date(2024, 5, 17)
    assert ENCODER.encode(value) == text


def test_what_pydantic_refuses_is_a_validation_error_with_the_cause() -> None:
    """Its own error, with every field, is the cause."""
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(b'{"inner":{}}', type=Outer, dec_hook=dec_hook)
    assert isinstance(caught.value.__cause__, pydantic.ValidationError)
    assert len(caught.value.__cause__.errors()) == 2


@pytest.mark.parametrize("value", ["no-address", 3, None])
def test_text_types_refuse_what_they_cannot_be_made_of(value: Any) -> None:
    """A wrong address is the caller's fault."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(value, ipaddress.IPv4Address, dec_hook=dec_hook)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1.10"), '"1.10"'),
        ({1}, "[1]"),
        (frozenset([1]), "[1]"),
        (memoryview(b"x"), '"eA=="'),
        (pathlib.PurePosixPath("/a"), '"/a"'),
        (ipaddress.IPv6Address("::1"), '"::1"'),
        (collections.deque([1]), "[1]"),
        ({"a": 1}.keys(), '["a"]'),
        ({"a": 1}.values(), "[1]"),
        (collections.ChainMap({"a": 1}), '{"a":1}'),
        (datetime.timedelta(hours=1), '"PT3600S"'),
        (uuid.UUID(int=1), f'"{uuid.UUID(int=1)}"'),
        (asyncpg.pgproto.pgproto.UUID(uuid.UUID(int=1).hex), f'"{uuid.UUID(int=1)}"'),
    ],
)
def test_what_handlers_return_is_written(value: Any, text: str) -> None:
    """Decimal as text: a number would lose digits in most clients."""
    assert ENCODER.encode(value).decode() == text


@pytest.mark.parametrize("value", [object(), (n for n in "ab"), int.bit_length, pytest])
def test_what_is_no_data_is_an_error_that_names_its_type(value: Any) -> None:
    """The text says what to return instead."""
    with pytest.raises(TypeError, match=r"(object|generator|method\w*|module) cannot be written"):
        ENCODER.encode(value)


def test_unknown_types_are_no_fault_of_the_caller() -> None:
    """NotImplementedError passes through msgspec; a TypeError would become a 422."""
    with pytest.raises(NotImplementedError):
        msgspec.convert({}, object, dec_hook=dec_hook)
    with pytest.raises(NotImplementedError):
        schema_hook(object)
    with pytest.raises(NotImplementedError):
        dec_hook(list[int], [])


class Handle:
    """No type of data, as a library may have."""


def test_a_type_that_pydantic_cannot_describe_is_any_value() -> None:
    """The rest of the model, and of the document, is shown all the same."""

    class Open(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)

        name: str
        handle: Handle

    for direction in ("input", "output"):
        model = schema_hook(Open, direction)["$defs"]["Open"]
        assert model["properties"]["name"]["type"] == "string"
        assert model["properties"]["handle"] == {"title": "Handle"}
        assert model["required"] == ["name", "handle"]


class City:
    name = doc.String("name", max_length=3)


class Trip(msgspec.Struct):
    cities: list[City]


def test_a_class_of_fields_inside_a_struct_becomes_an_instance() -> None:
    """A Struct's attribute is what its annotation says, and its limits hold."""
    trip = msgspec.json.decode(
        b'{"cities":[{"name":"x","y":1}]}', type=to_type(Trip, "input"), dec_hook=dec_hook
    )
    assert isinstance(trip.cities[0], City)
    assert vars(trip.cities[0]) == {"name": "x"}
    assert ENCODER.encode(trip) == b'{"cities":[{"name":"x"}]}'
    with pytest.raises(msgspec.ValidationError, match="length"):
        msgspec.json.decode(b'{"cities":[{"name":"long"}]}', type=Trip, dec_hook=dec_hook)
    schema = msgspec.json.schema(to_type(Trip, "input"), schema_hook=schema_hook)
    assert "maxLength" in str(schema)


def test_a_schema_follows_the_direction() -> None:
    """A computed field is in answers only."""

    class Computed(pydantic.BaseModel):
        size: int

        @pydantic.computed_field  # type: ignore[prop-decorator]
        @property
        def double(self) -> int:
            return self.size * 2

    assert "double" not in schema_hook(Computed, "input")["$defs"]["Computed"]["properties"]
    assert "double" in schema_hook(Computed, "output")["$defs"]["Computed"]["properties"]
    assert schema_hook(ipaddress.IPv4Address) == {"type": "string", "format": "ipv4"}
    assert schema_hook(pathlib.Path) == {"type": "string"}
