"""A thread that runs one connection's slow work, with as little between as possible.

`concurrent.futures` takes two locks and a condition a call; one `queue.SimpleQueue` and one
`call_soon_threadsafe` do, in two thirds of the time (`docs/design/pool.md`).
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["WorkerThread"]

Result = TypeVar("Result")
Job = tuple["asyncio.Future[Any]", asyncio.AbstractEventLoop, Callable[[], Any]]


class WorkerThread:
    """Runs functions one after the other on a thread of its own, which starts at the first.

    Attributes:
        pending: Functions handed in that have not ended, cancelled ones included.
    """

    __slots__ = ("_jobs", "_name", "_thread", "pending")

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.pending = 0

    def submit(self, function: Callable[[], Result]) -> asyncio.Future[Result]:
        """Run ``function`` after those before it. Cancelling the future does not stop it."""
        if self._thread is None:
            # A daemon: a statement that does not end must not keep the process from its own end.
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self.pending += 1
        self._jobs.put((future, loop, function))
        return future

    def end(self) -> None:
        """Let the thread end after what it has to do."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread = None

    def _work(self) -> None:
        get = self._jobs.get
        while (job := get()) is not None:
            future, loop, function = job
            result: Any = None
            failure: BaseException | None = None
            try:
                result = function()
            except BaseException as exc:
                failure = exc
            try:
                loop.call_soon_threadsafe(self._done, future, result, failure)
            except RuntimeError:
                pass  # the loop has been closed: nobody waits any more
            # Nothing of the job may live on until the next one comes.
            job = future = function = result = failure = None  # type: ignore[assignment]

    def _done(
        self, future: asyncio.Future[Any], result: Any, failure: BaseException | None
    ) -> None:
        self.pending -= 1
        if future.done():
            return
        if failure is not None:
            future.set_exception(failure)
        else:
            future.set_result(result)
