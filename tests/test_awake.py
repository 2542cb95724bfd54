"""Deadlines that do not count the time in which the process is stopped."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from sanic_ms.awake import LONGEST_LOOK, AwakeClock, AwakeTimer, wait_awake

Jump = Callable[[float], None]


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Jump:
    """Let the clock go ahead by so many seconds, as it does while the process is stopped."""
    real = time.monotonic
    ahead = 0.0

    def jump(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds

    monkeypatch.setattr("sanic_ms.awake.time.monotonic", lambda: real() + ahead)
    return jump


def test_a_clock_stands_still_while_the_process_is_stopped(jump: Jump) -> None:
    """A gap between two readings counts up to a second; what is shorter counts whole."""
    clock = AwakeClock()
    jump(0.5)
    assert 0.5 <= clock.time() < 60
    before = clock.time()
    jump(3600)
    assert clock.time() - before == LONGEST_LOOK


def test_a_timer_fires_after_its_time_and_not_after_a_pause(jump: Jump) -> None:
    """A cancelled one never does; one without patience does at once."""
    fired, never = threading.Event(), threading.Event()
    timer = AwakeTimer(600, never.set)
    jump(3600)
    AwakeTimer(0.0, fired.set)
    assert fired.wait(60)
    timer.cancel()
    timer.cancel()
    assert not never.is_set()


async def test_waiting_survives_a_pause(jump: Jump) -> None:
    """What is done is given with what is not, at the end of the time or as soon as is asked for."""
    loop = asyncio.get_running_loop()
    first: asyncio.Future[None] = loop.create_future()
    second: asyncio.Future[None] = loop.create_future()
    loop.call_soon(jump, 3600)
    loop.call_later(0.4, first.set_result, None)
    done, pending = await wait_awake({first, second}, 600, return_when=asyncio.FIRST_COMPLETED)
    assert (done, pending) == ({first}, {second})
    assert await wait_awake({first, second}, 0.0) == ({first}, {second})
    second.set_result(None)
    assert await wait_awake({first, second}, 600) == ({first, second}, set())
