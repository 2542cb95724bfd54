"""Marks: what a decorator leaves on a function for the services that include its module.

A decorator such as ``command`` or ``job`` only marks, and gives the function itself back. So a
module of jobs needs no service to be imported, and a test calls its functions directly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Protocol, TypeVar

__all__ = ["Mark", "mark", "marked_in", "marks_of"]

F = TypeVar("F", bound=Callable[..., Any])

_ATTRIBUTE = "__sanic_ms_marks__"


class Mark(Protocol):
    """One kind of mark, with the options of one decorator call.

    The mark knows how it is registered, so a package adds a kind without a change of the service.
    """

    def register(self, service: Any, function: Callable[..., Any]) -> None:
        """Register the marked function with a service; called once for each service.

        Args:
            service: The service that includes the module.
            function: What the module holds: the function with all its decorators.
        """


def mark(function: F, mark: Mark) -> F:
    """Leave a mark on a function or class, beside those that it has.

    Returns:
        The function itself.

    Raises:
        TypeError: it is neither a function nor a class.
    """
    marks = (*marks_of(function), mark)
    try:
        setattr(function, _ATTRIBUTE, marks)
    except (AttributeError, TypeError):
        raise TypeError(f"{function!r} cannot be marked: give a function or a class") from None
    return function


def marks_of(value: object) -> tuple[Mark, ...]:
    """The marks of a function or class, in the order of their decorators; not those of a base
    class. Of any other object there are none."""
    try:
        # Not getattr: a module may hold proxies and mocks, which have every attribute.
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return ()
    marks: tuple[Mark, ...] = attributes.get(_ATTRIBUTE, ())
    return marks


def marked_in(module: ModuleType) -> Iterator[tuple[Callable[..., Any], Mark]]:
    """What a module defines and has marked, in the order of the source.

    Marked functions that the module imports from another one belong to that one.
    """
    for value in list(vars(module).values()):
        for entry in marks_of(value):
            if value.__module__ == module.__name__:
                yield value, entry
