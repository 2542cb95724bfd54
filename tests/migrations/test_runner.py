"""Numbered files: applied in order, once, whole or not at all, and taken back."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sanic_ms.exception import DatabaseUnavailable, MigrationError, MigrationFailed
from sanic_ms.migrations import migrate, rollback, status
from sanic_ms.migrations.lock import migration_lock

Write = Callable[[str, str], Path]

CREATE = """
    import peewee as pw

    def up(migrator, db):
        class Mig(pw.Model):
            name = pw.CharField(max_length=20)

            class Meta:
                database = db
                table_name = "mig_users"

        db.create_tables([Mig])
        Mig.insert(name="Ann").execute()

    def down(migrator, db):
        migrator.migrate(migrator.drop_table("mig_users"))
"""
ADD_PHONE = """
    import peewee as pw

    def up(migrator, db):
        migrator.migrate(migrator.add_column("mig_users", "phone", pw.CharField(null=True)))

    def down(migrator, db):
        migrator.migrate(migrator.drop_column("mig_users", "phone", cascade=False))
"""
FAILS = """
    import peewee as pw

    def up(migrator, db):
        migrator.migrate(migrator.add_column("mig_users", "fax", pw.CharField(null=True)))
        db.execute_sql("UPDATE mig_users SET name = 'Bo'")
        migrator.migrate(migrator.add_column("mig_users", "name", pw.CharField(null=True)))
