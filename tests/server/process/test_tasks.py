"""Background tasks at a stop: they finish, and those that never do end without a word."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sanic.asgi import Lifespan

from sanic_ms import Service
from sanic_ms.server.process.periodic import Progress, progress_of

Run = Callable[..., Any]

ORDERS = """
import sys

def say(text):
    sys.stdout.write(text + "\\n")

async def confirm(order, seconds=0.5):
    await asyncio.sleep(seconds)
    say(f"confirmed {order}")
    if order < 3:
        app.add_task(confirm(order + 10, 0.1))

@app.get("/order")
async def order(request):
    number = int(request.args.get("n"))
    seconds = float(request.args.get("s", "0.5"))
    request.app.add_task(confirm(number, seconds), name=f"order-{number}" if number % 2 else None)
    return number

async def tick(kind):
    try:
        while True:
            await asyncio.sleep(60)
    finally:
        say(f"{kind} ended")

async def late(app):
    await asyncio.sleep(0.3)
    say("late finished")

app.add_task(tick("early tick"))
app.add_task(late)

@app.before_server_start
async def start(app):
    app.add_task(tick("tick"))
    app.add_task(tick("named tick"), name="ticker")

@app.before_server_stop
async def stop(app):
    app.add_task(confirm(99))

@app.after_server_stop
async def told(app):
    say("listener told")
"""


@pytest.mark.parametrize("protocol", ["strict", "sanic"])
def test_background_tasks_finish_within_the_grace_period(run: Run, kit: Any, protocol: str) -> None:
    """With a name or without, begun by a request, by another task, before the start or in the stop;
    before the listeners that give resources back. Periodic ones end without a warning, and are
    waited for by nobody."""
    server = run(server=kit.SERVER + ORDERS, SERVER_PROTOCOL=protocol)
    server.wait_for("serves at")
    for number in range(1, 5):
        kit.ask(server.port, f"/order?n={number}")
    server.signal()
    assert server.end() == 0
    before, told, _ = server.output.partition("listener told")
    assert told
    for text in (
        *(f"confirmed {number}\n" for number in (1, 2, 3, 4, 11, 12, 99)),
        "late finished",
        "early tick ended",
        "named tick ended",
    ):
        assert before.count(text) == 1, server.output
    assert "WARNING" not in server.output
    assert "cancelled" not in server.output


def test_tasks_that_take_longer_are_cancelled_and_named(run: Run, kit: Any) -> None:
    """After the grace period, in one line, and before the listeners that give resources back."""
    server = run(server=kit.SERVER + ORDERS, GRACEFUL_SHUTDOWN_TIMEOUT="1")
    server.wait_for("serves at")
    kit.ask(server.port, "/order?n=5&s=100")
    kit.ask(server.port, "/order?n=6&s=100")
    server.signal()
    assert server.end() == 0
    line = "background tasks that run after 1 s are cancelled: confirm, order-5\n"
    # The log's lines come from another thread than what is printed.
    assert server.output.count(line) == 1, server.output
    assert server.output.count("WARNING") == 1
    assert "listener told" in server.output
    assert "confirmed 5" not in server.output


FAILING = """
async def fail():
    raise ValueError("no stock")

@app.get("/fail")
async def failing(request):
    request.app.add_task(fail(), name="shipping")
    request.app.add_task(fail)
    return 1

@app.before_server_start
async def start(app):
    app.add_task(fail(), name="starting")
"""


def test_a_task_that_raises_is_logged_at_once(run: Run, kit: Any) -> None:
    """With its name, or that of its function, and the traceback; once."""
    server = run(server=kit.SERVER + FAILING)
    server.wait_for("the background task starting failed")
    server.wait_for("serves at")
    kit.ask(server.port, "/fail")
    server.wait_for("the background task shipping failed")
    server.wait_for("the background task fail failed")
    kit.wait_until(lambda: server.output.count("ValueError: no stock\n") == 3)
    assert server.output.count('raise ValueError("no stock")') == 3
    server.signal(signal.SIGINT)
    assert server.end() == 0
    assert server.output.count("no stock") == 6
    assert "never retrieved" not in server.output


async def test_tasks_finish_under_an_asgi_server_too() -> None:
    """Before the listeners that give resources back; periodic ones are cancelled."""
    app = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)
    said: list[str] = []

    @app.after_server_start
    async def start(app: Any) -> None:
        async def confirm() -> None:
            await asyncio.sleep(0.2)
            said.append("confirmed")

        async def tick() -> None:
            try:
                while True:  # noqa: ASYNC110 - a periodic task
                    await asyncio.sleep(60)
            finally:
                said.append("ticked")

        app.add_task(confirm())
        app.add_task(tick(), name="tick")

    @app.after_server_stop
    async def stop(app: Any) -> None:
        said.append("stopped")

    events = iter(("lifespan.startup", "lifespan.shutdown"))
    sent: list[str] = []

    async def receive() -> dict[str, str]:
        return {"type": next(events)}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    # As the application does when it is called; Sanic's test client replaces that call.
    app.asgi = True
    scope: Any = {"type": "lifespan", "asgi": {"version": "3.0"}}
    await Lifespan(app, scope, receive, send)()
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert said == ["confirmed", "ticked", "stopped"]
    assert list(app.tasks) == []


# --- which tasks end by themselves ---------------------------------------------------------------


async def forever(queue: asyncio.Queue[int]) -> None:
    while True:
        await queue.get()


async def guarded(queue: asyncio.Queue[int]) -> int:
    async with contextlib.AsyncExitStack():
        try:
            while True:
                await queue.get()
        except (KeyError, asyncio.CancelledError):
            return 1
        finally:
            queue.task_done()


async def nested(queue: asyncio.Queue[int]) -> None:
    await forever(queue)


async def working(queue: asyncio.Queue[int]) -> None:
    while True:
        await once(queue)


async def once(queue: asyncio.Queue[int]) -> None:
    await queue.get()


async def until_empty(queue: asyncio.Queue[int]) -> None:
    while True:
        try:
            await queue.get()
        except LookupError:
            break


async def with_condition(queue: asyncio.Queue[int]) -> None:
    while queue.empty():
        await queue.get()


async def retried(queue: asyncio.Queue[int]) -> int:
    while True:
        with contextlib.suppress(ValueError):
            return await queue.get()


async def over(queue: asyncio.Queue[int]) -> int:
    async for number in _each(queue):
        del number
    return 1


async def _each(queue: asyncio.Queue[int]) -> AsyncIterator[int]:
    while True:
        yield await queue.get()


@pytest.mark.parametrize(
    ("function", "progress"),
    [
        (forever, Progress.PAUSE),
        (guarded, Progress.PAUSE),
        (nested, Progress.PAUSE),
        (working, Progress.ROUND),
        (once, Progress.ENDING),
        (until_empty, Progress.ENDING),
        (with_condition, Progress.ENDING),
        (retried, Progress.ENDING),
        (over, Progress.ENDING),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_loop_without_an_end_is_found(function: Any, progress: Progress) -> None:
    """Where nothing leads out of it but an exception that nobody catches, or a cancellation."""
    task = asyncio.ensure_future(function(asyncio.Queue()))
    await asyncio.sleep(0)  # so that it has begun
    assert progress_of(task) is progress
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
