"""The connection of a service to Redis, as a component."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from sanic_ms.exception import LifecycleError, RedisUnavailable
from sanic_ms.lifecycle import Component, Health
from sanic_ms.redis.instrumentation import CommandInstrumentation
from sanic_ms.redis.settings import RedisURL
from sanic_ms.telemetry.metrics import Registry

if TYPE_CHECKING:
    from sanic_ms.redis.client import InstrumentedRedis

__all__ = ["RedisComponent"]

log = logging.getLogger("sanic_ms.redis")

_CHECK_LIMIT = 0.4  # seconds that a health check waits


class RedisComponent(Component):
    """A pool of connections to one Redis server, opened when they are needed.

    A server that is away stops neither the start nor the service: its commands raise
    `RedisUnavailable`, and the health is ``degraded``.

    Args:
        url: See `RedisURL.parse`.
        name: The component's name in logs and health.
        connect_timeout: Seconds to connect. Default 0.25.
        timeout: Seconds that the server may take for a response. Default 0.25.
        acquire_timeout: Seconds to wait for a connection where all are in use. Default 0.25.
        max_connections: The most connections. Default 50.

    Raises:
        ValueError: the URL or an option is wrong. The message does not hold the password.
        MissingDependency: redis-py is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "redis",
        connect_timeout: float = 0.25,
        timeout: float = 0.25,
        acquire_timeout: float = 0.25,
        max_connections: int = 50,
    ) -> None:
        limits = {
            "connect_timeout": connect_timeout,
            "timeout": timeout,
            "acquire_timeout": acquire_timeout,
        }
        for option, seconds in limits.items():
            if not 0 < seconds < float("inf"):
                raise ValueError(f"{option}={seconds!r}: give seconds above 0")
        if max_connections < 1:
            raise ValueError(f"max_connections={max_connections!r}: at least 1")
        self.name = name
        self.url = RedisURL.parse(url)
        self._instrumentation = CommandInstrumentation(self.url)
        from sanic_ms.redis.client import make_client

        self.client: InstrumentedRedis = make_client(
            self.url, self._instrumentation, max_connections=max_connections, **limits
        )

    def measure(self, registry: Registry) -> None:
        """Count how long commands take.

        Args:
            registry: ``app.metrics``.
        """
        self._instrumentation.measure(registry)

    async def start(self) -> None:
        """Ask the server once.

        Raises:
            LifecycleError: it rejects the user, the password or the database. A server that is
                away is only logged.
        """
        try:
            await self.client.ping()
        except RedisUnavailable as exc:
            log.error(
                "%s at %s is away, going on without it: %s",
                self.name,
                self.url.masked,
                exc.__cause__,
            )
        except Exception as exc:
            raise LifecycleError(f"{self.name} at {self.url.masked} cannot be used: {exc}") from exc

    async def stop(self) -> None:
        """Close all connections. Calling it again does nothing."""
        await self.client.close_all()

    async def check(self) -> Health:
        """Whether the server answers, within half a second."""
        try:
            async with asyncio.timeout(_CHECK_LIMIT):
                await self.client.ping()
        except TimeoutError:
            return Health("degraded", f"no answer within {_CHECK_LIMIT:g} s")
        except Exception as exc:
            return Health("degraded", type(exc).__name__)
        return Health("up")
