"""What leaves the service: of the data of an answer, only the keys that its shape declares."""

from __future__ import annotations

import threading
import types
import typing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping, ValuesView
from itertools import chain, repeat, takewhile
from operator import ge
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from sanic_ms.shapes.build import is_anonymous, to_type
from sanic_ms.shapes.classes import is_plain_class, is_pydantic
from sanic_ms.shapes.dates import DateWriter
from sanic_ms.shapes.describe import unwrapped
from sanic_ms.shapes.member import ORIGINS, ValueOrigin
from sanic_ms.shapes.objects import (
    LISTS,
    AnswerKey,
    ObjectPlan,
    Projector,
    ShapeMismatch,
    each,
    is_scalar,
    project_instance,
    project_object,
)
from sanic_ms.shapes.peewee import is_model
from sanic_ms.shapes.plain import dumps_by_alias
from sanic_ms.shapes.union import OneOf

__all__ = ["Projector", "ShapeMismatch", "projector"]

_DICT = frozenset((dict,))
_LIST_LIKE = (list, set, frozenset, deque, KeysView, ValuesView)
"""What is a list in JSON beside `LISTS`: subclasses, which ORMs have, among them."""

_lock = threading.RLock()


def projector(shape: Any, *, strict: bool = False) -> Projector | None:
    """A function that gives its argument back with the declared keys only, at every depth, under
    their names on the wire.

    A row has its keys by their names in Python or on the wire; where it has both, the one on the
    wire counts. The function copies nothing where there is nothing to change, and never changes its
    argument. A list where the shape says one object, or the reverse, is projected item by item all
    the same. An object of another class than the declared one is taken apart.

    Args:
        shape: The shape of an answer.
        strict: Whether the function raises `ShapeMismatch` where a key is missing that the shape
            requires; default: what is missing stays away.

    Returns:
        The function, or None where the shape declares nothing that could be projected (``dict``,
        ``int``, None).

    Raises:
        TypeError: it is not a shape.
    """
    if shape is None:
        return None
    with _lock:
        return _ProjectionCompiler(strict).compile(to_type(shape, "output"))


