"""The master and workers that want to be replaced; the workers are made of nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from sanic_ms.server.process import supervisor as module
from sanic_ms.server.process.serving import StopTimes
from sanic_ms.server.process.supervisor import Supervisor, WorkerTimeouts
from sanic_ms.server.process.worker import Recycling

TURNS = 20  # of the event loop: more than any answer of the master's takes


class Worker:
    """What the master sees of a process: a test says when it serves and when it ends."""

    def __init__(
        self, job: Any, number: int, *, clock: Any, on_word: Callable[..., None], on_end: Any
    ) -> None:
        self.number = number
        self.job = job
        self.name = f"worker {number} ({len(MADE)})"
        self.ready: float | None = None
        self.started = self.heard = clock.time()
        self.deadline: float | None = None
        self.retired = False
        self.reason = ""
        loop = asyncio.get_running_loop()
        self.over: asyncio.Future[int] = loop.create_future()
        self._settled: asyncio.Future[bool] = loop.create_future()
        self._clock, self._on_word, self._on_end = clock, on_word, on_end
        MADE.append(self)

    end = "ended with exit code 1"

    async def settled(self) -> bool:
        return await asyncio.shield(self._settled)

    def stop(self, *, last: bool, quick: bool = False) -> None:
        self.retired = True
        if last:
            asyncio.get_running_loop().call_soon(self.ends)

    def kill(self, reason: str = "") -> None:
        raise AssertionError(f"{self.name} is killed: {reason}")

    def says(self, word: str, text: str = "") -> None:
        """A message over the pipe."""
        if word == "ready":
            self.ready = self._clock.time()
            self._settled.set_result(True)
        self._on_word(self, word, text)

    def ends(self, code: int = 0) -> None:
        """The process is gone."""
        if self.over.done():
            return
        self.over.set_result(code)
        if not self._settled.done():
            self._settled.set_result(False)
        self._on_end(self)

    @property
    def stands(self) -> str:
        """How it is: new, serves, stopping or over."""
        if self.over.done():
            return "over"
        return "stopping" if self.retired else "serves" if self.ready else "new"


MADE: list[Worker] = []


async def turns() -> None:
    """Let the master do all that it can do now."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


def states() -> list[str]:
    """Of all workers, in the order in which they were started."""
    return [worker.stands for worker in MADE]


