"""Applying numbered migration files, on Peewee's own runner.

A file ``0002_add_phone.py`` in the folder defines ``up(migrator, db)`` and, if it can be taken
back, ``down(migrator, db)``. What was applied stands in a table of the database itself.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import peewee
from playhouse import migrations as playhouse

from sanic_ms.exception import MigrationError
from sanic_ms.migrations.failure import NOT_TRANSACTIONAL, described, explained, place
from sanic_ms.migrations.history import HISTORY_TABLE, TableSetRunner, runner_for
from sanic_ms.migrations.lock import LOCK_TIMEOUT, migration_lock
from sanic_ms.models.database import connect, peewee_database
from sanic_ms.values import DatabaseURL
from sanic_ms.values.table_sets import TableSet, is_of_a_set

__all__ = [
    "MigrationEntry",
    "apply",
    "existing",
    "folder_beside",
    "load",
    "migrate",
    "opened",
    "plan",
    "plan_of_set",
    "rollback",
    "status",
]

log = logging.getLogger("sanic_ms.migrations")


@dataclass(frozen=True, slots=True)
class MigrationEntry:
    """One migration, as the folder and the database's record together know it.

    Attributes:
        name: The file's name without ``.py``; in a table set, behind the set's name.
        state: ``"applied"``; ``"pending"``; ``"missing"``: applied, and its file is gone.
        applied_at: When, in UTC.
        problem: What is wrong with it and what to do, or None.
    """

    name: str
    state: Literal["applied", "pending", "missing"]
    applied_at: datetime | None = None
    problem: str | None = None


def migrate(
    url: str | DatabaseURL,
    directory: str | Path = "migrations",
    *,
    target: str | None = None,
    table: str = HISTORY_TABLE,
    lock_timeout: float = LOCK_TIMEOUT,
    out_of_order: bool = False,
    fake: bool = False,
    sets: Iterable[TableSet] = (),
) -> list[str]:
    """Apply the pending migrations in order, each in a transaction where the database can.

    Any number of processes may call it at once: one migrates, the others wait and find nothing
    to do. A migration that raises is rolled back (on MySQL its statements stay, because MySQL
    commits each change of a schema at once) and not recorded, so that the next call tries it again.

    Args:
        url: The database.
        directory: The folder of the files. Default ``migrations``.
        target: The last one to apply, by name or number. Default all.
        table: Where applied migrations are recorded.
        lock_timeout: Seconds to wait for another process that migrates. Default 60.
        out_of_order: Also apply one that is older than one already applied.
        fake: Record them as applied and run nothing: for a database whose tables exist already.
        sets: Tables of the framework's packages. They come first, all of them and in full: the
            target, the table and ``fake`` are about the files in the folder. With sets the folder
            may be missing.

    Returns:
        The names applied, in order; empty if there was nothing to do.

    Raises:
        MigrationFailed: a migration raised; the text has file, line, SQL and what stayed.
        MigrationError: the target is unknown, the files and the record do not fit together, a file
            cannot be loaded, the record cannot be read, or the lock was not free in time. Nothing
            was changed.
        DatabaseUnavailable: the database cannot be reached.
        ValueError: the URL is not one of a database.
    """
    sets = tuple(sets)
    folder = folder_beside(sets, directory, target)
    with opened(url) as database:
        runners = [TableSetRunner(database, tables) for tables in sets]
        own = None if folder is None else runner_for(database, folder, table)

        def pending() -> list[tuple[playhouse.Runner, list[playhouse.Migration]]]:
            plans = [(runner, plan_of_set(runner)) for runner in runners]
            if own is not None:
                plans.append((own, plan(own, target, out_of_order=out_of_order)))
            return plans

        # Without the lock first: most starts find nothing to do and need not wait.
        if not any(rows for _, rows in pending()):
            return []
        with migration_lock(database, lock_timeout):
            return [
                name
                for runner, rows in pending()
                for name in apply(runner, rows, "up", fake=fake and runner is own)
            ]


def rollback(
    url: str | DatabaseURL,
    directory: str | Path = "migrations",
    *,
    target: str | None = None,
    table: str = HISTORY_TABLE,
    lock_timeout: float = LOCK_TIMEOUT,
) -> list[str]:
    """Take back the last applied migration, or all back to ``target``, that one included.

    The arguments and errors are those of `migrate`; a migration without ``down()``, or one whose
    file is gone, is a `MigrationError`, raised before anything is taken back. Tables of the
    framework's packages are left alone.

    Returns:
        The names taken back, the newest first.
    """
    if target is not None and is_of_a_set(target):
        raise MigrationError(
            f"{target!r} is not an applied migration of the service: only its own are taken back, "
            "and tables of the framework's packages are left alone"
        )
    directory = existing(directory)
    with opened(url) as database:
        runner = runner_for(database, directory, table)
        with migration_lock(database, lock_timeout):
            applied = [row for row in runner.status() if row.applied]
            chosen = applied[-1:]
            if target is not None:
                names = [row.name for row in applied]
                chosen = applied[names.index(_resolve(target, names, "an applied migration")) :]
            taken = []
            for row in reversed(chosen):
                if row.path is None:
                    raise MigrationError(
                        f"cannot take back {row.name}: its file is gone from {directory}"
                    )
                if not callable(getattr(load(row), "down", None)):
                    raise MigrationError(
                        f"cannot take back {row.name}: {row.path} defines no down(migrator, db); "
                        "write one, or write a new migration that undoes it"
                    )
                taken.append(row)
            return apply(runner, taken, "down")


def status(
    url: str | DatabaseURL,
    directory: str | Path = "migrations",
    *,
    table: str = HISTORY_TABLE,
    sets: Iterable[TableSet] = (),
) -> list[MigrationEntry]:
    """Every migration of the sets, in the folder or in the record, in order.

    Raises:
        MigrationError: there is no such folder, and no set; or the record cannot be read.
        DatabaseUnavailable: the database cannot be reached.
    """
    sets = tuple(sets)
    folder = folder_beside(sets, directory)
    with opened(url, create=False) as database:
        rows = [row for tables in sets for row in TableSetRunner(database, tables).status()]
        own = [] if folder is None else runner_for(database, folder, table).status()
    problems = _problems(own)
    return [
        MigrationEntry(
            row.name,
            "missing" if row.path is None else "applied" if row.applied else "pending",
            _in_utc(row.applied),
            problems[row.name].text if row.name in problems else None,
        )
        for row in [*rows, *own]
    ]


@contextlib.contextmanager
def opened(url: str | DatabaseURL, *, create: bool = True) -> Iterator[peewee.Database]:
    """A connected Peewee database for the block, closed after it.

    Args:
        create: Make a SQLite file that does not exist; False opens an empty one in memory instead,
            so that looking changes nothing.
    """
    parsed = DatabaseURL.parse(url)
    if not create and parsed.scheme == "sqlite" and not Path(parsed.database).exists():
        parsed = DatabaseURL("sqlite", ":memory:")
    database = peewee_database(parsed)
    connect(database, url)
    try:
        yield database
    finally:
        # A connection that broke in a transaction cannot be closed in order.
        with contextlib.suppress(peewee.PeeweeException):
            database.close()
        database.dispose()


def apply(
    runner: playhouse.Runner,
    plan: list[playhouse.Migration],
    direction: Literal["up", "down"],
    *,
    fake: bool = False,
) -> list[str]:
    """Run planned migrations one by one; the caller holds the lock.

    Raises:
        MigrationFailed: one raised. Those before it stay.
    """
    done: list[str] = []
    for migration in plan:
        # One by one, so that an error is known to be this one's.
        kept = _why_it_stays(runner, migration)
        with explained(runner.database, migration.path, runner.History, kept=kept):
            if direction == "up":
                runner.up(migration.name, fake=fake)
            else:
                runner.down(migration.name)
        done.append(migration.name)
        log.info("%s %s", "applied" if direction == "up" else "took back", migration.name)
    return done


def _why_it_stays(runner: playhouse.Runner, migration: playhouse.Migration) -> str | None:
    """Why a migration that fails half-way is not rolled back; None if it is."""
    if not getattr(load(migration), "atomic", True):
        return "it is marked atomic = False"
    return None if runner.migrator.transactional_ddl else NOT_TRANSACTIONAL


def plan(
    runner: playhouse.Runner, target: str | None = None, *, out_of_order: bool = False
) -> list[playhouse.Migration]:
    """The pending migrations up to the target, each one loaded once to see that it can be.

    Raises:
        MigrationError: see `migrate`.
    """
    rows = runner.status()
    files = [row for row in rows if row.path is not None]
    if target is not None:
        names = [row.name for row in files]
        files = files[: names.index(_resolve(target, names, "a migration")) + 1]
    problems = _problems(rows)
    pending = [row for row in files if not row.applied]
    for row in rows:
        if row.path is None:
            log.warning("%s: %s", row.name, problems[row.name].text)
    for row in pending:
        problem = problems.get(row.name)
        if problem is not None and not (out_of_order and problem.is_order):
            raise MigrationError(f"{row.name}: {problem.text}")
        _check_up(row)
    return pending


def plan_of_set(runner: TableSetRunner) -> list[playhouse.Migration]:
    """The pending migrations of a table set, each one loaded once to see that it can be.

    Raises:
        MigrationError: one cannot be loaded.
    """
    pending = [row for row in runner.status() if not row.applied]
    for row in pending:
        _check_up(row)
    return pending


def _check_up(row: playhouse.Migration) -> None:
    if not callable(getattr(load(row), "up", None)):
        raise MigrationError(f"{row.path} defines no up(migrator, db)")


@dataclass(frozen=True, slots=True)
class _Problem:
    text: str
    is_order: bool = False


def _problems(rows: list[playhouse.Migration]) -> dict[str, _Problem]:
    """What is wrong, by the migration's name."""
    found: dict[str, _Problem] = {}
    newest = max((row.idx for row in rows if row.applied), default=-1)
    for row in rows:
        twins = [other for other in rows if other.idx == row.idx and other is not row]
        if row.path is None:
            found[row.name] = _Problem(
                "was applied and its file is gone: this is an older copy of the service, or the "
                "file was renamed or removed"
            )
        elif row.applied:
            continue
        elif gone := next((other for other in twins if other.path is None), None):
            found[row.name] = _Problem(
                f"is new, but {gone.name} with the same number was applied and its file is gone: "
                "if it was renamed, give it its old name again; if not, give the new one the "
                "next free number"
            )
        elif twins:
            found[row.name] = _Problem(
                f"has the same number as {twins[0].name}: give one that is not applied yet the "
                "next free number"
            )
        elif row.idx < newest:
            found[row.name] = _Problem(
                "is older than migrations that were applied already: give it the next free "
                "number, or apply it all the same with --out-of-order",
                is_order=True,
            )
    return found


