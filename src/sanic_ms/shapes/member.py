"""One key of an object shape, and the type that a set of keys becomes."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, TypedDict, Union

import msgspec
from msgspec import NODEFAULT, Meta

from sanic_ms.shapes.dates import DateWriter

__all__ = [
    "DEFAULTS",
    "DIGITS",
    "ORIGINS",
    "Direction",
    "Member",
    "Row",
    "ValueOrigin",
    "annotation",
    "fill",
    "new_object",
    "with_nullable",
]

Direction = Literal["input", "output"]
"""Which way the data goes: ``"input"`` is a request, ``"output"`` an answer."""

DEFAULTS = "__shape_defaults__"
"""The attribute of a generated type that holds what stands in for keys left out."""

ORIGINS = "__shape_origins__"
"""The attribute of a generated type that holds the `ValueOrigin` of each key of an answer."""

Row = Mapping[str, Any]
"""What a handler returns for an object, by key."""


DIGITS = "sanic_ms.digits"
"""The key of `msgspec.Meta.extra` that limits a `Decimal`, which msgspec cannot: how many digits in
all, and how many of them after the point."""


class ValueOrigin(NamedTuple):
    """Where the value of an answer's key stands in the row that a handler returns.

    Attributes:
        names: Keys of the row. The first that the row has counts.
        make: Makes the value of a row that has none of them; it gives `msgspec.UNSET` where the row
            does not hold what it needs.
    """

    names: tuple[str, ...]
    make: Callable[[Row], Any] | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """What is known of one key.

    Attributes:
        shape: The shape of its value.
        required: Whether the key must be there; None: it must, unless it has a default or is
            nullable.
        nullable: Whether the value may be null.
        default: The value, or a function without arguments that makes it, for a key left out of a
            request; ``msgspec.NODEFAULT`` for none.
        title, description: For people.
        examples: Example values for the document.
        constraints: Keyword arguments of `msgspec.Meta` that limit the value (``max_length=3``).
        schema: Further keys of its JSON schema, for the document only.
        name: The key on the wire, where it is not the attribute's own name.
        read_only: A request cannot give it; it stands in answers only.
        named_only: A request gives it only where the route names it; see `Selection`.
        write_only: No answer shows it; it stands in requests only.
        attribute: The key in Python, where it is not the key on the wire.
        source: The only key of a row that holds the value of an answer.
        compute: Makes the value of an answer from the row, whatever the row holds under the key.
        lookup: Makes it for a row without the key; `msgspec.UNSET` where it cannot.
        write: Makes what is written of the value that the row holds.
    """

    shape: Any
    required: bool | None = None
    nullable: bool = False
    default: Any = NODEFAULT
    title: str | None = None
    description: str | None = None
    examples: tuple[Any, ...] = ()
    constraints: Mapping[str, Any] = field(default_factory=dict)
    schema: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    read_only: bool = False
    named_only: bool = False
    write_only: bool = False
    attribute: str | None = None
    source: str | None = None
    compute: Callable[[Row], Any] | None = None
    lookup: Callable[[Row], Any] | None = None
    write: DateWriter | None = None

    def origin(self, wire: str) -> ValueOrigin:
        """Where the value of an answer stands; ``wire`` is the member's key there."""
        if self.compute is not None:
            return ValueOrigin((), self.compute)
        if self.source is not None:
            return ValueOrigin((self.source,))
        names = (wire,) if self.attribute in (None, wire) else (wire, str(self.attribute))
        return ValueOrigin(names, self.lookup)


def new_object(name: str, *, module: str, doc: str | None) -> Any:
    """An empty TypedDict, to be given its keys with `fill`: so that it may refer to itself."""
    cls: Any = TypedDict(name, {})  # type: ignore[misc]
    cls.__module__ = module
    cls.__doc__ = doc
    return cls


def fill(cls: Any, members: Mapping[str, tuple[Member, Any]], direction: Direction) -> None:
    """Give a `new_object` its keys.

    Args:
        cls: The type.
        members: By key: the member, and the type that its shape stands for.
        direction: In a request a key with a default, or a nullable one, may be left out.
    """
    required, defaults = set[str](), dict[str, Any]()
    annotations: dict[str, Any] = {}
    for key, (member, type_) in members.items():
        member = with_nullable(member, type_)
        annotations[key] = annotation(member, type_, direction)
        if _is_required(member, direction):
            required.add(key)
        elif direction == "input":
            if member.default is not NODEFAULT:
                defaults[key] = _to_default(member.default)
            elif member.nullable and member.required is None:
                defaults[key] = None
    cls.__annotations__ = annotations
    cls.__required_keys__ = frozenset(required)
    cls.__optional_keys__ = frozenset(annotations) - required
    setattr(cls, DEFAULTS, defaults)
    if direction == "output":
        setattr(cls, ORIGINS, {key: member.origin(key) for key, (member, _) in members.items()})


def _is_required(member: Member, direction: Direction) -> bool:
    """Whether a key must be there: in an answer always, unless the member says otherwise."""
    if member.required is not None:
        return member.required and (direction == "output" or member.default is NODEFAULT)
    return direction == "output" or not (member.nullable or member.default is not NODEFAULT)


def with_nullable(member: Member, type_: Any) -> Member:
    """The member, marked nullable where its type allows None by itself."""
    if member.nullable or not _allows_none(type_):
        return member
    return replace(member, nullable=True)


def _allows_none(type_: Any) -> bool:
    """Whether None is a value of the type by being named in a union."""
    while hasattr(type_, "__metadata__"):
        type_ = type_.__origin__
    return type_ is type(None) or type(None) in getattr(type_, "__args__", ())


def annotation(member: Member, type_: Any, direction: Direction) -> Any:
    """The type with the member's limits inside, and what is for people outside."""
    if member.constraints:
        type_ = Annotated[type_, Meta(**member.constraints)]
    if member.nullable and not _allows_none(type_):
        type_ = Union[type_, None]  # noqa: UP007 - Annotated | None fails for some forms
    if member.write is not None and direction == "output":
        type_ = Annotated[type_, member.write]
    schema = dict(member.schema)
    if direction == "input":
        schema.update(_schema_default(member))
        if member.write_only:
            schema["writeOnly"] = True
    elif member.read_only:
        schema["readOnly"] = True
    if not (member.title or member.description or member.examples or schema):
        return type_
    return Annotated[
        type_,
        Meta(
            title=member.title,
            description=member.description,
            examples=list(member.examples) or None,
            extra_json_schema=schema or None,
        ),
    ]


def _schema_default(member: Member) -> dict[str, Any]:
    if member.default is NODEFAULT:
        nothing = member.nullable and member.required is None
        return {"default": None} if nothing else {}
    if callable(member.default):
        return {}
    try:
        return {"default": msgspec.to_builtins(_plain(member.default), str_keys=True)}
    except (TypeError, ValueError):
        return {}  # a value that JSON does not have: it is still filled in


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _to_default(value: Any) -> Any:
    """A default as `defaults_of` gives it: a list or dict becomes a function that copies it."""
    value = _plain(value)
    if isinstance(value, (list, dict, set, bytearray)):
        make: Callable[[], Any] = functools.partial(copy.deepcopy, value)
        return make
    return value
