"""Migrations as classes: one for each model, one method for each change."""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import peewee

from sanic_ms.exception import MigrationError
from sanic_ms.migrations.failure import NOT_TRANSACTIONAL, explained
from sanic_ms.migrations.lazy import LazyDatabase, db
from sanic_ms.migrations.operations import (
    SchemaMigrator,
    has_database_default,
    migrator_for,
    require_schema,
)
from sanic_ms.migrations.record import FORMER_TABLE, Step, former_versions, record_model, steps_of

__all__ = ["MigrationModel"]

log = logging.getLogger("sanic_ms.migrations")


class _Done:
    """What an operation gives back: playhouse's ``migrate()`` takes it and has nothing to do."""

    def run(self) -> None:
        return None


_DONE = _Done()


class MigrationModel:
    """The history of one model's table. Subclass it, and call `auto_migrate`::

        class UserMigration(MigrationModel):
            _model = User

            @info(version="0.1", author="ann", datetime="2026-11-21")
            def migrate_v1(self):
                self.add_column("phone", CharField(max_length=20, null=True))

    The operations run at once, on the table as it is called in the database. Columns may be named
    by the model's field or by the column itself.

    Attributes:
        _model: The model as it is now, with every change in it.
        _db: The database; default `sanic_ms.migrations.db`, that of the settings.

    Raises:
        MigrationError: ``_model`` is missing, or a ``migrate_*`` method has no ``@info``.
    """

    _model: ClassVar[type[peewee.Model]]
    _db: ClassVar[LazyDatabase] = db

    def __init__(self) -> None:
        model = getattr(type(self), "_model", None)
        if not (inspect.isclass(model) and issubclass(model, peewee.Model)):
            raise MigrationError(f"{type(self).__name__} has no model: write _model = User in it")
        self._steps = steps_of(type(self))
        self._table: str = model._meta.table_name

    # --- running

    def auto_migrate(self) -> list[str]:
        """Bring the table to what the model says.

        Methods that the first generation has run, by its table ``migration_record``, count as run.
        Where there is no such table it is created from the model, and all methods are recorded as
        included in it. Otherwise each method that is not recorded runs once, in the order of the
        versions, in a transaction where the database can.

        Any number of processes may do it at once: one does, the others wait. The lock is held until
        the end of ``db.transaction()`` if that is around it.

        Returns:
            The names of the methods that ran; empty where the table was created or was up to date.

        Raises:
            MigrationFailed: a method raised; the text has file, line and SQL.
            MigrationError: another process migrates for more than a minute, the table ends up with
                another name than the model's, or the model has a schema on SQLite.
            DatabaseUnavailable: the database cannot be reached.
        """
        with self._db.locked() as database:
            require_schema(database, self._model)
            record = record_model(database)
            found = self._find_table(database, record)
            if found is None:
                self._create(database, record)
                return []
            self._table = found
            self._take_over(database, record)
            done = self._recorded(record)
            pending = [step for step in self._steps if step.name not in done]
            for step in pending:
                self._run(step, database, record)
            self._check_name()
            return [step.name for step in pending]

    def assume_applied(self) -> list[str]:
        """Record every method without running it: for a table that has all the changes already,
        such as one made by another tool.

        Returns:
            The names that were not recorded before.
        """
        with self._db.locked() as database:
            record = record_model(database)
            done = self._recorded(record)
            pending = [step for step in self._steps if step.name not in done]
            with _atomic(database):
                for step in pending:
                    self._note(step, record)
            return [step.name for step in pending]

    # --- operations

    def add_column(self, name: str, field: Any = None) -> _Done:
        """Add a column.

        Args:
            name: The field's name in the model, or the column's.
            field: What it is. Default: the model's field of that name. A field that forbids null
                needs a default, which the rows get that exist; unique and index are made too.

        Raises:
            MigrationError: the model has no such field and none was given, or the field forbids
                null and has no default.
        """
        own = self._field(name)
        if field is None:
            field = own
        if field is None:
            raise MigrationError(
                f"add_column({name!r}): {self._name} has no such field; give one as the second "
                "argument"
            )
        made_by_database = has_database_default(field)
        if not field.null and field.default is None and not made_by_database:
            raise MigrationError(
                f"add_column({name!r}): it forbids null and has no default for the rows that "
                "exist: give the field default=… or null=True"
            )
        column = name if own is None else own.column_name
        if isinstance(field, peewee.ForeignKeyField):
            field = self._resolved(field)
            if own is None and not name.endswith("_id"):
                column = f"{name}_id"
        return self._migrate("add_column", column, field, allow_not_null=made_by_database)

    def add_columns(self, fields: Mapping[str, Any] | None = None, **named: Any) -> _Done:
        """Several at once: ``add_columns(phone=CharField(null=True), city=…)``, or a mapping."""
        for name, field in {**(fields or {}), **named}.items():
            self.add_column(name, field)
        return _DONE

    def rename_column(self, old: str, new: str) -> _Done:
        """Give a column another name; its values, indexes and references stay."""
        return self._migrate("rename_column", self._column(old), self._column(new))

    def drop_column(self, name: str) -> _Done:
        """Drop a column with its values and the indexes on it."""
        return self._migrate("drop_column", self._column(name), cascade=False)

    def add_not_null(self, name: str) -> _Done:
        """Forbid null in a column; fails if a row has none."""
        return self._migrate("add_not_null", self._column(name))

    def drop_not_null(self, name: str) -> _Done:
        """Allow null in a column."""
        return self._migrate("drop_not_null", self._column(name))

    def rename_table(self, *names: str) -> _Done:
        """Give the table another name: ``rename_table("people")``, or with the old name before.

        What follows is about the table's new name, and so is its record.

        Raises:
            MigrationError: the old name is not that of this table.
        """
        if len(names) not in (1, 2):
            raise TypeError("rename_table(new) or rename_table(old, new)")
        if len(names) == 2 and names[0] != self._table:
            raise MigrationError(f"rename_table{names!r}: the table is called {self._table!r}")
        new = names[-1]
        self._migrate("rename_table", new)
        record = record_model(self._db.database)
        record.update(table_name=new).where(record.table_name == self._table).execute()
        self._table = new
        return _DONE

    def add_index(
        self, columns: str | Iterable[str], unique: bool = False, name: str | None = None
    ) -> _Done:
        """Add an index on one column or several, called ``<table>_<columns>`` unless named."""
        listed = [columns] if isinstance(columns, str) else list(columns)
        found = [self._column(column) for column in listed]
        return self._migrate("add_index", found, unique=unique, name=name)

    def drop_index(self, index: str | Iterable[str]) -> _Done:
        """Drop an index, by its name or by its column or columns.

        Raises:
            MigrationError: there is no such index; the text has those that there are.
        """
        existing = self._db.database.get_indexes(self._table)
        listed = [index] if isinstance(index, str) else list(index)
        columns = [self._column(column) for column in listed]
        for entry in existing:
            if [entry.name] == listed or list(entry.columns) == columns:
                return self._migrate("drop_index", entry.name)
        known = ", ".join(f"{entry.name} ({', '.join(entry.columns)})" for entry in existing)
        raise MigrationError(
            f"drop_index({index!r}): {self._table} has no such index (there are: {known or 'none'})"
        )

    def execute(self, sql: str, *values: Any) -> Any:
        """Run a statement of one's own; the driver's marks for values are ``db.param``."""
        database: Any = self._db.database
        return database.execute_sql(sql, values)

    # --- within

    @property
    def _name(self) -> str:
        return self._model.__name__

    def _migrate(self, operation: str, *arguments: Any, **options: Any) -> _Done:
        migrator: Any = migrator_for(self._db.database)
        migrator.migrate(getattr(migrator, operation)(self._table, *arguments, **options))
        return _DONE

    def _field(self, name: str) -> Any:
        return self._model._meta.combined.get(name)

    def _column(self, name: str) -> str:
        field = self._field(name)
        return name if field is None else str(field.column_name)

    def _resolved(self, field: peewee.ForeignKeyField) -> Any:
        """A foreign key that knows what it refers to, also if it belongs to no model."""
        if field.rel_model == "self":
            field.rel_model = self._model
        meta = field.rel_model._meta
        if field.rel_field is None:
            field.rel_field = meta.primary_key
        elif isinstance(field.rel_field, str):
            field.rel_field = meta.combined[field.rel_field]
        return field

    def _find_table(self, database: peewee.Database, record: Any) -> str | None:
        """What the table is called in the database now; None if there is none."""
        tables = set(database.get_tables(self._model._meta.schema))
        wanted: str = self._model._meta.table_name
        if wanted in tables:
            return wanted
        # Not yet renamed to what the model says: it is known by the name in the record.
        rows = record.select(record.table_name).where(record.migration == type(self).__name__)
        for (name,) in rows.distinct().tuples():
            if name in tables:
                return str(name)
        return None

    def _take_over(self, database: peewee.Database, record: Any) -> None:
        """Record here what the first generation has recorded in its own table."""
        versions = former_versions(database, self._table)
        done = self._recorded(record) if versions else set()
        for step in self._steps:
            if step.info.version in versions and step.name not in done:
                self._note(step, record)
                log.info("%s.%s ran before: %s", type(self).__name__, step.name, FORMER_TABLE)

    def _recorded(self, record: Any) -> set[str]:
        rows = record.select(record.name).where(record.table_name == self._table)
        return {name for (name,) in rows.tuples()}

    def _create(self, database: peewee.Database, record: Any) -> None:
        self._table = self._model._meta.table_name
        with _atomic(database):
            with database.bind_ctx([self._model], bind_refs=True, bind_backrefs=False):
                self._model.create_table()
            # Of a table of the same name that was dropped by hand.
            record.delete().where(record.table_name == self._table).execute()
            for step in self._steps:
                self._note(step, record)
        log.info("created table %s", self._table)

    def _run(self, step: Step, database: peewee.Database, record: Any) -> None:
        kept = None if _transactional(database) else NOT_TRANSACTIONAL
        with explained(database, self._file, record, kept=kept), _atomic(database):
            getattr(self, step.name)()
            self._note(step, record)
        log.info("%s.%s ran on table %s", type(self).__name__, step.name, self._table)

    def _note(self, step: Step, record: Any) -> None:
        record.insert(
            table_name=self._table,
            migration=type(self).__name__,
            name=step.name,
            version=step.info.version,
            author=step.info.author,
            datetime=step.info.datetime,
        ).execute()

    def _check_name(self) -> None:
        wanted = self._model._meta.table_name
        if self._table != wanted:
            raise MigrationError(
                f"the table of {self._name} is called {self._table!r} in the database and "
                f"{wanted!r} in the model: add a method to {type(self).__name__} that calls "
                f"self.rename_table({wanted!r})"
            )

    @property
    def _file(self) -> str:
        return inspect.getsourcefile(type(self)) or type(self).__module__


def _transactional(database: peewee.Database) -> bool:
    return bool(SchemaMigrator.from_database(database).transactional_ddl)


def _atomic(database: peewee.Database) -> contextlib.AbstractContextManager[Any]:
    """A transaction or savepoint, where changes of tables can be in one."""
    if not _transactional(database):
        return contextlib.nullcontext()
    context: contextlib.AbstractContextManager[Any] = database.atomic()
    return context
