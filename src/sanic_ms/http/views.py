"""Class views: the methods that serve the methods of HTTP."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["ViewMethod", "types_in", "view_method"]


class ViewMethod(NamedTuple):
    """A method of a class view, as it is written in the class.

    Attributes:
        function: The function, with its decorators.
        takes_self: It is called with the view first, and not bound to it or to the class.
    """

    function: Callable[..., Any]
    takes_self: bool


def view_method(view: type, method: str) -> ViewMethod | None:
    """The method of a class view for a method of HTTP, None where it has none."""
    name = method.lower()
    if method == "HEAD" and not hasattr(view, name):
        name = "get"
    written = inspect.getattr_static(view, name, None)
    if isinstance(written, staticmethod | classmethod):
        return ViewMethod(getattr(view, name), takes_self=False)
    if isinstance(written, functools.partialmethod):
        bound = functools.partial(written.func, *written.args, **written.keywords)
        return ViewMethod(bound, takes_self=True)
    if not callable(written):
        return None
    return ViewMethod(written, takes_self=hasattr(written, "__get__"))


def types_in(view: type) -> dict[str, Any]:
    """The classes that stand in a class view, for the annotations of its methods."""
    return {name: value for name, value in vars(view).items() if isinstance(value, type)}
