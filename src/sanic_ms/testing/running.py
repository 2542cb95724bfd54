"""A service that runs inside of the process that tests it.

It is started and stopped as its own server does it: the same steps in the same order, without the
listening socket, the signal handlers of the process and the manager of workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context, copy_context
from typing import Any

from sanic.application.constants import ServerStage
from sanic.application.state import ApplicationServerInfo
from sanic.models.server_types import Signal
from sanic.server.protocols.http_protocol import HttpProtocol as SanicProtocol

from sanic_ms.client.base import Transport
from sanic_ms.client.transport.aiohttp import network
from sanic_ms.context import service_context
from sanic_ms.exception import LifecycleError
from sanic_ms.server import HttpProtocol
from sanic_ms.service import Service
from sanic_ms.testing.spans import Spans

__all__ = ["RunningService"]


# Sanic's routers are compiled from generated source, and Python cannot build syntax trees in two
# threads at once: https://github.com/python/cpython/issues/106905
_one_at_a_time = threading.RLock()
# Other code in the process (a traceback that is shown) may do so too, and no lock keeps it away.
_TRIES = 5


class RunningService:
    """The life of one service from start to stop, on the event loop of whoever starts it.

    The service has context variables of its own: nothing that a test sets reaches it, and nothing
    that it sets reaches the test.

    Args:
        app: The service.
        transport: Carries the calls of all its clients in place of the network; None: the network.
        where: What the service is told of its address: ``host`` and ``port``, or ``unix``.
    """

    def __init__(
        self,
        app: Service,
        *,
        transport: Transport | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(app, Service):
            raise TypeError(f"{app!r} is not a Service")
        self.app = app
        self.transport = transport
        self.where = dict(where or {"unix": "(memory)"})
        self.spans = Spans()
        self.connections: set[Any] = set()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.context: Context = copy_context()
        self._signal = Signal()

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self.loop is not None

    async def start(self) -> None:
        """Start the parts and run the listeners, as before the first request.

        Raises:
            LifecycleError: it runs already, or a part does not start. What had started is stopped.
            ConfigError: a setting is wrong.
        """
        if self.is_running:
            raise LifecycleError(f"{self.app.name} runs already")
        try:
            with service_context(self.app):
                self.context = copy_context()
            self.context.run(network.set, self.transport)
            self.connections = set()
            self._signal = Signal()
            self.loop = asyncio.get_running_loop()
            await self._inside(self._start)
        except BaseException:
            self._leave()
            raise

    async def stop(self) -> None:
        """Let requests finish, run the listeners and stop the parts. Again: does nothing."""
        if self.loop is None:
            return
        try:
            await self._inside(self._stop)
        finally:
            self._leave()

    def _leave(self) -> None:
        self.loop = None
        self.app.state.server_info.clear()
        self.app.state.is_running = False

    def protocol(self) -> asyncio.Protocol:
        """The server's end of a new connection: the same protocol that serves in production."""
        app = self.app
        assert self.loop is not None, "the service does not run"
        options: dict[str, Any] = {
            "websocket_max_size": app.config.WEBSOCKET_MAX_SIZE,
            "websocket_ping_timeout": app.config.WEBSOCKET_PING_TIMEOUT,
            "websocket_ping_interval": app.config.WEBSOCKET_PING_INTERVAL,
        }
        strict = app.settings.server_protocol == "strict"
        kind: Any = HttpProtocol if strict else SanicProtocol
        made: asyncio.Protocol = kind(
            loop=self.loop,
            app=app,
            connections=self.connections,
            signal=self._signal,
            state=None,
            unix=None,
            **options,
        )
        return made

    async def listen(self, host: str) -> asyncio.Server:
        """Accept connections on a free port."""
        loop = asyncio.get_running_loop()
        # The context in which a socket is listened to is that of its connections.
        serve = loop.create_server(self.protocol, host, 0)
        return await loop.create_task(serve, context=self.context)

    async def _inside(self, step: Callable[[], Awaitable[None]]) -> None:
        """Run a step with the service's own context variables."""

        async def run() -> None:
            await step()

        await asyncio.get_running_loop().create_task(run(), context=self.context)

    async def _start(self) -> None:
        app = self.app
        app.asgi = False
        # Sanic would rewrite its own classes, by the signals that this one service uses and for
        # the whole process.
        app.config.TOUCHUP = False
        self.spans.record(app.tracing)
        app.launch.quiet = True
        # With this `app.loop` and `app.add_task` work.
        app.state.server_info[:] = [ApplicationServerInfo(self.where, ServerStage.SERVING)]
        await self._set_up()
        await app._server_event("init", "before", self.loop)
        app.state.is_running = True
        try:
            await app._server_event("init", "after", self.loop)
        except BaseException:
            with contextlib.suppress(Exception):
                await app._server_event("shutdown", "before", self.loop)
            await app._server_event("shutdown", "after", self.loop)
            raise

    async def _set_up(self) -> None:
        app = self.app
        for tries_left in reversed(range(_TRIES)):
            with _one_at_a_time:
                app.router.reset()  # type: ignore[no-untyped-call]
                app.signal_router.reset()  # type: ignore[no-untyped-call]
                try:
                    await app._startup()  # which waits for nothing
                    break
                except SystemError:
                    if not tries_left:
                        raise

    async def _stop(self) -> None:
        app = self.app
        try:
            await app._server_event("shutdown", "before", self.loop)
            await self._finish_requests()
            await self._cancel_tasks()
        finally:
            await app._server_event("shutdown", "after", self.loop)

    async def _finish_requests(self) -> None:
        self._signal.stopped = True
        for connection in list(self.connections):
            connection.close_if_idle()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.app.config.GRACEFUL_SHUTDOWN_TIMEOUT):
                while self.connections:  # noqa: ASYNC110 - nothing tells when one is gone
                    await asyncio.sleep(0.01)
        for connection in list(self.connections):
            if getattr(connection, "websocket", None):
                connection.websocket.fail_connection(code=1001)
            else:
                connection.abort()
        await asyncio.sleep(0)

    async def _cancel_tasks(self) -> None:
        tasks = [task for task in self.app.tasks if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=self.app.config.GRACEFUL_SHUTDOWN_TIMEOUT)
        self.app.purge_tasks()
