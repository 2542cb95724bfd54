"""Markers in annotations: ``Annotated[int, Query("min-age")]`` says where a value comes from."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Union

from sanic_ms.shapes.selection import select
from sanic_ms.values.depends import Depends

__all__ = [
    "SOURCES",
    "Body",
    "Cookie",
    "File",
    "Form",
    "Header",
    "Marker",
    "Path",
    "Query",
    "Source",
    "is_upload",
    "split_marker",
]

Source = Literal["path", "query", "header", "cookie", "form", "file", "body", "service", "page"]

_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/(?:[a-z0-9!#$&^_.+-]+|\*)")


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


class Cookie(Marker):
    """The parameter comes from a cookie."""

    __slots__ = ()


class Form(Marker):
    """The parameter is a field of the form that is the body, or an object of all its fields."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class File(Marker):
    """``Annotated[UploadFile, File(max_size=5_000_000)]``: the rules of a file of the form.

    Args:
        max_size: The most bytes of the file; None (default): what ``REQUEST_MAX_SIZE`` leaves to
            it. The body of a route may be larger than that by the sum of these.
        content_types: The media types to take, as ``image/png`` or ``image/*``; none (default):
            any. It is the client's word for the content, and no proof of it.
        max_count: The most files of a list; default 10.

    Raises:
        TypeError: one of them has another type.
        ValueError: a size or a count is less than one, or a media type is none.
    """

    max_size: int | None = field(default=None, kw_only=True)
    content_types: Sequence[str] = field(default=(), kw_only=True)
    max_count: int = field(default=10, kw_only=True)

    def __post_init__(self) -> None:
        Marker.__post_init__(self)
        for name, value in (("max_size", self.max_size), ("max_count", self.max_count)):
            if value is None and name == "max_size":
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"File({name}={value!r}): give a whole number")
            if value < 1:
                raise ValueError(f"File({name}={value}): give a number of at least 1")
        if isinstance(self.content_types, str):
            raise TypeError(f"File(content_types={self.content_types!r}): give a list of them")
        for entry in self.content_types:
            if not isinstance(entry, str) or not _MEDIA_TYPE.fullmatch(entry):
                raise ValueError(
                    f"File(content_types=…): {entry!r} is not written as image/png or image/*"
                )


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
    Cookie: "cookie",
    Form: "form",
    File: "file",
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


def is_upload(annotation: Any) -> bool:
    """Whether a type is a file of a form, or mentions one (``list[UploadFile]``).

    The class itself says so: it belongs to a package above this one.
    """
    if hasattr(annotation, "is_file_of_form"):
        return True
    return any(map(is_upload, typing.get_args(annotation)))


def _is_marker_class(entry: Any) -> bool:
    return isinstance(entry, type) and (entry in SOURCES or entry is Depends)
