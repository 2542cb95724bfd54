"""A deadline over three services and a database: the work of a late request ends everywhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.deadline import NAMES, Hops, running_hops

# A busy machine is slow, not broken: benchmarks/deadline.py measures how soon the work ends.
STATEMENT = 40.0
LIMIT = 20.0


@pytest.fixture(scope="module")
def hops(postgres_url: str) -> Iterator[Hops]:
    """A calls B, B calls C, and C asks PostgreSQL."""
    with running_hops(postgres_url) as hops:
        yield hops


async def test_the_work_of_a_late_request_ends_on_every_hop(hops: Hops) -> None:
    """The client's milliseconds are handed on; behind them no handler and no statement runs. The
    next request, which has the time, gets its response by the same services and connections."""
    late = await hops.call(milliseconds=300, seconds=STATEMENT)
    assert late.status == 504
    assert set(late.outcomes.values()) <= {"CancelledError", "DeadlineExceeded"}, late
    assert all(0.25 < took < LIMIT for took in late.took.values()), late

    in_time = await hops.call(milliseconds=60_000, seconds=0.05)
    assert in_time.status == 200
    assert in_time.outcomes == dict.fromkeys(NAMES, "done")
    assert in_time.took["c"] <= in_time.took["b"] <= in_time.took["a"] <= in_time.took["client"]


async def test_no_hop_begins_what_nobody_waits_for(hops: Hops) -> None:
    """A has no time left, and so calls nobody."""
    status, _, _ = await hops.get("a", f"/work?s={STATEMENT}", 0)
    assert status == 504
    for name in NAMES:
        _, body, _ = await hops.get(name, "/ended")
        assert body["data"] == []
