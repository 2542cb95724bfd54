"""Plugins: packages that set themselves up on a service."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from sanic_ms.exception import LifecycleError

if TYPE_CHECKING:
    from sanic_ms.service.service import Service

__all__ = ["Plugin", "Plugins"]

P = TypeVar("P")


class Plugin(Protocol):
    """An object that sets itself up on a service: it adds components, routes, listeners, types.

    A class needs no base for it; with this one, a missing `setup` is found when it is made.
    """

    @abstractmethod
    def setup(self, app: Service, /) -> None:
        """Set up, before the service starts. Settings may be read; nothing is to be awaited here:
        that is for the `start` of a component."""


class Plugins:
    """The plugins of one service, in the order of their use.

    Args:
        service: The service.
    """

    def __init__(self, service: Any) -> None:
        self._service = service
        self._plugins: list[Any] = []

    def __iter__(self) -> Iterator[Any]:
        return iter(tuple(self._plugins))

    def use(self, plugin: Plugin) -> None:
        """Set a plugin up. See `Service.use`."""
        _check_type(plugin)
        name = type(plugin).__qualname__
        if any(other is plugin for other in self._plugins):
            raise LifecycleError(f"use({name}): this plugin is in use already")
        if self._service.lifecycle.is_open:
            raise LifecycleError(f"use({name}): the service runs; call app.use() before it starts")
        self._plugins.append(plugin)  # before its setup, which may use further ones
        try:
            plugin.setup(self._service)
        except BaseException:
            self._plugins = [other for other in self._plugins if other is not plugin]
            raise

    def get(self, kind: type[P]) -> P | None:
        """The first plugin in use that is a ``kind``; None where there is none."""
        return next((plugin for plugin in self._plugins if isinstance(plugin, kind)), None)

    def obtain(self, kind: type[P]) -> P:
        """The first plugin in use that is a ``kind``; where there is none, one with its defaults is
        used from now on. For marks, whose package need not be set up by name.

        Args:
            kind: A class of plugins that can be made without arguments.
        """
        plugin = self.get(kind)
        if plugin is None:
            plugin = kind()
            self.use(cast(Plugin, plugin))
        return plugin


def _check_type(plugin: Any) -> None:
    if isinstance(plugin, type):
        raise TypeError(
            f"use({plugin.__name__}): give an instance, not the class: use({plugin.__name__}(…))"
        )
    setup = getattr(plugin, "setup", None)
    if not callable(setup):
        raise TypeError(f"use({plugin!r}): a plugin has a method setup(self, app)")
    if inspect.iscoroutinefunction(setup):
        raise TypeError(
            f"use({type(plugin).__qualname__}): its setup is async def; "
            "what must be awaited belongs into the start of a component (app.add)"
        )
