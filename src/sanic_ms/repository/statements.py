"""The statements of a table for one database, written once and kept."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sanic_ms.db.base import Row
from sanic_ms.db.sql.placeholders import Dialect
from sanic_ms.repository.table import Binder, Build, Table, quoted

__all__ = ["Lookup", "TableStatements", "statements_of"]

# Column combinations whose statements are kept: a partial update has one for each set of fields.
_KEPT: Final = 512

_PLAIN_TYPES: Final = frozenset((int, str, float, bool, type(None), datetime))

Statement = tuple[str, Sequence[Any]]
"""SQL text and its values."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """Finding rows by the value of one column, or by those of several.

    Attributes:
        text: Selects one row.
        columns: Their names.
        bind: Makes of a value what the driver takes; None: as it is. Of several columns a tuple.
        is_unique: Whether at most one row has a value, as far as the model says.
    """

    text: str
    columns: tuple[str, ...]
    bind: Binder | None
    is_unique: bool

    def args(self, key: Any) -> Sequence[Any]:
        """The arguments for a value.

        Raises:
            TypeError: there are several columns, and it is no tuple of so many values.
        """
        if len(self.columns) == 1:
            return (key if self.bind is None else self.bind(key),)
        bound: Sequence[Any] = key if self.bind is None else self.bind(key)
        return bound

    def parts(self, key: Any) -> Sequence[Any]:
        """The value of each column, as it was given."""
        if len(self.columns) == 1:
            return (key,)
        self.args(key)
        parts: Sequence[Any] = key
        return parts


class TableStatements:
    """SQL text for a table on one kind of database.

    Args:
        table: What the model says.
        dialect: The kind of database.
        mariadb: It is MariaDB, whose INSERT has RETURNING.
    """

    def __init__(self, table: Table, dialect: Dialect, mariadb: bool) -> None:
        self.table = table
        self.dialect = dialect
        self.mariadb = mariadb
        self.name = table.sql_name(dialect)
        columns = table.select_list(dialect)
        self.select = f"SELECT {columns} FROM {self.name}"
        self.returning = f" RETURNING {columns}"
        self.insert_returns = dialect != "mysql" or mariadb
        self.update_returns = dialect != "mysql"
        self.conversion = table.conversion(dialect)
        self._quoted = {name: quoted(name, dialect) for name in table.columns}
        self._bind = {name: table.binder(name, dialect) for name in table.columns}
        self._computed = {name for name in table.columns if not table.is_plain(name, dialect)}
        self._lookups: dict[Any, Lookup] = {}
        keep = functools.lru_cache(maxsize=_KEPT)
        self._insert_text = keep(self._write_insert)
        self._update_text = keep(self._write_update)
        self._conflict_text = keep(self._write_conflict)

    # --- reading ---------------------------------------------------------------------------------

    def row(self, row: Row | None) -> Row | None:
        """A row with its values converted."""
        return row if self.conversion is None else self.conversion.row(row)

    def rows(self, rows: list[Row]) -> list[Row]:
        """Rows with their values converted."""
        return rows if self.conversion is None else self.conversion.rows(rows)

    def lookup(self, by: str | tuple[str, ...] | None) -> Lookup:
        """How a row is found by a column, by several, or (None) by the primary key.

        Raises:
            ValueError: a column does not exist.
            TypeError: the table has no primary key, or ``by`` is no name.
        """
        try:
            return self._lookups[by]
        except KeyError:
            lookup = self._lookups[by] = self._make_lookup(by)
            return lookup
        except TypeError:
            raise TypeError(f"by={by!r}: the name of a column, or a tuple of names") from None

    def _make_lookup(self, by: str | tuple[str, ...] | None) -> Lookup:
        table = self.table
        if by is None:
            if not table.primary_key:
                raise TypeError(f"{table.label} has no primary key: say by= which column")
            columns = table.primary_key
        else:
            names = (by,) if isinstance(by, str) else by
            if not isinstance(names, tuple):
                raise TypeError(f"by={by!r}: the name of a column, or a tuple of names")
            columns = tuple(table.column(name).name for name in names)
            if not columns:
                raise ValueError("by=(): the name of a column, or a tuple of names")
        self._require_comparable(columns)
        is_unique = table.is_unique(columns)
        text = f"{self.select} WHERE {self.equal(columns, 1)}"
        if not is_unique:
            text += f"{self.by_key} LIMIT 1"
        return Lookup(text, columns, self._binder_of(columns), is_unique)

    def _binder_of(self, columns: tuple[str, ...]) -> Binder | None:
        if len(columns) == 1:
            return self._bind[columns[0]]
        label = self.table.label

        def bind(key: Any) -> tuple[Any, ...]:
            if not isinstance(key, tuple | list) or len(key) != len(columns):
                raise TypeError(
                    f"{label}: a key is a tuple of {', '.join(columns)}, in this order, not {key!r}"
                )
            return tuple(map(self.bind, columns, key))

        return bind

    def _require_comparable(self, names: Iterable[str]) -> None:
        """Values of JSON and the like are compared by an expression of the library."""
        for name in names:
            if name in self._computed:
                raise TypeError(
                    f"{self.table.label}: {name} has no plain values to compare: write the "
                    "condition as an expression"
                )

    def bind(self, name: str, value: Any) -> Any:
        """A value as the driver takes it for a column."""
        convert = self._bind[name]
        return value if convert is None or value is None else convert(value)

    def equal(self, columns: Iterable[str], start: int) -> str:
        """The condition that columns have the values of ``$start`` and those that follow it."""
        return " AND ".join(
            f"{self._quoted[name]} = ${number}" for number, name in enumerate(columns, start)
        )

    @property
    def by_key(self) -> str:
        """``ORDER BY`` the primary key; empty where there is none."""
        names = ", ".join(self._quoted[name] for name in self.table.primary_key)
        return f" ORDER BY {names}" if names else ""

    def in_list(self, columns: tuple[str, ...], count: int, *, is_unique: bool) -> str:
        """Selects the rows whose columns have one of so many values."""
        width = len(columns)
        if width == 1:
            left = self._quoted[columns[0]]
            values = ", ".join(f"${number}" for number in range(1, count + 1))
        else:
            left = f"({', '.join(self._quoted[name] for name in columns)})"
            marks = [f"${number}" for number in range(1, count * width + 1)]
            groups = [marks[first : first + width] for first in range(0, len(marks), width)]
            values = ", ".join(f"({', '.join(group)})" for group in groups)
            if self.dialect == "sqlite":
                values = f"VALUES {values}"
        order = "" if is_unique else self.by_key
        return f"{self.select} WHERE {left} IN ({values}){order}"

    def where(self, values: Mapping[str, Any]) -> Statement:
        """The condition that columns have these values: NULL for None, one of a list's values.

        An empty list matches no row. The text is empty where there is no condition.
        """
        self._require_comparable(name for name, value in values.items() if value is not None)
        parts: list[str] = []
        args: list[Any] = []
        for name, value in values.items():
            column = self._quoted[name]
            if value is None:
                parts.append(f"{column} IS NULL")
            elif isinstance(value, list | tuple | set | frozenset):
                present = [self.bind(name, item) for item in value if item is not None]
                marks = [f"${len(args) + number}" for number in range(1, len(present) + 1)]
                either = [f"{column} IN ({', '.join(marks)})"] if marks else []
                either += [f"{column} IS NULL"] if len(present) < len(value) else []
                parts.append(f"({' OR '.join(either)})" if either else "1 = 0")
                args.extend(present)
            else:
                args.append(self.bind(name, value))
                parts.append(f"{column} = ${len(args)}")
        return (f" WHERE {' AND '.join(parts)}" if parts else ""), args

    # --- writing ---------------------------------------------------------------------------------

    def insert(self, values: Mapping[str, Any], build: Build) -> Statement:
        """Inserts a row, without RETURNING."""
        if self._is_expressed(values):
            query = self.table.insert(values, build)
            return query.text, query.args
        return self._insert_text(tuple(values)), self.bound(values)

    def update(
        self,
        values: Mapping[str, Any],
        where: Mapping[str, Any],
        increment: str | None,
        build: Build,
    ) -> Statement:
        """Updates the rows that have these values, without RETURNING.

        Args:
            increment: A column that is to grow by 1.
        """
        if self._is_expressed(values):
            added = {} if increment is None else {increment: self.table.increment(increment)}
            query = self.table.update({**values, **added}, where, build)
            return query.text, query.args
        text = self._update_text(tuple(values), tuple(where), increment)
        return text, [*self.bound(values), *self.bound(where)]

    def upsert(
        self,
        values: Mapping[str, Any],
        by: tuple[str, ...],
        changed: tuple[str, ...],
        stamps: Mapping[str, Any],
        increment: str | None,
        build: Build,
    ) -> Statement:
        """Inserts a row, or updates the one that has its values of ``by``; without RETURNING.

        Args:
            changed: The columns that an update takes from the values.
            stamps: Values of an update alone.
            increment: A column that an update lets grow by 1.

        Raises:
            TypeError: a stamp is an expression.
        """
        if self._is_expressed(stamps):
            raise TypeError(f"upsert() cannot compute {', '.join(stamps)}: pass a value")
        text, args = self.insert(values, build)
        action = self._conflict_text(by, changed, tuple(stamps), increment, len(args) + 1)
        return f"{text} {action}", [*args, *self.bound(stamps)]

    def bound(self, values: Mapping[str, Any]) -> list[Any]:
        """The values as the driver takes them."""
        bind = self._bind
        return [
            value if value is None or (convert := bind[name]) is None else convert(value)
            for name, value in values.items()
        ]

    def is_plain(self, names: Iterable[str]) -> bool:
        """Whether values of these columns are written as placeholders alone."""
        return self._computed.isdisjoint(names)

    def _is_expressed(self, values: Mapping[str, Any]) -> bool:
        """Whether the library must write the statement: for an expression, or a column whose
        values are not one placeholder."""
        is_expression, is_computed = self.table.is_expression, self._computed
        for name, value in values.items():
            if type(value) not in _PLAIN_TYPES and is_expression(value):
                return True
            if name in is_computed:
                return True
        return False

    def _write_insert(self, names: tuple[str, ...]) -> str:
        columns = ", ".join(self._quoted[name] for name in names)
        marks = ", ".join(f"${number}" for number in range(1, len(names) + 1))
        return f"INSERT INTO {self.name} ({columns}) VALUES ({marks})"

    def _write_update(
        self, names: tuple[str, ...], where: tuple[str, ...], increment: str | None
    ) -> str:
        sets = [f"{self._quoted[name]} = ${number}" for number, name in enumerate(names, 1)]
        if increment is not None:
            sets.append(f"{self._quoted[increment]} = {self._quoted[increment]} + 1")
        condition = self.equal(where, len(names) + 1)
        return f"UPDATE {self.name} SET {', '.join(sets)} WHERE {condition}"

    def _write_conflict(
        self,
        by: tuple[str, ...],
        changed: tuple[str, ...],
        stamps: tuple[str, ...],
        increment: str | None,
        start: int,
    ) -> str:
        names, is_mysql = self._quoted, self.dialect == "mysql"
        new = "VALUES({})" if is_mysql else "excluded.{}"
        # Something must be set, or the row that is there would not be returned.
        sets = [f"{names[name]} = {new.format(names[name])}" for name in changed or by[:1]]
        sets += [f"{names[name]} = ${number}" for number, name in enumerate(stamps, start)]
        if increment is not None:
            sets.append(f"{names[increment]} = {self.name}.{names[increment]} + 1")
        target = f"ON CONFLICT ({', '.join(names[name] for name in by)}) DO UPDATE SET"
        return f"{'ON DUPLICATE KEY UPDATE' if is_mysql else target} {', '.join(sets)}"


@functools.lru_cache(maxsize=4096)
def statements_of(table: Table, dialect: Dialect, mariadb: bool) -> TableStatements:
    """The statements of a table on one kind of database."""
    return TableStatements(table, dialect, mariadb)
