"""Which table sets a service uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from sanic_ms.exception import LifecycleError
from sanic_ms.values.table_sets import TableSet, TableSets, is_of_a_set


@pytest.fixture
def tables(tmp_path: Path) -> TableSet:
    """A set with three migrations, whose numbers are not of one length."""
    for name in ("0002_b.py", "0001_a.py", "10000_c.py", "__init__.py", "models.py", "0003_d.txt"):
        (tmp_path / name).touch()
    return TableSet("acme.audit", tmp_path)


def test_migrations_are_numbered_files_in_order(tables: TableSet) -> None:
    """Under the set's name, which no application's file can have."""
    assert list(tables.migrations()) == [
        "acme.audit.0001_a",
        "acme.audit.0002_b",
        "acme.audit.10000_c",
    ]
    assert all(map(is_of_a_set, tables.migrations()))
    assert not is_of_a_set("0001_a")


@pytest.mark.parametrize(
    "name", ["", "0001", "Acme", "acme.", ".acme", "acme audit", "a-b", "acme.1", "a" * 101]
)
def test_a_name_is_that_of_a_package(name: str, tmp_path: Path) -> None:
    """Anything else is refused: it could be an application's, or not be stored."""
    with pytest.raises(ValueError, match="give the name of the package"):
        TableSet(name, tmp_path)


def test_sets_are_used_once_for_each_database(tables: TableSet, tmp_path: Path) -> None:
    """Using one again does nothing, after the start neither; another one then is an error."""
    sets = TableSets()
    assert not sets
    assert sets.of() == ()
    sets.use(tables)
    sets.use(tables)
    sets.use(tables, "reports")
    assert sets.of() == (tables,)
    assert list(sets) == ["default", "reports"]
    assert sets.of("other") == ()
    sets.seal()
    sets.use(TableSet("acme.audit", tmp_path))
    with pytest.raises(LifecycleError, match=r"acme\.other are asked for after the start"):
        sets.use(TableSet("acme.other", tmp_path))


def test_mistakes_of_a_package_are_errors(tables: TableSet, tmp_path: Path) -> None:
    """A folder without migrations, and one name for two folders."""
    sets = TableSets()
    for folder in (tmp_path / "nowhere", tmp_path / "empty"):
        with pytest.raises(ValueError, match=r"holds no migration of acme\.audit"):
            sets.use(TableSet("acme.audit", folder))
    assert not sets
    sets.use(tables)
    (tmp_path / "other").mkdir()
    with pytest.raises(ValueError, match=r"two table sets are called 'acme\.audit'"):
        sets.use(TableSet("acme.audit", tmp_path / "other"))
