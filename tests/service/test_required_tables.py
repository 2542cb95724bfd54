"""A service starts only with the tables that its packages need."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sanic_ms import Service
from sanic_ms.exception import ConfigError, LifecycleError
from sanic_ms.lifecycle import Component
from sanic_ms.migrations import migrate
from sanic_ms.migrations.runner import opened
from sanic_ms.testing import TestClient
from sanic_ms.values.table_sets import TableSet


@pytest.fixture
def tables(tmp_path: Path) -> TableSet:
    """A set with a table of a name of its own."""
    folder = tmp_path / "audit"
    folder.mkdir()
    (folder / "0001_entries.py").write_text(
        "def up(migrator, db):\n"
        "    db.execute_sql('CREATE TABLE acme_audit_entries (id INTEGER PRIMARY KEY)')\n"
    )
    return TableSet(f"acme.audit_{uuid.uuid4().hex[:8]}", folder)


@pytest.fixture
def url(any_database_url: str) -> Iterator[str]:
    """Each kind of database, without the history and the table after it."""
    yield any_database_url
    with opened(any_database_url) as database:
        for table in {"schema_migration", "acme_audit_entries"} & set(database.get_tables()):
            database.execute_sql(f"DROP TABLE {table}")  # type: ignore[no-untyped-call]


def make(tables: TableSet, database: str = "default", **settings: Any) -> Service:
    app = Service(f"tables_{uuid.uuid4().hex}", configure_logging=False)
    app.configure(**settings)
    app.framework_tables.use(tables, database)
    return app


async def start(app: Service) -> None:
    async with TestClient(app):
        pass


async def test_a_missing_table_stops_the_start(url: str, tables: TableSet) -> None:
    """With the command to run, on each kind of database; afterwards it starts, again and again."""
    app = make(tables, db_url=url)
    with pytest.raises(LifecycleError, match=rf"lacks tables of {tables.name} .*sanic-ms db up"):
        await start(app)
    migrate(url, "nowhere", sets=[tables])
    await start(app)
    await start(app)
    (tables.directory / "0002_more.py").write_text("def up(migrator, db):\n    pass\n")
    with pytest.raises(LifecycleError, match=rf"\({tables.name}\.0002_more\): run sanic-ms db up"):
        await start(app)


async def test_it_is_found_before_components_start(sqlite_url: str, tables: TableSet) -> None:
    """A component of the package would fail with a less helpful error."""
    started = []

    class Worker(Component):
        name = "worker"

        async def start(self) -> None:
            started.append("worker")

        async def stop(self) -> None:
            pass

    app = make(tables, db_url=sqlite_url)
    app.add(Worker())
    with pytest.raises(LifecycleError, match="lacks tables"):
        await start(app)
    assert started == []
    migrate(sqlite_url, "nowhere", sets=[tables])
    await start(app)
    assert started == ["worker"]


async def test_a_database_by_name_is_named(tmp_path: Path, tables: TableSet) -> None:
    """The command has its name; one that the settings do not name is a mistake in them."""
    reports = f"sqlite:///{tmp_path / 'reports.db'}"
    app = make(tables, "reports", databases={"reports": reports})
    with pytest.raises(LifecycleError, match="sanic-ms db up --database reports"):
        await start(app)
    with pytest.raises(ConfigError, match="DATABASES names no 'reports'"):
        await start(make(tables, "reports"))
    with pytest.raises(ConfigError, match="set DB_URL"):
        await start(make(tables))


async def test_a_database_in_memory_has_no_tables(tables: TableSet) -> None:
    """No command can make tables in it, so that the error says what else to do."""
    with pytest.raises(ConfigError, match="in memory: name a file"):
        await start(make(tables, db_url="sqlite://:memory:"))


async def test_a_database_that_is_away_is_said_to_be(tables: TableSet) -> None:
    """And not to lack tables."""
    with pytest.raises(LifecycleError, match="cannot be used"):
        await start(make(tables, db_url="postgresql://a:b@127.0.0.1:1/x"))


async def test_what_is_asked_for_after_the_start_is_an_error(
    sqlite_url: str, tables: TableSet
) -> None:
    """Nothing would check it; with and without other sets."""
    app = Service(f"tables_{uuid.uuid4().hex}", configure_logging=False)
    app.configure(db_url=sqlite_url)
    async with TestClient(app):
        with pytest.raises(LifecycleError, match="after the start"):
            app.framework_tables.use(tables)
