"""The rows of one table: `Repository`."""

from __future__ import annotations

import copy
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Literal, Self, TypeAlias, TypeVar, overload

from sanic_ms.db import Connection, ConnectionPool
from sanic_ms.db.base import Row
from sanic_ms.db.builders import BuiltQuery
from sanic_ms.exception import NotFound
from sanic_ms.repository.many import fetch_many
from sanic_ms.repository.pages import page_of
from sanic_ms.repository.paging import fetch_window, order_of
from sanic_ms.repository.shapes import maker_of
from sanic_ms.repository.statements import Statement, TableStatements, statements_of
from sanic_ms.repository.table import Table
from sanic_ms.repository.tables import table_of
from sanic_ms.repository.writing import Database, RowWriter, pool_of
from sanic_ms.values.page import (
    Cursor,
    CursorPagination,
    Offset,
    OffsetPagination,
    Page,
    Pagination,
)

__all__ = ["Repository"]

T = TypeVar("T")
By: TypeAlias = str | tuple[str, ...] | None
Many: TypeAlias = list[T]


class Repository(Generic[T]):
    """The rows of one table. ``T`` is the class of the rows that it gives.

    ::

        class UserRepository(Repository[UserRow]):   # or Repository[Row], for dicts
            model = User

        app.provide(UserRepository)                  # handlers ask for it by type
        users = Repository(User, pool)               # without a class: rows are dicts

    A statement runs on the pool, each by itself, or on the connection of `using`. Columns are named
    by their name or their attribute (``city_id`` or ``city``). Unknown columns are a `ValueError`
    before anything is sent. Rows have the values that a query of the pool gives.

    Args:
        model: A Peewee model, a SQLAlchemy ``Table``, or a class of its ORM. A subclass has it as
            an attribute, and takes the pool alone.
        db: The pool, or a connection of it.
        type: The class of the rows: a Struct, a dataclass or a pydantic model. Default: that of
            the subclass (``Repository[UserRow]``), else rows are dicts.

    Attributes:
        model: Of a subclass.
        version: Of a subclass: the column that counts the changes of a row. `update` then takes the
            version that was read with the data: `StaleVersion` if the row has another by then.

    Raises:
        TypeError: the model is none, or ``type`` is no class for rows.
        ValueError: the table has no column ``version``.
    """

    model: ClassVar[Any] = None
    version: ClassVar[str | None] = None
    _type: ClassVar[Any] = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for base in getattr(cls, "__orig_bases__", ()):
            origin = typing.get_origin(base)
            if isinstance(origin, type) and issubclass(origin, Repository):
                (argument,) = typing.get_args(base)
                cls._type = None if isinstance(argument, TypeVar) else argument
        if cls.model is not None and cls.__init__ is Repository.__init__:
            # The container reads the signature: the pool is all that it takes.
            cls.__init__ = _init_by_pool  # type: ignore[assignment, method-assign]

    @overload
    def __init__(self, db: Database, /) -> None: ...

    @overload
    def __init__(self: Repository[Row], model: Any, db: Database) -> None: ...

    @overload
    def __init__(self, model: Any, db: Database, *, type: type[T]) -> None: ...

    def __init__(self, model: Any, db: Any = None, *, type: Any = None) -> None:
        cls = self.__class__
        if db is None:
            model, db = cls.model, model
        if not isinstance(db, ConnectionPool | Connection):
            raise TypeError(f"{cls.__name__}: db is a ConnectionPool or a Connection, not {db!r}")
        if model is None:
            raise TypeError(f"{cls.__name__} has no model: set `model = …`, or pass it")
        self._table: Table = table_of(model)
        self._writer = RowWriter(self._table, cls.version)
        self._make = maker_of(cls._type if type is None else type) if (type or cls._type) else None
        self._db: Database = db
        self._pool = pool_of(db)
        self._compiled: TableStatements | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._table.label} on {self._pool.name!r}>"

    @property
    def db(self) -> Database:
        """What the statements run on, for methods of a subclass with SQL of their own: the pool, or
        the connection of `using`."""
        return self._db

    def using(self, db: Database) -> Self:
        """The same repository on a connection: inside of the caller's transaction.

        ::

            async with pool.transaction() as tx:
                user = await users.using(tx).create({"name": "ann"})
        """
        if not isinstance(db, ConnectionPool | Connection):
            raise TypeError(f"using() takes a connection or a pool, not {db!r}")
        other = copy.copy(self)
        other._db = db
        other._pool = pool_of(db)
        other._compiled = None
        return other

    # --- one row ---------------------------------------------------------------------------------

    @overload
    async def get(self, key: Any, *, by: By = None, required: Literal[True]) -> T: ...

    @overload
    async def get(self, key: Any, *, by: By = None, required: bool = False) -> T | None: ...

    async def get(self, key: Any, *, by: By = None, required: bool = False) -> T | None:
        """The row with a primary key; None if there is none.

        Args:
            key: Its value; None is the key of no row, and nothing is sent. Of several columns: a
                tuple of their values.
            by: Another column, or several, to find it by. Of several rows the first by primary key.
            required: Raise `NotFound` instead of giving None.
        """
        statements = self._compiled
        if statements is None or statements.dialect != self._pool.statements.dialect:
            statements = self._compile()
        lookup = statements.lookup(by)
        row = None
        if key is not None:
            row = await self._db.fetchrow(lookup.text, *lookup.args(key))
        if row is None:
            if required:
                raise self._missing(lookup.columns, key)
            return None
        if statements.conversion is not None:
            statements.conversion.row(row)
        return row if self._make is None else self._make(row)  # type: ignore[return-value]

    async def get_many(self, keys: Iterable[Any], *, by: By = None) -> Many[T | None]:
        """One entry for each key in their order: its row, or None where there is none.

        A key that comes twice has its row twice. No key is no statement; thousands are several.

        Args:
            keys: Values as for `get`.
            by: As for `get`.

        Raises:
            TypeError: the keys are one text.
        """
        if isinstance(keys, str | bytes):
            raise TypeError(f"get_many({keys!r}): give a list of keys")
        statements = self._compile()
        rows = await fetch_many(self._db, statements, statements.lookup(by), list(keys))
        if self._make is None:
            return rows  # type: ignore[return-value]
        return [None if row is None else self._make(row) for row in rows]

    async def get_by(self, where: Any = None, /, **columns: Any) -> T | None:
        """The first row by primary key with these values; None if there is none.

        Args:
            where: A condition as for `list`.
            columns: Values of columns; None is NULL.

        Raises:
            TypeError: no condition is given.
        """
        statements = self._compile()
        if where is None and not columns:
            raise TypeError("get_by() takes a condition: get_by(name='ann')")
        text, args = self._selected(statements, where, columns)
        row = await self._db.fetchrow(f"{text}{statements.by_key} LIMIT 1", *args)
        return None if row is None else self._typed(statements, row)

    async def exists(self, where: Any = None, /, **columns: Any) -> bool:
        """Whether there is a row with these values; without a condition, any row.

        Args:
            where: A condition as for `list`.
            columns: Values of columns; None is NULL.
        """
        text, args = self._selected(self._compile(), where, columns)
        found = await self._db.fetchval(f"SELECT 1 FROM ({text}) AS sm_rows LIMIT 1", *args)
        return found is not None

    async def count(self, where: Any = None, /, **columns: Any) -> int:
        """The number of rows with these values; without a condition, of all rows.

        Args:
            where: A condition as for `list`.
            columns: Values of columns; None is NULL.
        """
        text, args = self._selected(self._compile(), where, columns)
        count: int = await self._db.fetchval(f"SELECT count(*) FROM ({text}) AS sm_rows", *args)
        return count

    # --- many rows -------------------------------------------------------------------------------

    async def list(
        self,
        where: Any = None,
        /,
        *,
        from_: Any = None,
        order_by: str | Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> tuple[Many[T], int]:
        """Rows, and the number of all rows that the condition matches, in one statement.

        Args:
            where: A mapping of columns to values (None is NULL, a list is one of them), or an
                expression of the library: ``User.age > 30``.
            from_: A query in place of the table, such as a join: ``User.select(…).join(City)``. It
                selects the order's columns and the primary key.
            order_by: Columns, with ``-`` for descending: ``"-age,name"``, or a sequence. Rows that
                are equal in them are ordered by primary key. What a client may sort by is a
                ``Literal`` of such texts, not any text.
            limit: The most rows; None: all of them.
            offset: Rows to skip.

        Raises:
            ValueError: a column does not exist, or a number is negative.
            TypeError: the condition or the query is not one of the model's library.
        """
        if offset < 0 or (limit is not None and limit < 0):
            raise ValueError(f"limit={limit}, offset={offset}: numbers from 0")
        query = self._query(self._compile(), where, from_)
        order = order_of(self._table, order_by, self._compile().dialect)
        rows, total = await fetch_window(self._db, query, order, limit, offset)
        return self._every(rows), total

    @overload
    async def page(
        self,
        page: Page,
        where: Any = None,
        /,
        *,
        from_: Any = None,
        order_by: str | Sequence[str] = (),
    ) -> tuple[Many[T], Pagination]: ...

    @overload
    async def page(
        self,
        page: Offset,
        where: Any = None,
        /,
        *,
        from_: Any = None,
        order_by: str | Sequence[str] = (),
    ) -> tuple[Many[T], OffsetPagination]: ...

    @overload
    async def page(
        self,
        page: Cursor,
        where: Any = None,
        /,
        *,
        from_: Any = None,
        order_by: str | Sequence[str] = (),
    ) -> tuple[Many[T], CursorPagination]: ...

    async def page(
        self,
        page: Page | Offset | Cursor,
        where: Any = None,
        /,
        *,
        from_: Any = None,
        order_by: str | Sequence[str] = (),
    ) -> tuple[Many[T], Any]:
        """One page of rows and its pagination: what a handler returns.

        A `Page` and an `Offset` have the total in the same statement, right past the last page too.
        A `Cursor` has none, and costs the same for each page where an index has the order's
        columns. While rows are inserted, no row comes twice, and none that was there is missing.

        Args:
            page: Which part of the list.
            where, from_, order_by: As for `list`.

        Raises:
            BadRequest: the cursor is none of this list.
            ValueError: a column does not exist; or, of a cursor: the table has no primary key, or
                a column of the order is a float on MySQL, where it equals no number.
        """
        query = self._query(self._compile(), where, from_)
        order = order_of(
            self._table, order_by, self._compile().dialect, is_total=isinstance(page, Cursor)
        )
        return await page_of(self._db, page, query, order, self._make)

    # --- writing ---------------------------------------------------------------------------------

    async def create(self, data: Any) -> T:
        """Insert a row and give it, with what the database has filled in.

        Args:
            data: Columns and their values, as a mapping or a Struct: None is NULL, `UNSET` is left
                out. A column that is left out has the default of the model, else of the database.

        Raises:
            ValueError: a column does not exist, or no column has a value.
            TypeError: on MySQL, where the row is read by its key, that is no plain value.
        """
        statements = self._compile()
        return self._typed(statements, await self._writer.create(self._db, statements, data))

    async def create_many(self, rows: Iterable[Any]) -> int:
        """Insert rows, all of them or none, and give their number.

        Args:
            rows: Data as for `create`, all with the same columns. No row is no statement.

        Raises:
            ValueError: a row has other columns than the first, or one that does not exist.
        """
        return await self._writer.create_many(self._db, self._compile(), rows)

    @overload
    async def update(self, key: Any, data: Any, *, by: By = None, required: Literal[True]) -> T: ...

    @overload
    async def update(
        self, key: Any, data: Any, *, by: By = None, required: bool = False
    ) -> T | None: ...

    async def update(
        self, key: Any, data: Any, *, by: By = None, required: bool = False
    ) -> T | None:
        """Change the row with a primary key and give it as it is then; None if there is none.

        Args:
            key: As for `get`.
            data: The columns to write, as a mapping or a Struct: None is NULL, `UNSET` and what is
                left out stays. With nothing to write the row is given as it is. Columns that are
                marked so (`sanic_ms.models.on_update`, ``onupdate=``) have their value anew.
            by: Another column, or several, that identify one row: the primary key, or unique.
            required: Raise `NotFound` instead of giving None.

        Raises:
            StaleVersion: the row has another version than the data.
            ValueError: a column does not exist; ``by`` may find several rows; the data change the
                primary key, or lack the version.
        """
        statements = self._compile()
        lookup = statements.lookup(by)
        row = None
        if key is not None:
            row = await self._writer.update(self._db, statements, lookup, key, data)
        if row is None:
            if required:
                raise self._missing(lookup.columns, key)
            return None
        return self._typed(statements, row)

    async def upsert(self, data: Any, *, by: By = None) -> T:
        """Insert a row, or change the one that is there, in one statement; give it as it is then.

        Args:
            data: As for `create`. A row that is there gets the columns of the data; defaults are
                for a new row alone.
            by: The column, or the columns, that say whether it is there: the primary key or a
                unique index of the database, which the data must have. On MySQL a row with the
                same value of any unique index is changed.

        Raises:
            ValueError: a column does not exist, or the data lack one of ``by``.
        """
        statements = self._compile()
        lookup = statements.lookup(by)
        row = await self._writer.upsert(self._db, statements, lookup, data)
        return self._typed(statements, row)

    async def delete(self, key: Any, *, by: By = None) -> int:
        """Delete the row with a primary key, and give the number of rows deleted: 0 or 1.

        Args:
            key: As for `get`; None deletes nothing.
            by: Another column, or several: every row with the value is deleted.
        """
        statements = self._compile()
        lookup = statements.lookup(by)
        if key is None:
            return 0
        condition = statements.equal(lookup.columns, 1)
        text = f"DELETE FROM {statements.name} WHERE {condition}"
        return await self._db.execute(text, *lookup.args(key))

    # --- inside ----------------------------------------------------------------------------------

    def _compile(self) -> TableStatements:
        pool = self._pool
        statements, dialect = self._compiled, pool.statements.dialect
        if statements is None or statements.dialect != dialect:
            statements = statements_of(self._table, dialect, pool.is_mariadb)
            self._compiled = statements
        return statements

    def _typed(self, statements: TableStatements, row: Row) -> T:
        statements.row(row)
        return row if self._make is None else self._make(row)  # type: ignore[return-value]

    def _missing(self, columns: Sequence[str], key: Any) -> NotFound:
        by = "" if tuple(columns) == self._table.primary_key else f"with {', '.join(columns)} "
        return NotFound(f"no {self._table.label} {by}{key}")

    def _selected(
        self, statements: TableStatements, where: Any, columns: Mapping[str, Any] | None = None
    ) -> Statement:
        """Every column of the rows where a condition holds."""
        if where is None or isinstance(where, Mapping):
            condition, args = statements.where(
                self._writer.values({**(where or {}), **(columns or {})})
            )
            return statements.select + condition, args
        if columns:
            raise TypeError("give a condition, or values of columns: not both")
        query = self._built(where, None)
        return query.text, query.args

    def _built(self, where: Any, from_: Any) -> BuiltQuery:
        return self._pool.build(self._table.select(where, from_), ())

    def _query(self, statements: TableStatements, where: Any, from_: Any) -> BuiltQuery:
        """The rows of a list, without order."""
        if from_ is None:
            text, args = self._selected(statements, where)
            return BuiltQuery(text, args, statements.conversion)
        if isinstance(where, Mapping):
            where = self._table.condition(self._writer.values(where))
        return self._built(where, from_)

    def _every(self, rows: Many[Row]) -> Many[T]:
        return typing.cast(Many[T], rows) if self._make is None else [*map(self._make, rows)]


def _init_by_pool(self: Repository[Any], db: ConnectionPool) -> None:
    Repository.__init__(self, self.model, db)
