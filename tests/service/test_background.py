"""Background work: begun from anywhere, without its request, restarted where asked, and health."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import uuid
import weakref
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import Any

import pytest

from sanic_ms import Request, Service, current_service
from sanic_ms.context import current_request
from sanic_ms.exception import LifecycleError
from sanic_ms.resilience import Deadline, current_deadline, deadline_scope
from sanic_ms.service import background
from sanic_ms.service.background import pause_before
from sanic_ms.testing import TestClient

_tenant: ContextVar[str] = ContextVar("tenant", default="none")


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - of any kind
            await asyncio.sleep(0.005)


@pytest.fixture
def app() -> Service:
    """A service that does not run."""
    return Service(f"service_{uuid.uuid4().hex}", configure_logging=False)


@pytest.fixture
async def running(app: Service) -> AsyncIterator[Service]:
    """One that runs."""
    async with TestClient(app):
        yield app


class Gate:
    """What tasks wait for."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.calls: list[Any] = []

    async def work(self, *args: Any, **keywords: Any) -> Any:
        """Wait, and give the arguments."""
        self.calls.append((args, keywords))
        await self.opened.wait()
        return args, keywords


def plain(first: int, *, second: int = 0) -> tuple[int, bool]:
    """Something that blocks."""
    return first + second, threading.current_thread() is threading.main_thread()


async def fail() -> None:
    """A bug."""
    raise ValueError("no stock")


async def test_a_task_runs_beside_its_caller(running: Service) -> None:
    """Its handle gives the result, several times; coroutine functions, plain ones, in a thread, and
    plain ones that give a coroutine."""
    gate = Gate()
    task = running.background(gate.work, 1, two=2)
    await until(lambda: gate.calls)
    assert not task.done()
    assert "Gate.work" in repr(task)
    assert "Gate.work" in {entry.get_name() for entry in running.tasks}
    gate.opened.set()
    assert await task == ((1,), {"two": 2})
    assert await task == ((1,), {"two": 2})
    assert task.done()
    assert await running.background(plain, 1, second=2) == (3, False)
    assert await running.background(lambda: gate.work(7)) == ((7,), {})
    named = running.background(gate.work, name="mail")
    assert named.name == "mail"
    await named
    assert not [*running.tasks]


async def test_a_failure_is_logged_with_its_name(
    running: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """And its traceback, once; who awaits it gets it too."""
    task = running.background(fail, name="shipping")
    with pytest.raises(ValueError, match="no stock"):
        await task
    records = [entry for entry in caplog.records if entry.levelno >= logging.ERROR]
    assert [entry.getMessage() for entry in records] == ["the background task shipping failed"]
    assert records[0].exc_info is not None


@pytest.mark.parametrize("is_async", [True, False])
async def test_an_exit_is_a_failure(
    running: Service, caplog: pytest.LogCaptureFixture, is_async: bool
) -> None:
    """One task does not end the process, whose requests go on: it has failed as with any error."""

    def leave() -> None:
        raise SystemExit(3)

    async def leave_later() -> None:
        leave()

    task = running.background(leave_later if is_async else leave, name="leaver")
    with pytest.raises(RuntimeError, match=r"^leaver raised SystemExit\(3\)$"):
        await task
    assert "the background task leaver failed" in caplog.text


async def test_cancelling(running: Service, caplog: pytest.LogCaptureFixture) -> None:
    """A waiter that is cancelled leaves the task alone. One that is cancelled itself ends without a
    line in the log; twice is once, and one that has ended stays as it is."""
    gate = Gate()
    task = running.background(gate.work)
    await until(lambda: gate.calls)
    waiter = asyncio.ensure_future(_result(task))
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert not task.done()
    await asyncio.to_thread(task.cancel)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    done = running.background(plain, 1)
    await done
    done.cancel()
    await asyncio.sleep(0)
    assert await done == (1, False)
    early = running.background(gate.work)
    early.cancel()  # before its first step
    await until(early.done)
    assert len(gate.calls) == 1
    assert not [entry for entry in caplog.records if entry.levelno >= logging.WARNING]


async def _result(task: Any) -> Any:
    return await task


@pytest.mark.parametrize("supervise", [False, True])
async def test_nothing_of_the_request_goes_along(app: Service, supervise: bool) -> None:
    """Neither itself, which would live as long as the task, nor its deadline. The service is the
    current one; other variables are those of the caller, unless the task outlives all requests."""
    gate, seen, requests = Gate(), [], []

    async def work() -> None:
        seen.append((current_request.get(), current_deadline(), current_service(), _tenant.get()))
        await gate.opened.wait()

    @app.get("/")
    async def begin(request: Request) -> bool:
        requests.append(weakref.ref(request))
        _tenant.set("acme")
        with deadline_scope(Deadline.after(0.01)):
            app.background(work, supervise=supervise)
        return current_request.get() is request

    async with TestClient(app) as client:
        assert (await client.get("/")).json["data"] is True
        await until(lambda: seen)
        assert seen == [(None, None, app, "none" if supervise else "acme")]
        gc.collect()
        assert requests[0]() is None
        gate.opened.set()


async def test_from_a_thread(running: Service) -> None:
    """Of a plain handler, say: tasks begin in the event loop of the service, and `add_task` works
    there as well, and so does ``app.loop``."""
    gate = Gate()
    loop = asyncio.get_running_loop()

    async def where() -> bool:
        return asyncio.get_running_loop() is loop and current_service() is running

    def work() -> tuple[Any, Any, bool]:
        task = running.add_task(where(), name="added")
        return running.background(where), task, running.loop is loop

    begun, added, is_loop = await asyncio.to_thread(work)
    assert is_loop
    assert await begun
    assert await added
    gate.opened.set()


async def test_before_the_start_and_after_the_stop(app: Service) -> None:
    """Kept until the service serves, and begun at each start; refused when it has stopped."""
    gate = Gate()
    task = app.background(gate.work, 1)
    dropped = app.background(gate.work, 2)
    dropped.cancel()
    assert (task.done(), dropped.done()) == (False, True)
    gate.opened.set()
    for _ in range(2):
        async with TestClient(app):
            assert await task == ((1,), {})
        with pytest.raises(LifecycleError, match=r"app.background\(plain\): the service has stop"):
            app.background(plain, 1)
    assert gate.calls == [((1,), {}), ((1,), {})]


async def test_a_listener_after_the_stop_begins_nothing(app: Service) -> None:
    """Nothing would end it; one before the stop does, and the task finishes."""
    gate, seen = Gate(), []
    gate.opened.set()

    @app.before_server_stop
    async def before(app: Any) -> None:
        app.background(gate.work)

    @app.after_server_stop
    async def after(app: Any) -> None:
        seen.append(len(gate.calls))
        with pytest.raises(LifecycleError):
            app.background(gate.work)

    async with TestClient(app):
        pass
    assert seen == [1]


async def _generate() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("function", [None, "mail", _generate], ids=["none", "text", "generator"])
async def test_what_is_no_function(app: Service, function: Any) -> None:
    """At once, where the call stands."""
    with pytest.raises(TypeError, match=r"app\.background"):
        app.background(function)


async def test_a_coroutine_is_no_function(app: Service) -> None:
    """The error says how to write it, and Python has nothing to warn of."""
    with pytest.raises(TypeError, match=r"app.background\(send, mail\)"):
        app.background(fail())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="give a text"):
        app.background(fail, name="")


