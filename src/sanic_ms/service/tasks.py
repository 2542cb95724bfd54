"""Background tasks of a service: kept, named, logged when they fail, and ended at a stop."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, cast

from sanic import Sanic

from sanic_ms.awake import AwakeClock, wait_awake
from sanic_ms.context import service_context
from sanic_ms.exception import LifecycleError
from sanic_ms.resilience import deadline_scope
from sanic_ms.server.process.cpus import usable_cpus
from sanic_ms.server.process.shutdown import cancel_tasks, finish_tasks
from sanic_ms.service.background import BackgroundHealth, BackgroundTask
from sanic_ms.utils.blocking import BlockingCalls

if TYPE_CHECKING:
    from sanic_ms.config import Settings
    from sanic_ms.lifecycle import Component

__all__ = [
    "BackgroundTasks",
    "TaskKeepingSanic",
    "cancel_all",
    "end_tasks",
    "end_tasks_of_runner",
    "in_running_loop",
    "label_of",
    "run_background",
]

log = logging.getLogger("sanic_ms.service")

_SERVER_TASK = "RunServer"  # Sanic's name for a task that serves a further application
_SERVER_STOP = 15.0  # seconds for the stop of one of those


class BackgroundTasks:
    """The running tasks of `Sanic.add_task`, beside those that Sanic keeps.

    Sanic keeps only those that have a name, and at shutdown cancels only what it keeps.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self.health = BackgroundHealth()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._at_start: list[BackgroundTask[Any]] = []
        self._has_stopped = False

    def open(self) -> None:
        """The service starts, in this event loop."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """The service has stopped: nothing may be begun any more."""
        self._loop, self._has_stopped = None, True

    @property
    def other_loop(self) -> asyncio.AbstractEventLoop | None:
        """The service's event loop, where this thread is not the one in which it runs."""
        loop = self._loop
        return None if in_running_loop() and asyncio.get_running_loop() is loop else loop

    def begin(self, app: Any, task: BackgroundTask[Any]) -> None:
        """Begin a task, from any thread; before the service runs: with its start.

        Raises:
            LifecycleError: the service has stopped.
        """
        context = task.context()
        loop = self.other_loop
        if self._loop is None:
            if self._has_stopped:
                raise LifecycleError(f"app.background({task.name}): the service has stopped")
            self._at_start.append(task)
        elif loop is None:
            # In its context as a whole: callbacks of a task keep the one in which they were added.
            context.run(self._begin, app, task)
        else:
            loop.call_soon_threadsafe(self._begin, app, task, context=context)

    def begin_all(self, app: Any) -> None:
        """Begin the tasks that were to start with the service."""
        for task in self._at_start:
            self._begin(app, task)

    def leave(self) -> None:
        """A stop was announced."""
        for task in self.health.tasks:
            task.leave()

    def _begin(self, app: Any, task: BackgroundTask[Any]) -> None:
        def create(call: Callable[[Any], Any], name: str) -> asyncio.Task[Any]:
            created = asyncio.get_running_loop().create_task(run_background(call, app))
            self.add(created, name)
            if task.supervised:
                self.health.tasks.append(task)
                created.add_done_callback(lambda _: self.health.tasks.remove(task))
                app.add(self.health)
            return created

        task.begin(create)

    def add(self, task: asyncio.Future[Any], label: str) -> None:
        """Keep a task until it ends. One that fails is logged then, with its traceback.

        Args:
            label: The task's name for the log, where it was given none.
        """
        if label and isinstance(task, asyncio.Task):
            task.set_name(label)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_log_task_failure)

    def __iter__(self) -> Iterator[asyncio.Task[Any]]:
        return iter(tuple(self._tasks))


