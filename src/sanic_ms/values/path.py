"""The parameters in the path of a route: their names, their shapes, and how they stand in it.

Sanic's router is not imported here: a route is read by the attributes that it has.
"""

from __future__ import annotations

import re
import typing
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import quote
from uuid import UUID

import msgspec

__all__ = ["PathParameter", "path_parameters", "segment_of"]

EXTENSION = "ext"
"""The name under which the router passes the extension of ``<name:ext>``."""

_ROUTER = "sanic_routing.patterns"  # the module of the router's own casts
_TEXTS = {"alpha": r"^[A-Za-z]+$", "slug": r"^[a-z0-9]+(?:-[a-z0-9]+)*$", "nonemptystr": ""}
_EXTENSION = r"^[a-z0-9](?:[a-z0-9.]*[a-z0-9])?$"

# Classes whose values are written in a path as JSON Schema describes them.
_WRITTEN = (int, float, Decimal, UUID, datetime, date, time)

_LITERAL = re.compile(r"(?:[\w~,;=@%!'-]|\\[^\w])*", re.ASCII)
_GROUP = re.compile(r"\(\?P<\w+>|(?<!\\)\((?!\?)")
_PYTHON_ONLY = re.compile(r"\(\?P=|\(\?\(|\(\?[aiLmsux-]+[:)]|\\[AZ]")


class PathParameter(NamedTuple):
    """One parameter of a path.

    Attributes:
        name: The name under which the router passes it.
        shape: The shape of its text in the path.
        gives: The class of the value that the router passes; None where that is not known.
    """

    name: str
    shape: Any
    gives: type | None


def path_parameters(route: Any) -> dict[str, PathParameter]:
    """The parameters that the router passes to the handler of a route, by their names."""
    params = list(route.defined_params.values())
    # A path with a part that may hold slashes is matched as a whole, and nothing is cast.
    is_text = any(param.label == "path" or "/" in param.label for param in params)
    found = [entry for param in params for entry in _parameters(param)]
    return {entry.name: entry._replace(gives=str) if is_text else entry for entry in found}


def segment_of(param: Any) -> str:
    """The part of a path that a parameter stands for, with braces: ``{name}``, ``{name}.{ext}``."""
    if _is_file_name(param):
        return f"{{{param.name}}}.{{{EXTENSION}}}"
    if param.regex:
        before, _, after = _split(param.label)
        if all(map(_LITERAL.fullmatch, (before, after))):
            return f"{_literal(before)}{{{param.name}}}{_literal(after)}"
    return f"{{{param.name}}}"


def _parameters(param: Any) -> list[PathParameter]:
    if _is_file_name(param):
        allowed = param.ctx.allowed
        extension = Literal[tuple(allowed)] if allowed else _text(_EXTENSION)
        cast = param.ctx.cast or str
        return [
            PathParameter(param.name, _shape(cast, ""), _gives(cast)),
            PathParameter(EXTENSION, extension, str),
        ]
    if param.regex:
        return [PathParameter(param.name, _text(f"^(?:{_split(param.label)[1]})$"), str)]
    pattern = getattr(param.pattern, "pattern", param.pattern) or ""
    return [PathParameter(param.name, _shape(param.cast, pattern), _gives(param.cast))]


def _is_file_name(param: Any) -> bool:
    return hasattr(param.ctx, "allowed")


def _shape(cast: Any, pattern: str) -> Any:
    """The shape of the text that a cast takes.

    A function or a class of the application's own may read any text: its pattern says which.
    """
    if cast is str:
        return str
    if getattr(cast, "__module__", None) == _ROUTER:
        return date if cast.__name__ == "parse_date" else _text(_TEXTS.get(cast.__name__, ""))
    if isinstance(cast, type) and issubclass(cast, Enum):
        if all(isinstance(member.value, str) for member in cast):
            return cast
    elif isinstance(cast, type) and issubclass(cast, _WRITTEN):
        return cast
    return _text(pattern)


def _gives(cast: Any) -> type | None:
    """The class of what a cast returns."""
    if isinstance(cast, type):
        return cast
    if getattr(cast, "__module__", None) == _ROUTER and cast.__name__ in _TEXTS:
        return str
    try:
        returns = typing.get_type_hints(cast).get("return")
    except Exception:  # a name that only type checkers see, or no function
        return None
    returns = typing.get_origin(returns) or returns
    return returns if isinstance(returns, type) else None


def _split(pattern: str) -> tuple[str, str, str]:
    """A regular expression of the router's as the text before its group, the group, and the text
    after it; without a group all is the group."""
    pattern = pattern.removeprefix("^").removesuffix("$")
    group = _GROUP.search(pattern)
    end = pattern.rfind(")")
    if group is None or end < group.end():
        return "", pattern, ""
    return pattern[: group.start()], pattern[group.end() : end], pattern[end + 1 :]


def _literal(pattern: str) -> str:
    return quote(re.sub(r"\\(.)", r"\1", pattern))


def _text(pattern: str) -> Any:
    """Text that matches a pattern, where JSON Schema can say it."""
    if not pattern or _PYTHON_ONLY.search(pattern):
        return str
    pattern = re.sub(r"\(\?P<\w+>", "(", pattern)
    try:
        re.compile(pattern)
    except re.error:
        return str
    return Annotated[str, msgspec.Meta(pattern=pattern)]
