"""What a service must know of its migrations before it serves: which are not applied."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sanic_ms.config import Settings
from sanic_ms.migrations.runner import MigrationEntry, status
from sanic_ms.values.table_sets import TableSet

__all__ = ["describe", "folder_of", "unapplied"]


def folder_of(settings: Settings, database: str = "default") -> Path:
    """The folder of a database's migrations: ``MIGRATIONS``, and below it one for each other."""
    folder = Path(settings.migrations)
    return folder if database == "default" else folder / database


def unapplied(
    settings: Settings, database: str = "default", sets: Iterable[TableSet] = ()
) -> list[MigrationEntry]:
    """The migrations of a database that are pending or have a problem; none without a folder or
    sets.

    Raises:
        DatabaseUnavailable: the database cannot be reached.
        MigrationError: its record of applied migrations cannot be read.
    """
    sets = tuple(sets)
    folder = folder_of(settings, database)
    url = settings.db_url if database == "default" else settings.databases[database]
    if url is None or not (sets or folder.is_dir()):
        return []
    entries = status(url, folder, table=settings.migrations_table, sets=sets)
    return [entry for entry in entries if entry.state == "pending" or entry.problem]


def describe(
    entries: list[MigrationEntry], database: str = "default", command: str | None = None
) -> str:
    """One line about what `unapplied` found, with the command to run.

    Args:
        entries: At least one.
        database: The name of the database.
        command: The command, where it is not the usual one.
    """
    for entry in entries:
        if entry.problem:
            return f"{entry.name} {entry.problem}"
    if command is None:
        command = "sanic-ms db up" + ("" if database == "default" else f" --database {database}")
    names = ", ".join(entry.name for entry in entries[:3]) + (", …" if len(entries) > 3 else "")
    return f"{len(entries)} pending ({names}): run {command}"
