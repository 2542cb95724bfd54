"""Three services that call each other, under constant load, while one is restarted."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.ports import free_port

ROOT = Path(__file__).parents[2]
# Twenty is the figure to hold: SANIC_MS_RESTARTS=20.
RESTARTS = int(os.environ.get("SANIC_MS_RESTARTS", "2"))


def start(folder: Path, workers: int) -> subprocess.Popen[bytes]:
    """One of the services; back when it serves."""
    log = (folder / "log").open("ab+")
    begin = log.seek(0, os.SEEK_END)
    process = subprocess.Popen(
        [sys.executable, "-m", "sanic_ms", "run", "--no-access-log", "--workers", str(workers)],
        cwd=folder,
        env={**os.environ, "REUSE_PORT": "true", "LOG_FORMAT": "text"},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    log.close()
    deadline = time.monotonic() + 120
    while b"serves at" not in (folder / "log").read_bytes()[begin:]:
        assert process.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.02)
    return process


@contextmanager
def asking(port: int) -> Iterator[tuple[list[str], list[bytes]]]:
    """Clients that ask for a user without a pause; gives what went wrong, and the answers."""
    failed: list[str] = []
    answers: list[bytes] = []
    ended = threading.Event()

    async def client() -> None:
        while not ended.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET /users/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                answer = await reader.read()
                writer.close()
            except OSError as exc:
                failed.append(repr(exc))
                continue
            answers.append(answer)
            if not (answer.startswith(b"HTTP/1.1 200") and b"Shanghai" in answer):
                failed.append(repr(answer))
            await asyncio.sleep(0.01)

    async def clients() -> None:
        await asyncio.gather(*(client() for _ in range(4)))

    thread = threading.Thread(target=lambda: asyncio.run(clients()))
    thread.start()
    try:
        yield failed, answers
    finally:
        ended.set()
        thread.join(90)


def test_a_service_is_restarted_under_load_and_no_client_notices(tmp_path: Path) -> None:
    """The successor of a service with two workers listens before the old one gets SIGTERM: of the
    service that clients call, and of one that it calls itself."""
    shutil.copytree(
        ROOT / "examples" / "users",
        tmp_path / "users",
        ignore=shutil.ignore_patterns("*.db*", "__pycache__", "tests"),
    )
    services = {name: free_port() for name in ("user", "region", "role")}
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name in services:
            settings = tmp_path / "users" / name / "settings.py"
            text = settings.read_text()
            for number, port in enumerate(services.values(), 1):
                text = re.sub(rf"\b800{number}\b", str(port), text)
            settings.write_text(text)
        for name in services:
            folder = tmp_path / "users" / name
            command = [sys.executable, "-m", "sanic_ms", "db", "up"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
            running[name] = start(folder, 2 if name == "user" else 1)
        with asking(services["user"]) as (failed, answers):
            for number in range(RESTARTS):
                name = "user" if number % 2 == 0 else "region"
                old = running[name]
                running[name] = start(tmp_path / "users" / name, 2)
                old.send_signal(signal.SIGTERM)
                assert old.wait(90) == 0
        sys.stdout.write(f"{RESTARTS} restarts, {len(answers)} requests\n")  # shown by pytest -rP
        assert failed == []
    finally:
        for process in running.values():
            with suppress(ProcessLookupError):
                process.terminate()
        for process in running.values():
            process.wait(90)