async def test_a_supervised_task_is_begun_again(
    running: Service, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an error and after an end, with a pause between; meanwhile the health is degraded and
    says why, without the text of the error. Its failures in a row are forgotten when it has run
    well."""
    pauses: list[int] = []
    going = asyncio.Event()

    def pause(restart: int) -> float:
        pauses.append(restart)
        return 0.001 if going.is_set() else 600

    monkeypatch.setattr(background, "pause_before", pause)
    runs = 0

    async def consume() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise ConnectionError("amqp://user:secret@broker")
        if runs == 4:
            monkeypatch.setattr(background, "_STABLE", 0.0)
        if runs == 5:
            await asyncio.Event().wait()

    assert "background" not in await running.lifecycle.check()
    task = running.background(consume, supervise=True, name="consumer")
    await until(lambda: task.failure)
    await until(lambda: "background" in {part.name for part in running.lifecycle})
    health = (await running.lifecycle.check())["background"]
    assert (health.status, health.detail) == ("degraded", "restarts consumer after ConnectionError")
    assert running.lifecycle.ready
    assert "the background task consumer failed; again in 600.0 s" in caplog.messages
    assert not task.done()
    task.cancel()
    await until(task.done)
    assert (await running.lifecycle.check())["background"].status == "up"

    going.set()
    runs, pauses[:] = 0, []
    again = running.background(consume, supervise=True, name="again")
    await until(lambda: runs == 5)
    assert pauses == [1, 2, 3, 1]
    assert "the background task again ended; again in 0.0 s" in caplog.messages
    assert not again.failure
    again.cancel()


async def test_a_stop_ends_supervised_tasks(app: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that waits for its restart ends at once, and one that ends in the stop is not begun
    again."""
    monkeypatch.setattr(background, "pause_before", lambda restart: 600.0)
    gate = Gate()
    async with asyncio.timeout(10):
        async with TestClient(app):
            failing = app.background(fail, supervise=True)
            finishing = app.background(gate.work, supervise=True)
            await until(lambda: failing.failure and gate.calls)
            asyncio.get_running_loop().call_later(0.1, gate.opened.set)
    assert (failing.done(), finishing.done()) == (True, True)
    assert len(gate.calls) == 1


def test_pauses_grow_to_a_limit() -> None:
    """Doubled, with half of them at random, and at most half a minute."""
    for restart, longest in ((1, 0.5), (2, 1.0), (3, 2.0), (7, 30.0), (10_000, 30.0)):
        pauses = {pause_before(restart) for _ in range(50)}
        assert longest / 2 <= min(pauses) < max(pauses) <= longest


async def test_blocking_functions_stop_with_the_service(app: Service) -> None:
    """Its threads are its own, as many as the settings say."""
    from sanic_ms.context import service_context
    from sanic_ms.utils import run_blocking
    from sanic_ms.utils.blocking import current_calls

    app.configure(blocking_threads=3, blocking_processes=2, blocking_queue=5)
    async with TestClient(app):
        with service_context(app):
            assert current_calls() is app.blocking_calls
            assert await run_blocking(plain, 1) == (1, False)
        assert app.blocking_calls._sizes == (3, 2)
    with service_context(app), pytest.raises(LifecycleError):
        await run_blocking(plain, 1)
    assert current_calls() is not app.blocking_calls
