"""``app.config``: Sanic's configuration, which knows the settings before the service starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sanic.config import Config

__all__ = ["ServiceConfig"]


class ServiceConfig(Config):
    """Sanic's configuration. A name that it does not have yet is looked for in the settings, which
    are read for it: ``app.run(port=app.config["PORT"])``.

    Args:
        load: Reads the settings, and brings them into this object.
    """

    def __init__(self, load: Callable[[], object]) -> None:
        super().__init__()
        object.__setattr__(self, "_load", load)

    def __missing__(self, name: str) -> Any:
        if isinstance(name, str) and name.isupper() and not name.startswith("_"):
            object.__getattribute__(self, "_load")()
            if name in self:
                return self[name]
        raise KeyError(name)
