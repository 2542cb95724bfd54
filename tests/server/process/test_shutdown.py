"""The stop of one process: nobody who was let in is turned away."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sanic_ms.db import ConnectionPool

Run = Callable[..., Any]

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
# One hundred is the figure to hold: SANIC_MS_SIGTERMS=100.
SIGTERMS = int(os.environ.get("SANIC_MS_SIGTERMS", "3"))


def test_a_stop_loses_no_request_that_was_let_in(run: Run, load: Any, kit: Any) -> None:
    """SIGTERM under load, again and again, on new and on kept-alive connections."""
    port = kit.free_port()
    with load(port) as clients:
        for _ in range(SIGTERMS):
            server = run(port=port)
            begun = clients.done
            kit.wait_until(lambda begun=begun: clients.done > begun + 100)
            server.signal()
            assert server.end() == 0, server.output
    sys.stdout.write(f"{SIGTERMS} stops, {clients.done} requests\n")  # shown by pytest -rP
    assert clients.lost == []


def test_who_waits_in_the_queue_is_answered(run: Run, kit: Any) -> None:
    """Connections that the kernel took while the loop was busy, and requests in the buffers of
    connections that it did not read, are all answered after SIGTERM."""
    block = "\n@app.get('/block')\nasync def block(request):\n    time.sleep(0.7)\n    return 1\n"
    server = run(server=kit.SERVER + block)
    server.wait_for("serves at")
    address = ("127.0.0.1", server.port)
    kept = [socket.create_connection(address, kit.LIMIT) for _ in range(5)]
    for client in kept:
        client.sendall(REQUEST)
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
    kept[0].sendall(REQUEST.replace(b"/", b"/block", 1))
    time.sleep(0.2)  # the handler blocks the loop now
    for client in kept[1:]:
        client.sendall(REQUEST)
    queued = [socket.create_connection(address, kit.LIMIT) for _ in range(20)]
    for client in queued:
        client.sendall(REQUEST)
    server.signal()
    for client in kept + queued:
        with client:
            answer = client.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200"), answer
    assert server.end() == 0


def test_a_unix_socket_is_given_back(run: Run, tmp_path: Path, kit: Any) -> None:
    """Who has connected is answered; the path goes; nobody can connect after that."""
    path = os.path.relpath(tmp_path / "s")
    server = run("--unix", "s")
    server.wait_for("serves at")
    clients = []
    for _ in range(10):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(kit.LIMIT)
        client.connect(path)
        clients.append(client)
    server.signal()
    for client in clients:
        with client:
            client.sendall(REQUEST)
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
    assert server.end() == 0
    assert not os.path.exists(path)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_door_closes_before_the_last_request_ends(run: Run, kit: Any, workers: str) -> None:
    """While requests in flight have their time, who comes is refused at once and not left waiting:
    with REUSE_PORT he would miss the next service."""
    server = run(WORKERS=workers)
    server.wait_for("serves at")
    with socket.create_connection(("127.0.0.1", server.port), kit.LIMIT) as busy:
        busy.sendall(REQUEST.replace(b"/", b"/slow?s=60", 1))
        server.wait_for("slow begins")
        server.signal()

        def refused() -> bool:
            try:
                # A packet that was dropped is sent again after a second, and after two more.
                socket.create_connection(("127.0.0.1", server.port), kit.LIMIT).close()
            except ConnectionRefusedError:
                return True
            return False

        kit.wait_until(refused)
        assert server.process.poll() is None
        server.signal()
        assert server.end() == 1


def test_a_stop_is_announced_before_the_door_closes(run: Run, kit: Any) -> None:
    """For SHUTDOWN_DELAY seconds new connections are served, and readiness is false already."""
    ready = "\n@app.get('/ready')\nasync def ready(request):\n    return app.lifecycle.ready\n"
    server = run(server=kit.SERVER + ready, SHUTDOWN_DELAY="5")
    server.wait_for("serves at")
    assert kit.ask(server.port, "/ready").endswith(b'"data":true}')
    server.signal()
    kit.wait_until(lambda: kit.ask(server.port, "/ready").endswith(b'"data":false}'))
    assert server.end() == 0


TRANSACTION = """
@app.post("/")
async def insert(request):
    async with app.db.transaction(request) as cur:
        await cur.execute("INSERT INTO t VALUES (1)")
        print("inserted", flush=True)
        try:
            await asyncio.sleep(60)
        finally:
            # One write: lines of the log may come between two.
            print(f"handler ends with the pool {app.db.state.value}\\n", end="", flush=True)

@app.before_server_start
async def table(app):
    async with app.db.transaction() as cur:
        await cur.execute("CREATE TABLE IF NOT EXISTS t (x int)")
