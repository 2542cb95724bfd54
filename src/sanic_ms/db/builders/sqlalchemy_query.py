"""SQLAlchemy Core statements as SQL text, and the conversion of their rows by their types."""

from __future__ import annotations

from typing import Any

from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TupleType

from sanic_ms.db.builders.query import BuiltQuery, Conversion, Converter
from sanic_ms.db.builders.sqlalchemy_types import dialect_of, impl_of
from sanic_ms.db.sql.placeholders import Dialect
from sanic_ms.exception import StatementError

__all__ = ["compile_sqlalchemy"]

_dialects: dict[Dialect, Any] = {}


def compile_sqlalchemy(query: Any, dialect: Dialect) -> BuiltQuery:
    """A SQLAlchemy Core statement for a pool's database.

    Raises:
        StatementError: it cannot be written for this database, or a value is not of its type.
    """
    target = _dialects.get(dialect)
    if target is None:
        target = _dialects[dialect] = dialect_of(dialect)
    try:
        compiled = query.compile(dialect=target)
        if not isinstance(compiled, SQLCompiler):  # CREATE TABLE and its kin
            return BuiltQuery(str(compiled), ())
        expanded = compiled.construct_expanded_state(escape_names=False)
        args = _arguments(compiled, expanded, target)
        conversion = _conversion_of(compiled, target)
    except Exception as exc:
        raise StatementError(f"SQLAlchemy cannot write this for {dialect}: {exc}") from exc
    key_of = _keys_of(query, target)
    return BuiltQuery(expanded.statement, args, conversion, key_of, _primary_key_of(query))


def _arguments(compiled: Any, expanded: Any, target: Any) -> list[Any]:
    """The values in their order, each as its column's type wants it."""
    # The values of a list, as of IN, have names of their own.
    lists = {part: whole for whole, parts in expanded.parameter_expansion.items() for part in parts}
    processes: dict[str, Any] = {}
    args = []
    for name in expanded.positiontup or ():
        owner = lists.get(name, name)
        type_ = compiled.binds[owner].type
        if isinstance(type_, TupleType):
            process = expanded.processors.get(name)
        else:
            if owner not in processes:
                processes[owner] = impl_of(type_, target).bind_processor(target)
            process = processes[owner]
        value = expanded.parameters[name]
        args.append(value if process is None else process(value))
    return args


def _converter(type_: Any, target: Any) -> Converter | None:
    convert: Converter | None = impl_of(type_, target).result_processor(target, None)
    return convert


def _conversion_of(compiled: Any, target: Any) -> Conversion | None:
    columns = [(entry[0], _converter(entry[3], target)) for entry in compiled._result_columns]
    return Conversion(columns) if any(convert for _, convert in columns) else None


def _keys_of(query: Any, target: Any) -> Any:
    if not getattr(query, "is_insert", False):
        return None

    def key_of(name: str) -> Converter | None:
        column = query.table.c.get(name)
        return None if column is None else _converter(column.type, target)

    return key_of


def _primary_key_of(query: Any) -> str | None:
    if not getattr(query, "is_insert", False):
        return None
    return next((column.name for column in query.table.primary_key), None)
