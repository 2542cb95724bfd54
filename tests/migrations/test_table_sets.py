"""Table sets: the tables of packages, applied before a service's own migrations, once."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from sanic_ms.exception import MigrationError, MigrationFailed
from sanic_ms.migrations import maker, migrate, rollback, status
from sanic_ms.migrations.dryrun import planned_sql
from sanic_ms.values.table_sets import TableSet

Write = Callable[[str, str], Path]
AtOnce = Callable[[str, list[str]], list[str]]

ENTRIES = """
    import peewee as pw

    def up(migrator, db):
        class Entry(pw.Model):
            id = pw.AutoField()
            text = pw.CharField(max_length=20)

            class Meta:
                database = db
                table_name = "acme_audit_entries"

        db.create_tables([Entry], safe=False)
        Entry.insert(text="first").execute()
"""
LEVEL = """
    import peewee as pw

    def up(migrator, db):
        migrator.migrate(
            migrator.add_column("acme_audit_entries", "level", pw.IntegerField(null=True))
        )
"""
OWN = """
    def up(migrator, db):
        # It needs the tables of the package.
        db.execute_sql("INSERT INTO acme_audit_entries(text) VALUES('own')")

    def down(migrator, db):
        db.execute_sql("DELETE FROM acme_audit_entries WHERE text = 'own'")
"""
RECORDED = ["acme.audit.0001_entries", "acme.audit.0002_level"]


@pytest.fixture
def tables(tmp_path: Path) -> TableSet:
    """A package's folder with two migrations."""
    folder = tmp_path / "audit" / "tables"
    folder.mkdir(parents=True)
    (folder / "0001_entries.py").write_text(dedent(ENTRIES))
    (folder / "0002_level.py").write_text(dedent(LEVEL))
    return TableSet("acme.audit", folder)


def texts(database: Any) -> list[str]:
    rows = database.execute_sql("SELECT text FROM acme_audit_entries ORDER BY id").fetchall()
    return [text for (text,) in rows]


def test_they_come_first_and_once(url: str, database: Any, write: Write, tables: TableSet) -> None:
    """In front of the service's own, and in the same history, from which nothing is read twice."""
    write("0001_own", OWN)
    assert migrate(url, sets=[tables]) == [*RECORDED, "0001_own"]
    assert migrate(url, sets=[tables]) == []
    assert texts(database) == ["first", "own"]
    rows = database.execute_sql("SELECT name FROM schema_migration ORDER BY id").fetchall()
    assert [name for (name,) in rows] == [*RECORDED, "0001_own"]


def test_status_lists_them_first(url: str, write: Write, tables: TableSet) -> None:
    """A service that does not use them knows nothing of them, whatever is recorded."""
    write("0001_own", OWN)
    states = [(entry.name, entry.state) for entry in status(url, sets=[tables])]
    assert states == [(name, "pending") for name in [*RECORDED, "0001_own"]]
    migrate(url, sets=[tables])
    assert all(entry.state == "applied" for entry in status(url, sets=[tables]))
    assert all(entry.applied_at is not None for entry in status(url, sets=[tables]))
    assert [(entry.name, entry.state) for entry in status(url)] == [("0001_own", "applied")]


def test_without_a_folder_there_are_only_they(url: str, database: Any, tables: TableSet) -> None:
    """A service may have no migrations of its own; without either that is an error as before."""
    assert migrate(url, "nowhere", sets=[tables]) == RECORDED
    assert [entry.name for entry in status(url, "nowhere", sets=[tables])] == RECORDED
    assert planned_sql(url, "nowhere", sets=[tables]) == []
    for call in (migrate, status, planned_sql):
        with pytest.raises(MigrationError, match="there is no folder"):
            call(url, "nowhere")
    with pytest.raises(MigrationError, match="there is no folder"):
        migrate(url, "nowhere", target="0001", sets=[tables])


