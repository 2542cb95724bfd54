"""How Peewee writes for each database of a pool, without a connection to it.

A model need not have a database, and one process may have pools over several. So the parts of an
expression that Peewee would ask the model's database for (a year, a JSON path) are nodes that wait
for the database that the query is written for: see `DialectNode`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextvars import ContextVar
from functools import cached_property
from typing import Any, Final
from uuid import UUID

import msgspec
import peewee
from peewee import fn

from sanic_ms.db.builders.values import json_text, to_datetime
from sanic_ms.db.sql.placeholders import Dialect

__all__ = [
    "DeferredJSONMethods",
    "DialectNode",
    "MySQLJSON",
    "PoolContext",
    "SqliteJSON",
    "UUIDContext",
    "dialect_database",
    "moment_of",
    "moment_part",
    "seconds_of",
    "truncated",
    "written_for",
]

# Whose stubs do not know all of it.
library: Any = peewee

_current: ContextVar[Any] = ContextVar("sanic_ms_peewee_database")


class UUIDContext(peewee.Context):
    """What Peewee writes a query into, for a database that keeps UUIDs as text: in their usual
    form, as the pool's drivers do, and not as Peewee's 32 digits."""

    __slots__ = ()

    def as_new(self) -> Any:
        """An empty one with the same options."""
        return type(self)(**self.state.settings)

    def value(self, value: Any, converter: Any = None, add_param: bool = True) -> Any:
        """A value, by its field's own conversion."""
        convert = self.state.converter if converter is None else converter
        if convert and _is_by(_field_of(convert), peewee.UUIDField):
            value, converter = _usual_form(convert(value)), False
        return super().value(value, converter, add_param)


class PoolContext(UUIDContext):
    """What Peewee writes a query of a pool into. It knows the database that it writes for."""

    __slots__ = ()

    def parse(self, node: Any) -> tuple[str, list[Any]]:
        """A query as text and values."""
        token = _current.set(written_for(self))
        try:
            text, values = super().parse(node)  # type: ignore[no-untyped-call]
        finally:
            _current.reset(token)
        return text, values

    def value(self, value: Any, converter: Any = None, add_param: bool = True) -> Any:
        """A value, by its field's own conversion; JSON as this package's drivers have it."""
        convert = self.state.converter if converter is None else converter
        if convert:
            field = _field_of(convert)
            is_plain = value is not None and not isinstance(value, peewee.Node)
            if is_plain and _is_by(field, peewee.JSONField):
                value, converter = written_for(self).json.write(field._dumps, value), False
            elif _is_by(field, peewee.UUIDField) and not written_for(self).has_uuid:
                value, converter = _usual_form(convert(value)), False
        return peewee.Context.value(self, value, converter, add_param)


def _field_of(convert: Any) -> Any:
    """The field that defines the values which this converts; None: it is no field's method."""
    field = getattr(convert, "__self__", None)
    if not isinstance(field, peewee.Field):
        return None
    while True:
        if isinstance(field, peewee.ForeignKeyField):
            field = field.rel_field
        elif isinstance(field, peewee.FieldAlias):
            field = field.field
        else:
            return field


def _is_by(field: Any, kind: Any) -> bool:
    """Whether it writes values as a class of Peewee does, and not in a way of the application's."""
    return type(field).db_value is kind.db_value if isinstance(field, kind) else False


def _usual_form(value: Any) -> Any:
    try:
        return str(UUID(value)) if isinstance(value, str) and len(value) == 32 else value
    except ValueError:
        return value


class DialectNode(peewee.ColumnBase):
    """A part of an expression that each database writes in its own way.

    Args:
        build: Gives the node for a database.
        converter: Of its value, where it is selected; None: the value is left alone.
        label: The name of its column in a row, where no alias is given: databases do not agree.
    """

    def __init__(
        self,
        build: Callable[[Any], Any],
        converter: Callable[[Any], Any] | None = None,
        label: str | None = None,
    ) -> None:
        self._build = build
        self._converter = converter
        self.label = label

    def __sql__(self, ctx: Any) -> Any:
        return ctx.sql(self._build(written_for(ctx)))


def written_for(ctx: Any) -> Any:
    """The database that a context is for. Peewee's own contexts tell it by how they write."""
    database = ctx.state.pool_database
    if database is not None:
        return database
    if ctx.state.quote == "``":
        return dialect_database("mysql")
    return dialect_database("postgresql" if ctx.state.param == "%s" else "sqlite")


# --- JSON ----------------------------------------------------------------------------------------


def _text(dumps: Callable[[Any], str], value: Any) -> str:
    """JSON as a field writes it: in the application's own way, else in that of the drivers."""
    return json_text(value) if dumps is json.dumps else dumps(value)


class SqliteJSON(library.SqliteJSONMethods):  # type: ignore[misc]
    """JSON on SQLite, written as the drivers write it."""

    def make_value_wrapper(self, dumps: Any) -> Callable[[Any], Any]:
        """What makes of a value what is written."""
        return lambda value: self.write(dumps, value)

    def write(self, dumps: Any, value: Any) -> Any:
        """A value as JSON."""
        return fn.json(_text(dumps, value))

    def compare_value(self, field: Any, value: Any) -> Any:
        """A value to compare a path with."""
        return value if isinstance(value, peewee.Node) else self.write(field._dumps, value)


