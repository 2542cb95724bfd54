"""Redis servers of a test's own, that it may stop."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.conftest import absent

import redis


class RedisProcess:
    """A Redis server, empty at each start.

    Args:
        folder: Where it works. It listens on a socket there.
        arguments: More of them; a file of settings first, if any.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._socket = folder / "redis.sock"
        self._command = ["redis-server", *arguments, "--dir", str(folder), "--save", ""]
        self._command += ["--unixsocket", str(self._socket)]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        with contextlib.closing(redis.Redis(unix_socket_path=str(self._socket))) as client:
            while True:
                with contextlib.suppress(redis.ConnectionError):
                    client.ping()
                    return
                assert self._process.poll() is None, "redis-server has ended"

    def stop(self) -> None:
        """Kill it. A second call does nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class RedisServers:
    """Starts servers in a folder each, and stops them all.

    Args:
        folder: Holds their folders; its path is short, as that of a socket has to be.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers: list[RedisProcess] = []

    def start(self, *arguments: str, settings: Sequence[str] = ()) -> RedisProcess:
        """Start a server.

        Args:
            arguments: Of ``redis-server``.
            settings: Lines of its file of settings.
        """
        folder = self._folder / str(len(self._servers))
        folder.mkdir()
        if settings:
            file = folder / "redis.conf"
            file.write_text("\n".join(settings))
            arguments = (str(file), *arguments)
        server = RedisProcess(folder, *arguments)
        self._servers.append(server)
        server.start()
        return server

    def stop(self) -> None:
        """Stop them all."""
        for server in self._servers:
            server.stop()


@pytest.fixture
def redis_servers() -> Iterator[RedisServers]:
    """Starts Redis servers that end with the test."""
    if shutil.which("redis-server") is None:
        absent("REDIS", FileNotFoundError("redis-server"))
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        servers = RedisServers(Path(folder))
        try:
            yield servers
        finally:
            servers.stop()


@pytest.fixture
def own_redis(redis_servers: RedisServers) -> RedisProcess:
    """A Redis server that runs, and may be stopped and started again."""
    return redis_servers.start("--port", "0")
