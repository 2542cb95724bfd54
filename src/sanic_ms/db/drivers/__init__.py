"""The drivers, one package each, imported when a URL names its kind of database.

Other packages add drivers: an entry point in the group ``sanic_ms.drivers`` has the scheme as its
name, and names a function that makes a `Driver` of a `DatabaseURL`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from sanic_ms.db.base import Driver
from sanic_ms.exception import ConfigError
from sanic_ms.values import DatabaseURL
from sanic_ms.values.entry_points import DRIVERS, load_entry

__all__ = ["driver_for"]

_PACKAGES = {"postgresql": "postgres", "mysql": "mysql", "sqlite": "sqlite"}


def driver_for(url: DatabaseURL) -> Driver:
    """The driver of a URL's scheme.

    Raises:
        MissingDependency: its library is not installed.
        ConfigError: an option of the URL is wrong, or the driver is another package's and cannot
            be used. The text never holds the password.
    """
    make = _maker(url.scheme)
    try:
        driver = make(url)
    except (OSError, ValueError) as exc:
        raise ConfigError(f"{url.masked}: {exc}") from exc
    if not isinstance(driver, Driver):
        raise ConfigError(f"{url.masked}: {make!r} made {driver!r}, which is no Driver")
    return driver


def _maker(scheme: str) -> Callable[[DatabaseURL], Driver]:
    if scheme in _PACKAGES:
        module = importlib.import_module(f"{__name__}.{_PACKAGES[scheme]}.driver")
        make: Callable[[DatabaseURL], Driver] = module.make_driver
        return make
    found = load_entry(DRIVERS, scheme)
    if not callable(found):
        raise ConfigError(f"{scheme}:// has no driver ({DRIVERS} gives {found!r})")
    made: Callable[[DatabaseURL], Driver] = found
    return made
