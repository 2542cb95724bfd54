"""The master of several workers: it serves nothing itself, and keeps them at their number."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sanic_ms.awake import AwakeClock, wait_awake
from sanic_ms.server.process.serving import StopTimes
from sanic_ms.server.process.worker import FAILED, WRONG, Job, Recycling
from sanic_ms.server.process.worker_process import WorkerProcess
from sanic_ms.stop_signals import StopSignals

__all__ = ["Supervisor", "WorkerTimeouts"]

log = logging.getLogger("sanic_ms.server")

_STABLE = 5.0  # seconds after which a worker that ends is an accident, and not a crash loop
_CRASHES = 5  # in a row, in every place: then there is no use in going on
_PAUSE = 0.5  # seconds before the second attempt; doubled with each further one
_LONGEST_PAUSE = 30.0
_SOON = 0.02  # seconds between two looks at workers that start
_LOOK = 0.2  # seconds between two looks at changed files and silent workers
_EXTRA = 5.0  # seconds beyond a worker's own limit, after which it is killed


@dataclass(frozen=True, slots=True)
class WorkerTimeouts:
    """How patient the master is, in seconds in which it runs itself: while it is stopped it hears
    nothing, and workers that are stopped with it can do nothing.

    Attributes:
        start: Until a new worker must serve.
        silence: After which a worker whose event loop does nothing is killed; 0 is never.
    """

    start: float = 30.0
    silence: float = 60.0


class _Slot:
    """A place among the workers, or that of a function."""

    __slots__ = ("crashes", "has_begun", "is_done", "job", "number", "worker")

    def __init__(self, number: int, job: Job) -> None:
        self.number = number
        self.job = job
        self.worker: WorkerProcess | None = None
        self.crashes = 0  # in a row
        self.has_begun = False  # once, whatever came then
        self.is_done = False  # the function has returned

    @property
    def is_ready(self) -> bool:
        """Whether the start of the service need not wait for it."""
        if self.job.function:
            return self.has_begun
        return bool(self.worker and self.worker.ready)


class Supervisor:
    """Starts workers, replaces those that die, and stops them.

    SIGTERM and SIGINT stop them gracefully, a second one at once. SIGHUP replaces them one by one,
    each only when its successor serves; a process that runs a function ends before the next begins.

    Attributes:
        exit_code: For a process whose `run` gave a reason.

    Args:
        job: What each worker gets.
        workers: How many.
        functions: The names of the application's functions that run in processes of their own.
        name: The service's, for the log.
        times: How long a worker's stop may take.
        changed: Called several times a second; gives what has changed in the application's files,
            in words. Workers are then replaced at once, and one that does not start is waited with
            until the next change. None: nothing is watched.
        on_ready: Called once all of them serve for the first time.
    """

    def __init__(
        self,
        job: Job,
        workers: int,
        *,
        name: str,
        times: StopTimes,
        watch: WorkerTimeouts,
        changed: Callable[[], str] | None = None,
        on_ready: Callable[[], None] | None = None,
        functions: Sequence[str] = (),
    ) -> None:
        self._job = job
        jobs = [job] * workers
        jobs += [replace(job, function=name, recycling=Recycling()) for name in functions]
        self._slots = [_Slot(number, job) for number, job in enumerate(jobs)]
        self._name = name
        self._limit = times.delay + times.grace + times.last + _EXTRA
        self._watch = watch
        self._clock = AwakeClock()
        self._changed = changed
        self._on_ready = on_ready
        self._living: set[WorkerProcess] = set()
        self._tasks: set[asyncio.Task[object]] = set()
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._stop_signals = StopSignals()
        self._rolling = asyncio.Lock()
        self._outdated: set[WorkerProcess] | None = None  # to be replaced, while some are
        self._started = False
        self._reason = ""  # why the whole service ended by itself
        self.exit_code = FAILED

    async def run(self) -> str:
        """Work until told to stop.

        Returns:
            Why it ended, if it was not told to: no worker can serve. Empty otherwise.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        try:
            for slot in self._slots:
                self._fill(slot)
            if await self._all_ready():
                self._started = True
                if self._on_ready is not None:
                    self._on_ready()
            while not self._stopping.is_set():
                self._look()
                await self._sleep(_LOOK)
        finally:
            await self._stop()
        return self._reason

    # --- starting --------------------------------------------------------------------------------

    async def _all_ready(self) -> bool:
        while not self._stopping.is_set():
            if all(slot.is_ready for slot in self._slots):
                return True
            self._look()
            await self._sleep(_SOON)
        return False

    def _fill(self, slot: _Slot) -> WorkerProcess:
        worker = slot.worker = self._spawn(slot)
        slot.is_done = False
        return worker

    def _spawn(self, slot: _Slot) -> WorkerProcess:
        worker = WorkerProcess(
            slot.job,
            slot.number,
            clock=self._clock,
            on_word=self._on_word,
            on_end=self._on_end,
        )
        self._living.add(worker)
        return worker

    # --- while they run --------------------------------------------------------------------------

    def _look(self) -> None:
        now = self._clock.time()
        watch = self._watch
        for worker in self._living:
            if worker.retired:
                if worker.deadline is not None and now > worker.deadline:
                    worker.kill(f"did not stop within {self._limit:g} s")
            elif worker.ready is None and now - worker.started > watch.start:
                worker.kill(f"was not ready within {watch.start:g} s (WORKER_START_TIMEOUT)")
            elif worker.ready and watch.silence and now - worker.heard > watch.silence:
                worker.kill(f"did nothing for {watch.silence:g} s (WORKER_SILENCE_TIMEOUT)")
        if self._changed is not None and (what := self._changed()):
            log.info("%s: %s starts anew", what, self._name)
            self._reload()

    def _on_word(self, worker: WorkerProcess, word: str, text: str) -> None:
        slot = self._slots[worker.number]
        if word == "ready":
            slot.has_begun = True
            if self._started and not worker.job.function:  # a function's process says so itself
                log.info("%s serves", worker.name)
        elif word == "done":
            slot.is_done = True
        elif word == "renew":
            self._begin(self._renew(worker, text))
        elif word == "halt":
            self._stopping.set()

    def _on_end(self, worker: WorkerProcess) -> None:
        self._living.discard(worker)
        if worker.over.result() == -signal.SIGTERM:
            # It had no handler yet. Whoever tells all processes of the group to stop has told us as
            # well, and our own signal may be the next thing that the event loop finds.
            asyncio.get_running_loop().call_later(_SOON, self._replace, worker)
        else:
            self._replace(worker)

    def _replace(self, worker: WorkerProcess) -> None:
        """Do what is to be done about a worker that has ended by itself."""
        slot = self._slots[worker.number]
        if self._stopping.is_set() or slot.worker is not worker:
            return
        reason = worker.reason or worker.end
        slot.worker = None
        if slot.is_done:
            log.info("%s has ended: its function has returned", worker.name)
        elif self._changed is not None and worker.ready is None:
            log.error("%s: waiting for a change", reason)
        elif not self._started and worker.ready is None:
            if worker.reason and worker.over.result() == WRONG:
                self.exit_code = WRONG
            self._give_up(f"did not start: {reason}")
        else:
            self._begin(self._refill(slot, worker, reason))

    async def _refill(self, slot: _Slot, worker: WorkerProcess, reason: str) -> None:
        """Put a new worker into the place of one that has ended by itself."""
        now = self._clock.time()
        if worker.ready and (now - worker.ready > _STABLE or worker.over.result() == 0):
            slot.crashes = 0
        else:
            slot.crashes += 1
        name = slot.job.function
        if all(peer.crashes >= _CRASHES for peer in self._slots if peer.job.function == name):
            ends = f"the process {name} ends as soon as it starts"
            ends = ends if name else "workers end as soon as they start"
            self._give_up(f"{ends}, {_CRASHES} times in a row: {reason}")
            return
        pause = 0.0
        if slot.crashes > 1:
            pause = min(_LONGEST_PAUSE, _PAUSE * 2 ** (slot.crashes - 2))
        log.error(
            "%s: %s; a new one starts%s", worker.name, reason, f" in {pause:g} s" if pause else ""
        )
        await self._sleep(pause)
        if not self._stopping.is_set() and slot.worker is None:
            self._fill(slot)

    async def _renew(self, old: WorkerProcess, reason: str) -> bool:
        """Replace a worker that serves: the new one first, so that nobody waits."""
        async with self._rolling:
            slot = self._slots[old.number]
            if slot.worker is not old or self._stopping.is_set():
                return True
            log.info("%s is replaced: %s", old.name, reason)
            if slot.job.function:  # there is never a second one beside it
                slot.worker = None
                self._retire(old)
                await asyncio.shield(old.over)
                return self._stopping.is_set() or await self._fill(slot).settled()
            new = self._spawn(slot)
            if not await new.settled():
                log.error("its successor %s: %s", new.end, new.reason or "no reason given")
                return False
            if self._stopping.is_set():
                return False
            if slot.worker is not old:  # it died meanwhile, and has a successor already
                new.stop(last=False)
                return True
            slot.worker = new
            self._retire(old)
            await asyncio.shield(old.over)
            return True

    def _retire(self, worker: WorkerProcess, *, quick: bool = False) -> None:
        worker.stop(last=False, quick=quick)
        worker.deadline = self._clock.time() + self._limit

    async def _roll(self) -> None:
        """Replace the workers that are outdated, and those that become so meanwhile."""
        try:
            while self._outdated:
                worker = min(self._outdated, key=lambda worker: worker.number)
                self._outdated.discard(worker)
                if not await self._renew(worker, "SIGHUP"):
                    log.error("%s: the others are not replaced, and serve on", self._name)
                    return
        finally:
            self._outdated = None
        log.info("%s: all workers are replaced", self._name)

    def _reload(self) -> None:
        # Not one after the other: what was changed is to be seen, and who asks meanwhile waits.
        for slot in self._slots:
            if slot.worker is not None:
                self._retire(slot.worker, quick=True)
            slot.crashes = 0
            self._fill(slot)

    # --- stopping --------------------------------------------------------------------------------

    def _on_signal(self, number: signal.Signals) -> None:
        if self._stop_signals.is_echo(number):
            return
        if self._stopping.is_set():
            log.warning("%s: forced exit: a second signal (%s)", self._name, number.name)
            self._hurry.set()
        self._stopping.set()

    def _on_hangup(self) -> None:
        if not self._started:
            return
        # Those that have begun before the signal: one that is starting may have read the old code.
        outdated = {worker for worker in self._living if not worker.retired}
        if self._outdated is None:
            self._outdated = outdated
            self._begin(self._roll())
        else:
            self._outdated |= outdated

    def _give_up(self, reason: str) -> None:
        self._reason = self._reason or reason
        self._stopping.set()

    async def _stop(self) -> None:
        for worker in self._living:
            worker.stop(last=True, quick=bool(self._reason))
        self._job.place.close(unlink=False)  # the door is the workers' to close
        ends = [asyncio.shield(worker.over) for worker in self._living]
        if ends:
            all_ended = asyncio.ensure_future(asyncio.wait(ends))
            hurry = asyncio.ensure_future(self._hurry.wait())
            await wait_awake({all_ended, hurry}, self._limit, return_when=asyncio.FIRST_COMPLETED)
            hurry.cancel()
            if not all_ended.done():
                self._reason = self._reason or "workers were killed, for they did not stop in time"
                for worker in self._living:
                    worker.kill()
            await all_ended
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, coroutine: Coroutine[Any, Any, object]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _sleep(self, seconds: float) -> None:
        """Sleep, unless a stop comes."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass
