"""Functions that block, in threads and in processes: bounded, cancelled, killed, closed."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from tests.processes import alive

from sanic_ms.exception import DeadlineExceeded, LifecycleError, ServiceUnavailable
from sanic_ms.resilience import Deadline, deadline_scope
from sanic_ms.utils import run_blocking
from sanic_ms.utils.blocking import BlockingCalls, current_calls, name_of
from sanic_ms.utils.threads import ThreadPool

_user: ContextVar[str] = ContextVar("user", default="nobody")


class Fussy(Exception):
    """Cannot be unpickled."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


def pid_of(number: int = 0, *, more: int = 0) -> tuple[int, int]:
    """A computation."""
    return os.getpid(), number + more


def die() -> None:
    """As the kernel does where memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


def fail(text: str) -> None:
    """A bug."""
    raise ValueError(text)


def fail_fussily() -> None:
    """An exception that breaks pools."""
    raise Fussy(1, 2)


def leave() -> None:
    """The end of a process."""
    sys.exit(3)


def unpicklable() -> Any:
    """Something that cannot be sent back."""
    return lambda: 1


class Gate:
    """Functions that wait until the test lets them go."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.opened = threading.Event()
        self.calls = 0

    def wait(self) -> int:
        """Wait, and count."""
        self.calls += 1
        self.entered.release()
        assert self.opened.wait(30)
        return self.calls

    async def wait_for(self, number: int = 1) -> None:
        """Until so many have begun."""
        for _ in range(number):
            assert await asyncio.to_thread(self.entered.acquire, timeout=30)


@pytest.fixture
def gate() -> Any:
    """Opened at the end, or threads would outlive the test."""
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
async def calls(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[BlockingCalls]:
    """Two threads, one process, and a queue of one, in the place of those of the process."""
    calls = BlockingCalls(threads=2, processes=1, queue=1)
    monkeypatch.setattr("sanic_ms.utils.blocking._outside", calls)
    yield calls
    await calls.stop()


async def test_a_thread_has_the_context_of_the_caller() -> None:
    """Its result and its exceptions come back; what it sets stays there."""
    _user.set("ann")
    main = threading.get_ident()

    def work(first: int, *, second: int) -> tuple[str, bool, int]:
        seen = _user.get()
        _user.set("bob")
        return seen, threading.get_ident() == main, first + second

    assert await run_blocking(work, 1, second=2) == ("ann", False, 3)
    assert _user.get() == "ann"
    with pytest.raises(ValueError, match="no stock"):
        await run_blocking(fail, "no stock")
    with pytest.raises(RuntimeError, match="next raised StopIteration"):
        await run_blocking(next, iter(()))


@pytest.mark.parametrize("function", [None, 3, asyncio.sleep])
async def test_what_cannot_be_called_there(function: Any) -> None:
    """A coroutine function is awaited and not blocking; the error says so."""
    with pytest.raises(TypeError, match="give a plain function") as caught:
        await run_blocking(function)
    assert ("is awaited" in str(caught.value)) == (function is asyncio.sleep)
    coroutine = asyncio.sleep(0)
    with pytest.raises(TypeError):
        await run_blocking(coroutine)  # type: ignore[arg-type]
    coroutine.close()


async def test_no_more_run_than_there_are_threads(calls: BlockingCalls, gate: Gate) -> None:
    """One more waits, and the next is refused with 503 until a thread is free."""
    tasks = [asyncio.create_task(run_blocking(gate.wait)) for _ in range(3)]
    await gate.wait_for(2)
    assert (await calls.check()).detail == "2 running, 1 waiting"
    with pytest.raises(ServiceUnavailable, match="BLOCKING_QUEUE") as caught:
        await run_blocking(gate.wait)
    assert caught.value.headers == {"Retry-After": "1"}
    assert gate.calls == 2
    gate.opened.set()
    await asyncio.gather(*tasks)
    assert gate.calls == 3
    assert (await calls.check()).detail == ""
    assert await run_blocking(pid_of) == (os.getpid(), 0)


async def test_a_cancelled_call_that_waits_is_dropped(calls: BlockingCalls, gate: Gate) -> None:
    """Its place in the queue is free. One that runs goes on, and has its thread until it ends."""
    running = [asyncio.create_task(run_blocking(gate.wait)) for _ in range(2)]
    await gate.wait_for(2)
    waiting = asyncio.create_task(run_blocking(gate.wait))
    await asyncio.sleep(0)
    for task in (waiting, running[0]):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await calls.check()).detail == "2 running, 0 waiting"
    behind = asyncio.create_task(run_blocking(gate.wait))
    await asyncio.sleep(0)
    assert (await calls.check()).detail == "2 running, 1 waiting"
    gate.opened.set()
    await running[1]
    await behind
    assert gate.calls == 3


async def test_waiting_ends_at_the_deadline(calls: BlockingCalls, gate: Gate) -> None:
    """For a thread, and for the function; one whose deadline has passed is not called."""
    with deadline_scope(Deadline.after(0.05)), pytest.raises(DeadlineExceeded, match="did not end"):
        await run_blocking(gate.wait)
    running = asyncio.create_task(run_blocking(gate.wait))
    await gate.wait_for(2)
    with deadline_scope(Deadline.after(0.05)), pytest.raises(DeadlineExceeded):
        await run_blocking(gate.wait)
    with deadline_scope(Deadline.after(0)), pytest.raises(DeadlineExceeded, match="not called"):
        await run_blocking(gate.wait)
    assert gate.calls == 2
    gate.opened.set()
    with deadline_scope(Deadline.after(30)), pytest.raises(TimeoutError, match="its own"):
        await run_blocking(_time_out)
    await running


