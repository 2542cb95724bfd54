"""The tables of the framework's packages: which sets of migrations a service needs, and where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sanic_ms.exception import LifecycleError

__all__ = ["RECORD_TABLE", "TableSet", "TableSets", "is_of_a_set"]

RECORD_TABLE = "schema_migration"
"""Where applied migrations of table sets are recorded, whatever ``MIGRATIONS_TABLE`` says: services
that share a database share these tables, and have histories of their own."""

# Names of applications' migrations begin with a digit, so that they are never those of a set.
_NAME = re.compile(r"[a-z_]\w*(\.[a-z_]\w*)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class TableSet:
    """The migrations of one package's tables, which ``sanic-ms db up`` applies before a service's.

    Args:
        name: The package: ``"sanic_ms.jobs"``. Migrations are recorded as
            ``sanic_ms.jobs.0001_jobs``.
        directory: The folder of its numbered files, in the form of an application's migrations.

    Raises:
        ValueError: the name is no dotted name in lower case.
    """

    name: str
    directory: Path

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.name) > 100:
            raise ValueError(
                f"TableSet({self.name!r}): give the name of the package, such as 'sanic_ms.jobs'"
            )

    def migrations(self) -> dict[str, Path]:
        """The files in order, by the names under which they are recorded."""
        return {
            f"{self.name}.{path.stem}": path
            for path in sorted(self.directory.glob("[0-9]*.py"), key=_in_order)
        }


class TableSets:
    """The sets that a service uses: packages add theirs when they are set up."""

    def __init__(self) -> None:
        self._by_database: dict[str, dict[str, TableSet]] = {}
        self._are_checked = False

    def __bool__(self) -> bool:
        return bool(self._by_database)

    def __iter__(self) -> Iterator[str]:
        """The names of the databases that need sets."""
        return iter(self._by_database)

    def use(self, tables: TableSet, database: str = "default") -> None:
        """Let the service need a set; again: does nothing.

        The service does not start while a migration of it is not applied. Call it when the package
        is set up, before the start: ``db up`` and tests read it from a service that is only loaded.

        Args:
            tables: The set.
            database: The name of the database that has the tables.

        Raises:
            LifecycleError: the service has started, which checks the tables.
            ValueError: there is no migration in its folder, or another set has its name.
        """
        sets = self._by_database.get(database, {})
        present = sets.get(tables.name)
        if present == tables:
            return
        if present is not None:
            raise ValueError(
                f"two table sets are called {tables.name!r}: in {present.directory} and in "
                f"{tables.directory}"
            )
        if self._are_checked:
            raise LifecycleError(
                f"the tables of {tables.name} are asked for after the start, which checks them: "
                "set the package up when the service is made"
            )
        if not tables.migrations():
            raise ValueError(f"{tables.directory} holds no migration of {tables.name}")
        self._by_database.setdefault(database, {})[tables.name] = tables

    def of(self, database: str = "default") -> tuple[TableSet, ...]:
        """The sets that a database needs, in the order of their first use."""
        return tuple(self._by_database.get(database, {}).values())

    def seal(self) -> None:
        """Accept no further ones: the service starts."""
        self._are_checked = True


def is_of_a_set(name: str) -> bool:
    """Whether a name in the record is that of a set's migration, and not of an application's."""
    return not name[:1].isdigit()


def _in_order(path: Path) -> tuple[int, str]:
    match = re.match(r"\d+", path.name)
    return int(match[0]) if match else -1, path.name
