"""``sanic-ms do``: the commands of a service."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., "subprocess.Popen[str]"]

SERVER = """
from sanic_ms import Component, Service, current_service

print("imported")


class Repo:
    pass


class Store(Component):
    name = "store"

    async def start(self):
        print("store started", flush=True)

    async def stop(self):
        print("store stopped", flush=True)


app = Service("shop")
app.add(Store())
app.provide(Repo)
app.ctx.ready = []
app.include("commands")


@app.before_server_start
async def set_up(app):
    app.ctx.ready.append("set up")


@app.after_server_start
async def serve(app):
    app.ctx.ready.append("serving")


@app.command
def ready():
    print(current_service().ctx.ready)
"""
COMMANDS = """
import asyncio
import time
from datetime import date
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sanic_ms import Depends, Request, Service, Settings as ShopSettings, command
from sanic_ms import current_service
from sanic_ms.db import ConnectionPool
from sanic_ms.exception import NotFound


class Size(Enum):
    small = "small"
    large = "large"


@command()
async def import_users(
    path: Path,
    db: ConnectionPool,
    app: Service,
    tags: list[str] | None = None,
    *,
    since: date = date(2026, 1, 1),
    price: Decimal = Decimal("1.5"),
    size: Size = Size.small,
    limit: int,
    dry_run: bool = False,
    note: Annotated[str, typer.Option("--note", "-n")] = "-",
) -> int:
    '''Import users from a file.

    One a line.

    Args:
        path: The file, with
            one user a line.
        limit (int): How many.

    Raises:
        ValueError: never.
    '''
    print(await db.fetchval("SELECT 41 + 1"), app.name, current_service() is app)
    print(path, tags, since, price, size.name, limit, dry_run, note)
    return 3


@command
async def forever():
    try:
        print("working", flush=True)
        await asyncio.sleep(600)
    finally:
        await asyncio.sleep(0)
        print("command ended", flush=True)


@command
def blocking():
    try:
        print("working", flush=True)
        time.sleep(600)
    finally:
        print("command ended", flush=True)


@command
async def stubborn():
    print("working", flush=True)
    while True:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            print("no", flush=True)


@command
async def fails():
    raise ValueError("no\\nway")


@command
async def not_there():
    raise NotFound("no user 7")


@command
async def leaves(code: int):
    raise SystemExit(code)


@command
async def leaves_with_text():
    raise SystemExit("that is all")


@command
def untyped(value):
    pass


@command
def many(*values: str):
    pass


@command
def unknown(value: Missing):
    pass


class Nowhere:
    pass


@command
def unprovided(value: Nowhere):
    pass


async def opened(app_settings: ShopSettings):
    try:
        yield app_settings.port
    except BaseException as exc:
        print("rolled back:", type(exc).__name__)
        raise
    print("committed")


def of_request(request: Request, name: str) -> str:
    return name


@command
async def in_scope(value: Annotated[int, Depends(opened)], code: int = 0):
    print("runs with", value)
    raise SystemExit(code)


@command
async def of_requests(value: Annotated[str, Depends(of_request)]):
    pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A service with commands."""
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "commands.py").write_text("from __future__ import annotations\n" + COMMANDS)
    return tmp_path


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on standard error that is not the application's own."""
    own = ("imported", "store started", "store stopped")
    lines = [line for line in done.stderr.splitlines() if line not in own]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_a_command_runs_with_the_components_of_its_service(command: Command, folder: Path) -> None:
    """Arguments, options and services by type; standard output is the command's alone, and what it
    returns is no exit code. Listeners of a service that serves do not run."""
    url = f"sqlite:///{folder / 'shop.db'}"
    words = [
        "do",
        "import-users",
        "users.csv",
        "--tags",
        "a",
        "--tags",
        "b",
        "--since",
        "2026-02-03",
    ]
    words += [
        "--since",
        "2026-02-03",
        "--price",
        "0.10",
        "--size",
        "large",
        "--limit",
        "7",
        "--dry-run",
        "-n",
        "x",
    ]
    done = command(*words, DB_URL=url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "42 shop True",
        "users.csv ['a', 'b'] 2026-02-03 0.10 large 7 True x",
    ]
    assert done.stderr.splitlines() == ["imported", "store started", "store stopped"]
    done = command("do", "ready")
    assert (done.returncode, done.stdout) == (0, "['set up']\n")


