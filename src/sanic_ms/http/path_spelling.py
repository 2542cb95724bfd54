"""Parameters of a path that are spelled as other frameworks have them: ``{id}``, ``<int:id>``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

from sanic_ms.shapes.annotations import where
from sanic_ms.shapes.wrappers import peel

__all__ = ["check_path"]

_BRACES = re.compile(r"\{(\w+)(?::(\w+))?\}")
_TYPE_FIRST = re.compile(r"<(string|str|int|float|path|uuid):(\w+)>")
_TYPES = {"string": "str"}


def check_path(route: Any, handlers: list[Callable[..., Any]]) -> Iterator[str]:
    """Look at the path of a route for parameters that are none.

    Args:
        route: The router's.
        handlers: The handlers of it, as the application wrote them.

    Yields:
        A line for each text in braces that no handler takes: it may be meant as it stands.

    Raises:
        TypeError: a handler takes what stands in braces, or behind its type. The text has the
            right spelling.
    """
    names = {name: handler for handler in handlers for name in _names(handler)}
    for part in route.parts:
        if (swapped := _TYPE_FIRST.fullmatch(part)) is not None:
            kind, name = swapped.groups()
            if name in names and kind not in names:
                raise TypeError(_line(route, names[name], part, _spelling(name, kind)))
            continue
        if part.startswith("<"):
            continue
        for match in _BRACES.finditer(unquote(part)):
            name, kind = match.groups()
            spelling = _spelling(name, kind)
            if name in names:
                raise TypeError(_line(route, names[name], match[0], spelling))
            if handlers:
                yield (
                    f"{where(handlers[0])}: {match[0]} in /{unquote(route.path)} is text as it "
                    f"stands; a parameter is written {spelling}"
                )


def _line(route: Any, handler: Callable[..., Any], written: str, spelling: str) -> str:
    return (
        f"{where(handler)}: {written} in /{unquote(route.path)} is no parameter of the path: "
        f"write {spelling}"
    )


def _spelling(name: str, kind: str | None) -> str:
    return f"<{name}:{_TYPES.get(kind, kind)}>" if kind else f"<{name}>"


def _names(handler: Callable[..., Any]) -> list[str]:
    try:
        return list(inspect.signature(peel(handler).function).parameters)
    except ValueError:  # it is written in C, and does not say
        return []
