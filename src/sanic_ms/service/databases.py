"""The connection pools of a service, made from its settings."""

from __future__ import annotations

from collections.abc import Callable

from sanic_ms.config import Settings
from sanic_ms.db import ConnectionPool
from sanic_ms.exception import ConfigError
from sanic_ms.telemetry.metrics import Registry

__all__ = ["Databases"]


class Databases:
    """One pool for each database that the settings name, made when it is first asked for.

    Args:
        settings: Gives the settings; they are not read before the first pool is made.
        metrics: Where the pools count, unless the settings turn metrics off.

    Attributes:
        pools: Those that were made, by name.
    """

    def __init__(self, settings: Callable[[], Settings], metrics: Registry) -> None:
        self._settings = settings
        self._metrics = metrics
        self.pools: dict[str, ConnectionPool] = {}

    def get(self, name: str = "default") -> ConnectionPool:
        """A pool by its name: ``"default"`` is ``DB_URL``, the others stand in ``DATABASES``.

        Raises:
            ConfigError: the settings name no such database.
        """
        pool = self.pools.get(name)
        if pool is None:
            pool = self.pools[name] = self._make(name)
        return pool

    def _make(self, name: str) -> ConnectionPool:
        settings = self._settings()
        pool = ConnectionPool(
            _url(settings, name),
            name=name,
            min_size=settings.db_pool_min,
            max_size=settings.db_pool_max,
            acquire_timeout=settings.db_acquire_timeout,
            statement_timeout=settings.db_statement_timeout,
            pipeline=settings.db_pipeline,
            reset=settings.db_reset,
        )
        if settings.metrics:
            pool.measure(self._metrics)
        return pool


def _url(settings: Settings, name: str) -> str:
    if name == "default":
        if settings.db_url is None:
            raise ConfigError("no database is named: set DB_URL, e.g. DB_URL=sqlite:///app.db")
        return settings.db_url
    if name not in settings.databases:
        known = ", ".join(sorted(settings.databases)) or "none"
        raise ConfigError(f"DATABASES names no {name!r} (known: {known})")
    return settings.databases[name]
