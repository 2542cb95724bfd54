"""How many connections a process holds, and what happens to one too many."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sanic_ms.server import Limits

Answers = Callable[..., list[Any]]
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_the_newest_of_too_many_is_turned_away(
    new_app: Any,
    seen: Any,
    serve: Any,
    waiting: Any,
    answers: Answers,
    caplog: pytest.LogCaptureFixture,
    loop: str,
) -> None:
    """503 with Retry-After and a close; those that are in go on, and one that leaves makes room.
    The log says it once, not for each."""
    server = serve(new_app(seen, MAX_CONNECTIONS=2), loop=loop)
    inside = [server.client(), server.client()]
    waiting(lambda: len(server.connections) == 2)
    with caplog.at_level(logging.WARNING, "sanic_ms.server"):
        for _ in range(3):
            (refused,) = answers(server.client().read())
            assert (refused.status, refused.headers["retry-after"]) == (503, "1")
            assert refused.headers["connection"] == "close"
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "1 connections turned away: MAX_CONNECTIONS, or what the process may open, allows 2"
    ]
    for client in inside:
        client.send(GET)
        assert client.read_until(lambda raw: b"GET 0" in raw).startswith(b"HTTP/1.1 200")
    inside[0].close()
    waiting(lambda: len(server.connections) == 1)
    late = server.client()
    late.send(GET)
    assert late.read_until(lambda raw: b"GET 0" in raw).startswith(b"HTTP/1.1 200")
    assert len(seen.requests) == 3


def test_the_limit_leaves_descriptors_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database and a log want to be opened as well; 0 asks for no limit."""

    def limited(soft: int) -> int:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
        return Limits(max_connections=10_000).most_connections

    assert [limited(n) for n in (100_000, 1024, 100, -1)] == [10_000, 896, 50, 10_000]
    assert Limits().most_connections == sys.maxsize


SERVER = """
import asyncio, resource, sys
import uvloop
from sanic import Sanic
from sanic.response import text
from sanic_ms.server import HttpProtocol

app = Sanic("flood", configure_logging=False)
app.config.update(TOUCHUP=False, MOTD=False, MAX_CONNECTIONS=int(sys.argv[1]))
app.add_route(lambda request: text("here"), "/")


async def main():
    server = await app.create_server(
        host="127.0.0.1", port=0, protocol=HttpProtocol, return_asyncio_server=True
    )
    await server.startup()
    await server.start_serving()
    resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
    print(server.server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


uvloop.run(main())
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux' /proc")
@pytest.mark.parametrize("limit", [0, 20])
def test_a_flood_neither_spins_nor_kills(limit: int, waiting: Any) -> None:
    """With more clients than the process may open descriptors it does not spin, and serves again
    when they have gone: by its limit, and by the loop's own care where there is none."""
    command = [sys.executable, "-c", SERVER, str(limit)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
        contextlib.ExitStack() as stack,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        stack.callback(process.kill)
        address = ("127.0.0.1", int(process.stdout.readline()))

        def is_served() -> bool:
            try:
                with socket.create_connection(address, 5) as client:
                    client.sendall(GET)
                    return b"here" in client.recv(1000)
            except OSError:
                return False

        assert is_served()
        clients = [socket.create_connection(address, 60) for _ in range(120)]
        waiting(lambda: not is_served())
        before = _busy(process.pid)
        time.sleep(0.5)  # the time in which a server that spins would burn as much
        assert _busy(process.pid) - before < 0.25
        for client in clients:
            client.close()
        waiting(is_served)
        process.stdin.close()
        assert process.wait(60) == 0


def _busy(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
