"""Migrations as classes: the table is created or brought up to date, each method runs once."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from textwrap import dedent
from typing import Any

import peewee
import pytest
from playhouse.migrate import migrate

from sanic_ms.exception import ConfigError, LifecycleError, MigrationError, MigrationFailed
from sanic_ms.migrations import LazyDatabase, MigrationModel, db_manager, info
from sanic_ms.migrations import db as own_db
from sanic_ms.migrations.lock import migration_lock


@pytest.fixture
def db(url: str) -> Iterator[LazyDatabase]:
    lazy = LazyDatabase(url)
    yield lazy
    lazy.configure(None)


class City(peewee.Model):
    name = peewee.CharField(max_length=20)

    class Meta:
        table_name = "mig_cities"


class Old(peewee.Model):
    """The table as it was when the service began."""

    name = peewee.CharField(max_length=20)
    nick = peewee.CharField(max_length=20, null=True)

    class Meta:
        table_name = "mig_users"


class User(peewee.Model):
    """The table as the model says now."""

    full_name = peewee.CharField(max_length=20)
    phone = peewee.CharField(max_length=20, null=True, unique=True)
    age = peewee.IntegerField(default=18, index=True)
    city = peewee.ForeignKeyField(City, null=True)

    class Meta:
        table_name = "mig_users"


def create(database: Any, *models: Any) -> None:
    with database.bind_ctx(models):
        database.create_tables(models)


def columns(database: Any, table: str = "mig_users") -> dict[str, bool]:
    return {column.name: column.null for column in database.get_columns(table)}


def indexes(database: Any, table: str = "mig_users") -> set[tuple[tuple[str, ...], bool]]:
    return {
        (tuple(index.columns), index.unique)
        for index in database.get_indexes(table)
        if index.columns != ["id"]
    }


def rows(database: Any, sql: str) -> list[tuple[Any, ...]]:
    return list(database.execute_sql(sql).fetchall())


def recorded(database: Any) -> list[tuple[Any, ...]]:
    return rows(
        database,
        "SELECT table_name, name, version, author, datetime FROM migrate_record ORDER BY id",
    )


def migration(lazy: LazyDatabase, model: Any, **methods: Any) -> Any:
    return type("UserMigration", (MigrationModel,), {"_model": model, "_db": lazy, **methods})()


def test_an_absent_table_is_created_and_the_methods_count_as_run(
    db: LazyDatabase, database: Any
) -> None:
    """A new database gets the model as it is; what led to it is recorded and never run."""

    class UserMigration(MigrationModel):
        _model = Old
        _db = db

        @info(version="0.1", author="ann", datetime="2026-11-21")
        def migrate_v1(self) -> None:
            raise AssertionError("must not run")

    with db.transaction():
        assert UserMigration().auto_migrate() == []
    assert list(columns(database)) == ["id", "name", "nick"]
    assert recorded(database) == [("mig_users", "migrate_v1", "0.1", "ann", "2026-11-21")]
    assert UserMigration().auto_migrate() == []


def test_methods_run_once_in_the_order_of_their_versions(db: LazyDatabase, database: Any) -> None:
    """0.10 comes after 0.9; those of one version as they stand; a later one runs alone."""
    ran: list[str] = []

    class UserMigration(MigrationModel):
        _model = Old
        _db = db

        @info(version="0.10")
        def migrate_last(self) -> None:
            ran.append("last")

        @info("0.9", "ann")
        def migrate_b(self) -> None:
            ran.append("b")

        @info(0.9)
        def migrate_a(self) -> None:
            ran.append("a")

    create(database, Old)
    assert UserMigration().auto_migrate() == ["migrate_b", "migrate_a", "migrate_last"]
    assert UserMigration().auto_migrate() == []

    class Later(UserMigration):
        @info("0.11")
        def migrate_more(self) -> None:
            ran.append("more")

    assert Later().auto_migrate() == ["migrate_more"]
    assert ran == ["b", "a", "last", "more"]


def test_every_operation_does_what_it_says(db: LazyDatabase, database: Any) -> None:
    """Rows stay; the table ends up as the model says."""

    class UserMigration(MigrationModel):
        _model = User
        _db = db

        @info("1")
        def migrate_columns(self) -> None:
            self.rename_column("name", "full_name")
            self.add_column("phone")  # as in the model, unique
            self.add_column("age", peewee.IntegerField(default=18, index=True))
            self.add_column("city")
            self.add_columns(fax=peewee.CharField(null=True), pager=peewee.CharField(null=True))
            self.add_columns({"mail": peewee.CharField(default="-", index=True)})

        @info("2")
        def migrate_nulls(self) -> None:
            self.execute("UPDATE mig_users SET fax = 'x'")
            self.add_not_null("fax")
            self.drop_not_null("age")
            self.drop_column("pager")
            self.drop_column("mail")
            self.drop_column("nick")

        @info("3")
        def migrate_indexes(self) -> None:
            self.add_index("fax", name="mig_fax")
            self.add_index(["full_name", "city"], unique=True)
            self.drop_index("mig_fax")
            self.drop_index("age")

    create(database, City, Old)
    database.execute_sql("INSERT INTO mig_users(name) VALUES('Ann')")
    with db.transaction():
        assert len(UserMigration().auto_migrate()) == 3
    assert columns(database) == {
        "id": False,
        "full_name": False,
        "phone": True,
        "age": True,
        "city_id": True,
        "fax": False,
    }
    assert indexes(database) == {
        (("phone",), True),
        (("city_id",), False),
        (("full_name", "city_id"), True),
    }
    assert [key.dest_table for key in database.get_foreign_keys("mig_users")] == ["mig_cities"]
    row = database.execute_sql("SELECT full_name, phone, age, fax FROM mig_users").fetchone()
    assert row == ("Ann", None, 18, "x")


def test_a_foreign_key_column_can_be_dropped(db: LazyDatabase, database: Any) -> None:
    """With its index and its reference, on each database; and one that belongs to no model can be
    added."""

    class UserMigration(MigrationModel):
        _model = Old
        _db = db

        @info("1")
        def migrate_drop(self) -> None:
            self.drop_column("city_id")

        @info("2")
        def migrate_add(self) -> None:
            self.add_column("home", peewee.ForeignKeyField(City, null=True))
            self.add_column("boss", peewee.ForeignKeyField("self", null=True))

    create(database, City, User)
    database.execute_sql("INSERT INTO mig_cities(name) VALUES('Oslo')")
    database.execute_sql("INSERT INTO mig_users(full_name, age, city_id) VALUES('Ann', 1, 1)")
    UserMigration().auto_migrate()
    keys = {(key.column, key.dest_table) for key in database.get_foreign_keys("mig_users")}
    assert keys == {("home_id", "mig_cities"), ("boss_id", "mig_users")}
    assert rows(database, "SELECT full_name FROM mig_users") == [("Ann",)]


def test_changes_of_null_keep_the_rest_of_the_column(db: LazyDatabase, database: Any) -> None:
    """Default, uniqueness and references survive; playhouse loses them on MySQL."""

    class Full(peewee.Model):
        code = peewee.CharField(max_length=9, unique=True, constraints=[peewee.SQL("DEFAULT 'n'")])
        city = peewee.ForeignKeyField(City)

        class Meta:
            table_name = "mig_full"

    create(database, City, Full)
    before = indexes(database, "mig_full")
    fields = migration(db, Full)
    for _ in range(2):  # doing it again changes nothing
        fields.drop_not_null("code")
        fields.drop_not_null("city")
        assert columns(database, "mig_full") == {"id": False, "code": True, "city_id": True}
        fields.add_not_null("code")
        fields.add_not_null("city")
        assert columns(database, "mig_full") == {"id": False, "code": False, "city_id": False}
    fields.rename_column("code", "mark")
    fields.rename_column("mark", "code")
    assert indexes(database, "mig_full") == before
    assert [key.column for key in database.get_foreign_keys("mig_full")] == ["city_id"]
    database.execute_sql("INSERT INTO mig_cities(name) VALUES('Oslo')")
    database.execute_sql("INSERT INTO mig_full(city_id) VALUES(1)")
    assert database.execute_sql("SELECT code FROM mig_full").fetchone() == ("n",)
    db.configure(None)


def test_a_renamed_table_is_found_by_its_record(db: LazyDatabase, database: Any) -> None:
    """The model has the new name already; the table is renamed, not created beside the old one."""

    class People(peewee.Model):
        name = peewee.CharField(max_length=20)
        nick = peewee.CharField(max_length=20, null=True)

        class Meta:
            table_name = "mig_people"

    marked = info("1")(lambda self: None)
    assert migration(db, Old, migrate_v1=marked).auto_migrate() == []
    database.execute_sql("INSERT INTO mig_users(name) VALUES('Ann')")

    with pytest.raises(MigrationError, match=r"'mig_users' in the database and 'mig_people' in"):
        migration(db, People, migrate_v1=marked).auto_migrate()

    rename = info("2")(lambda self: self.rename_table("mig_people"))
    after = info("3")(lambda self: self.drop_column("nick"))
    steps = {"migrate_v1": marked, "migrate_v2": rename, "migrate_v3": after}
    assert migration(db, People, **steps).auto_migrate() == ["migrate_v2", "migrate_v3"]
    assert "mig_users" not in database.get_tables()
    assert rows(database, "SELECT name FROM mig_people") == [("Ann",)]
    assert {row[0] for row in recorded(database)} == {"mig_people"}
    assert migration(db, People, **steps).auto_migrate() == []


def test_rename_table_takes_the_old_name_too(db: LazyDatabase, database: Any) -> None:
    """And refuses another table's."""
    create(database, Old)
    fields = migration(db, Old)
    fields.rename_table("mig_users", "mig_people")
    fields.rename_table("mig_people", "mig_users")
    with pytest.raises(MigrationError, match="the table is called 'mig_users'"):
        fields.rename_table("mig_cities", "x")
    with pytest.raises(TypeError, match="rename_table"):
        fields.rename_table()
    db.configure(None)