class _ProjectionCompiler:
    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.by_alias: bool | None = None  # of the pydantic model that this one stands in
        self.done: dict[Any, Projector | None] = {}
        self.open: set[Any] = set()

    def compile(self, type_: Any) -> Projector | None:
        while get_origin(type_) is Annotated:
            type_, *metadata = get_args(type_)
            for entry in metadata:
                if isinstance(entry, DateWriter):
                    return entry
        identity = (type_, self.by_alias)
        if identity in self.done:
            return self.done[identity]
        if identity in self.open:
            # It leads back to itself: what it is becomes known when it is finished.
            return lambda data: data if (found := self.done[identity]) is None else found(data)
        self.open.add(identity)
        made = self.done[identity] = self._compile(type_)
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
        keys = list(self._keys(info, hints, getattr(cls, ORIGINS, {})))
        name = _name_of(cls, keys)
        may_be_unset = any(map(_may_be_unset, hints.values()))
        if isinstance(info, inspect.TypedDictType):
            return self._planned(name, keys, cls, may_be_unset=may_be_unset)
        never_unset = [
            key
            for key in keys
            if self.strict and key.is_required and _may_be_unset(hints[key.attribute])
        ]
        is_struct = isinstance(info, inspect.StructType)
        assign = msgspec.structs.force_setattr if is_struct else object.__setattr__
        instance = project_instance(name, keys, assign, never_unset=never_unset)
        tag = None
        if isinstance(info, inspect.StructType) and info.tag_field is not None:
            field, value = tag = info.tag_field, info.tag
            keys.insert(0, AnswerKey(field, field, ValueOrigin((field,), lambda row: value)))
        project = self._planned(
            name, keys, cls, instance=instance, may_be_unset=may_be_unset, tag=tag
        )
        is_array = isinstance(info, inspect.StructType) and info.array_like
        return _as_array(project, keys) if is_array else project

    def _keys(
        self, info: Any, hints: dict[str, Any], origins: dict[str, ValueOrigin]
    ) -> Iterator[AnswerKey]:
        order = {name: place for place, name in enumerate(hints)}  # msgspec sorts a TypedDict's
        for field in sorted(info.fields, key=lambda field: order[field.name]):
            wire, name = field.encode_name, field.name
            origin = origins.get(wire) or ValueOrigin((wire,) if wire == name else (wire, name))
            attribute = origin.names[-1] if wire in origins and origin.names else name
            child = self.compile(hints[name])
            yield AnswerKey(wire, attribute, origin, field.required, child)

    def _planned(
        self, name: str, keys: Iterable[AnswerKey], cls: type, **options: Any
    ) -> Projector:
        return project_object(ObjectPlan(name, tuple(keys), cls, is_strict=self.strict, **options))

    def _pydantic(self, cls: Any) -> Projector | None:
        cls.model_rebuild()  # it does nothing where there is nothing left to do
        outer, own = self.by_alias, dumps_by_alias(cls)
        by_alias = self.by_alias = own if outer is None else outer
        try:
            if getattr(cls, "__pydantic_root_model__", False):
                return self.compile(_compilable(cls.model_fields["root"].annotation))
            keys = list(self._pydantic_keys(cls, by_alias))
        finally:
            self.by_alias = outer
        is_open = cls.model_config.get("extra") == "allow"
        if is_open and all(k.origin == ValueOrigin((k.wire,)) and k.child is None for k in keys):
            return None  # it declares that there may be more
        dump: Projector = lambda data: data  # noqa: E731 - the encoder's hook writes it
        if by_alias != own:
            dump = lambda data: data.model_dump(mode="json", by_alias=by_alias)  # noqa: E731
        return self._planned(cls.__name__, keys, cls, instance=dump, is_open=is_open)

    def _pydantic_keys(self, cls: Any, by_alias: bool) -> Iterator[AnswerKey]:
        with_defaults = cls.model_config.get("json_schema_serialization_defaults_required", False)
        names_of: dict[str, tuple[str, ...]] = {}
        for name, field in cls.model_fields.items():
            if field.exclude:
                continue  # it never leaves
            alias = field.serialization_alias or field.alias or name
            wire = alias if by_alias else name
            others = (name, alias, field.alias, field.validation_alias)
            names_of[name] = tuple(dict.fromkeys((wire, *(o for o in others if type(o) is str))))
            yield AnswerKey(
                wire,
                name,
                ValueOrigin(names_of[name]),
                with_defaults or field.is_required(),
                self.compile(_compilable(field.annotation)),
            )
        for name, computed in cls.model_computed_fields.items():
            wire = (computed.alias or name) if by_alias else name
            origin = ValueOrigin(
                tuple(dict.fromkeys((wire, name))), _property_of(cls, name, names_of)
            )
            child = self.compile(_compilable(computed.return_type))
            yield AnswerKey(wire, name, origin, True, child)

    def _tuple(self, items: Iterable[Any], cls: type = tuple) -> Projector | None:
        children = tuple(self.compile(item) or _as_it_is for item in items)
        if all(child is _as_it_is for child in children):
            return None

        def project(data: Any) -> Any:
            is_list = type(data) in LISTS or isinstance(data, _LIST_LIKE)
            if type(data) is not cls and not is_list:
                return data
            rest = iter(children)
            return each(lambda item: next(rest, _as_it_is)(item), data)

        return project

    def _union(self, args: tuple[Any, ...]) -> Projector | None:
        found = [(arg, self.compile(arg)) for arg in args if arg is not type(None)]
        if any(child is None and _takes_any_object(arg) for arg, child in found):
            return None  # "User | dict" lets every object through
        made = [child for _, child in found if child is not None]
        return _best(made) if len(made) > 1 else next(iter(made), None)


def _as_it_is(data: Any) -> Any:
    return data


def _as_array(project: Any, keys: Iterable[AnswerKey]) -> Projector:
    """A Struct with ``array_like=True``: its values in their order, up to the first that a row does
    not have."""
    wires = [key.wire for key in keys]

    def project_array(data: Any) -> Any:
        kept = project(data)
        if type(kept) is not dict:
            return kept
        return [kept[wire] for wire in takewhile(kept.__contains__, wires)]

    project_array.cls, project_array.tag = project.cls, project.tag  # type: ignore[attr-defined]
    return project_array


