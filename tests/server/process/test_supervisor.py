"""Several workers and their master: whoever dies, somebody serves, and nobody is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.processes import alive

Run = Callable[..., Any]


def pid(kit: Any, port: int) -> int:
    """The process that answers."""
    body = kit.ask(port).partition(b"\r\n\r\n")[2]
    found: int = json.loads(body)["data"]["pid"]
    return found


def started(run: Run, kit: Any, *, workers: int = 2, **keywords: Any) -> Any:
    """A running service with its workers."""
    server = run(WORKERS=str(workers), **keywords)
    server.wait_for("serves at")
    kit.wait_until(lambda: len(server.workers()) == workers)
    return server


def test_killed_workers_are_replaced(run: Run, load: Any, kit: Any) -> None:
    """Within a second there is another, and the port answers all the time. The master takes
    connections while all are dead, and they are answered."""
    server = started(run, kit)
    first, second = server.workers()
    with load(server.port) as clients:
        kit.wait_until(lambda: clients.done > 50)
        killed_at = time.clock_gettime(time.CLOCK_BOOTTIME)
        os.kill(first, signal.SIGKILL)
        server.wait_for("serves\n")
        [new] = set(server.workers()) - {first, second}
        assert kit.started_at(new) - killed_at < 1
        done = clients.done
        kit.wait_until(lambda: clients.done > done + 50)
    assert clients.refused == 0
    assert second in server.workers()
    assert f"({first}): ended with signal SIGKILL; a new one starts\n" in server.output

    killed = set(server.workers())
    for worker in killed:
        os.kill(worker, signal.SIGKILL)
    assert pid(kit, server.port) not in killed
    kit.wait_until(lambda: len(set(server.workers()) - killed) == 2)
    server.signal()
    assert server.end() == 0


def test_a_worker_that_serves_is_replaced_while_others_start(
    run: Run, kit: Any, tmp_path: Path
) -> None:
    """The death of one that has started is no failed start of the service."""
    wait = (
        "\nfrom pathlib import Path\n"
        "@app.before_server_start\nasync def wait(app):\n"
        "    try:\n        os.mkdir('first')\n"
        "    except FileExistsError:\n"
        "        while not Path('go').exists():\n            await asyncio.sleep(0.01)\n"
    )
    server = run(server=kit.SERVER + wait, WORKERS="2")
    kit.wait_until(lambda: _answers(kit, server.port, b"pid", "/"))
    first = pid(kit, server.port)
    os.kill(first, signal.SIGKILL)
    server.wait_for("ended with signal SIGKILL; a new one starts")
    (tmp_path / "go").touch()
    server.wait_for("serves at")
    assert pid(kit, server.port) != first
    server.signal()
    assert server.end() == 0


def test_no_worker_outlives_its_master(run: Run, kit: Any) -> None:
    """SIGKILL lets it tell nobody; the workers finish what they have begun, and end."""
    server = started(run, kit)
    workers = server.workers()
    answers: list[bytes] = []
    client = threading.Thread(target=lambda: answers.append(kit.ask(server.port, "/slow?s=1")))
    client.start()
    server.wait_for("slow begins")
    server.signal(signal.SIGKILL)
    client.join()
    assert answers[0].startswith(b"HTTP/1.1 200")
    kit.wait_until(lambda: not any(map(alive, workers)))


def test_a_stop_of_all_workers_loses_no_request(run: Run, load: Any, kit: Any) -> None:
    """SIGTERM to the master, and to the whole group as some init systems do it."""
    port = kit.free_port()
    with load(port) as clients:
        for send in (os.kill, os.killpg):
            server = started(run, kit, port=port)
            begun = clients.done
            kit.wait_until(lambda begun=begun: clients.done > begun + 50)
            workers = server.workers()
            send(server.process.pid, signal.SIGTERM)
            assert server.end() == 0, server.output
            assert not any(map(alive, workers))
    assert clients.lost == []


def test_workers_are_replaced_without_losing_a_request(
    run: Run, load: Any, kit: Any, tmp_path: Path
) -> None:
    """SIGHUP, for new code or a new configuration, and SIGTERM to a worker: no client notices. Two
    SIGHUPs in a row are one replacement. Where new code does not start the old workers go on, and
    the log says why."""
    server = started(run, kit)
    with load(server.port) as clients:
        before = set(server.workers())
        server.signal(signal.SIGHUP)
        server.signal(signal.SIGHUP)
        server.wait_for("all workers are replaced")
        kit.wait_until(lambda: not before & set(server.workers()))
        victim, other = server.workers()
        os.kill(victim, signal.SIGTERM)
        kit.wait_until(lambda: victim not in server.workers() and len(server.workers()) == 2)
        after = server.workers()
        # The successor is to serve before it is asked to go again.
        server.wait_for(f"({(set(after) - {other}).pop()}) serves\n")
        (tmp_path / "server.py").write_text("def broken(:\n")
        server.signal(signal.SIGHUP)
        server.wait_for("server.py:1: SyntaxError")
        server.wait_for("the others are not replaced, and serve on")
        assert server.workers() == after
        assert pid(kit, server.port) in after
    assert (clients.lost, clients.refused) == ([], 0)
    assert server.output.count("all workers are replaced") == 1
    assert "Traceback" not in server.output


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise OSError('no broker')", "OSError: no broker (server.py:19)"),
        ("os._exit(3)", "ended with exit code 3"),
        ("time.sleep(60)", "was not ready within 1.5 s (WORKER_START_TIMEOUT)"),
    ],
    ids=["raises", "exits", "blocks"],
)
def test_a_start_that_fails_says_why(run: Run, kit: Any, body: str, reason: str) -> None:
    """With exit code 1 and one line, and no worker is left."""
    listener = f"\n@app.before_server_start\nasync def start(app):\n    {body}\n"
    timeout = {} if "raise" in body or "exit" in body else {"WORKER_START_TIMEOUT": "1.5"}
    server = run(server=kit.SERVER + listener, WORKERS="2", **timeout)
    assert server.end() == 1
    assert server.lines[-1] == f"tiny: did not start: {reason}\n"


CRASH = """\
import os
if os.path.exists("crash"):
    os._exit(7)
