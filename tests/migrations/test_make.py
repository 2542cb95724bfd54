"""Files made from the models: applied, they leave no difference, whatever the models hold."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peewee
import pytest

from sanic_ms.exception import MigrationError, MigrationFailed
from sanic_ms.migrations import migrate, rollback
from sanic_ms.migrations.maker import differences, make, make_empty
from sanic_ms.migrations.runner import opened

Models = Callable[[str], str]

EVERY_FIELD = """
    import enum
    from datetime import datetime, timezone

    class Colour(enum.Enum):
        RED = "red"

    class ColourField(CharField):
        def db_value(self, value):
            return value.value if isinstance(value, Colour) else value

    class Big(Model):
        key = BigAutoField()
        class Meta:
            table_name = "mig_big"

    class Coded(Model):
        code = CharField(max_length=7, primary_key=True)
        class Meta:
            table_name = "mig_coded"

    class Everything(Model):
        a = BigIntegerField(index=True)
        b = BlobField()
        c = BooleanField(default=False)
        d = CharField(verbose_name="d", help_text="d", choices=[("a", "A")])
        e = CharField(max_length=3, null=True, unique=True)
        f = DateField(column_name="day")
        g = DateTimeField(default=utcnow)
        h = DecimalField(max_digits=8, decimal_places=2)
        i = DoubleField()
        j = FixedCharField(max_length=4)
        k = FloatField()
        l = IPField()
        m = IntegerField(constraints=[SQL("DEFAULT 7")])
        n = JSONField()
        o = SmallIntegerField()
        p = TextField()
        q = TimeField()
        r = TimestampField()
        s = UUIDField()
        t = BinaryUUIDField()
        u = BitField()
        v = ColourField(default=Colour.RED, max_length=9)
        w = DecimalField()
        big = ForeignKeyField(Big)
        coded = ForeignKeyField(Coded, null=True, on_delete="SET NULL", on_update="CASCADE")
        parent = ForeignKeyField("self", null=True, index=False, column_name="up")
        class Meta:
            table_name = "mig_everything"
            indexes = ((("a", "c"), True), (("big", "g"), False), (("h",), False))
            constraints = [Check("a > 0"), SQL("UNIQUE (l, o)")]

    class Link(Model):
        one = ForeignKeyField(Everything, backref="ones", on_delete="CASCADE")
        two = ForeignKeyField(Big, backref="twos")
        class Meta:
            table_name = "mig_link"
            primary_key = CompositeKey("one", "two")

    class Modern(Model):
        value = IntegerField(index=True)
        class Meta:
            table_name = "mig_modern"
            legacy_table_names = False
            primary_key = False
"""

FIRST = """
    class City(Model):
        name = CharField(max_length=20)
        class Meta:
            table_name = "mig_cities"

    class User(Model):
        name = CharField(max_length=20)
        nick = CharField(max_length=20, null=True, index=True)
        born = IntegerField(null=True)
        home = ForeignKeyField(City)
        class Meta:
            table_name = "mig_users"
            indexes = ((("name", "nick"), False),)
"""

SECOND = """
    import uuid
    from decimal import Decimal

    class City(Model):
        name = CharField(max_length=40)
        class Meta:
            table_name = "mig_cities"

    class Team(Model):
        leader = DeferredForeignKey("User", null=True)
        class Meta:
            table_name = "mig_teams"

    class User(Model):
        name = CharField(max_length=20, null=True, unique=True)
        born = IntegerField()
        token = UUIDField(default=uuid.uuid4)
        since = DateTimeField(default=utcnow)
        rank = IntegerField(constraints=[SQL("DEFAULT 3")])
        fee = DecimalField(default=Decimal("1.5"))
        work = ForeignKeyField(City, null=True, column_name="office")
        data = JSONField(default=dict)
        class Meta:
            table_name = "mig_users"
            indexes = ((("born", "rank"), True),)
