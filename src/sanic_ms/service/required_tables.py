"""A service does not start without the tables that the framework's packages need."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sanic_ms.db import ConnectionPool
from sanic_ms.exception import ConfigError, LifecycleError, StatementError
from sanic_ms.lifecycle import Component
from sanic_ms.values import DatabaseURL
from sanic_ms.values.table_sets import RECORD_TABLE

if TYPE_CHECKING:
    from sanic_ms.service.service import Service

__all__ = ["RequiredTables", "lasting_database", "up_command"]


class RequiredTables(Component):
    """Looks whether the migrations of every table set are applied, before other components start.

    Args:
        service: Its sets, and its databases.
    """

    name = "tables"

    def __init__(self, service: Service) -> None:
        self._service = service

    async def start(self) -> None:
        """Look.

        Raises:
            ConfigError: a database that has to have tables is not named by the settings, or is in
                memory.
            LifecycleError: a migration is not applied; the text has the command to run.
        """
        for database in self._service.framework_tables:
            await self._check(database)

    async def stop(self) -> None:
        """Nothing is held."""

    async def _check(self, database: str) -> None:
        sets = self._service.framework_tables.of(database)
        url = lasting_database(self._service, database)
        applied = await _applied(url, database)
        missing = [name for tables in sets for name in tables.migrations() if name not in applied]
        if missing:
            packages = ", ".join(tables.name for tables in sets)
            shown = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
            raise LifecycleError(
                f"the database {database} lacks tables of {packages} ({shown}): run "
                f"{up_command(self._service, database)}"
            )


def lasting_database(service: Service, database: str) -> DatabaseURL:
    """The URL of a database that is to have tables of packages.

    Raises:
        ConfigError: the settings name no such database, or it is in memory, where no command can
            make tables.
    """
    url = service.database(database).url
    if url is None or url.database == ":memory:":
        packages = ", ".join(tables.name for tables in service.framework_tables.of(database))
        raise ConfigError(
            f"{packages}: the tables must be in a database that stays, and {database} is in "
            "memory: name a file, such as DB_URL=sqlite:///app.db"
        )
    return url


def up_command(service: Service, database: str = "default") -> str:
    """The command that applies the migrations of a service's database."""
    command = "sanic-ms db up" + ("" if database == "default" else f" --database {database}")
    target = _target(service)
    return command if target == "server:app" else f"{command} --service {target}"


def _target(service: Service) -> str:
    for name, module in list(sys.modules.items()):
        for attribute, value in list(getattr(module, "__dict__", {}).items()):
            if value is service:
                if name == "__main__":
                    name = Path(getattr(module, "__file__", None) or "module").stem
                return f"{name}:{attribute}"
    return "MODULE:FUNCTION"


async def _applied(url: DatabaseURL, database: str) -> set[str]:
    """The names in the record. The connection is one for this question: the service's own pool
    starts later, behind the components of the packages."""
    pool = ConnectionPool(url, name=database, max_size=1, pipeline=False)
    await pool.start()
    try:
        rows = await pool.fetch(f"SELECT name FROM {RECORD_TABLE}")
    except StatementError:  # there is no such table
        return set()
    finally:
        await pool.stop()
    return {row["name"] for row in rows}
