"""From what a program wrote to a type that msgspec knows."""

from __future__ import annotations

import hashlib
import inspect
import re
import threading
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from sanic_ms.shapes import classes, columns, peewee
from sanic_ms.shapes.describe import describe, not_a_shape
from sanic_ms.shapes.member import (
    Direction,
    Member,
    annotation,
    fill,
    new_object,
    with_nullable,
)
from sanic_ms.shapes.selection import Selection, choose
from sanic_ms.shapes.union import OneOf, join

__all__ = ["is_anonymous", "to_type"]

_ANONYMOUS = "__shape_anonymous__"

_lock = threading.RLock()
_objects: dict[Any, Any] = {}  # types of objects, some of them perhaps without their keys yet
_classes: dict[tuple[str, type], Any] = {}  # finished and checked; read without the lock
_kept: list[Any] = []  # dict shapes that are known by their identity, which must stay theirs
_names: dict[tuple[str, str], int] = {}


def to_type(shape: Any, direction: Direction, *, name: str | None = None) -> Any:
    """The annotation that a shape stands for: msgspec decodes, converts and documents it.

    The same shape gives the identical type each time; two dict shapes that are equal are the same.
    Types are kept for the life of the process: call it for the shapes that the program declares,
    not for ones made while serving.

    Args:
        shape: A Peewee model, msgspec Struct, dataclass, TypedDict, NamedTuple, pydantic model,
            ``{"id": int}``, ``[Shape]``, a class whose attributes are fields, a field of
            `sanic_ms.doc`, or any annotation that msgspec knows, containers of shapes included.
        direction: ``"input"`` leaves out what the database makes and lets keys with defaults be
            absent; ``"output"`` shows ``help_text`` objects.
        name: What the type of a dict shape is called in the document; default: it has no name
            there and is written out in place.

    Raises:
        TypeError: it is not a shape, or one that contradicts itself. The text says where.
    """
    if direction not in ("input", "output"):
        raise TypeError(f"direction={direction!r}: write 'input' or 'output'")
    is_class = inspect.isclass(shape) and get_origin(shape) is None
    if is_class and (found := _classes.get((direction, shape))) is not None:
        return found
    with _lock:
        before = dict(_objects)
        try:
            type_ = _Builder(direction, name).build(shape, "")
            _check(type_, shape, direction, set())
        except BaseException:
            # Types that were begun and not finished must not be found by the next caller.
            _objects.clear()
            _objects.update(before)
            raise
        if is_class:
            _classes[direction, shape] = type_
        return type_


def is_anonymous(type_: Any) -> bool:
    """Whether a type was made from a dict shape without a name."""
    return getattr(type_, _ANONYMOUS, False) is True


class _Builder:
    """Builds one shape; ``where`` is the path inside it, for messages."""

    def __init__(self, direction: Direction, name: str | None) -> None:
        self.direction = direction
        self.name = name
        self.open: list[int] = []

    def build(self, shape: Any, where: str) -> Any:
        if isinstance(shape, (dict, list)):
            return self._container(shape, where)
        if isinstance(shape, Member) or hasattr(shape, "__shape__"):
            member = classes.as_member(shape, self.direction)
            type_ = self.build(member.shape, where)
            return annotation(with_nullable(member, type_), type_, self.direction)
        if inspect.isclass(shape) and get_origin(shape) is None:
            return self._class(shape)
        if isinstance(shape, Selection):
            return self._selection(shape)
        if shape is None:
            return type(None)
        if shape is Any or isinstance(shape, typing.TypeVar):
            return shape
        if get_origin(shape) is not None:
            return self._generic(shape, where)
        if hasattr(shape, "__supertype__") or type(shape).__name__ == "TypeAliasType":
            return shape
        raise TypeError(not_a_shape(shape, where))

    def _container(self, shape: dict[Any, Any] | list[Any], where: str) -> Any:
        at = f" at {where}" if where else ""
        if id(shape) in self.open:
            raise TypeError(f"the shape{at} contains itself: name it with a class")
        self.open.append(id(shape))
        try:
            if isinstance(shape, dict):
                return self._dict(shape, where, at)
            if len(shape) > 1:
                raise TypeError(
                    f"the list shape{at} has {len(shape)} elements: write [Shape], one element "
                    "that says what each item is"
                )
            item = self.build(shape[0], f"{where}[]") if shape else Any
            return types.GenericAlias(list, (item,))
        finally:
            self.open.pop()

    def _dict(self, shape: dict[Any, Any], where: str, at: str) -> Any:
        if not shape:
            return dict[str, Any]
        if len(shape) == 1 and isinstance(next(iter(shape)), type):
            of, value = next(iter(shape.items()))
            return types.GenericAlias(dict, (of, self.build(value, f"{where}{{}}")))
        for key in shape:
            if not isinstance(key, str):
                raise TypeError(
                    f"the dict shape{at} has the key {key!r}: keys are text, or one type for a "
                    "mapping ({str: int})"
                )
        found = self._members(
            ((key, classes.as_member(value, self.direction)) for key, value in shape.items()),
            where,
        )
        named = self.name if where.strip("[]") == "" else None
        identity = (self.direction, named, _frozen(shape, found))
        if identity not in _objects:
            cls = new_object(named or _name_of(found), module="sanic_ms.shapes", doc=None)
            if named is None:
                setattr(cls, _ANONYMOUS, True)
            else:
                cls.__qualname__ = _unique(cls.__module__, named)
            fill(cls, found, self.direction)
            _objects[identity] = cls
        return _objects[identity]

    def _members(
        self, members: Iterable[tuple[str, Member]], where: str
    ) -> dict[str, tuple[Member, Any]]:
        found: dict[str, tuple[Member, Any]] = {}
        for key, member in members:
            if member.read_only if self.direction == "input" else member.write_only:
                continue
            path = f"{where}.{key}" if where else key
            wire = member.name or key
            if wire != key and member.attribute is None:
                member = replace(member, attribute=key)
            if wire in found:
                raise TypeError(f"{path}: the name {wire!r} is given to two keys")
            found[wire] = member, self.build(member.shape, path)
        return found

    def _class(self, cls: Any) -> Any:
        return self._object(cls) if _has_members(cls) else cls

    def _selection(self, selection: Selection) -> Any:
        if not _has_members(selection.cls):
            raise TypeError(
                f"{selection.cls.__name__} is no Peewee model and no class of fields: write a "
                "shape with the keys that the route takes instead of only=, exclude= or partial="
            )
        return self._object(selection.cls, selection)

    def _object(self, cls: Any, selection: Selection | None = None) -> Any:
        identity = (self.direction, cls if selection is None else selection)
        if identity in _objects:
            return _objects[identity]
        is_input = self.direction == "input"
        suffix = ("Input" if selection is None else selection.suffix) if is_input else ""
        doc = cls.__dict__.get("__doc__")
        new = new_object(
            f"{cls.__name__}{suffix}", module=cls.__module__, doc=inspect.cleandoc(doc or "")
        )
        new.__qualname__ = _unique(cls.__module__, f"{cls.__qualname__}{suffix}")
        _objects[identity] = new  # before its keys: a model may lead back to itself
        source = peewee if peewee.is_model(cls) else classes
        members = source.members(cls, self.direction)
        if is_input:
            members = choose(cls, members, selection)
        if source is peewee:
            members = columns.completed(cls, members)
        fill(new, self._members(members, cls.__name__), self.direction)
        return new

    def _generic(self, shape: Any, where: str) -> Any:
        origin, args = get_origin(shape), get_args(shape)
        if origin is typing.Literal:
            return shape
        if origin is Annotated:
            inner = self.build(args[0], where)
            return shape if inner is args[0] else Annotated[inner, *args[1:]]
        built = tuple(
            arg if arg is ... or isinstance(arg, list) else self.build(arg, where) for arg in args
        )
        if origin in (Union, types.UnionType):
            identity = ("union", built)
            if identity not in _objects:
                _objects[identity] = join(built)
            return _objects[identity]
        if all(new is old for new, old in zip(built, args, strict=True)):
            return shape
        return origin[built if len(built) != 1 else built[0]]


