"""One line about migrations that have not been applied."""

from __future__ import annotations

import pytest

from sanic_ms.migrations.pending import describe
from sanic_ms.migrations.runner import MigrationEntry


def pending(count: int) -> list[MigrationEntry]:
    """So many."""
    return [MigrationEntry(f"000{number}_x", "pending") for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (1, "1 pending (0001_x): run sanic-ms db up"),
        (3, "3 pending (0001_x, 0002_x, 0003_x): run sanic-ms db up"),
        (4, "4 pending (0001_x, 0002_x, 0003_x, …): run sanic-ms db up"),
    ],
)
def test_the_first_three_are_named(count: int, text: str) -> None:
    """With the command that applies all of them."""
    assert describe(pending(count)) == text


def test_the_command_names_the_database() -> None:
    """Unless it is the default; a command of the caller's own stays as it is."""
    (entry,) = pending(1)
    assert describe([entry], "sales").endswith(": run sanic-ms db up --database sales")
    assert describe([entry], "default").endswith(": run sanic-ms db up")
    assert describe([entry], "sales", "make migrate").endswith(": run make migrate")


def test_a_problem_comes_before_a_command() -> None:
    """The first one: no command helps before it is solved."""
    wrong = MigrationEntry("0001_x", "missing", problem="was applied and its file is gone")
    assert describe([*pending(2), wrong]) == "0001_x was applied and its file is gone"
