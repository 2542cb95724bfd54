"""Calls in parallel: all results, or the first error and nothing left running."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Generator
from typing import Any

import pytest

from sanic_ms.context import current_request
from sanic_ms.utils import async_execute, async_request


class Work:
    """A coroutine function that counts what started, ended and was cancelled."""

    def __init__(self, expected: int = 1) -> None:
        self.started = self.ended = self.cancelled = 0
        self.expected = expected
        self.all_started = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, result: Any = None, error: BaseException | None = None) -> Any:
        self.started += 1
        if self.started == self.expected:
            self.all_started.set()
        try:
            if error is not None:
                raise error
            await self.go.wait()
        except asyncio.CancelledError:
            # Cleaning up takes a moment: whoever cancels has to wait for it.
            await asyncio.sleep(0)
            self.cancelled += 1
            raise
        else:
            return result
        finally:
            self.ended += 1


async def value(result: Any) -> Any:
    await asyncio.sleep(0)
    return result


async def test_results_are_put_where_they_belong() -> None:
    """`[target, key, awaitable]` as the blueprint writes it; targets may be lists too."""
    user: dict[str, Any] = {"id": 1, "city_id": 3, "role_id": 4}
    rows = [None, None]
    await async_request(
        [
            [user, "city_id", value({"id": 3})],
            (user, "role_id", value({"id": 4})),
            [rows, 1, value("x")],
        ]
    )
    assert user == {"id": 1, "city_id": {"id": 3}, "role_id": {"id": 4}}
    assert rows == [None, "x"]


async def test_nothing_to_do_is_fine() -> None:
    """Empty lists and mappings are no calls."""
    await async_request([])
    assert await async_execute() == []
    assert await async_execute([]) == []
    assert await async_execute({}) == {}


async def test_calls_run_at_the_same_time() -> None:
    """Every call has started before the first has ended."""
    work = Work(100)
    target: dict[int, int] = {}
    running = asyncio.ensure_future(async_request([[target, n, work(n)] for n in range(100)]))
    await work.all_started.wait()
    assert work.ended == 0
    work.go.set()
    await running
    assert target == {n: n for n in range(100)}


@pytest.mark.parametrize("position", [0, 1, 2])
async def test_the_first_error_is_raised_as_it_is(position: int) -> None:
    """The others are cancelled and have ended by then, and no target has changed."""
    work = Work()
    error = LookupError("no city")
    calls = [work(1), work(2)]
    calls.insert(position, work(error=error))
    target: dict[int, Any] = {}
    with pytest.raises(LookupError) as caught:
        await async_request([[target, key, call] for key, call in enumerate(calls)])
    assert caught.value is error
    assert target == {}
    assert (work.started, work.ended) == (3, 3)
    assert work.cancelled == 2


async def test_a_second_error_is_not_lost_noise(caplog: pytest.LogCaptureFixture) -> None:
    """Where several fail, the first is raised and the rest does not show up as never retrieved."""
    work = Work()
    with pytest.raises(KeyError):
        await async_execute([work(error=KeyError()), work(error=ValueError()), work()])
    gc.collect()
    assert caplog.records == []


async def test_cancelling_cancels_every_call() -> None:
    """The caller's cancellation reaches the calls, and is over when they are."""
    work = Work(3)
    running = asyncio.ensure_future(async_execute(work(), work(), work()))
    await work.all_started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (work.ended, work.cancelled) == (3, 3)


async def test_a_cancellation_while_the_rest_ends_is_not_lost() -> None:
    """One that comes while the others are being cancelled still waits for them, and wins."""
    stubborn, ended = asyncio.Event(), asyncio.Event()
    started = asyncio.Event()

    async def slow_to_stop() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stubborn.set()
            await asyncio.sleep(0.02)
            ended.set()

    async def fails() -> None:
        await started.wait()
        raise LookupError

    running = asyncio.ensure_future(async_execute(slow_to_stop(), fails()))
    await stubborn.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended.is_set()


async def test_one_call_fails_alike() -> None:
    """A single call needs no task of its own and behaves the same."""
    with pytest.raises(LookupError):
        await async_request([[{}, "a", Work()(error=LookupError())]])
    assert await async_execute(value(1)) == [1]


async def test_execute_takes_arguments_a_list_and_a_mapping() -> None:
    """Results stand in the order of the calls, or under the same keys."""
    assert await async_execute(value(1), value(2)) == [1, 2]
    assert await async_execute([value(1), value(2)]) == [1, 2]
    assert await async_execute(value(n) for n in range(3)) == [0, 1, 2]
    assert await async_execute({"a": value(1), "b": value(2)}) == {"a": 1, "b": 2}


async def test_any_awaitable_is_a_call() -> None:
    """Futures, tasks and objects with `__await__` work, alone and among others."""

    class Custom:
        def __await__(self) -> Generator[Any, Any, Any]:
            return value(3).__await__()

    future = asyncio.get_running_loop().create_future()
    future.set_result(1)
    task = asyncio.ensure_future(value(2))
    assert await async_execute(future, task, Custom()) == [1, 2, 3]
    assert await async_execute(future) == [1]


async def test_the_request_of_the_task_is_seen_by_every_call() -> None:
    """Context variables reach the calls."""

    class Request:
        id = "r1"

        def get(self, key: str, default: Any = None) -> Any:
            return default

    async def seen() -> Any:
        await asyncio.sleep(0)
        request = current_request.get()
        return request and request.id

    token = current_request.set(Request())
    try:
        assert await async_execute(seen(), seen()) == ["r1", "r1"]
    finally:
        current_request.reset(token)


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ([{}, "a"], r"write \[target, key, awaitable\]"),
        ([{}, "a", 1, 2], "write"),
        ("abc", "write"),
        (None, "write"),
        ([None, "city_id", 1], "may be None"),
        ([{}, "a", 1], "cannot be awaited"),
        ([{}, "a", value], "call the async function"),
    ],
)
async def test_a_wrong_entry_is_refused_before_anything_runs(entry: Any, text: str) -> None:
    """The text says which entry and what to write; no coroutine is left to be warned about."""
    work = Work()
    task = asyncio.ensure_future(work())
    with pytest.raises(TypeError, match=f"entry 1 .*{text}"):
        await async_request([[{}, "x", work()], entry, [{}, "y", task], [None, "z", work()]])
    await asyncio.sleep(0)
    assert work.started <= 1  # the caller's own task
    assert task.cancelled() or task.cancelling()
    gc.collect()


async def test_execute_refuses_what_cannot_be_awaited() -> None:
    """Coroutines beside it are closed, so that nothing warns of them."""
    work = Work()
    for wrong in ((work(), 1), ([work(), None],), ({"a": work(), "b": 2},), (7,), ("text",)):
        with pytest.raises(TypeError, match="takes awaitables"):
            await async_execute(*wrong)
    gc.collect()
    assert work.started == 0
