"""The records of what has run: in UTC, wherever the process is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import peewee
import pytest

from sanic_ms.migrations.record import FORMER_TABLE, former_versions, record_model
from sanic_ms.migrations.runner import migrate, status


@pytest.fixture(params=["Pacific/Kiritimati", "Pacific/Marquesas"])
def far_away(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process' zone is fourteen hours before UTC, or nine and a half behind it."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("far_away")
def test_times_are_in_utc_in_any_zone(tmp_path: Path) -> None:
    """Of files and of methods; in the table they have no zone, as MySQL keeps none."""
    begun = datetime.now(UTC)
    database: Any = peewee.SqliteDatabase(":memory:")
    record = record_model(database)
    record.create(
        table_name="t", migration="M", name="m", version="1", author="a", datetime="2026-01-01"
    )
    (applied,) = [row.applied_at for row in record_model(database).select()]
    assert applied.tzinfo is None
    assert timedelta() <= applied.replace(tzinfo=UTC) - begun < timedelta(minutes=5)

    (tmp_path / "0001_a.py").write_text("def up(migrator, db): pass\n")
    url = f"sqlite:///{tmp_path / 'a.db'}"
    migrate(url, tmp_path)
    (entry,) = status(url, tmp_path)
    assert entry.applied_at is not None
    assert timedelta() <= entry.applied_at - begun < timedelta(minutes=5)
    assert entry.applied_at.utcoffset() == timedelta()


def test_a_method_is_recorded_once() -> None:
    """For each table; another process that records it as well is refused by the database."""
    record = record_model(peewee.SqliteDatabase(":memory:"))
    values = {"migration": "M", "version": "1", "author": "a", "datetime": "2026-01-01"}
    record.create(table_name="t", name="m", **values)
    record.create(table_name="t", name="n", **values)
    record.create(table_name="u", name="m", **values)
    with pytest.raises(peewee.IntegrityError):
        record.create(table_name="t", name="m", **values)


@pytest.mark.parametrize(
    ("columns", "versions"),
    [
        (None, set()),
        (("table", "version"), {"1", "2"}),
        (("table", "version", "more"), {"1", "2"}),
        (("table",), set()),
        (("version",), set()),
    ],
    ids=["no table", "both", "more", "table", "version"],
)
def test_what_the_first_generation_has_run(
    columns: tuple[str, ...] | None, versions: set[str]
) -> None:
    """Of the table that is asked for; a table of that name with other columns is something else."""
    database: Any = peewee.SqliteDatabase(":memory:")
    if columns is not None:
        names = ", ".join(f'"{column}" TEXT' for column in columns)
        database.execute_sql(f'CREATE TABLE "{FORMER_TABLE}" ({names})')
        for table, version in (("t", "1"), ("t", "2"), ("u", "3")):
            row = {"table": table, "version": version, "more": "x"}
            marks = ", ".join("?" * len(columns))
            database.execute_sql(
                f'INSERT INTO "{FORMER_TABLE}" VALUES ({marks})', [row[name] for name in columns]
            )
    assert former_versions(database, "t") == versions