class TaskKeepingSanic(Sanic[Any, Any]):
    """Sanic's background tasks, and what becomes of them at a stop, for a service."""

    __slots__ = ()
    _background: BackgroundTasks
    add: Callable[[Component], None]
    _left_to_runner: bool = False  # the tasks, until it has stopped

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """As Sanic's; in a thread the event loop of the service, for
        `asyncio.run_coroutine_threadsafe`."""
        loop = None if in_running_loop() else self._background.other_loop
        return super().loop if loop is None else loop

    def background(
        self,
        function: Callable[..., Any],
        /,
        *args: Any,
        name: str | None = None,
        supervise: bool = False,
        **keywords: Any,
    ) -> BackgroundTask[Any]:
        """Call a function beside everything else, from any thread, and do not wait for it.

        At a stop it may finish within ``GRACEFUL_SHUTDOWN_TIMEOUT``; then it is cancelled, before
        any pool closes. A failure is logged. It runs without the current request and its deadline.
        Before the service runs it is kept, and begun when the service serves, in each worker.

        Args:
            function: A coroutine function, or a plain one, which runs in a thread.
            args: Its arguments.
            name: The task's name in the log; default the function's.
            supervise: Begin it again, after a pause, whenever it ends or fails, until the stop.
            keywords: Its keyword arguments.

        Returns:
            The task, to cancel it or to await its result.

        Raises:
            TypeError: that is no function to call, such as a coroutine that is made already.
            LifecycleError: the service has stopped.
        """
        task: BackgroundTask[Any] = BackgroundTask(
            function, args, keywords, name=name, supervised=supervise
        )
        self._background.begin(self, task)
        return task

    def add_task(self, task: Any, **keywords: Any) -> Any:
        """As Sanic's, and from any thread while the service runs."""
        loop = self._background.other_loop
        if loop is None:
            return super().add_task(task, **keywords)

        async def add() -> Any:
            return super(TaskKeepingSanic, self).add_task(task, **keywords)

        return asyncio.run_coroutine_threadsafe(add(), loop).result()

    @functools.cached_property
    def blocking_calls(self) -> BlockingCalls:
        """The threads and processes of `sanic_ms.utils.run_blocking`."""
        settings: Settings = cast(Any, self).settings
        processors = usable_cpus()
        threads, processes = settings.blocking_threads, settings.blocking_processes
        return BlockingCalls(
            threads=min(32, processors + 4) if threads == "auto" else threads,
            processes=processors if processes == "auto" else processes,
            queue=settings.blocking_queue,
        )

    @property
    def tasks(self) -> Iterator[asyncio.Task[Any]]:
        """Those of `add_task`, with a name or without."""
        return iter((*super().tasks, *self._background))

    @classmethod
    def _prep_task(cls, task: Any, app: Any, loop: Any) -> Coroutine[Any, Any, Any]:
        return run_background(task, app)

    @classmethod
    def _loop_add_task(
        cls, task: Any, app: Any, loop: Any, *, name: str | None = None, register: bool = True
    ) -> asyncio.Task[Any]:
        made: asyncio.Task[Any] = super()._loop_add_task(
            task, app, loop, name=name, register=register
        )
        if register:
            app._background.add(made, "" if name else label_of(task))
        return made

    @staticmethod
    async def run_delayed_task(app: Any, loop: Any, task: Any) -> None:
        """Begin a task that was added before the service ran: one as all others."""
        app._loop_add_task(task, app, loop)

    def shutdown_tasks(self, timeout: float | None = None, increment: float = 0.1) -> None:
        """Cancel the background tasks.

        At the stop of Sanic's runners they may finish first, as under our own; Sanic's function
        goes round for ever there if one does not end at once.

        Args:
            timeout: Seconds for them to finish; default ``GRACEFUL_SHUTDOWN_TIMEOUT``.
            increment: Ignored; Sanic's signature.
        """
        grace = self.config.GRACEFUL_SHUTDOWN_TIMEOUT if timeout is None else timeout
        if in_running_loop():
            if not self._left_to_runner:
                cancel_all(self.tasks)
        else:
            end_tasks_of_runner(lambda: self.tasks, grace)
            self._left_to_runner = False
        self.purge_tasks()


async def run_background(task: Any, app: Any) -> Any:
    """Run what `Sanic.add_task` was given, as Sanic does, but for the warning at a cancellation:
    to be cancelled is how a periodic task ends. The deadline of a request that has added it does
    not count.

    Args:
        task: An awaitable, or a function that gives one, with the application or nothing as its
            argument.
        app: The application.
    """
    # The caller may run in another service, or in none, and has a deadline that is not the task's.
    with service_context(app), deadline_scope(None):
        try:
            if callable(task):
                try:
                    task = task(app)
                except TypeError:
                    task = task()
            if isawaitable(task):
                return await task
        except Exception as exc:
            await app.dispatch("server.exception.report", context={"exception": exc})
            raise
    return None


def in_running_loop() -> bool:
    """Whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, but for those of Sanic's servers."""
    for task in tasks:
        if task.get_name() != _SERVER_TASK:
            task.cancel()


async def end_tasks(tasks: Callable[[], Iterable[asyncio.Task[Any]]], grace: float) -> None:
    """Let tasks finish, and cancel those that take longer; but for those of Sanic's servers.

    Args:
        tasks: Gives those that there are.
        grace: Seconds for them to finish.
    """

    def own() -> Iterator[asyncio.Task[Any]]:
        return (task for task in tasks() if not task.done() and task.get_name() != _SERVER_TASK)

    await finish_tasks(own, grace, AwakeClock())
    await cancel_tasks(own())


def end_tasks_of_runner(tasks: Callable[[], Iterable[asyncio.Task[Any]]], grace: float) -> None:
    """As `end_tasks`, in an event loop that Sanic's runner has stopped; the tasks of its servers,
    which were cancelled, are waited for as well."""

    async def end() -> None:
        await end_tasks(tasks, grace)
        if servers := [task for task in tasks() if not task.done()]:
            await wait_awake(servers, grace + _SERVER_STOP)

    asyncio.get_event_loop().run_until_complete(end())


def label_of(task: Any) -> str:
    """The name of what `Sanic.add_task` was given: that of its function."""
    if isinstance(task, asyncio.Task):
        return task.get_name()
    while isinstance(task, functools.partial):
        task = task.func
    name = getattr(task, "__qualname__", None) or type(task).__qualname__
    return str(name).rpartition("<locals>.")[2]


def _log_task_failure(task: asyncio.Future[Any]) -> None:
    if not task.cancelled() and (exc := task.exception()) is not None:
        name = task.get_name() if isinstance(task, asyncio.Task) else label_of(task)
        log.error("the background task %s failed", name, exc_info=exc)
