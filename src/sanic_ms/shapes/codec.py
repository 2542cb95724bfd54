"""The hooks that teach msgspec the types it does not know, and the one encoder for answers."""

from __future__ import annotations

import functools
import inspect
import ipaddress
import sys
from functools import partial
from typing import Any

import msgspec

from sanic_ms.shapes.build import to_type
from sanic_ms.shapes.classes import TEXT_CLASSES, is_plain_class, is_pydantic, set_values
from sanic_ms.shapes.columns import columns_of
from sanic_ms.shapes.defaults import filler_of
from sanic_ms.shapes.describe import describe
from sanic_ms.shapes.member import Direction
from sanic_ms.shapes.peewee import is_model
from sanic_ms.shapes.plain import dumps_by_alias, to_plain
from sanic_ms.shapes.projection import Projector, projector
from sanic_ms.shapes.union import OneOf

__all__ = ["ENCODER", "dec_hook", "enc_hook", "inner_shapes", "schema_hook"]

_FORMATS: dict[type, str] = {ipaddress.IPv4Address: "ipv4", ipaddress.IPv6Address: "ipv6"}


def dec_hook(type: Any, obj: Any) -> Any:
    """msgspec's ``dec_hook``: make a value of a type that msgspec does not know.

    pydantic validates its own models (its error is the cause of msgspec's); a Peewee model, or a
    class whose attributes are fields, becomes an instance where it stands inside a Struct or the
    like; paths and IP addresses are made from text.

    Raises:
        ValueError: the data does not fit (msgspec makes its `ValidationError` of it).
        NotImplementedError: the type is not one of these. A shape that went through `to_type`
            never gets here with such a type.
    """
    if is_pydantic(type):
        return type.model_validate(obj)
    if is_model(type):
        data = msgspec.convert(obj, to_type(type, "input"), dec_hook=dec_hook)
        columns = type._meta.columns
        return type(**{columns[name].name: value for name, value in data.items()})
    if not inspect.isclass(type):
        raise NotImplementedError(f"{type!r} cannot be read from JSON")
    if issubclass(type, OneOf):
        return _first_that_fits(type, obj)
    if is_plain_class(type):
        made = type.__new__(type)
        set_values(made, _converted(obj, to_type(type, "input")))
        return made
    if issubclass(type, TEXT_CLASSES):
        if not isinstance(obj, str):
            raise ValueError(f"Expected `str`, got `{obj.__class__.__name__}`")
        return type(obj)
    raise NotImplementedError(f"{type!r} cannot be read from JSON")


def _first_that_fits(one_of: Any, obj: Any) -> Any:
    for member in one_of.members:
        try:
            return _converted(obj, member)
        except msgspec.ValidationError:
            continue
    raise ValueError(f"Expected {' or '.join(map(describe, one_of.members))}")


def _converted(obj: Any, type_: Any) -> Any:
    """What only the hook knows the type of, with its defaults: nobody else can fill them in."""
    data = msgspec.convert(obj, type_, dec_hook=dec_hook)
    fill = filler_of(type_)
    if fill is not None:
        fill(data)
    return data


def enc_hook(obj: Any) -> Any:
    """msgspec's ``enc_hook``: plain data for an object that msgspec does not know.

    pydantic models, Peewee instances and instances made by `dec_hook` (what an answer shows of
    them), mappings and database records, dict views, deques, paths and IP addresses; instances of
    subclasses of ``str``, ``int`` and the like, see `base_value`.

    Raises:
        TypeError: it is none of these; the text names its type.
    """
    cls: Any = type(obj)
    if is_model(cls):
        return columns_of(obj)
    return _projector_of(cls)(obj) if is_plain_class(cls) else to_plain(obj)


@functools.lru_cache(maxsize=4096)
def _projector_of(cls: Any) -> Projector:
    project = projector(cls)
    assert project is not None  # it declares keys
    return project


def schema_hook(type: Any, direction: Direction = "input") -> dict[str, Any]:
    """msgspec's ``schema_hook``: the JSON schema of a type that msgspec does not know.

    References in it point to its own ``$defs``.

    Raises:
        NotImplementedError: the type is not one of those that `dec_hook` makes.
    """
    if is_pydantic(type):
        is_input = direction == "input"
        schema: dict[str, Any] = type.model_json_schema(
            mode="validation" if is_input else "serialization",
            by_alias=is_input or dumps_by_alias(type),
            schema_generator=_pydantic_generator(),
        )
        defs = schema.pop("$defs", {})
        if "$ref" not in schema and type.__name__ not in defs:
            # Under its name, so that a document can share it.
            defs[type.__name__] = schema
            schema = {"$ref": f"#/$defs/{type.__name__}"}
        return {**schema, "$defs": defs}
    hook = partial(schema_hook, direction=direction)
    if is_model(type) or is_plain_class(type):
        return msgspec.json.schema(to_type(type, direction), schema_hook=hook)
    if inspect.isclass(type) and issubclass(type, OneOf):
        options, components = msgspec.json.schema_components(type.members, schema_hook=hook)
        return {"anyOf": list(options), "$defs": components}
    if inspect.isclass(type) and issubclass(type, TEXT_CLASSES):
        format_ = _FORMATS.get(type)
        return {"type": "string"} if format_ is None else {"type": "string", "format": format_}
    raise NotImplementedError(f"{type!r} has no JSON schema")


@functools.cache
def _pydantic_generator() -> Any:
    """What draws a type that pydantic cannot describe as any value: it costs no document."""
    base = sys.modules["pydantic.json_schema"].GenerateJsonSchema  # imported with the first model

    def draw_any(self: Any, schema: Any, error_info: str) -> dict[str, Any]:
        return {}

    return type("Generator", (base,), {"handle_invalid_for_json_schema": draw_any})


def inner_shapes(type: Any, direction: Direction) -> tuple[Any, ...]:
    """The types that stand behind one which msgspec does not know and our hooks take apart."""
    if is_model(type) or is_plain_class(type):
        return (to_type(type, direction),)
    if inspect.isclass(type) and issubclass(type, OneOf):
        return type.members
    return ()


ENCODER = msgspec.json.Encoder(enc_hook=enc_hook, decimal_format="string")
"""Encodes every answer. A `Decimal` is written as text: a JSON number would lose digits in most
clients."""
