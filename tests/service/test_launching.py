"""The ways in which a service is begun: one worker or several, one service or two, our own server
or another."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.ports import free_port

LIMIT = 90.0


class Program:
    """A program of this test, in a process."""

    def __init__(self, folder: Path, text: str, **variables: str) -> None:
        (folder / "server.py").write_text(text)
        self._log = folder / "log"
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "server.py"],
                cwd=folder,
                env={**os.environ, "LOG_FORMAT": "text", "PYTHONUNBUFFERED": "1", **variables},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What it has written so far."""
        return self._log.read_text()

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait for a condition; fail if it does not come true in time."""
        deadline = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    def wait_for_text(self, text: str, times: int = 1) -> None:
        """Wait until it has written this so often."""
        self.wait_for(lambda: self.output.count(text) >= times)

    def ask(self, port: int, path: str = "/") -> Any:
        """The data of an answer, once there is one."""
        answers: list[Any] = []

        def answered() -> bool:
            assert self.process.poll() is None, self.output
            with (
                contextlib.suppress(ConnectionRefusedError),
                socket.create_connection(("127.0.0.1", port), LIMIT) as client,
            ):
                head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                client.sendall(head.encode())
                whole = b"".join(iter(lambda: client.recv(65536), b""))
                answers.append(json.loads(whole.partition(b"\r\n\r\n")[2]))
            return bool(answers)

        self.wait_for(answered)
        return answers[0].get("data", answers[0]["code"])

    def end(self) -> int:
        """Stop it; the exit code."""
        self.process.terminate()
        return self.process.wait(LIMIT)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Begin a program; it is ended after the test."""
    begun: list[Program] = []

    def begin(text: str, **variables: str) -> Program:
        begun.append(Program(tmp_path, text, **variables))
        return begun[-1]

    yield begin
    for one in begun:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(one.process.pid, signal.SIGKILL)
        one.process.wait(LIMIT)


SHARED = """
import multiprocessing, os
from sanic_ms import Service

app = Service("tiny")
early = multiprocessing.Lock()  # as some library makes one when it is imported

@app.main_process_start
async def share(app):
    app.shared_ctx.value = multiprocessing.Value("i", 0)
    app.shared_ctx.lock = multiprocessing.Lock()
    app.shared_ctx.event = multiprocessing.Event()
    app.shared_ctx.queue = multiprocessing.Queue()

@app.get("/")
async def count(request):
    shared = app.shared_ctx
    with shared.lock:
        shared.value.value += 1
    shared.event.set()
    shared.queue.put(shared.value.value)
    return [os.getpid(), shared.value.value]

@app.get("/drain")
async def drain(request):
    return [app.shared_ctx.queue.get(timeout=60) for _ in range(app.shared_ctx.value.value)]

if __name__ == "__main__":
    app.run()
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_workers_share_what_multiprocessing_makes(
    program: Callable[..., Program], workers: str
) -> None:
    """Values, locks, events and queues of a listener of the main process; workers that replace
    others have them too."""
    port = free_port()
    server = program(SHARED, PORT=str(port), WORKERS=workers)
    pid, number = server.ask(port)
    assert number == 1
    if workers == "2":
        server.wait_for_text("serves at")
        os.kill(pid, signal.SIGKILL)
        server.wait_for_text(" serves\n")
    for expected in range(2, 20):
        assert server.ask(port)[1] == expected
    assert sorted(server.ask(port, "/drain")) == list(range(1, 20))
    assert server.end() == 0
    assert "Traceback" not in server.output


LISTENERS = """
import os
from sanic_ms import Service

app = Service("tiny")

def note(event):
    @app.listener(event)
    async def listen(app):
        print(f"<{event}>", flush=True)

for event in (
    "main_process_start", "main_process_ready", "before_server_start", "after_server_start",
    "before_server_stop", "after_server_stop", "main_process_stop",
):
    note(event)

@app.main_process_start
def share(app):
    app.shared_ctx.word = "shared"

@app.get("/")
async def root(request):
    return [app.shared_ctx.word, os.environ.get("SANIC_MS_METRICS_FOLDER")]

if __name__ == "__main__":
    app.run()
