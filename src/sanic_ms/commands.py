"""Commands of a service: functions that ``sanic-ms do NAME`` runs.

``@command`` only marks; ``app.include("shop.commands")`` registers what a module has marked.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from sanic_ms.exception import LifecycleError
from sanic_ms.values.marks import mark, marks_of

__all__ = ["Command", "CommandMark", "CommandSet", "command", "command_name"]

F = TypeVar("F", bound=Callable[..., Any])

_NAME = re.compile(r"[A-Za-z0-9][\w:.-]*")


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        name: As it is called: ``import-users``.
        function: What it runs, sync or async. Its parameters are those of the command line, and
            services by type.
    """

    name: str
    function: Callable[..., Any]

    @property
    def summary(self) -> str:
        """The first line of the function's docstring; empty without one."""
        return (inspect.getdoc(self.function) or "").strip().partition("\n")[0]


@dataclass(frozen=True, slots=True)
class CommandMark:
    """The mark of `command`."""

    name: str

    def register(self, service: Any, function: Callable[..., Any]) -> None:
        """Add the function to the commands of a service."""
        service.commands.add(self.name, function)


class CommandSet:
    """The commands of one service, by name."""

    def __init__(self) -> None:
        self._commands: dict[str, Command] = {}

    def __iter__(self) -> Iterator[Command]:
        return iter(sorted(self._commands.values(), key=lambda entry: entry.name))

    def __len__(self) -> int:
        return len(self._commands)

    def get(self, name: str) -> Command | None:
        """The command of this name; None where there is none."""
        return self._commands.get(name)

    def add(self, name: str, function: Callable[..., Any]) -> None:
        """Add a command. Adding the same function again is once.

        Raises:
            LifecycleError: another function has this name.
        """
        known = self._commands.get(name)
        if known is not None and known.function is not function:
            raise LifecycleError(
                f"two commands are named {name!r}: {_place(known.function)} and {_place(function)}"
            )
        self._commands[name] = Command(name, function)


@overload
def command(function: F, /) -> F: ...
@overload
def command(*, name: str = "") -> Callable[[F], F]: ...
def command(function: Any = None, /, *, name: str = "") -> Any:
    """Mark a function as a command: ``sanic-ms do NAME`` runs it where a service includes its
    module. ``@command`` and ``@command()`` are the same.

    Args:
        function: The function, sync or async.
        name: What it is called. Default: the function's name with ``-`` for ``_``.

    Returns:
        The function itself.

    Raises:
        TypeError: it is no function, or is marked as a command already.
        ValueError: the name is none: letters, digits, ``-``, ``_``, ``.`` and ``:`` are allowed.
    """

    def decorate(function: F) -> F:
        entry = CommandMark(command_name(function, name))
        if any(isinstance(other, CommandMark) for other in marks_of(function)):
            raise TypeError(f"{_place(function)} is marked as a command twice")
        return mark(function, entry)

    return decorate if function is None else decorate(function)


def command_name(function: Any, name: str = "") -> str:
    """The name of a function's command.

    Raises:
        TypeError: the function cannot be a command.
        ValueError: the name is none.
    """
    if isinstance(function, type) or not callable(function) or not hasattr(function, "__name__"):
        raise TypeError(f"command: {function!r} is no function (write @command(name=…) over one)")
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(f"command: {_place(function)} yields; a command returns")
    name = name or function.__name__.strip("_").replace("_", "-")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"command: {name!r} is no name (letters, digits, -, _, . and :, as in import-users)"
        )
    return name


def _place(function: Any) -> str:
    return f"{function.__module__}.{function.__qualname__}"
