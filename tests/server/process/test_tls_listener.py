"""TLS handshakes: bounded in time and in number, as connections are."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.certificates import make_certificate, trusting

from sanic_ms.server.process.tls import Certificate
from sanic_ms.server.process.tls_listener import TlsListener

Run = Callable[..., Any]
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
FEW = "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))\n"


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    """The settings of a service that speaks TLS."""
    cert, key = make_certificate(tmp_path, "localhost")
    return {"TLS_CERT": cert, "TLS_KEY": key}


@contextlib.contextmanager
def connected(kit: Any, port: int) -> Iterator[ssl.SSLSocket]:
    """A client whose handshake is done."""
    with (
        socket.create_connection(("127.0.0.1", port), kit.LIMIT) as raw,
        trusting().wrap_socket(raw) as client,
    ):
        yield client


def ask(kit: Any, port: int) -> bytes:
    """The first bytes of the answer to a client of its own."""
    with connected(kit, port) as client:
        client.sendall(GET)
        return client.recv(65536)


@pytest.mark.parametrize("protocol", ["strict", "sanic"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_silent_clients_lock_nobody_out(
    run: Run, kit: Any, certificate: dict[str, str], protocol: str, workers: str
) -> None:
    """With more of them than the process may open descriptors, whoever does the handshake is
    served, and the log says what happened once. The handshakes count for what may be open, and
    the service stops as ever."""
    server = run(server=FEW + kit.SERVER, WORKERS=workers, SERVER_PROTOCOL=protocol, **certificate)
    server.wait_for("serves at")
    with contextlib.ExitStack() as stack, connected(kit, server.port) as kept:
        for _ in range(250 * int(workers)):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), kit.LIMIT))
        for _ in range(5):
            assert ask(kit, server.port).startswith(b"HTTP/1.1 200")
        kept.sendall(GET)
        assert kept.recv(65536).startswith(b"HTTP/1.1 200")
        warning = "TLS handshakes ended for newer ones: MAX_CONNECTIONS, or what the process may op"
        assert 1 <= server.output.count(warning) <= int(workers)
    assert ask(kit, server.port).startswith(b"HTTP/1.1 200")
    server.signal()
    assert server.end() == 0
    assert "Traceback" not in server.output


def test_a_handshake_has_a_deadline(run: Run, kit: Any, certificate: dict[str, str]) -> None:
    """SSL_HANDSHAKE_TIMEOUT; the log says nothing of clients that are slow, leave, or speak
    something else."""
    server = run(SSL_HANDSHAKE_TIMEOUT="0.3", **certificate)
    server.wait_for("serves at")
    lines = len(server.lines)
    with socket.create_connection(("127.0.0.1", server.port), kit.LIMIT) as silent:
        assert silent.recv(1) == b""
    with socket.create_connection(("127.0.0.1", server.port), kit.LIMIT) as plain:
        plain.sendall(GET)
        while plain.recv(65536):  # an alert
            pass
    socket.create_connection(("127.0.0.1", server.port), kit.LIMIT).close()
    assert ask(kit, server.port).startswith(b"HTTP/1.1 200")
    assert server.lines[lines:] == []


def test_connections_and_handshakes_share_the_limit(
    run: Run, kit: Any, certificate: dict[str, str]
) -> None:
    """MAX_CONNECTIONS counts both. A client beyond it is answered 503 while all are connections."""
    server = run(MAX_CONNECTIONS="8", **certificate)
    server.wait_for("serves at")
    with contextlib.ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), kit.LIMIT))
            for _ in range(8)
        ]
        served = [stack.enter_context(connected(kit, server.port)) for _ in range(3)]
        for client in served:
            client.sendall(GET)
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
        assert [client.recv(1) for client in silent[:3]] == [b"", b"", b""]
        for waiting in silent[3:]:
            waiting.setblocking(False)
            with pytest.raises(BlockingIOError):
                waiting.recv(1)
        served += [stack.enter_context(connected(kit, server.port)) for _ in range(5)]
        for client in served:
            client.sendall(GET)
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
        assert ask(kit, server.port).startswith(b"HTTP/1.1 503")


class Greeter(asyncio.Protocol):
    """Says hello."""

    def connection_made(self, transport: Any) -> None:
        transport.write(b"hello")
        transport.close()


@contextlib.asynccontextmanager
async def listening(tmp_path: Path, **options: Any) -> Any:
    """A listener of this process, with the socket that it was given."""
    certificate = Certificate(*make_certificate(tmp_path, "localhost"))
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    keywords = {"backlog": 10, "timeout": 60.0, "connections": set(), "most": 10, "name": "tiny"}
    listener = TlsListener(Greeter, bound, certificate.context, **{**keywords, **options})
    try:
        yield listener, bound
    finally:
        listener.close()
        listener.close()
        await listener.finish(0.0)
        assert not listener._handshakes


async def until(condition: Callable[[], object]) -> None:
    """Wait until it is true."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - nothing tells when it is
            await asyncio.sleep(0.01)


async def test_a_handshake_that_has_begun_is_finished_at_a_stop(tmp_path: Path) -> None:
    """It was admitted; one that does not come to an end is waited for as long as is said."""
    async with listening(tmp_path) as (listener, bound):
        clients = [socket.create_connection(bound.getsockname()[:2], 60) for _ in range(2)]
        await until(lambda: len(listener._handshakes) == 2)
        listener.close()
        finishing = asyncio.ensure_future(listener.finish(600))

        def greeted() -> bytes:
            with trusting().wrap_socket(clients[0]) as client:
                return client.recv(5)

        assert await asyncio.to_thread(greeted) == b"hello"
        await until(lambda: len(listener._handshakes) == 1)
        assert not finishing.done()
        finishing.cancel()
        await listener.finish(0.0)
        assert await asyncio.to_thread(clients[1].recv, 1) == b""
        clients[1].close()


async def test_without_a_descriptor_it_waits_and_does_not_spin(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A handshake is given up for room, and accepting goes on a moment later."""
    async with listening(tmp_path) as (listener, bound):
        address = bound.getsockname()[:2]
        silent = socket.create_connection(address, 60)
        await until(lambda: listener._handshakes)
        calls = 0

        class Full:
            """The socket, of a process that may open nothing more."""

            fileno, close = bound.fileno, bound.close

            def accept(self) -> Any:
                nonlocal calls
                calls += 1
                raise OSError(errno.EMFILE, "too many")

        listener._socket = Full()
        with caplog.at_level(logging.WARNING, "sanic_ms.server"):
            late = socket.create_connection(address, 60)
            await until(lambda: calls)
        assert await asyncio.to_thread(silent.recv, 1) == b""
        assert calls == 1
        assert "1 TLS handshakes ended for newer ones" in caplog.text
        listener._socket = bound

        def greeted() -> bytes:
            with trusting().wrap_socket(late) as client:
                return client.recv(5)

        assert await asyncio.to_thread(greeted) == b"hello"
        silent.close()


def test_many_clients_at_once_are_all_served(
    run: Run, kit: Any, certificate: dict[str, str]
) -> None:
    """No handshake is lost while there is room."""
    server = run(**certificate)
    server.wait_for("serves at")
    answers: list[bytes] = []
    clients = [
        threading.Thread(target=lambda: answers.append(ask(kit, server.port)[:12]))
        for _ in range(60)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert answers == [b"HTTP/1.1 200"] * 60
