"""Ends: a client that goes, a server that stops, and the kinds of socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sanic import HTTPResponse, Request, Sanic
from sanic.exceptions import RequestCancelled
from sanic.response import text
from tests.ports import free_port
from tests.wire.handlers import answer_with

from sanic_ms.server import drain

HEAD = b" HTTP/1.1\r\nHost: a\r\n"
App = Callable[..., Sanic[Any, Any]]
Serve = Callable[..., Any]
Wait = Callable[..., None]


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("path", [b"/plain", b"/stream"])
def test_a_client_that_goes_cancels_its_handler(
    named_app: App, serve: Serve, waiting: Wait, loop: str, path: bytes
) -> None:
    """At once, on both ways and both event loops, and the error handler hears of it."""
    seen: list[str] = []
    app = named_app()

    async def wait(request: Request) -> HTTPResponse:
        seen.append("begun")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        return text("")

    @app.exception(RequestCancelled)  # type: ignore[arg-type]
    async def gone(request: Request, exc: BaseException) -> HTTPResponse:
        seen.append("told")
        return text("nobody reads this")

    app.add_route(wait, "/plain", name="plain")
    app.add_route(wait, "/stream", name="stream", stream=True)
    server = serve(app, loop=loop)
    client = server.client()
    client.send(b"GET " + path + HEAD + b"\r\n")
    waiting(lambda: seen == ["begun"])
    client.close()
    waiting(lambda: seen == ["begun", "cancelled", "told"])
    waiting(lambda: not server.connections)


def test_a_client_that_goes_in_mid_body_ends_the_wait(
    named_app: App, serve: Serve, waiting: Wait
) -> None:
    """A handler that reads a stream does not wait for bytes that cannot come."""
    ended: list[str] = []
    app = named_app()

    @app.post("/", stream=True)
    async def read(request: Request) -> HTTPResponse:
        try:
            async for _ in request.stream:  # type: ignore[union-attr]
                ended.append("data")
        finally:
            ended.append("ended")
        return text("")

    server = serve(app)
    client = server.client()
    client.send(b"POST /" + HEAD + b"Content-Length: 100\r\n\r\nabc")
    waiting(lambda: ended == ["data"])
    client.close()
    waiting(lambda: ended == ["data", "ended"])


def test_a_refused_client_can_read_why(named_app: App, serve: Serve) -> None:
    """It is still sending when it is refused; a reset must not overtake the answer."""
    app = named_app(REQUEST_MAX_SIZE=1000)
    app.add_route(answer_with(""), "/", methods=["POST"], name="root")
    server = serve(app)
    for _ in range(20):
        client = server.client()
        client.send(b"POST /" + HEAD + b"Content-Length: 500000\r\n\r\n" + b"x" * 400_000)
        time.sleep(0.005)
        assert client.read().startswith(b"HTTP/1.1 413 ")


def test_answers_say_close_while_the_server_drains(named_app: App, serve: Serve) -> None:
    """After `drain`, requests are served and their connections end."""
    app = named_app()
    app.add_route(answer_with("x"), "/", name="root")
    server = serve(app)
    client = server.client()
    client.send(b"GET /" + HEAD + b"\r\n")
    client.read_until(lambda raw: raw.endswith(b"x"))
    server.call(lambda: drain(app))
    server.call(lambda: drain(app))
    [answer] = client.exchange(b"GET /" + HEAD + b"\r\n")
    assert (answer.status, answer.headers["connection"]) == (200, "close")


def test_an_idle_connection_gets_a_moment_when_the_server_stops(
    named_app: App, serve: Serve
) -> None:
    """A request that was under way is served; without one the connection ends soon."""
    app = named_app()
    app.add_route(answer_with("x"), "/", name="root")
    server = serve(app)
    late, idle = server.client(), server.client()
    for client in (late, idle):
        client.send(b"GET /" + HEAD + b"\r\n")
        client.read_until(lambda raw: raw.endswith(b"x"))
    server.call(lambda: [c.close_if_idle() for c in server.connections])
    began = time.monotonic()
    [answer] = late.exchange(b"GET /" + HEAD + b"\r\n")
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert idle.read() == b""
    assert time.monotonic() - began < 30  # and not KEEP_ALIVE_TIMEOUT, which is 120


def test_limits_of_keep_alive(named_app: App, serve: Serve) -> None:
    """KEEP_ALIVE_REQUESTS ends a connection after so many; KEEP_ALIVE off, after one."""
    app = named_app(KEEP_ALIVE_REQUESTS=3)
    app.add_route(answer_with("x"), "/", name="root")
    answers = serve(app).client().exchange((b"GET /" + HEAD + b"\r\n") * 5)
    assert [a.headers.get("connection") for a in answers] == ["keep-alive", "keep-alive", "close"]
    app = named_app(KEEP_ALIVE=False)
    app.add_route(answer_with("x"), "/", name="root")
    assert len(serve(app).client().exchange((b"GET /" + HEAD + b"\r\n") * 5)) == 1


def test_unix_sockets(named_app: App, serve: Serve, tmp_path: Path) -> None:
    """The same on a unix socket; there is no address of the client."""
    app = named_app(ACCESS_LOG=True)

    @app.get("/")
    async def root(request: Request) -> HTTPResponse:
        return text(f"[{request.ip}]")

    path = str(tmp_path / "s")
    client = serve(app, unix=path).client()
    [answer] = client.exchange(b"GET /" + HEAD + b"Connection: close\r\n\r\n")
    assert answer.body == b"[]"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A self-signed certificate for localhost."""
    key, cert = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-subj", "/CN=localhost"]
    try:
        subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return cert, key


