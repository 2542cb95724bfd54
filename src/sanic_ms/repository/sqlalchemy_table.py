"""A SQLAlchemy Core table."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ClauseElement, Select, UniqueConstraint, select

from sanic_ms.db.builders import BuiltQuery
from sanic_ms.db.builders.query import Conversion
from sanic_ms.db.builders.sqlalchemy_query import compile_sqlalchemy
from sanic_ms.db.builders.sqlalchemy_types import dialect_of, impl_of
from sanic_ms.db.sql.placeholders import Dialect
from sanic_ms.repository.table import Binder, Build, Table, TableColumn, conjunction

__all__ = ["SQLAlchemyTable"]


class SQLAlchemyTable(Table):
    """A SQLAlchemy ``Table`` as a `Table`."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self._columns: dict[str, Any] = {column.name: column for column in table.columns}
        unique = _unique_columns(table)
        super().__init__(
            table.name,
            [_column(column, column.name in unique) for column in table.columns],
            [column.name for column in table.primary_key],
        )

    def sql_name(self, dialect: Dialect) -> str:
        name: str = _target(dialect).identifier_preparer.format_table(self._table)
        return name

    def select_list(self, dialect: Dialect) -> str:
        text = self._select(dialect).text
        return text.removeprefix("SELECT ").rpartition("FROM ")[0].strip()

    def conversion(self, dialect: Dialect) -> Conversion | None:
        return self._select(dialect).conversion

    def _select(self, dialect: Dialect) -> BuiltQuery:
        return compile_sqlalchemy(select(self._table), dialect)

    def binder(self, name: str, dialect: Dialect) -> Binder | None:
        target = _target(dialect)
        bind: Binder | None = impl_of(self._columns[name].type, target).bind_processor(target)
        return bind

    def is_plain(self, name: str, dialect: Dialect) -> bool:
        return not self._columns[name].type._has_bind_expression

    def is_expression(self, value: object) -> bool:
        return isinstance(value, ClauseElement) or hasattr(value, "__clause_element__")

    def select(self, where: Any, from_: Any) -> Any:
        if from_ is not None and not isinstance(from_, Select):
            raise TypeError(f"from_ is a SQLAlchemy select(…), not {from_!r}")
        query = select(self._table) if from_ is None else from_
        if where is None:
            return query
        if not self.is_expression(where):
            raise TypeError(
                f"where is a mapping of columns or a SQLAlchemy expression, not {where!r}"
            )
        return query.where(where)

    def condition(self, values: Mapping[str, Any]) -> Any:
        return conjunction(values, self._columns)

    def insert(self, values: Mapping[str, Any], build: Build) -> BuiltQuery:
        # Without inline() SQLAlchemy adds a RETURNING of its own for some databases.
        return build(self._table.insert().inline().values(self._by_column(values)), ())

    def update(
        self, values: Mapping[str, Any], where: Mapping[str, Any], build: Build
    ) -> BuiltQuery:
        query = self._table.update().values(self._by_column(values))
        for name, value in where.items():
            query = query.where(self._columns[name] == value)
        return build(query, ())

    def increment(self, name: str) -> Any:
        return self._columns[name] + 1

    def _by_column(self, values: Mapping[str, Any]) -> dict[Any, Any]:
        return {self._columns[name]: value for name, value in values.items()}


@functools.cache
def _target(dialect: Dialect) -> Any:
    return dialect_of(dialect)


def _unique_columns(table: Any) -> set[str]:
    """The columns that identify a row alone."""
    groups = [constraint.columns for constraint in table.constraints
              if isinstance(constraint, UniqueConstraint)]  # fmt: skip
    groups += [index.columns for index in table.indexes if index.unique]
    groups.append(table.primary_key.columns)
    unique = {column.name for group in groups if len(group) == 1 for column in group}
    return unique | {column.name for column in table.columns if column.unique}


def _column(column: Any, is_unique: bool) -> TableColumn:
    try:
        type_ = column.type.python_type
    except NotImplementedError:
        type_ = object
    return TableColumn(
        column.name,
        column.key,
        nullable=bool(column.nullable),
        unique=is_unique,
        type=type_,
        default=_factory(column.default),
        on_update=_factory(column.onupdate),
    )


def _factory(default: Any) -> Callable[[], Any] | None:
    """What gives a default's value; None for a sequence, which is the database's."""
    if default is None or default.is_sequence:
        return None
    if default.is_callable:
        return lambda: default.arg(None)  # SQLAlchemy has wrapped it to take a context
    return lambda: default.arg
