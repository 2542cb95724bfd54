"""What leaves the service: of the data of an answer, only the keys that its shape declares."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import decimal
import enum
import threading
import types
import typing
import uuid
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from sanic_ms.shapes.build import to_type
from sanic_ms.shapes.classes import TEXT_CLASSES, is_plain_class, is_pydantic
from sanic_ms.shapes.codec import enc_hook
from sanic_ms.shapes.peewee import is_model
from sanic_ms.shapes.union import OneOf

__all__ = ["Projector", "projector"]

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
_LISTS = (list, tuple, set, frozenset)
_DICT = frozenset((dict,))

_lock = threading.RLock()


def projector(shape: Any) -> Projector | None:
    """A function that gives its argument back with the declared keys only, at every depth.

    It copies nothing where there is nothing to drop, and never changes its argument. A list where
    the shape says one object, or the reverse, is filtered item by item all the same. An object of
    another class than the declared one is taken apart and filtered.

    Args:
        shape: The shape of an answer.

    Returns:
        The function, or None where the shape declares nothing that could be filtered (``dict``,
        ``int``, None).

    Raises:
        TypeError: it is not a shape.
    """
    if shape is None:
        return None
    with _lock:
        return _ProjectionCompiler().compile(to_type(shape, "output"))


class _ProjectionCompiler:
    def __init__(self) -> None:
        self.done: dict[Any, Projector | None] = {}
        self.open: set[Any] = set()

    def compile(self, type_: Any) -> Projector | None:
        while get_origin(type_) is Annotated:
            type_ = get_args(type_)[0]
        if type_ in self.done:
            return self.done[type_]
        if type_ in self.open:
            # It leads back to itself: what it is becomes known when it is finished.
            return lambda data: data if (found := self.done[type_]) is None else found(data)
        self.open.add(type_)
        made = self.done[type_] = self._compile(type_)
        return made

    def _compile(self, type_: Any) -> Projector | None:
        origin, args = get_origin(type_), get_args(type_)
        if origin in (Union, types.UnionType):
            return self._union(args)
        cls = origin or type_
        if cls in (list, set, frozenset) or _is_abstract_list(cls):
            return _many(self.compile(args[0]) if args else None)
        if cls is tuple:
            return _many(self.compile(args[0])) if args[1:] == (...,) else self._tuple(args)
        if cls is dict or _is_abstract_dict(cls):
            return _mapping(self.compile(args[1]) if len(args) == 2 else None)
        if not isinstance(cls, type):
            return None
        if issubclass(cls, OneOf):
            return self._union(cls.members)
        if is_model(cls) or is_plain_class(cls):
            return self.compile(to_type(cls, "output"))
        if issubclass(cls, tuple) and hasattr(cls, "_fields"):
            hints = _hints(cls)
            return self._tuple([hints.get(name, Any) for name in cls._fields], cls)
        if is_pydantic(cls):
            return self._pydantic(cls)
        return self._object(type_, cls)

    def _object(self, type_: Any, cls: type) -> Projector | None:
        """A Struct, a dataclass or a TypedDict."""
        inspect = msgspec.inspect
        info = inspect.type_info(type_)
        if not isinstance(info, (inspect.StructType, inspect.DataclassType, inspect.TypedDictType)):
            return None
        hints = _hints(type_)
        children: dict[str, Projector] = {}
        attributes: dict[str, Projector] = {}
        allowed = {field.encode_name for field in info.fields}
        for field in info.fields:
            child = self.compile(hints[field.name])
            if child is not None:
                children[field.encode_name] = child
                attributes[field.name] = child
        own = None
        if isinstance(info, inspect.StructType):
            if info.tag_field is not None:
                allowed.add(info.tag_field)
            own = _instance(attributes, msgspec.structs.force_setattr)
        elif isinstance(info, inspect.DataclassType):
            own = _instance(attributes, object.__setattr__)
        return _object(frozenset(allowed), children, cls, own)

    def _pydantic(self, cls: Any) -> Projector | None:
        if getattr(cls, "__pydantic_root_model__", False):
            return self.compile(_compilable(cls.model_fields["root"].annotation))
        if cls.model_config.get("extra") == "allow":
            return None  # it declares that there may be more
        allowed, children = set[str](), dict[str, Projector]()
        for name, field in cls.model_fields.items():
            keys = {name, field.serialization_alias or field.alias or name}
            allowed |= keys
            child = self.compile(_compilable(field.annotation))
            if child is not None:
                children.update(dict.fromkeys(keys, child))
        allowed |= set(cls.model_computed_fields)
        return _object(frozenset(allowed), children, cls, lambda data: data)

    def _tuple(self, items: Iterable[Any], cls: type = tuple) -> Projector | None:
        children = tuple(self.compile(item) for item in items)
        if not any(children):
            return None

        def project(data: Any) -> Any:
            if type(data) is not cls and type(data) not in _LISTS:
                return data
            return [
                item if child is None else child(item)
                for child, item in zip(children, data, strict=False)
            ]

        return project

    def _union(self, args: tuple[Any, ...]) -> Projector | None:
        found = [(arg, self.compile(arg)) for arg in args if arg is not type(None)]
        if any(child is None and _takes_any_object(arg) for arg, child in found):
            return None  # "User | dict" lets every object through
        made = [child for _, child in found if child is not None]
        return _best(made) if len(made) > 1 else next(iter(made), None)


def _takes_any_object(type_: Any) -> bool:
    return type_ is Any or (get_origin(type_) or type_) in (dict, list)


def _compilable(annotation: Any) -> Any:
    try:
        return to_type(annotation, "output")
    except TypeError:
        return Any  # pydantic knows types that are no shapes; it writes them itself


def _hints(type_: Any) -> dict[str, Any]:
    hints: dict[str, Any] = msgspec._utils.get_class_annotations(type_)  # type: ignore[attr-defined]
    return {
        name: get_args(hint)[0]
        if get_origin(hint) in (typing.Required, typing.NotRequired)
        else hint
        for name, hint in hints.items()
    }


def _is_abstract_list(cls: Any) -> bool:
    return getattr(cls, "__module__", "") == "collections.abc" and cls.__name__ in (
        "Collection",
        "MutableSequence",
        "MutableSet",
        "Sequence",
        "Set",
    )


def _is_abstract_dict(cls: Any) -> bool:
    return getattr(cls, "__module__", "") == "collections.abc" and cls.__name__ in (
        "Mapping",
        "MutableMapping",
    )


def _object(
    allowed: frozenset[str],
    children: dict[str, Projector],
    cls: type,
    own: Projector | None,
) -> Projector:
    """Projects one object: a dict, an instance of ``cls`` (with ``own``), or something else."""
    pairs = tuple(children.items())
    fits = allowed.issuperset

    def project(data: Any) -> Any:
        if type(data) is dict:
            if not fits(data):
                whole, data = data, data.copy()
                for key in whole:
                    if key not in allowed:
                        del data[key]
            for key, child in pairs:
                if key in data:
                    value = data[key]
                    if value is not None and (kept := child(value)) is not value:
                        data = {**data, key: kept}
            return data
        kind = type(data)
        if kind in _SCALARS or isinstance(data, _SCALAR_TYPES):
            return data
        if kind is cls and own is not None:
            return own(data)
        if kind in _LISTS:
            return [project(item) for item in data]
        return project(_plain(data))

    if not pairs:
        project.fits = fits  # type: ignore[attr-defined]
    return project


def _instance(
    attributes: dict[str, Projector], assign: Callable[[Any, str, Any], None]
) -> Projector:
    """Projects an instance of the declared class: its own attributes are what the shape declares,
    and only their values may hold more."""
    pairs = tuple(attributes.items())

    def project(data: Any) -> Any:
        changed = None
        for name, child in pairs:
            value = getattr(data, name)
            if (kept := child(value)) is not value:
                if changed is None:
                    changed = copy.copy(data)
                assign(changed, name, kept)
        return data if changed is None else changed

    return project


def _many(child: Projector | None) -> Projector | None:
    if child is None:
        return None
    fits = getattr(child, "fits", None)

    def project(data: Any) -> Any:
        kind = type(data)
        if kind not in _LISTS:
            return child(data)
        # Rows with nothing in them but the declared keys: two loops, and both in C.
        if fits is not None and _DICT.issuperset(map(type, data)) and all(map(fits, data)):
            return data
        kept = [child(item) for item in data]
        for new, old in zip(kept, data, strict=True):
            if new is not old:
                return kept
        return data

    return project


def _mapping(child: Projector | None) -> Projector | None:
    if child is None:
        return None

    def project(data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {key: child(value) for key, value in data.items()}

    return project


def _best(children: list[Projector]) -> Projector:
    """Of several objects that it may be, the one that fits: whose instance it is, or which keeps
    the most of its keys."""

    def project(data: Any) -> Any:
        if type(data) in _LISTS and type(data) is not tuple:
            return [project(item) for item in data]
        candidates = [child(data) for child in children]
        if type(data) is not dict:
            for kept in candidates:
                if type(kept) is type(data):
                    return kept
        return max(candidates, key=lambda kept: len(kept) if isinstance(kept, dict) else 0)

    return project


def _plain(data: Any) -> Any:
    """An object of a class that the shape does not declare, one level taken apart."""
    if isinstance(data, dict):
        return dict(data)
    if isinstance(data, list):
        return list(data)
    if isinstance(data, msgspec.Struct):
        fields = zip(data.__struct_encode_fields__, data.__struct_fields__, strict=True)
        return {
            key: value
            for key, name in fields
            if (value := getattr(data, name)) is not msgspec.UNSET
        }
    if dataclasses.is_dataclass(data) and not isinstance(data, type):
        return {field.name: getattr(data, field.name) for field in dataclasses.fields(data)}
    return enc_hook(data)
