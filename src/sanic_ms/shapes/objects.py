"""One object of an answer: the keys that its shape declares, taken from the row of a handler."""

from __future__ import annotations

import copy
import datetime
import decimal
import enum
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from sanic_ms.shapes.classes import TEXT_CLASSES
from sanic_ms.shapes.member import ValueOrigin
from sanic_ms.shapes.plain import to_row

__all__ = [
    "LISTS",
    "AnswerKey",
    "ObjectPlan",
    "Projector",
    "ShapeMismatch",
    "each",
    "is_scalar",
    "project_instance",
    "project_object",
]

Projector = Callable[[Any], Any]

_SCALARS = frozenset(
    (
        type(None),
        bool,
        bytes,
        bytearray,
        memoryview,
        datetime.date,
        datetime.datetime,
        datetime.time,
        datetime.timedelta,
        decimal.Decimal,
        float,
        int,
        msgspec.Raw,
        str,
        uuid.UUID,
    )
)
# Subclasses of those (a driver's own UUID), and what is written as text.
_SCALAR_TYPES = (*_SCALARS, enum.Enum, *TEXT_CLASSES)

LISTS = (list, tuple, set, frozenset)
"""Classes whose instances are lists in JSON."""


class ShapeMismatch(TypeError):
    """Data of an answer lacks a key that its shape requires.

    Args:
        shape: What the object is called.
        path: Where the key should stand: ``items[2].city.name``.
    """

    def __init__(self, shape: str, path: str) -> None:
        super().__init__(f"{path} is missing, which {shape} requires")
        self.shape = shape
        self.path = path

    def inside(self, place: str | int) -> ShapeMismatch:
        """The same, seen from the object or the list that holds the data at ``place``."""
        outer = f"[{place}]" if isinstance(place, int) else place
        dot = "" if self.path.startswith("[") else "."
        return ShapeMismatch(self.shape, f"{outer}{dot}{self.path}")


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """One key of an object.

    Attributes:
        wire: The key in the answer.
        attribute: Its name in Python.
        origin: Where a row holds its value.
        is_required: Whether every answer has it.
        child: What projects its value; None: it goes out as it is.
    """

    wire: str
    attribute: str
    origin: ValueOrigin
    is_required: bool = True
    child: Projector | None = None


@dataclass(frozen=True, slots=True)
class ObjectPlan:
    """How the rows of one kind of object are projected.

    Attributes:
        name: What the object is called in messages.
        keys: Its keys, in the order in which they are declared.
        cls: The class whose instances have exactly these keys.
        instance: What projects such an instance; None: it is taken apart like any other.
        is_strict: Whether a missing key that is required is a `ShapeMismatch`.
        is_open: Whether keys that are not declared stay.
        may_be_unset: Whether a key's value may be `msgspec.UNSET`, which means a missing key.
        tag: The key and the value that tell the object from others of a union.
    """

    name: str
    keys: tuple[AnswerKey, ...]
    cls: type
    instance: Projector | None = None
    is_strict: bool = False
    is_open: bool = False
    may_be_unset: bool = False
    tag: tuple[str, Any] | None = None


def project_object(plan: ObjectPlan) -> Projector:
    """A function that projects a dict, an instance of the class, or an object of another one.

    It never changes its argument, and copies nothing where there is nothing to change. Its
    attributes say what needs no call: a dict of ``size`` keys that ``fits`` goes out as it is, and
    so does a shorter one with all that is ``required``, if that is not None.
    """
    wires = frozenset(key.wire for key in plan.keys)
    fits = wires.issuperset
    is_exact = (
        not plan.is_open
        and not plan.may_be_unset
        and all(k.origin.names[:1] == (k.wire,) for k in plan.keys)
    )
    size = len(wires) if is_exact else -1
    pairs = tuple((key.wire, key.child) for key in plan.keys if key.child is not None)
    arrange = _arranger(plan)
    cls, instance = plan.cls, plan.instance
    names = frozenset(name for key in plan.keys for name in key.origin.names)

    def project(data: Any) -> Any:
        if type(data) is dict:
            row = data
            if len(row) != size or not fits(row):
                data = arrange(row)
            for key, child in pairs:
                if key in data:
                    value = data[key]
                    if value is not None:
                        try:
                            kept = child(value)
                        except ShapeMismatch as exc:
                            raise exc.inside(key) from None
                        if kept is not value:
                            if data is row:
                                data = row.copy()
                            data[key] = kept
            return data
        kind = type(data)
        if kind in _SCALARS or isinstance(data, _SCALAR_TYPES):
            return data
        if kind is cls and instance is not None:
            return instance(data)
        if kind in LISTS:
            return each(project, data)
        return project(to_row(data, names))

    project.cls = cls  # type: ignore[attr-defined]
    project.tag = plan.tag  # type: ignore[attr-defined]
    if is_exact and not pairs:
        project.fits = fits  # type: ignore[attr-defined]
        project.size = size  # type: ignore[attr-defined]
        project.required = _required(plan) if _has_same_names(plan) else None  # type: ignore[attr-defined]
    return project


def is_scalar(data: Any) -> bool:
    """Whether it is one value that is not null, and neither an object nor a list."""
    return data is not None and (type(data) in _SCALARS or isinstance(data, _SCALAR_TYPES))


