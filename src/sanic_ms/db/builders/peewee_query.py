"""Peewee queries as SQL text, and the conversion of their rows by the fields of the models."""

from __future__ import annotations

from typing import Any, Final

import peewee as _peewee

from sanic_ms.db.builders.peewee_dialects import DialectNode, dialect_database
from sanic_ms.db.builders.peewee_fields import (
    UNCONVERTED,
    converter_of,
    holds_json,
    target_of,
)
from sanic_ms.db.builders.peewee_unbound import install
from sanic_ms.db.builders.query import BuiltQuery, Conversion, Converter
from sanic_ms.db.sql.placeholders import Dialect
from sanic_ms.exception import StatementError

__all__ = ["compile_peewee"]

# Its stubs do not know all of it.
peewee: Any = _peewee

# Stands for a placeholder in what Peewee writes. PostgreSQL and MySQL allow no NUL in a statement,
# so that it cannot be mistaken for a part of it.
_MARK = "\0"

# Functions that give a value of their first argument.
_GIVES_ARGUMENT: Final = frozenset(
    ("max", "min", "coalesce", "ifnull", "nullif", "greatest", "least", "any_value",
     "first_value", "last_value", "nth_value", "lag", "lead")
)  # fmt: skip
# The type for JSON as text, where a driver may or may not have decoded a value: that depends on how
# the column was declared, and on whether it is one.
_TEXT: Final[dict[Dialect, str]] = {"sqlite": "TEXT", "mysql": "CHAR"}


def compile_peewee(query: Any, dialect: Dialect, *, mariadb: bool = False) -> BuiltQuery:
    """A Peewee query for a pool's database.

    Raises:
        StatementError: it cannot be written for this database, or is a `RawQuery`.
    """
    if isinstance(query, peewee.RawQuery):
        raise StatementError("a Peewee RawQuery is SQL text already: pass the text, with $1")
    install()
    database = dialect_database(dialect, mariadb=mariadb)
    try:
        conversion, written = None, query
        if not _is_unconverted(query, UNCONVERTED[dialect]):
            conversion = _conversion_of(query, dialect)
            written = _selecting(query, dialect)
        text, marked = database.context(_MARK).parse(written)
    except Exception as exc:
        raise StatementError(f"Peewee cannot write this query for {dialect}: {exc}") from exc
    pieces = text.split(_MARK)
    if len(pieces) != len(marked) + 1:
        raise StatementError("the Peewee query holds a NUL character outside of its values")
    numbered = [f"${number}{piece}" for number, piece in enumerate(pieces[1:], 1)]
    args = [_unwrapped(value) for value in marked]
    sql, key_of = pieces[0] + "".join(numbered), _keys_of(query, dialect)
    return BuiltQuery(sql, args, conversion, key_of, _primary_key_of(query))


def _unwrapped(value: Any) -> Any:
    """The plain value inside what Peewee wraps for psycopg: JSON, for one."""
    if type(value).__module__.startswith(("psycopg", "psycopg2")):
        for attribute in ("obj", "adapted"):
            if hasattr(value, attribute):
                return getattr(value, attribute)
    return value


# --- what is read --------------------------------------------------------------------------------


def _is_unconverted(query: Any, classes: set[type]) -> bool:
    """Whether it selects nothing but fields whose values are left as they are."""
    selected = getattr(query, "_returning", None)
    if isinstance(query, peewee.CompoundSelectQuery):
        return False
    return not selected or all(type(node) in classes and node._coerce for node in selected)


def _conversion_of(query: Any, dialect: Dialect) -> Conversion | None:
    selected = query._returning if hasattr(query, "_returning") else None
    if not selected:
        return None
    columns = [(_name_of(node), _converter(node, query, dialect)) for node in selected]
    if not any(convert for _, convert in columns):
        return None
    return Conversion(columns, is_complete=not any(_is_star(node) for node in selected))


def _is_star(node: Any) -> bool:
    return isinstance(node, peewee.Star) or (isinstance(node, peewee.SQL) and "*" in node.sql)


def _name_of(node: Any) -> str | None:
    """The name of a column in a row, where Peewee tells it."""
    name = None
    if isinstance(node, peewee.Alias):
        name = node.name
    elif isinstance(node, peewee.Field):
        name = node.column_name
    elif isinstance(node, peewee.Column):
        name = node.name
    elif isinstance(node, DialectNode):
        name = node.label
    elif isinstance(node, peewee.JSONPath):
        name = str(node._keys[-1]) if node._keys else node._field.column_name
    return name if isinstance(name, str) else None


