"""Pages of a query: by offset with the total, and behind a row (keyset).

The query stays as it is: it becomes a subquery, which the databases merge into the statement around
it. So its placeholders are numbered as they were, whoever has written it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sanic_ms.db import Connection, ConnectionPool
from sanic_ms.db.base import Row
from sanic_ms.db.builders import BuiltQuery
from sanic_ms.db.sql.placeholders import Dialect
from sanic_ms.exception import BadRequest, DataError
from sanic_ms.repository.cursors import decode_cursor, encode_cursor
from sanic_ms.repository.table import Table, quoted

__all__ = [
    "Order",
    "OrderColumn",
    "dialect_of",
    "fetch_behind",
    "fetch_window",
    "order_of",
    "parse_order",
    "spelled",
]

_NO_LIMIT: Final = 2**63 - 1
# PostgreSQL plans a statement anew at each call where a placeholder hides how few rows are wanted:
# a third of the time of a page. Other limits keep their placeholder, as clients choose them and
# each text is a statement to prepare.
_WRITTEN_LIMITS: Final = frozenset((10, 20, 50, 100))
_TOTAL, _IS_ROW = "sm_total", "sm_row"


@dataclass(frozen=True, slots=True)
class OrderColumn:
    """A column that rows are ordered by.

    Attributes:
        name: Its name in the rows.
        descending: Whether the largest value comes first.
        nullable: Whether it may be NULL.
    """

    name: str
    descending: bool = False
    nullable: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """The order of a list. It is made once for each spelling, and texts are kept by its identity.

    Attributes:
        columns: The most important first.
    """

    columns: tuple[OrderColumn, ...]

    @property
    def text(self) -> str:
        """The order as it is written: ``-age,id``."""
        return ",".join(f"{'-' if column.descending else ''}{column.name}"
                        for column in self.columns)  # fmt: skip


def parse_order(order_by: str | Sequence[str]) -> list[tuple[str, bool]]:
    """The names of an order, and whether each descends: ``"-created,name"``.

    Raises:
        TypeError: it is neither text nor a sequence of texts.
        ValueError: a name is empty or comes twice.
    """
    parts = order_by.split(",") if isinstance(order_by, str) and order_by else list(order_by)
    names: dict[str, bool] = {}
    for part in parts:
        if not isinstance(part, str):
            raise TypeError(f"order_by={order_by!r}: names of columns, with - for descending")
        name = part.strip().removeprefix("-")
        if not name or name in names:
            raise ValueError(f"order_by={order_by!r}: a name is empty or comes twice")
        names[name] = part.strip().startswith("-")
    return list(names.items())


def order_of(
    table: Table, order_by: str | Sequence[str], dialect: Dialect, *, is_total: bool = False
) -> Order:
    """The columns of an order of a table's rows, with the primary key behind them.

    Args:
        is_total: It must decide between any two rows, as a cursor needs.

    Raises:
        ValueError: a column does not exist, or the order cannot be total.
    """
    return _order_of(table, spelled(order_by), dialect, is_total)


def spelled(order_by: str | Sequence[str]) -> str | tuple[str, ...]:
    """An order as what can be remembered.

    Raises:
        TypeError: it is neither text nor a sequence, but an expression of a library, say.
    """
    if isinstance(order_by, str):
        return order_by
    if not isinstance(order_by, Sequence):
        raise TypeError(f"order_by={order_by!r}: names of columns, with - for descending")
    return tuple(order_by)


@functools.lru_cache(maxsize=1024)
def _order_of(
    table: Table, order_by: str | tuple[str, ...], dialect: Dialect, is_total: bool
) -> Order:
    order: list[OrderColumn] = []
    descending = False
    for name, descending in parse_order(order_by):
        column = table.column(name)
        order.append(OrderColumn(column.name, descending, column.nullable))
        if column.unique and not column.nullable:
            break
    else:
        names = [column.name for column in order]
        rest = (name for name in table.primary_key if name not in names)
        order += [OrderColumn(name, descending, nullable=False) for name in rest]
        if is_total and not table.primary_key:
            raise ValueError(f"{table.label} has no primary key: it cannot be paged by a cursor")
    if is_total and dialect == "mysql":
        floats = [column.name for column in order if table.columns[column.name].type is float]
        if floats:
            raise ValueError(f"{table.label}: a float ({floats[0]}) equals no number on MySQL")
    return Order(tuple(order))


async def fetch_window(
    db: ConnectionPool | Connection,
    query: BuiltQuery,
    order: Order,
    limit: int | None,
    offset: int,
) -> tuple[list[Row], int]:
    """Rows by their number, and the number of all rows, in one statement.

    Args:
        limit: The most rows; None: all that are left.
        offset: Rows to skip.
    """
    dialect, args = dialect_of(db), list(query.args)
    if limit is None and not offset:
        rows = await db.fetch(_ordered_text(query.text, order, dialect), *args)
        return query.rows(rows), len(rows)
    limit = _NO_LIMIT if limit is None else limit
    written = limit if limit in _WRITTEN_LIMITS else None
    text = _window_text(query.text, order, dialect, len(args) + 1, written)
    rows = await db.fetch(text, *args, offset, *(() if written else (limit,)))
    total: int = rows[0][_TOTAL]
    if rows[0][_IS_ROW] is None:  # past the end: the total stands alone
        return [], total
    for row in rows:
        del row[_TOTAL], row[_IS_ROW]
    return query.rows(rows), total


async def fetch_behind(
    db: ConnectionPool | Connection,
    query: BuiltQuery,
    order: Order,
    limit: int,
    cursor: str | None,
) -> tuple[list[Row], str | None]:
    """The rows behind a cursor, and the cursor of the rows that follow; None at the end.

    Raises:
        BadRequest: the cursor is none of this list.
        ValueError: the query does not select a column of the order, or the last row is the one
            that the cursor stands for.
    """
    dialect, args = dialect_of(db), list(query.args)
    key, columns = order.text, order.columns
    values = None if cursor is None else decode_cursor(key, cursor, len(columns))
    nulls = () if values is None else tuple(value is None for value in values)
    written = limit + 1 if limit in _WRITTEN_LIMITS else None
    text = _behind_text(query.text, order, dialect, len(args) + 1, nulls, written)
    behind = [value for value in values or () if value is not None]
    try:
        rows = await db.fetch(text, *args, *behind, *(() if written else (limit + 1,)))
    except DataError as exc:
        if values is None:
            raise
        # Of the query, or of a cursor that somebody has made up?
        await db.fetch(_behind_text(query.text, order, dialect, len(args) + 1, (), 0), *args)
        raise BadRequest("the cursor is not one of this list") from exc
    if len(rows) <= limit:
        return query.rows(rows), None
    del rows[limit:]
    last = rows[-1]
    missing = [column.name for column in columns if column.name not in last]
    if missing:
        raise ValueError(f"the query does not select {', '.join(missing)}, which it is ordered by")
    following = encode_cursor(key, [last[column.name] for column in columns])
    if following == cursor:  # the same page again and again
        raise ValueError(
            f"a row comes after itself in the order {key}: its values are not given as the "
            "database compares them"
        )
    return query.rows(rows), following


def dialect_of(db: ConnectionPool | Connection) -> Dialect:
    """The dialect of a pool, or of a connection's."""
    pool = db if isinstance(db, ConnectionPool) else db.pool
    dialect: Dialect = pool.statements.dialect
    return dialect


