"""What stands in the place of a handler looks like it, to libraries that read annotations."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import unquote

__all__ = ["decode_path", "stand_for"]

F = TypeVar("F", bound=Callable[..., Any])


def stand_for(
    endpoint: F, handler: Callable[..., Any], declared: Callable[..., Any] | None = None
) -> F:
    """As `functools.update_wrapper`; and `typing.get_type_hints` gives the handler's annotations,
    also where that is no function: a partial, or an object with ``__call__``.

    Args:
        endpoint: What is called in the place of the handler.
        handler: What it stands for.
        declared: Where the annotations are, if not on that.
    """
    functools.update_wrapper(endpoint, handler)
    function = _function_of(declared or handler)
    if function is not inspect.unwrap(handler):
        # Names in annotations are looked up in the module of a function, and there is none to find.
        endpoint.__annotations__ = _hints_of(function)
    return endpoint


def decode_path(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler of a route that wants the text in its path decoded (``unquote=True``)."""

    def decoded(request: Any, **path: Any) -> Any:
        for name, value in path.items():
            if isinstance(value, str):
                path[name] = unquote(value)
        request._match_info = path.copy()
        return handler(request, **path)

    return stand_for(decoded, handler)


def _function_of(handler: Any) -> Any:
    handler = inspect.unwrap(handler)
    while isinstance(handler, functools.partial):
        handler = inspect.unwrap(handler.func)
    if not hasattr(handler, "__globals__"):
        handler = inspect.unwrap(type(handler).__call__)
    return handler


def _hints_of(function: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:  # names that only type checkers see: nothing can be said of them
        return {}
