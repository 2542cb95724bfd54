"""The SQL that pending migrations would run, found without running it.

The migrations' own code runs, against a database that answers questions and only notes everything
else. The session is read-only besides, should a statement be mistaken for a question.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peewee
from playhouse import migrations as playhouse

from sanic_ms.migrations.failure import described, place
from sanic_ms.migrations.history import HISTORY_TABLE, TableSetRunner, runner_for
from sanic_ms.migrations.runner import folder_beside, load, opened, plan, plan_of_set
from sanic_ms.models.database import complete
from sanic_ms.values import DatabaseURL
from sanic_ms.values.table_sets import TableSet

__all__ = ["Planned", "planned_sql"]

_QUESTION = re.compile(
    r"\s*(SELECT|SHOW|DESCRIBE|EXPLAIN|PRAGMA\s[^=]+$|WITH(?!.*\b(INSERT|UPDATE|DELETE)\b))",
    re.IGNORECASE | re.DOTALL,
)
_SAVEPOINT = re.compile(r"\s*(SAVEPOINT|RELEASE|ROLLBACK)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Planned:
    """What one pending migration would run.

    Attributes:
        name: The migration.
        statements: Complete, with their values.
        problem: Why there are no more of them, and no further migrations: its code raised, most
            often because it reads what a pending one before it would make. None usually.
    """

    name: str
    statements: list[str]
    problem: str | None = None


def planned_sql(
    url: str | DatabaseURL,
    directory: str | Path = "migrations",
    *,
    target: str | None = None,
    table: str = HISTORY_TABLE,
    sets: Iterable[TableSet] = (),
) -> list[Planned]:
    """The statements of each pending migration, its record in the history included.

    Args:
        url, directory, target, table, sets: As for `migrate`.

    Raises:
        MigrationError, DatabaseUnavailable, ValueError: as for `migrate`.
    """
    sets = tuple(sets)
    folder = folder_beside(sets, directory, target)
    planned: list[Planned] = []
    with opened(url, create=False) as database:
        pending: list[tuple[Any, playhouse.Migration]] = []
        for tables in sets:
            set_runner = TableSetRunner(database, tables)
            pending += [(set_runner, row) for row in plan_of_set(set_runner)]
        if folder is not None:
            own = runner_for(database, folder, table)
            pending += [(own, row) for row in plan(own, target, out_of_order=True)]
        histories = {runner.table_name for runner, _ in pending if runner.History.table_exists()}
        _forbid_writing(database)
        recorder = _StatementRecorder(database)
        for runner, migration in pending:
            statements = recorder.start()
            if runner.table_name not in histories:
                histories.add(runner.table_name)
                runner.History.create_table(safe=False)
            try:
                load(migration).up(runner.migrator, database)
            except Exception as exc:
                earlier = f" before {planned[-1].name} is applied" if planned else ""
                at = place(migration.path, exc)
                problem = f"{at}: cannot be shown{earlier}: {described(exc)}"
                planned.append(Planned(migration.name, statements, problem))
                break
            runner.History.insert(name=migration.name).execute()
            planned.append(Planned(migration.name, statements))
    return planned


class _StatementRecorder:
    """Stands in for a database's ``execute_sql`` and transactions until the connection closes."""

    def __init__(self, database: Any) -> None:
        self._ask: Callable[..., Any] = database.execute_sql
        self._database = database
        self._statements: list[str] = []
        database.execute_sql = self.execute_sql
        for name in ("begin", "commit", "rollback"):
            setattr(database, name, _nothing)

    def start(self) -> list[str]:
        """A new list, which takes the statements from now on."""
        self._statements = []
        return self._statements

    def execute_sql(self, sql: str, params: Sequence[Any] | None = None) -> Any:
        if _QUESTION.match(sql):
            return self._ask(sql, params)
        if not _SAVEPOINT.match(sql):
            self._statements.append(complete(self._database, sql, params or ()).rstrip("; \n"))
        return _NoRows()


class _NoRows:
    """The cursor of a statement that was not run."""

    rowcount = 0
    lastrowid = None
    description = ()

    def fetchone(self) -> None:
        return None

    def fetchall(self) -> list[Any]:
        return []

    def __iter__(self) -> Any:
        return iter(())

    def close(self) -> None:
        return None


def _nothing(*args: Any, **kwargs: Any) -> None:
    return None


def _forbid_writing(database: peewee.Database) -> None:
    if isinstance(database, peewee.SqliteDatabase):
        statement = "PRAGMA query_only = 1"
    elif isinstance(database, peewee.MySQLDatabase):
        statement = "SET SESSION TRANSACTION READ ONLY"
    else:
        statement = "SET default_transaction_read_only = on"
    execute: Any = database.execute_sql
    execute(statement)