def _name_of(cls: type, keys: Iterable[AnswerKey]) -> str:
    if is_anonymous(cls):
        return f"{{{', '.join(key.wire for key in keys)}}}"
    return cls.__name__


def _property_of(cls: Any, name: str, names_of: dict[str, tuple[str, ...]]) -> Callable[[Any], Any]:
    """What computes a property of a pydantic model for a row that does not have it."""

    def compute(row: Any) -> Any:
        instance = cls.model_construct()
        for field, names in names_of.items():
            for key in names:
                if key in row:
                    vars(instance)[field] = row[key]
                    break
        try:
            return getattr(instance, name)
        except (AttributeError, LookupError, TypeError, ValueError):
            return msgspec.UNSET  # it needs more than this row has

    return compute


def _may_be_unset(hint: Any) -> bool:
    return msgspec.UnsetType in get_args(unwrapped(hint))


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


def _many(child: Projector | None) -> Projector | None:
    if child is None:
        return None
    fits = getattr(child, "fits", None)
    size: int = getattr(child, "size", 0)
    required = getattr(child, "required", None)

    def lacks_nothing(data: Any) -> bool:
        # No row has more keys than there are, so that their number tells that none is missing.
        if sum(map(len, data)) == size * len(data):
            return True
        return required is not None and all(map(ge, map(dict.keys, data), repeat(required)))

    def project(data: Any) -> Any:
        if type(data) not in LISTS:
            if not isinstance(data, _LIST_LIKE):
                return child(data)
            data = list(data)
        # Rows with the declared keys and nothing else: three loops, and all of them in C.
        if (
            fits is not None
            and _DICT.issuperset(map(type, data))
            and fits(chain.from_iterable(data))
            and lacks_nothing(data)
        ):
            return data
        kept = each(child, data)
        for new, old in zip(kept, data, strict=True):
            if new is not old:
                return kept
        return data

    project.item = child  # type: ignore[attr-defined]
    return project


def _mapping(child: Projector | None) -> Projector | None:
    if child is None:
        return None

    def project(data: Any) -> Any:
        if not isinstance(data, Mapping):
            if type(data) in LISTS or isinstance(data, _LIST_LIKE):
                return each(project, data)
            return data
        kept = {}
        for key, value in data.items():
            try:
                kept[key] = child(value)
            except ShapeMismatch as exc:
                raise exc.inside(str(key)) from None
        return kept

    def takes(data: Any) -> bool:
        return isinstance(data, Mapping) and not any(map(is_scalar, data.values()))

    project.takes = takes  # type: ignore[attr-defined]
    return project


def _best(children: list[Projector]) -> Projector:
    """Of several objects that it may be, the one that fits: whose instance it is, whose tag it has,
    or which keeps the most of its keys. The items of a list are what lists among them hold, and an
    object with any keys is one whose values are no scalars."""
    items = [child.item for child in children if hasattr(child, "item")]
    of_item = None if not items else items[0] if len(items) == 1 else _best(items)
    single = [child for child in children if not hasattr(child, "item")]
    tags = {tag: child for child in children if (tag := getattr(child, "tag", None)) is not None}
    classes = {cls: child for child in children if (cls := getattr(child, "cls", None)) is not None}

    def project(data: Any) -> Any:
        kind = type(data)
        if kind in LISTS and kind is not tuple:
            return each(of_item or project, data)
        if kind in classes:
            return classes[kind](data)
        if kind is dict:
            for (key, value), child in tags.items():
                if data.get(key) == value:
                    return child(data)
        candidates, failure = [], None
        usual = children if kind is tuple else single
        fitting = [child for child in usual if not hasattr(child, "takes") or child.takes(data)]
        for child in fitting or items or children:
            try:
                candidates.append(child(data))
            except ShapeMismatch as exc:
                failure = failure or exc
        if not candidates and failure is not None:
            raise failure
        if kind is not dict:
            for kept in candidates:
                if type(kept) is kind:
                    return kept
        return max(candidates, key=lambda kept: len(kept) if isinstance(kept, dict) else 0)

    return project
