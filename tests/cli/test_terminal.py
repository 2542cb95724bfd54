"""What a person sees who starts services on a terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.ports import free_port

SERVER = """
from sanic_ms import Service

app = Service("{name}")

@app.get("/items")
async def items(request):
    return []
"""
LIMIT = 60


class Terminal:
    """A command on a pseudo-terminal of its own."""

    def __init__(self, folder: Path, *words: str, **variables: str) -> None:
        self.text = ""
        self._screen, inside = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sanic_ms", *words],
            cwd=folder,
            env={**os.environ, "NO_COLOR": "1", **variables},
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
        )
        os.close(inside)

    def read_until(self, text: str, times: int = 1) -> None:
        """Wait until it has been shown so often."""
        deadline = time.monotonic() + LIMIT
        while self.text.count(text) < times:
            assert time.monotonic() < deadline, self.text
            if select.select([self._screen], [], [], 0.1)[0]:
                self.text += os.read(self._screen, 65536).decode()

    def close(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()
        os.close(self._screen)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    """Start a command on a terminal."""
    begun: list[Terminal] = []

    def begin(folder: Path, *words: str, **variables: str) -> Terminal:
        begun.append(Terminal(folder, *words, **variables))
        return begun[-1]

    yield begin
    for each in begun:
        each.close()


@pytest.mark.parametrize("command", ["run", "up"])
def test_the_summary_is_all_that_is_said(
    tmp_path: Path, terminal: Callable[..., Terminal], command: str
) -> None:
    """Nothing of Sanic's own mode stands beside ours, nor an option that the command has not."""
    port = str(free_port())
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "server.py").write_text(SERVER.format(name="shop"))
    words = ["run", "--port", port, "--reload"] if command == "run" else ["up", str(tmp_path)]
    shown = terminal(folder, *words, PORT=port)
    shown.read_until(f"http://127.0.0.1:{port}/docs")
    if command == "run":
        shown.read_until("traces    none")
        with (folder / "server.py").open("a") as file:
            file.write("\n")
        shown.read_until("serves", times=2)  # which is one line, not the summary again
        assert shown.text.count("shop 1.0.0 serves at") == 1
        assert shown.text.count("mode      development, auto_reload") == 1
    shown.process.terminate()
    assert shown.process.wait(LIMIT) == 0
    assert "PRODUCTION" not in shown.text
    assert "--dev" not in shown.text
    assert "WARNING" not in shown.text
