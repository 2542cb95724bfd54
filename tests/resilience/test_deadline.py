"""The deadline of the current work."""

from __future__ import annotations

import asyncio
import math
import time

import pytest

from sanic_ms.exception import DeadlineExceeded
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


async def test_a_block_ends_at_its_deadline() -> None:
    """What it waits for is cancelled, `DeadlineExceeded` is raised, and nothing is left behind."""
    ended: list[Deadline | None] = []

    async def work() -> None:
        async with deadline as entered:
            assert entered is deadline
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                ended.append(current_deadline())
                raise

    started = time.monotonic()
    deadline = Deadline.after(0.02)
    with pytest.raises(DeadlineExceeded) as caught:
        await work()
    assert 0.015 < time.monotonic() - started < 10
    assert (caught.value.status, caught.value.error) == (504, "the deadline is over")
    assert ended == [deadline]
    assert current_deadline() is None
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)  # it is not cancelled a second time


async def test_a_block_that_is_in_time_is_left_alone() -> None:
    """Its result and its own exceptions come through, and no timer goes off later."""
    async with Deadline.after(0.02):
        assert current_deadline() is not None
    with pytest.raises(TimeoutError, match="own"):
        async with Deadline.after(0.02):
            raise TimeoutError("own")
    await asyncio.sleep(0.04)


async def test_a_deadline_that_is_over_begins_nothing() -> None:
    """The block is not entered at all."""
    entered = False
    with pytest.raises(DeadlineExceeded, match="the deadline is over"):
        async with Deadline.after(0):
            entered = True
    assert not entered
    assert current_deadline() is None


async def test_only_a_task_has_such_a_block() -> None:
    """Outside of a task there is nothing to cancel, and nothing stays set."""
    failures: list[BaseException] = []

    def step() -> None:
        try:
            Deadline.after(60).__aenter__().send(None)
        except RuntimeError as exc:
            failures.append(exc)
        assert current_deadline() is None

    asyncio.get_running_loop().call_soon(step)
    await asyncio.sleep(0.01)
    assert "only inside a task" in str(failures[0])


async def test_nested_blocks_end_one_by_one() -> None:
    """The inner one alone where it is shorter; both where the outer one is."""
    async with Deadline.after(60) as outer:
        with pytest.raises(DeadlineExceeded):
            async with Deadline.after(0.01):
                await asyncio.sleep(60)
        assert current_deadline() is outer

    async def work() -> None:
        async with Deadline.after(0.01) as outer:
            try:
                async with Deadline.after(60):
                    assert current_deadline() is outer
                    await asyncio.sleep(60)
            except DeadlineExceeded:
                pytest.fail("the inner block took the outer one's cancellation for its own")

    with pytest.raises(DeadlineExceeded):
        await work()


async def test_one_deadline_ends_several_blocks() -> None:
    """Nested in one task, and in several tasks at once."""
    deadline = Deadline.after(0.02)

    async def work() -> None:
        async with deadline, deadline:
            await asyncio.sleep(60)

    results = await asyncio.gather(work(), work(), return_exceptions=True)
    assert [type(result) for result in results] == [DeadlineExceeded, DeadlineExceeded]


async def test_a_cancellation_from_outside_wins() -> None:
    """At the same moment, and before: the task ends as cancelled, not as late."""

    async def work() -> None:
        async with Deadline.after(0.01):
            loop = asyncio.get_running_loop()
            task = asyncio.current_task()
            assert task is not None
            loop.call_later(0.01, task.cancel)
            time.sleep(0.03)  # noqa: ASYNC251  # both timers are due in the same round
            await asyncio.sleep(60)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(work())


async def test_a_block_that_goes_on_is_not_late() -> None:
    """Work that handles the cancellation has its result, as with `asyncio.timeout`."""
    async with Deadline.after(0.01):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_lifted_deadline_counts_nowhere() -> None:
    """It is not the current one, shortens no other, and ends no block."""

    class Liftable(Deadline):
        lifted = False

    deadline = Liftable.after(0.01)
    with deadline_scope(deadline):
        assert current_deadline() is deadline
        deadline.lifted = True  # type: ignore[misc]
        assert current_deadline() is None
        later = Deadline.after(60)
        with deadline_scope(later):
            assert current_deadline() is later
    async with deadline:
        await asyncio.sleep(0.03)
