"""Processes that are started without standard streams, without an init, or without a disk."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.ports import free_port

SERVER = """
import os, subprocess
from pathlib import Path
from sanic_ms import Service

app = Service("tiny")

@app.get("/")
async def root(request):
    print("a line of the application's own")
    return 1

@app.get("/orphan")
async def orphan(request):
    subprocess.run(["sh", "-c", "sleep 0.1 & sleep 0.1 & exit 0"], check=True)
    return os.getppid()

@app.get("/child")
async def child(request):
    return subprocess.run(["sh", "-c", "exit 7"]).returncode

@app.get("/processes")
async def processes(request):
    states = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue
        states[path.parent.name] = text.rpartition(")")[2].split()[0] + text.split(" ")[1]
    return states

if __name__ == "__main__":
    app.run()
"""
COMMANDS = (["-m", "sanic_ms", "run"], ["server.py"])
LIMIT = 90.0


def ask(port: int, path: str = "/") -> object:
    """The data of an answer."""
    with socket.create_connection(("127.0.0.1", port), LIMIT) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    return json.loads(answer.partition(b"\r\n\r\n")[2])["data"]


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for a condition; fail if it does not come true in time."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)


@contextmanager
def served(
    folder: Path, before: list[str], words: list[str], **variables: str
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A service that answers, started by a command, and its port."""
    (folder / "server.py").write_text(SERVER)
    port = free_port()
    kept = {k: v for k, v in os.environ.items() if k not in ("WORKERS", "DB_URL")}
    with (
        (folder / "errors").open("wb") as errors,
        subprocess.Popen(
            [*before, sys.executable, *words],
            cwd=folder,
            env={**kept, "PORT": str(port), "PYTHONPATH": str(folder), **variables},
            stdout=errors,
            stderr=errors,
            start_new_session=True,
        ) as process,
    ):

        def answers() -> bool:
            assert process.poll() is None, (folder / "errors").read_text()
            try:
                return ask(port) == 1
            except OSError:
                return False

        try:
            wait_until(answers)
            yield process, port
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(LIMIT)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("words", COMMANDS, ids=["command", "program"])
@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"], ids=["output", "all"])
def test_a_service_starts_without_standard_streams(
    tmp_path: Path, words: list[str], workers: str, closed: str
) -> None:
    """What it would print goes nowhere, and not into a file or a socket that got the number of
    the stream."""
    before = ["sh", "-c", f'exec "$@" {closed}', "sh"]
    with served(tmp_path, before, words, WORKERS=workers, TRACE_EXPORTER="console") as (
        process,
        port,
    ):
        for number in (0, 1, 2):
            link = os.readlink(f"/proc/{process.pid}/fd/{number}")
            assert link in ("/dev/null", str(tmp_path / "errors")), link
        assert ask(port) == 1
        process.terminate()
        assert process.wait(LIMIT) == 0
    assert "Traceback" not in (tmp_path / "errors").read_text()


@pytest.mark.parametrize("words", [["config"], ["routes"], ["--version"], ["run", "--check"]])
def test_a_command_works_without_standard_output(tmp_path: Path, words: list[str]) -> None:
    """With its exit code, and nothing on standard error."""
    (tmp_path / "server.py").write_text(SERVER)
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "sanic_ms", *words],
        cwd=tmp_path,
        env={**os.environ, "PORT": str(free_port())},
        stderr=subprocess.PIPE,
        text=True,
        timeout=LIMIT,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


@pytest.fixture(scope="session")
def unshare() -> str:
    """The command that gives a process namespaces of its own."""
    command = shutil.which("unshare")
    if command is None or subprocess.run([command, "-fpm", "--mount-proc", "true"]).returncode:
        pytest.skip("namespaces are not allowed here")
    return command


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("words", COMMANDS, ids=["command", "program"])
def test_process_1_collects_orphans_and_ends_as_the_service_does(
    tmp_path: Path, unshare: str, words: list[str], workers: str
) -> None:
    """Processes whose parents have ended do not stay; the service's own are left to it. A signal
    to process 1 reaches the service."""
    before = [unshare, "-fpm", "--mount-proc"]
    with served(tmp_path, before, words, WORKERS=workers) as (process, port):
        for _ in range(5):
            ask(port, "/orphan")
            assert ask(port, "/child") == 7

        def gone() -> bool:
            states = ask(port, "/processes")
            assert isinstance(states, dict)
            return not any("(sleep)" in text or text[0] == "Z" for text in states.values())

        wait_until(gone)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        [first] = map(int, children.read_text().split())
        os.kill(first, signal.SIGTERM)
        assert process.wait(LIMIT) == 0
    output = (tmp_path / "errors").read_text()
    assert "has stopped" in output
    assert "Traceback" not in output


def test_process_1_ends_with_the_exit_code_of_the_service(tmp_path: Path, unshare: str) -> None:
    """Also that of a service which cannot start, or which a signal ends."""
    command = [unshare, "-fpm", "--mount-proc", sys.executable, "-m", "sanic_ms", "run"]
    for text, code in (
        ("raise OSError('gone')", 2),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", 137),
    ):
        (tmp_path / "server.py").write_text(text)
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=LIMIT)
        assert done.returncode == code, done.stderr


def test_workers_without_a_folder_for_their_metrics_say_what_to_set(
    tmp_path: Path, unshare: str
) -> None:
    """Where nothing temporary can be written the service serves, each worker counts for itself,
    and one line names the setting."""
    script = (
        "for d in /dev/shm /tmp /var/tmp /usr/tmp; do "
        '[ ! -d $d ] || mount --bind "$d" "$d" && mount -o remount,ro,bind "$d"; done 2>&-; '
        'exec "$@"'
    )
    before = [unshare, "-m", "sh", "-c", script, "sh"]
    with served(tmp_path, before, COMMANDS[0], WORKERS="2", PYTHONDONTWRITEBYTECODE="1") as (
        process,
        _,
    ):
        process.terminate()
        assert process.wait(LIMIT) == 0
    output = (tmp_path / "errors").read_text()
    assert output.count("set METRICS_DIR") == 1
    assert "Traceback" not in output