def test_tls(
    named_app: App, serve: Serve, certificate: tuple[str, str], answers: Callable[..., Any]
) -> None:
    """HTTPS, with a body larger than one record, and a refusal that can be read."""
    app = named_app()

    @app.post("/")
    async def echo(request: Request) -> HTTPResponse:
        return HTTPResponse(request.scheme.encode() + request.body)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    server = serve(app, ssl=context)
    trusting = ssl.create_default_context(cafile=certificate[0])
    for request, expected in (
        (b"Connection: close\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000, 200),
        (b"Content-Length: x\r\n\r\n", 400),
    ):
        raw = socket.create_connection(server.address)
        with trusting.wrap_socket(raw, server_hostname="localhost") as client:
            client.settimeout(60)
            client.sendall(b"POST /" + HEAD + request)
            received = b""
            while data := client.recv(65536):
                received += data
        [answer] = answers(received)
        assert answer.status == expected
        if expected == 200:
            assert answer.body == b"https" + b"x" * 300_000


SERVER = """
import asyncio, os, sys
from sanic import Sanic
from sanic.response import text
from sanic_ms.server import HttpProtocol

app = Sanic("worker")
app.config.update(MOTD=False, GRACEFUL_SHUTDOWN_TIMEOUT=10)

@app.get("/")
async def root(request):
    await asyncio.sleep(0.002)
    return text(str(os.getpid()))

@app.get("/slow")
async def slow(request):
    await asyncio.sleep(1.0)
    return text("slow")

if __name__ == "__main__":
    workers = int(sys.argv[2])
    app.run(host="127.0.0.1", port=int(sys.argv[1]), workers=workers,
            single_process=workers == 1, protocol=HttpProtocol)
"""


@contextlib.contextmanager
def process(tmp_path: Path, workers: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server in processes of its own."""
    script = tmp_path / "served.py"
    script.write_text(SERVER)
    port = free_port()
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(
            [sys.executable, str(script), str(port), str(workers)],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + 90
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert time.monotonic() < end, (tmp_path / "log").read_text()
                time.sleep(0.05)
        yield running, port
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGTERM)
            try:
                running.wait(3)
            except subprocess.TimeoutExpired:  # Sanic's master may miss one soon after its start
                os.killpg(running.pid, signal.SIGKILL)
                running.wait(20)


def test_several_workers_serve(tmp_path: Path) -> None:
    """Sanic's worker processes get the protocol class and serve with it."""
    with process(tmp_path, 2) as (_, port):
        end = time.monotonic() + 90
        pids: set[bytes] = set()
        while len(pids) < 2 and time.monotonic() < end:
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"GET /" + HEAD + b"Connection: close\r\n\r\n")
                raw = client.makefile("rb").read()
            assert raw.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"alt-svc" not in raw
            pids.add(raw.rpartition(b"\r\n\r\n")[2])
        assert len(pids) == 2
    assert os.getpid() not in {int(pid) for pid in pids}


def test_sigterm_under_load_fails_no_request(tmp_path: Path) -> None:
    """Clients with kept-alive connections lose no request that the server took: each ends with an
    answer that says close, or before it sent a request; a slow one in flight is finished."""
    lost: list[str] = []
    done: list[int] = []

    def client(port: int) -> None:
        while True:
            answered = False
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                    while True:
                        connection.sendall(b"GET /" + HEAD + b"\r\n")
                        raw = connection.recv(65536)
                        if not raw.startswith(b"HTTP/1.1 200"):
                            raise ConnectionError(raw)
                        answered = True
                        done.append(1)
                        if b"connection: close" in raw:
                            break
            except ConnectionError as exc:
                # A connection that was still in the listener's queue when that closed was never
                # the server's to answer; one that was answered before must end with a word.
                if answered or not stopping.is_set():
                    lost.append(repr(exc))
                return

    def slow(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(b"GET /slow" + HEAD + b"\r\n")
            asked.set()
            raw = connection.recv(65536)
            (done if raw.endswith(b"slow") else lost).append(raw)  # type: ignore[arg-type]

    stopping, asked = threading.Event(), threading.Event()
    with process(tmp_path, 1) as (running, port):
        threads = [threading.Thread(target=client, args=(port,)) for _ in range(8)]
        threads.append(threading.Thread(target=slow, args=(port,)))
        for thread in threads:
            thread.start()
        assert asked.wait(90)
        end = time.monotonic() + 90
        while len(done) < 200 and time.monotonic() < end:
            time.sleep(0.01)
        stopping.set()
        running.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(90)
        assert running.wait(60) == 0
    assert not lost
    assert len(done) > 200