def test_a_target_and_fake_are_about_the_services_own(
    url: str, database: Any, write: Write, tables: TableSet
) -> None:
    """Tables of packages are always made: no service has them by another tool."""
    write("0001_own", OWN)
    write("0002_later", OWN)
    assert migrate(url, sets=[tables], target="1", fake=True) == [*RECORDED, "0001_own"]
    assert texts(database) == ["first"]
    with pytest.raises(MigrationError, match="is not a migration"):
        migrate(url, sets=[tables], target=RECORDED[0])


def test_down_leaves_them_alone(url: str, database: Any, write: Write, tables: TableSet) -> None:
    """Whatever is taken back, they stay; naming one is an error that says so."""
    write("0001_own", OWN)
    migrate(url, sets=[tables])
    assert rollback(url) == ["0001_own"]
    assert rollback(url) == []
    with pytest.raises(MigrationError, match="are left alone"):
        rollback(url, target=RECORDED[1])
    assert texts(database) == ["first"]
    assert [entry.state for entry in status(url, "nowhere", sets=[tables])] == ["applied"] * 2


def test_sql_shows_them_first(url: str, database: Any, write: Write, tables: TableSet) -> None:
    """With the record in the default history, and nothing is run."""
    write("0001_own", "def up(migrator, db):\n    db.execute_sql('UPDATE t SET a = 1')\n")
    planned = planned_sql(url, sets=[tables], table="own_history")
    assert [entry.name for entry in planned] == [*RECORDED, "0001_own"]
    assert [entry.problem for entry in planned] == [None] * 3
    first, second, own = ("; ".join(entry.statements) for entry in planned)
    assert "acme_audit_entries" in first
    assert "schema_migration" in first
    assert "CREATE TABLE" not in second
    assert "UPDATE t SET a = 1" in own
    assert "own_history" in own
    assert "schema_migration" not in own
    assert "acme_audit_entries" not in database.get_tables()


def test_make_and_diff_propose_nothing_about_them(
    url: str, write: Write, tables: TableSet, models: Callable[[str], str], folder: Path
) -> None:
    """No model stands for them, and their record does not count as a file that is gone."""
    module = models(
        """
        class Mine(Model):
            name = CharField(max_length=20)

            class Meta:
                table_name = "mig_mine"
        """
    )
    migrate(url, sets=[tables])
    made = maker.make(url, folder, [module])
    assert made is not None
    assert made.path.name == "0001_initial.py"
    assert "acme" not in made.path.read_text()
    assert migrate(url, sets=[tables]) == ["0001_initial"]
    assert maker.differences(url, [module]) == []
    assert maker.make(url, folder, [module]) is None


def test_services_that_share_a_database_share_them(
    url: str, database: Any, tmp_path: Path, tables: TableSet, caplog: pytest.LogCaptureFixture
) -> None:
    """Each has a history of its own; the tables are made once, whoever comes first."""
    names = []
    for service in ("users", "orders"):
        folder = tmp_path / service
        folder.mkdir()
        (folder / "0001_own.py").write_text(dedent(OWN))
        names.append(migrate(url, folder, table=f"{service}_migration", sets=[tables]))
    assert names == [[*RECORDED, "0001_own"], ["0001_own"]]
    assert texts(database) == ["first", "own", "own"]
    with caplog.at_level(logging.WARNING, "sanic_ms"):
        for service in ("users", "orders"):
            entries = status(url, tmp_path / service, table=f"{service}_migration", sets=[tables])
            assert [entry.state for entry in entries] == ["applied"] * 3
    assert caplog.text == ""


