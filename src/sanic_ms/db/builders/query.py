"""A query of a query builder as the pool runs it, and what its rows become."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["BuiltQuery", "Conversion", "Converter"]

Converter = Callable[[Any], Any]
"""Makes of a column's value what its field or type says."""

Row = dict[str, Any]


class Conversion:
    """The converters of one query's columns, bound to the names of its rows once.

    Args:
        columns: The name, where it is known, and the converter, where there is one, of each column
            in its order.
        is_complete: Every column of the rows stands in ``columns``; False where one of them is
            ``*``.
    """

    __slots__ = ("_bound", "_columns", "_is_complete")

    def __init__(
        self, columns: Sequence[tuple[str | None, Converter | None]], *, is_complete: bool = True
    ) -> None:
        self._columns = columns
        self._is_complete = is_complete
        self._bound: list[tuple[str, Converter]] | None = None

    def rows(self, rows: list[Row]) -> list[Row]:
        """The rows with their values converted, in place."""
        if rows:
            bound = self._bound or self._bind(rows[0])
            for row in rows:
                for name, convert in bound:
                    row[name] = convert(row[name])
        return rows

    def row(self, row: Row | None) -> Row | None:
        """One row with its values converted, in place."""
        if row is not None:
            for name, convert in self._bound or self._bind(row):
                row[name] = convert(row[name])
        return row

    def value(self, value: Any, column: int) -> Any:
        """The value of one column, counted as `Connection.fetchval` does."""
        try:
            convert = self._columns[column][1] if self._is_complete else None
        except IndexError:
            return value
        return value if convert is None else convert(value)

    def _bind(self, row: Row) -> list[tuple[str, Converter]]:
        """Where names are not told, the order is; of two columns with one name, a row has the last
        value."""
        columns: Sequence[tuple[str | None, Converter | None]] = self._columns
        if self._is_complete and len(row) == len(columns):
            columns = [(name, convert) for name, (_, convert) in zip(row, columns, strict=True)]
        named = {name: convert for name, convert in columns if name in row}
        self._bound = [
            (name, convert)
            for name, convert in named.items()
            if name is not None and convert is not None
        ]
        return self._bound


class BuiltQuery:
    """A query as SQL text.

    Args:
        text: With ``$1`` for its values.
        args: Its values.
        conversion: Of its rows; None: they are left as they are.
        key_of: Gives the converter of a column of the table that it inserts into.
        primary_key: The primary key's column of that table; of several columns the first one;
            default: ``id``.
    """

    __slots__ = ("_key_of", "args", "conversion", "primary_key", "text")

    def __init__(
        self,
        text: str,
        args: Sequence[Any],
        conversion: Conversion | None = None,
        key_of: Callable[[str], Converter | None] | None = None,
        primary_key: str | None = None,
    ) -> None:
        self.text = text
        self.args = args
        self.conversion = conversion
        self._key_of = key_of
        self.primary_key = primary_key or "id"

    def rows(self, rows: list[Row]) -> list[Row]:
        """Its rows, converted."""
        return rows if self.conversion is None else self.conversion.rows(rows)

    def row(self, row: Row | None) -> Row | None:
        """Its first row, converted."""
        return row if self.conversion is None else self.conversion.row(row)

    def value(self, value: Any, column: int) -> Any:
        """A value of its first row, converted."""
        return value if self.conversion is None else self.conversion.value(value, column)

    def key(self, value: Any, name: str) -> Any:
        """The key of the row that it has inserted, converted."""
        if self.conversion is not None:
            return self.conversion.value(value, 0)
        convert = None if self._key_of is None else self._key_of(name)
        return value if convert is None else convert(value)
