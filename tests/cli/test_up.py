"""``sanic-ms up``: every service of a folder, started and stopped together."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.processes import alive

from sanic_ms.cli._processes import End, Printer

Command = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]
Get = Callable[..., str]
Make = Callable[..., int]
Read = Callable[..., str]


@pytest.fixture
def pair(make_service: Make, tmp_path: Path) -> dict[str, int]:
    """Two services in a folder, with their ports."""
    return {name: make_service(tmp_path / "all" / name) for name in ("city", "user")}


def pids(pair: dict[str, int], get: Get) -> list[int]:
    """The processes that answer."""
    return [
        json.loads(get(f"http://127.0.0.1:{port}/pid"))["data"]["pid"] for port in pair.values()
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_they_start_and_stop_together(
    start: Start, read_until: Read, get: Get, pair: dict[str, int], number: signal.Signals
) -> None:
    """When all answer their addresses are printed; a signal stops all of them with exit code 0."""
    process = start("up", "all")
    output = read_until(process, "press Ctrl+C to stop")
    for name, port in pair.items():
        assert f"  {name}  http://127.0.0.1:{port}/docs\n" in output
    running = pids(pair, get)
    process.send_signal(number)
    assert process.wait(30) == 0
    assert not any(map(alive, running))


def test_logs_carry_the_services_name_and_no_colour_in_a_pipe(
    start: Start, read_until: Read, make_service: Make, tmp_path: Path
) -> None:
    """Each line says whose it is; escape codes are for terminals."""
    for name, word in (("a", "first"), ("longer", "second")):
        server = (
            f"print('{word} word', flush=True)\nfrom sanic_ms import Service\napp = Service('x')\n"
        )
        make_service(tmp_path / "all" / name, server=server)
    output = read_until(start("up", "all"), "press Ctrl+C")
    assert "a      | first word\n" in output
    assert "longer | second word\n" in output
    assert "\x1b" not in output


def test_one_that_dies_stops_the_others(
    start: Start, read_until: Read, get: Get, pair: dict[str, int], wait_until: Callable[..., None]
) -> None:
    """It says which and how, and the exit code is 1."""
    process = start("up", "all")
    read_until(process, "press Ctrl+C")
    city, user = pids(pair, get)
    os.kill(city, signal.SIGKILL)
    output = read_until(process, "stopping the others")
    assert "city ended with signal SIGKILL; stopping the others\n" in output
    assert process.wait(30) == 1
    wait_until(lambda: not alive(user))


def test_none_is_left_when_up_itself_is_killed(
    start: Start, read_until: Read, get: Get, pair: dict[str, int], wait_until: Callable[..., None]
) -> None:
    """SIGKILL lets nobody clean up; the services notice it themselves."""
    process = start("up", "all")
    read_until(process, "press Ctrl+C")
    running = pids(pair, get)
    process.kill()
    process.wait()
    wait_until(lambda: not any(map(alive, running)))


def test_one_that_does_not_start_is_named(
    shell: Command, make_service: Make, tmp_path: Path
) -> None:
    """Mistakes in a service's code or settings are found before any is started."""
    make_service(tmp_path / "all" / "good")
    make_service(tmp_path / "all" / "bad", server="import nothing_like_it\n")
    done = shell("up", "all")
    assert done.returncode == 2
    assert done.stderr == (
        "sanic-ms: bad: server.py:1: ModuleNotFoundError: No module named 'nothing_like_it'\n"
    )


def test_one_that_fails_at_its_start_stops_the_others(
    shell: Command, make_service: Make, tmp_path: Path
) -> None:
    """A listener that raises ends that service, and with it the rest."""
    make_service(tmp_path / "all" / "good")
    server = (
        "from sanic_ms import Service\napp = Service('bad')\n"
        "@app.before_server_start\nasync def fail(app):\n    raise RuntimeError('no luck')\n"
    )
    make_service(tmp_path / "all" / "bad", server=server)
    done = shell("up", "all")
    assert done.returncode == 1
    assert "bad ended with exit code" in done.stdout
    assert "no luck" in done.stdout


