"""Settings of the first generation that do nothing here: the start names what to write instead."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from sanic_ms.config import Loaded
from sanic_ms.config.first_generation import RENAMED, SWAGGER

__all__ = ["old_settings", "warn_of_old_settings"]

log = logging.getLogger("sanic_ms.service")


def warn_of_old_settings(name: str, loaded: Loaded[Any]) -> None:
    """Log one warning for each setting, or group of settings, of the first generation that has no
    effect.

    Args:
        name: The service's name.
        loaded: Its settings.
    """
    for line in old_settings(name, loaded):
        log.warning("%s", line)


def old_settings(name: str, loaded: Loaded[Any]) -> Iterator[str]:
    """The same as texts."""
    values, sources = loaded.extra, loaded.sources
    if "APP_ID" in values and values["APP_ID"] != name:
        yield (
            f"APP_ID={values['APP_ID']!r} ({sources['APP_ID']}) is not used: the service's name is "
            f"the one in the program, Service({name!r})"
        )
    consul = sorted(key for key in values if key.startswith("CONSUL_"))
    if consul:
        yield (
            f"{', '.join(consul)} ({sources[consul[0]]}): there is no Consul; name the other "
            "services in SERVICES, such as region_service=http://region:8050"
        )
    unknown = sorted(
        key for key in values if key.startswith("ACCESS_CONTROL_") and key not in RENAMED
    )
    if unknown:
        yield f"{', '.join(unknown)} ({sources[unknown[0]]}): not used; the settings are CORS_…"
    if "SWAGGER" in values:
        yield from _of_swagger(values["SWAGGER"], sources["SWAGGER"])


def _of_swagger(table: Any, source: str) -> Iterator[str]:
    used = ", ".join(SWAGGER)
    if not isinstance(table, Mapping):
        yield f"SWAGGER ({source}) is not used: it is a table with {used}"
    elif left := [str(key) for key in table if key not in SWAGGER]:
        yield f"SWAGGER ({source}): {', '.join(left)} not used; used are {used}"