def _converter(node: Any, query: Any, dialect: Dialect) -> Converter | None:
    if not _is_converted(node):
        return None
    node = _unwrap(node)
    if isinstance(node, peewee.Function) and node._python_value is not None:
        given: Converter = node._python_value
        return given
    if isinstance(node, peewee.JSONPath):
        return None if node._as_text else converter_of(node._field, dialect)
    source = _field_behind(node, query)
    if source is not None:
        return converter_of(source, dialect)
    # What was given by `ColumnBase.converter()`.
    own: Converter | None = getattr(node, "_converter", None)
    return own


def _is_converted(node: Any) -> bool:
    """Whether ``coerce(False)`` was said nowhere."""
    return getattr(node, "_coerce", False) is not False


def _unwrap(node: Any) -> Any:
    while isinstance(node, peewee.Alias | peewee.BindTo):
        node = node.node
    return node


def _field_behind(node: Any, query: Any) -> Any:
    """The field whose values an expression has; None: it is no field's."""
    node = _unwrap(node)
    if isinstance(node, peewee.Field):
        return node
    if isinstance(node, peewee.NodeList) and node.nodes and _is_over(node):
        node = node.nodes[0]
    if isinstance(node, peewee.Function):
        is_value = str(node.name).lower() in _GIVES_ARGUMENT and node.arguments
        return _field_behind(node.arguments[0], query) if is_value else None
    if isinstance(node, peewee.SelectBase):
        selected = list(node._returning or ())
        return _field_behind(selected[0], node) if len(selected) == 1 else None
    if isinstance(node, peewee.Column):
        return _field_of_column(node, query)
    return None


def _is_over(node: Any) -> bool:
    """Whether it is the call of a window function."""
    second = node.nodes[1] if len(node.nodes) > 1 else None
    return isinstance(second, peewee.SQL) and second.sql == "OVER"


def _field_of_column(column: Any, query: Any) -> Any:
    """The field behind a column of a table, of a subquery, or of a common table expression."""
    source = column.source
    if isinstance(source, peewee.CTE):
        source = source._query
    if isinstance(source, peewee.SelectBase):
        for node in source._returning or ():
            if _name_of(node) == column.name:
                return _field_behind(node, source)
        return None
    model = getattr(source, "_model", None)
    return None if model is None else model._meta.columns.get(column.name)


def _keys_of(query: Any, dialect: Dialect) -> Any:
    model = getattr(query, "model", None)
    if model is None or not isinstance(query, peewee.Insert):
        return None

    def key_of(name: str) -> Converter | None:
        field = model._meta.columns.get(name)
        return None if field is None else converter_of(field, dialect)

    return key_of


def _primary_key_of(query: Any) -> str | None:
    model = getattr(query, "model", None)
    if model is None or not isinstance(query, peewee.Insert) or not model._meta.primary_key:
        return None
    column: str = model._meta.get_primary_keys()[0].column_name
    return column


# --- what is selected ----------------------------------------------------------------------------


def _selecting(query: Any, dialect: Dialect) -> Any:
    """The query with names for the parts of dates and JSON that it selects, and with the JSON as
    text where a driver may or may not decode it. The original is not changed."""
    if isinstance(query, peewee.CompoundSelectQuery):
        clone = query.clone()
        clone.lhs = _selecting(query.lhs, dialect)
        clone.rhs = _selecting(query.rhs, dialect)
        return clone
    selected = getattr(query, "_returning", None)
    if not selected:
        return query
    written = [_selected(node, query, dialect) for node in selected]
    if all(new is node for new, node in zip(written, selected, strict=True)):
        return query
    clone = query.clone()
    clone._returning = written
    return clone


def _selected(node: Any, query: Any, dialect: Dialect) -> Any:
    name = _name_of(node)
    if dialect in _TEXT and _is_json(node, query):
        text = peewee.Cast(_unwrap(node), _TEXT[dialect])
        return text if name is None else text.alias(name)
    is_named = name is None or isinstance(node, peewee.Alias | peewee.Field | peewee.Column)
    return node if is_named else node.alias(name)


def _is_json(node: Any, query: Any) -> bool:
    if not _is_converted(node):
        return False
    node = _unwrap(node)
    if isinstance(node, peewee.JSONPath):
        return not node._as_text
    field = _field_behind(node, query)
    return field is not None and holds_json(target_of(field))
