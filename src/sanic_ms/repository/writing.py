"""The writes of a repository: from data to statements, and to the row that they leave."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from msgspec import UNSET

from sanic_ms.db import Connection, ConnectionPool
from sanic_ms.db.base import Row
from sanic_ms.exception import StaleVersion, StatementError
from sanic_ms.repository.shapes import items_of
from sanic_ms.repository.statements import Lookup, TableStatements
from sanic_ms.repository.table import Table

__all__ = ["Database", "RowWriter", "pool_of"]

Database: TypeAlias = ConnectionPool | Connection
"""What statements run on."""


def pool_of(db: Database) -> ConnectionPool:
    """The pool, or that of a connection."""
    return db if isinstance(db, ConnectionPool) else db.pool


class RowWriter:
    """Writes rows of one table. `Repository` documents the methods.

    Args:
        table: The table.
        version: The column that counts the changes of a row; None: there is none.
    """

    def __init__(self, table: Table, version: str | None) -> None:
        self._table = table
        self._version = None if version is None else table.column(version).name

    async def create(self, db: Database, statements: TableStatements, data: Any) -> Row:
        """`Repository.create`."""
        values = self._new_values(self.values(data))
        text, args = statements.insert(values, pool_of(db).build)
        if statements.insert_returns:
            return _there(await db.fetchrow(text + statements.returning, *args))
        lookup = statements.lookup(None)
        async with _unit(db) as connection:
            inserted = await connection.insert(text, *args, key=lookup.columns[0])
            key = tuple(values.get(name, inserted) for name in lookup.columns)
            return _there(await self._read(connection, statements, lookup, key))

    async def create_many(
        self, db: Database, statements: TableStatements, rows: Iterable[Any]
    ) -> int:
        """`Repository.create_many`."""
        every = [self._new_values(self.values(row)) for row in rows]
        if not every:
            return 0
        names = every[0].keys()
        for number, values in enumerate(every):
            if values.keys() != names:
                different = ", ".join(sorted(values.keys() ^ names))
                raise ValueError(f"row {number} has not the columns of row 0: {different}")
        is_expression = self._table.is_expression
        if statements.is_plain(names) and not any(
            is_expression(value) for values in every for value in values.values()
        ):
            text, _ = statements.insert(every[0], pool_of(db).build)
            ordered = ({name: values[name] for name in names} for values in every)
            await db.executemany(text, map(statements.bound, ordered))
            return len(every)
        async with _unit(db) as connection:
            for values in every:
                text, args = statements.insert(values, pool_of(db).build)
                await connection.execute(text, *args)
        return len(every)

    async def update(
        self, db: Database, statements: TableStatements, lookup: Lookup, key: Any, data: Any
    ) -> Row | None:
        """`Repository.update`, of a key that is not None."""
        table, version = self._table, self._version
        if not lookup.is_unique:
            raise ValueError(
                f"{table.label}: {' and '.join(lookup.columns)} may be that of several rows, as "
                "the model does not say that it is unique"
            )
        values = self.values(data)
        where, after = self._places(lookup, key, values)
        if version is not None:
            if values.get(version) is None:
                raise ValueError(
                    f"{table.label}: the data of an update have the {version!r} that was read"
                )
            where[version] = values.pop(version)
        if not values:
            return await self._unchanged(db, statements, lookup, key, where)
        for name, make in table.on_update:
            if name not in values:
                values[name] = make()
        text, args = statements.update(values, where, version, pool_of(db).build)
        if statements.update_returns:
            row = await db.fetchrow(text + statements.returning, *args)
            if row is None:
                await self._check_version(db, lookup, key)
            return row
        async with _unit(db) as connection:
            if await connection.execute(text, *args):
                return await self._read(connection, statements, lookup, after)
            await self._check_version(connection, lookup, key)
        return None

    async def upsert(
        self, db: Database, statements: TableStatements, lookup: Lookup, data: Any
    ) -> Row:
        """`Repository.upsert`."""
        table, version = self._table, self._version
        passed = self.values(data)
        missing = [name for name in lookup.columns if passed.get(name) is None]
        if missing:
            raise ValueError(f"{table.label}: upsert() needs {', '.join(missing)}")
        if version is not None:
            passed.pop(version, None)
        keys = {*lookup.columns, *table.primary_key}
        changed = tuple(name for name in passed if name not in keys)
        stamps = {name: make() for name, make in table.on_update if name not in passed}
        values = self._new_values(dict(passed))
        build = pool_of(db).build
        text, args = statements.upsert(values, lookup.columns, changed, stamps, version, build)
        if statements.update_returns:
            return _there(await db.fetchrow(text + statements.returning, *args))
        async with _unit(db) as connection:
            await connection.execute(text, *args)
            key = tuple(passed[name] for name in lookup.columns)
            return _there(await self._read(connection, statements, lookup, key))

    def values(self, data: Any) -> dict[str, Any]:
        """The values of data by the names of their columns.

        Raises:
            ValueError: a column does not exist, or stands twice: by its name and its attribute.
        """
        values: dict[str, Any] = {}
        names = self._table.names
        for key, value in data.items() if type(data) is dict else items_of(data):
            if value is UNSET:
                continue
            name = names.get(key)
            if name is None:
                name = self._table.column(key).name
            if name in values:
                raise ValueError(f"{self._table.label}: {name} stands twice in the data")
            values[name] = value
        return values

    def _new_values(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values of a new row, with defaults."""
        for name, make in self._table.defaults:
            if name not in values:
                values[name] = make()
        if self._version is not None:
            values.setdefault(self._version, 1)
        if not values:
            raise ValueError(f"{self._table.label}: the data of a new row are empty")
        return values

    def _places(
        self, lookup: Lookup, key: Any, values: dict[str, Any]
    ) -> tuple[dict[str, Any], tuple[Any, ...]]:
        """The values that find the row before an update, and those that find it afterwards. The
        primary key is taken out of the values where it stays the same."""
        label = self._table.label
        where = dict(zip(lookup.columns, lookup.parts(key), strict=True))
        for name in self._table.primary_key:
            if name in values:
                if name not in where or values[name] != where[name]:
                    raise ValueError(f"{label}: an update does not change the primary key {name!r}")
                del values[name]
        for name in lookup.columns:
            if name in values and self._table.is_expression(values[name]):
                raise ValueError(f"{label}: {name} finds the row, so it cannot be computed")
        return where, tuple([values.get(name, value) for name, value in where.items()])

    async def _unchanged(
        self,
        db: Database,
        statements: TableStatements,
        lookup: Lookup,
        key: Any,
        where: Mapping[str, Any],
    ) -> Row | None:
        """The row of an update that writes nothing."""
        row = await db.fetchrow(lookup.text, *lookup.args(key))
        version = self._version
        if row is not None and version is not None and row[version] != where[version]:
            raise self._stale()
        return row

    async def _read(
        self, db: Database, statements: TableStatements, lookup: Lookup, key: tuple[Any, ...]
    ) -> Row | None:
        """The row that was written, on a database that does not give it back."""
        for name, value in zip(lookup.columns, key, strict=True):
            if self._table.is_expression(value):
                raise TypeError(
                    f"{self._table.label}: {name} is computed by the database, so the row cannot "
                    "be found afterwards"
                )
        return await db.fetchrow(lookup.text, *map(statements.bind, lookup.columns, key))

    async def _check_version(self, db: Database, lookup: Lookup, key: Any) -> None:
        """Of an update that found no row: it may be there with another version."""
        if self._version is not None:
            row = await db.fetchrow(lookup.text, *lookup.args(key))
            if row is not None:
                raise self._stale()

    def _stale(self) -> StaleVersion:
        return StaleVersion(f"this {self._table.label} has been changed meanwhile")


def _unit(db: Database) -> Any:
    """The connection in a transaction: the caller's, where one is open."""
    if isinstance(db, Connection) and db.transactions:
        return contextlib.nullcontext(db)
    return db.transaction()


def _there(row: Row | None) -> Row:
    if row is None:
        raise StatementError(
            "the row that was written cannot be read: a trigger or a policy hides it, or (upsert() "
            "on MySQL) a row with the same value of another unique index was changed"
        )
    return row