# --- text ----------------------------------------------------------------------------------------


def _order_text(order: Order, dialect: Dialect, source: str) -> str:
    """``ORDER BY`` of the columns of a subquery; empty without any."""
    names = ", ".join(
        f"{source}.{quoted(column.name, dialect)}{' DESC' if column.descending else ''}"
        for column in order.columns
    )
    return f" ORDER BY {names}" if names else ""


@functools.lru_cache(maxsize=1024)
def _ordered_text(text: str, order: Order, dialect: Dialect) -> str:
    return f"SELECT sm_rows.* FROM ({text}\n) AS sm_rows{_order_text(order, dialect, 'sm_rows')}"


@functools.lru_cache(maxsize=1024)
def _window_text(text: str, order: Order, dialect: Dialect, start: int, limit: int | None) -> str:
    """The total stands on the left of an outer join, so that it is there where no row is."""
    inner = _order_text(order, dialect, "sm_rows")
    return (
        f"SELECT sm_page.*, sm_count.{_TOTAL} "
        f"FROM (SELECT count(*) AS {_TOTAL} FROM ({text}\n) AS sm_all) AS sm_count "
        f"LEFT JOIN (SELECT sm_rows.*, 1 AS {_IS_ROW} FROM ({text}\n) AS sm_rows{inner} "
        f"LIMIT {f'${start + 1}' if limit is None else limit} OFFSET ${start}) AS sm_page ON 1 = 1"
        f"{_order_text(order, dialect, 'sm_page')}"
    )


