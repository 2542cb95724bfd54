"""Background work and blocking functions at a stop of a real process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.processes import alive

Run = Callable[..., Any]

WORK = """
import sys
from sanic_ms.utils import run_blocking

def say(text):
    sys.stdout.write(text + "\\n")

async def work(number, seconds):
    try:
        await asyncio.sleep(seconds)
        say(f"finished {await app.db.fetchval('SELECT ' + str(number))}")
    except asyncio.CancelledError:
        say(f"cancelled, the pool gives {await app.db.fetchval('SELECT ' + str(number))}")
        raise

def block(seconds):
    say("block begins")
    time.sleep(seconds)
    say("block finished")

async def consume():
    say("consumes")
    while True:
        await asyncio.sleep(60)

async def fail():
    raise ValueError("no broker")

@app.get("/work")
async def begin(request):
    request.app.background(work, int(request.args.get("n")), float(request.args.get("s")))

@app.get("/block")
def blocking(request):
    block(float(request.args.get("s")))

@app.get("/block-later")
async def later(request):
    request.app.background(block, float(request.args.get("s")))

@app.get("/pid")
async def pid(request):
    return await run_blocking(os.getpid, processes=True)

app.background(consume, supervise=True)
app.background(fail, supervise=True)

@app.after_server_stop
async def told(app):
    say("listener told")
"""


@pytest.mark.parametrize("protocol", ["strict", "sanic"])
def test_work_finishes_within_the_grace_period(run: Run, kit: Any, protocol: str) -> None:
    """Coroutine functions and blocking ones; before listeners give resources back. Supervised ones
    end at once, in their pause too."""
    server = run(
        server=kit.SERVER + WORK, DB_URL="sqlite:///:memory:", SERVER_PROTOCOL=protocol, WORKERS="1"
    )
    server.wait_for("serves at")
    server.wait_for("the background task fail failed; again in 0.")
    server.wait_for("consumes")
    kit.ask(server.port, "/work?n=7&s=0.7")
    kit.ask(server.port, "/block-later?s=0.7")
    server.wait_for("block begins")
    server.signal()
    assert server.end() == 0
    before, told, _ = server.output.partition("listener told")
    assert told
    assert "finished 7\n" in before
    assert "block finished\n" in before
    assert "cancelled" not in server.output


def test_work_that_takes_longer_is_cancelled_while_the_pool_is_open(run: Run, kit: Any) -> None:
    """And named in the log, in each worker."""
    server = run(
        server=kit.SERVER + WORK,
        DB_URL="sqlite:///:memory:",
        GRACEFUL_SHUTDOWN_TIMEOUT="1",
        WORKERS="2",
    )
    server.wait_for("serves at")
    kit.wait_until(lambda: server.output.count("consumes") == 2)  # begun in each worker
    kit.ask(server.port, "/work?n=8&s=100")
    server.signal()
    assert server.end() == 0
    assert "background tasks that run after 1 s are cancelled: work" in server.output
    assert "cancelled, the pool gives 8\n" in server.output
    assert "finished" not in server.output


def test_a_plain_handler_is_a_request_in_flight(run: Run, kit: Any) -> None:
    """It ends, and its client has the answer."""
    server = run(server=kit.SERVER + WORK, DB_URL="sqlite:///:memory:")
    server.wait_for("serves at")
    answers: list[bytes] = []
    client = threading.Thread(target=lambda: answers.append(kit.ask(server.port, "/block?s=1")))
    client.start()
    server.wait_for("block begins")
    server.signal()
    assert server.end() == 0
    client.join()
    assert answers[0].startswith(b"HTTP/1.1 200")


def test_a_function_that_never_ends_does_not_keep_the_process(run: Run, kit: Any) -> None:
    """It is named, and ends with the process; so do the processes of computations."""
    server = run(
        server=kit.SERVER + WORK, DB_URL="sqlite:///:memory:", GRACEFUL_SHUTDOWN_TIMEOUT="0.5"
    )
    server.wait_for("serves at")
    pid = int(kit.ask(server.port, "/pid").rpartition(b'"data":')[2].rstrip(b"}"))
    assert alive(pid)
    kit.ask(server.port, "/block-later?s=600")
    server.wait_for("block begins")
    server.signal(signal.SIGTERM)
    assert server.end() == 0
    assert "blocking functions that did not end: block" in server.output
    kit.wait_until(lambda: not alive(pid))
