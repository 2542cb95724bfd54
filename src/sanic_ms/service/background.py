"""Background work of a service: begun from anywhere, finished at a stop, restarted where asked."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
import random
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future
from contextvars import Context, copy_context
from time import monotonic
from typing import Any, Generic, TypeVar, cast

from sanic_ms.context import current_request
from sanic_ms.lifecycle import Component, Health
from sanic_ms.shapes.wrappers import objects_of
from sanic_ms.utils.blocking import current_calls, name_of

__all__ = ["BackgroundHealth", "BackgroundTask", "pause_before"]

log = logging.getLogger("sanic_ms.service")

T = TypeVar("T")

_PAUSE = 0.5  # seconds before the first restart; doubled with each further one
_LONGEST_PAUSE = 30.0
_STABLE = 30.0  # seconds after which a task has run well, and the next failure is the first again


class BackgroundTask(Generic[T]):
    """A task that `Service.background` has begun, or will begin with the service.

    ``await task`` gives what the function gives, or raises what it raises; a caller that is
    cancelled while it waits does not cancel the task.

    Attributes:
        name: Its name, in the log and in the health.
        supervised: Whether it is restarted when it ends.
        failure: The name of the error for which it waits for its restart; empty while it runs.

    Args:
        function: What is called.
        args: Its arguments.
        keywords: Its keyword arguments.
        name: Default: the function's name.
        supervised: See above.

    Raises:
        TypeError: that is no function to call.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        args: Iterable[Any] = (),
        keywords: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        supervised: bool = False,
    ) -> None:
        _check(function)
        if not (name is None or (isinstance(name, str) and name)):
            raise TypeError(f"app.background(name={name!r}): give a text")
        self.name = name or name_of(function)
        self.supervised = supervised
        self.failure = ""
        self._call = functools.partial(function, *args, **(keywords or {}))
        self._is_async = any(map(inspect.iscoroutinefunction, objects_of(function)))
        self._result: Future[T] = Future()
        self._task: asyncio.Task[T] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._cancelled = False
        self._leaving = False

    def __repr__(self) -> str:
        return f"<BackgroundTask {self.name}>"

    def __await__(self) -> Generator[Any, None, T]:
        return asyncio.shield(asyncio.wrap_future(self._result)).__await__()

    def done(self) -> bool:
        """Whether it has ended, or was cancelled."""
        return self._result.done()

    def cancel(self) -> None:
        """Cancel it, from any thread. One that has ended stays as it is; one that has not begun
        never begins. A function that runs in a thread runs on, and nothing waits for it."""
        self._cancelled = True
        if self._loop is None:
            self._result.cancel()
            return
        try:
            is_here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            is_here = False
        if is_here:
            self._cancel()
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended
            self._loop.call_soon_threadsafe(self._cancel)

    # --- for the service, in its event loop ------------------------------------------------------

    def context(self) -> Context:
        """The context in which it runs: the caller's without the current request. A supervised
        task outlives all requests, so it takes nothing of its caller's."""
        if self.supervised:
            return Context()
        context = copy_context()
        if current_request.get() is not None:
            context.run(current_request.set, cast(Any, None))
        return context

    def begin(self, create: Callable[[Callable[[Any], Any], str], asyncio.Task[T]]) -> None:
        """Begin it, unless it was cancelled before. Called again at a further start of the service.

        Args:
            create: Makes a task that calls a function with the application.
        """
        if self._cancelled:
            self._result.cancel()
            return
        if self._result.done():
            self._result = Future()
        self._leaving = False
        self._loop = asyncio.get_running_loop()
        run = self._supervise if self.supervised else self._run
        self._task = create(lambda app: run(), self.name)
        self._task.add_done_callback(self._ended)

    def leave(self) -> None:
        """A stop was announced: a supervised task is not restarted any more."""
        self._leaving = True
        if self.failure:
            self._cancel()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _ended(self, task: asyncio.Task[T]) -> None:
        result = self._result
        if task.cancelled():
            result.cancel()
        elif (exc := task.exception()) is not None:
            result.set_exception(exc)
        else:
            result.set_result(task.result())

    async def _run(self) -> Any:
        try:
            if self._is_async:
                return await self._call()
            value = await current_calls().run_in_thread(self._call, self.name)
            return await value if inspect.isawaitable(value) else value
        except SystemExit as exc:  # out of a task it would end the process, with all its requests
            raise RuntimeError(f"{self.name} raised {exc!r}") from exc

    async def _supervise(self) -> None:
        failures = 0
        # No endless loop to the eyes of a stop: it waits for the function, as for any other task.
        while not self._leaving:
            begun = monotonic()
            error = await self._failed()
            failures = 1 if monotonic() - begun >= _STABLE else failures + 1
            await self._wait(error, pause_before(failures))

    async def _failed(self) -> Exception | None:
        """Run it, and give what it raised."""
        try:
            await self._run()
        except Exception as exc:
            return exc
        return None

    async def _wait(self, error: Exception | None, pause: float) -> None:
        """Wait for the restart, unless the service stops."""
        if error is not None:
            text = "the background task %s failed; again in %.1f s"
            log.error(text, self.name, pause, exc_info=error)
        if self._leaving:
            return
        if error is None:
            log.warning("the background task %s ended; again in %.1f s", self.name, pause)
        self.failure = "its end" if error is None else type(error).__name__
        del error  # its traceback keeps what the function had
        await asyncio.sleep(pause)
        self.failure = ""


def pause_before(restart: int) -> float:
    """Seconds before a restart: doubled with each, capped, and half of them at random, so that
    the workers of a service do not all come back at the same moment.

    Args:
        restart: Its number in a row, from 1.
    """
    longest = min(_LONGEST_PAUSE, _PAUSE * 2.0 ** min(restart - 1, 16))
    return longest * random.uniform(0.5, 1.0)


class BackgroundHealth(Component):
    """The supervised tasks of a service, in its health: degraded while one waits for its restart.
    The service stays ready, since requests do not wait for it."""

    name = "background"

    def __init__(self) -> None:
        self.tasks: list[BackgroundTask[Any]] = []

    async def start(self) -> None:
        """Nothing: the service begins the tasks."""

    async def stop(self) -> None:
        """Nothing: the tasks have ended by now, and each leaves the list at its end."""

    async def check(self) -> Health:
        """How the tasks are."""
        waiting = [f"{task.name} after {task.failure}" for task in self.tasks if task.failure]
        if waiting:
            return Health("degraded", "restarts " + ", ".join(sorted(waiting)))
        return Health("up")


def _check(function: Any) -> None:
    if inspect.isawaitable(function):
        if inspect.iscoroutine(function):
            function.close()  # or Python would warn of it besides
        raise TypeError(
            f"app.background({function!r}): give the function and its arguments, "
            "app.background(send, mail), not what it returns (app.add_task takes that)"
        )
    if not callable(function):
        raise TypeError(f"app.background({function!r}): give a function, sync or async")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"app.background({name_of(function)}): it is a generator, and never runs")
