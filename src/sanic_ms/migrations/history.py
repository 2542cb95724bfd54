"""Peewee's runner over one history table: an application's migrations, or those of a table set."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import peewee
from playhouse import migrations as playhouse

from sanic_ms.exception import MigrationError
from sanic_ms.migrations.failure import described
from sanic_ms.migrations.operations import migrator_for
from sanic_ms.values.table_sets import RECORD_TABLE, TableSet, is_of_a_set

__all__ = ["HISTORY_TABLE", "TableSetRunner", "runner_for"]

HISTORY_TABLE = RECORD_TABLE
"""Where applied migrations are recorded unless another table is named."""


class _Runner(playhouse.Runner):  # type: ignore[misc]
    """Peewee's runner, with this package's migrator and times in UTC."""

    def __init__(self, database: peewee.Database, directory: str | Path, table: str) -> None:
        super().__init__(database, str(directory), table)
        self.migrator = migrator_for(database)

        class History(database.Model):  # type: ignore[misc,name-defined]
            # The columns are those of Peewee's own runner, so that its tool reads the table too.
            name = peewee.CharField(unique=True)
            applied = peewee.DateTimeField(default=lambda: datetime.now(UTC).replace(tzinfo=None))

            class Meta:
                legacy_table_names = False
                table_name = table

        self.History = History

    def applied(self) -> dict[str, datetime]:
        try:
            return dict(super().applied())
        except peewee.PeeweeException as exc:
            raise MigrationError(
                f"the record of applied migrations, table {self.table_name!r}, cannot be read: "
                f"{described(exc)}; if it is another program's table, set MIGRATIONS_TABLE"
            ) from exc


class _ApplicationRunner(_Runner):
    """The migrations of a service; those of table sets in the same history are left out."""

    def applied(self) -> dict[str, datetime]:
        return {name: at for name, at in super().applied().items() if not is_of_a_set(name)}


class TableSetRunner(_Runner):
    """The migrations of a table set, under their full names.

    Those that a newer version of the package has applied are left out: tables are only added to
    within a minor version, so that this one works with them.
    """

    def __init__(self, database: peewee.Database, tables: TableSet) -> None:
        super().__init__(database, tables.directory, RECORD_TABLE)
        self._files = tables.migrations()

    def migrations(self) -> list[playhouse.Migration]:
        return [
            playhouse.Migration(number, name, str(path), None)
            for number, (name, path) in enumerate(self._files.items(), 1)
        ]

    def applied(self) -> dict[str, datetime]:
        return {name: at for name, at in super().applied().items() if name in self._files}


def runner_for(
    database: peewee.Database, directory: str | Path, table: str = HISTORY_TABLE
) -> playhouse.Runner:
    """The runner of an application's migrations."""
    return _ApplicationRunner(database, directory, table)
