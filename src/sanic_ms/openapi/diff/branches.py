"""A JSON Schema in a form that can be compared: a union of branches, each without references.

``$ref`` is followed, ``allOf`` is merged into what stands around it, ``anyOf`` and ``oneOf`` become
branches. Only one level is unfolded at a time, so that a schema may refer to itself. The keywords
are those of OpenAPI 3.1 (JSON Schema 2020-12), and ``nullable`` of 3.0.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["TYPES", "Branch", "Document", "Node", "joined", "pointer_to"]

TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
"""The names that the keyword ``type`` knows."""

# Keywords that say nothing about which values are valid.
_ANNOTATIONS = {
    "$comment",
    "$id",
    "$schema",
    "default",
    "deprecated",
    "description",
    "discriminator",
    "example",
    "examples",
    "externalDocs",
    "title",
    "xml",
}

_MOST_BRANCHES = 128
_APPLIED = ("$ref", "allOf", "anyOf", "oneOf")
_ONE_SCHEMA = ("additionalProperties", "contains", "items", "propertyNames")
_SCHEMAS_BY_NAME = ("patternProperties", "properties")
_KINDS: dict[str, Any] = {
    **dict.fromkeys(_ONE_SCHEMA, (Mapping, bool)),
    **dict.fromkeys(_SCHEMAS_BY_NAME, Mapping),
    **dict.fromkeys(("enum", "prefixItems", "required"), list),
    **dict.fromkeys(("minLength", "minItems", "minProperties", "minContains"), int),
    **dict.fromkeys(("maxLength", "maxItems", "maxProperties", "maxContains"), int),
    **dict.fromkeys(("minimum", "maximum", "multipleOf"), (int, float)),
    **dict.fromkeys(("exclusiveMinimum", "exclusiveMaximum"), (int, float)),
}


class Node(NamedTuple):
    """A schema and where it stands.

    Attributes:
        pointer: JSON pointer in its document.
        schema: The schema; True is the one that takes everything.
        also: Further schemas that hold at the same place, after an ``allOf`` was merged.
    """

    pointer: str
    schema: Any
    also: tuple[Node, ...] = ()

    def inner(self, *keys: str | int) -> str:
        """The pointer to something inside."""
        return pointer_to(self.pointer, *keys)


class Branch(NamedTuple):
    """One alternative of a schema: all of its keywords hold together.

    Attributes:
        pointer: Where it stands.
        keywords: The keywords; what holds a schema holds a `Node` here.
        types: The types that its values may have.
        name: The name of the component that it is, or ``""``.
    """

    pointer: str
    keywords: Mapping[str, Any]
    types: frozenset[str]
    name: str


class Document:
    """One of the two documents that are compared: follows its references.

    Args:
        content: The document.
        side: ``"old"`` or ``"new"``, for messages.
    """

    def __init__(self, content: Mapping[str, Any], side: str) -> None:
        self.content = content
        self.side = side

    def resolve(self, pointer: str, value: Any) -> tuple[str, Any]:
        """What stands behind a reference (a reference to a reference too), and where; any other
        value as it is.

        Raises:
            ValueError: the reference leads nowhere, round in a circle, or out of the document.
        """
        seen = set()
        while isinstance(value, Mapping) and isinstance(target := value.get("$ref"), str):
            if target in seen:
                raise ValueError(f"the {self.side} document: {target} refers to itself")
            seen.add(target)
            pointer, value = self.find(target)
        return pointer, value

    def find(self, reference: str) -> tuple[str, Any]:
        """What a ``$ref`` names, and its pointer.

        Raises:
            ValueError: there is no such place in this document.
        """
        if not reference.startswith("#/"):
            raise ValueError(
                f"the {self.side} document refers to {reference!r}: only references inside of the "
                "document (#/…) are followed; bundle it into one file"
            )
        value: Any = self.content
        for part in reference[2:].split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            try:
                value = value[int(key)] if isinstance(value, list) else value[key]
            except (KeyError, IndexError, TypeError, ValueError):
                raise ValueError(
                    f"the {self.side} document refers to {reference!r}, which is not there"
                ) from None
        return reference[1:], value

    def place(self, node: Node) -> str:
        """What a schema is known by: where it stands; of a bare reference, where that leads."""
        schema = node.schema
        pointer = node.pointer
        if isinstance(schema, Mapping) and len(schema) == 1:
            pointer, _ = self.resolve(pointer, schema)
        return " ".join((pointer, *map(self.place, node.also)))

    def branches(self, node: Node, seen: frozenset[str] = frozenset()) -> list[Branch]:
        """The alternatives of a schema; none for one that takes nothing.

        Raises:
            ValueError: a reference leads nowhere.
        """
        parts = [self.branches(other, seen) for other in node.also]
        schema = node.schema
        if schema is False:
            return []
        if isinstance(schema, Mapping):
            parts += self._applied(node, schema, seen)
            own = _own_branch(node, schema)
        else:
            own = _own_branch(node, {})
        merged = [own]
        for part in parts:
            if len(merged) * len(part) > _MOST_BRANCHES:
                # Compared as text, then: see what the comparison does with such keywords.
                rest = {key: schema[key] for key in ("allOf", "anyOf", "oneOf") if key in schema}
                return [own._replace(keywords={**own.keywords, **rest})]
            merged = [_merge(one, other) for one in merged for other in part]
        return [branch for branch in merged if branch.types]

    def _applied(
        self, node: Node, schema: Mapping[str, Any], seen: frozenset[str]
    ) -> Iterable[list[Branch]]:
        """Other schemas that hold beside the keywords, each as its branches."""
        reference = schema.get("$ref")
        # A schema that consists of itself adds nothing to itself.
        if isinstance(reference, str) and reference not in seen:
            pointer, target = self.find(reference)
            found = self.branches(Node(pointer, target), seen | {reference})
            name = reference.rpartition("/")[2]
            yield [branch._replace(name=branch.name or name) for branch in found]
        for index, inner in enumerate(_list(schema.get("allOf"))):
            yield self.branches(Node(node.inner("allOf", index), inner), seen)
        for key in ("anyOf", "oneOf"):
            inners = _list(schema.get(key))
            if inners:
                yield [
                    branch
                    for index, inner in enumerate(inners)
                    for branch in self.branches(Node(node.inner(key, index), inner), seen)
                ]


def pointer_to(pointer: str, *keys: str | int) -> str:
    """A JSON pointer (RFC 6901), some keys further."""
    escaped = (str(key).replace("~", "~0").replace("/", "~1") for key in keys)
    return "/".join((pointer, *escaped))


def joined(branches: Sequence[Branch]) -> list[Branch]:
    """The same alternatives, where those that only list values are one."""
    listing = [branch for branch in branches if set(branch.keywords) == {"enum"}]
    if len(listing) < 2:
        return list(branches)
    values = [value for branch in listing for value in branch.keywords["enum"]]
    types = frozenset().union(*(branch.types for branch in listing))
    others = [branch for branch in branches if branch not in listing]
    return [Branch(listing[0].pointer, {"enum": values}, types, ""), *others]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _own_branch(node: Node, schema: Mapping[str, Any]) -> Branch:
    """The keywords that stand at a place itself."""
    keywords: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _APPLIED or key in _ANNOTATIONS or key.startswith("x-"):
            continue
        if not isinstance(value, _KINDS.get(key, object)):
            continue  # a validator's business
        if key in _ONE_SCHEMA:
            keywords[key] = Node(node.inner(key), value)
        elif key in _SCHEMAS_BY_NAME:
            keywords[key] = {
                name: Node(node.inner(key, name), inner) for name, inner in value.items()
            }
        elif key == "prefixItems":
            keywords[key] = [
                Node(node.inner(key, index), inner) for index, inner in enumerate(value)
            ]
        else:
            keywords[key] = value
    types = _types(keywords)
    for key in ("type", "nullable"):
        keywords.pop(key, None)
    if "const" in keywords:
        keywords["enum"] = [keywords.pop("const")]
    return Branch(node.pointer, keywords, types, "")


def _types(keywords: Mapping[str, Any]) -> frozenset[str]:
    declared = keywords.get("type")
    names = {declared} if isinstance(declared, str) else set(_list(declared) or TYPES)
    if keywords.get("nullable") is True:
        names.add("null")
    values = keywords.get("enum")
    if "const" in keywords:
        values = [keywords["const"]]
    if isinstance(values, list):
        kinds = {_type_of(value) for value in values}
        names = kinds & _wide(names)
    return frozenset(names - {"integer"} if "number" in names else names)


def _type_of(value: Any) -> str:
    """The type of a value, ``integer`` rather than ``number`` where it has no fraction."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _wide(names: Iterable[str]) -> set[str]:
    """Every number may be a whole one."""
    found = set(names)
    return found | {"integer"} if "number" in found else found


