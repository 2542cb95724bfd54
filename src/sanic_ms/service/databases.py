"""The connection pools of a service, made from its settings."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, cast

from sanic_ms.config import Loaded, Settings
from sanic_ms.db import ConnectionPool
from sanic_ms.db.session_settings import SettingsOf
from sanic_ms.exception import ConfigError
from sanic_ms.telemetry.metrics import Registry

__all__ = ["Databases"]


class Databases:
    """One pool for each database that the settings name, made when it is first asked for.

    Args:
        loaded: Gives the settings; they are not read before the first pool is made.
        metrics: Where the pools count, unless the settings turn metrics off.

    Attributes:
        pools: Those that were made, by name.
    """

    def __init__(self, loaded: Callable[[], Loaded[Any]], metrics: Registry) -> None:
        self._loaded = loaded
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
        loaded = self._loaded()
        settings: Settings = loaded.settings
        pool = ConnectionPool(
            _url(settings, name),
            name=name,
            min_size=settings.db_pool_min,
            max_size=settings.db_pool_max,
            acquire_timeout=settings.db_acquire_timeout,
            statement_timeout=settings.db_statement_timeout,
            pipeline=settings.db_pipeline,
            reset=settings.db_reset,
            session_settings=_session_settings(loaded) if name == "default" else None,
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


def _session_settings(loaded: Loaded[Any]) -> SettingsOf | None:
    """The function of ``SESSION_SETTINGS``, or the one whose place it names."""
    given = loaded.extra.get("SESSION_SETTINGS")
    if given is None or callable(given):
        return given
    source = loaded.sources["SESSION_SETTINGS"]
    module, _, name = str(given).partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as exc:
        raise ConfigError(
            f"SESSION_SETTINGS={given!r} ({source}): give a function of the request, or "
            f"'module:function' ({exc})"
        ) from exc
    if not callable(function):
        raise ConfigError(f"SESSION_SETTINGS={given!r} ({source}) is no function")
    return cast(SettingsOf, function)
