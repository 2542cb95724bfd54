"""Services in folders, and the command line as a shell runs it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sanic import Sanic
from tests import ports

from sanic_ms.cli import main
from sanic_ms.telemetry.logging import reset_logging

SERVER = """\
import os
from sanic_ms import Service

app = Service("{name}")


@app.get("/pid")
async def pid(request):
    return {{"pid": os.getpid(), "parent": os.getppid(), "debug": request.app.settings.debug}}
"""


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A port that nobody listens on, another one at each call."""
    return ports.free_port


@pytest.fixture
def make_service(free_port: Callable[[], int]) -> Callable[..., int]:
    """Write a service into a folder. Gives the port of its settings."""

    def make(folder: Path, *, server: str | None = None, settings: str = "") -> int:
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        text = SERVER.format(name=folder.name) if server is None else server
        (folder / "server.py").write_text(text)
        (folder / "settings.py").write_text(f"PORT = {port}\n{settings}")
        return port

    return make


def environment(extra: dict[str, str]) -> dict[str, str]:
    """This process' environment without what a developer may have set for a service."""
    names = ("HOST", "PORT", "UNIX", "WORKERS", "DEBUG", "DB_URL", "NO_COLOR", "SERVICES")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    return {**kept, "PYTHONUNBUFFERED": "1", **extra}


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``sanic-ms WORDS`` to its end, in the test's folder and in this process, which a command
    leaves as it was: what it imports, what it hears of signals, and how it logs."""

    def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
        capfd.readouterr()
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            patch.setattr(sys, "path", list(sys.path))
            own_applications(patch)
            for path in tmp_path.rglob("*.py"):  # others may have left modules of these names
                for name in (path.stem, path.parent.name):
                    patch.delitem(sys.modules, name, raising=False)
            for name in set(os.environ) - set(environment({})):
                patch.delenv(name)
            for name, value in env.items():
                patch.setenv(name, value)
            try:
                with pytest.raises(SystemExit) as end:
                    main(words)
            finally:
                for number, handler in handlers.items():
                    signal.signal(number, handler)
                reset_logging()
                _forget(tmp_path)
        out, err = capfd.readouterr()
        code = end.value.code
        assert isinstance(code, int)
        return subprocess.CompletedProcess(words, code, out, err)

    return run


def own_applications(patch: pytest.MonkeyPatch) -> None:
    """Let the applications that are made be no others' concern."""
    patch.setattr(Sanic, "test_mode", True)
    patch.setattr(Sanic, "_app_registry", {})


@pytest.fixture
def applications(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the applications that the test makes be no others' concern."""
    own_applications(monkeypatch)


def _forget(folder: Path) -> None:
    """Import nothing of a folder a second time."""
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(f"{folder}{os.sep}"):
            del sys.modules[name]


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``python -m sanic_ms WORDS`` to its end, in the test's folder: a process of its own."""

    def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sanic_ms", *words],
            cwd=tmp_path,
            env=environment(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
        )

    return run


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start ``python -m sanic_ms WORDS`` in the test's folder; stopped after the test."""
    with contextlib.ExitStack() as stack:

        def run(*words: str, **env: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-m", "sanic_ms", *words],
                cwd=tmp_path,
                env=environment(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            stack.callback(_end, process)
            return process

        yield run


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.stdout is not None
    process.stdout.close()


@pytest.fixture
def read_until() -> Callable[..., str]:
    """Read a process' output up to the line that holds a text, for the given number of times."""

    def read(process: subprocess.Popen[str], text: str, times: int = 1) -> str:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            times -= text in line
            if times == 0:
                return "".join(lines)
        raise AssertionError(f"{text!r} did not come:\n{''.join(lines)}")

    return read


@pytest.fixture
def get() -> Callable[..., str]:
    """GET a URL, trying until it answers."""

    def fetch(url: str, *, timeout: float = 90.0) -> str:
        deadline = time.monotonic() + timeout
        while True:
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    text: str = answer.read().decode()
                    return text
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    return fetch


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Wait for a condition; fail if it does not come true in time."""

    def wait(condition: Callable[[], bool], *, timeout: float = 90.0) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true"
            time.sleep(0.02)

    return wait