def _both_types(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    both = _wide(one) & _wide(other)
    return frozenset(both - {"integer"} if "number" in both else both)


def _merge(one: Branch, other: Branch) -> Branch:
    """What holds where both hold."""
    keywords = dict(one.keywords)
    for key, value in other.keywords.items():
        if key not in keywords:
            keywords[key] = value
        elif keywords[key] != value:
            keywords[key] = _MERGES.get(key, _both)(keywords[key], value)
    # Where nothing is added to a component, the component is the place to look at.
    pointer = one.pointer if one.keywords else other.pointer
    types = _both_types(one.types, other.types)
    if isinstance(values := keywords.get("enum"), list):
        types = _both_types(types, frozenset(map(_type_of, values)))
    return Branch(pointer, keywords, types, one.name or other.name)


def _both(one: Any, other: Any) -> Any:
    """Of a keyword that cannot be merged: both, as text."""
    return " and ".join(sorted(json.dumps(value, default=str) for value in (one, other)))


def _both_nodes(one: Node, other: Node) -> Node:
    return one._replace(also=(*one.also, other))


def _by_name(one: Mapping[str, Node], other: Mapping[str, Node]) -> dict[str, Node]:
    found = dict(one)
    for name, node in other.items():
        found[name] = _both_nodes(found[name], node) if name in found else node
    return found


def _by_index(one: list[Node], other: list[Node]) -> list[Node]:
    longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
    return [_both_nodes(*pair) for pair in zip(longer, shorter, strict=False)] + longer[
        len(shorter) :
    ]


def _common(one: list[Any], other: list[Any]) -> list[Any]:
    return [value for value in one if value in other]


_MERGES: dict[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(("minLength", "minItems", "minProperties", "minContains"), max),
    **dict.fromkeys(("minimum", "exclusiveMinimum"), max),
    **dict.fromkeys(("maxLength", "maxItems", "maxProperties", "maxContains"), min),
    **dict.fromkeys(("maximum", "exclusiveMaximum"), min),
    **dict.fromkeys(_ONE_SCHEMA, _both_nodes),
    **dict.fromkeys(_SCHEMAS_BY_NAME, _by_name),
    "prefixItems": _by_index,
    "enum": _common,
    "required": lambda one, other: [*one, *(name for name in other if name not in one)],
    "uniqueItems": lambda one, other: one or other,
}
