"""Numbers that a type accepts and nothing behind a service holds: NaN, infinity, huge exponents.

msgspec makes a `Decimal` of every text that Python does, and a `float` of the text ``inf``. No JSON
number is one of these, no OpenAPI document allows them, and databases fail on them or store zero.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from math import isfinite
from typing import Any, NamedTuple

from msgspec import inspect

from sanic_ms.shapes.build import to_type
from sanic_ms.shapes.classes import is_plain_class, is_pydantic
from sanic_ms.shapes.member import DIGITS
from sanic_ms.shapes.peewee import is_model
from sanic_ms.shapes.union import OneOf

__all__ = [
    "NumberFinder",
    "UnusableNumber",
    "holds_decimals",
    "number_finder",
    "unusable_number",
]

_MAX_EXPONENT = 999  # as the document's pattern has it
_MAX_DIGITS = 2000
_USUAL = 900  # digits before or behind the point, up to which nothing else need be looked at


class UnusableNumber(NamedTuple):
    """One such number: its path in the value, the error's text, and the error's type."""

    place: str
    message: str
    type: str


_NOT_FINITE = UnusableNumber("", "expected a finite number", "finite_number")
_OUT_OF_RANGE = UnusableNumber(
    "", f"expected an exponent from -{_MAX_EXPONENT} to {_MAX_EXPONENT}", "out_of_range"
)

NumberFinder = Callable[[Any], UnusableNumber | None]
"""Gives the first number of a value that cannot be used; None where all can."""


def number_finder(type_: Any, *, floats: bool = False) -> NumberFinder | None:
    """A function that looks at each `Decimal` of a decoded value.

    Args:
        type_: What the value was decoded to; see `to_type`.
        floats: Whether to look at each `float` too. JSON has no other than finite ones; text has.

    Returns:
        The function, or None where the type holds no such number.
    """
    return _Compiler(floats).compile(inspect.type_info(type_))


def unusable_number(value: Any, type_: Any) -> UnusableNumber | None:
    """The first number that cannot be used in a value of a type, floats included."""
    if isinstance(value, str | int | None):
        return None
    return _called(_finder_of(type_, True), value)


def holds_decimals(type_: Any) -> bool:
    """Whether a `Decimal` may stand in a value of a type."""
    return _finder_of(type_, False) is not None


def _finder_of(type_: Any, floats: bool) -> NumberFinder | None:
    try:
        return _cached_finder(type_, floats)
    except TypeError:  # metadata of Annotated that cannot be hashed
        return number_finder(type_, floats=floats)


@functools.lru_cache(maxsize=4096)  # a walk over a refused value asks for each part of it
def _cached_finder(type_: Any, floats: bool) -> NumberFinder | None:
    return number_finder(type_, floats=floats)


class _Compiler:
    def __init__(self, floats: bool) -> None:
        self.floats = floats
        self.finders: dict[Any, NumberFinder | None] = {}
        self.nodes: list[Any] = []  # known by their identity, which must stay theirs

    def compile(self, node: Any) -> NumberFinder | None:
        if not self._mentions(node, set()):
            return None
        key = self._key(node)
        if key in self.finders:  # a type that leads back to itself: its finder comes later
            return lambda value: _called(self.finders[key], value)
        self.finders[key] = None
        find = self.finders[key] = self._compile(node)
        return find

    def _compile(self, node: Any) -> NumberFinder | None:
        if isinstance(node, inspect.Metadata):
            digits = (node.extra or {}).get(DIGITS)
            return self.compile(node.type) if digits is None else _decimal_of(*digits)
        if isinstance(node, inspect.DecimalType):
            return _find_decimal
        if isinstance(node, inspect.FloatType):
            return _find_float
        if isinstance(node, inspect.UnionType):
            return _first(self._each(node.types))
        if hasattr(node, "key_type"):
            return _in_dict(self.compile(node.key_type), self.compile(node.value_type))
        if isinstance(node, inspect.TupleType):
            return _in_tuple([self.compile(inner) for inner in node.item_types])
        if isinstance(node, inspect.CollectionType | inspect.VarTupleType):
            return _in_items(self.compile(node.item_type))
        if isinstance(node, inspect.CustomType):
            return self._custom(_class(node))
        is_array = isinstance(node, inspect.NamedTupleType) or getattr(node, "array_like", False)
        fields = [
            (entry.name, f"[{index}]" if is_array else entry.encode_name, find)
            for index, entry in enumerate(getattr(node, "fields", ()))
            if (find := self.compile(entry.type))
        ]
        if isinstance(node, inspect.TypedDictType):
            return _in_keys(fields)
        return _in_attributes(_class(node), fields)

    def _custom(self, cls: Any) -> NumberFinder:
        if issubclass(cls, OneOf):
            return _first(self._each(_members(cls).values()))
        fields = [
            (name, name, find)
            for name, node in _members(cls).items()
            if (find := self.compile(node))
        ]
        if not is_model(cls):
            return _in_attributes(cls, fields)
        names = {key: field.name for key, field in cls._meta.columns.items()}
        # The values themselves: to read a foreign key's attribute asks the database.
        in_keys = _in_keys([(names[key], key, find) for key, _, find in fields])
        return lambda value: in_keys(value.__data__) if isinstance(value, cls) else None

    def _each(self, nodes: Iterable[Any]) -> list[NumberFinder]:
        return [find for node in nodes if (find := self.compile(node))]

    def _mentions(self, node: Any, seen: set[Any]) -> bool:
        key = self._key(node)
        if key in seen:
            return False
        seen.add(key)
        if isinstance(node, inspect.DecimalType):
            return True
        if isinstance(node, inspect.FloatType):
            return self.floats
        if isinstance(node, inspect.CustomType):
            return any(self._mentions(inner, seen) for inner in _members(_class(node)).values())
        parts = [getattr(node, name, None) for name in ("type", "item_type", "key_type")]
        parts += [getattr(node, "value_type", None), *getattr(node, "types", ())]
        parts += getattr(node, "item_types", ())
        parts += [entry.type for entry in getattr(node, "fields", ())]
        return any(isinstance(n, inspect.Type) and self._mentions(n, seen) for n in parts)

    def _key(self, node: Any) -> Any:
        if isinstance(node, inspect.CustomType):
            return _class(node)  # each look at such a class gives new nodes
        self.nodes.append(node)
        return id(node)


def _class(node: Any) -> Any:
    return getattr(node.cls, "__origin__", node.cls)


def _members(cls: Any) -> dict[str, Any]:
    """What stands inside a class that msgspec does not know, by attribute or key."""
    types: dict[str, Any] = {}
    if issubclass(cls, OneOf):
        types = {str(index): member for index, member in enumerate(cls.members)}
    elif is_pydantic(cls):
        types = {name: entry.annotation for name, entry in cls.model_fields.items()}
    elif is_model(cls) or is_plain_class(cls):
        types = to_type(cls, "input").__annotations__
    found = {}
    for name, type_ in types.items():
        with contextlib.suppress(TypeError):  # of pydantic's own kinds: pydantic looks at those
            found[name] = inspect.type_info(type_)
    return found


# --- the finders ----------------------------------------------------------------------------------


def _called(find: NumberFinder | None, value: Any) -> UnusableNumber | None:
    return None if find is None else find(value)


def _find_float(value: Any) -> UnusableNumber | None:
    if type(value) is float and not isfinite(value):
        return _NOT_FINITE
    return None


def _find_decimal(value: Any) -> UnusableNumber | None:
    if type(value) is not Decimal:
        return None
    if not value.is_finite():
        return _NOT_FINITE
    if -_USUAL < value.adjusted() < _USUAL:
        return None
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)  # it is finite
    if exponent > _MAX_EXPONENT or abs(value.adjusted()) > _MAX_DIGITS:
        return _OUT_OF_RANGE
    return None


def _decimal_of(max_digits: int, decimal_places: int) -> NumberFinder:
    """Of a column with so many digits in all, and so many of them after the point."""
    before = max_digits - decimal_places
    # What rounds to a digit more than there are: the column rounds as well.
    limit = Decimal(f"{'9' * before}.{'9' * decimal_places}5")
    plural = "digit" if before == 1 else "digits"
    too_large = UnusableNumber(
        "", f"expected a number with at most {before} {plural} before the point", "too_large"
    )

    def find(value: Any) -> UnusableNumber | None:
        found = _find_decimal(value)
        if found is None and type(value) is Decimal and value.copy_abs() >= limit:
            return too_large
        return found

    return find


def _first(finders: list[NumberFinder]) -> NumberFinder:
    if len(finders) == 1:
        return finders[0]

    def find(value: Any) -> UnusableNumber | None:
        for inner in finders:
            if (found := inner(value)) is not None:
                return found
        return None

    return find


def _in_items(find_item: NumberFinder | None) -> NumberFinder | None:
    if find_item is None:
        return None

    def find(value: Any) -> UnusableNumber | None:
        if isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping):
            for index, item in enumerate(value):
                if (found := find_item(item)) is not None:
                    return _inside(f"[{index}]", found)
        return None

    return find


def _in_tuple(finders: list[NumberFinder | None]) -> NumberFinder:
    def find(value: Any) -> UnusableNumber | None:
        if isinstance(value, tuple):
            for index, (inner, item) in enumerate(zip(finders, value, strict=False)):
                if inner is not None and (found := inner(item)) is not None:
                    return _inside(f"[{index}]", found)
        return None

    return find


def _in_dict(find_key: NumberFinder | None, find_value: NumberFinder | None) -> NumberFinder:
    def find(value: Any) -> UnusableNumber | None:
        if isinstance(value, Mapping):
            for key, item in value.items():
                found = _called(find_key, key) or _called(find_value, item)
                if found is not None:
                    return _inside(str(key), found)
        return None

    return find


def _in_keys(fields: list[tuple[str, str, NumberFinder]]) -> NumberFinder:
    def find(value: Any) -> UnusableNumber | None:
        if type(value) is dict:
            for key, wire, inner in fields:
                if key in value and (found := inner(value[key])) is not None:
                    return _inside(wire, found)
        return None

    return find


def _in_attributes(cls: Any, fields: list[tuple[str, str, NumberFinder]]) -> NumberFinder:
    def find(value: Any) -> UnusableNumber | None:
        if isinstance(value, cls):
            for name, wire, inner in fields:
                if (found := inner(getattr(value, name, None))) is not None:
                    return _inside(wire, found)
        return None

    return find


def _inside(step: str, found: UnusableNumber) -> UnusableNumber:
    separator = "." if found.place and not found.place.startswith("[") else ""
    return found._replace(place=f"{step}{separator}{found.place}")
