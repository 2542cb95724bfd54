"""Fresh databases: migrated, in the same state for every test, and never those of the settings."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sanic_ms import Service
from sanic_ms.exception import ConfigError, LifecycleError, MigrationError, StatementError
from sanic_ms.migrations.runner import opened
from sanic_ms.testing import TestClient, fresh_databases
from sanic_ms.values import DatabaseURL
from sanic_ms.values.table_sets import TableSet

Make = Callable[..., Service]

MIGRATION = """
import peewee as pw

def up(migrator, db):
    class Thing(pw.Model):
        id = pw.AutoField()
        name = pw.CharField(max_length=20)

        class Meta:
            database = db
            table_name = "things"

    db.create_tables([Thing])
    Thing.create(name="first")
"""


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """A folder with a migration that makes a table and a row."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_things.py").write_text(MIGRATION)
    return folder


async def add_and_count(app: Service) -> int:
    """Add a row through the running service; how many there are then."""
    async with TestClient(app):
        async with app.db.transaction() as cur:
            await cur.execute("INSERT INTO things(name) VALUES($1)", "another")
        count: int = await app.db.fetchval("SELECT count(*) FROM things")
        return count


async def test_every_block_begins_as_the_migrations_left_it(
    make: Make, migrations: Path, any_database_url: str
) -> None:
    """On each kind of database, under one URL, and nothing is left behind."""
    app = make(db_url="sqlite:///development.db")
    seen = set()
    for _ in range(3):
        with fresh_databases(app, any_database_url) as urls:
            seen.add(urls["default"])
            assert await add_and_count(app) == 2
            assert app.settings.db_url == urls["default"]
    (url,) = seen
    assert url != any_database_url
    assert app.settings.db_url == "sqlite:///development.db"
    assert "development.db" not in os.listdir()
    made = DatabaseURL.parse(url)
    if made.scheme == "sqlite":
        assert list(Path(made.database).parent.glob(f"{Path(made.database).name}*")) == []
        return
    catalog = (
        "pg_database WHERE datname"
        if made.scheme == "postgresql"
        else ("information_schema.schemata WHERE schema_name")
    )
    with opened(any_database_url) as database:
        sql = f"SELECT count(*) FROM {catalog} = {database.param}"
        cursor = database.execute_sql(sql, (made.database,))  # type: ignore[no-untyped-call]
        assert cursor.fetchone()[0] == 0