def test_an_older_version_of_the_package_works_with_newer_tables(
    url: str, tables: TableSet, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    """Replicas of two versions run during a deployment: nothing is pending, and nothing warns."""
    write("0001_own", OWN)
    migrate(url, sets=[tables])
    (tables.directory / "0002_level.py").unlink()
    with caplog.at_level(logging.WARNING, "sanic_ms"):
        assert migrate(url, sets=[tables]) == []
        entries = status(url, sets=[tables])
    assert [entry.name for entry in entries] == [RECORDED[0], "0001_own"]
    assert [entry.problem for entry in entries] == [None, None]
    assert caplog.text == ""


def test_a_newer_version_adds_to_them(url: str, database: Any, tables: TableSet) -> None:
    """Only what is new is applied, in the order of the numbers."""
    (tables.directory / "0002_level.py").rename(tables.directory / "later")
    assert migrate(url, "nowhere", sets=[tables]) == RECORDED[:1]
    (tables.directory / "later").rename(tables.directory / "0002_level.py")
    assert migrate(url, "nowhere", sets=[tables]) == RECORDED[1:]
    columns = [column.name for column in database.get_columns("acme_audit_entries")]
    assert columns == ["id", "text", "level"]


def test_several_sets_come_in_their_order(url: str, tmp_path: Path, tables: TableSet) -> None:
    """Files of different packages may have one name."""
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "0001_entries.py").write_text("def up(migrator, db):\n    pass\n")
    other = TableSet("acme", folder)  # whose name begins like the other's
    assert migrate(url, "nowhere", sets=[tables, other]) == [*RECORDED, "acme.0001_entries"]
    assert migrate(url, "nowhere", sets=[other, tables]) == []


def test_one_that_fails_is_tried_again(
    url: str, database: Any, write: Write, tables: TableSet
) -> None:
    """Before it everything stays, behind it nothing was begun, the service's own neither."""
    write("0001_own", OWN)
    path = tables.directory / "0002_level.py"
    path.write_text("def up(migrator, db):\n    raise ValueError('no')\n")
    with pytest.raises(MigrationFailed, match=r"0002_level\.py:2: ValueError: no"):
        migrate(url, sets=[tables])
    assert [entry.state for entry in status(url, sets=[tables])] == [
        "applied",
        "pending",
        "pending",
    ]
    path.write_text(dedent(LEVEL))
    assert migrate(url, sets=[tables]) == [RECORDED[1], "0001_own"]


def test_one_that_cannot_be_loaded_stops_all(url: str, write: Write, tables: TableSet) -> None:
    """Before the first one runs."""
    write("0001_own", OWN)
    path = tables.directory / "0002_level.py"
    for text, message in (("1 +", "SyntaxError"), ("x = 1\n", r"defines no up\(")):
        path.write_text(text)
        with pytest.raises(MigrationError, match=message):
            migrate(url, sets=[tables])
    path.write_text(dedent(LEVEL))
    write("0002_broken", "1 +")
    with pytest.raises(MigrationError, match="SyntaxError"):
        migrate(url, sets=[tables])
    assert [entry.state for entry in status(url, sets=[tables])] == ["pending"] * 4


def test_ten_processes_of_two_services_make_them_once(
    url: str, database: Any, write: Write, tables: TableSet, at_once: AtOnce
) -> None:
    """One lock for all: one makes the tables of the package, one of each service its own."""
    write("0001_own", OWN)
    answers = at_once(
        """
        import os, sys
        from pathlib import Path
        from sanic_ms.migrations import migrate, status
        from sanic_ms.values.table_sets import TableSet
        tables = TableSet("acme.audit", Path(sys.argv[2]))
        # go
        table = f"service_{os.getpid() % 2}"
        print(*migrate(sys.argv[1], table=table, sets=[tables]))
        entries = status(sys.argv[1], table=table, sets=[tables])
        assert [entry.state for entry in entries] == ["applied"] * 3
        """,
        [url, os.fspath(tables.directory)],
    )
    applied = sorted(" ".join(answers).split())
    services = {name for name in database.get_tables() if name.startswith("service_")}
    assert applied == ["0001_own"] * len(services) + RECORDED
    assert texts(database) == ["first"] + ["own"] * len(services)
