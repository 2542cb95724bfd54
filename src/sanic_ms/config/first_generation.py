"""Settings of the first generation, the package ``sanicms``, as today's that say the same.

A name stays in its place: a value of ``settings.py`` is still one of ``settings.py``, and every
later source wins over it. `sanic_ms.service.first_generation` names what has no successor.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from sanic_ms.config.given import Given, Layer

__all__ = ["MODULE_VARIABLE", "RENAMED", "SWAGGER", "renamed"]

log = logging.getLogger("sanic_ms.config")

MODULE_VARIABLE = "SANIC_SETTINGS_MODULE"
"""The environment variable that named the settings module."""

RENAMED = {
    "ACCESS_CONTROL_ALLOW_CREDENTIALS": "CORS_CREDENTIALS",
    "ACCESS_CONTROL_ALLOW_HEADERS": "CORS_HEADERS",
    "ACCESS_CONTROL_ALLOW_METHODS": "CORS_METHODS",
    "ACCESS_CONTROL_ALLOW_ORIGIN": "CORS_ORIGINS",
    "ACCESS_CONTROL_EXPOSE_HEADERS": "CORS_EXPOSE",
    "ACCESS_CONTROL_MAX_AGE": "CORS_MAX_AGE",
}
"""Settings by their old names, which were those of the headers."""

SWAGGER = {"title": "API_TITLE", "version": "API_VERSION", "description": "API_DESCRIPTION"}
"""Settings by their key in the old table ``SWAGGER``."""

# None meant "not given": os.environ.get("SERVER_HOST").
_OPTIONAL = ("HOST", "PORT")


def renamed(layer: Layer) -> Layer:
    """A source's values with what old names say under the new ones as well.

    The new name wins where a source has both, and the log says so. The old ones stay, as entries of
    ``app.config`` that an application may read.

    Args:
        layer: The values of one source. It is not changed.
    """
    found = {
        name: given
        for name, given in layer.items()
        if name not in _OPTIONAL or given.value is not None
    }
    for old, new in RENAMED.items():
        given = layer.get(old)
        if given is None or given.value is None or _is_every_method(new, given.value):
            continue
        if new in layer:
            log.warning("%s (%s) is not used: %s stands beside it", old, given.source, new)
        else:
            found[new] = Given(given.value, f"{given.source} ({old})")
    table = layer.get("SWAGGER")
    if table is not None and isinstance(table.value, Mapping):
        for key, new in SWAGGER.items():
            if table.value.get(key) is not None:
                found.setdefault(new, Given(table.value[key], f"{table.source} (SWAGGER)"))
    return found


def _is_every_method(name: str, value: Any) -> bool:
    """Whether methods are ``*``, which is the default in other words."""
    return name == "CORS_METHODS" and value in ("*", ["*"])
