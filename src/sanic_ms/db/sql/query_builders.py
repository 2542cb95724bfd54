"""Peewee queries and SQLAlchemy Core statements as SQL text with ``$1`` and arguments.

Neither library is imported: an object of theirs can only exist where the caller has imported it,
and then it is found in `sys.modules`. Both are used as compilers alone; nothing is executed.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from sanic_ms.db.sql.placeholders import Dialect
from sanic_ms.exception import StatementError

__all__ = ["compile_query"]

# Stands for a placeholder in what Peewee writes. PostgreSQL and MySQL allow no NUL in a statement,
# so that it cannot be mistaken for a part of it.
_MARK = "\0"


def compile_query(query: object, dialect: Dialect) -> tuple[str, list[Any]] | None:
    """The text and arguments of a query; None where it is of neither library.

    Raises:
        StatementError: the query cannot be written for this database.
    """
    peewee = sys.modules.get("peewee")
    if peewee is not None and isinstance(query, peewee.BaseQuery):
        return _compile_peewee(peewee, query, dialect)
    sqlalchemy = sys.modules.get("sqlalchemy")
    if sqlalchemy is not None and isinstance(query, sqlalchemy.ClauseElement):
        return _compile_sqlalchemy(query, dialect)
    return None


_peewee_databases: dict[Dialect, Any] = {}


def _compile_peewee(peewee: Any, query: Any, dialect: Dialect) -> tuple[str, list[Any]]:
    if isinstance(query, peewee.RawQuery):
        raise StatementError("a Peewee RawQuery is SQL text already: pass the text, with $1")
    # A database object that names no database: it only knows how its dialect is written.
    database = _peewee_databases.get(dialect)
    if database is None:
        kinds = {
            "postgresql": "PostgresqlDatabase",
            "mysql": "MySQLDatabase",
            "sqlite": "SqliteDatabase",
        }
        database = _peewee_databases[dialect] = getattr(peewee, kinds[dialect])(None)
    try:
        text, values = database.get_sql_context(param=_MARK).parse(query)
    except Exception as exc:
        raise StatementError(f"Peewee cannot write this query for {dialect}: {exc}") from exc
    pieces = text.split(_MARK)
    if len(pieces) != len(values) + 1:
        raise StatementError("the Peewee query holds a NUL character outside of its values")
    numbered = [f"${number}{piece}" for number, piece in enumerate(pieces[1:], 1)]
    return pieces[0] + "".join(numbered), [_unwrapped(value) for value in values]


def _unwrapped(value: Any) -> Any:
    """The plain value inside what Peewee wraps for psycopg: JSON, for one."""
    if type(value).__module__.startswith(("psycopg", "psycopg2")):
        for attribute in ("obj", "adapted"):
            if hasattr(value, attribute):
                return getattr(value, attribute)
    return value


_sqlalchemy_dialects: dict[Dialect, Any] = {}


def _compile_sqlalchemy(query: Any, dialect: Dialect) -> tuple[str, list[Any]]:
    target = _sqlalchemy_dialects.get(dialect)
    if target is None:
        module = importlib.import_module(
            "sqlalchemy.dialects."
            + {"postgresql": "postgresql.asyncpg", "mysql": "mysql", "sqlite": "sqlite"}[dialect]
        )
        target = _sqlalchemy_dialects[dialect] = module.dialect(paramstyle="numeric_dollar")
    try:
        compiled = query.compile(dialect=target, compile_kwargs={"render_postcompile": True})
        values = compiled.construct_params()
        names = compiled.positiontup or []
    except Exception as exc:
        raise StatementError(f"SQLAlchemy cannot write this for {dialect}: {exc}") from exc
    return str(compiled), [_bound(compiled, target, name, values[name]) for name in names]


def _bound(compiled: Any, dialect: Any, name: str, value: Any) -> Any:
    """A value as its column's type wants it. The types of the database are left to our drivers;
    those that only SQLAlchemy knows, the application's own decorators and enums, are applied."""
    sqltypes = sys.modules["sqlalchemy"].types
    bind = compiled.binds.get(name)
    if bind is None:
        return value
    kind = bind.type
    if isinstance(kind, sqltypes.TypeDecorator):
        value = kind.process_bind_param(value, dialect)
        kind = kind.impl_instance
    if isinstance(kind, sqltypes.Enum) and value is not None:
        processor = kind.dialect_impl(dialect).bind_processor(dialect)
        return value if processor is None else processor(value)
    return value
