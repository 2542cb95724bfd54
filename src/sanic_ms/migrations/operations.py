"""Playhouse's migrators, with what they get wrong put right.

Each override says what the original does. The rest is playhouse's.
"""

from __future__ import annotations

import re
from typing import Any

import peewee
from playhouse.migrate import (
    MySQLMigrator,
    Operation,
    PostgresqlMigrator,
    SchemaMigrator,
    SqliteMigrator,
    make_index_name,
    operation,
)

from sanic_ms.exception import MigrationError

__all__ = [
    "SchemaMigrator",
    "has_database_default",
    "make_index_name",
    "migrator_for",
    "with_nullability",
]


def migrator_for(database: peewee.Database) -> SchemaMigrator:
    """The migrator of a database: what a migration's ``up(migrator, db)`` gets."""
    if isinstance(database, peewee.SqliteDatabase):
        return _Sqlite(database)
    if isinstance(database, peewee.MySQLDatabase):
        return _MySQLMigrator(database)
    return _PostgresqlMigrator(database)


def has_database_default(field: Any) -> bool:
    """Whether a field has ``constraints=[SQL("DEFAULT …")]``: the database fills its column."""
    constraints = field.constraints or ()
    return any(str(getattr(part, "sql", "")).upper().startswith("DEFAULT") for part in constraints)


class _Hooked:
    """A field of no model does not know its database, and then JSON and bytes cannot be bound."""

    database: Any

    @operation  # type: ignore[untyped-decorator]
    def add_column(
        self, table: str, column_name: str, field: Any, allow_not_null: bool = False
    ) -> Operation:
        if hasattr(field, "_db_hook"):
            field = field.clone()
            field._db_hook(self.database)
        original: Any = super()
        return original.add_column(table, column_name, field, allow_not_null)


class _PostgresqlMigrator(_Hooked, PostgresqlMigrator):  # type: ignore[misc]
    pass


class _Sqlite(_Hooked, SqliteMigrator):  # type: ignore[misc]
    @operation  # type: ignore[untyped-decorator]
    def drop_column(
        self, table: str, column_name: str, cascade: bool = True, legacy: bool = False
    ) -> list[Operation]:
        """SQLite refuses to drop a column that an index or a foreign key uses; the original does
        not look. Indexes go first, and a foreign key's column by rebuilding the table."""
        references = {key.column for key in self.database.get_foreign_keys(table)}
        steps = [
            self.drop_index(table, index.name)
            for index in self.database.get_indexes(table)
            if column_name in index.columns and index.sql
        ]
        legacy = legacy or column_name in references
        return [*steps, super().drop_column(table, column_name, cascade, legacy)]


class _MySQLMigrator(_Hooked, MySQLMigrator):  # type: ignore[misc]
    @operation  # type: ignore[untyped-decorator]
    def rename_column(self, table: str, old_name: str, new_name: str) -> Operation:
        """The original writes the column's definition anew: its default is lost, and a unique
        column gets one more unique index each time."""
        since = (10, 5, 2) if self.database.mariadb else (8, 0, 3)
        if self.database.server_version < since:
            return super().rename_column(table, old_name, new_name)
        return SchemaMigrator.rename_column(self, table, old_name, new_name)

    @operation  # type: ignore[untyped-decorator]
    def add_not_null(self, table: str, column: str) -> Any:
        """The original has the faults of its `rename_column`, and drops foreign keys meanwhile."""
        return self._modify(table, column, null=False)

    @operation  # type: ignore[untyped-decorator]
    def drop_not_null(self, table: str, column: str) -> Any:
        """As `add_not_null`."""
        if column in self.database.get_primary_keys(table):
            raise ValueError(f"{table}.{column} is the primary key and cannot be null")
        return self._modify(table, column, null=True)

    def _modify(self, table: str, column: str, *, null: bool) -> Any:
        definition = with_nullability(self._definition(table, column), null=null)
        # Executed with arguments, if none, so the driver reads % as its own.
        text = peewee.SQL(definition.replace("%", "%%"))
        context = self._alter_table(self.make_context(), table)
        return context.literal(" MODIFY ").sql(text)

    def _definition(self, table: str, column: str) -> str:
        """The column's line of ``SHOW CREATE TABLE``, the only place that has all of it."""
        name, _ = self.make_context().sql(self._table(table)).query()
        created: str = self.database.execute_sql(f"SHOW CREATE TABLE {name}").fetchone()[1]
        start = f"`{column.replace('`', '``')}` "
        for line in created.splitlines():
            if line.strip().startswith(start):
                return line.strip().removesuffix(",")
        raise MigrationError(f"the table {table} has no column {column}")


_TOKEN = re.compile(
    r"('(?:''|\\.|[^'])*'|`(?:``|[^`])*`)"  # 1: texts and names, to be passed over
    r"|\s*\b(NOT NULL|DEFAULT NULL|NULL)\b"  # 2: what is replaced
    r"|\b(DEFAULT|COMMENT|CHECK|AUTO_INCREMENT|ON UPDATE)\b"  # 3: what it stands before
)


def with_nullability(definition: str, *, null: bool) -> str:
    """A MySQL column definition with ``NULL`` or ``NOT NULL`` set, and all else as it was."""
    bare = _TOKEN.sub(lambda match: "" if match[2] else match[0], definition)
    following = next((match.start() for match in _TOKEN.finditer(bare) if match[3]), len(bare))
    word = "NULL" if null else "NOT NULL"
    return " ".join(filter(None, (bare[:following].rstrip(), word, bare[following:])))
