"""Which keys of a model a request may give: some are the server's own, and a route says which."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from msgspec import NODEFAULT

from sanic_ms.shapes.member import Member
from sanic_ms.shapes.peewee import attribute_name, is_model, members

__all__ = ["Selection", "choose", "exposed_columns", "select"]

_OPTIONS = "only=, exclude=, include= and partial="

# Names of columns that a client usually has no business with.
_SERVER_SIDE = re.compile(
    r"(is_)?(admin|administrator|staff|superuser|root|verified|approved|banned|deleted)"
    r"|(role|permission|privilege|scope|group)s?(_ids?)?"
    r"|(created|updated|modified|deleted|approved|verified)(_(at|on|by|time|date))?"
    r"|(create|update|modify|delete)_(at|on|by|time|date)"
    r"|date_joined|last_login(_at)?|balance|total|credits?"
    r"|password_(hash|digest)|salt|secret|api_key"
    r"|(owner|tenant)(_id)?"
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Some of the keys of a model or of a class of fields, as the shape of a request.

    Attributes:
        cls: The Peewee model, or the class whose attributes are fields.
        only: The names that are taken, None for those that are taken by default.
        exclude: Names that are not taken.
        include: Names that are taken beside those by default.
        partial: Whether every key may be left out, and nothing is put in its place.
    """

    cls: Any
    only: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    partial: bool = False

    @property
    def suffix(self) -> str:
        """The end of the name that the shape has in the document."""
        return "Patch" if self.partial else "Input"


def select(
    shape: Any,
    *,
    only: Iterable[str] | None = None,
    exclude: Iterable[str] = (),
    include: Iterable[str] = (),
    partial: bool = False,
) -> Any:
    """The shape itself without options, otherwise its `Selection`, also in ``[Shape]``.

    Raises:
        TypeError: the options contradict each other, or the shape has no keys to choose among. That
            the names exist is checked at start, by `to_type`.
    """
    without, beside = _names("exclude", exclude), _names("include", include)
    chosen = None if only is None else _names("only", only)
    if chosen is None and not without and not beside and not partial:
        return shape
    if chosen is not None and (without or beside):
        raise TypeError("only= names all that is taken: leave out exclude= and include=")
    both = set(without) & set(beside)
    if both:
        raise TypeError(f"{sorted(both)[0]!r} stands in exclude= and in include=")
    if isinstance(shape, list) and len(shape) == 1:
        return [select(shape[0], only=chosen, exclude=without, include=beside, partial=partial)]
    if not isinstance(shape, type) or getattr(shape, "__origin__", None) is not None:
        raise TypeError(
            f"{_OPTIONS} choose among the columns of a Peewee model or the keys of a class of "
            f"fields, not of {shape!r}"
        )
    return Selection(shape, chosen, without, beside, partial)


def _names(option: str, names: Iterable[str]) -> tuple[str, ...]:
    found = () if isinstance(names, str) else tuple(names)
    if isinstance(names, str) or not all(isinstance(name, str) for name in found):
        raise TypeError(f"{option}={names!r}: write a list of names, {option}=['name']")
    return found


def choose(
    cls: Any, found: Iterable[tuple[str, Member]], selection: Selection | None
) -> Iterator[tuple[str, Member]]:
    """Those of the members of a class that a request may give.

    Raises:
        TypeError: the selection names a key that does not exist or is read-only.
    """
    selection = selection or Selection(cls)
    named = {*(selection.only or ()), *selection.include}
    unknown = {*named, *selection.exclude}
    keys = []
    for key, member in found:
        names = {key, attribute_name(cls, key)}
        unknown -= names
        keys.append(key)
        is_named = not named.isdisjoint(names)
        if member.read_only:
            if is_named:
                raise TypeError(f"{cls.__name__}.{key} is read-only: a request cannot give it")
            continue
        by_default = selection.only is None and not member.named_only
        if (is_named or by_default) and names.isdisjoint(selection.exclude):
            if selection.partial:
                member = replace(member, required=False, default=NODEFAULT)
            yield key, member
    if unknown:
        raise TypeError(
            f"{cls.__name__} has no {sorted(unknown)[0]!r} to choose; it has {', '.join(keys)}"
        )


def exposed_columns(shape: Any) -> dict[str, list[str]]:
    """The columns of the models in a request's shape that look like the server's own and are taken
    from the client without being named, by the model's name."""
    if isinstance(shape, dict):
        return {
            name: keys for item in shape.values() for name, keys in exposed_columns(item).items()
        }
    if isinstance(shape, list):
        return exposed_columns(shape[0]) if shape else {}
    selection = shape if isinstance(shape, Selection) else Selection(shape)
    model = selection.cls
    if not is_model(model) or selection.only is not None:
        return {}
    found = [
        key
        for key, _ in choose(model, members(model, "input"), selection)
        if {key, attribute_name(model, key)}.isdisjoint(selection.include)
        and (_SERVER_SIDE.fullmatch(key) or _SERVER_SIDE.fullmatch(attribute_name(model, key)))
    ]
    return {model.__name__: found} if found else {}
