"""The first arguments of a handler, which are passed by their position: the request."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence, Set
from types import FunctionType
from typing import Any

from sanic_ms.shapes.annotations import resolve, where
from sanic_ms.shapes.classes import has_fields
from sanic_ms.shapes.markers import split_marker
from sanic_ms.shapes.scalars import is_scalar, type_of_default
from sanic_ms.values.page import is_page

__all__ = ["check_leading"]

_NAMES = ("", "request", "req")


def check_leading(
    function: Callable[..., Any],
    names: Sequence[str],
    first: int,
    path_names: Set[str],
    *,
    is_service: Callable[[Any], bool],
    scope: Mapping[str, Any],
) -> None:
    """Reject a handler that does not take the request first.

    It lacks the argument, or another one stands in its place: one of the path, or one whose
    annotation or default says that it is something else.

    Args:
        function: The innermost function.
        names: The arguments by position, as one writes them: ``self``, ``request``.
        first: How many are passed by position, with those of partials.
        path_names: The names of the path's parameters.
        is_service: Whether the container gives values of a type.
        scope: Further names that annotations may use.

    Raises:
        TypeError: it does not. The text has the right spelling.
    """
    if not isinstance(function, FunctionType):
        return
    parameters = list(inspect.signature(function).parameters.values())
    positional = [e for e in parameters if e.kind in (e.POSITIONAL_ONLY, e.POSITIONAL_OR_KEYWORD)]
    if len(positional) >= first:
        last = positional[first - 1]
        if not _is_another(function, last, path_names, is_service, scope):
            return
    elif any(entry.kind is entry.VAR_POSITIONAL for entry in parameters):
        return
    own = [entry.name for entry in parameters if entry.name not in names]
    spelling = ", ".join([*names, *own])
    raise TypeError(
        f"{where(function)}: a handler takes {' and '.join(names)} first, in this place: write "
        f"def {function.__name__}({spelling})"
    )


def _is_another(
    function: Callable[..., Any],
    parameter: inspect.Parameter,
    path_names: Set[str],
    is_service: Callable[[Any], bool],
    scope: Mapping[str, Any],
) -> bool:
    name = parameter.name
    if name in path_names:
        return True
    if name.strip("_") in _NAMES:
        return False
    if type_of_default(parameter.default) is not None:
        return True
    skip = frozenset(inspect.signature(function).parameters) - {name} | {"return"}
    try:
        hints, _ = resolve(function, skip, scope)
    except TypeError:  # nothing is read of it besides
        return False
    if name not in hints:
        return False
    annotation, marker = split_marker(hints[name])
    return (
        marker is not None
        or is_page(annotation)
        or is_scalar(annotation)
        or is_service(annotation)
        or has_fields(typing.get_origin(annotation) or annotation)
    )
