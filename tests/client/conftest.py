"""Servers for the client's tests: well-behaved ones of aiohttp, and raw sockets that misbehave."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from sanic_ms.client import Client, DirectTransport
from sanic_ms.lifecycle import Component, Lifecycle

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
RawHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Raw:
    """A TCP server that does what a test says, and counts what comes."""

    port: int
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(eq=False)
class App:
    """What a client needs of an application, and the real lifecycle."""

    services: dict[str, str]
    lifecycle: Lifecycle = field(default_factory=Lifecycle)

    @property
    def settings(self) -> Any:
        return SimpleNamespace(services=self.services)

    def add(self, component: Component) -> None:
        self.lifecycle.add(component)


@pytest.fixture(params=["auto", "aiohttp"])
def make_transport(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., DirectTransport]:
    """Make transports of one choice of CLIENT_TRANSPORT; every client that is given none has it.

    A test that uses this runs over our own connections and over aiohttp's.
    """

    def make(choice: object = None, **options: Any) -> DirectTransport:
        return DirectTransport(choice=lambda: request.param, **options)

    monkeypatch.setattr("sanic_ms.client.client.default_transport", make)
    return make


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """Start a server with one handler for every path; gives its base URL."""
    runners: list[web.AppRunner] = []

    async def start(handler: Handler) -> str:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{tail:.*}", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def serve_raw() -> AsyncIterator[Callable[..., Awaitable[Raw]]]:
    """Start a TCP server; the handler is called for each connection, and it closes at its end."""
    servers: list[asyncio.Server] = []
    tasks: set[asyncio.Task[None]] = set()

    async def start(handler: RawHandler) -> Raw:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            raw.connections += 1
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await handler(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                tasks.discard(task)
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        servers.append(server)
        raw = Raw(server.sockets[0].getsockname()[1])
        return raw

    yield start
    for server in servers:
        server.close()
    for task in list(tasks):
        task.cancel()
    if tasks:
        await asyncio.wait(list(tasks))


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Client]]:
    """Make clients named "region" that are closed at the end of the test."""
    clients: list[Client] = []

    def make(url: str, **options: Any) -> Client:
        client = Client("region", url=url, **options)
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.close()


@pytest.fixture
def make_app() -> Callable[..., App]:
    """Make an application with the given services."""

    def make(**services: str) -> App:
        return App({name.replace("_", "-"): url for name, url in services.items()})

    return make


@pytest.fixture
def expired_certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that ended yesterday, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command to make a certificate")
    certificate, key, wish, names = (
        tmp_path / name for name in ("cert.pem", "key.pem", "request.pem", "names.txt")
    )
    names.write_text("subjectAltName=IP:127.0.0.1\n")
    subject = ["-subj", "/CN=127.0.0.1", "-keyout", str(key), "-out", str(wish)]
    sign = ["-in", str(wish), "-signkey", str(key), "-extfile", str(names), "-days", "-1"]
    for command in (
        ["req", "-new", "-newkey", "rsa:2048", "-nodes", *subject],
        ["x509", "-req", *sign, "-out", str(certificate)],
    ):
        made = subprocess.run([openssl, *command], capture_output=True, text=True, check=False)
        if made.returncode:
            pytest.skip(f"this openssl makes no expired certificate: {made.stderr.strip()[-200:]}")
    return certificate, key
