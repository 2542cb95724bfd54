"""SQLAlchemy's types between an application and this package's drivers.

SQLAlchemy's own dialects convert for drivers of theirs, which give text for a date on SQLite, for
one. Ours have done that where a column tells its type. So each dialect here has types that take
both, and the types that an application makes of them (`TypeDecorator`, `Enum`) stand on these.
"""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from sqlalchemy import cast, type_coerce, types

from sanic_ms.db.builders import values
from sanic_ms.db.builders.query import Converter
from sanic_ms.db.sql.placeholders import Dialect

__all__ = ["dialect_of", "impl_of"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _LeftToDriver:
    """Values go to the driver as they are, and come back through `read`."""

    read: Any = None

    def bind_processor(self, dialect: Any) -> Any:
        """None: the driver takes them."""
        return None

    def result_processor(self, dialect: Any, coltype: object) -> Any:
        """What makes them of what the driver gives."""
        return self.read


class _Date(_LeftToDriver, types.Date):
    read = staticmethod(values.to_date)


class _DateTime(_LeftToDriver, types.DateTime):
    read = staticmethod(values.to_datetime)


class _Time(_LeftToDriver, types.Time):
    read = staticmethod(values.to_time)


class _Boolean(types.Boolean):
    def result_processor(self, dialect: Any, coltype: object) -> Any:
        """0 and 1 are booleans; a driver may have said so."""
        return values.to_bool


class _Interval(types.Interval):
    """The database has none: SQLAlchemy stores the moment so long after 1970."""

    def bind_processor(self, dialect: Any) -> Any:
        """A timedelta as that moment."""
        return lambda value: None if value is None else _EPOCH + value

    def result_processor(self, dialect: Any, coltype: object) -> Any:
        """That moment as a timedelta."""

        def read(value: Any) -> Any:
            moment = values.to_datetime(value)
            return moment - _EPOCH if isinstance(moment, datetime) else value

        return read


class _Uuid(types.Uuid[Any]):
    """32 digits, as SQLAlchemy's own CHAR(32) holds them; any form is read."""

    def result_processor(self, dialect: Any, coltype: object) -> Any:
        """A UUID, or its text where the type says so."""
        if self.as_uuid:
            return values.to_uuid
        return lambda value: None if value is None else str(values.to_uuid(value))


def _read_number(asdecimal: bool) -> Converter:
    if asdecimal:
        return values.to_decimal
    return lambda value: None if value is None else float(value)


class _Numeric(types.Numeric[Any]):
    def bind_processor(self, dialect: Any) -> Any:
        """None: the driver takes it."""
        return None

    def result_processor(self, dialect: Any, coltype: object) -> Any:
        """A decimal, or a float where the type says so."""
        return _read_number(self.asdecimal)


class _JSON(types.JSON):
    """JSON is read as text, as a driver may or may not have decoded what a column holds."""

    def column_expression(self, colexpr: Any) -> Any:
        """The text of a column, or of a path in it."""
        # Of the type of the application's, which may be a decorator of this one.
        return type_coerce(cast(colexpr, types.Text), colexpr.type)

    def result_processor(self, dialect: Any, coltype: object) -> Any:
        """What the text says."""
        return values.to_json


def dialect_of(dialect: Dialect) -> Any:
    """SQLAlchemy's dialect for a pool's database."""
    return _MAKERS[dialect]()


def impl_of(type_: Any, target: Any) -> Any:
    """The type that converts values of a type for one of these dialects."""
    if isinstance(type_, types.Interval) and not (type_.native and target.name == "postgresql"):
        return _Interval()
    return type_.dialect_impl(target)


def _make(module: str, colspecs: dict[Any, Any], **options: Any) -> Any:
    base = importlib.import_module(f"sqlalchemy.dialects.{module}").dialect
    kind = type(f"Pool{base.__name__}", (base,), _members(base, colspecs))
    return kind(paramstyle="numeric_dollar", json_serializer=values.json_text, **options)


def _members(base: Any, colspecs: dict[Any, Any]) -> dict[str, Any]:
    # Without the second, each compilation warns.
    return {"colspecs": {**base.colspecs, **colspecs}, "supports_statement_cache": True}


def _sqlite() -> Any:
    return _make(
        "sqlite",
        {
            types.Boolean: _Boolean,
            types.Date: _Date,
            types.DateTime: _DateTime,
            types.JSON: _JSON,
            types.Numeric: _Numeric,
            types.Time: _Time,
            types.Uuid: _Uuid,
        },
    )


def _mysql() -> Any:
    own = {types.Boolean: _Boolean, types.DateTime: _DateTime, types.JSON: _JSON,
           types.Time: _Time, types.Uuid: _Uuid}  # fmt: skip
    return _make("mysql", own)


def _postgresql() -> Any:
    asyncpg = importlib.import_module("sqlalchemy.dialects.postgresql.asyncpg")
    postgresql = importlib.import_module("sqlalchemy.dialects.postgresql")

    def encoded(process: Any) -> Any:
        """JSON text for asyncpg's codec, which does not encode it again."""

        def bind(value: Any) -> Any:
            text = process(value)
            return None if text is None else msgspec.Raw(text.encode())

        return bind

    class PostgresJSON(postgresql.JSON):  # type: ignore[misc, name-defined]
        def bind_processor(self, dialect: Any) -> Any:
            return encoded(super().bind_processor(dialect))

        def result_processor(self, dialect: Any, coltype: object) -> Any:
            return None

    class PostgresJSONB(postgresql.JSONB):  # type: ignore[misc, name-defined]
        def bind_processor(self, dialect: Any) -> Any:
            return encoded(super().bind_processor(dialect))

        def result_processor(self, dialect: Any, coltype: object) -> Any:
            return None

    class PostgresNumeric(asyncpg.AsyncpgNumeric):  # type: ignore[misc, name-defined]
        def result_processor(self, dialect: Any, coltype: object) -> Any:
            return _read_number(self.asdecimal)

    class PostgresFloat(asyncpg.AsyncpgFloat):  # type: ignore[misc, name-defined]
        def result_processor(self, dialect: Any, coltype: object) -> Any:
            return _read_number(self.asdecimal)

    own = {types.JSON: PostgresJSON, postgresql.JSON: PostgresJSON,
           postgresql.JSONB: PostgresJSONB, types.Numeric: PostgresNumeric,
           types.Float: PostgresFloat}  # fmt: skip
    # Its types ask the driver for the classes of ranges and bit strings.
    return _make("postgresql.asyncpg", own, dbapi=asyncpg.dialect.import_dbapi())


_MAKERS: Final = {"postgresql": _postgresql, "mysql": _mysql, "sqlite": _sqlite}