"""


def columns(database: Any) -> list[str]:
    return [column.name for column in database.get_columns("mig_users")]


def test_files_are_applied_in_the_order_of_their_numbers(
    url: str, database: Any, write: Write
) -> None:
    """2 comes before 10; a second call has nothing to do."""
    write("10_phone", ADD_PHONE)
    write("2_create", CREATE)
    assert migrate(url) == ["2_create", "10_phone"]
    assert columns(database) == ["id", "name", "phone"]
    assert migrate(url) == []


def test_what_is_no_numbered_file_is_left_alone(url: str, write: Write, folder: Path) -> None:
    """__init__.py, notes and caches may stand in the folder."""
    write("__init__", "raise RuntimeError")
    write("helpers", "raise RuntimeError")
    (folder / "0001_notes.txt").write_text("x")
    assert migrate(url) == []
    assert status(url) == []


def test_a_target_is_the_last_one_applied(url: str, database: Any, write: Write) -> None:
    """It is named in full, with .py, or by its number."""
    for number in range(1, 5):
        write(f"000{number}_m{number}", "def up(migrator, db):\n    pass\ndef down(m, d): pass")
    assert migrate(url, target="1") == ["0001_m1"]
    assert migrate(url, target="0002") == ["0002_m2"]
    assert migrate(url, target="0003_m3.py") == ["0003_m3"]
    assert migrate(url, target="0001_m1") == []
    with pytest.raises(MigrationError, match=r"'9' is not a migration \(there are: 0001_m1, 00"):
        migrate(url, target="9")
    assert rollback(url) == ["0003_m3"]
    assert rollback(url, target="1") == ["0002_m2", "0001_m1"]
    assert rollback(url) == []
    with pytest.raises(MigrationError, match=r"'4' is not an applied migration \(there are: none"):
        rollback(url, target="4")


def test_status_knows_what_is_applied_and_when(url: str, write: Write) -> None:
    """Times are in UTC."""
    write("0001_create", CREATE)
    write("0002_phone", ADD_PHONE)
    migrate(url, target="1")
    first, second = status(url)
    assert (first.name, first.state, first.problem) == ("0001_create", "applied", None)
    assert first.applied_at is not None
    assert abs(first.applied_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert (second.state, second.applied_at) == ("pending", None)


def test_looking_creates_no_database_file(tmp_path: Path, write: Write) -> None:
    """status on a SQLite file that does not exist leaves it that way."""
    write("0001_create", CREATE)
    (entry,) = status(f"sqlite:///{tmp_path}/new.db")
    assert entry.state == "pending"
    assert not (tmp_path / "new.db").exists()


def test_a_failed_migration_is_explained_rolled_back_and_tried_again(
    url: str, database: Any, write: Write, is_transactional: bool
) -> None:
    """The text has file, line and SQL; nothing of it stays where the database can roll back, and
    what stays is listed where it cannot. Those before it stay; the next call repeats it alone."""
    write("0001_create", CREATE)
    write("0002_fails", FAILS)
    with pytest.raises(
        MigrationFailed, match=r"^migrations/0002_fails\.py:7: \w+Error: .*name"
    ) as e:
        migrate(url)
    text = str(e.value)
    assert "the statement was: ALTER TABLE" in text
    assert "It is not recorded and will be tried again." in text
    assert [entry.state for entry in status(url)] == ["applied", "pending"]
    if is_transactional:
        assert "It was rolled back." in text
        assert columns(database) == ["id", "name"]
        assert database.execute_sql("SELECT name FROM mig_users").fetchall() == [("Ann",)]
    else:
        assert "MySQL cannot roll back" in text
        assert "ALTER TABLE `mig_users` ADD COLUMN `fax`" in text
        assert "UPDATE mig_users" in text
        assert columns(database) == ["id", "name", "fax"]
    os.remove("migrations/0002_fails.py")
    write("0002_works", ADD_PHONE)
    assert migrate(url) == ["0002_works"]


def test_an_exception_of_ones_own_has_its_line(url: str, database: Any, write: Write) -> None:
    """Any exception in the file is told in the same way, and undone."""
    write("0001_create", CREATE)
    write("0002_bad", "def up(migrator, db):\n    helper()\n\ndef helper():\n    {}['key']\n")
    with pytest.raises(
        MigrationFailed, match=r"^migrations/0002_bad\.py:5: KeyError: 'key'\. Noth"
    ):
        migrate(url)
    assert [entry.state for entry in status(url)] == ["applied", "pending"]


def test_a_failed_down_leaves_it_applied(url: str, database: Any, write: Write) -> None:
    """The record and the tables stay together in that direction too."""
    write("0001_create", CREATE)
    write(
        "0002_phone",
        ADD_PHONE.replace('drop_column("mig_users", "phone"', 'drop_column("mig_users", "no_such"'),
    )
    migrate(url)
    with pytest.raises(MigrationFailed, match=r"^migrations/0002_phone\.py:8: "):
        rollback(url)
    assert [entry.state for entry in status(url)] == ["applied", "applied"]
    assert columns(database) == ["id", "name", "phone"]


def test_without_a_transaction_what_ran_stays_and_is_told(
    url: str, database: Any, write: Write
) -> None:
    """atomic = False is for statements that refuse to be in a transaction."""
    write("0001_create", CREATE)
    write("0002_fails", "atomic = False\n" + FAILS.replace("\n    ", "\n"))
    with pytest.raises(MigrationFailed, match=r"stays \(it is marked atomic = False\).*ADD COLUMN"):
        migrate(url)
    assert "fax" in columns(database)


def test_files_that_cannot_be_loaded_stop_everything_before_it_starts(
    url: str, database: Any, write: Write
) -> None:
    """A typing mistake in the second file leaves the first one unapplied too."""
    write("0001_create", CREATE)
    write("0002_bad", "def up(migrator, db:\n    pass")
    with pytest.raises(MigrationError, match=r"0002_bad\.py:1: SyntaxError"):
        migrate(url)
    write("0002_bad", "import peewee\nx = peewee.NoSuchField()")
    with pytest.raises(MigrationError, match=r"^migrations/0002_bad\.py:2: AttributeError"):
        migrate(url)
    write("0002_bad", "def upp(migrator, db): pass  # a longer text, so that it is read again")
    with pytest.raises(MigrationError, match=r"0002_bad\.py defines no up\(migrator, db\)"):
        migrate(url)
    assert [entry.state for entry in status(url)] == ["pending", "pending"]


def test_what_has_no_down_cannot_be_taken_back(url: str, database: Any, write: Write) -> None:
    """It is found before anything is taken back."""
    write("0001_create", CREATE.partition("def down")[0])
    write("0002_phone", ADD_PHONE)
    migrate(url)
    with pytest.raises(MigrationError, match=r"cannot take back 0001_create: .* defines no down\("):
        rollback(url, target="1")
    assert columns(database) == ["id", "name", "phone"]


def test_a_removed_file_is_told_and_does_not_stop_a_start(
    url: str, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    """An older copy of the service meets a newer database when a deployment is taken back."""
    write("0001_create", CREATE)
    path = write("0002_phone", ADD_PHONE)
    migrate(url)
    path.unlink()
    with caplog.at_level(logging.WARNING, "sanic_ms.migrations"):
        assert migrate(url) == []
    assert "0002_phone: was applied and its file is gone" in caplog.text
    entry = status(url)[1]
    assert (entry.state, bool(entry.problem)) == ("missing", True)
    with pytest.raises(MigrationError, match="cannot take back 0002_phone: its file is gone"):
        rollback(url)


def test_a_renamed_file_is_not_applied_a_second_time(url: str, write: Write) -> None:
    """Same number, other name, and the applied one's file gone: that is a rename."""
    path = write("0001_create", CREATE)
    migrate(url)
    path.rename(path.with_name("0001_users.py"))
    with pytest.raises(MigrationError, match=r"0001_users: is new, but 0001_create .* old name"):
        migrate(url)
    states = {entry.name: entry.state for entry in status(url)}
    assert states == {"0001_create": "missing", "0001_users": "pending"}


def test_two_files_with_one_number_must_be_told_apart(url: str, write: Write) -> None:
    """Two branches made them; one gets the next number."""
    write("0001_create", CREATE)
    write("0001_other", ADD_PHONE)
    with pytest.raises(
        MigrationError, match=r"has the same number as 0001_other.*next free number"
    ):
        migrate(url)