def test_a_method_that_fails_is_told_rolled_back_and_tried_again(
    db: LazyDatabase, database: Any, is_transactional: bool
) -> None:
    """With the file and line of the method. Within one transaction all of it is rolled back."""

    class UserMigration(MigrationModel):
        _model = Old
        _db = db
        _broken = True

        @info("1")
        def migrate_first(self) -> None:
            self.add_column("phone", peewee.CharField(null=True))

        @info("2")
        def migrate_second(self) -> None:
            self.add_column("fax", peewee.CharField(null=True))
            if self._broken:
                self.drop_column("no_such_column")
            elif "fax" in columns(self._db.database):
                self.drop_column("fax")

    create(database, Old)
    with (
        pytest.raises(
            MigrationFailed, match=r"test_model\.py:\d+: .*the statement was: ALTER"
        ) as e,
        db.transaction(),
    ):
        UserMigration().auto_migrate()
    found = set(columns(database))
    if is_transactional:
        assert found == {"id", "name", "nick"}
        assert "It was rolled back" in str(e.value)
        UserMigration._broken = False
        assert len(UserMigration().auto_migrate()) == 2
    else:
        assert found == {"id", "name", "nick", "phone", "fax"}
        assert "stays (MySQL cannot" in str(e.value)


def test_a_migration_without_source_is_named_by_its_module(
    db: LazyDatabase, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that was compiled."""
    module = types.ModuleType("compiled_migrations")
    module.__file__ = f"/nowhere/compiled_migrations{EXTENSION_SUFFIXES[0]}"
    monkeypatch.setitem(sys.modules, module.__name__, module)
    create(database, City, Old)

    @info("1")
    def fail(self: Any) -> None:
        raise ValueError("no")

    fields = migration(db, Old, migrate_v1=fail, __module__=module.__name__)
    with pytest.raises(MigrationFailed, match=r"compiled_migrations: ValueError: no"):
        fields.auto_migrate()


def test_a_table_that_has_it_all_can_be_recorded_without_running(
    db: LazyDatabase, database: Any
) -> None:
    """For tables that were made by other means."""
    create(database, City, User)
    add = info("1")(lambda self: self.add_column("phone"))
    fields = migration(db, User, migrate_v1=add)
    with pytest.raises(MigrationFailed, match="phone"):
        fields.auto_migrate()
    assert fields.assume_applied() == ["migrate_v1"]
    assert fields.assume_applied() == []
    assert fields.auto_migrate() == []


def test_a_table_dropped_by_hand_is_created_again(db: LazyDatabase, database: Any) -> None:
    """Old records of a table that is gone stand in nobody's way."""
    steps = {"migrate_v1": info("1")(lambda self: None)}
    migration(db, Old, **steps).auto_migrate()
    database.execute_sql("DROP TABLE mig_users")
    assert migration(db, Old, **steps).auto_migrate() == []
    assert len(recorded(database)) == 1


def test_the_operations_may_be_handed_to_playhouses_migrate(
    db: LazyDatabase, database: Any
) -> None:
    """The first generation wrote migrate(self.add_column(…)); they run once all the same."""
    create(database, City, Old)
    fields = migration(db, User)
    migrate(fields.add_column("phone"), fields.add_index(["phone", "nick"]))
    assert "phone" in columns(database)
    db.configure(None)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.add_column("nothing"), r"add_column\('nothing'\): User has no such field"),
        (lambda m: m.add_column("x", peewee.CharField()), "has no default for the rows that exist"),
        (lambda m: m.drop_index("x"), r"mig_users has no such index \(there are: none\)"),
        (lambda m: m.drop_index(["a", "b"]), "has no such index"),
    ],
)
def test_mistakes_teach(sqlite_url: str, call: Callable[[Any], Any], message: str) -> None:
    """What was wrong, and what to write."""
    lazy = LazyDatabase(sqlite_url)
    with lazy.transaction() as database:
        create(database, City, Old)
        with pytest.raises(MigrationError, match=message):
            call(migration(lazy, User))