class MySQLJSON(library.MySQLJSONMethods):  # type: ignore[misc]
    """JSON on MySQL and MariaDB, written as the drivers write it."""

    def make_value_wrapper(self, dumps: Any) -> Callable[[Any], Any]:
        """What makes of a value what is written, once it is known which of the two it is."""
        return lambda value: DialectNode(lambda _: self.write(dumps, value))

    def write(self, dumps: Any, value: Any) -> Any:
        """A value as JSON."""
        text = peewee.Value(_text(dumps, value), converter=False)
        return self._as_json(text, compact=False)


class _PostgresqlJSON(library.PostgresqlJSONMethods):  # type: ignore[misc]
    """Values are handed over as JSON text that asyncpg's codec does not encode again."""

    def write(self, dumps: Any, value: Any) -> Any:
        raw = msgspec.Raw(_text(dumps, value).encode())
        return peewee.Value(raw, converter=False, unpack=False)

    def compare_value(self, field: Any, value: Any) -> Any:
        return value if isinstance(value, peewee.Node) else self._jsonb_wrap(field, value)

    def _jsonb_wrap(self, field: Any, value: Any) -> Any:
        return self.write(field._dumps, value)

    def cast_for_case(self, field: Any, value: Any) -> Any:
        return peewee.Cast(self._jsonb_wrap(field, value), "JSONB")


class DeferredJSONMethods(library.BaseJSONMethods):  # type: ignore[misc]
    """JSON of a model without a database: what each gives waits for the database."""

    def make_value_wrapper(self, dumps: Any) -> Callable[[Any], Any]:
        """What makes of a value what is written."""
        return lambda value: DialectNode(lambda database: database.json.write(dumps, value))

    def cast_type(self, t: str) -> Any:
        """The type of a CAST, by the database that is being written for."""
        return _CastType(t)

    def cast_for_case(self, field: Any, value: Any) -> Any:
        """A branch of a CASE."""

        def cast(database: Any) -> Any:
            node = database.json.cast_for_case(field, value)
            return database.json.write(field._dumps, value) if node is None else node

        return DialectNode(cast)


class _CastType:
    def __init__(self, name: str) -> None:
        self._name = name

    def __str__(self) -> str:
        database = _current.get(None) or dialect_database("sqlite")
        return str(database.json.cast_type(self._name))


def _deferred(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any) -> Any:
        return DialectNode(lambda database: getattr(database.json, name)(*args))

    return method


for _name in ("extract", "extract_text", "set", "insert", "replace", "append", "remove", "update",
              "length", "contains", "contained_by", "has_key", "has_keys", "has_any_keys",
              "compare_value"):  # fmt: skip
    setattr(DeferredJSONMethods, _name, _deferred(_name))


# --- databases -----------------------------------------------------------------------------------


class _Dialect:
    """What the databases below share."""

    get_context_options: Any  # Peewee's
    json_class: Any = None
    has_uuid = False

    @cached_property
    def json(self) -> Any:
        """How it writes JSON."""
        return self.json_class(self)

    @cached_property
    def options(self) -> dict[str, Any]:
        """Peewee's options of a context, which never change here, and the database itself."""
        return {**self.get_context_options(), "pool_database": self}

    def context(self, param: str) -> PoolContext:
        """What a query is written into, with a mark in place of each value."""
        return PoolContext(**{**self.options, "param": param})

    def get_binary_type(self) -> Any:
        """The drivers take bytes."""
        return bytes


class _PoolSqlite(_Dialect, peewee.SqliteDatabase):
    json_class = SqliteJSON


class _PoolMySQL(_Dialect, peewee.MySQLDatabase):
    json_class = MySQLJSON


class _PoolPostgresql(_Dialect, peewee.PostgresqlDatabase):
    json_class = _PostgresqlJSON
    has_uuid = True

    def extract_date(self, date_part: str, date_field: Any) -> Any:
        """A part of a date, or of a moment in UTC, whatever the session's time zone is."""
        return super().extract_date(date_part, _in_utc(date_field))

    def truncate_date(self, date_part: str, date_field: Any) -> Any:
        """The beginning of the year, month … in UTC."""
        return super().truncate_date(date_part, _in_utc(date_field))


def _in_utc(node: Any) -> Any:
    is_moment = isinstance(node, peewee.DateTimeField | DialectNode)
    return peewee.NodeList((node, peewee.SQL("AT TIME ZONE 'UTC'"))) if is_moment else node


_CLASSES: Final = {"postgresql": _PoolPostgresql, "mysql": _PoolMySQL, "sqlite": _PoolSqlite}
_databases: dict[tuple[Dialect, bool], Any] = {}


def dialect_database(dialect: Dialect, *, mariadb: bool = False) -> Any:
    """The Peewee database that writes for a dialect. It names no database and never connects."""
    database = _databases.get((dialect, mariadb))
    if database is None:
        options = {"mariadb": mariadb} if dialect == "mysql" else {}
        database = _databases[dialect, mariadb] = _CLASSES[dialect](None, **options)
    return database


def moment_part(part: str, field: Any) -> DialectNode:
    """A part of a date or time, as a whole number."""
    return DialectNode(lambda database: database.extract_date(part, field), _whole, part)


def truncated(part: str, field: Any) -> DialectNode:
    """The beginning of a year, month … in UTC."""
    return DialectNode(lambda database: database.truncate_date(part, field), to_datetime, part)


def seconds_of(field: Any) -> DialectNode:
    """The seconds since 1970."""
    return DialectNode(lambda database: database.to_timestamp(field), _whole)


def moment_of(seconds: Any) -> DialectNode:
    """The moment of so many seconds since 1970."""
    return DialectNode(lambda database: database.from_timestamp(seconds), to_datetime)


def _whole(value: Any) -> Any:
    return value if value is None else int(value)
