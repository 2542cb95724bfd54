"""A bounded pool of processes, for functions that compute."""

from __future__ import annotations

import contextlib
import pickle
import signal
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.util import Finalize
from typing import Any

from sanic_ms.utils.threads import ThreadPool

__all__ = ["ProcessPool", "answer_calls"]

# Not fork: a copy of a process with threads, connections and an event loop is not safe to run.
_spawn = get_context("spawn")
_END = 5.0  # seconds for a process that has closed its pipe
_SIGNALS = {signal.SIGINT, signal.SIGTERM}


class ProcessPool:
    """Processes that are started when they are needed, up to a number.

    A thread for each sends it a call and waits for the result. So a process that dies takes one
    call with it, where `concurrent.futures.ProcessPoolExecutor` would fail all.

    Args:
        size: The most processes.
        queue: The most calls that may wait for one.
    """

    def __init__(self, size: int, *, queue: int) -> None:
        self._threads = ThreadPool(size, queue=queue, name="blocking-process")
        self._local = threading.local()
        self._processes: set[_ChildProcess] = set()
        self._lock = threading.Lock()
        # The functions that `multiprocessing` runs at an exit, before it waits for its processes.
        self._at_exit = Finalize(self, partial(_kill_all, self._processes), exitpriority=10)

    @property
    def size(self) -> int:
        """The most processes."""
        return self._threads.size

    @property
    def running(self) -> list[str]:
        """The names of the functions that run now."""
        return self._threads.running

    @property
    def waiting(self) -> int:
        """How many calls wait for a process."""
        return self._threads.waiting

    def submit(self, function: Callable[[], Any], name: str) -> Future[Any]:
        """Call a function in a process; as `ThreadPool.submit`.

        Args:
            function: The function; it is pickled.
            name: Its name, for messages.
        """
        return self._threads.submit(partial(self._call, function, name), name)

    def close(self, timeout: float = 5.0) -> list[str]:
        """Drop the calls that wait, wait for those that run, and end all processes.

        Args:
            timeout: Seconds to wait.

        Returns:
            The names of the functions that ran still, and were killed.
        """
        killed = self._threads.close(timeout)
        self._at_exit()
        return killed

    def _call(self, function: Callable[[], Any], name: str) -> Any:
        try:
            payload = pickle.dumps(function)
        except Exception as exc:
            raise TypeError(
                f"run_blocking({name}, processes=True): the function and its arguments must be "
                f"picklable, as functions of a module are: {exc}"
            ) from exc
        process: _ChildProcess | None = getattr(self._local, "process", None)
        if process is None or not process.is_alive:
            process = self._local.process = self._start()
        try:
            answer = process.ask(payload)
        except (EOFError, OSError) as exc:
            end = process.end()
            with self._lock:
                self._processes.discard(process)
            raise RuntimeError(
                f"run_blocking({name}, processes=True): the process {end} before the function did"
            ) from exc
        result, error, text = pickle.loads(answer)
        if error is not None:
            error.add_note(f"in the process {process.pid}:\n{text}")
            raise error
        return result

    def _start(self) -> _ChildProcess:
        process = _ChildProcess()
        with self._lock:
            self._processes.add(process)
        return process


class _ChildProcess:
    """A process that answers calls."""

    def __init__(self) -> None:
        self._pipe, theirs = _spawn.Pipe()
        self._process = _spawn.Process(target=answer_calls, args=(theirs,), name="blocking")
        # The tracker unblocks SIGINT when it starts, so it starts first. The mask is for a signal
        # that comes before the process ignores it.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        self.pid = self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it runs; one that was killed while it was idle does not."""
        return self._process.is_alive()

    def ask(self, payload: bytes) -> bytes:
        """Have it call a function, and wait for the answer.

        Raises:
            EOFError, OSError: the process has ended.
        """
        self._pipe.send_bytes(payload)
        return self._pipe.recv_bytes()

    def end(self) -> str:
        """Wait for its end, and say in words how it ended."""
        self._process.join(_END)
        self._process.kill()  # nothing that has lost its pipe is of use
        self._process.join()
        self._pipe.close()
        code = self._process.exitcode or 0
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.join()


def _kill_all(processes: set[_ChildProcess]) -> None:
    for process in tuple(processes):
        process.kill()
    processes.clear()


def answer_calls(connection: Connection) -> None:
    """Call what comes, in a process of the pool, until the other end of the pipe is closed."""
    for number in _SIGNALS:  # those of a terminal or an init, for all; the pool ends its processes
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    with contextlib.suppress(EOFError, OSError):
        while True:
            connection.send_bytes(_answer(connection.recv_bytes()))


def _answer(payload: bytes) -> bytes:
    """The result or the exception, and the text of the traceback. What cannot be pickled, and what
    could not be read again, becomes an error that can."""
    try:
        result = pickle.loads(payload)()
    except Exception as exc:
        text = traceback.format_exc()
        try:
            answer = pickle.dumps((None, exc, text))
            pickle.loads(answer)
        except Exception:
            return pickle.dumps((None, RuntimeError(f"{type(exc).__qualname__}: {exc}"), text))
        return answer
    try:
        return pickle.dumps((result, None, ""))
    except Exception as exc:
        error = TypeError(f"what the function returned cannot be pickled: {exc}")
        return pickle.dumps((None, error, traceback.format_exc()))
