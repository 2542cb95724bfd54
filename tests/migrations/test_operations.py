"""What is put right in playhouse's operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import peewee
import pytest

from sanic_ms.exception import MigrationError, MigrationFailed
from sanic_ms.migrations import migrate, rollback
from sanic_ms.migrations.maker import differences, make
from sanic_ms.migrations.operations import SchemaMigrator, migrator_for, with_nullability
from sanic_ms.migrations.runner import opened

Models = Callable[[str], str]
Write = Callable[[str, str], Path]


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[tuple[Any, SchemaMigrator]]:
    """An open SQLite database and its migrator: a table with triggers, and views that name it."""
    with opened(sqlite_url) as database:
        execute: Any = database.execute_sql
        for sql in (
            "CREATE TABLE parents (id INTEGER PRIMARY KEY)",
            'CREATE TABLE "pets" ("id" INTEGER NOT NULL PRIMARY KEY, "name" VARCHAR(9), "age" TEXT,'
            ' "parent_id" INTEGER REFERENCES "parents" ("id"))',
            "CREATE TABLE log (id INTEGER PRIMARY KEY, text TEXT)",
            "CREATE INDEX pets_name ON pets (name)",
            "CREATE TRIGGER pets_made AFTER INSERT ON pets"
            " BEGIN INSERT INTO log (text) VALUES ('made ' || NEW.name); END",
            "CREATE TRIGGER pets_gone AFTER DELETE ON pets"
            " BEGIN INSERT INTO log (text) VALUES ('gone, if any'); END",
            "CREATE TRIGGER log_made AFTER INSERT ON log WHEN NEW.text = 'clear'"
            " BEGIN DELETE FROM pets; END",
            "CREATE VIEW names AS SELECT name FROM pets",
            "CREATE VIEW older AS SELECT n.name, p.age FROM names n JOIN pets p USING (name)",
            "CREATE TRIGGER names_made INSTEAD OF INSERT ON names"
            " BEGIN INSERT INTO pets (name) VALUES (NEW.name); END",
            "CREATE VIEW broken AS SELECT x FROM nowhere",
            "INSERT INTO pets (name, age) VALUES ('rex', '3')",
            "DELETE FROM log",
        ):
            execute(sql)
        yield database, migrator_for(database)


def objects(database: Any, kind: str) -> dict[str, str]:
    """The SQL of triggers, views or indexes by their names."""
    rows = database.execute_sql("SELECT name, sql FROM sqlite_master WHERE type = ?", (kind,))
    return dict(rows.fetchall())


@pytest.mark.parametrize(
    "change",
    [
        lambda migrator: migrator.alter_column_type("pets", "age", peewee.IntegerField(null=True)),
        lambda migrator: migrator.add_not_null("pets", "name"),
        lambda migrator: migrator.drop_not_null("pets", "id"),
        lambda migrator: migrator.drop_column("pets", "parent_id"),
    ],
)
def test_a_rebuilt_table_keeps_its_triggers_and_views(
    sqlite: tuple[Any, SchemaMigrator], change: Callable[[Any], Any]
) -> None:
    """SQLite's table is copied and renamed: triggers, views and indexes are as they were, and work;
    so do other tables' triggers that name it. A view that was broken before does not count."""
    database, migrator = sqlite
    before = {kind: objects(database, kind) for kind in ("trigger", "view", "index")}
    with database.atomic():
        change(migrator).run()
    assert {kind: objects(database, kind) for kind in ("trigger", "view", "index")} == before
    execute = database.execute_sql
    execute("INSERT INTO names (name) VALUES ('tom')")
    assert execute("SELECT text FROM log").fetchall() == [("made tom",)]
    assert sorted(execute("SELECT name FROM older").fetchall()) == [("rex",), ("tom",)]
    execute("INSERT INTO log (text) VALUES ('clear')")
    assert execute("SELECT count(*) FROM pets").fetchone() == (0,)
    assert execute("SELECT count(*) FROM log WHERE text LIKE 'gone%'").fetchone() == (2,)
    assert database.pragma("legacy_alter_table") == 0


def test_a_view_that_would_break_stops_the_rebuild(sqlite: tuple[Any, SchemaMigrator]) -> None:
    """SQLite itself refuses to drop a column that a view names; so does the rebuild, and nothing is
    changed."""
    database, migrator = sqlite
    database.execute_sql("CREATE VIEW parented AS SELECT parent_id FROM pets")
    before = objects(database, "table"), objects(database, "trigger")
    with pytest.raises(MigrationError, match="the view parented cannot be read"), database.atomic():
        migrator.drop_column("pets", "parent_id").run()
    assert (objects(database, "table"), objects(database, "trigger")) == before
    assert database.execute_sql("SELECT name FROM names").fetchall() == [("rex",)]
    assert database.pragma("legacy_alter_table") == 0


