"""The SQL of pending migrations, shown and not run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sanic_ms.exception import MigrationError
from sanic_ms.migrations import migrate
from sanic_ms.migrations.dryrun import planned_sql

Write = Callable[[str, str], Path]

CREATE = """
    import peewee as pw
    from datetime import datetime, timezone
    from decimal import Decimal

    def up(migrator, db):
        class Mig(pw.Model):
            name = pw.CharField(max_length=60, index=True)

            class Meta:
                database = db
                table_name = "mig_users"

        db.create_tables([Mig])
        for value in ("it's 100% ?", 'say "?"', "back\\\\slash"):
            Mig.insert(name=value).execute()
        with db.atomic():
            db.execute_sql(
                f"INSERT INTO mig_users(name) SELECT 'a?' WHERE 1 = {db.param}", (1,)
            )
        fee = pw.DecimalField(default=Decimal("1.5"), null=True)
        migrator.migrate(migrator.add_column("mig_users", "fee", fee))
"""


def run(database: Any, statements: list[str]) -> None:
    """Run complete statements as a database administrator would paste them."""
    cursor = database.connection().cursor()
    for statement in statements:
        cursor.execute(statement)


def test_what_is_shown_is_what_up_would_have_done(url: str, database: Any, write: Write) -> None:
    """Pasted into the database, the statements do all of it, the record included."""
    write("0001_create", CREATE)
    (planned,) = planned_sql(url)
    assert planned.name == "0001_create"
    assert planned.problem is None
    assert not [table for table in database.get_tables() if table.startswith(("mig_", "schema_"))]
    run(database, planned.statements)
    names = {name for (name,) in database.execute_sql("SELECT name FROM mig_users").fetchall()}
    assert names == {"it's 100% ?", 'say "?"', "back\\slash", "a?"}
    assert migrate(url) == []
    assert planned_sql(url) == []


def test_a_target_ends_it(url: str, write: Write) -> None:
    """As for up; an unknown one is refused."""
    write("0001_a", "def up(m, db): db.execute_sql('CREATE TABLE mig_a (id INTEGER)')")
    write("0002_b", "def up(m, db): db.execute_sql('CREATE TABLE mig_b (id INTEGER)')")
    (planned,) = planned_sql(url, target="1")
    assert planned.statements[-2] == "CREATE TABLE mig_a (id INTEGER)"
    assert [entry.name for entry in planned_sql(url)] == ["0001_a", "0002_b"]
    with pytest.raises(MigrationError, match="'3' is not a migration"):
        planned_sql(url, target="3")


def test_one_that_reads_what_another_would_make_cannot_be_shown(url: str, write: Write) -> None:
    """What is known is shown, and why there is no more."""
    write("0001_create", CREATE)
    write(
        "0002_reads",
        """
        def up(migrator, db):
            db.execute_sql("DELETE FROM mig_users WHERE id = 9")
            db.execute_sql("SELECT count(*) FROM mig_users").fetchone()
        """,
    )
    write("0003_more", "def up(migrator, db): pass")
    first, second = planned_sql(url)
    assert first.problem is None
    assert second.statements == ["DELETE FROM mig_users WHERE id = 9"]
    assert second.problem is not None
    assert second.problem.startswith(
        "migrations/0002_reads.py:4: cannot be shown before 0001_create is applied: "
    )


def test_a_statement_taken_for_a_question_is_refused_by_the_database(
    url: str, database: Any, write: Write
) -> None:
    """The session is read-only besides."""
    write("0001_create", CREATE)
    migrate(url)
    hidden = {
        "sqlite": "PRAGMA user_version(9)",
        "postgresql": "SELECT set_config('a.b', 'c', false), nextval('mig_users_id_seq')",
        "mysql": "SHOW TABLES",
    }[url.partition(":")[0]]
    write("0002_hidden", f'def up(migrator, db): db.execute_sql("{hidden}")')
    (planned,) = planned_sql(url)
    if url.startswith("postgresql"):
        assert planned.problem is not None
        assert "read-only" in planned.problem
    if url.startswith("sqlite"):
        assert database.execute_sql("PRAGMA user_version").fetchone() == (0,)


def test_a_new_sqlite_file_is_not_made(tmp_path: Path, write: Write) -> None:
    """Showing changes nothing at all."""
    write("0001_create", CREATE)
    assert planned_sql(f"sqlite:///{tmp_path}/new.db")[0].statements
    assert not (tmp_path / "new.db").exists()
