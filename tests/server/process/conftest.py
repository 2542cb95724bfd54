"""Services in processes of their own, and clients that notice every lost request."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.ports import free_port

LIMIT = 90.0  # seconds to wait for what must come: a busy machine is slow, not broken

SERVER = """\
import asyncio, os, time
from sanic_ms import Service

app = Service("tiny")

@app.get("/")
async def root(request):
    await asyncio.sleep(0.002)
    return {"pid": os.getpid()}

@app.get("/slow")
async def slow(request):
    print("slow begins", flush=True)
    await asyncio.sleep(float(request.args.get("s", "0.5")))
    return {"pid": os.getpid()}
"""


def ask(port: int, path: str = "/", *, timeout: float = LIMIT) -> bytes:
    """One request on a connection of its own; the whole answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as client:
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        client.sendall(head.encode())
        return b"".join(iter(lambda: client.recv(65536), b""))


def started_at(pid: int) -> float:
    """When a process was made, in seconds of ``CLOCK_BOOTTIME``, to a hundredth."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def wait_until(condition: Callable[[], object], *, timeout: float = LIMIT) -> None:
    """Wait for a condition; fail if it does not come true in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)


@dataclass
class Running:
    """A process that serves, with all that it writes."""

    process: subprocess.Popen[str]
    port: int
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with contextlib.suppress(ValueError):
            self.lines.extend(iter(self.process.stdout.readline, ""))

    @property
    def output(self) -> str:
        """What it has written so far."""
        return "".join(self.lines)

    def wait_for(self, text: str, *, timeout: float = LIMIT) -> None:
        """Wait until it has written this."""
        deadline = time.monotonic() + timeout
        while text not in self.output:
            ended = self.process.poll() is not None and not self._reader.is_alive()
            assert not ended, f"it ended without {text!r}:\n{self.output}"
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.output}"
            time.sleep(0.01)

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self, timeout: float = LIMIT) -> int:
        """Wait for its end; the exit code."""
        code = self.process.wait(timeout)
        self._reader.join(5)
        return code

    def workers(self) -> list[int]:
        """The processes that serve for it: its children that are Python."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        found = []
        for pid in map(int, children.read_text().split()):
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
                if b"spawn_main" in command:
                    found.append(pid)
        return found


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start ``sanic-ms run WORDS`` with a ``server.py``; ended after the test, with its workers."""
    started: list[Running] = []

    def start(*words: str, server: str = SERVER, port: int = 0, **variables: str) -> Running:
        (tmp_path / "server.py").write_text(server)
        port = port or free_port()
        kept = {k: v for k, v in os.environ.items() if k not in ("PORT", "WORKERS", "DB_URL")}
        process = subprocess.Popen(
            [sys.executable, "-m", "sanic_ms", "run", "--no-access-log", *words],
            cwd=tmp_path,
            env={
                **kept,
                "PYTHONUNBUFFERED": "1",
                "LOG_FORMAT": "text",
                "PORT": str(port),
                **variables,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        running = Running(process, port)
        started.append(running)
        return running

    yield start
    for running in started:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(running.process.pid, signal.SIGKILL)
        running.process.wait()
        running._reader.join(5)
        assert running.process.stdout is not None
        running.process.stdout.close()


class Load:
    """Clients in a thread, half of them on kept-alive connections, that ask without a pause.

    A connection that is refused was never admitted. Everything else that is not a whole answer is
    a lost request.
    """

    def __init__(self, port: int, clients: int = 12) -> None:
        self.done = 0
        self.lost: list[str] = []
        self.refused = 0
        self._port = port
        self._clients = clients
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._thread.join(LIMIT)

    async def _main(self) -> None:
        await asyncio.gather(*(self._client(n % 2 == 0) for n in range(self._clients)))

    async def _client(self, keep_alive: bool) -> None:
        while not self._ended.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except ConnectionRefusedError:
                self.refused += 1
                await asyncio.sleep(0.01)
                continue
            except OSError as exc:
                self.lost.append(f"while connecting: {exc!r}")
                continue
            served = 0
            try:
                while not self._ended.is_set():
                    head = await self._ask(reader, writer, keep_alive)
                    served += 1
                    if b"connection: close" in head:
                        break
                    await asyncio.sleep(0.003)
            except (OSError, asyncio.IncompleteReadError, AssertionError) as exc:
                self.lost.append(f"after {served} on this connection: {exc!r}")
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, keep_alive: bool
    ) -> bytes:
        end = b"\r\n\r\n" if keep_alive else b"\r\nConnection: close\r\n\r\n"
        writer.write(b"GET / HTTP/1.1\r\nHost: x" + end)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert head.startswith(b"http/1.1 200 "), head
        length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        self.done += 1
        return head


@pytest.fixture
def load() -> type[Load]:
    """Clients that notice every lost request."""
    return Load


@pytest.fixture
def kit() -> object:
    """The functions of this module, for tests that cannot import it."""
    return sys.modules[__name__]
