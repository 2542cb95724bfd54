"""The databases and the Redis of a service, made from its settings when they are first used."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from sanic import Sanic

from sanic_ms.cache import Cache
from sanic_ms.config import Settings
from sanic_ms.container import Container
from sanic_ms.db import ConnectionPool
from sanic_ms.redis import RedisComponent
from sanic_ms.service.databases import Databases
from sanic_ms.service.redis import redis_of
from sanic_ms.telemetry.metrics import Registry

if TYPE_CHECKING:
    from sanic_ms.lifecycle import Lifecycle
    from sanic_ms.redis.client import InstrumentedRedis

__all__ = ["StoringSanic"]


class StoringSanic(Sanic[Any, Any]):
    """``app.db``, ``app.database`` and ``app.redis`` of a service."""

    __slots__ = ()
    container: Container
    lifecycle: Lifecycle
    metrics: Registry
    _databases: Databases

    if TYPE_CHECKING:

        @property
        def settings(self) -> Settings: ...

    @property
    def db(self) -> ConnectionPool:
        """The database that the settings name with ``DB_URL``.

        Raises:
            ConfigError: they name none.
        """
        return self.database()

    def database(self, name: str = "default") -> ConnectionPool:
        """A database by its name: ``"default"`` is ``DB_URL``, the others stand in ``DATABASES``.

        Raises:
            ConfigError: the settings name no such database.
        """
        return self._databases.get(name)

    @property
    def redis(self) -> InstrumentedRedis:
        """The Redis that the setting ``REDIS_URL`` names: a client of redis-py.

        Raises:
            ConfigError: it names none.
            MissingDependency: redis-py is not installed.
        """
        return self._redis.client

    @functools.cached_property
    def _redis(self) -> RedisComponent:
        return redis_of(self.settings, self.metrics, self.container)

    @functools.cached_property
    def cache(self) -> Cache:
        """The cache: in the process, and in Redis where ``REDIS_URL`` is set."""
        settings = self.settings
        cache = Cache(
            None if settings.redis_url is None else self._redis,
            prefix=f"{self.name if settings.cache_prefix is None else settings.cache_prefix}:",
            max_entries=settings.cache_max_entries,
        )
        if settings.metrics:
            cache.measure(self.metrics)
        return cache

    def is_injected(self, annotation: Any) -> bool:
        """Whether a parameter of this type gets a service or the request."""
        return self.container.providers.is_service(annotation)

    def is_of_request(self, annotation: Any) -> bool:
        """Whether a parameter of this type gets a service that is made for each request."""
        return self.container.providers.is_of_request(annotation)

    def _add_stores(self) -> None:
        """Let those that the settings name start and stop with the service."""
        if self.settings.db_url is not None:
            self.lifecycle.add(self.db)
            if ConnectionPool not in self.container:
                self.container.provide(ConnectionPool, self.db)
        for name in self.settings.databases:
            self.lifecycle.add(self.database(name))
        if self.settings.redis_url is not None:
            self.lifecycle.add(self._redis)
        self.lifecycle.add(self.cache)
        if Cache not in self.container:
            self.container.provide(Cache, self.cache)
