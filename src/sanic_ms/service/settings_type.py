"""The class of a service's settings, where the service's type names it."""

from __future__ import annotations

import typing
from typing import Any

from sanic_ms.config import Settings
from sanic_ms.exception import ConfigError

__all__ = ["check_settings_type", "settings_type"]


def settings_type(kind: type[Any]) -> type[Any]:
    """The class that ``class Shop(Service[ShopSettings])`` names; `Settings` where none is named.

    Args:
        kind: The class of the service.
    """
    for base in kind.__mro__:
        for generic in vars(base).get("__orig_bases__", ()):
            for argument in typing.get_args(generic):
                if isinstance(argument, type) and issubclass(argument, Settings):
                    return argument
    return Settings


def check_settings_type(app: object, settings: type[Settings]) -> None:
    """Check what ``Service[ShopSettings](…)`` says against the settings that the service has.

    Args:
        app: The service.
        settings: The class of its settings.

    Raises:
        ConfigError: they are of another class.
    """
    alias = getattr(app, "__orig_class__", None)
    for argument in typing.get_args(alias):
        if isinstance(argument, type) and not issubclass(settings, argument):
            name = argument.__name__
            raise ConfigError(
                f"Service[{name}](…) has settings of {settings.__name__}: give settings={name}"
            )
