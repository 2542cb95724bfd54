"""Programs: the ways in which Sanic's users start an application, on a service."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipapp
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.ports import free_port

LIMIT = 90.0  # a busy machine is slow, not broken


class Program:
    """A program in a process of its own, in a folder of this test."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        self._log = folder / "log"
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=folder,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **variables},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What it has written so far."""
        return self._log.read_text()

    def ask(self, port: int, path: str = "/") -> bytes:
        """The body of a response, once there is one."""
        deadline = time.monotonic() + LIMIT
        while True:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            with (
                contextlib.suppress(ConnectionRefusedError),
                socket.create_connection(("127.0.0.1", port), LIMIT) as client,
            ):
                head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                client.sendall(head.encode())
                whole = b"".join(iter(lambda: client.recv(65536), b""))
                return whole.partition(b"\r\n\r\n")[2]
            time.sleep(0.02)

    def end(self) -> int:
        """Stop it; the exit code."""
        self.process.terminate()
        return self.process.wait(LIMIT)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Begin a program in the test's folder; it is ended after the test."""
    begun: list[Program] = []

    def begin(*arguments: str, **variables: str) -> Program:
        begun.append(Program(tmp_path, *arguments, **variables))
        return begun[-1]

    yield begin
    for one in begun:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(one.process.pid, signal.SIGKILL)
        one.process.wait(LIMIT)


APPLICATION = """\
import os
from sanic import text
from sanic_ms import Service

app = Service("shop")

@app.get("/")
async def root(request):
    return text(f"{os.getpid()} {__name__}")
"""

RUN = {
    "guarded": 'if __name__ == "__main__":\n    app.run()\n',
    "bare": "app.run()\nprint('after the run')\n",
}


@pytest.mark.parametrize(
    ("form", "run"),
    [("package", "bare"), ("all-in-main", "guarded"), ("folder", "bare"), ("archive", "guarded")],
)
def test_a_main_of_a_package_has_workers(
    tmp_path: Path, program: Callable[..., Program], form: str, run: str
) -> None:
    """``python -m shop`` with a ``__main__``, ``python folder`` and ``python archive`` start their
    workers, with ``if __name__ == "__main__":`` and without."""
    shop = tmp_path / "shop"
    shop.mkdir()
    if form == "package":
        (shop / "__init__.py").touch()
        (shop / "server.py").write_text(APPLICATION)
        (shop / "__main__.py").write_text(f"from .server import app\n\n{RUN[run]}")
        arguments = ["-m", "shop"]
    elif form == "all-in-main":
        (shop / "__init__.py").touch()
        (shop / "__main__.py").write_text(APPLICATION + RUN[run])
        arguments = ["-m", "shop"]
    else:
        (shop / "server.py").write_text(APPLICATION)
        (shop / "__main__.py").write_text(f"from server import app\n\n{RUN[run]}")
        if form == "archive":
            zipapp.create_archive(shop, tmp_path / "shop.pyz")
        arguments = ["shop.pyz" if form == "archive" else "shop"]
    port = free_port()
    server = program(*arguments, PORT=str(port), WORKERS="2")
    pid = int(server.ask(port).split()[0])
    assert pid != server.process.pid
    assert server.end() == 0, server.output
    # The rest of the program is not run by each worker.
    assert server.output.count("after the run") == (run == "bare"), server.output


def test_a_plain_application_beside_it_changes_no_line(
    tmp_path: Path, program: Callable[..., Program]
) -> None:
    """Where a plain Sanic application was made in the process, each line comes once, in the
    service's form."""
    (tmp_path / "server.py").write_text(
        "from sanic import Sanic\nfrom sanic.log import logger\n"
        "other = Sanic('other')\n"
        f"{APPLICATION}"
        "@app.get('/log')\nasync def log(request):\n    logger.info('from sanic')\n    return 1\n"
        'if __name__ == "__main__":\n    app.run()\n'
    )
    port = free_port()
    server = program("server.py", PORT=str(port), LOG_FORMAT="json")
    server.ask(port)
    server.ask(port, "/log")
    assert server.end() == 0, server.output
    lines = [json.loads(line) for line in server.output.splitlines()]
    messages = [line["message"] for line in lines]
    assert messages.count("GET / 200") == 1
    assert messages.count("from sanic") == 1