def each(child: Projector, items: Iterable[Any]) -> list[Any]:
    """The items, projected."""
    kept: list[Any] = []
    append = kept.append
    try:
        for item in items:
            append(child(item))
    except ShapeMismatch as exc:
        raise exc.inside(len(kept)) from None
    return kept


def project_instance(
    name: str,
    keys: Iterable[AnswerKey],
    assign: Callable[[Any, str, Any], None],
    *,
    never_unset: Iterable[AnswerKey] = (),
) -> Projector:
    """Projects an instance of the declared class: its own attributes are what the shape declares,
    and only their values may hold more.

    Args:
        name: What the object is called.
        keys: Its keys.
        assign: Gives an instance another value.
        never_unset: Those of the keys that may be `msgspec.UNSET`, and lack then what is required.
    """
    triples = tuple((key.attribute, key.wire, key.child) for key in keys if key.child)
    required = tuple((key.attribute, key.wire) for key in never_unset)

    def project(data: Any) -> Any:
        changed = None
        for attribute, wire in required:
            if getattr(data, attribute) is msgspec.UNSET:
                raise ShapeMismatch(name, wire)
        for attribute, wire, child in triples:
            value = getattr(data, attribute)
            try:
                kept = child(value)
            except ShapeMismatch as exc:
                raise exc.inside(wire) from None
            if kept is not value:
                if changed is None:
                    changed = copy.copy(data)
                assign(changed, attribute, kept)
        return data if changed is None else changed

    return project


# --- from a row to the keys of the answer ---------------------------------------------------------


def _arranger(plan: ObjectPlan) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What makes of a row that is not yet as it goes out a dict that is."""
    if plan.may_be_unset:
        arrange = _arranger(replace(plan, may_be_unset=False))
        return lambda row: arrange(_set_values(row))
    if _has_same_names(plan):
        return _same_names(plan)
    gather = _gatherer(plan)
    wires = {key.wire for key in plan.keys}
    if not any(key.attribute in wires and key.attribute != key.wire for key in plan.keys):
        return gather
    # A name is one key on the wire and another one in Python: the whole row says which it is.
    gather_attributes = _gatherer(replace(plan, keys=tuple(map(_by_attribute, plan.keys))))
    required = {key.wire for key in plan.keys if key.is_required}
    return lambda row: gather(row) if row.keys() >= required else gather_attributes(row)


def _set_values(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value is not msgspec.UNSET}


def _has_same_names(plan: ObjectPlan) -> bool:
    return all(key.origin == ValueOrigin((key.wire,)) for key in plan.keys)


def _required(plan: ObjectPlan) -> frozenset[str]:
    return frozenset(key.wire for key in plan.keys if key.is_required and plan.is_strict)


def _by_attribute(key: AnswerKey) -> AnswerKey:
    if key.wire not in key.origin.names:
        return key
    return replace(key, origin=ValueOrigin((key.attribute,), key.origin.make))


def _same_names(plan: ObjectPlan) -> Callable[[dict[str, Any]], dict[str, Any]]:
    allowed = frozenset(key.wire for key in plan.keys)
    required = _required(plan)
    fits, is_open, size = allowed.issuperset, plan.is_open, len(allowed)

    def arrange(row: dict[str, Any]) -> dict[str, Any]:
        data = row
        if not (is_open or fits(row)):
            data = row.copy()
            for key in row:
                if key not in allowed:
                    del data[key]
        if len(data) < size and not data.keys() >= required:
            raise _missing(plan, data)
        return data

    return arrange


def _missing(plan: ObjectPlan, data: dict[str, Any]) -> ShapeMismatch:
    key = next(key.wire for key in plan.keys if key.is_required and key.wire not in data)
    return ShapeMismatch(plan.name, key)


def _gatherer(plan: ObjectPlan) -> Callable[[dict[str, Any]], dict[str, Any]]:
    # What is computed comes last: a union tries rows that a function was not written for.
    keys = sorted(plan.keys, key=lambda key: not key.origin.names)
    steps = tuple((key.wire, *key.origin, plan.is_strict and key.is_required) for key in keys)
    others = frozenset(name for key in keys for name in key.origin.names)
    wires = tuple(key.wire for key in keys)
    attributes = [key.origin.names[:2][-1] for key in keys if key.origin.names]
    by_attribute = frozenset(attributes).issuperset
    # The usual row: the names in Python and nothing else.
    size = len(keys) if len(set(attributes)) == len(keys) and not plan.is_open else -1
    pairs = tuple(zip(wires, attributes, strict=False))

    def gather(row: dict[str, Any]) -> dict[str, Any]:
        if len(row) == size and by_attribute(row):
            return {wire: row[name] for wire, name in pairs}
        data: dict[str, Any] = {}
        if plan.is_open:
            data.update((name, value) for name, value in row.items() if name not in others)
        for wire, names, make, is_required in steps:
            for name in names:
                if name in row:
                    data[wire] = row[name]
                    break
            else:
                value = msgspec.UNSET if make is None else make(row)
                if value is not msgspec.UNSET:
                    data[wire] = value
                elif is_required:
                    raise ShapeMismatch(plan.name, wire)
        return data

    return gather