"""


def texts(url: str, module: str) -> list[str]:
    return [change.text for change in differences(url, [module])]


def test_a_new_database_gets_every_table_of_the_models(
    url: str, folder: Path, models: Models, database: Any
) -> None:
    """Every kind of field, index, key and constraint; afterwards nothing differs, and taking it
    back leaves nothing."""
    module = models(EVERY_FIELD)
    made = make(url, folder, [module])
    assert made is not None
    assert made.path == folder / "0001_initial.py"
    assert made.warnings == []
    assert migrate(url) == ["0001_initial"]
    assert texts(url, module) == []
    assert make(url, folder, [module]) is None
    (unique,) = {
        index.name
        for index in database.get_indexes("mig_everything")
        if index.columns == ["a", "c"]
    }
    assert unique == "everything_a_c"
    with pytest.raises(peewee.PeeweeException):  # the check is there
        database.execute_sql("INSERT INTO mig_everything(a) VALUES (-1)")
    rollback(url)
    assert not [table for table in database.get_tables() if table.startswith("mig_")]


def test_the_table_name_of_peewee_2(sqlite_url: str, folder: Path, models: Models) -> None:
    """A model with ``Meta.db_table`` has that table, whatever the class is called."""
    text = """
        class Person(Model):
            name = TextField()
            class Meta:
                db_table = "mig_users"
        """
    with pytest.warns(DeprecationWarning, match="db_table"):
        made = make(sqlite_url, folder, [models(text)])
    assert made is not None
    assert "mig_users" in made.path.read_text()
    assert migrate(sqlite_url) == ["0001_initial"]


def test_later_changes_are_found_made_and_applied(
    url: str, folder: Path, models: Models, database: Any
) -> None:
    """Columns, types, nulls, indexes and references of tables with rows in them."""
    assert make(url, folder, [models(FIRST)]) is not None
    migrate(url)
    database.execute_sql("INSERT INTO mig_cities(name) VALUES('Oslo')")
    database.execute_sql("INSERT INTO mig_users(name, born, home_id) VALUES('Ann', 1990, 1)")
    module = models(SECOND)
    kinds = [change.kind for change in differences(url, [module])]
    assert set(kinds) == {
        "create_table", "add_column", "drop_column", "change_type", "change_null", "add_index",
        "drop_index",
    }  # fmt: skip
    made = make(url, folder, [module], "second")
    assert made is not None
    warned = "\n".join(made.warnings)
    assert "mig_cities.name changes from" in warned
    assert "mig_users.born will forbid null" in warned
    assert "mig_users.nick is dropped, with what is in it" in warned
    assert migrate(url) == ["0002_second"], made.path.read_text()
    assert texts(url, module) == []
    row = database.execute_sql(
        "SELECT name, born, rank, fee FROM mig_users".replace(
            "rank", f"{database.quote[0]}rank{database.quote[0]}"
        )
    ).fetchone()
    assert (row[0], row[1], row[2], float(row[3])) == ("Ann", 1990, 3, 1.5)
    with pytest.raises(MigrationError, match=r"0002_second\.py defines no down"):
        rollback(url)


def test_what_can_be_taken_back_is(url: str, folder: Path, models: Models, database: Any) -> None:
    """Added columns, indexes and nulls have a down()."""
    first = models(FIRST)
    make(url, folder, [first])
    migrate(url)
    second = models(
        FIRST.replace("home = ", "age = IntegerField(default=1, unique=True)\n        home = ")
        .replace("born = IntegerField(null=True)", "born = IntegerField(index=True)")
        .replace('(("name", "nick"), False)', '(("name", "born"), False)')
    )
    make(url, folder, [second], "More changes!")
    assert migrate(url) == ["0002_more_changes"]
    assert texts(url, second) == []
    assert rollback(url) == ["0002_more_changes"]
    assert texts(url, first) == []


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_file_made_on_one_database_runs_on_another(
    kind: str, sqlite_url: str, postgres: str, mysql: str, folder: Path, models: Models
) -> None:
    """Teams develop on SQLite and run on a server: the file has no dialect."""
    made = make(sqlite_url if kind == "sqlite" else postgres, folder, [models(FIRST)])
    assert made is not None
    for url in (sqlite_url, postgres, mysql):
        migrate(url)
        rollback(url)


def test_the_same_difference_gives_the_same_text(
    sqlite_url: str, folder: Path, models: Models, tmp_path: Path
) -> None:
    """No time, no random name; so a review shows what changed and nothing else."""
    module = models(EVERY_FIELD)
    one = make(sqlite_url, folder, [module])
    two = make(sqlite_url, tmp_path / "elsewhere" / "deep", [module])
    assert one is not None
    assert two is not None
    assert one.path.read_text() == two.path.read_text()


def test_the_text_is_as_a_formatter_leaves_it(
    sqlite_url: str, folder: Path, models: Models
) -> None:
    """Neither ruff's formatter nor its default checks find anything."""
    make(sqlite_url, folder, [models(EVERY_FIELD)])
    migrate(sqlite_url)
    make_empty(folder, "by hand")
    shutil.move(folder / "0002_by_hand.py", folder / "0009_by_hand.py")
    for command in (["format", "--check"], ["check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", str(folder)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_column_without_a_default_fails_until_it_gets_one(
    url: str, folder: Path, models: Models, database: Any
) -> None:
    """The author is warned, the file says it, and applying it unmended changes nothing."""
    make(url, folder, [models(FIRST)])
    migrate(url)
    module = models(FIRST.replace("home = ", "age = IntegerField()\n        home = "))
    made = make(url, folder, [module])
    assert made is not None
    assert made.path.name == "0002_add_mig_users_age.py"
    assert made.warnings == [
        "mig_users.age forbids null and has no default: in the file, give the field a default for "
        "the rows that exist, or null=True"
    ]
    with pytest.raises(MigrationFailed, match=r"age is not null but has no default\. Nothing of"):
        migrate(url)
    made.path.write_text(made.path.read_text().replace("IntegerField()", "IntegerField(default=4)"))
    migrate(url)
    assert texts(url, module) == []


def test_a_default_that_cannot_be_written_fails_until_it_is(
    sqlite_url: str, folder: Path, models: Models
) -> None:
    """A lambda has no source that a file could hold."""
    make(sqlite_url, folder, [models(FIRST)])
    migrate(sqlite_url)
    module = models(
        FIRST.replace("home = ", "age = IntegerField(default=lambda: 1)\n        home = ")
    )
    made = make(sqlite_url, folder, [module])
    assert made is not None
    assert made.warnings == [
        "mig_users.age: its default must be written by hand: the function User.<lambda>"
    ]
    with pytest.raises(MigrationFailed, match="its default must be written by hand"):
        migrate(sqlite_url)


def test_a_possible_new_name_is_pointed_at(sqlite_url: str, folder: Path, models: Models) -> None:
    """A column that goes while one of its type comes may be the same, with its values."""
    make(sqlite_url, folder, [models(FIRST)])
    migrate(sqlite_url)
    made = make(sqlite_url, folder, [models(FIRST.replace("born = ", "year = "))])
    assert made is not None
    assert 'migrator.rename_column("mig_users", "born", "year")' in "\n".join(made.warnings)


def test_indexes_with_conditions_are_made_as_sql(
    url: str, folder: Path, models: Models, database: Any
) -> None:
    """In the words of the database at hand; later they are known by their names."""
    has_partial = not isinstance(database, peewee.MySQLDatabase)
    text = """
        class User(Model):
            name = CharField(max_length=20)
            age = IntegerField()
            class Meta:
                table_name = "mig_users"
        """
    plain = models(text)
    partial = models(
        text
        + "\n        User.add_index(User.age, User.name, name='mig_age')\n"
        + "        User.add_index(User.age.desc(), unique=True, name='mig_desc')\n"
        + "        User.add_index(SQL('CREATE INDEX mig_raw ON mig_users (name)'))\n"
        + has_partial * "        User.add_index(User.name, where=User.age > 5, name='mig_p')\n"
    )
    for modules in ([partial], [plain], [partial]):
        made = make(url, folder, modules)
        assert made is not None
        migrate(url)
        assert [change.text for change in differences(url, modules)] == [], made.path.read_text()
    sql = {index.name: index.sql for index in database.get_indexes("mig_users")}
    assert has_partial is ("WHERE" in (sql.get("mig_p") or ""))


def test_what_cannot_be_written_fails_where_it_stands(
    sqlite_url: str, folder: Path, models: Models
) -> None:
    """No column, option or constraint is left out in silence: the author is warned, and the file
    raises until it is mended."""
    module = models(
        """
        def make():
            class LocalField(IntegerField):
                field_type = "TINYINT"
            return LocalField

        class Odd(Model):
            value = make()()
            class Meta:
                table_name = "mig_odd"
                constraints = [NodeList((SQL("CHECK"), Value(1)))]
                table_settings = [object()]
        """
    )
    made = make(sqlite_url, folder, [module])
    assert made is not None
    places = [warning.partition(" must be written by hand: ")[0] for warning in made.warnings]
    assert places == [
        "mig_odd.value: the field",
        "mig_odd: Meta.table_settings",
        "mig_odd: Meta.constraints",
    ]
    for place in places:
        with pytest.raises(MigrationFailed, match=f"{place} must be written by hand"):
            migrate(sqlite_url)
        lines = made.path.read_text().splitlines(keepends=True)
        made.path.write_text("".join(line for line in lines if place not in line))
    migrate(sqlite_url)


def test_the_type_of_a_key_is_changed_by_hand(
    url: str, folder: Path, models: Models, database: Any
) -> None:
    """What refers to it has to be changed with it."""
    text = "class Key(Model):\n    id = {}()\n    class Meta:\n        table_name = 'mig_key'\n"
    make(url, folder, [models(text.format("AutoField"))])
    migrate(url)
    if isinstance(database, peewee.SqliteDatabase):
        assert texts(url, models(text.format("BigAutoField"))) == []  # one type there
        return
    made = make(url, folder, [models(text.format("BigAutoField"))])
    assert made is not None
    assert made.warnings[0].startswith("mig_key.id changes from")
    with pytest.raises(MigrationFailed, match=r"NotImplementedError: the type of mig_key\.id"):
        migrate(url)


def test_references_to_tables_that_exist(
    url: str, folder: Path, models: Models, database: Any
) -> None:
    """A new table may refer to an old one, to a column of it that is no key, and to one whose key
    is a reference itself; two models may have the same name."""
    old = models(
        """
        class City(Model):
            code = CharField(max_length=5, unique=True)
            class Meta:
                table_name = "mig_cities"
        class Mayor(Model):
            city = ForeignKeyField(City, primary_key=True)
            class Meta:
                table_name = "mig_mayors"
        """
    )
    make(url, folder, [old])
    migrate(url)
    new = models(
        f"""
        import {old} as old
        class City(Model):
            parent = ForeignKeyField(old.City, field="code", backref="a")
            mayor = ForeignKeyField(old.Mayor, null=True, backref="b")
            class Meta:
                table_name = "mig_quarters"
        """
    )
    made = make(url, folder, [old, new])
    assert made is not None
    migrate(url)
    assert differences(url, [old, new]) == [], made.path.read_text()
    keys = {(key.column, key.dest_table) for key in database.get_foreign_keys("mig_quarters")}
    assert keys == {("parent_id", "mig_cities"), ("mayor_id", "mig_mayors")}


def test_arrays_and_other_fields_of_one_database(
    postgres: str, folder: Path, models: Models
) -> None:
    """Fields of playhouse and of the application come from where they are, if Peewee has none that
    makes the same column."""
    module = models(
        """
        from playhouse.postgres_ext import ArrayField, BinaryJSONField, TSVectorField

        class CitextField(TextField):
            field_type = "VARCHAR(77)"

        class Special(Model):
            tags = ArrayField(CharField, field_kwargs={"max_length": 9}, index=False)
            grid = ArrayField(IntegerField, dimensions=2)
            data = BinaryJSONField(null=True)
            words = TSVectorField(null=True)
            mail = CitextField()
            class Meta:
                table_name = "mig_special"
        """
    )
    made = make(postgres, folder, [module])
    assert made is not None
    assert made.warnings == []
    migrate(postgres)
    assert texts(postgres, module) == [], made.path.read_text()
    rollback(postgres)


EXCLUDING = """
    from peewee import Field

    class RangeField(Field):
        field_type = "int4range"

    class Stay(Model):
        room = IntegerField()
        nights = RangeField()
        class Meta:
            table_name = "mig_stays"
            constraints = [
                SQL("CONSTRAINT mig_one_guest EXCLUDE USING gist (nights WITH &&)"),
                SQL("CONSTRAINT mig_whole UNIQUE (room, nights)"),
            ]
"""


def test_the_index_of_a_constraint_is_not_dropped(
    postgres: str, folder: Path, models: Models
) -> None:
    """PostgreSQL makes an index for an exclusion and for a unique constraint; no model has it, and
    a migration that dropped it would fail, or take the constraint along. An index beside them that
    no model has is still found."""
    module = models(EXCLUDING)
    made = make(postgres, folder, [module])
    assert made is not None
    migrate(postgres)
    with opened(postgres) as opened_database:
        database: Any = opened_database
        names = {index.name for index in database.get_indexes("mig_stays")}
        assert {"mig_one_guest", "mig_whole"} <= names
        assert texts(postgres, module) == []
        assert make(postgres, folder, [module]) is None
        database.execute_sql("CREATE INDEX mig_by_room ON mig_stays (room)")
        database.execute_sql("CREATE UNIQUE INDEX mig_by_nights ON mig_stays (nights, room)")
    changes = differences(postgres, [module])
    assert [change.kind for change in changes] == ["drop_index"] * 2
    shown = " ".join(change.text for change in changes)
    assert {name for name in ("mig_by_room", "mig_by_nights", *names) if name in shown} == {
        "mig_by_room",
        "mig_by_nights",
    }


def test_pending_files_must_be_applied_first(sqlite_url: str, folder: Path, models: Models) -> None:
    """Or their changes would be made a second time."""
    module = models(FIRST)
    make(sqlite_url, folder, [module])
    with pytest.raises(MigrationError, match=r"not applied yet: 0001_initial; apply it first"):
        make(sqlite_url, folder, [module])
    assert not Path(sqlite_url.removeprefix("sqlite:///")).exists()


def test_modules_without_models_are_told(sqlite_url: str, folder: Path, models: Models) -> None:
    """Nothing found is not the same as nothing to do."""
    module = models("x = 1")
    for function in (lambda: make(sqlite_url, folder, [module]), lambda: texts(sqlite_url, module)):
        with pytest.raises(MigrationError, match=rf"no model in {module}: name the modules"):
            function()


def test_tables_that_no_model_stands_for_are_left_alone(
    url: str, folder: Path, models: Models, database: Any
) -> None:
    """They may be another service's."""
    database.execute_sql("CREATE TABLE mig_other (id INTEGER)")
    module = models(FIRST)
    make(url, folder, [module])
    migrate(url)
    assert texts(url, module) == []
    assert "mig_other" in database.get_tables()


def test_an_empty_file_fails_until_it_is_filled(sqlite_url: str, folder: Path) -> None:
    """It asks no database, takes the next number, and cannot be applied by mistake."""
    assert make_empty(folder, "move phones").path.name == "0001_move_phones.py"
    assert make_empty(folder).path.name == "0002_migration.py"
    assert make_empty(folder, 'Say "é\\"').path.name == "0003_say_é.py"
    with pytest.raises(MigrationError, match="is no name for a file"):
        make_empty(folder, "../..")
    with pytest.raises(MigrationFailed, match=r"0001_move_phones\.py:8: NotImplementedError"):
        migrate(sqlite_url)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """With the path and the reason."""
    (tmp_path / "file").write_text("")
    with pytest.raises(MigrationError, match=r"cannot write .*0001_x\.py: "):
        make_empty(tmp_path / "file" / "deep", "x")
