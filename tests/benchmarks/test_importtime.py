"""How the cost of imports is read and added up."""

from __future__ import annotations

from benchmarks.importtime import by_package, own_times

REPORT = """\
import time: self [us] | cumulative | imported package
import time:      1500 |       1500 |   sanic_ms.db.pool
import time:       250 |       1750 | sanic_ms.db
import time:      3000 |       3000 | asyncpg.protocol
something else on standard error
"""


def test_each_module_counts_by_itself() -> None:
    """Not with what it imports; other lines are no modules."""
    assert own_times(REPORT.splitlines()) == {
        "sanic_ms.db.pool": 1.5,
        "sanic_ms.db": 0.25,
        "asyncpg.protocol": 3.0,
    }


def test_modules_are_added_up_by_package_and_ours_by_room() -> None:
    """So that one can see whom to ask."""
    sums = by_package(own_times(REPORT.splitlines()))
    assert sums == {"sanic_ms.db": 1.75, "asyncpg": 3.0}