"""


def test_one_process_is_the_main_process_too(program: Callable[..., Program]) -> None:
    """Its listeners run around those of the server, once each; no folder for the metrics of several
    processes is made."""
    port = free_port()
    server = program(LISTENERS, PORT=str(port), WORKERS="1")
    assert server.ask(port) == ["shared", None]
    assert server.end() == 0
    assert re.findall("<([a-z_]+)>", server.output) == [
        "main_process_start",
        "main_process_ready",
        "before_server_start",
        "after_server_start",
        "before_server_stop",
        "after_server_stop",
        "main_process_stop",
    ]


def test_a_listener_of_the_main_process_that_fails_ends_the_start(
    program: Callable[..., Program],
) -> None:
    """With one line at the end; what was begun is stopped."""
    text = LISTENERS.replace('"shared"\n', '"shared"\n    raise OSError("no broker")\n')
    server = program(text, PORT=str(free_port()))
    assert server.process.wait(LIMIT) == 1
    assert server.output.endswith("tiny: did not start: OSError: no broker (server.py:21)\n")
    assert re.findall("<([a-z_]+)>", server.output) == ["main_process_start", "main_process_stop"]


TWO = """
import asyncio, os
from sanic import Sanic
from sanic_ms import Service

one, two = Service("one"), Service("two")

async def confirm(name):
    await asyncio.sleep(0.5)
    print(f"{name} confirmed", flush=True)

def add(app):
    @app.get("/")
    async def root(request):
        request.app.add_task(confirm(app.name))
        return app.name

add(one)
add(two)

if __name__ == "__main__":
    single = os.environ["SERVE"] == "single"
    one.prepare(port=int(os.environ["ONE"]), motd=False, single_process=single)
    two.prepare(port=int(os.environ["TWO"]), motd=False)
    Sanic.serve_single() if single else Sanic.serve()
"""


@pytest.mark.parametrize("serve", ["single", "manager"])
def test_two_services_of_one_process_end(program: Callable[..., Program], serve: str) -> None:
    """Under Sanic's runners, with what they have begun in the background; each says its own
    address."""
    ports = [free_port(), free_port()]
    variables = {"ONE": str(ports[0]), "TWO": str(ports[1]), "SERVE": serve}
    server = program(TWO, **variables)
    for name, port in zip(("one", "two"), ports, strict=True):
        server.wait_for_text(f"{name} 1.0.0 serves at http://127.0.0.1:{port}")
        assert server.ask(port) == name
    server.wait_for_text("Worker ready")
    server.process.terminate()
    server.wait_for_text("Worker complete")  # Sanic's manager may miss a signal that comes early
    if serve == "single":
        assert server.process.wait(LIMIT) == 0
    assert "one confirmed" in server.output
    assert "two confirmed" in server.output
    assert "Traceback" not in server.output


FAST = """
from sanic_ms import Service
app = Service("tiny")

@app.get("/")
async def root(request):
    return 1

if __name__ == "__main__":
    import sanic_ms.service.launch as launch
    launch.usable_cpus = lambda: 3
    app.run(fast=True)
"""


def test_fast_is_as_many_workers_as_there_are_processors(program: Callable[..., Program]) -> None:
    """And the log says as many as there are. With a number of workers it is a mistake."""
    port = free_port()
    server = program(FAST, PORT=str(port))
    server.wait_for_text("serves at")
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children.read_text().split()]
    assert sum(b"spawn_main" in command for command in commands) == 3
    assert re.search(r"workers +3, pid", server.output), server.output
    assert server.end() == 0
    wrong = program(FAST.replace("fast=True", "fast=True, workers=2"), PORT=str(port))
    assert wrong.process.wait(LIMIT) == 2
    assert wrong.output == "tiny: run(fast=True, workers=…): give one of them\n"


LATE = """
from sanic_ms import Service

app = Service("tiny")

class Stock:
    left = 5

app.provide(Stock, Stock())

@app.get("/")
async def root(request):
    return 1

async def late(request):
    return "late"

async def typed(request, number: int, stock: Stock, q: int = 3):
    return [number, q, stock.left]

@app.on_request
async def note(request):
    request.ctx.noted = True

def add(event, way):
    @app.listener(event)
    async def listen(app):
        way(app)

def plain(app):
    app.add_route(late, "/plain")
    app.add_route(typed, "/plain/<number:int>")

def by_router(app):
    app.router.reset()
    app.router.add("/router", ["GET"], late)
    app.add_route(typed, "/router/<number:int>", name="typed_again")
    app.router.finalize()

def unfinalized(app):
    app.router.reset()
    app.router.add("/unfinalized", ["GET"], late)
    app.router.add("/unfinalized/<number:int>", ["GET"], typed)

