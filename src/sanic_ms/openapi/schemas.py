"""The schemas of a document: shapes go in, JSON Schema comes out, and what has a name is shared.

Each shape's schema is made by itself and carries what it refers to in ``$defs``. Here those are
taken out into one set of components. Two that have the same name and say the same, all that they
refer to included, are one component; if they say different things the second gets another name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import msgspec

from sanic_ms.shapes import Direction, describe, inner_shapes, schema_hook, to_type

__all__ = ["Schema", "Schemas"]

Schema = dict[str, Any]

_DEFS = "#/$defs/"
_COMPONENTS = "#/components/schemas/"
_ANONYMOUS = re.compile(r"Object_[0-9a-f]{12}")
# Keywords whose value holds schemas by a name that is free: a property may be called "$ref".
_NAMED = frozenset(("properties", "patternProperties", "$defs", "dependentSchemas"))
_ALSO_NUMBERS = ("decimal", "duration")
_DECIMAL = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
# Keywords whose value is data.
_DATA = frozenset(("default", "const", "enum", "examples", "example", "required"))


class Schemas:
    """Collects the schemas of one document. The order of calls decides names, so keep it fixed."""

    def __init__(self) -> None:
        self._components: dict[str, Schema] = {}
        self._names: dict[tuple[str, str], str] = {}  # by name and by everything that it says

    def of(self, shape: Any, direction: Direction) -> Schema:
        """The schema of a shape, referring to components.

        Raises:
            TypeError: it is not a shape, or has no JSON schema.
        """
        type_ = to_type(shape, direction)
        try:
            schema = msgspec.json.schema(
                type_, schema_hook=partial(schema_hook, direction=direction)
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise TypeError(f"{describe(shape)} has no JSON schema: {exc}") from exc
        if direction == "input":
            schema = _as_read(schema)
        orders = dict(_key_orders(type_, direction))
        return self._hoist(schema, direction, orders)

    def add(self, name: str, schema: Schema) -> Schema:
        """Add a component and give a reference to it. A name that is taken gets a number."""
        text = json.dumps(schema, sort_keys=True, default=str)
        if (name, text) not in self._names:
            final = self._names[name, text] = self._free(name)
            self._components[final] = schema
        return {"$ref": f"{_COMPONENTS}{self._names[name, text]}"}

    def resolve(self, schema: Schema) -> Schema:
        """The schema behind a reference, or itself."""
        while isinstance(reference := schema.get("$ref"), str):
            schema = self._components[reference.removeprefix(_COMPONENTS)]
        return schema

    def used_by(self, document: Any) -> dict[str, Schema]:
        """The components that a document refers to, directly or through others, by name."""
        used: dict[str, Schema] = {}
        waiting = [document]
        while waiting:
            for name in _references(waiting.pop(), _COMPONENTS):
                if name in self._components and name not in used:
                    used[name] = self._components[name]
                    waiting.append(used[name])
        return dict(sorted(used.items()))

    def _hoist(
        self, schema: Schema, direction: Direction, orders: Mapping[frozenset[str], tuple[str, ...]]
    ) -> Schema:
        """Take ``$defs`` out of a schema, at every depth."""
        defs: dict[str, Schema] = schema.pop("$defs", {})
        inline = {name: body for name, body in defs.items() if _ANONYMOUS.fullmatch(name)}
        names = {
            name: self._name(name, defs, direction) for name in sorted(defs) if name not in inline
        }

        def visit(node: Schema) -> Schema:
            if "$defs" in node:
                return self._hoist(node, direction, orders)
            reference = node.get("$ref")
            if isinstance(reference, str) and reference.startswith(_DEFS):
                name = reference.removeprefix(_DEFS)
                if name in inline:
                    body = {key: value for key, value in inline[name].items() if key != "title"}
                    return visit({**body, **{k: v for k, v in node.items() if k != "$ref"}})
                node = {**node, "$ref": f"{_COMPONENTS}{names[name]}"}
            if isinstance(mapping := (node.get("discriminator") or {}).get("mapping"), dict):
                targets = {
                    tag: f"{_COMPONENTS}{names[target.removeprefix(_DEFS)]}"
                    for tag, target in mapping.items()
                    if target.startswith(_DEFS)
                }
                node = {**node, "discriminator": {**node["discriminator"], "mapping": targets}}
            return _ordered(_map(node, visit), orders)

        for name, final in names.items():
            if final not in self._components:
                self._components[final] = {}  # it may refer to itself
                body = visit(defs[name])
                # The page shows titles: two components must not look the same.
                self._components[final] = (
                    {**body, "title": final} if body.get("title") == name != final else body
                )
        return visit(schema)

    def _name(self, name: str, defs: Mapping[str, Schema], direction: Direction) -> str:
        key = (name, _closure(name, defs))
        if key not in self._names:
            wanted = name
            is_input = direction == "input" and not name.endswith("Input")
            if wanted in self._taken() and is_input:
                wanted = f"{name}Input"
            self._names[key] = self._free(wanted)
        return self._names[key]

    def _taken(self) -> set[str]:
        return {*self._components, *self._names.values()}

    def _free(self, name: str) -> str:
        name = re.sub(r"[^a-zA-Z0-9._-]", "_", name)
        taken, number, free = self._taken(), 1, name
        while free in taken:
            number += 1
            free = f"{name}_{number}"
        return free


def _as_read(node: Schema) -> Schema:
    """A schema with what is read beside what is written: a number stands for its text too."""
    node = _map(node, _as_read)
    if node.get("type") == "string" and node.get("format") in _ALSO_NUMBERS:
        node["type"] = ["string", "number"]
        if node["format"] == "decimal":
            node.setdefault("pattern", _DECIMAL)
    return node


def _map(node: Schema, visit: Callable[[Schema], Schema]) -> Schema:
    """A copy of a schema with ``visit`` done to each schema inside it."""
    out: Schema = {}
    for key, value in node.items():
        if key in _DATA or key == "discriminator":
            out[key] = value
        elif key in _NAMED:
            out[key] = {name: _visited(inner, visit) for name, inner in value.items()}
        else:
            out[key] = _visited(value, visit)
    return out


def _visited(value: Any, visit: Callable[[Schema], Schema]) -> Any:
    if isinstance(value, dict):
        return visit(value)
    if isinstance(value, list):
        return [_visited(item, visit) for item in value]
    return value


def _ordered(node: Schema, orders: Mapping[frozenset[str], tuple[str, ...]]) -> Schema:
    """msgspec sorts the keys of a TypedDict; people read them in the order they were written."""
    properties = node.get("properties")
    if isinstance(properties, dict):
        order = orders.get(frozenset(properties))
        if order is not None:
            node["properties"] = {key: properties[key] for key in order}
            node["required"] = [key for key in order if key in node.get("required", ())]
        if not node.get("required", True):
            del node["required"]
    return node


def _key_orders(
    type_: Any, direction: Direction
) -> Iterator[tuple[frozenset[str], tuple[str, ...]]]:
    """The order of keys of each TypedDict in a type, by the set of its keys."""
    seen: set[Any] = set()
    waiting: list[Any] = [msgspec.inspect.type_info(type_)]
    while waiting:
        node = waiting.pop()
        if id(node) in seen or not isinstance(node, msgspec.inspect.Type):
            continue
        seen.add(id(node))
        if isinstance(node, msgspec.inspect.TypedDictType):
            keys = tuple(getattr(node.cls, "__annotations__", ()))
            yield frozenset(keys), keys
        if isinstance(node, msgspec.inspect.CustomType) and node.cls not in seen:
            seen.add(node.cls)
            for inner in inner_shapes(node.cls, direction):
                waiting.append(msgspec.inspect.type_info(inner))
        for attribute in ("type", "item_type", "key_type", "value_type"):
            waiting.append(getattr(node, attribute, None))
        for attribute in ("types", "item_types"):
            waiting.extend(getattr(node, attribute, ()))
        waiting.extend(field.type for field in getattr(node, "fields", ()))


def _closure(name: str, defs: Mapping[str, Schema]) -> str:
    """All that a definition says, what it refers to included, as text to compare."""
    found: dict[str, Schema] = {}
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current not in found and current in defs:
            found[current] = defs[current]
            waiting.extend(_references(defs[current], _DEFS))
    return json.dumps(found, sort_keys=True, default=str)


def _references(node: Any, prefix: str) -> Iterator[str]:
    """The names behind a prefix that anything in a piece of JSON refers to."""
    if isinstance(node, dict):
        for value in node.values():
            yield from _references(value, prefix)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item, prefix)
    elif isinstance(node, str) and node.startswith(prefix):
        yield node.removeprefix(prefix)