def test_defaults(command: Command, folder: Path) -> None:
    """Those of the function."""
    done = command("do", "import-users", "users.csv", "--limit", "1", DB_URL="sqlite://")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1] == "users.csv None 2026-01-01 1.5 small 1 False -"


def test_the_list(command: Command, folder: Path) -> None:
    """Each command with the first line of its docstring, by name."""
    done = command("do")
    assert done.returncode == 0, done.stderr
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert lines[0] == ["blocking"]
    assert ["import-users", "Import users from a file."] in lines
    assert lines == sorted(lines)
    assert done.stderr == "imported\n"


def test_help_of_a_command(command: Command, folder: Path) -> None:
    """Its docstring, and what that says of each parameter; services are not shown."""
    done = command("do", "import-users", "--help")
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "Usage: sanic-ms do import-users [OPTIONS]" in text
    assert "Import users from a file. One a line." in text
    assert "The file, with one user a line." in text
    assert "How many." in text
    assert "2026-01-01" in text
    for hidden in ("Args:", "Raises:", "never", "--db", "DB ", "--app"):
        assert hidden not in text
    assert done.stderr == "imported\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["import-users"], "PATH"),
        (["import-users", "x"], "--limit"),
        (["import-users", "x", "--limit", "many"], "--limit"),
        (["import-users", "x", "--limit", "1", "--since", "today"], "--since"),
        (["import-users", "x", "--limit", "1", "--price", "cheap"], "--price"),
        (["import-users", "x", "--limit", "1", "--colour", "red"], "--colour"),
        (["forever", "more"], "more"),
    ],
)
def test_wrong_words(command: Command, folder: Path, words: list[str], says: str) -> None:
    """Exit code 2 and what is wrong; nothing is started."""
    done = command("do", *words)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1]
    assert "store started" not in done.stderr


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["import-user"], "there is no command 'import-user': did you mean import-users?"),
        (["zzz"], "there is no command 'zzz' (known: blocking, fails, forever, "),
        (["untyped"], "the parameter value has no annotation (write value: str)"),
        (["many"], "the parameter values takes any number; write values: list[str]"),
        (["unknown"], "an annotation cannot be resolved: name 'Missing' is not defined"),
        (["unprovided"], "the parameter value is a Nowhere, which the command line cannot give"),
        (
            ["of-requests"],
            "of-requests: of_request: no request is served here: the query parameter 'name'",
        ),
        (["import-users", "x", "--limit", "1"], "the parameter db is a ConnectionPool"),
        (["--app", "server:nothing", "forever"], "server.py has no 'nothing'"),
    ],
)
def test_what_cannot_run(command: Command, folder: Path, words: list[str], line: str) -> None:
    """One line and exit code 2; nothing is started."""
    done = command("do", *words)
    assert done.returncode == 2
    assert line in one_line(done)
    assert "store started" not in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (["fails"], 1, "sanic-ms: fails failed: commands.py:"),
        (["not-there"], 1, "sanic-ms: not-there failed: 404 Not Found: no user 7"),
        (["leaves-with-text"], 1, "that is all"),
    ],
)
def test_a_command_that_fails(
    command: Command, folder: Path, words: list[str], code: int, line: str
) -> None:
    """One line, and the service is stopped."""
    done = command("do", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert one_line(done).startswith(line)
    assert "store stopped" in done.stderr
    if words == ["fails"]:
        assert one_line(done).endswith(": ValueError: no way")


def test_debug_shows_the_traceback(command: Command, folder: Path) -> None:
    """With the setting DEBUG, and before the line."""
    done = command("do", "fails", DEBUG="true")
    assert done.returncode == 1
    assert 'raise ValueError("no\\nway")' in done.stderr
    assert done.stderr.splitlines()[-1].startswith("sanic-ms: fails failed: commands.py:")


@pytest.mark.parametrize(("code", "end"), [(0, "committed"), (7, "rolled back: SystemExit")])
def test_a_command_has_a_scope(command: Command, folder: Path, code: int, end: str) -> None:
    """Functions that yield are closed before the components stop; an exit with 0 is a success."""
    done = command("do", "in-scope", "--code", str(code), PORT="8123")
    assert done.returncode == code
    assert done.stdout.splitlines() == ["runs with 8123", end]
    assert done.stderr.splitlines() == ["imported", "store started", "store stopped"]


@pytest.mark.parametrize("code", [0, 7])
def test_a_command_chooses_its_exit_code(command: Command, folder: Path, code: int) -> None:
    """With SystemExit; the service is stopped all the same."""
    done = command("do", "leaves", str(code))
    assert done.returncode == code
    assert done.stderr.splitlines() == ["imported", "store started", "store stopped"]


def test_a_service_that_cannot_start(command: Command, folder: Path) -> None:
    """A database that is not there: exit code 1; a setting that is wrong: 2. One line each."""
    done = command("do", "ready", DB_URL="postgresql://nobody@127.0.0.1:1/none")
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr.splitlines()[-1]
    done = command("do", "ready", PORT="80x")
    assert done.returncode == 2
    assert "PORT='80x'" in one_line(done)


def test_no_commands(command: Command, tmp_path: Path) -> None:
    """A line says how there would be one."""
    (tmp_path / "server.py").write_text("from sanic_ms import Service\napp = Service('shop')\n")
    done = command("do")
    assert (done.returncode, done.stdout) == (0, "")
    assert "mark functions with @command" in one_line(done)


def test_nothing_listens(command: Command, folder: Path, free_port: Callable[[], int]) -> None:
    """Neither on PORT nor on ADMIN_PORT, which the running service has."""
    import socket

    ports = [free_port(), free_port()]
    with (
        socket.create_server(("127.0.0.1", ports[0])),
        socket.create_server(("127.0.0.1", ports[1])),
    ):
        done = command("do", "ready", PORT=str(ports[0]), ADMIN_PORT=str(ports[1]))
    assert (done.returncode, done.stdout) == (0, "['set up']\n"), done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["int", "term"])