def test_single_process(tmp_path: Path, program: Callable[..., Program]) -> None:
    """``app.run(single_process=True)`` serves in this process, with all the listeners."""
    (tmp_path / "server.py").write_text(
        "import os, sys\nfrom sanic import text\nfrom sanic_ms import Service\n"
        "app = Service('shop')\n"
        "@app.get('/')\nasync def root(request):\n    return text(str(os.getpid()))\n"
        "@app.main_process_start\nasync def one(app):\n    print('main start')\n"
        "@app.before_server_start\nasync def two(app):\n    print('before start')\n"
        "@app.after_server_stop\nasync def three(app):\n    print('after stop')\n"
        "@app.main_process_stop\nasync def four(app):\n    print('main stop')\n"
        'if __name__ == "__main__":\n'
        "    app.run(port=int(sys.argv[1]), single_process=True, motd=False)\n"
    )
    port = free_port()
    server = program("server.py", str(port))
    assert int(server.ask(port)) == server.process.pid
    assert server.end() == 0, server.output
    told = ("main start", "before start", "after stop", "main stop")
    assert [line for line in server.output.splitlines() if line in told] == list(told)


@pytest.mark.parametrize("base", ["sanic_ms.Service", "sanic.Sanic"])
def test_several_applications(tmp_path: Path, program: Callable[..., Program], base: str) -> None:
    """``prepare`` of several applications and ``Sanic.serve`` serve them all in one process."""
    module, _, name = base.rpartition(".")
    (tmp_path / "server.py").write_text(
        "import sys\nfrom sanic import Sanic, text\n"
        f"from {module} import {name} as Application\n"
        "def make(name):\n"
        "    app = Application(name)\n"
        "    app.config.AUTO_EXTEND = False\n"
        "    @app.get('/')\n"
        "    async def root(request):\n        return text(request.app.name)\n"
        "    return app\n"
        "one, two = make('one'), make('two')\n"
        'if __name__ == "__main__":\n'
        "    one.prepare(port=int(sys.argv[1]), single_process=True, motd=False)\n"
        "    two.prepare(port=int(sys.argv[2]), single_process=True, motd=False)\n"
        "    Sanic.serve_single(primary=one)\n"
    )
    ports = free_port(), free_port()
    server = program("server.py", *map(str, ports))
    # Not how it ends: on a busy machine Sanic's own runner misses a SIGTERM now and then.
    assert [server.ask(port) for port in ports] == [b"one", b"two"]


def test_factories(tmp_path: Path, program: Callable[..., Program]) -> None:
    """``sanic server:create --factory`` makes the application and serves it."""
    (tmp_path / "server.py").write_text(
        "from sanic import text\nfrom sanic_ms import Service\n"
        "def create():\n"
        "    app = Service('made')\n"
        "    @app.get('/')\n    async def root(request):\n        return text('made')\n"
        "    return app\n"
    )
    port = free_port()
    server = program(
        *("-m", "sanic", "server:create", "--factory", "--single-process", "--port", str(port))
    )
    assert server.ask(port) == b"made"


def test_commands(tmp_path: Path, program: Callable[..., Program]) -> None:
    """``sanic server:app exec`` runs what ``app.command`` has registered, with texts."""
    (tmp_path / "server.py").write_text(
        "from sanic_ms import Service\n"
        "app = Service('shop')\n"
        "@app.command\n"
        "async def greet(name: str):\n    print('hello', name)\n"
        "@app.command(name='other')\n"
        "def named():\n    print('named')\n"
    )
    server = program("-m", "sanic", "server:app", "exec", "greet", "--name=Ann")
    assert server.process.wait(LIMIT) == 0, server.output
    assert "hello Ann" in server.output
    server = program("-m", "sanic", "server:app", "exec", "other")
    assert server.process.wait(LIMIT) == 0, server.output
    assert "named" in server.output
