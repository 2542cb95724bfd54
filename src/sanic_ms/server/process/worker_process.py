"""A worker process as its master sees it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from multiprocessing import get_context, resource_tracker

from sanic_ms.awake import AwakeClock
from sanic_ms.server.process.worker import Job, work

__all__ = ["WorkerProcess"]

_spawn = get_context("spawn")


class WorkerProcess:
    """One process, from its start to its end.

    Attributes:
        job: What it was given.
        number: Its place among the workers, from 0.
        pid: Its process id.
        ready: Since when it serves, by the master's clock; None before.
        heard: When it was last heard of.
        deadline: When it is to be killed, for it was told to stop; None: it was not.
        reason: What it said why it failed, or what the master found wrong with it.
        over: Done when it has ended.

    Args:
        clock: The master's, which stands still while the master is stopped.
        on_word: Called with the worker, and what it says.
        on_end: Called with the worker when it has ended.
    """

    def __init__(
        self,
        job: Job,
        number: int,
        *,
        clock: AwakeClock,
        on_word: Callable[[WorkerProcess, str, str], None],
        on_end: Callable[[WorkerProcess], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.job = job
        self.number = number
        self.ready: float | None = None
        self._clock = clock
        self.heard = self.started = clock.time()
        self.deadline: float | None = None
        self.reason = ""
        self.over: asyncio.Future[int] = self._loop.create_future()
        self.retired = False
        self._settled: asyncio.Future[bool] = self._loop.create_future()
        self._on_word = on_word
        self._on_end = on_end
        self._pipe, theirs = _spawn.Pipe()
        self._process = _spawn.Process(
            target=work, args=(job, number, theirs), name=job.function or f"worker-{number}"
        )
        # The tracker unblocks SIGINT when it starts, so it starts first. Without the mask a Ctrl+C
        # would greet a worker that has no handler yet with a traceback.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            theirs.close()
        self.pid = self._process.pid
        self._loop.add_reader(self._pipe.fileno(), self._read)
        self._loop.add_reader(self._process.sentinel, self._ended)

    @property
    def name(self) -> str:
        """For the log: ``worker 0 (1234)``, or ``process consume (1234)``."""
        function = self.job.function
        return f"{f'process {function}' if function else f'worker {self.number}'} ({self.pid})"

    @property
    def end(self) -> str:
        """How it ended, in words."""
        code = self.over.result()
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"ended with signal {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    async def settled(self) -> bool:
        """Wait until it serves (True) or has ended before that (False)."""
        return await asyncio.shield(self._settled)

    def stop(self, *, last: bool, quick: bool = False) -> None:
        """Tell it to stop.

        Args:
            last: Nobody goes on behind it: it must not leave anybody in the listener's queue.
        """
        self.retired = True
        with contextlib.suppress(OSError):
            self._pipe.send(("stop", last, quick))

    def kill(self, reason: str = "") -> None:
        """End it at once."""
        self.reason = self.reason or reason
        self._process.kill()

    def _read(self) -> None:
        try:
            while self._pipe.poll():
                word, text = self._pipe.recv()
                self.heard = self._clock.time()
                if word == "ready":
                    self.ready = self.heard
                    if not self._settled.done():
                        self._settled.set_result(True)
                elif word == "failed":
                    self.reason = text
                self._on_word(self, word, text)
        except (OSError, EOFError):
            self._loop.remove_reader(self._pipe.fileno())

    def _ended(self) -> None:
        self._read()  # its last words
        self._loop.remove_reader(self._process.sentinel)
        self._loop.remove_reader(self._pipe.fileno())
        self._pipe.close()
        self._process.join()
        code = self._process.exitcode
        self._process.close()
        self.over.set_result(1 if code is None else code)
        if not self._settled.done():
            self._settled.set_result(False)
        self._on_end(self)