@pytest.mark.parametrize("name", ["forever", "blocking"])
def test_a_signal_cancels_it(
    start: Start,
    read_until: Callable[..., str],
    folder: Path,
    name: str,
    number: signal.Signals,
) -> None:
    """Its clean-up runs, then the service is stopped; the exit code is that of a signal."""
    process = start("do", name)
    read_until(process, "working")
    process.send_signal(number)
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 128 + number
    ended = [line for line in output.splitlines() if line]
    assert ended == [
        "command ended",
        f"sanic-ms: {name} was cancelled ({number.name})",
        "store stopped",
    ]


def test_a_second_signal_ends_it_at_once(
    start: Start, read_until: Callable[..., str], folder: Path
) -> None:
    """A command that does not let itself be cancelled."""
    process = start("do", "stubborn")
    read_until(process, "working")
    process.send_signal(signal.SIGTERM)
    read_until(process, "no")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 128 + signal.SIGTERM
    assert output == "sanic-ms: forced exit: a second signal\n"


def test_logs_go_to_standard_error(shell: Command, folder: Path) -> None:
    """In a process of its own, with the framework's own logging."""
    (folder / "commands.py").write_text(
        "import logging\nfrom sanic_ms import command\n"
        "@command\nasync def says():\n    logging.getLogger('shop').warning('a line')\n"
        "    print('result')\n"
    )
    done = shell("do", "says")
    assert (done.returncode, done.stdout) == (0, "result\n"), done.stderr
    assert "a line" in done.stderr
