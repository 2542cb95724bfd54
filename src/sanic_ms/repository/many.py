"""The rows of many keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from sanic_ms.db import Connection, ConnectionPool
from sanic_ms.db.base import Row
from sanic_ms.repository.statements import Lookup, TableStatements

__all__ = ["fetch_many"]

# Keys of one statement: below what each database takes (SQLite 32,766 values), also of composite
# keys, and few enough that a statement is short.
_CHUNK: Final = 1024


async def fetch_many(
    db: ConnectionPool | Connection, statements: TableStatements, lookup: Lookup, keys: list[Any]
) -> list[Row | None]:
    """One entry for each key: its row, or None."""
    columns = lookup.columns
    if len(columns) == 1 and statements.table.columns[columns[0]].type is UUID:
        keys = [UUID(key) if isinstance(key, str) else key for key in keys]
    elif len(columns) > 1:
        keys = [key if key is None else tuple(key) for key in keys]
    wanted = list(dict.fromkeys(key for key in keys if key is not None))
    by_key: dict[Any, Row] = {}
    unclaimed = False
    expected = set(wanted)
    for part in _chunks(wanted):
        for row in await _fetch(db, statements, lookup, part):
            key = row[columns[0]] if len(columns) == 1 else tuple(row[name] for name in columns)
            by_key.setdefault(key, row)
            unclaimed = unclaimed or key not in expected
    if unclaimed:
        # The database takes values for equal that are not in Python: by its collation, for one.
        for key in wanted:
            if key not in by_key:
                found = statements.row(await db.fetchrow(lookup.text, *lookup.args(key)))
                if found is not None:
                    by_key[key] = found
    return list(_in_order(keys, by_key))


async def _fetch(
    db: ConnectionPool | Connection, statements: TableStatements, lookup: Lookup, keys: list[Any]
) -> list[Row]:
    # Few lengths of lists are few statements to prepare: the last key fills the list up.
    count = 1 << (len(keys) - 1).bit_length()
    padded = keys + [keys[-1]] * (count - len(keys))
    args: Sequence[Any] = [value for key in padded for value in lookup.args(key)]
    text = statements.in_list(lookup.columns, count, is_unique=lookup.is_unique)
    return statements.rows(await db.fetch(text, *args))


def _chunks(keys: list[Any]) -> Iterator[list[Any]]:
    for first in range(0, len(keys), _CHUNK):
        yield keys[first : first + _CHUNK]


def _in_order(keys: list[Any], by_key: dict[Any, Row]) -> Iterator[Row | None]:
    given: set[int] = set()
    for key in keys:
        row = None if key is None else by_key.get(key)
        if row is None:
            yield None
            continue
        # What one caller does to a row must not show in another's.
        yield dict(row) if id(row) in given else row
        given.add(id(row))