def test_a_column_with_a_default_of_the_database_needs_no_other(
    db: LazyDatabase, database: Any
) -> None:
    """The database fills the rows that exist."""
    create(database, Old)
    database.execute_sql("INSERT INTO mig_users(name) VALUES('Ann')")
    field = peewee.IntegerField(constraints=[peewee.SQL("DEFAULT 7")])
    migration(db, Old).add_column("lucky", field)
    assert database.execute_sql("SELECT lucky FROM mig_users").fetchone() == (7,)
    assert columns(database)["lucky"] is False
    db.configure(None)


def test_classes_that_are_not_whole_are_refused() -> None:
    """No model, a method without @info, a version without a number."""
    with pytest.raises(MigrationError, match=r"Nothing has no model: write _model = User"):
        type("Nothing", (MigrationModel,), {})()
    with pytest.raises(MigrationError, match=r"U\.migrate_v1 has no @info: write @info\(version="):
        type("U", (MigrationModel,), {"_model": Old, "migrate_v1": lambda self: None})()
    with pytest.raises(ValueError, match="a version has a number in it"):
        info(version="first")


# --- db


def test_importing_reads_and_opens_nothing(tmp_path: Path) -> None:
    """Not even in a folder whose settings are wrong; the first use says so."""
    (tmp_path / "settings.py").write_text("raise RuntimeError('read')\n")
    program = """
        from sanic_ms.migrations import MigrationModel, db, info
        repr(db), hasattr(db, "__wrapped__")
        print("imported")
        try:
            db.get_tables()
        except Exception as exc:
            print(type(exc).__name__, exc)
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(program)],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("imported\nConfigError settings.py line 1: RuntimeError: read")


def test_without_a_database_in_the_settings_it_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DB_URL."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="set DB_URL"), LazyDatabase().transaction():
        pass


def test_it_is_the_settings_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the working directory; its methods are those of Peewee's database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DB_URL", "sqlite:///here.db")
    lazy = LazyDatabase()
    with lazy.transaction():
        lazy.execute_sql("CREATE TABLE a (b int)")
        assert lazy.get_tables() == ["a"]
    assert os.path.exists("here.db")


def test_a_transaction_commits_or_rolls_back_whole(db: LazyDatabase, database: Any) -> None:
    """And is a savepoint inside another one, where the database can."""
    create(database, Old)
    with db.transaction():
        db.execute_sql("INSERT INTO mig_users(name) VALUES('a')")
        with db.transaction():
            db.execute_sql("INSERT INTO mig_users(name) VALUES('b')")
    with pytest.raises(peewee.PeeweeException), db.transaction():
        db.execute_sql("INSERT INTO mig_users(name, no_such) VALUES('c', 1)")
    names = "SELECT name FROM mig_users ORDER BY id"
    assert rows(database, names) == [("a",), ("b",)]
    _insert_and_fail(db)
    assert rows(database, names) == [("a",), ("b",)]


def _insert_and_fail(db: LazyDatabase) -> None:
    try:
        with db.transaction():
            db.execute_sql("INSERT INTO mig_users(name) VALUES('c')")
            raise ValueError
    except ValueError:
        return


def test_a_transaction_holds_the_lock_to_its_end(db: LazyDatabase, database: Any) -> None:
    """Another process sees what was migrated only when it is committed."""
    with db.transaction(), pytest.raises(MigrationError), migration_lock(database, timeout=0):
        pass
    with (
        migration_lock(database, timeout=0),
        pytest.raises(MigrationError),
        db.transaction(lock_timeout=0),
    ):
        pass
    with migration_lock(database, timeout=0):
        pass


def test_a_database_in_memory_lives_on(tmp_path: Path) -> None:
    """For tests: its connection is not closed at the end of a transaction."""
    lazy = LazyDatabase("sqlite://:memory:")
    assert migration(lazy, Old).auto_migrate() == []
    assert "mig_users" in lazy.get_tables()
    with lazy.transaction(), pytest.raises(LifecycleError, match=r"inside db\.transaction"):
        lazy.configure(None)
    lazy.configure(None)


def test_ten_processes_run_each_method_once(
    url: str, database: Any, at_once: Callable[[str, list[str]], list[str]], tmp_path: Path
) -> None:
    """`python migrations.py` in ten replicas: the table is created once, and when they are all
    replaced by the next version, its method runs once."""
    (tmp_path / "settings.py").write_text(f"DB_URL = {url!r}\n")
    program = """
        from peewee import CharField, Model
        from sanic_ms.migrations import MigrationModel, db, info

        class User(Model):
            name = CharField(max_length=20)
            class Meta:
                table_name = "mig_users"

        class First(MigrationModel):
            _model = User

        class Second(First):
            @info(version="0.1")
            def migrate_v1(self):
                self.add_column("phone", CharField(max_length=20, null=True))
                self.execute("INSERT INTO mig_users(name) VALUES('once')")

        def migrations(migration):
            with db.transaction():
                return migration().auto_migrate()
        # go
        print(migrations(First), migrations(Second))
    """
    assert sorted(at_once(program, [])) == ["[] ['migrate_v1']", *["[] []"] * 9]
    assert rows(database, "SELECT name, phone FROM mig_users") == [("once", None)]


def test_a_migrations_file_runs_as_a_program(tmp_path: Path) -> None:
    """`python migrations.py`, with models beside it and the settings' database."""
    (tmp_path / "models.py").write_text(
        "from peewee import *\n\nclass User(Model):\n    name = TextField()\n"
    )
    (tmp_path / "settings.py").write_text('DB_URL = "sqlite:///app.db"\n')
    (tmp_path / "migrations.py").write_text(
        dedent(
            """
            from sanic_ms.migrations import MigrationModel, db, info
            from models import User

            class UserMigration(MigrationModel):
                _model = User

            def migrations():
                with db.transaction():
                    um = UserMigration()
                    um.auto_migrate()

            if __name__ == "__main__":
                migrations()
            """
        )
    )
    for _ in range(2):
        subprocess.run([sys.executable, "migrations.py"], cwd=tmp_path, check=True, timeout=60)
    lazy = LazyDatabase(f"sqlite:///{tmp_path}/app.db")
    assert sorted(lazy.get_tables()) == ["migrate_record", "user"]
    lazy.configure(None)