@pytest.fixture
async def three(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """A master whose three workers serve; it is told to stop at the end."""
    MADE.clear()
    monkeypatch.setattr(module, "WorkerProcess", Worker)
    job: Any = SimpleNamespace(place=SimpleNamespace(close=lambda unlink: None), function="")
    times = StopTimes(delay=0, grace=1, last=1)
    ready = asyncio.Event()
    master = Supervisor(
        job, 3, name="tiny", times=times, watch=WorkerTimeouts(silence=0), on_ready=ready.set
    )
    running = asyncio.ensure_future(master.run())
    await turns()
    for worker in MADE:
        worker.says("ready")
    await asyncio.wait_for(ready.wait(), 20)
    yield
    os.kill(os.getpid(), signal.SIGTERM)
    assert await asyncio.wait_for(running, 20) == ""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().remove_signal_handler(number)


@pytest.mark.usefixtures("three")
async def test_workers_that_want_to_be_replaced_take_turns() -> None:
    """All reach their limit in the same moment, as evenly loaded ones do: one after the other gets
    its successor, and is asked to stop once that serves; the next is not begun before the process
    has ended. So one more than the usual number lives at most, and all but one serve."""
    for worker in MADE[:]:
        worker.says("renew", "it has served 200 requests")
        worker.says("renew", "said twice")
    await turns()
    assert states() == ["serves", "serves", "serves", "new"]
    MADE[3].says("ready")
    await turns()
    assert states() == ["stopping", "serves", "serves", "serves"]
    MADE[0].ends()
    await turns()
    assert states() == ["over", "serves", "serves", "serves", "new"]
    MADE[4].says("ready")
    await turns()
    assert states() == ["over", "stopping", "serves", "serves", "serves"]
    MADE[1].ends()
    await turns()
    MADE[5].says("ready")
    await turns()
    MADE[2].ends()
    await turns()
    assert states() == ["over"] * 3 + ["serves"] * 3
    assert [worker.number for worker in MADE] == [0, 1, 2] * 2


@pytest.mark.usefixtures("three")
async def test_a_successor_that_does_not_start_costs_nobody_the_turn(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The old worker serves on, and the next that waits is replaced."""
    MADE[2].says("renew", "it holds 300 MB")
    MADE[0].says("renew", "it holds 300 MB")
    await turns()
    assert [worker.number for worker in MADE] == [0, 1, 2, 2]
    MADE[3].reason = "no broker"
    MADE[3].ends(1)
    await turns()
    assert "no broker" in caplog.text
    assert states() == ["serves", "serves", "serves", "over", "new"]
    assert MADE[4].number == 0
    MADE[4].says("ready")
    await turns()
    assert states() == ["stopping", "serves", "serves", "over", "serves"]
    MADE[0].ends()


@pytest.mark.usefixtures("three")
async def test_a_signal_and_a_worker_that_is_used_up_take_turns() -> None:
    """SIGHUP replaces all, one by one; one that wants it itself in between is replaced once."""
    os.kill(os.getpid(), signal.SIGHUP)
    async with asyncio.timeout(20):
        while len(MADE) < 4:  # noqa: ASYNC110
            await asyncio.sleep(0)
    MADE[1].says("renew", "it has served 200 requests")
    for number in range(3):
        async with asyncio.timeout(20):
            while len(MADE) < 4 + number:  # noqa: ASYNC110
                await asyncio.sleep(0)
        await turns()
        assert states().count("new") == 1
        assert states().count("serves") == 3
        MADE[-1].says("ready")
        await turns()
        [old] = [worker for worker in MADE if worker.stands == "stopping"]
        assert old.number == MADE[-1].number
        old.ends()
        await turns()
    assert sorted(worker.number for worker in MADE) == [0, 0, 1, 1, 2, 2]
    assert states() == ["over"] * 3 + ["serves"] * 3


@pytest.mark.usefixtures("three")
async def test_one_that_dies_while_its_successor_starts_is_not_replaced_twice() -> None:
    """It gets a new worker at once, as any that dies; the successor that was under way stops."""
    MADE[0].says("renew", "it has served 200 requests")
    await turns()
    MADE[0].ends(1)
    await turns()
    async with asyncio.timeout(20):
        while len(MADE) < 5:  # noqa: ASYNC110
            await asyncio.sleep(0)
    MADE[4].says("ready")
    MADE[3].says("ready")
    await turns()
    assert states() == ["over", "serves", "serves", "stopping", "serves"]
    MADE[3].ends()
    await turns()
    assert len(MADE) == 5


@pytest.mark.parametrize(
    ("limits", "figures", "reason"),
    [
        (Recycling(), (10**9, 10**12), ""),
        (Recycling(requests=200), (199, 10**12), ""),
        (Recycling(requests=200), (200, 0), "it has served 200 requests"),
        (Recycling(requests=200), (201, 0), "it has served 201 requests"),
        (Recycling(memory=2_000_000), (10**9, 1_999_999), ""),
        (Recycling(memory=2_000_000), (0, 2_000_000), "it holds 2 MB"),
        (Recycling(requests=200, memory=2_000_000), (3, 5_000_000), "it holds 5 MB"),
        (Recycling(requests=200, memory=2_000_000), (300, 5_000_000), "it has served 300 requests"),
    ],
)
def test_a_worker_wants_to_be_replaced_from_its_limit_on(
    limits: Recycling, figures: tuple[int, int], reason: str
) -> None:
    """A limit is reached with its number, and 0 is none."""
    assert limits.reason(*figures) == reason