def amended(app):
    with app.amend():
        app.add_route(late, "/amended", name="amended")

for way in (plain, by_router, unfinalized, amended):
    add(EVENT, way)

if __name__ == "__main__":
    app.run()
"""


@pytest.mark.parametrize("pure", ["", "1"], ids=["compiled", "pure"])
@pytest.mark.parametrize("middleware", [True, False], ids=["full", "fast"])
@pytest.mark.parametrize("event", ["before_server_start", "after_server_start"])
def test_routes_that_a_listener_adds_are_served(
    program: Callable[..., Program], event: str, middleware: bool, pure: str
) -> None:
    """In whatever way it adds them; as those that were there before, with typed parameters and
    what is injected."""
    text = LATE.replace("EVENT", repr(event))
    if not middleware:
        text = text.replace("@app.on_request\n", "")
    port = free_port()
    server = program(text, PORT=str(port), SANIC_MS_PURE=pure)
    server.wait_for_text("serves at")
    for _ in range(2):
        assert server.ask(port) == 1
        for way in ("plain", "router", "unfinalized", "amended"):
            assert server.ask(port, f"/{way}") == "late"
        for way in ("plain", "router"):
            assert server.ask(port, f"/{way}/7?q=4") == [7, 4, 5]
    assert server.end() == 0
    assert "Fatal error" not in server.output


CREATED = """
import asyncio, os
from sanic_ms import Service

app = Service("tiny")

@app.get("/")
async def root(request):
    return type(request.transport.get_protocol()).__name__

async def main():
    server = await app.create_server(
        host="127.0.0.1", port=int(os.environ["GIVEN"]), return_asyncio_server=True
    )
    await server.startup()
    await server.before_start()
    await server.after_start()
    # one text: unbuffered, print() writes its arguments apart, and a log line may come between
    print(f"listens at {server.server.sockets[0].getsockname()[1]} now", flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


@pytest.mark.parametrize("given", ["free", "0"])
def test_create_server_says_where_it_listens(program: Callable[..., Program], given: str) -> None:
    """Not where the settings say, and the port that the system chose where that is asked for. It
    serves with the protocol that the settings name."""
    number = str(free_port()) if given == "free" else "0"
    server = program(CREATED, GIVEN=number, PORT=str(free_port()))
    server.wait_for_text(" now")  # all of it
    port = server.output.split("listens at ")[1].split()[0]
    server.wait_for_text(f"serves at http://127.0.0.1:{port}\n")
    assert server.ask(int(port)) == "HttpProtocol"
    assert f"docs      http://127.0.0.1:{port}/docs" in server.output


PLAIN = """
from sanic_ms import Service

app = Service("tiny")

@app.get("/")
async def root(request):
    return 1

if __name__ == "__main__":
    app.run()
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_start_in_production_warns_once_of_open_endpoints(
    program: Callable[..., Program], workers: str
) -> None:
    """However many workers there are; with a token there is nothing to warn of."""
    port = str(free_port())
    variables = {"PORT": port, "WORKERS": workers, "ENVIRONMENT": "production", "DOCS": "true"}
    server = program(PLAIN, **variables)
    server.wait_for_text("/docs, /openapi/spec.json and /metrics answer anybody: set ADMIN_TOKEN")
    assert server.end() == 0
    assert server.output.count("answer anybody") == 1
    server = program(PLAIN, ADMIN_TOKEN="0123456789abcdef", **variables)
    server.wait_for_text("serves at")
    assert server.end() == 0
    assert "answer anybody" not in server.output


def test_silent_clients_of_the_admin_port_lock_nobody_out(program: Callable[..., Program]) -> None:
    """They are few, whatever comes, and the service keeps its descriptors: it answers its callers,
    and the newest of too many on the port is told so."""
    port, admin = free_port(), free_port()
    few = "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))\n"
    server = program(few + PLAIN, PORT=str(port), ADMIN_PORT=str(admin))
    server.wait_for_text("serves at")
    with contextlib.ExitStack() as stack:
        for _ in range(250):
            client = socket.create_connection(("127.0.0.1", admin), LIMIT)
            stack.enter_context(client)
        assert client.recv(65536).startswith(b"HTTP/1.1 503")
        kept = [socket.create_connection(("127.0.0.1", port), LIMIT) for _ in range(50)]
        for one in kept:
            stack.enter_context(one)
            one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert one.recv(65536).startswith(b"HTTP/1.1 200")
    assert server.end() == 0
    assert "Traceback" not in server.output
