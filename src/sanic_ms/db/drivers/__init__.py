"""The drivers, one leaf module each, imported when a URL names its kind of database."""

from __future__ import annotations

import importlib

from sanic_ms.db.base import Driver
from sanic_ms.types import DatabaseURL

__all__ = ["driver_for"]

_MODULES = {"postgresql": "postgres", "mysql": "mysql", "sqlite": "sqlite"}


def driver_for(url: DatabaseURL) -> Driver:
    """The driver of a URL's scheme.

    Raises:
        MissingDependency: its library is not installed.
        ValueError: an option of the URL is wrong.
    """
    module = importlib.import_module(f"{__name__}.{_MODULES[url.scheme]}")
    driver: Driver = module.make_driver(url)
    return driver
