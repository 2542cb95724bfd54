"""How an application extends its service: plugins, included modules and commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from sanic import Sanic

from sanic_ms.commands import CommandSet, command_name
from sanic_ms.exception import LifecycleError
from sanic_ms.service.inclusion import Inclusion

if TYPE_CHECKING:
    from sanic_ms.lifecycle import Lifecycle
    from sanic_ms.service.plugins import Plugin, Plugins

__all__ = ["PluggableSanic"]

F = TypeVar("F", bound=Callable[..., Any])


class PluggableSanic(Sanic[Any, Any]):
    """``app.use``, ``app.include`` and ``app.command`` of a service."""

    __slots__ = ()
    lifecycle: Lifecycle
    commands: CommandSet
    plugins: Plugins
    _inclusion: Inclusion

    def use(self, plugin: Plugin) -> None:
        """Set a plugin up on this service: calls its ``setup(app)`` at once.

        Args:
            plugin: An object with a method ``setup(app)``; see `Plugin`.

        Raises:
            TypeError: it is a class, or no plugin.
            LifecycleError: it is in use already, or the service runs.
        """
        self.plugins.use(plugin)

    def include(self, *modules: str) -> None:
        """Import modules, and register what their decorators have marked (``@command``, …).

        A package includes all modules below it. A module that is included twice is included once;
        marked functions that it imports belong to the module that defines them. All are imported
        before anything is registered.

        Args:
            modules: Their full names: ``"shop.jobs"``.

        Raises:
            TypeError, ValueError: that is no name of a module.
            LifecycleError: there is no such module, two functions have one name, or the service
                runs. What a module itself raises goes through.
        """
        if self.lifecycle.is_open:
            names = ", ".join(map(repr, modules))
            raise LifecycleError(f"include({names}): the service runs; include before it starts")
        self._inclusion.include(*modules)

    @overload  # type: ignore[override]
    def command(self, maybe_func: F, /) -> F: ...
    @overload
    def command(self, *, name: str = "") -> Callable[[F], F]: ...
    def command(self, maybe_func: Any = None, *, name: str = "") -> Any:
        """Make a function a command of this service: ``sanic-ms do NAME`` runs it, and Sanic's
        ``sanic server:app exec NAME``.

        The arguments and errors are those of `sanic_ms.command`. Other than with Sanic's, the
        function itself is given back.

        Raises:
            LifecycleError: another command has this name.
        """

        def decorate(function: F) -> F:
            self.commands.add(command_name(function, name), function)
            Sanic.command(self, function, name=name)
            return function

        return decorate if maybe_func is None else decorate(maybe_func)