@pytest.mark.parametrize(
    ("operation", "instead"),
    [
        ('add_constraint("mig_pets", "named", pw.Check("age > 0"))', "add_index"),
        ('drop_constraint("mig_pets", "named")', "a new table without it"),
        ('add_unique("mig_pets", "age")', "add_index"),
        ('add_foreign_key_constraint("mig_pets", "age", "mig_pets", "id")', "add_column"),
        ('drop_table("mig_pets", cascade=True)', "without cascade"),
    ],
)
def test_what_sqlite_cannot_do_says_what_to_do(
    sqlite_url: str, write: Write, folder: Path, operation: str, instead: str
) -> None:
    """The error has file and line, the operation, and another way; nothing is changed."""
    if "constraint(" in operation and "foreign" not in operation:
        import sqlite3

        if sqlite3.sqlite_version_info >= (3, 53, 0):
            pytest.skip("this SQLite can")
    write(
        "0001_a",
        f"""
        import peewee as pw

        def up(migrator, db):
            db.execute_sql("CREATE TABLE mig_pets (id INTEGER PRIMARY KEY, age INTEGER)")
            migrator.migrate(migrator.{operation})
        """,
    )
    with pytest.raises(MigrationFailed) as caught:
        migrate(sqlite_url, folder)
    text = str(caught.value)
    assert "0001_a.py:6: MigrationError: " in text
    assert operation.partition("(")[0] in text
    assert instead in text
    with opened(sqlite_url) as database:
        assert "mig_pets" not in database.get_tables()


BEFORE = """
    class City(Model):
        class Meta:
            table_name = "mig_cities"

    class Person(Model):
        name = CharField(max_length=20)
        class Meta:
            table_name = "mig_people"
"""
AFTER = """
    class City(Model):
        class Meta:
            table_name = "mig_cities"

    class Person(Model):
        name = CharField(max_length=20)
        home = ForeignKeyField(City, null=True)
        work = ForeignKeyField(City, null=True, unique=True)
        class Meta:
            table_name = "mig_people"
            indexes = ((("home", "name"), False),)
"""


def test_a_column_with_a_reference_comes_and_goes(url: str, models: Models, folder: Path) -> None:
    """What `make` writes for it can be taken back and applied again, on every database."""
    make(url, folder, [models(BEFORE)])
    migrate(url, folder)
    before, after = models(BEFORE), models(AFTER)
    assert make(url, folder, [after]) is not None
    for _ in range(2):
        migrate(url, folder)
        assert not list(differences(url, [after]))
        rollback(url, folder)
        assert not list(differences(url, [before]))


def _is_made(index: Any) -> bool:
    return bool({"home_id", "work_id"} & set(index.columns))


def test_the_last_index_of_a_reference_can_be_dropped(
    url: str, models: Models, folder: Path
) -> None:
    """An index that begins with the column of a reference, and that MySQL has taken for it: it is
    dropped, the reference stays, and so do the rows."""
    make(url, folder, [models(AFTER)])
    migrate(url, folder)
    with opened(url) as database:
        execute: Any = database.execute_sql
        migrator = migrator_for(database)
        made = [index.name for index in database.get_indexes("mig_people") if _is_made(index)]
        assert len(made) == 3
        for name in made:
            migrator.drop_index("mig_people", name).run()
        assert not {index.name for index in database.get_indexes("mig_people")} & set(made)
        assert {key.column for key in database.get_foreign_keys("mig_people")} == {
            "home_id",
            "work_id",
        }
        if isinstance(database, peewee.SqliteDatabase):
            execute("PRAGMA foreign_keys = 1")
        with pytest.raises(peewee.IntegrityError), database.atomic():
            execute("INSERT INTO mig_people (name, home_id) VALUES ('ann', 99)")


def test_a_schema_on_sqlite_is_said_in_one_line(
    sqlite_url: str, models: Models, folder: Path
) -> None:
    """SQLite has no schemas: `make` and `diff` say which model has one and what to do."""
    module = models(
        """
        class Person(Model):
            class Meta:
                table_name = "mig_people"
                schema = "app"
        """
    )
    for ask in (
        lambda: make(sqlite_url, folder, [module]),
        lambda: differences(sqlite_url, [module]),
    ):
        with pytest.raises(MigrationError, match=r"Person has Meta\.schema = 'app'.*no schemas"):
            ask()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "forbidding", "allowing"),
    [
        ("`a` int(11) DEFAULT NULL", "`a` int(11) NOT NULL", "`a` int(11) NULL"),
        ("`a` int(11) NOT NULL", "`a` int(11) NOT NULL", "`a` int(11) NULL"),
        (
            "`a` varchar(9) COLLATE utf8mb4_bin NOT NULL DEFAULT 'NOT NULL' COMMENT 'is NULL''s'",
            "`a` varchar(9) COLLATE utf8mb4_bin NOT NULL DEFAULT 'NOT NULL' COMMENT 'is NULL''s'",
            "`a` varchar(9) COLLATE utf8mb4_bin NULL DEFAULT 'NOT NULL' COMMENT 'is NULL''s'",
        ),
        (
            "`NULL DEFAULT` text DEFAULT NULL CHECK (json_valid(`NULL DEFAULT`))",
            "`NULL DEFAULT` text NOT NULL CHECK (json_valid(`NULL DEFAULT`))",
            "`NULL DEFAULT` text NULL CHECK (json_valid(`NULL DEFAULT`))",
        ),
        (
            "`t` timestamp NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()",
            "`t` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()",
            "`t` timestamp NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()",
        ),
        (
            "`id` int(11) NOT NULL AUTO_INCREMENT",
            "`id` int(11) NOT NULL AUTO_INCREMENT",
            "`id` int(11) NULL AUTO_INCREMENT",
        ),
    ],
)
def test_only_the_nullability_changes(given: str, forbidding: str, allowing: str) -> None:
    """Words in texts and names are no keywords, and saying it twice is saying it once."""
    assert with_nullability(given, null=False) == forbidding
    assert with_nullability(given, null=True) == allowing
    assert with_nullability(forbidding, null=False) == forbidding