def existing(directory: str | Path) -> Path:
    folder = Path(directory)
    if not folder.is_dir():
        raise MigrationError(
            f"there is no folder {folder.absolute()}: sanic-ms db make writes the first migration"
        )
    return folder


def folder_beside(
    sets: tuple[TableSet, ...], directory: str | Path, target: str | None = None
) -> Path | None:
    """The folder of the application's migrations; None if it is missing and there are sets.

    Raises:
        MigrationError: it is missing, and there is nothing else to do.
    """
    if sets and target is None and not Path(directory).is_dir():
        return None
    return existing(directory)


def _resolve(target: str, names: list[str], kind: str) -> str:
    """The name that a target means: the name itself, with ``.py`` or not, or its number."""
    wanted = target.removesuffix(".py")
    matches = [
        name
        for name in names
        if name == wanted or (wanted.isdecimal() and int(name.partition("_")[0]) == int(wanted))
    ]
    if len(matches) == 1:
        return matches[0]
    known = ", ".join(names) or "none"
    raise MigrationError(f"{target!r} is not {kind} (there are: {known})")


def load(migration: playhouse.Migration) -> Any:
    try:
        return migration.load()
    except SyntaxError as exc:
        raise MigrationError(f"{exc.filename}:{exc.lineno}: SyntaxError: {exc.msg}") from exc
    except Exception as exc:
        raise MigrationError(f"{place(migration.path, exc)}: {described(exc)}") from exc


def _in_utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
