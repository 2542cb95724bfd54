"""The drivers, one package each, imported when a URL names its kind of database."""

from __future__ import annotations

import importlib

from sanic_ms.db.base import Driver
from sanic_ms.exception import ConfigError
from sanic_ms.values import DatabaseURL

__all__ = ["driver_for"]

_PACKAGES = {"postgresql": "postgres", "mysql": "mysql", "sqlite": "sqlite"}


def driver_for(url: DatabaseURL) -> Driver:
    """The driver of a URL's scheme.

    Raises:
        MissingDependency: its library is not installed.
        ConfigError: an option of the URL is wrong. The text never holds the password.
    """
    module = importlib.import_module(f"{__name__}.{_PACKAGES[url.scheme]}.driver")
    try:
        driver: Driver = module.make_driver(url)
    except (OSError, ValueError) as exc:
        raise ConfigError(f"{url.masked}: {exc}") from exc
    return driver
