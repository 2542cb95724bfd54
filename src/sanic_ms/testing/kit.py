"""What one pytest test has of the kit: a service, its databases, its neighbours, calls to it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import Any

from sanic_ms.context import service_context
from sanic_ms.db import ConnectionPool
from sanic_ms.db.base import Session
from sanic_ms.exception import ConfigError, LifecycleError
from sanic_ms.lifecycle import State
from sanic_ms.service import Service
from sanic_ms.testing.client import TestClient
from sanic_ms.testing.database import fresh_databases
from sanic_ms.testing.factory import made
from sanic_ms.testing.live import LiveServer
from sanic_ms.testing.measured import Metrics
from sanic_ms.testing.mocks import MockServices
from sanic_ms.testing.reconfigure import without_ports
from sanic_ms.testing.spans import Spans

__all__ = ["FixtureClient", "Kit", "TestPool"]


class TestPool(ConnectionPool):
    """A pool that starts at its first use, on the event loop of whoever uses it."""

    __test__ = False

    loop: asyncio.AbstractEventLoop | None = None  # where it has started

    async def checkout(self, timeout: float | None) -> Session:
        if self.state in (State.NEW, State.STOPPED):
            self.loop = asyncio.get_running_loop()
            await self.start()
        return await super().checkout(timeout)


class FixtureClient(TestClient):
    """A client that starts the service with its first call; the kit closes it.

    An asynchronous fixture may call before the test itself begins.
    """

    async def _begin(self) -> None:
        await self.start()


class Kit:
    """The service of one test and what the fixtures give of it.

    Fixtures are set up outside of an event loop, and the loop belongs to whatever plugin runs
    asynchronous tests. So nothing starts here: the service and the pools start on the test's own
    loop, with their first use or with the test, and stop at the end of it.

    Args:
        source: The service, or a function that makes one.
        server: Where fresh databases are made; see `fresh_databases`.
    """

    def __init__(self, source: Service | Callable[[], Service], server: str | None) -> None:
        self._stack = ExitStack()
        try:
            self.app = self._stack.enter_context(made(source))
            self._stack.enter_context(without_ports(self.app))
            self._urls = self._stack.enter_context(fresh_databases(self.app, server))
        except BaseException:
            self._stack.close()
            raise
        self.mock = MockServices()
        self._client: TestClient | None = None
        self._pools: dict[str, TestPool] = {}
        self._live: LiveServer | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """Where its service or one of its pools runs, as a fixture has used it; else None."""
        if self._client is not None and self._client.running.loop is not None:
            return self._client.running.loop
        started = (pool for pool in self._pools.values() if pool.state is State.RUNNING)
        return next((pool.loop for pool in started), None)

    @property
    def client(self) -> TestClient:
        """Calls in memory; the service runs for them."""
        if self._client is None:
            if self._live is not None:
                raise LifecycleError("client and live_server both run the service: use one of them")
            self._client = FixtureClient(self.app, mock=self.mock)
        return self._client

    @property
    def live(self) -> LiveServer:
        """The service on a port; it is started here."""
        if self._live is None:
            if self._client is not None:
                raise LifecycleError("client and live_server both run the service: use one of them")
            self._live = LiveServer(self.app, transport=self.mock)
            self._live.start()
            self._stack.callback(self._live.stop)
        return self._live

    def pool(self, name: str = "default") -> ConnectionPool:
        """A pool of the test's own to one of the service's fresh databases.

        Raises:
            ConfigError: the settings of the service name no such database.
        """
        if name not in self._urls:
            known = ", ".join(sorted(self._urls)) or "none: set DB_URL"
            raise ConfigError(f"{self.app.name} has no database {name!r} (its settings: {known})")
        if name not in self._pools:
            self._pools[name] = TestPool(self._urls[name], name=f"test:{name}", max_size=4)
        return self._pools[name]

    @property
    def spans(self) -> Spans:
        """The spans that the service made, called through `client`."""
        return self.client.running.spans

    @functools.cached_property
    def metrics(self) -> Metrics:
        """The service's metrics, counted from here."""
        return Metrics(self.app)

    def around(self, test: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        """An asynchronous test, with the service started before it and stopped behind it."""

        @functools.wraps(test)
        async def run(*args: Any, **keywords: Any) -> Any:
            try:
                if self._client is not None and not self._client.running.is_running:
                    await self._client.start()
                if self._client is None:
                    return await test(*args, **keywords)
                with service_context(self.app):
                    return await test(*args, **keywords)
            finally:
                await self.stop()

        return run

    async def stop(self) -> None:
        """Stop what runs on this event loop."""
        if self._client is not None:
            await self._client.close()
        for pool in self._pools.values():
            await pool.stop()

    def finish(self) -> None:
        """Stop what an asynchronous fixture has started, while its loop is open."""
        loop = self.loop
        if loop is not None and not loop.is_closed():
            loop.run_until_complete(self.stop())

    def close(self) -> None:
        """Give everything back."""
        self._stack.close()
