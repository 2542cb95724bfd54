"""Markers in annotations: ``Annotated[int, Query("min-age")]`` says where a value comes from."""

from __future__ import annotations

import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Union

from sanic_ms.shapes.selection import select
from sanic_ms.values.depends import Depends

__all__ = ["SOURCES", "Body", "Header", "Marker", "Path", "Query", "Source", "split_marker"]

Source = Literal["path", "query", "header", "body", "service", "page"]


@dataclass(frozen=True, slots=True)
class Marker:
    """``Annotated[int, Query("min-age")]``: says where a parameter comes from, and its name there.

    Args:
        name: The name on the wire; default the parameter's own (for headers with ``-`` for ``_``).

    Raises:
        TypeError: the name is no text.
    """

    name: str | None = None

    def __post_init__(self) -> None:
        name: object = self.name
        if not isinstance(name, str | None):
            kind = type(self).__name__
            raise TypeError(
                f"{kind}({self.name!r}): the argument is the name on the wire; a default stands "
                f"behind the annotation: Annotated[…, {kind}()] = {self.name!r}"
            )


class Query(Marker):
    """The parameter comes from the query string."""

    __slots__ = ()


class Header(Marker):
    """The parameter comes from a header."""

    __slots__ = ()


class Path(Marker):
    """The parameter comes from the path."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Body(Marker):
    """The parameter is the body.

    Args:
        only, exclude, include, partial: Of a Peewee model, what the body may give; see
            `sanic_ms.doc.consumes`.
    """

    only: Sequence[str] | None = field(default=None, kw_only=True)
    exclude: Sequence[str] = field(default=(), kw_only=True)
    include: Sequence[str] = field(default=(), kw_only=True)
    partial: bool = field(default=False, kw_only=True)

    def chosen(self, shape: Any) -> Any:
        """The shape with what the body may give of it."""
        return select(
            shape,
            only=self.only,
            exclude=self.exclude,
            include=self.include,
            partial=self.partial,
        )


SOURCES: dict[type[Marker], Source] = {
    Query: "query",
    Header: "header",
    Path: "path",
    Body: "body",
}


def split_marker(annotation: Any) -> tuple[Any, Marker | Depends | None]:
    """The annotation without its marker, and the marker; None where there is none."""
    if typing.get_origin(annotation) in (Union, types.UnionType):
        # `Optional[Annotated[str, Header()]]`: the marker counts for the whole.
        members = [split_marker(entry) for entry in typing.get_args(annotation)]
        marker = next((entry for _, entry in members if entry is not None), None)
        if marker is None:
            return annotation, None
        return Union[tuple(base for base, _ in members)], marker  # noqa: UP007
    if typing.get_origin(annotation) is not Annotated:
        return annotation, None
    base, *metadata = typing.get_args(annotation)
    markers = [entry for entry in metadata if isinstance(entry, Marker | Depends)]
    # `Annotated[int, Query]` is what one writes first.
    markers += [entry() for entry in metadata if _is_marker_class(entry)]
    rest = [
        entry
        for entry in metadata
        if not isinstance(entry, Marker | Depends) and not _is_marker_class(entry)
    ]
    if rest:
        base = Annotated[(base, *rest)]
    return base, markers[0] if markers else None


def _is_marker_class(entry: Any) -> bool:
    return isinstance(entry, type) and (entry in SOURCES or entry is Depends)
