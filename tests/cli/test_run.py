"""``sanic-ms run``: one service, and one line for each way in which it cannot start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]
Get = Callable[..., str]
Read = Callable[..., str]

READY = "serves at"


def test_a_service_is_served_and_stopped(
    start: Start, read_until: Read, get: Get, make_service: Callable[..., int], tmp_path: Path
) -> None:
    """server:app of the folder, at the address of its settings; SIGTERM ends it with 0."""
    port = make_service(tmp_path)
    process = start("run")
    read_until(process, READY)
    answer = json.loads(get(f"http://127.0.0.1:{port}/pid"))["data"]
    assert answer == {"pid": process.pid, "parent": os.getpid(), "debug": False}
    process.send_signal(signal.SIGTERM)
    assert process.wait(90) == 0


def test_options_win_over_every_source(
    start: Start,
    get: Get,
    make_service: Callable[..., int],
    free_port: Callable[[], int],
    tmp_path: Path,
) -> None:
    """Options are the keyword layer; --dir is entered before anything is read."""
    make_service(tmp_path / "deep" / "shop", settings="DEBUG = False\n")
    port = free_port()
    start("run", "--dir", "deep/shop", "--port", str(port), "--debug", PORT="1", DEBUG="no")
    assert json.loads(get(f"http://127.0.0.1:{port}/pid"))["data"]["debug"] is True


def test_several_workers_serve_with_the_same_options(
    start: Start,
    get: Get,
    make_service: Callable[..., int],
    wait_until: Callable[..., None],
    tmp_path: Path,
) -> None:
    """Each worker loads the service itself, with the command line's settings."""
    port = make_service(tmp_path)
    process = start("run", "--workers", "2", "--debug")
    seen: set[int] = set()

    def both() -> bool:
        answer = json.loads(get(f"http://127.0.0.1:{port}/pid"))["data"]
        assert (answer["parent"], answer["debug"]) == (process.pid, True)
        seen.add(answer["pid"])
        return len(seen) == 2

    wait_until(both)


def test_a_unix_socket_is_served(
    start: Start,
    make_service: Callable[..., int],
    wait_until: Callable[..., None],
    tmp_path: Path,
) -> None:
    """--unix listens there and on no port."""
    make_service(tmp_path)
    # The address of a unix socket holds some hundred bytes, and the test's folder has most of them.
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/app.sock"
        start("run", "--unix", path)
        wait_until(lambda: os.path.exists(path))
        assert ask(path).startswith(b"HTTP/1.1 200")


def ask(path: str) -> bytes:
    """The start of the answer of a service on a unix socket: whoever can connect is answered."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(90)
        client.connect(path)
        client.sendall(b"GET /pid HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return client.recv(1000)


def test_it_stops_when_its_parent_is_gone(
    make_service: Callable[..., int], read_until: Read, get: Get, tmp_path: Path
) -> None:
    """With --stop-with-stdin the end of standard input is an order to stop."""
    port = make_service(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "sanic_ms", "run", "--stop-with-stdin"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        read_until(process, READY)
        get(f"http://127.0.0.1:{port}/pid")
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(90) == 0


def test_python_server_py_serves_too(
    make_service: Callable[..., int], get: Get, tmp_path: Path
) -> None:
    """A service runs alone without the command."""
    port = make_service(tmp_path)
    with (tmp_path / "server.py").open("a") as file:
        file.write("\nif __name__ == '__main__':\n    app.run()\n")
    with subprocess.Popen(
        [sys.executable, "server.py"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert json.loads(get(f"http://127.0.0.1:{port}/pid"))["data"]["pid"] == process.pid
        finally:
            process.kill()


TWO = "from sanic_ms import Service\na = Service('a')\nb = Service('b')\n"


@pytest.mark.parametrize(
    ("files", "words", "line"),
    [
        ({}, [], "there is no module 'server' in {here}: name the service as module:attribute"),
        ({}, ["shop.main"], "there is no module 'shop' in {here}"),
        ({}, ["server.py"], "'server.py' is a file; name the module (server:app)"),
        ({}, ["--dir", "nowhere"], "--dir nowhere: No such file or directory"),
        ({"server.py": ""}, [], "server.py holds no Service (write app = Service('name'))"),
        ({"server.py": "app = 1\n"}, ["server:app"], "server:app is a int, not a sanic_ms.Service"),
        ({"server.py": ""}, ["server:service"], "server.py has no 'service'"),
        (
            {"server.py": TWO},
            [],
            "server.py holds several services; choose one of server:a, server:b",
        ),
        (
            {"server.py": "import nothing_like_it\n"},
            [],
            "server.py:1: ModuleNotFoundError: No module named 'nothing_like_it'",
        ),
        (
            {"server.py": "\nimport views\n", "views.py": "\n\nx = y\n"},
            [],
            "views.py:3: NameError: name 'y' is not defined",
        ),
        ({"server.py": "def f(:\n"}, [], "server.py:1: SyntaxError: invalid syntax"),
        (
            {"server.py": "def make():\n    return 1 / 0\n"},
            ["server:make"],
            "server:make() failed: server.py:2: ZeroDivisionError: division by zero",
        ),
        (
            {"server.py": "from sanic_ms import _extras\n_extras.require('x_y', 'z', purpose='X')"},
            [],
            'X need x_y: pip install "sanic-ms[z]"',
        ),
        (
            {"server.py": "from sanic_ms import Service\napp = Service('x')\n", ".env": "PORT=x\n"},
            [],
            "PORT='x' (.env line 1): allowed is a whole number from 1 to 65535",
        ),
    ],
)
def test_what_cannot_start_says_why_in_one_line(
    command: Command, tmp_path: Path, files: dict[str, str], words: list[str], line: str
) -> None:
    """The application or its settings are wrong: exit code 2, one line, no traceback."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    done = command("run", *words)
    assert done.returncode == 2
    assert done.stderr.startswith(f"sanic-ms: {line.format(here=tmp_path)}")
    assert done.stderr.count("\n") == 1


def test_a_port_in_use_is_one_line(
    command: Command, make_service: Callable[..., int], tmp_path: Path
) -> None:
    """Exit code 1: the service is fine, the place is taken. Workers or not."""
    port = make_service(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        for workers in ("1", "2"):
            done = command("run", WORKERS=workers)
            assert done.returncode == 1
            assert done.stderr == (
                f"sanic-ms: port {port} on 127.0.0.1 is in use: "
                "stop what listens there, or set PORT\n"
            )


def test_debug_shows_the_traceback_as_well(command: Command, tmp_path: Path) -> None:
    """The line is for most; who works on the error asks for more."""
    (tmp_path / "server.py").write_text("x = y\n")
    done = command("run", "--debug")
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert done.stderr.endswith("sanic-ms: server.py:1: NameError: name 'y' is not defined\n")


def test_a_service_that_cannot_start_ends_with_its_reason(
    command: Command, make_service: Callable[..., int], tmp_path: Path
) -> None:
    """A part that fails to start ends the process with an error's exit code."""
    make_service(tmp_path, settings="DB_URL = 'sqlite:////nowhere/at/all.db'\n")
    done = command("run")
    assert done.returncode != 0
    assert "/nowhere/at/all.db" in done.stderr


def test_a_function_may_make_the_service(
    start: Start, get: Get, make_service: Callable[..., int], tmp_path: Path
) -> None:
    """module:function, in a package too."""
    port = make_service(tmp_path)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "main.py").write_text(
        "def make():\n    from server import app\n    return app\n"
    )
    start("run", "shop.main:make")
    assert get(f"http://127.0.0.1:{port}/pid")