def _has_members(cls: Any) -> bool:
    return peewee.is_model(cls) or classes.is_plain_class(cls)


def _unique(module: str, qualname: str) -> str:
    """A qualified name that no other generated type of the module has: a function that defines a
    class may run twice, and msgspec tells types of the same name apart by it."""
    count = _names[module, qualname] = _names.get((module, qualname), 0) + 1
    return qualname if count == 1 else f"{qualname}_{count}"


def _frozen(shape: dict[Any, Any], members: Mapping[str, tuple[Member, Any]]) -> Any:
    """A key for the cache: equal for dict shapes that say the same."""
    key = tuple(
        (name, type_, None if member == Member(member.shape) else repr(member))
        for name, (member, type_) in members.items()
    )
    try:
        hash(key)
    except TypeError:  # metadata of Annotated that cannot be hashed
        _kept.append(shape)
        return id(shape)
    return key


def _name_of(members: Mapping[str, tuple[Member, Any]]) -> str:
    text = repr([(key, repr(type_), repr(member)) for key, (member, type_) in members.items()])
    return f"Object_{hashlib.sha256(text.encode()).hexdigest()[:12]}"


# --- the check at start-up ------------------------------------------------------------------------


def _check(type_: Any, shape: Any, direction: Direction, seen: set[Any]) -> None:
    """Refuse now what msgspec, or our hooks, would refuse at a request."""
    try:
        info = msgspec.inspect.type_info(type_)
    except (TypeError, NameError, re.error) as exc:
        raise TypeError(f"{describe(shape)}: {exc}") from None
    for custom in _customs(info, set()):
        if custom in seen:
            continue
        seen.add(custom)
        if issubclass(custom, OneOf):
            for member in custom.members:
                _check(member, member, direction, seen)
        elif peewee.is_model(custom) or classes.is_plain_class(custom):
            # Inside a Struct or the like, where it stays what it is.
            _check(_Builder(direction, None).build(custom, ""), custom, direction, seen)
        elif not (classes.is_pydantic(custom) or issubclass(custom, classes.TEXT_CLASSES)):
            raise TypeError(
                f"{custom.__module__}.{custom.__qualname__} is not a shape: its values are not "
                "data. Write a Struct, a dataclass, a TypedDict or {'key': type}"
            )


def _customs(info: Any, seen: set[int]) -> Iterator[Any]:
    if id(info) in seen:
        return
    seen.add(id(info))
    if isinstance(info, msgspec.inspect.CustomType):
        # A parametrised generic stands there as its alias.
        yield getattr(info.cls, "__origin__", info.cls)
        return
    for attribute in ("type", "item_type", "key_type", "value_type"):
        inner = getattr(info, attribute, None)
        if isinstance(inner, msgspec.inspect.Type):
            yield from _customs(inner, seen)
    for attribute in ("types", "item_types"):
        for inner in getattr(info, attribute, ()):
            yield from _customs(inner, seen)
    for field in getattr(info, "fields", ()):
        yield from _customs(field.type, seen)
