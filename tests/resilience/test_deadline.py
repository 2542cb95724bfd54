"""The deadline of the current work."""

from __future__ import annotations

import asyncio
import math
import time

import pytest

from sanic_ms.resilience import Deadline, current_deadline, deadline_scope


def test_what_remains_is_never_below_zero() -> None:
    """A deadline that is over has expired, and nothing remains of it."""
    deadline = Deadline.after(-1)
    assert (deadline.remaining, deadline.expired) == (0.0, True)
    deadline = Deadline.after(60)
    assert 59 < deadline.remaining <= 60
    assert not deadline.expired
    assert deadline.at == pytest.approx(time.monotonic() + 60, abs=1)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_moment_is_finite(value: float) -> None:
    """No deadline is None, and not infinity."""
    with pytest.raises(ValueError, match="finite"):
        Deadline(value)
    with pytest.raises(ValueError, match="finite"):
        Deadline.after(value)


def test_an_inner_deadline_is_never_later() -> None:
    """A block may shorten the deadline, or drop it; afterwards the outer one is in force."""
    near, far = Deadline.after(1), Deadline.after(60)
    assert current_deadline() is None
    with deadline_scope(near):
        with deadline_scope(far):
            assert current_deadline() is near
        with deadline_scope(None):
            assert current_deadline() is None
            with deadline_scope(far):
                assert current_deadline() is far
        assert current_deadline() is near
    with deadline_scope(far), deadline_scope(near):
        assert current_deadline() is near
    assert current_deadline() is None


async def test_tasks_inherit_it() -> None:
    """A task that is begun in the block has the deadline, also after the block."""

    async def read() -> Deadline | None:
        await asyncio.sleep(0)
        return current_deadline()

    deadline = Deadline.after(60)
    with deadline_scope(deadline):
        task = asyncio.create_task(read())
    assert await task is deadline
    assert current_deadline() is None