def test_two_services_on_one_port_are_refused(shell: Command, pair: dict[str, int]) -> None:
    """A PORT in the environment reaches all of them; that cannot work, and is said at once."""
    done = shell("up", "all", PORT=str(pair["city"]))
    assert done.returncode == 2
    assert done.stderr == (
        f"sanic-ms: city and user both listen on {pair['city']} (environment variable PORT): "
        "set a PORT of its own in each one's settings.py\n"
    )


def test_the_operators_ports_are_looked_at_too(shell: Command, pair: dict[str, int]) -> None:
    """Each service needs one of its own, as it does of the others."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = shell("up", "all", ADMIN_PORT=str(port))
        assert done.returncode == 1
        assert (
            f"city: port {port} on 127.0.0.1 is in use: stop what listens there, or set ADMIN_PORT"
            in done.stderr
        )
    done = shell("up", "all", ADMIN_PORT=str(port))
    assert done.returncode == 2
    assert f"city and user both listen on {port} (environment variable ADMIN_PORT)" in done.stderr


def test_https_and_an_operators_port_are_where_they_are(
    start: Start, read_until: Read, make_service: Make, free_port: Callable[[], int], tmp_path: Path
) -> None:
    """A service with a certificate gets ready, whatever the certificate; docs are printed where
    they are."""
    (tmp_path / "all").mkdir()
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x",
             "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
            check=True, capture_output=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    files = f"TLS_CERT = '{tmp_path}/cert.pem'\nTLS_KEY = '{tmp_path}/key.pem'\n"
    safe = make_service(tmp_path / "all" / "safe", settings=files)
    admin = free_port()
    make_service(tmp_path / "all" / "watched", settings=f"ADMIN_PORT = {admin}\n")
    output = read_until(start("up", "all"), "press Ctrl+C to stop")
    assert f"  safe     https://127.0.0.1:{safe}/docs\n" in output
    assert f"  watched  http://127.0.0.1:{admin}/docs\n" in output


def test_a_port_in_use_is_said_with_the_service(shell: Command, pair: dict[str, int]) -> None:
    """Nothing is started."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", pair["user"]))
        other.listen()
        done = shell("up", "all")
    assert done.returncode == 1
    assert done.stderr.startswith(f"sanic-ms: user: port {pair['user']} on 127.0.0.1 is in use")


def test_one_that_never_answers_ends_the_waiting(
    shell: Command, make_service: Make, tmp_path: Path
) -> None:
    """The wait has a limit, and says who is late."""
    server = (
        "import asyncio\nfrom sanic_ms import Service\napp = Service('slow')\n"
        "@app.before_server_start\nasync def wait(app):\n    await asyncio.sleep(3)\n"
    )
    make_service(tmp_path / "all" / "slow", server=server)
    done = shell("up", "all", "--timeout", "1")
    assert done.returncode == 1
    assert "slow did not answer within 1 s\n" in done.stdout


@pytest.mark.parametrize(
    ("layout", "line"),
    [
        ([], "there is no folder all\n"),
        (["all/x/main.py"], "no folder in all holds a server.py\n"),
        (
            ["all/server.py"],
            "no folder in all holds a server.py (it is a service itself: sanic-ms run --dir all)\n",
        ),
    ],
)
def test_a_folder_without_services_is_one_line(
    shell: Command, tmp_path: Path, layout: list[str], line: str
) -> None:
    """With the next thing to try."""
    for name in layout:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("")
    done = shell("up", "all")
    assert (done.returncode, done.stderr) == (2, f"sanic-ms: {line}")


class Terminal(io.TextIOWrapper):
    """Standard output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_a_terminal_gets_a_colour_for_each_service(
    monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool
) -> None:
    """Unless NO_COLOR is set and not empty."""
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", Terminal(raw))
    monkeypatch.setenv("NO_COLOR", no_color)
    printer = Printer(["a", "bb"])
    printer.line("a", b"one\r\n")
    printer.line("bb", b"two")
    if coloured:
        assert raw.getvalue() == b"\x1b[36ma  |\x1b[0m one\n\x1b[33mbb |\x1b[0m two\n"
    else:
        assert raw.getvalue() == b"a  | one\nbb | two\n"


def test_how_a_process_ended_is_said_in_words() -> None:
    """A signal by its name."""
    assert End("x", 3).reason == "exit code 3"
    assert End("x", -9).reason == "signal SIGKILL"
    assert End("x", -99).reason == "signal 99"