"""


def test_a_handler_that_outlives_the_grace_is_rolled_back(
    run: Run, kit: Any, any_database_url: str
) -> None:
    """It is cancelled, its client told, and its transaction undone before the pool closes."""
    text = kit.SERVER + TRANSACTION
    variables = {"DB_URL": any_database_url, "GRACEFUL_SHUTDOWN_TIMEOUT": "0.3"}
    server = run(server=text, **variables)
    server.wait_for("serves at")
    with socket.create_connection(("127.0.0.1", server.port), kit.LIMIT) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        server.wait_for("inserted")
        server.signal()
        assert client.recv(65536).startswith(b"HTTP/1.1 503")
    assert server.end() == 0
    assert "handler ends with the pool running" in server.output
    assert "requests in flight after 0.3 s are cancelled: tiny.insert" in server.output

    async def rows() -> object:
        pool = ConnectionPool(any_database_url)
        await pool.start()
        try:
            async with pool.acquire() as cur:
                return await cur.fetchval("SELECT count(*) FROM t")
        finally:
            await pool.stop()

    assert asyncio.run(rows()) == 0


def test_web_sockets_are_told_that_the_server_goes(run: Run, kit: Any) -> None:
    """They are closed with 1001, and the stop does not wait for more."""
    text = (
        kit.SERVER
        + "\n@app.websocket('/ws')\nasync def ws(request, ws):\n    await ws.recv(timeout=60)\n"
    )
    server = run(server=text)
    server.wait_for("serves at")
    head = (
        b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), kit.LIMIT) as client:
        client.sendall(head)
        assert client.recv(65536).startswith(b"HTTP/1.1 101")
        server.signal()
        frame = client.recv(65536)
        assert (frame[0], int.from_bytes(frame[2:4])) == (0x88, 1001)
        client.sendall(b"\x88\x82\0\0\0\0" + frame[2:4])
    assert server.end() == 0


def test_a_second_signal_ends_at_once(run: Run, kit: Any) -> None:
    """The grace is for those who can wait. It is said in the log."""
    server = run(GRACEFUL_SHUTDOWN_TIMEOUT="60")
    server.wait_for("serves at")
    client = threading.Thread(target=lambda: kit.ask(server.port, "/slow?s=30"))
    client.start()
    server.wait_for("slow begins")
    server.signal()
    server.wait_for("is stopping")
    server.signal(signal.SIGINT)
    assert server.end(25) == 1
    assert "forced exit: a second signal (SIGINT)" in server.output
    client.join()


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("import", signal.SIGINT),
        ("import", signal.SIGTERM),
        ("start", signal.SIGTERM),
        ("ready", signal.SIGINT),
        ("served", signal.SIGTERM),
    ],
)
def test_a_signal_at_any_moment_ends_it_quietly(
    run: Run, kit: Any, number: signal.Signals, moment: str
) -> None:
    """Soon, with exit code 0 and no traceback: while the application is imported, while it starts,
    at the very moment at which it serves, and after."""
    text = (
        "import time\nprint('importing', flush=True)\n"
        + ("time.sleep(0.2)\n" if moment == "import" else "")
        + kit.SERVER
        + "\n@app.before_server_start\nasync def wait(app):\n    print('starting', flush=True)\n"
        + ("    await asyncio.sleep(60)\n" if moment == "start" else "")
        + "\n@app.after_server_stop\nasync def end(app):\n    print('listener told', flush=True)\n"
    )
    server = run(server=text)
    server.wait_for({"import": "importing", "start": "starting"}.get(moment, "serves at"))
    if moment == "served":
        assert kit.ask(server.port)
    server.signal(number)
    assert server.end() == 0, server.output
    assert not re.search("Traceback|ERROR|never awaited", server.output), server.output
    assert ("listener told" in server.output) == (moment in ("ready", "served"))


BACKGROUND = """
import sys

async def job(app, kind):
    try:
        while True:
            await asyncio.sleep(100)
    finally:
        found = await app.db.fetchval("SELECT 7")
        sys.stdout.write(f"{kind} {found}\\n")  # at once: the log's lines come from another thread

@app.before_server_start
async def early(app):
    app.add_task(job(app, "before the start"))

@app.after_server_start
async def start(app):
    app.add_task(job(app, "at the start"))
    app.add_task(job(app, "named"), name="named")

@app.get("/job")
async def add(request):
    request.app.add_task(job(request.app, "of a request"))
    return {}

@app.after_server_stop
async def told(app):
    print("listener told", flush=True)
"""


def test_background_tasks_end_before_what_they_use(run: Run, kit: Any) -> None:
    """With a name or without, wherever they were begun: their last words reach the database."""
    server = run(server=kit.SERVER + BACKGROUND, DB_URL="sqlite:///kept.db")
    server.wait_for("serves at")
    assert kit.ask(server.port, "/job")
    server.signal()
    assert server.end() == 0, server.output
    before, told, _ = server.output.partition("listener told")
    assert told
    for kind in ("before the start", "at the start", "named", "of a request"):
        assert f"{kind} 7" in before, server.output


def test_the_kernel_lets_nobody_in_behind_a_closing_door() -> None:
    """A connection that begins after `refuse_new` is not set up, and one from before is kept."""
    from sanic_ms.server import ListenSocket

    place = ListenSocket.bind("127.0.0.1", 0)
    place.socket.listen()
    address = place.socket.getsockname()
    with socket.create_connection(address, 5) as early, socket.socket() as late:
        early.sendall(b"x")
        place.refuse_new()
        late.settimeout(0.3)
        with pytest.raises(TimeoutError):
            late.connect(address)
        assert place.has_waiting()
        accepted, _ = place.socket.accept()
        with accepted:
            assert accepted.recv(1) == b"x"
        assert not place.has_waiting()
        place.close()
        place.close()
    assert not place.has_waiting()
