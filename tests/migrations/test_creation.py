"""Making the database itself."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sanic_ms.exception import ConfigError, DatabaseUnavailable
from sanic_ms.migrations import create_database
from sanic_ms.migrations.creation import server_of
from sanic_ms.migrations.runner import opened
from sanic_ms.values import DatabaseURL


@pytest.fixture
def missing(any_database_url: str, tmp_path: Path) -> Iterator[DatabaseURL]:
    """A database that is not there, under a name that must be quoted; dropped after the test."""
    url = DatabaseURL.parse(any_database_url)
    if url.scheme == "sqlite":
        yield replace(url, database=str(tmp_path / "new file.db"))
        return
    name = f"new-{uuid.uuid4().hex[:8]}"
    yield replace(url, database=name)
    with opened(server_of(url)) as database:
        execute: Any = database.execute_sql
        mark = database.quote[0]
        execute(f"DROP DATABASE IF EXISTS {mark}{name}{mark}")


def test_it_is_made_once(missing: DatabaseURL) -> None:
    """It can be used afterwards, and a second call leaves it as it is."""
    assert create_database(missing)
    with opened(missing, create=False) as database:
        execute: Any = database.execute_sql
        execute("CREATE TABLE kept(id INTEGER)")
    assert not create_database(missing.url)
    with opened(missing) as database:
        assert "kept" in database.get_tables()


def test_many_at_once_make_one(missing: DatabaseURL) -> None:
    """As the replicas of a service do at their first start."""
    found: list[object] = []

    def create() -> None:
        try:
            found.append(create_database(missing))
        except Exception as exc:
            found.append(exc)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {type(each) for each in found} == {bool}, found
    assert True in found


def test_what_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    """Without the password: no server, no folder, no name."""
    nowhere = "postgresql://app:hunter2@127.0.0.1:1/shop"
    with pytest.raises(DatabaseUnavailable, match="cannot open") as error:
        create_database(nowhere)
    assert "hunter2" not in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(DatabaseUnavailable, match="there is no folder"):
        create_database(f"sqlite:///{tmp_path}/nowhere/shop.db")
    with pytest.raises(ConfigError, match="names no database"):
        create_database(DatabaseURL("mysql", "", host="127.0.0.1"))
    with pytest.raises(ValueError, match="oracle"):
        create_database("oracle://x/y")


def test_a_missing_one_names_the_command(missing: DatabaseURL) -> None:
    """`db make` and `db up` say what makes it; SQLite makes its file by itself."""
    if missing.scheme == "sqlite":
        pytest.skip("SQLite makes its file when it is opened")
    makes = r"\(sanic-ms db create makes it\)"
    with pytest.raises(DatabaseUnavailable, match=makes), opened(missing):
        pass
    with pytest.raises(DatabaseUnavailable) as error, opened(replace(missing, port=1)):
        pass
    assert "create" not in str(error.value)
