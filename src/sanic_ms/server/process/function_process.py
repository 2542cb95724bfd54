"""The life of a process that runs a function of the application, beside those that serve."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import FrameType
from typing import Any

from sanic import Sanic

from sanic_ms.awake import AwakeClock, AwakeTimer
from sanic_ms.server.process.serving import StopTimes
from sanic_ms.server.process.shutdown import cancel_tasks, finish_tasks
from sanic_ms.shapes.wrappers import objects_of

__all__ = ["FunctionProcess", "arguments_of"]

log = logging.getLogger("sanic_ms.server")


class FunctionProcess:
    """One process that runs one function, while the service's components run in an event loop.

    A coroutine function runs in that loop, in the main thread. A plain function has the main
    thread, so that a stop can interrupt it, and the loop has another.

    Args:
        app: The application.
        function: The function. It takes nothing, or the application.
        name: Its name.
        service: Starts the components, and stops them at its exit.
        times: How long a stop may take.
        ready: Called when the components have started and the function begins.
        done: Called when the function has returned by itself.

    Attributes:
        shared, ticks: As those of `Server`.
    """

    def __init__(
        self,
        app: Sanic[Any, Any],
        function: Callable[..., Any],
        *,
        name: str,
        service: Callable[[], AbstractAsyncContextManager[None]],
        times: StopTimes,
        ready: Callable[[], None],
        done: Callable[[], None],
    ) -> None:
        self.shared = False
        self.ticks: list[Callable[[], None]] = []
        self._app = app
        self._call = partial(function, *arguments_of(function, app))
        self._is_async = any(map(inspect.iscoroutinefunction, objects_of(function)))
        self._name = name
        self._service = service
        self._times = times
        self._ready = ready
        self._done = done
        self._loop: asyncio.AbstractEventLoop | None = None
        self._life: asyncio.Task[None] | None = None
        self._asked = asyncio.Event()
        self._stopping = False
        self._started = False
        self._interruptible = False
        self._begun: Future[None] = Future()  # the components have started, or failed to
        self._returned: Future[None] = Future()  # of a plain function
        self._kill: AwakeTimer | None = None

    # --- from outside ----------------------------------------------------------------------------

    def run(self) -> None:
        """Run the function to its end, or until `stop` or SIGTERM.

        Raises:
            Exception: what the function raises, or what kept the components from starting.
        """
        before = signal.signal(signal.SIGTERM, self._on_signal)
        try:
            if self._is_async:
                self._run_loop()
            else:
                self._run_beside_loop()
        finally:
            signal.signal(signal.SIGTERM, before)
            if self._kill is not None:
                self._kill.cancel()
        if not self._stopping:
            self._done()

    def stop(self, *, quick: bool = False) -> None:
        """Begin to stop, from any thread. Twice is once."""
        if not self._stopping:
            # The main thread is told with a signal, which also ends a wait of the system's.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    @property
    def stopping(self) -> bool:
        """Whether a stop has begun."""
        return self._stopping

    def requests(self) -> int:
        """Requests that it has served: none."""
        return 0

    # --- the stop --------------------------------------------------------------------------------

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:
            return
        self._stopping = True
        seconds = self._times.grace + self._times.last
        self._kill = AwakeTimer(seconds, partial(self._end_now, seconds))
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it is over already
                self._loop.call_soon_threadsafe(self._leave)
        if self._interruptible:
            self._interruptible = False
            raise SystemExit(0)

    def _leave(self) -> None:
        if self._started:
            self._asked.set()
        elif self._life is not None:
            self._life.cancel()

    def _end_now(self, seconds: float) -> None:
        line = f"{self._name}: forced exit: the stop took more than {seconds:g} s\n"
        with contextlib.suppress(OSError):
            os.write(2, line.encode())
        os._exit(1)

    # --- the life --------------------------------------------------------------------------------

    def _run_beside_loop(self) -> None:
        thread = threading.Thread(target=self._run_loop_of_thread, name="event-loop", daemon=True)
        thread.start()
        try:
            self._begun.result()
            with self._interrupted():
                value = self._call()
                if inspect.isawaitable(value):
                    raise TypeError(f"{self._name} is a plain function, and returned {value!r}")
            self._returned.set_result(None)
        except BaseException as exc:
            self._returned.set_exception(exc)
        thread.join()
        if not self._returned.cancelled() and not self._stopping:
            self._returned.result()

    @contextlib.contextmanager
    def _interrupted(self) -> Iterator[None]:
        """Let a stop interrupt the block, and end it quietly then."""
        try:
            self._interruptible = True
            if self._stopping:
                raise SystemExit(0)
            yield
        except SystemExit:
            if not self._stopping:
                raise
        finally:
            self._interruptible = False

    def _run_loop_of_thread(self) -> None:
        try:
            self._run_loop()
        except BaseException as exc:
            if not self._begun.done():
                self._begun.set_exception(exc)
            elif not self._returned.done():
                log.exception("the event loop of %s failed", self._name)

    def _run_loop(self) -> None:
        app = self._app
        app.setup_loop()
        with asyncio.Runner() as runner:
            loop = self._loop = runner.get_loop()
            self._life = loop.create_task(self._live())
            if self._stopping:
                self._life.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                loop.run_until_complete(self._life)
            if not self._begun.done():
                self._begun.set_exception(SystemExit(0))

    async def _live(self) -> None:
        async with self._service():
            self._started = True
            self._beat()
            log.info("%s runs", self._name)
            work = asyncio.ensure_future(self._work())
            work.set_name(self._name)
            self._ready()
            asked = asyncio.ensure_future(self._asked.wait())
            await asyncio.wait({work, asked}, return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            clock, grace = AwakeClock(), self._times.grace
            await finish_tasks(lambda: (work, *self._app.tasks), grace, clock)
            await cancel_tasks((work, *self._app.tasks))
        if work.done() and not work.cancelled() and not self._stopping:
            work.result()

    async def _work(self) -> None:
        if self._is_async:
            await self._call()
            return
        self._begun.set_result(None)
        with contextlib.suppress(BaseException):  # the main thread raises it
            await asyncio.wrap_future(self._returned)

    def _beat(self) -> None:
        assert self._loop is not None
        for tick in self.ticks:
            tick()
        self._loop.call_later(1.0, self._beat)


def arguments_of(function: Callable[..., Any], app: Any) -> tuple[Any, ...]:
    """The arguments of a function that takes nothing, or the application.

    Raises:
        TypeError: it takes more.
    """
    signature = inspect.signature(function)
    for arguments in ((), (app,)):
        with contextlib.suppress(TypeError):
            signature.bind(*arguments)
            return arguments
    raise TypeError(f"it takes nothing or the application, not {signature}")
