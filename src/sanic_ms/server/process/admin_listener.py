"""A port of its own for operators: metrics, docs and health, away from the service's callers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from sanic import Sanic

from sanic_ms.exception import ConfigError, LifecycleError
from sanic_ms.lifecycle import Component
from sanic_ms.server.http1.protocol import HttpProtocol
from sanic_ms.server.process.listen_socket import ListenSocket, cannot_listen, is_occasional
from sanic_ms.server.process.shutdown import finish_requests

__all__ = ["AdminListener", "check_admin_address"]

_GRACE = 1.0  # seconds for a scrape that is under way when the service stops


def check_admin_address(host: str, port: int) -> None:
    """Find out whether the port is free, in the process that starts the workers.

    The workers bind it together and would not notice a stranger that allows the same.

    Raises:
        LifecycleError: it is in use. One line.
        ConfigError: it is no address of this machine.
    """
    _bind(host, port, reuse_port=False).close()


class AdminListener(Component):
    """A second listener of a service's process, which serves an application of its own.

    It starts before the other parts and stops after them, so that probes are answered meanwhile.

    Args:
        make_app: Makes the application, at each start.
        host, port: Where to listen.
        shared: Several processes listen on the port, and the kernel shares connections out among
            them.

    Attributes:
        enabled: Whether a start listens; False where the service does not serve.
    """

    name = "admin"
    enabled = True

    def __init__(
        self, make_app: Callable[[], Sanic[Any, Any]], host: str, port: int, *, shared: bool = False
    ) -> None:
        self._make_app = make_app
        self._address = host, port
        self._shared = shared
        self._connections: set[Any] = set()
        self._place: ListenSocket | None = None
        self._listener: asyncio.Server | None = None

    def use_free_port(self) -> None:
        """Listen where nobody looks: for a start that is only tried."""
        self._address = self._address[0], 0

    async def start(self) -> None:
        if not self.enabled:
            return
        self._place = _bind(*self._address, reuse_port=self._shared)
        app = self._make_app()
        await app._startup()  # type: ignore[no-untyped-call]
        loop = asyncio.get_running_loop()
        factory = partial(HttpProtocol, loop=loop, app=app, connections=self._connections)
        self._listener = await loop.create_server(factory, sock=self._place.socket)

    async def stop(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            await finish_requests(self._connections, _GRACE)
        if self._place is not None:
            self._place.close()
            self._place = None


def _bind(host: str, port: int, *, reuse_port: bool) -> ListenSocket:
    try:
        return ListenSocket.bind(host, port, reuse_port=reuse_port)
    except OSError as exc:
        text = cannot_listen(exc, host, port, None, prefix="ADMIN_")
        raise (LifecycleError if is_occasional(exc) else ConfigError)(text) from exc