"""


def test_a_crash_loop_backs_off_and_ends(run: Run, kit: Any, tmp_path: Path) -> None:
    """Pauses grow, and when nothing can serve the exit code and the last line say so."""
    server = started(run, kit, server=CRASH + kit.SERVER, workers=2)
    (tmp_path / "crash").touch()
    for worker in server.workers():
        os.kill(worker, signal.SIGKILL)
    assert server.end() == 1
    assert server.lines[-1] == (
        "tiny: workers end as soon as they start, 5 times in a row: ended with exit code 7\n"
    )
    for pause in ("starts\n", "starts in 0.5 s\n", "starts in 1 s\n", "starts in 2 s\n"):
        assert pause in server.output


GROW = "\n@app.get('/grow')\nasync def grow(request):\n    app.ctx.x = b'x' * 200_000_000\n"


def test_workers_are_renewed_when_they_are_used_up(run: Run, load: Any, kit: Any) -> None:
    """After so many requests, or so much memory: a successor first, and no client notices."""
    limits = {"WORKER_MAX_REQUESTS": "200", "WORKER_MAX_MEMORY": "150000000"}
    server = started(run, kit, server=kit.SERVER + GROW, **limits)  # type: ignore[arg-type]
    assert kit.ask(server.port, "/grow").startswith(b"HTTP/1.1 200")
    server.wait_for("is replaced: it holds ")
    with load(server.port) as clients:
        server.wait_for("is replaced: it has served ")
        server.wait_for("has stopped")
    assert (clients.lost, clients.refused) == ([], 0)


def test_a_worker_whose_loop_hangs_is_replaced(run: Run, kit: Any) -> None:
    """It would answer nobody ever again."""
    hang = "\n@app.get('/hang')\nasync def hang(request):\n    time.sleep(60)\n"
    server = started(run, kit, server=kit.SERVER + hang, WORKER_SILENCE_TIMEOUT="3")
    with contextlib.suppress(ConnectionError):
        assert kit.ask(server.port, "/hang") == b""
    server.wait_for("did nothing for 3 s (WORKER_SILENCE_TIMEOUT); a new one starts")
    kit.wait_until(lambda: len(server.workers()) == 2)


def test_a_second_signal_ends_all_at_once(run: Run, kit: Any) -> None:
    """Also those that are busy."""
    server = started(run, kit, GRACEFUL_SHUTDOWN_TIMEOUT="60")
    workers = server.workers()
    client = threading.Thread(target=lambda: kit.ask(server.port, "/slow?s=30"))
    client.start()
    server.wait_for("slow begins")
    server.signal()
    server.wait_for("is stopping")
    server.signal(signal.SIGINT)  # another one: the same at once would be an echo
    assert server.end(25) == 1
    assert "forced exit: a second signal (SIGINT)" in server.output
    assert not any(map(alive, workers))


def test_a_stop_of_the_whole_group_is_no_failure_of_those_that_start(
    run: Run, kit: Any, tmp_path: Path
) -> None:
    """Workers that have no handler yet are ended by the signal that the master gets as well, and it
    may hear of them before it looks at its own."""
    slow = "import sys, time\nif 'spawn_main' in ' '.join(sys.orig_argv):\n    time.sleep(300)\n"
    (tmp_path / "sitecustomize.py").write_text(slow)
    server = run(WORKERS="2", PYTHONPATH=str(tmp_path))
    kit.wait_until(lambda: len(server.workers()) == 2)
    workers = server.workers()
    server.signal(signal.SIGSTOP)  # so that it finds all of it at once
    for worker in workers:
        os.kill(worker, signal.SIGTERM)
    kit.wait_until(lambda: not server.workers())  # they have ended, and nobody has looked
    server.signal()
    server.signal(signal.SIGCONT)
    assert server.end() == 0
    assert "did not start" not in server.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_workers_start_ends_them(run: Run, kit: Any, number: signal.Signals) -> None:
    """To the master alone, or from a terminal to all."""
    slow = "\n@app.before_server_start\nasync def s(app):\n    print('st' + 'arting', flush=True)\n"
    server = run(server=kit.SERVER + slow + "    await asyncio.sleep(60)\n", WORKERS="2")
    server.wait_for("starting")
    workers = server.workers()
    (os.killpg if number is signal.SIGINT else os.kill)(server.process.pid, number)
    assert server.end() == 0
    assert "Traceback" not in server.output
    assert not any(map(alive, workers))


def test_a_worker_may_stop_the_service(run: Run, kit: Any) -> None:
    """`app.stop()` means all of it."""
    halt = "\n@app.get('/halt')\nasync def halt(request):\n    app.stop()\n    return 1\n"
    server = started(run, kit, server=kit.SERVER + halt)
    assert kit.ask(server.port, "/halt").startswith(b"HTTP/1.1 200")
    assert server.end() == 0


def test_a_program_may_run_workers(kit: Any, tmp_path: Path) -> None:
    """`python server.py` with `app.run(workers=2)`; shared objects and settings reach them, and
    without the guard of the main module the reason is said."""
    body = kit.SERVER + (
        "\nimport multiprocessing\n"
        "@app.main_process_start\nasync def share(app):\n"
        "    app.shared_ctx.queue = multiprocessing.get_context('spawn').Queue()\n"
        "@app.get('/shared')\nasync def shared(request):\n"
        "    app.shared_ctx.queue.put(1)\n    return app.settings.api_title\n"
    )
    run = f"app.configure(api_title='set', port={kit.free_port()})\n"
    port = int(run.split("port=")[1].split(")")[0])
    guard = "if __name__ == '__main__':\n    "
    path = tmp_path / "server.py"
    path.write_text(body + guard + run + "    app.run(workers=2)\n")
    log = tmp_path / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen([sys.executable, "server.py"], cwd=tmp_path, stderr=output) as process,
    ):
        try:
            kit.wait_until(lambda: _answers(kit, port, b'"data":"set"'))
            process.terminate()
            process.wait(kit.LIMIT)
        finally:
            process.kill()
    errors = log.read_text()
    assert (process.returncode, "Traceback" in errors) == (0, False), errors
    path.write_text(body + run + "app.run(workers=2)\n")
    done = subprocess.run(
        [sys.executable, "server.py"], cwd=tmp_path, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 1
    assert 'write it under if __name__ == "__main__":' in done.stderr


def _answers(kit: Any, port: int, text: bytes, path: str = "/shared") -> bool:
    try:
        return text in kit.ask(port, path)
    except OSError:
        return False


def test_a_successor_may_listen_before_the_old_process_ends(run: Run, load: Any, kit: Any) -> None:
    """With REUSE_PORT two of them share the port for a while, and no client notices."""
    port = kit.free_port()
    old = started(run, kit, port=port, REUSE_PORT="true")
    with load(port) as clients:
        started(run, kit, port=port, REUSE_PORT="true")
        old.signal()
        assert old.end() == 0, old.output
        done = clients.done
        kit.wait_until(lambda: clients.done > done + 50)
    assert (clients.lost, clients.refused) == ([], 0)


def test_sanics_own_protocol_is_supervised_too(run: Run, kit: Any) -> None:
    """With SERVER_PROTOCOL=sanic a killed worker is replaced, and a stop finishes what is under way
    on new and on kept-alive connections."""
    server = started(run, kit, SERVER_PROTOCOL="sanic")
    os.kill(server.workers()[0], signal.SIGKILL)
    server.wait_for("serves\n")
    answers: list[bytes] = []
    client = threading.Thread(target=lambda: answers.append(kit.ask(server.port, "/slow?s=1")))
    with socket.create_connection(("127.0.0.1", server.port), kit.LIMIT) as kept:
        for path in (b"/", b"/slow?s=1"):
            kept.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            if path == b"/":
                assert kept.recv(65536).startswith(b"HTTP/1.1 200")
        client.start()
        kit.wait_until(lambda: server.output.count("slow begins") == 2)
        server.signal()
        assert kept.recv(65536).startswith(b"HTTP/1.1 200")
    client.join()
    assert answers[0].startswith(b"HTTP/1.1 200")
    assert server.end() == 0, server.output
    assert "Traceback" not in server.output
