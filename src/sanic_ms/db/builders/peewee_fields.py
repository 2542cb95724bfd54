"""What the values of a Peewee field become when its rows are read."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import peewee

from sanic_ms.db.builders import values
from sanic_ms.db.builders.query import Converter
from sanic_ms.db.sql.placeholders import Dialect

__all__ = ["UNCONVERTED", "converter_of", "holds_json", "target_of"]

# The types that a driver cannot tell, as the database has none for them.
_SQLITE: Final[dict[Any, Converter]] = {
    peewee.BooleanField: values.to_bool,
    peewee.DateField: values.to_date,
    peewee.DateTimeField: values.to_datetime,
    peewee.DecimalField: values.to_decimal,
    peewee.TimeField: values.to_time,
    peewee.UUIDField: values.to_uuid,
    peewee.BinaryUUIDField: values.to_uuid,
}
_MYSQL: Final[dict[Any, Converter]] = {
    peewee.BooleanField: values.to_bool,
    peewee.TimeField: values.to_time,
    peewee.UUIDField: values.to_uuid,
    peewee.BinaryUUIDField: values.to_uuid,
}
_POSTGRESQL: Final[dict[Any, Converter]] = {peewee.BinaryUUIDField: values.to_uuid}
_BY_CLASS: Final[dict[Dialect, dict[Any, Converter]]] = {
    "sqlite": _SQLITE,
    "mysql": _MYSQL,
    "postgresql": _POSTGRESQL,
}
# Classes of fields whose values the drivers of a dialect give as they are meant, as they are met.
UNCONVERTED: Final[dict[Dialect, set[type]]] = {
    "sqlite": set(),
    "mysql": set(),
    "postgresql": set(),
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def target_of(field: Any) -> Any:
    """The field that defines the values: behind the alias of a model, and a foreign key."""
    while True:
        if isinstance(field, peewee.FieldAlias):
            field = field.field
        elif isinstance(field, peewee.ForeignKeyField):
            field = field.rel_field
        else:
            return field


def holds_json(field: Any) -> bool:
    """Whether it is Peewee's JSON field, with no conversion of the application's own."""
    return isinstance(field, peewee.JSONField) and not _has_own(field)


def converter_of(field: Any, dialect: Dialect) -> Converter | None:
    """The converter of a field's values; None: the driver gives them as they are meant.

    A field class of the application's own keeps its ``python_value`` and ``adapt``.
    """
    field = target_of(field)
    if _has_own(field):
        own: Converter = field.python_value
        return own
    if isinstance(field, peewee.JSONField):
        return None if dialect == "postgresql" else _json_converter(field)
    if isinstance(field, peewee.TimestampField):
        return _moment_converter(field.resolution)
    if isinstance(field, peewee.FixedCharField | peewee.IPField):
        return _tolerant(field.python_value)
    by_class = _BY_CLASS[dialect]
    for base in type(field).__mro__:
        if base in by_class:
            return by_class[base]
    if not isinstance(field, peewee.BareField):  # each of which may have a conversion of its own
        UNCONVERTED[dialect].add(type(field))
    return None


def _has_own(field: Any) -> bool:
    """Whether a class that is not Peewee's says what its values become."""
    if "adapt" in vars(field) or "python_value" in vars(field):
        return True
    for name in ("python_value", "adapt"):
        method = getattr(type(field), name)
        if getattr(method, "__module__", None) not in ("peewee", "builtins"):
            return True
    return False


def _json_converter(field: Any) -> Converter:
    """The text of JSON, by the application's own ``loads`` where the field has one."""
    if field._loads is json.loads:
        return values.to_json
    loads: Callable[[str], Any] = field._loads

    def convert(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return loads(value)
        except (TypeError, ValueError):
            return value

    return convert


def _moment_converter(resolution: int) -> Converter:
    ticks = 1_000_000 // resolution

    def convert(value: Any) -> Any:
        if not isinstance(value, int):
            return value
        try:
            return _EPOCH + timedelta(microseconds=value * ticks)
        except OverflowError:
            return value

    return convert


def _tolerant(convert: Converter) -> Converter:
    def tolerant(value: Any) -> Any:
        try:
            return convert(value)
        except (TypeError, ValueError, struct.error):
            return value

    return tolerant
