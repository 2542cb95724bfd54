"""Functions of the application in processes of their own, under the same master."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from typing import Any

import pytest
from tests.processes import alive

Run = Callable[..., Any]

CONSUMER = """
from pathlib import Path
from sanic_ms.context import current_service

def say(text):
    sys.stdout.write(text + "\\n")

import sys

async def consume(app):
    assert current_service() is app
    assert await app.db.fetchval("SELECT 1") == 1
    say(f"consuming in {os.getpid()}")
    try:
        while True:
            await asyncio.sleep(60)
    finally:
        assert await app.db.fetchval("SELECT 2") == 2
        say("consumer ended, the pool was open")

app.worker_process(consume, name="consumer")
"""


def own(server: Any, name: str = "consuming", count: int = 1) -> int:
    """The process of the function."""
    server_lines = f"{name} in "
    while server.output.count(server_lines) < count:
        server.wait_for(server_lines)
    return int(re.findall(rf"{name} in (\d+)", server.output)[-1])


def test_a_function_runs_with_the_components_beside_the_workers(run: Run, kit: Any) -> None:
    """One worker is enough. It is in the summary, and at SIGTERM it is cancelled before its pool
    closes, and nothing outlives the master."""
    server = run(server=kit.SERVER + CONSUMER, DB_URL="sqlite:///:memory:")
    server.wait_for("serves at")
    pid = own(server)
    assert kit.ask(server.port).startswith(b"HTTP/1.1 200")
    assert pid in server.workers()
    assert len(server.workers()) == 2
    server.wait_for("processes")
    assert re.search(r"processes +consumer", server.output)
    assert "consumer runs" in server.output
    server.signal()
    assert server.end() == 0
    assert "consumer ended, the pool was open" in server.output
    assert "Traceback" not in server.output
    assert not alive(pid)


def test_a_killed_process_is_replaced_and_requests_go_on(run: Run, load: Any, kit: Any) -> None:
    """The log names the process, and the workers stay."""
    server = run(server=kit.SERVER + CONSUMER, WORKERS="2", DB_URL="sqlite:///:memory:")
    server.wait_for("serves at")
    first = own(server)
    others = {*server.workers()} - {first}
    with load(server.port) as clients:
        os.kill(first, signal.SIGKILL)
        server.wait_for(f"process consumer ({first}): ended with signal SIGKILL; a new one starts")
        kit.wait_until(lambda: own(server) != first)
    assert (clients.lost, clients.refused) == ([], 0)
    assert others < {*server.workers()}

    second = own(server)
    os.kill(second, signal.SIGTERM)  # from outside: it ends gracefully, and is begun again
    kit.wait_until(lambda: own(server) != second)
    assert server.output.count("consumer ended, the pool was open") == 1
    server.signal()
    assert server.end() == 0


def test_a_reload_never_has_two_of_them(run: Run, kit: Any) -> None:
    """SIGHUP: the old process has ended when the new one begins."""
    server = run(server=kit.SERVER + CONSUMER, DB_URL="sqlite:///:memory:")
    server.wait_for("serves at")
    first = own(server)
    server.signal(signal.SIGHUP)
    server.wait_for("all workers are replaced")
    kit.wait_until(lambda: own(server) != first)
    ended = server.output.index("consumer ended")
    assert server.output.rindex("consuming in") > ended
    server.signal()
    assert server.end() == 0


FAILING = """
async def fail():
    raise ValueError("no broker")

app.worker_process(fail)
"""


def test_a_function_that_fails_at_once_ends_the_service(run: Run, kit: Any) -> None:
    """After five times with pauses between them, as workers do: one line, and exit code 1."""
    server = run(server=kit.SERVER + FAILING)
    server.wait_for("serves at")
    assert server.end() == 1
    last = server.output.splitlines()[-1]
    assert last.startswith("tiny: the process fail ends as soon as it starts, 5 times in a row: ")
    assert "ValueError: no broker" in last
    assert "a new one starts in 0.5 s" in server.output
    assert "Traceback" in server.output  # where it failed


DONE = """
import sys

@app.worker_process
def prepare():
    sys.stdout.write("prepared\\n")
"""


def test_a_function_that_returns_is_not_begun_again(run: Run, kit: Any) -> None:
    """The service serves on."""
    server = run(server=kit.SERVER + DONE)
    server.wait_for("serves at")
    server.wait_for("has ended: its function has returned")
    assert kit.ask(server.port).startswith(b"HTTP/1.1 200")
    server.signal()
    assert server.end() == 0
    assert server.output.count("prepared\n") == 1


PLAIN = """
import sys
from sanic_ms.context import current_service

@app.worker_process
def compute():
    query = current_service().db.fetchval("SELECT 7")
    found = asyncio.run_coroutine_threadsafe(query, current_service().loop).result(30)
    sys.stdout.write(f"computing with {found}\\n")
    try:
        time.sleep(600)
    finally:
        sys.stdout.write("computer ended\\n")
"""


@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["master", "group"])
def test_a_plain_function_is_interrupted_at_a_stop(
    run: Run, kit: Any, send: Callable[[int, int], None]
) -> None:
    """Its ``finally`` blocks run. The components run in an event loop beside it."""
    server = run(server=kit.SERVER + PLAIN, DB_URL="sqlite:///:memory:")
    server.wait_for("serves at")
    server.wait_for("computing with 7")
    send(server.process.pid, signal.SIGTERM)
    assert server.end() == 0
    assert server.output.count("computer ended") == 1
    assert "Traceback" not in server.output


STUBBORN = """
async def stay():
    await asyncio.sleep(600)

app.worker_process(stay, name="stubborn")
"""


def test_a_function_has_the_grace_period(run: Run, kit: Any) -> None:
    """One that may come to an end by itself is waited for, and then cancelled and named."""
    server = run(server=kit.SERVER + STUBBORN, GRACEFUL_SHUTDOWN_TIMEOUT="1")
    server.wait_for("serves at")
    server.signal()
    assert server.end() == 0
    assert "background tasks that run after 1 s are cancelled: stubborn" in server.output


def test_a_start_that_fails_says_why(run: Run, kit: Any) -> None:
    """A component that does not start in that process keeps the service from its start."""
    broken = """
from sanic_ms import Component

class Broken(Component):
    name = "broken"
    async def start(self):
        if "wait" in os.environ["SANIC_WORKER_NAME"]:
            raise OSError("no broker")
    async def stop(self):
        pass

app.add(Broken())

@app.worker_process
def wait():
    pass
"""
    server = run(server=kit.SERVER + broken)
    assert server.end() == 1
    assert "did not start: broken did not start: no broker" in server.output.splitlines()[-1]
