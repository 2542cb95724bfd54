"""Routes with parameters, found without Sanic's router where that can be proved to agree.

Sanic's router remembers 1,024 paths. An application with a million items asks for a million, and
each then costs as much as the rest of the request. Here a path is taken apart once and looked up by
its method, length and first part. That is done only for a route whose paths no other route could
take; everything else is left to the router.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from sanic_routing.route import Route

__all__ = ["LONGEST", "Match", "Pattern", "Patterns"]

_LABELS = frozenset(("str", "int", "float", "slug", "alpha", "uuid", "ymd"))
_TARGET = re.compile(rb"[A-Z]+ /[!-\"$-~]*")  # printable, no fragment: all that llhttp takes there
_PART = re.compile(rb"[!-\"$-.0->@-~]+")  # the same without a slash and without a query

LONGEST = 8192

Match = tuple["Pattern", dict[str, Any]]


class Pattern:
    """One method of one route with parameters.

    Attributes:
        method, route: Whose it is.
        name, cast: Of its last parameter.
        plan: What the server has made of it; None: nothing yet.
    """

    __slots__ = ("_params", "_texts", "cast", "method", "name", "plan", "route")

    def __init__(self, method: str, route: Route) -> None:
        self.method = method
        self.route = route
        self.plan: Any = None
        # Positions are those in a path split at its slashes, where 0 is what precedes the first.
        self._params = [
            (index + 1, param.name, param.cast) for index, param in sorted(route.params.items())
        ]
        _, self.name, self.cast = self._params[-1]
        self._texts = [
            (index + 1, part)
            for index, part in enumerate(route.parts)
            if index and index not in route.params
        ]

    @property
    def front(self) -> bytes | None:
        """All of a request line before the one part that is a parameter, where that is the last
        part; None where it is not so simple."""
        *texts, _ = self.route.parts
        if list(self.route.params) != [len(texts)]:
            return None
        return "/".join((f"{self.method} ", *texts)).encode()

    def values(self, parts: list[str]) -> dict[str, Any] | None:
        """The parameters of a path of the right length and first part; None: it is another's."""
        for index, text in self._texts:
            if parts[index] != text:
                return None
        try:
            return {name: cast(parts[index]) for index, name, cast in self._params}
        except ValueError:
            return None


class Patterns:
    """The patterns of an application.

    Args:
        routes: All of its routes.
    """

    __slots__ = ("_by_front", "_known")

    def __init__(self, routes: Iterable[Route]) -> None:
        shapes = [_PatternShape.of(route) for route in routes]
        if any(shape.route.unquote for shape in shapes):
            shapes = []  # Sanic then decodes the paths of others too, by an order of its own
        self._known: dict[tuple[str, str, int], list[Pattern]] = {}
        for shape in shapes:
            if shape.is_simple and not any(shape.meets(other) for other in shapes):
                for method in shape.route.methods:
                    key = (f"{method} ", shape.parts[0], len(shape.parts) + 1)
                    self._known.setdefault(key, []).append(Pattern(method, shape.route))
        every = [pattern for patterns in self._known.values() for pattern in patterns]
        # Most routes with a parameter end in it, and have no other.
        self._by_front = {pattern.front: pattern for pattern in every if pattern.front}

    def match(self, line: bytes) -> Match | None:
        """The pattern and the parameters of a request.

        Args:
            line: Method and target; it need not have been checked.

        Returns:
            None where it is for the router to say.
        """
        if len(line) > LONGEST:
            return None
        front, _, last = line.rpartition(b"/")
        usual = self._by_front.get(front)
        if usual is not None and (last.isalnum() or _PART.fullmatch(last)):
            try:
                return usual, {usual.name: usual.cast(last.decode("ascii"))}
            except ValueError:
                return None
        if not _TARGET.fullmatch(line):
            return None
        parts = line.decode("ascii").partition("?")[0].split("/")
        found = self._known.get((parts[0], parts[1], len(parts)))
        if found is None:
            return None
        for pattern in found:
            values = pattern.values(parts)
            if values is not None:
                return pattern, values
        return None


class _PatternShape(NamedTuple):
    """What paths a route may take, part by part: a text, or a function that refuses others with
    `ValueError`."""

    route: Route
    parts: tuple[Any, ...]
    is_simple: bool

    @classmethod
    def of(cls, route: Route) -> _PatternShape:
        params = route.params
        parts = tuple(
            params[index].cast if index in params else part
            for index, part in enumerate(route.parts)
        )
        is_simple = (
            bool(params)
            and not (route.regex or route.strict or route.requirements)
            and isinstance(parts[0], str)
            and all(param.label in _LABELS for param in params.values())
        )
        return cls(route, parts, is_simple)

    def meets(self, other: _PatternShape) -> bool:
        """Whether some path might be taken by both."""
        if self.route.segments == other.route.segments:  # then their methods differ
            return False
        if len(self.parts) != len(other.parts) and not other.route.regex:
            return False
        # A regular expression may take more parts than it shows.
        return all(map(_meet, self.parts, other.parts))


def _meet(one: str | Callable[[str], Any], other: str | Callable[[str], Any]) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one == other
    if isinstance(one, str):
        one, other = other, one
    if isinstance(other, str):
        try:
            one(other)  # type: ignore[operator]
        except ValueError:
            return False
    return True