def test_one_older_than_those_applied_needs_a_word(url: str, database: Any, write: Write) -> None:
    """It is refused, and applied with out_of_order."""
    write("0001_create", CREATE)
    write("0003_nothing", "def up(migrator, db): pass")
    migrate(url)
    write("0002_phone", ADD_PHONE)
    with pytest.raises(MigrationError, match=r"0002_phone: is older than .*--out-of-order"):
        migrate(url)
    assert migrate(url, out_of_order=True) == ["0002_phone"]
    assert columns(database) == ["id", "name", "phone"]
    assert [entry.problem for entry in status(url)] == [None] * 3


def test_fake_records_and_runs_nothing(url: str, database: Any, write: Write) -> None:
    """For a database whose tables exist already."""
    write("0001_create", CREATE)
    assert migrate(url, fake=True) == ["0001_create"]
    assert "mig_users" not in database.get_tables()
    assert migrate(url) == []


def test_services_that_share_a_database_have_records_of_their_own(
    url: str, database: Any, write: Write, tmp_path: Path
) -> None:
    """Each names its table; the same file names do not meet."""
    write("0001_create", CREATE)
    other = tmp_path / "other"
    other.mkdir()
    (other / "0001_create.py").write_text("def up(migrator, db):\n    pass\n")
    assert migrate(url, table="mig_one") == ["0001_create"]
    assert migrate(url, other, table="mig_two") == ["0001_create"]
    assert migrate(url, table="mig_one") == []


def test_a_missing_folder_says_what_makes_one(tmp_path: Path) -> None:
    """For each of the three functions."""
    for function in (migrate, rollback, status):
        with pytest.raises(MigrationError, match=r"there is no folder .*none: sanic-ms db make"):
            function(f"sqlite:///{tmp_path}/x.db", tmp_path / "none")


def test_an_unreachable_database_is_told(write: Write) -> None:
    """As the framework's own error."""
    with pytest.raises(DatabaseUnavailable, match="cannot open postgresql://"):
        migrate("postgresql://nobody@127.0.0.1:1/none")


def test_a_connection_lost_in_the_middle_is_a_failed_migration(postgres: str, write: Write) -> None:
    """The error is the framework's, and the next call finds the lock free."""
    write(
        "0001_lost",
        """
        def up(migrator, db):
            db.execute_sql("CREATE TABLE mig_lost (id int)")
            db.execute_sql("SELECT pg_terminate_backend(pg_backend_pid())")
        """,
    )
    with pytest.raises(MigrationFailed, match=r"0001_lost\.py:4: "):
        migrate(postgres)
    with pytest.raises(MigrationFailed, match=r"0001_lost\.py:4: "):
        migrate(postgres)


def test_an_interrupt_rolls_back(
    url: str, database: Any, write: Write, is_transactional: bool
) -> None:
    """Ctrl-C in the middle is no error of the migration: it passes, and the lock is free."""
    write("0001_create", CREATE)
    write("0002_stop", ADD_PHONE.replace("def down", "    raise KeyboardInterrupt\n\n    def down"))
    with pytest.raises(KeyboardInterrupt):
        migrate(url)
    assert ("phone" in columns(database)) is not is_transactional
    assert [entry.state for entry in status(url)] == ["applied", "pending"]
    with migration_lock(database, timeout=0):
        pass


def test_waiting_for_another_process_is_bounded(url: str, database: Any, write: Write) -> None:
    """Past the limit nothing was changed, and the text says what is going on."""
    write("0001_create", CREATE)
    with (
        migration_lock(database),
        pytest.raises(MigrationError, match=r"another process has been migrating .* for 0\.2 s"),
    ):
        migrate(url, lock_timeout=0.2)
    assert migrate(url, lock_timeout=0) == ["0001_create"]


def test_those_that_find_nothing_to_do_do_not_wait(url: str, database: Any, write: Write) -> None:
    """A start with an up-to-date database is not held up by a long migration elsewhere."""
    write("0001_create", CREATE)
    migrate(url)
    with migration_lock(database):
        assert migrate(url, lock_timeout=0) == []


def test_threads_of_one_process_take_turns(url: str, database: Any, write: Write) -> None:
    """The lock is not only between processes."""
    write("0001_create", CREATE)
    results: list[list[str]] = []
    threads = [threading.Thread(target=lambda: results.append(migrate(url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [[], [], [], ["0001_create"]]


def test_ten_replicas_migrate_once(
    url: str, database: Any, write: Write, at_once: Callable[[str, list[str]], list[str]]
) -> None:
    """Ten processes start at the same moment: one applies everything, all see it applied."""
    write("0001_create", CREATE)
    write(
        "0002_slow",
        """
        import time

        def up(migrator, db):
            time.sleep(0.3)
            db.execute_sql("INSERT INTO mig_users(name) VALUES('once')")
        """,
    )
    answers = at_once(
        """
        import sys
        from sanic_ms.migrations import migrate, status
        # go
        print(migrate(sys.argv[1]))
        assert all(entry.state == "applied" for entry in status(sys.argv[1]))
        """,
        [url],
    )
    assert sorted(answers) == ["['0001_create', '0002_slow']", *["[]"] * 9]
    rows = database.execute_sql("SELECT count(*) FROM mig_users WHERE name = 'once'").fetchone()
    assert rows == (1,)
