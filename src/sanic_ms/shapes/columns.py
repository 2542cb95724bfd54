"""What an answer needs to know of the columns of a Peewee model beside their types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from sanic_ms.shapes.member import Member, Row
from sanic_ms.shapes.peewee import is_model

__all__ = ["completed", "row_of"]


def completed(model: Any, members: Iterable[tuple[str, Member]]) -> Iterator[tuple[str, Member]]:
    """The members of a model, with the names of their columns in Python and `doc.write_only`."""
    for column, member in members:
        field = model._meta.columns[column]
        is_hidden = getattr(field, "write_only", False) is True
        related = getattr(field, "rel_field", None)
        if related is not None and field.name != column:
            # `.dicts()` gives the key under the name of the attribute, a join may give an object.
            lookup = _ForeignKey(field.name, related.name, related.column_name)
            yield column, replace(member, write_only=is_hidden, lookup=lookup)
        else:
            yield column, replace(member, write_only=is_hidden, attribute=field.name)


def row_of(instance: Any) -> dict[str, Any]:
    """An instance as a row: its values by the name of the attribute and by that of the column, and
    what its query selected beside the columns."""
    fields = type(instance)._meta.fields
    values = instance.__data__
    row = {key: value for key, value in vars(instance).items() if not key.startswith("_")}
    row.update((fields[name].column_name, values[name]) for name in values if name in fields)
    row.update(values)
    return row


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
