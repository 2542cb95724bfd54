"""How an application extends its service: plugins, included modules and commands."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isasyncgenfunction, isgeneratorfunction
from typing import TYPE_CHECKING, Any, TypeVar, overload

from sanic import Sanic

from sanic_ms.commands import CommandSet, command_name
from sanic_ms.exception import LifecycleError
from sanic_ms.server.process.function_process import arguments_of
from sanic_ms.service.inclusion import Inclusion
from sanic_ms.utils.blocking import name_of

if TYPE_CHECKING:
    from sanic_ms.lifecycle import Lifecycle
    from sanic_ms.service.launch import Launch
    from sanic_ms.service.plugins import Plugin, Plugins

__all__ = ["PluggableSanic"]

F = TypeVar("F", bound=Callable[..., Any])


class PluggableSanic(Sanic[Any, Any]):
    """``app.use``, ``app.include`` and ``app.command`` of a service."""

    __slots__ = ()
    lifecycle: Lifecycle
    commands: CommandSet
    launch: Launch
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

    def worker_process(self, function: F, /, *, name: str | None = None) -> F:
        """Run a function in a process of its own, beside those that serve; also a decorator.

        The components of the service run there too, and nothing listens. The process is begun
        again, after a pause, when the function fails, and not when it returns. A coroutine function
        is cancelled at a stop; in a plain one ``SystemExit`` is raised.

        Args:
            function: It takes nothing, or the application. The call stands where each process
                imports it: not under ``if __name__ == "__main__":``.
            name: The process' name, for the log and the start-up summary; default the function's.

        Returns:
            The function.

        Raises:
            TypeError: it is no function, or takes something else.
            LifecycleError: another process has this name, or the service runs.
        """
        if not callable(function):
            raise TypeError(f"app.worker_process({function!r}): give a function, sync or async")
        name = name_of(function) if name is None else name
        if isgeneratorfunction(function) or isasyncgenfunction(function):
            raise TypeError(f"app.worker_process({name}): it is a generator, and never runs")
        if not isinstance(name, str) or not name:
            raise TypeError(f"app.worker_process(name={name!r}): give a text")
        try:
            arguments_of(function, self)
        except TypeError as exc:
            raise TypeError(f"app.worker_process({name}): {exc}") from None
        if name in self.launch.functions:
            raise LifecycleError(f"app.worker_process: there are two processes named {name!r}")
        if self.lifecycle.is_open:
            raise LifecycleError(f"app.worker_process({name}): the service runs already")
        self.launch.functions[name] = function
        return function