@functools.lru_cache(maxsize=1024)
def _behind_text(
    text: str,
    order: Order,
    dialect: Dialect,
    start: int,
    nulls: tuple[bool, ...],
    limit: int | None,
) -> str:
    """Rows behind values, of which those that are NULL have no placeholder; behind nothing where
    there are none."""
    condition = f" WHERE {_behind(order, dialect, start, nulls)}" if nulls else ""
    rows = f"${start + len(nulls) - sum(nulls)}" if limit is None else limit
    return (
        f"SELECT sm_rows.* FROM ({text}\n) AS sm_rows{condition}"
        f"{_order_text(order, dialect, 'sm_rows')} LIMIT {rows}"
    )


def _behind(order: Order, dialect: Dialect, start: int, nulls: tuple[bool, ...]) -> str:
    columns, number = [], start
    for column, is_null in zip(order.columns, nulls, strict=True):
        columns.append(_Place(column, dialect, None if is_null else f"${number}"))
        number += not is_null
    is_uniform = len({column.descending for column in order.columns}) == 1
    if is_uniform and dialect != "mysql" and not any(column.nullable for column in order.columns):
        # What an index answers at once; MySQL reads the whole index for it.
        names = ", ".join(place.name for place in columns)
        marks = ", ".join(f"${start + index}" for index in range(len(columns)))
        return f"({names}) {columns[0].operator} ({marks})"
    either = []
    for index, place in enumerate(columns):
        if (later := place.later) is not None:
            either.append(" AND ".join([*(before.same for before in columns[:index]), later]))
    if not either:
        return "1 = 0"
    condition = f"(({') OR ('.join(either)}))"
    # Implied by the rest, and what an index can begin with.
    first = columns[0]
    return condition if len(columns) == 1 else f"{first.not_before} AND {condition}"


class _Place:
    """A column of the order, and the value there of the row behind which the list goes on.

    NULL has its place as the database sorts it, so that an index on the columns is of use:
    PostgreSQL takes it for larger than every value, the others for smaller.
    """

    def __init__(self, column: OrderColumn, dialect: Dialect, mark: str | None) -> None:
        self.name = f"sm_rows.{quoted(column.name, dialect)}"
        self.operator = "<" if column.descending else ">"
        self._mark = mark
        self._nulls_last = (dialect == "postgresql") != column.descending
        self._null_follows = column.nullable and self._nulls_last

    @property
    def same(self) -> str:
        """The condition that a row has the same value."""
        return f"{self.name} IS NULL" if self._mark is None else f"{self.name} = {self._mark}"

    @property
    def later(self) -> str | None:
        """The condition that a row has a value that comes later; None: none does."""
        if self._mark is None:
            return None if self._nulls_last else f"{self.name} IS NOT NULL"
        later = f"{self.name} {self.operator} {self._mark}"
        return f"({later} OR {self.name} IS NULL)" if self._null_follows else later

    @property
    def not_before(self) -> str:
        """The condition that a row has this value or a later one."""
        if self._mark is None:
            return f"{self.name} IS NULL" if self._nulls_last else "1 = 1"
        later = f"{self.name} {self.operator}= {self._mark}"
        return f"({later} OR {self.name} IS NULL)" if self._null_follows else later