async def test_the_environment_names_the_server(
    make: Make, migrations: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`SANIC_MS_TEST_DB_URL`, and an argument wins over it."""
    monkeypatch.setenv("SANIC_MS_TEST_DB_URL", postgres_url)
    with fresh_databases(make(db_url="sqlite:///development.db")) as urls:
        assert urls["default"].startswith("postgresql://")
    with fresh_databases(make(db_url="sqlite:///development.db"), "sqlite") as urls:
        assert urls["default"].startswith("sqlite://")


async def test_databases_by_name_have_migrations_of_their_own(make: Make, migrations: Path) -> None:
    """Below the folder of the first; without a folder they are empty."""
    (migrations / "reports").mkdir()
    (migrations / "reports" / "0001_reports.py").write_text(MIGRATION.replace("things", "reports"))
    names = {"reports": "sqlite:///reports.db", "empty": "sqlite:///empty.db"}
    app = make(db_url="sqlite:///development.db", databases=names)
    with fresh_databases(app) as urls:
        assert sorted(urls) == ["default", "empty", "reports"]
        async with TestClient(app):
            assert await app.db.fetchval("SELECT count(*) FROM things") == 1
            assert await app.database("reports").fetchval("SELECT count(*) FROM reports") == 1
            assert await app.database("empty").fetchval("SELECT 1") == 1


async def test_without_migrations_the_tables_of_the_models_are_made(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that the setting MODELS names; none at all is an empty database."""
    (tmp_path / "kit_models.py").write_text(
        "import peewee as pw\n\nclass Thing(pw.Model):\n    name = pw.CharField()\n\n"
        "    class Meta:\n        table_name = 'things'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    app = make(db_url="sqlite:///development.db", models=["kit_models"])
    with fresh_databases(app):
        assert await add_and_count(app) == 1
    app = make(db_url="sqlite:///development.db", models=["there_is_none"])
    with fresh_databases(app):
        async with TestClient(app):
            assert await app.db.fetchval("SELECT count(*) FROM sqlite_master") == 0


async def test_a_service_without_a_database_has_none(make: Make) -> None:
    """Nothing is made."""
    with fresh_databases(make()) as urls:
        assert urls == {}


async def test_settings_that_were_read_and_pools_that_were_made_follow(
    make: Make, migrations: Path
) -> None:
    """A part that took the pool before still holds the right one."""
    app = make(db_url="sqlite:///development.db")
    pool = app.db
    with fresh_databases(app):
        assert await add_and_count(app) == 2
        assert pool is app.db
        assert pool.url is not None
        assert "development" not in pool.url.database
    assert pool.url.database == "development.db"


async def test_a_running_service_keeps_its_databases(make: Make, migrations: Path) -> None:
    """It is told before it starts."""
    app = make(db_url="sqlite:///development.db")
    with sqlite3.connect("development.db") as connection:
        connection.execute("CREATE TABLE things(id INTEGER PRIMARY KEY, name TEXT)")
    connection.close()
    async with TestClient(app):
        with pytest.raises(LifecycleError, match="runs"), fresh_databases(app):
            pass


def test_migrations_that_fail_say_so_each_time(make: Make, migrations: Path) -> None:
    """Half a template is not used."""
    (migrations / "0002_broken.py").write_text("def up(migrator, db):\n    1 / 0\n")
    app = make(db_url="sqlite:///development.db")
    for _ in range(2):
        with pytest.raises(MigrationError, match="0002_broken"), fresh_databases(app):
            pass


@pytest.mark.parametrize("server", ["oracle://x/y", "nonsense"])
def test_a_wrong_server_is_explained(make: Make, server: str) -> None:
    """In one line."""
    app = make(db_url="sqlite:///development.db")
    with (
        pytest.raises(ConfigError, match="database server for tests"),
        fresh_databases(app, server),
    ):
        pass


def test_one_database_is_not_used_by_two_threads(make: Make, migrations: Path) -> None:
    """The second waits for the first."""
    app = make(db_url="sqlite:///development.db")
    counts: list[int] = []

    def work() -> None:
        for _ in range(3):
            with fresh_databases(app):
                counts.append(asyncio.run(add_and_count(app)))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert counts == [2] * 9


async def test_tables_of_packages_are_made_first(
    make: Make, migrations: Path, tmp_path: Path, any_database_url: str
) -> None:
    """With the service's migrations, and, where it has none, with its models."""
    folder = tmp_path / "audit"
    folder.mkdir()
    (folder / "0001_entries.py").write_text(MIGRATION.replace("things", "acme_audit_entries"))
    tables = TableSet("acme.audit", folder)
    app = make(db_url="sqlite:///development.db", databases={"reports": "sqlite:///reports.db"})
    app.framework_tables.use(tables)
    app.framework_tables.use(tables, "reports")
    for _ in range(2):
        with fresh_databases(app, any_database_url):
            async with TestClient(app):
                for pool in (app.db, app.database("reports")):
                    assert await pool.fetchval("SELECT count(*) FROM acme_audit_entries") == 1
                    await pool.execute("DELETE FROM acme_audit_entries")
                assert await app.db.fetchval("SELECT count(*) FROM things") == 1
    without = make(db_url="sqlite:///development.db")
    with fresh_databases(without, any_database_url):
        async with TestClient(without):
            with pytest.raises(StatementError):
                await without.db.fetchval("SELECT count(*) FROM acme_audit_entries")
