"""Columns that an update gives a value to by itself."""

from __future__ import annotations

from typing import Any, TypeVar

__all__ = ["on_update"]

AnyField = TypeVar("AnyField")


def on_update(field: AnyField, value: Any = None) -> AnyField:
    """Mark a column of a Peewee model as one that each update through a repository writes anew.

    ::

        class User(Model):
            update_time = on_update(DateTimeField(default=utcnow))

    Args:
        field: The column.
        value: A value, or a function that gives it. Default: the default of the field.

    Raises:
        ValueError: there is no value, and the field has no default.
    """
    value = getattr(field, "default", None) if value is None else value
    if value is None:
        raise ValueError("on_update() takes a value, or a field with a default")
    setattr(field, "value_on_update", value)  # noqa: B010 - Peewee's fields do not declare it
    return field