def _time_out() -> None:
    raise TimeoutError("its own")


async def test_a_failure_without_a_caller_is_logged(
    calls: BlockingCalls, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug is never silent."""

    def work() -> None:
        gate.wait()
        raise ValueError("late")

    task = asyncio.create_task(run_blocking(work))
    await gate.wait_for()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.opened.set()
    async with asyncio.timeout(30):
        while not caplog.records:  # noqa: ASYNC110 - a thread logs
            await asyncio.sleep(0.01)
    assert caplog.messages == ["work failed after its caller had left"]
    assert caplog.records[0].exc_info is not None
    assert caplog.records[0].levelno == logging.ERROR


async def test_a_process_computes(calls: BlockingCalls) -> None:
    """The same one for the next call; errors have the traceback of the process as a note."""
    pid, number = await run_blocking(pid_of, 3, more=4, processes=True)
    assert (pid != os.getpid(), number) == (True, 7)
    assert (await run_blocking(pid_of, processes=True))[0] == pid
    with pytest.raises(ValueError, match="no stock") as caught:
        await run_blocking(fail, "no stock", processes=True)
    assert "in fail\n" in caught.value.__notes__[0]
    with pytest.raises(RuntimeError, match="Fussy: 1 and 2"):
        await run_blocking(fail_fussily, processes=True)
    with pytest.raises(TypeError, match="what the function returned cannot be pickled"):
        await run_blocking(unpicklable, processes=True)
    with pytest.raises(TypeError, match=r"run_blocking\(<lambda>, processes=True\): .* picklable"):
        await run_blocking(lambda: 1, processes=True)
    assert (await run_blocking(pid_of, processes=True))[0] == pid


async def test_a_killed_process_fails_one_call(calls: BlockingCalls) -> None:
    """The error says how it ended; the next call has a new one, also after a death between."""
    with pytest.raises(RuntimeError, match=r"run_blocking\(die, .* was ended by SIGKILL"):
        await run_blocking(die, processes=True)
    with pytest.raises(RuntimeError, match="ended with exit code 3"):
        await run_blocking(leave, processes=True)
    pid, _ = await run_blocking(pid_of, processes=True)
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(30):
        while alive(pid):  # noqa: ASYNC110 - the system tells
            await asyncio.sleep(0.01)
    assert (await run_blocking(pid_of, processes=True))[0] not in (pid, os.getpid())


async def test_processes_do_not_die_of_the_signals_of_a_group(calls: BlockingCalls) -> None:
    """A terminal and some inits signal every process; the calls of requests in flight go on."""
    pid, _ = await run_blocking(pid_of, processes=True)
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGINT)
    assert (await run_blocking(pid_of, processes=True))[0] == pid


async def test_a_stop_ends_all(
    calls: BlockingCalls, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    """Calls that wait are dropped, processes end, the next call is an error; a start opens again.
    Twice is once."""
    pid, _ = await run_blocking(pid_of, processes=True)
    tasks = [asyncio.create_task(run_blocking(gate.wait)) for _ in range(3)]
    await gate.wait_for(2)
    asyncio.get_running_loop().call_later(0.05, gate.opened.set)
    await calls.stop()
    await calls.stop()
    assert gate.calls == 2
    assert not alive(pid)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(entry) for entry in results] == [int, int, asyncio.CancelledError]
    for processes in (False, True):
        with pytest.raises(LifecycleError, match="the service has stopped"):
            await run_blocking(pid_of, processes=processes)
    assert caplog.messages == []
    await calls.start()
    assert await run_blocking(pid_of, 1) == (os.getpid(), 1)


async def test_functions_that_do_not_end_are_named_at_a_stop(
    calls: BlockingCalls,
    gate: Gate,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They run on; the stop is bounded."""
    monkeypatch.setattr(ThreadPool.close, "__defaults__", (0.05,))
    task = asyncio.create_task(run_blocking(gate.wait))
    await gate.wait_for()
    await calls.stop()
    assert caplog.messages == ["blocking functions that did not end: Gate.wait"]
    gate.opened.set()
    assert await task == 1


def test_names() -> None:
    """Of functions, partials and objects."""
    assert name_of(functools.partial(functools.partial(fail), "x")) == "fail"
    assert name_of(Gate.wait) == "Gate.wait"
    assert name_of(functools.cache(test_names)) == "test_names"
    assert name_of(threading.Event()) == "Event"


async def test_sizes_are_those_of_the_machine_unless_told() -> None:
    """Processors and four, at most 32."""
    processors = os.cpu_count() or 1
    assert BlockingCalls()._sizes == (min(32, processors + 4), processors)
    assert BlockingCalls(threads=3, processes=2)._sizes == (3, 2)
    assert isinstance(current_calls(), BlockingCalls)


@pytest.mark.parametrize("abandoned", ["time.sleep(0.5)", "time.sleep(600)"])
def test_a_script_needs_no_service(tmp_path: Path, abandoned: str) -> None:
    """At its end a function that runs may finish for some seconds, and none holds the process up;
    the processes end with it."""
    script = tmp_path / "script.py"
    script.write_text(f"""
import asyncio, os, time
from sanic_ms.utils import run_blocking

def work():
    {abandoned}
    print("finished", flush=True)

async def main():
    print(await run_blocking(os.getpid, processes=True), flush=True)
    task = asyncio.create_task(run_blocking(work))
    await asyncio.sleep(0.1)

if __name__ == "__main__":
    asyncio.run(main())
""")
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert time.monotonic() - begin < 30
    assert (done.returncode, done.stderr) == (0, "")
    pid, *rest = done.stdout.split()
    assert not alive(int(pid))
    assert rest == (["finished"] if abandoned == "time.sleep(0.5)" else [])
