"""A table as a repository needs it, whichever library describes it.

`Table` is the contract; `sanic_ms.repository.peewee_table` and `…sqlalchemy_table` implement it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sanic_ms.db.builders import BuiltQuery
from sanic_ms.db.builders.query import Conversion
from sanic_ms.db.sql.placeholders import Dialect

__all__ = ["Binder", "Table", "TableColumn", "conjunction", "quoted"]

Binder = Callable[[Any], Any]
"""Makes of a value what the driver takes for its column."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column.

    Attributes:
        name: The column's name in the database, which is its key in rows.
        attribute: Its name in Python, which data may use as well.
        nullable: Whether it takes NULL.
        unique: Whether it alone identifies a row.
        type: The class of its values; `object` where that is not known.
        default: Gives the value of a new row where none is passed; None: the database does.
        on_update: Gives the value of each update that does not pass one; None: it stays.
    """

    name: str
    attribute: str
    nullable: bool
    unique: bool
    type: type
    default: Callable[[], Any] | None = None
    on_update: Callable[[], Any] | None = None


class Table(ABC):
    """What one library says of a table.

    Args:
        label: What messages call a row: ``user``.
        columns: In their order.
        primary_key: The names of the primary key's columns; empty where there is none.
    """

    def __init__(
        self, label: str, columns: Iterable[TableColumn], primary_key: Sequence[str]
    ) -> None:
        self.label = label
        self.columns: dict[str, TableColumn] = {column.name: column for column in columns}
        self.primary_key = tuple(primary_key)
        attributes = {column.attribute: column.name for column in self.columns.values()}
        # A column's name wins over another column's attribute.
        self.names: dict[str, str] = {**attributes, **{name: name for name in self.columns}}
        every = self.columns.values()
        self.defaults = [(c.name, c.default) for c in every if c.default is not None]
        self.on_update = [(c.name, c.on_update) for c in every if c.on_update is not None]

    def column(self, name: object) -> TableColumn:
        """A column by its name or attribute.

        Raises:
            ValueError: there is none.
        """
        known = self.names.get(name) if isinstance(name, str) else None
        if known is None:
            raise ValueError(
                f"{self.label} has no column {name!r}; it has {', '.join(self.columns)}"
            )
        return self.columns[known]

    def is_unique(self, names: Sequence[str]) -> bool:
        """Whether these columns identify one row, as far as the model says."""
        if self.primary_key and set(self.primary_key) <= set(names):
            return True
        return any(self.columns[name].unique for name in names)

    @abstractmethod
    def sql_name(self, dialect: Dialect) -> str:
        """The table's name in SQL."""

    @abstractmethod
    def select_list(self, dialect: Dialect) -> str:
        """Every column as ``SELECT`` and ``RETURNING`` name it."""

    @abstractmethod
    def conversion(self, dialect: Dialect) -> Conversion | None:
        """The conversion of rows of `select_list`."""

    @abstractmethod
    def binder(self, name: str, dialect: Dialect) -> Binder | None:
        """The binder of a column; None: the driver takes its values as they are."""

    @abstractmethod
    def is_plain(self, name: str, dialect: Dialect) -> bool:
        """Whether a value of the column is written as one placeholder alone."""

    @abstractmethod
    def is_expression(self, value: object) -> bool:
        """Whether a value is an expression of the library, which the database computes."""

    @abstractmethod
    def select(self, where: Any, from_: Any) -> Any:
        """A query: ``from_``, or every column of the table, where a condition holds.

        Raises:
            TypeError: the condition or the query is not one of this library.
        """

    @abstractmethod
    def condition(self, values: Mapping[str, Any]) -> Any:
        """The expression that columns have these values: NULL for None, one of a list's values;
        None where there are none."""

    @abstractmethod
    def insert(self, values: Mapping[str, Any], build: Build) -> BuiltQuery:
        """An INSERT without RETURNING that the library writes."""

    @abstractmethod
    def update(
        self, values: Mapping[str, Any], where: Mapping[str, Any], build: Build
    ) -> BuiltQuery:
        """An UPDATE of the rows with these values, written by the library."""

    @abstractmethod
    def increment(self, name: str) -> Any:
        """The expression for a column's value plus 1."""


Build = Callable[[object, Sequence[Any]], BuiltQuery]
"""`ConnectionPool.build`."""


def conjunction(values: Mapping[str, Any], columns: Mapping[str, Any]) -> Any:
    """The expression of `Table.condition`: both libraries spell it alike."""
    condition = None
    for name, value in values.items():
        column = columns[name]
        if isinstance(value, list | tuple | set | frozenset):
            present = [item for item in value if item is not None]
            part = column.in_(present)
            if len(present) < len(value):
                part = part | (column == None)  # noqa: E711 - an expression
        else:
            part = column == value
        condition = part if condition is None else condition & part
    return condition


def quoted(name: str, dialect: Dialect) -> str:
    """A name in the quotes of a database.

    Raises:
        ValueError: it holds a NUL character.
    """
    if "\0" in name:
        raise ValueError("a name holds no NUL character")
    mark = "`" if dialect == "mysql" else '"'
    return f"{mark}{name.replace(mark, mark * 2)}{mark}"
