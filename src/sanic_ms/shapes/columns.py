"""What an answer needs to know of the columns of a Peewee model beside their types."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from sanic_ms.shapes.member import Member, Row
from sanic_ms.shapes.peewee import is_model

__all__ = ["columns_of", "completed", "row_of"]


def completed(model: Any, members: Iterable[tuple[str, Member]]) -> Iterator[tuple[str, Member]]:
    """The members of a model, with the names of their columns in Python and `doc.write_only`."""
    for column, member in members:
        field = model._meta.columns[column]
        is_hidden = _is_write_only(field)
        related = getattr(field, "rel_field", None)
        is_object = not (field.help_text is None or isinstance(field.help_text, str))
        if related is not None and field.name != column and not is_object:
            # `.dicts()` gives the key under the name of the attribute, a join may give an object.
            lookup = _ForeignKey(field.name, related.name, related.column_name)
            yield column, replace(member, write_only=is_hidden, lookup=lookup)
        else:
            yield column, replace(member, write_only=is_hidden, attribute=field.name)


def row_of(instance: Any) -> dict[str, Any]:
    """An instance as a row: its values by the name of the attribute and by that of the column, and
    what its query selected beside the columns."""
    model: Any = type(instance)
    values = instance.__data__
    attributes = vars(instance)
    row = {}
    if len(attributes) > _OWN_ATTRIBUTES:
        row = {key: value for key, value in attributes.items() if not key.startswith("_")}
    for name, column in _renamed(model):
        if name in values:
            row[column] = values[name]
    row.update(values)
    return row


def columns_of(instance: Any) -> dict[str, Any]:
    """The columns of an instance that an answer shows where no shape says more."""
    model: Any = type(instance)
    values = instance.__data__
    return {column: values[name] for name, column in _shown(model) if name in values}


_OWN_ATTRIBUTES = 3  # of an instance of Peewee: its data, what is dirty, related objects


@functools.lru_cache(maxsize=4096)
def _renamed(model: Any) -> tuple[tuple[str, str], ...]:
    fields = model._meta.fields
    return tuple((n, f.column_name) for n, f in fields.items() if n != f.column_name)


@functools.lru_cache(maxsize=4096)
def _shown(model: Any) -> tuple[tuple[str, str], ...]:
    fields = model._meta.fields
    return tuple((n, f.column_name) for n, f in fields.items() if not _is_write_only(f))


def _is_write_only(field: Any) -> bool:
    return getattr(field, "write_only", False) is True


@dataclass(frozen=True, slots=True)
class _ForeignKey:
    """The key of a related object that a row holds under the name of the attribute."""

    attribute: str
    name: str
    column: str

    def __call__(self, row: Row) -> Any:
        value = row.get(self.attribute, msgspec.UNSET)
        if is_model(type(value)):
            return value.__data__.get(self.name, msgspec.UNSET)
        if isinstance(value, Mapping):
            return value.get(self.name, value.get(self.column, msgspec.UNSET))
        return value
