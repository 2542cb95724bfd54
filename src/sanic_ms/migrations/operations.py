"""Playhouse's migrators, with what they get wrong put right.

Each override says what the original does. The rest is playhouse's.
"""

from __future__ import annotations

import re
import sqlite3
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
    "require_schema",
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


def require_schema(database: peewee.Database, model: type[peewee.Model]) -> None:
    """See that a database can have a model's ``Meta.schema``.

    Raises:
        MigrationError: it is SQLite, and no attached database has that name.
    """
    schema = model._meta.schema
    if not schema or not isinstance(database, peewee.SqliteDatabase):
        return
    execute: Any = database.execute_sql
    names = [row[1] for row in execute("PRAGMA database_list").fetchall()]
    if schema not in (*names, "temp"):
        raise MigrationError(
            f"{model.__name__} has Meta.schema = {schema!r}, and SQLite has no schemas: leave it "
            "out, or use a database of PostgreSQL or MySQL (DB_URL, or --url)"
        )


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

    @operation  # type: ignore[untyped-decorator]
    def _update_column(self, table: str, column_to_update: str, fn: Any) -> list[Any]:
        """The original drops the table and renames a copy. The triggers of the table go with it,
        and a view or another table's trigger that names it makes the renaming fail, as SQLite then
        checks them while there is no such table. So triggers are made again, and it checks at the
        end whether every view that could be read before still can."""
        database: Any = self.database
        triggers = database.execute_sql(
            "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = ?"
            " ORDER BY rowid",
            (table.lower(),),
        ).fetchall()
        views = [view for view in database.get_views() if self._view_error(view.name) is None]
        was = database.pragma("legacy_alter_table")
        database.pragma("legacy_alter_table", 1)
        try:
            super()._update_column(table, column_to_update, fn).run()
        finally:
            database.pragma("legacy_alter_table", was)
        for view in views:
            error = self._view_error(view.name)
            if error is not None:
                raise MigrationError(
                    f"the view {view.name} cannot be read without what changes in {table}: "
                    f"{error}; drop it before in the same file, and make it again after"
                ) from error
        return [peewee.SQL(sql) for (sql,) in triggers]

    def _view_error(self, name: str) -> Exception | None:
        database: Any = self.database
        quoted = name.replace('"', '""')
        try:
            database.execute_sql(f'EXPLAIN SELECT * FROM "{quoted}"').fetchall()
        except peewee.DatabaseError as exc:
            return exc
        return None

    @operation  # type: ignore[untyped-decorator]
    def add_constraint(self, table: str, name: str, constraint: Any) -> Any:
        """The original says NotImplementedError, and so do the following."""
        if self.sqlite_version >= _SINCE_CONSTRAINTS:
            return super().add_constraint(table, name, constraint)
        raise _not_on_sqlite(
            f"add_constraint({table!r}, {name!r})",
            "UNIQUE as migrator.add_index(…, unique=True), and for CHECK a new table with it, into "
            "which the rows are copied",
        )

    @operation  # type: ignore[untyped-decorator]
    def drop_constraint(self, table: str, name: str) -> Any:
        """See `add_constraint`."""
        if self.sqlite_version >= _SINCE_CONSTRAINTS:
            return super().drop_constraint(table, name)
        raise _not_on_sqlite(
            f"drop_constraint({table!r}, {name!r})",
            "a new table without it, into which the rows are copied",
        )

    @operation  # type: ignore[untyped-decorator]
    def add_unique(self, table: str, *column_names: str) -> Any:
        """See `add_constraint`."""
        raise _not_on_sqlite(
            f"add_unique({table!r}, …)", "migrator.add_index(…, unique=True), which does the same"
        )

    @operation  # type: ignore[untyped-decorator]
    def add_foreign_key_constraint(
        self, table: str, column_name: str, *args: Any, **kw: Any
    ) -> Any:
        """See `add_constraint`."""
        raise _not_on_sqlite(
            f"add_foreign_key_constraint({table!r}, {column_name!r})",
            "migrator.add_column() with a ForeignKeyField, which makes the reference as well",
        )

    @operation  # type: ignore[untyped-decorator]
    def drop_table(
        self, table: str, safe: bool = False, cascade: bool = False, schema: str | None = None
    ) -> Any:
        """See `add_constraint`."""
        if cascade:
            raise _not_on_sqlite(
                f"drop_table({table!r}, cascade=True)", "it without cascade, after its views"
            )
        return super().drop_table(table, safe, schema=schema)


# Of SQLite: ALTER TABLE … ADD CONSTRAINT.
_SINCE_CONSTRAINTS = (3, 53, 0)


def _not_on_sqlite(operation: str, instead: str) -> MigrationError:
    return MigrationError(
        f"{operation}: SQLite {sqlite3.sqlite_version} cannot do this to a table that "
        f"exists; write instead: {instead}"
    )


class _MySQLMigrator(_Hooked, MySQLMigrator):  # type: ignore[misc]
    @operation  # type: ignore[untyped-decorator]
    def drop_index(self, table: str, index_name: str) -> list[Any]:
        """MySQL refuses (1553) to drop the last index that begins with the column of a foreign key;
        the original does not look. The column gets an index of its own before."""
        indexes = {index.name: index.columns for index in self.database.get_indexes(table)}
        first = (indexes.pop(index_name, None) or [None])[0]
        kept = {columns[0] for columns in indexes.values() if columns}
        references = {key.column for key in self.database.get_foreign_keys(table)}
        steps: list[Any] = []
        if first in references - kept:
            name = make_index_name(table, [first])
            if name == index_name:
                name = make_index_name(table, [first, "key"])
            steps.append(self.add_index(table, [first], name=name))
        return [*steps, super().drop_index(table, index_name)]

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
