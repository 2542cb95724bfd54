"""A service whose processes are stopped for a while, as by ``docker pause``, and go on."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from sanic_ms.server.process.watchdog import Watchdog
from sanic_ms.server.process.worker import Link, Recycling

Run = Callable[..., Any]

PAUSE = 5.0  # seconds: longer than every deadline that the tests set
DEADLINES = {
    "WORKER_SILENCE_TIMEOUT": "3",
    "RESPONSE_TIMEOUT": "4",
    "KEEP_ALIVE_TIMEOUT": "4",
    "REQUEST_TIMEOUT": "4",
    "REQUEST_BODY_TIMEOUT": "4",
}
ECHO = """
@app.post("/echo")
async def echo(request):
    return request.body.decode()
"""
STEPS = """
async def take_steps(number, what):
    for _ in range(number):
        await asyncio.sleep(0.1)
    print(f"{what} done", flush=True)

@app.get("/steps")
async def steps(request):
    app.add_task(take_steps(30, "task"))
    print("slow begins", flush=True)
    await take_steps(20, "request")
    return 1
"""
MIDDLEWARE = "\n@app.on_request\nasync def note(request):\n    request.ctx.noted = True\n"
HEAD = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"


def begin(kit: Any, server: Any, path: str, answers: list[bytes]) -> threading.Thread:
    """Ask in a thread, and wait until the handler runs."""
    client = threading.Thread(target=lambda: answers.append(kit.ask(server.port, path)))
    client.start()
    server.wait_for("slow begins")
    return client


@pytest.mark.parametrize(
    ("everything", "middleware", "pure"),
    [(True, "", ""), (True, MIDDLEWARE, ""), (True, MIDDLEWARE, "1"), (False, "", "1")],
    ids=["all-fast", "all-full", "all-full-pure", "master-fast-pure"],
)
def test_a_pause_kills_no_worker_and_no_request(
    run: Run, kit: Any, everything: bool, middleware: str, pure: str
) -> None:
    """What a process could not hear or do while it was stopped itself does not count against
    anybody: not the silence of workers, nor a handler's time, nor an idle connection's, nor that of
    a client that sends a head or a body. The log says nothing, neither of a blocked event loop."""
    server = run(
        server=kit.SERVER + ECHO + middleware, WORKERS="2", SANIC_MS_PURE=pure, **DEADLINES
    )
    server.wait_for("serves at")
    workers = server.workers()
    answers: list[bytes] = []
    address = ("127.0.0.1", server.port)
    with (
        socket.create_connection(address, kit.LIMIT) as kept,
        socket.create_connection(address, kit.LIMIT) as head,
        socket.create_connection(address, kit.LIMIT) as body,
    ):
        head.sendall(HEAD)
        body.sendall(HEAD + b"\r\nab")
        kept.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(65536).startswith(b"HTTP/1.1 200")
        client = begin(kit, server, "/slow?s=1.5", answers)
        lines = len(server.lines)
        kill = os.killpg if everything else os.kill
        kill(server.process.pid, signal.SIGSTOP)
        time.sleep(PAUSE)
        kill(server.process.pid, signal.SIGCONT)
        client.join()
        if everything:  # else their time is over, as it should be
            head.sendall(b"\r\nabcd")
            body.sendall(b"cd")
            kept.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            for client_ in (head, body, kept):
                assert client_.recv(65536).startswith(b"HTTP/1.1 200")
    assert answers[0].startswith(b"HTTP/1.1 200")
    assert server.workers() == workers
    if everything:
        assert server.lines[lines:] == []
    server.signal()
    assert server.end() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_pause_takes_nothing_of_the_grace_period(run: Run, kit: Any, workers: str) -> None:
    """Requests in flight have the whole of it while the process runs, with all their steps, and so
    have background tasks."""
    server = run(server=kit.SERVER + STEPS, WORKERS=workers, GRACEFUL_SHUTDOWN_TIMEOUT="4")
    server.wait_for("serves at")
    answers: list[bytes] = []
    client = begin(kit, server, "/steps", answers)
    server.signal()
    server.wait_for("is stopping")
    os.killpg(server.process.pid, signal.SIGSTOP)
    time.sleep(PAUSE)
    os.killpg(server.process.pid, signal.SIGCONT)
    client.join()
    assert answers[0].startswith(b"HTTP/1.1 200")
    assert server.end() == 0
    assert "cancelled" not in server.output
    assert "task done" in server.output


def test_a_worker_that_starts_is_not_killed_for_a_pause(run: Run, kit: Any) -> None:
    """WORKER_START_TIMEOUT counts while the master runs."""
    wait = "\n@app.before_server_start\nasync def s(app):\n    print('be' + 'gins', flush=True)\n"
    server = run(
        server=kit.SERVER + wait + "    await asyncio.sleep(1)\n",
        WORKERS="2",
        WORKER_START_TIMEOUT="15",
    )
    server.wait_for("begins\n")
    os.killpg(server.process.pid, signal.SIGSTOP)
    time.sleep(16)
    os.killpg(server.process.pid, signal.SIGCONT)
    server.wait_for("serves at")
    assert "was not ready" not in server.output


def test_a_worker_alone_that_is_stopped_is_replaced(run: Run, kit: Any) -> None:
    """Its master runs and hears nothing of it, and nobody would be answered."""
    server = run(WORKERS="2", **DEADLINES)
    server.wait_for("serves at")
    victim = server.workers()[0]
    os.kill(victim, signal.SIGSTOP)
    server.wait_for(f"({victim}): did nothing for 3 s (WORKER_SILENCE_TIMEOUT); a new one starts")
    kit.wait_until(lambda: victim not in server.workers() and len(server.workers()) == 2)


def test_a_master_that_is_stopped_for_long_blocks_no_worker() -> None:
    """It reads nothing, and the pipe fills; a worker does not wait for it, and serves on."""

    class Idle:
        shared = stopping = False

        def __init__(self) -> None:
            self.ticks: list[Callable[[], None]] = []

        def requests(self) -> int:
            return 0

        def stop(self, *, quick: bool) -> None:
            self.stopped = quick

    ours, theirs = multiprocessing.Pipe()
    server: Any = Idle()
    link = Link(theirs, Recycling())
    link.attach(server)
    ended = threading.Event()

    def tick() -> None:
        for _ in range(5000):
            server.ticks[0]()
        ended.set()

    threading.Thread(target=tick, daemon=True).start()
    assert ended.wait(60)
    assert ours.recv() == ("alive", "")
    readers = [thread for thread in threading.enumerate() if thread.name == "master"]
    ours.send(("stop", True, True))  # so that the thread of the link ends
    for thread in readers:
        thread.join(60)
    assert server.stopped
    ours.close()
    theirs.close()


class Clock:
    """A clock that jumps when it is told to, while ``time.monotonic`` goes on."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._real = time.monotonic

    def __call__(self) -> float:
        return self._real() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Of the watchdog, whose process is stopped whenever it jumps."""
    clock = Clock()
    monkeypatch.setattr("sanic_ms.server.process.watchdog.time.monotonic", clock)
    return clock


def test_a_pause_in_a_step_is_no_blocked_loop(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The time in which the process was stopped is no time in which the step blocked the loop. A
    step that blocks it before or after is logged with its own time."""
    seen = threading.Event()

    async def step(seconds: float) -> None:
        clock.ahead += 100.0
        time.sleep(seconds)  # noqa: ASYNC251 - it blocks the loop on purpose
        seen.set()

    async def main() -> None:
        await step(0.1)
        await asyncio.sleep(0)
        assert caplog.messages == []
        await step(4)

    loop = asyncio.new_event_loop()
    watchdog = Watchdog(loop, 2.0)
    watchdog.start()
    try:
        loop.run_until_complete(main())
    finally:
        watchdog.stop()
        loop.close()
    [message] = caplog.messages
    assert float(message.split("blocked for ")[1].split(" ms")[0]) < 4000