def test_what_the_first_generation_has_run_is_not_run_again(db: LazyDatabase) -> None:
    """Its table ``migration_record`` knows methods by table and version; those of other tables and
    other versions run. Afterwards the old table is needed no more."""

    class Former(peewee.Model):
        table = peewee.CharField()
        version = peewee.CharField()
        author = peewee.CharField()
        create_time = peewee.DateTimeField(null=True)

        class Meta:
            table_name = "migration_record"

    class Visit(peewee.Model):
        note = peewee.CharField(null=True)
        place = peewee.CharField(null=True)

        class Meta:
            table_name = "mig_visits"

    ran: list[str] = []

    class VisitMigration(MigrationModel):
        _model = Visit
        _db = db

        @info(version="v1", author="ann")
        def migrate_v1(self) -> None:
            ran.append("v1")

        @info(version="v2")
        def migrate_v2(self) -> None:
            ran.append("v2")

    database: Any = db.database
    with database.connection_context(), database.bind_ctx([Former, Visit]):
        database.create_tables([Former, Visit])
        Former.create(table="mig_visits", version="v1", author="ann")
        Former.create(table="others", version="v2", author="ann")
    assert VisitMigration().auto_migrate() == ["migrate_v2"]
    assert ran == ["v2"]
    with database.connection_context(), database.bind_ctx([Former]):
        database.drop_tables([Former])
    assert VisitMigration().auto_migrate() == []
    assert ran == ["v2"]


def test_a_table_of_the_same_name_is_something_else(db: LazyDatabase) -> None:
    """It is not looked into, and stays as it is."""
    database: Any = db.database
    with database.connection_context():
        database.execute_sql("CREATE TABLE migration_record (bird INTEGER)")
        create(database, City)
    assert (
        type("CityMigration", (MigrationModel,), {"_model": City, "_db": db})().auto_migrate() == []
    )
    with database.connection_context():
        assert columns(database, "migration_record") == {"bird": True}


def test_the_first_generation_called_the_database_otherwise() -> None:
    """``db_manager`` is ``db``."""
    assert db_manager is own_db
