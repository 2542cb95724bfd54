"""The table of a Peewee model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import peewee as _peewee

from sanic_ms.db.builders import BuiltQuery
from sanic_ms.db.builders.peewee_fields import converter_of, holds_json, target_of
from sanic_ms.db.builders.peewee_unbound import install
from sanic_ms.db.builders.query import Conversion
from sanic_ms.db.sql.placeholders import Dialect
from sanic_ms.repository.table import Binder, Build, Table, TableColumn, conjunction, quoted

__all__ = ["PeeweeTable"]

# Its stubs do not know all of it.
peewee: Any = _peewee

# JSON is selected as text where the driver may or may not decode it, as the pool's builder does.
_JSON_TEXT: Final[dict[Dialect, str]] = {"sqlite": "TEXT", "mysql": "CHAR"}
# The drivers take the values of these as they are, and check them: 1.9 is no integer.
_CHECKED_BY_DRIVER: Final = (
    peewee.IntegerField, peewee.BooleanField, peewee.FloatField, peewee.CharField,
    peewee.TextField, peewee.BlobField, peewee.DateTimeField, peewee.DateField, peewee.TimeField,
)  # fmt: skip
_TYPES: Final = (
    (peewee.BooleanField, bool),
    (peewee.TimestampField, datetime),
    (peewee.IntegerField, int),
    (peewee.FloatField, float),
    (peewee.DecimalField, Decimal),
    (peewee.DateTimeField, datetime),
    (peewee.DateField, date),
    (peewee.TimeField, time),
    (peewee.UUIDField, UUID),
    (peewee.BinaryUUIDField, UUID),
    (peewee.BlobField, bytes),
    (peewee.CharField, str),
    (peewee.TextField, str),
)


class PeeweeTable(Table):
    """A Peewee model as a `Table`."""

    def __init__(self, model: Any) -> None:
        install()
        self._model = model
        meta = model._meta
        self._fields: dict[str, Any] = {field.column_name: field for field in meta.sorted_fields}
        key: Any = meta.get_primary_keys() if meta.primary_key else ()
        unique = {name for name, *others in _unique_keys(meta) if not others}
        if len(key) == 1:
            unique.add(key[0].column_name)
        super().__init__(
            model.__name__.lower(),
            [_column(field, field.column_name in unique) for field in self._fields.values()],
            [field.column_name for field in key],
        )

    def sql_name(self, dialect: Dialect) -> str:
        meta = self._model._meta
        names = [meta.table_name] if meta.schema is None else [meta.schema, meta.table_name]
        return ".".join(quoted(name, dialect) for name in names)

    def select_list(self, dialect: Dialect) -> str:
        return ", ".join(_selected(field, dialect) for field in self._fields.values())

    def conversion(self, dialect: Dialect) -> Conversion | None:
        columns = [(name, converter_of(field, dialect)) for name, field in self._fields.items()]
        return Conversion(columns) if any(convert for _, convert in columns) else None

    def binder(self, name: str, dialect: Dialect) -> Binder | None:
        field = self._fields[name]
        bind = _binder(target_of(field))
        return bind if not isinstance(field, peewee.ForeignKeyField) else _related(bind)

    def is_plain(self, name: str, dialect: Dialect) -> bool:
        target = target_of(self._fields[name])
        return not isinstance(target, peewee.JSONField) and not _has_own_values(target)

    def is_expression(self, value: object) -> bool:
        return isinstance(value, peewee.Node)

    def select(self, where: Any, from_: Any) -> Any:
        if from_ is not None and not isinstance(from_, peewee.ModelSelect | peewee.Select):
            raise TypeError(f"from_ is a Peewee query, as User.select(…).join(…), not {from_!r}")
        query = self._model.select() if from_ is None else from_
        if where is None:
            return query
        if not isinstance(where, peewee.Node):
            raise TypeError(f"where is a mapping of columns or a Peewee expression, not {where!r}")
        return query.where(where)

    def condition(self, values: Mapping[str, Any]) -> Any:
        return conjunction(values, self._fields)

    def insert(self, values: Mapping[str, Any], build: Build) -> BuiltQuery:
        return build(self._model.insert(self._by_field(values)), ())

    def update(
        self, values: Mapping[str, Any], where: Mapping[str, Any], build: Build
    ) -> BuiltQuery:
        query = self._model.update(self._by_field(values))
        for name, value in where.items():
            query = query.where(self._fields[name] == value)
        return build(query, ())

    def increment(self, name: str) -> Any:
        return self._fields[name] + 1

    def _by_field(self, values: Mapping[str, Any]) -> dict[Any, Any]:
        return {self._fields[name]: value for name, value in values.items()}


def _unique_keys(meta: Any) -> Iterator[list[str]]:
    """The columns of each unique index that the model declares."""
    for field in meta.sorted_fields:
        if field.unique:
            yield [field.column_name]
    for index in meta.indexes:
        if isinstance(index, tuple | list) and len(index) == 2 and index[1]:
            parts = (index[0],) if isinstance(index[0], str) else index[0]
            yield [meta.combined[part].column_name for part in parts if part in meta.combined]


def _column(field: Any, is_unique: bool) -> TableColumn:
    target = target_of(field)
    type_ = next((type_ for kind, type_ in _TYPES if isinstance(target, kind)), object)
    default = None if field.default is None else _factory(field.default)
    on_update = vars(field).get("value_on_update")
    return TableColumn(
        field.column_name,
        field.name,
        nullable=bool(field.null),
        unique=is_unique,
        type=type_,
        default=default,
        on_update=None if on_update is None else _factory(on_update),
    )


def _factory(value: Any) -> Callable[[], Any]:
    made: Callable[[], Any] = value if callable(value) else lambda: value
    return made


def _selected(field: Any, dialect: Dialect) -> str:
    name = quoted(field.column_name, dialect)
    if dialect in _JSON_TEXT and holds_json(target_of(field)):
        return f"CAST({name} AS {_JSON_TEXT[dialect]}) AS {name}"
    return name


def _binder(target: Any) -> Binder | None:
    if type(target).db_value is peewee.UUIDField.db_value:
        return _uuid
    for kind in _CHECKED_BY_DRIVER:
        if isinstance(target, kind):
            is_usual = (
                type(target).db_value in (peewee.Field.db_value, kind.db_value)
                and type(target).adapt in (peewee.Field.adapt, kind.adapt)
                and "adapt" not in vars(target)
            )
            if is_usual and not isinstance(target, peewee.TimestampField):
                return None
    convert: Binder = target.db_value
    return convert


def _has_own_values(target: Any) -> bool:
    """Whether a class of the application's says how its values are written: perhaps as a call."""
    return getattr(type(target).db_value, "__module__", None) not in ("peewee", "playhouse")


def _uuid(value: Any) -> Any:
    """A UUID in its usual form, which the pool's drivers write."""
    return str(UUID(value)) if isinstance(value, str) else value


def _related(bind: Binder | None) -> Binder:
    """The binder of a foreign key, which takes an instance of the other model too."""

    def convert(value: Any) -> Any:
        if isinstance(value, peewee.Model):
            value = value.get_id()
        return value if bind is None or value is None else bind(value)

    return convert
