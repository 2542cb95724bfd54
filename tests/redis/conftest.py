"""A Redis server of a test's own, that it may stop."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import absent

import redis


class RedisProcess:
    """A Redis server on a socket in a folder.

    Args:
        folder: Where its socket is.
    """

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        command = ["redis-server", "--port", "0", "--unixsocket", str(self._socket), "--save", ""]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
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


@pytest.fixture
def own_redis() -> Iterator[RedisProcess]:
    """A Redis server that runs, and may be stopped and started again."""
    if shutil.which("redis-server") is None:
        absent("REDIS", FileNotFoundError("redis-server"))
    # The path of a socket is short: pytest's own folders have long names.
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisProcess(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
