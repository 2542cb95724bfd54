"""Functions that block, beside the event loop: in threads, or in processes where they compute."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sanic_ms.context import current_service
from sanic_ms.exception import DeadlineExceeded, LifecycleError
from sanic_ms.lifecycle import Component, Health
from sanic_ms.resilience import current_deadline
from sanic_ms.utils.processes import ProcessPool
from sanic_ms.utils.threads import ThreadPool

__all__ = ["BlockingCalls", "current_calls", "name_of", "run_blocking"]

log = logging.getLogger("sanic_ms.utils")

T = TypeVar("T")


async def run_blocking(
    function: Callable[..., T], /, *args: Any, processes: bool = False, **keywords: Any
) -> T:
    """Call a function that blocks in a thread, or in another process, and await its result.

    The thread has the context variables of the caller: the current request, service and span. At
    most ``BLOCKING_THREADS`` functions run at once, and further calls wait. Where the caller has a
    deadline, it waits no longer. A caller that is cancelled takes back a call that waits; a
    function that runs cannot be stopped, and has its thread until it ends.

    Args:
        function: A plain function.
        args: Its arguments.
        processes: Run it in a process of its own, of which there are ``BLOCKING_PROCESSES``, each
            made at its first call: for work that keeps a processor busy. The function, its
            arguments and its result are pickled, so it stands in a module. It sees neither context
            variables nor the running service.
        keywords: Its keyword arguments.

    Raises:
        TypeError: it is a coroutine function, or nothing that can be called, or with ``processes``
            cannot be pickled.
        DeadlineExceeded: the caller's deadline has passed. The function may run on.
        ServiceUnavailable: ``BLOCKING_QUEUE`` calls wait already.
        RuntimeError: with ``processes``: the process was killed. The next call has a new one.
        LifecycleError: the service has stopped.
        Exception: what the function raises.
    """
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise TypeError(
            f"run_blocking({function!r}): give a plain function and its arguments"
            + ("; a coroutine function is awaited" if callable(function) else "")
        )
    call = functools.partial(function, *args, **keywords) if args or keywords else function
    calls = current_calls()
    if processes:
        return await calls.run_in_process(call, name_of(function))
    return await calls.run_in_thread(call, name_of(function))


class BlockingCalls(Component):
    """The threads and processes of one service, or of a script.

    Both are made when they are first needed.

    Args:
        threads: The most threads; default the number of processors and four, at most 32.
        processes: The most processes; default the number of processors.
        queue: The most calls that may wait for a thread, and for a process.
    """

    name = "blocking"

    def __init__(
        self, *, threads: int | None = None, processes: int | None = None, queue: int = 1000
    ) -> None:
        processors = os.cpu_count() or 1
        self._sizes = threads or min(32, processors + 4), processes or processors
        self._queue = queue
        self._lock = threading.Lock()
        self._threads: ThreadPool | None = None
        self._processes: ProcessPool | None = None
        self._stopped = False

    async def run_in_thread(
        self, call: Callable[[], T], name: str, context: contextvars.Context | None = None
    ) -> T:
        """Call a function in a thread; see `run_blocking`.

        Args:
            call: The function.
            name: Its name, for messages.
            context: What it runs in; default a copy of the caller's.
        """
        with self._lock:
            self._check(name)
            if self._threads is None:
                self._threads = ThreadPool(self._sizes[0], queue=self._queue)
            pool = self._threads
        run = functools.partial((context or contextvars.copy_context()).run, call)
        return await _result(pool, run, name)  # type: ignore[no-any-return]

    async def run_in_process(self, call: Callable[[], T], name: str) -> T:
        """Call a function in a process; see `run_blocking`."""
        with self._lock:
            self._check(name)
            if self._processes is None:
                self._processes = ProcessPool(self._sizes[1], queue=self._queue)
            pool = self._processes
        return await _result(pool, call, name)  # type: ignore[no-any-return]

    async def start(self) -> None:
        """Take calls again, after a stop."""
        self._stopped = False

    async def stop(self) -> None:
        """Drop the calls that wait, and let those that run finish for some seconds. A function that
        takes longer runs on in its thread; processes are killed."""
        with self._lock:
            self._stopped = True
            pools, self._threads, self._processes = (self._threads, self._processes), None, None
        ends = [asyncio.to_thread(pool.close) for pool in pools if pool is not None]
        left = [name for names in await asyncio.gather(*ends) for name in names]
        if left:
            log.error("blocking functions that did not end: %s", ", ".join(left))

    async def check(self) -> Health:
        """Up, with the number of functions that run and wait."""
        pools = [pool for pool in (self._threads, self._processes) if pool is not None]
        running = sum(len(pool.running) for pool in pools)
        waiting = sum(pool.waiting for pool in pools)
        return Health("up", f"{running} running, {waiting} waiting" if running else "")

    def _check(self, name: str) -> None:
        if self._stopped:
            raise LifecycleError(f"run_blocking({name}): the service has stopped")


_outside = BlockingCalls()  # where no service runs


def current_calls() -> BlockingCalls:
    """The threads and processes of the running service; where none runs, those of the process."""
    try:
        calls = getattr(current_service(), "blocking_calls", None)
    except LifecycleError:
        return _outside
    return calls if isinstance(calls, BlockingCalls) else _outside


async def _result(pool: ThreadPool | ProcessPool, call: Callable[[], Any], name: str) -> Any:
    deadline = current_deadline()
    if deadline is not None and deadline.expired:
        raise DeadlineExceeded(f"{name} was not called: the deadline has passed")
    future = pool.submit(call, name)
    awaited = asyncio.wrap_future(future)
    try:
        if deadline is None:
            return await awaited
        async with asyncio.timeout(deadline.remaining) as limit:
            return await awaited
    except asyncio.CancelledError:
        _leave(future, name)
        raise
    except TimeoutError as exc:
        if deadline is None or not limit.expired():
            raise  # the function's own
        _leave(future, name)
        raise DeadlineExceeded(f"{name} did not end before the deadline") from exc


def _leave(future: Future[Any], name: str) -> None:
    """Have the failure of a function logged whose caller waits for it no longer."""
    if future.done():  # it has raised the cancellation itself
        return

    def log_failure(future: Future[Any]) -> None:
        if not future.cancelled() and (exc := future.exception()) is not None:
            log.error("%s failed after its caller had left", name, exc_info=exc)

    future.add_done_callback(log_failure)


def name_of(function: Any) -> str:
    """The name of a function, for people: of a partial that of what stands in it."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return str(name).rpartition("<locals>.")[2]
