"""A bounded pool of threads, for functions that block."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any

from sanic_ms.exception import LifecycleError, ServiceUnavailable

__all__ = ["ThreadPool"]

_END = 5.0  # seconds that running calls have at a close
_LOOK = 0.01  # seconds between two looks at them


class _Call:
    """A call, and the future of its result."""

    __slots__ = ("function", "future", "name")

    def __init__(self, function: Callable[[], Any], name: str) -> None:
        self.function = function
        self.name = name
        self.future: Future[Any] = Future()

    def run(self) -> Callable[[], None]:
        """Call the function, and give what tells its caller."""
        try:
            result = self.function()
        except StopIteration as exc:  # a future cannot carry one, and its caller would wait on
            error = RuntimeError(f"{self.name} raised StopIteration")
            error.__cause__ = exc
            return partial(self.future.set_exception, error)
        except BaseException as exc:
            return partial(self.future.set_exception, exc)
        return partial(self.future.set_result, result)


class ThreadPool:
    """Threads that are started when they are needed, up to a number.

    They are daemons: one that never returns does not keep the process from its end, as one of
    `concurrent.futures.ThreadPoolExecutor` would.

    Args:
        size: The most threads.
        queue: The most calls that may wait for one.
        name: The beginning of the threads' names.
        setting: The setting for ``queue``, for the error.
    """

    def __init__(
        self, size: int, *, queue: int, name: str = "blocking", setting: str = "BLOCKING_QUEUE"
    ) -> None:
        self.size = size
        self._queue = queue
        self._name = name
        self._setting = setting
        self._lock = threading.Lock()
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._waiting: set[_Call] = set()
        self._running: set[_Call] = set()
        self._threads = 0
        self._closed = False

    @property
    def running(self) -> list[str]:
        """The names of the functions that run now."""
        with self._lock:
            return sorted(call.name for call in self._running)

    @property
    def waiting(self) -> int:
        """How many calls wait for a thread."""
        return len(self._waiting)

    def submit(self, function: Callable[[], Any], name: str) -> Future[Any]:
        """Call a function in a thread; from any thread. To cancel the future drops a call that
        waits, and does nothing to one that runs.

        Args:
            function: The function.
            name: Its name, for messages.

        Raises:
            LifecycleError: the pool is closed.
            ServiceUnavailable: too many calls wait already.
        """
        call = _Call(function, name)
        with self._lock:
            if self._closed:
                raise LifecycleError(f"run_blocking({name}): the service has stopped")
            surplus = len(self._waiting) - (self._threads - len(self._running))
            if surplus >= 0 and self._threads < self.size:
                self._start_thread()
            elif surplus >= self._queue:
                raise ServiceUnavailable(
                    f"{self._queue} calls wait for a thread already ({self._setting})",
                    headers={"Retry-After": "1"},
                )
            self._waiting.add(call)
            self._calls.put(call)
        call.future.add_done_callback(lambda future: self._drop(call))
        return call.future

    def close(self, timeout: float = _END) -> list[str]:
        """Drop the calls that wait, and wait for those that run. Twice is once.

        Args:
            timeout: Seconds to wait.

        Returns:
            The names of the functions that still run. They end with the process.
        """
        end = time.monotonic() + timeout
        with self._lock:
            self._closed = True
            dropped = tuple(self._waiting)
            for _ in range(self._threads):
                self._calls.put(None)
        for call in dropped:
            call.future.cancel()
        while self.running and time.monotonic() < end:
            time.sleep(_LOOK)
        atexit.unregister(self.close)
        return self.running

    def _start_thread(self) -> None:
        if not self._threads:
            atexit.register(self.close)
        self._threads += 1
        name = f"{self._name}-{self._threads}"
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def _drop(self, call: _Call) -> None:
        if call.future.cancelled():
            with self._lock:
                self._waiting.discard(call)
            call.function = _nothing  # it stays in the queue, without its arguments

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            if call.future.set_running_or_notify_cancel():
                with self._lock:
                    self._waiting.discard(call)
                    self._running.add(call)
                tell = call.run()
                with self._lock:  # before its caller hears of it: the thread is free for the next
                    self._running.discard(call)
                tell()
                del tell
            del call  # or an idle thread would keep the last result


def _nothing() -> None:
    """In the place of a function that is not called any more."""
