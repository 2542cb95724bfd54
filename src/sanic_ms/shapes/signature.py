"""Reading a handler's signature: where each of its parameters comes from.

Done once for each route when the service starts. What cannot be filled is an error then, with the
handler's name and line, and never a surprise at a request.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Union
from uuid import UUID

from sanic_ms.shapes.selection import select
from sanic_ms.values.page import Page, Pagination

__all__ = [
    "REQUIRED",
    "Body",
    "Header",
    "Parameter",
    "Path",
    "Query",
    "Signature",
    "Source",
    "read_signature",
    "where",
]

Source = Literal["path", "query", "header", "body", "service", "page"]

REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class _Marker:
    """``Annotated[int, Query("min-age")]``: says where a parameter comes from, and its name there.

    Args:
        name: The name on the wire; default the parameter's own (for headers with ``-`` for ``_``).
    """

    name: str | None = None


class Query(_Marker):
    """The parameter comes from the query string."""

    __slots__ = ()


class Header(_Marker):
    """The parameter comes from a header."""

    __slots__ = ()


class Path(_Marker):
    """The parameter comes from the path."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Body(_Marker):
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


_SOURCES: dict[type[_Marker], Source] = {
    Query: "query",
    Header: "header",
    Path: "path",
    Body: "body",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a handler.

    Attributes:
        name: Its name in Python.
        source: The part of the request, or ``"service"`` for one that the container gives.
        annotation: The type as the user wrote it, without the marker.
        wire_name: Its name in that part.
        default: Its default, `REQUIRED` for none.
        is_encoded: It comes percent-encoded, as Sanic leaves parts of the path.
        is_cast: It comes as what the handler asks for, and needs no reading: a part of the path.
        gives: The class of what the router passes for a part of the path; None where that is not
            known.
    """

    name: str
    source: Source
    annotation: Any
    wire_name: str
    default: Any = REQUIRED
    is_encoded: bool = False
    is_cast: bool = False
    gives: type | None = None

    @property
    def required(self) -> bool:
        """Whether a request without it is refused."""
        return self.default is REQUIRED


@dataclass(frozen=True, slots=True)
class Signature:
    """What a handler takes and gives.

    Attributes:
        parameters: Those that the framework fills, in order; a path parameter that the handler
            takes with no annotation is not among them, Sanic passes it.
        returns: The annotation of the data that it returns, None where there is none.
        paginated: It returns ``(rows, pagination)``.
        path_names: The names of the path's parameters.
        path_is_encoded: They come percent-encoded, as Sanic leaves parts of the path.
    """

    parameters: tuple[Parameter, ...] = ()
    returns: Any = None
    paginated: bool = False
    path_names: frozenset[str] = field(default_factory=frozenset)
    path_is_encoded: bool = False


def read_signature(
    handler: Callable[..., Any],
    path_names: frozenset[str] | set[str],
    *,
    is_service: Callable[[Any], bool] = lambda annotation: False,
    is_method: bool = False,
) -> Signature:
    """Read a handler's signature.

    A parameter named in the path comes from the path; one whose type the container knows is a
    service; `Page` is the page; a number, text, date, enum or a list of those is a query
    parameter; an object is the body. `Query`, `Header`, `Path` and `Body` in an ``Annotated`` say
    otherwise.

    Args:
        handler: The function as the user wrote it; decorators that keep ``__wrapped__`` are seen
            through.
        path_names: The names of the path's parameters.
        is_service: Whether the container gives values of a type.
        is_method: The first argument is ``self``.

    Raises:
        TypeError: a parameter has no annotation and nothing gives it, two are bodies, or an
            annotation cannot be resolved. The text names the handler and where it stands.
    """
    function = inspect.unwrap(handler)
    parameters = list(inspect.signature(function).parameters.values())
    # `self` of a class view, then the request: both are passed by position.
    first = 2 if is_method else 1
    taken = parameters[first:]
    hints = _hints(function, frozenset(entry.name for entry in parameters[:first]))
    decorated = hasattr(handler, "__wrapped__")
    found = []
    for parameter in taken:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        name = parameter.name
        annotation = hints.get(name, REQUIRED)
        if annotation is REQUIRED:
            if name in path_names or parameter.default is not REQUIRED or decorated:
                continue
            raise TypeError(
                f"{where(function)}: nothing gives the parameter {name!r}: it is not in the path "
                "and has no annotation that says where it comes from"
            )
        found.append(_classify(parameter, annotation, path_names, is_service, function))
    _check_path(function, parameters, path_names, found, decorated=decorated)
    bodies = [entry.name for entry in found if entry.source == "body"]
    if len(bodies) > 1:
        raise TypeError(
            f"{where(function)}: a request has one body, and {' and '.join(bodies)} are both "
            "bodies (provide() the type if it is a service, or mark one with Query())"
        )
    returns, paginated = _read_returns(hints.get("return"))
    return Signature(tuple(found), returns, paginated, frozenset(path_names))


def _annotated(function: Callable[..., Any]) -> Callable[..., Any]:
    """What carries the annotations: behind a partial its function, of an object its call."""
    while isinstance(function, functools.partial):
        function = function.func
    if not isinstance(function, type) and not hasattr(function, "__code__"):
        function = getattr(function, "__func__", None) or type(function).__call__
    return function


def _check_path(
    function: Callable[..., Any],
    parameters: list[inspect.Parameter],
    path_names: frozenset[str] | set[str],
    found: list[Parameter],
    *,
    decorated: bool,
) -> None:
    """Each parameter of the path is passed by its name, so the handler must take it."""
    if decorated or any(entry.kind is entry.VAR_KEYWORD for entry in parameters):
        return
    taken = {entry.name for entry in parameters if entry.kind is not entry.POSITIONAL_ONLY}
    renamed = {entry.wire_name for entry in found if entry.name in taken and entry.source == "path"}
    missing = path_names - (taken | renamed)
    if missing:
        names = " and ".join(map(repr, sorted(missing)))
        raise TypeError(f"{where(function)}: the path has {names}, which the handler does not take")


def where(function: Callable[..., Any]) -> str:
    """``name (file.py:12)``: how messages point at a handler."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    name = getattr(function, "__qualname__", repr(function))
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"


def _hints(function: Callable[..., Any], skip: frozenset[str]) -> dict[str, Any]:
    """The annotations as objects. Those of ``skip`` are left alone: a request may well be annotated
    with a name that only type checkers see."""
    names = dict(getattr(function, "__globals__", {}))
    closure = getattr(function, "__closure__", None) or ()
    code = getattr(function, "__code__", None)
    for name, cell in zip(code.co_freevars if code else (), closure, strict=True):
        with contextlib.suppress(ValueError):  # a cell that is still empty
            names[name] = cell.cell_contents
    hints = {}
    for name, annotation in inspect.get_annotations(_annotated(function)).items():
        if name in skip:
            continue
        if isinstance(annotation, str):
            try:
                annotation = eval(annotation, names)
            except Exception as exc:
                raise TypeError(
                    f"{where(function)}: the annotation {annotation!r} of {name!r} cannot be "
                    f"resolved: {exc}"
                ) from exc
        hints[name] = annotation
    return hints


def _classify(
    parameter: inspect.Parameter,
    annotation: Any,
    path_names: frozenset[str] | set[str],
    is_service: Callable[[Any], bool],
    function: Callable[..., Any],
) -> Parameter:
    name, default = parameter.name, parameter.default
    annotation, marker = _split_marker(annotation)
    if marker is not None:
        source = _SOURCES[type(marker)]
        wire_name = marker.name or (name.replace("_", "-") if source == "header" else name)
        if source == "path" and wire_name not in path_names:
            raise TypeError(f"{where(function)}: the path has no parameter {wire_name!r}")
        if isinstance(marker, Body):
            try:
                annotation = marker.chosen(annotation)
            except TypeError as exc:
                raise TypeError(f"{where(function)}: the body {name!r}: {exc}") from None
        return Parameter(name, source, annotation, wire_name, default)
    if name in path_names:
        return Parameter(name, "path", annotation, name, default)
    if annotation is Page:
        return Parameter(name, "page", annotation, name, default)
    if is_service(annotation):
        return Parameter(name, "service", annotation, name, default)
    if _is_scalar(annotation):
        return Parameter(name, "query", annotation, name, default)
    return Parameter(name, "body", annotation, name, default)


def _split_marker(annotation: Any) -> tuple[Any, _Marker | None]:
    if typing.get_origin(annotation) in (Union, types.UnionType):
        # `Optional[Annotated[str, Header()]]`: the marker counts for the whole.
        members = [_split_marker(entry) for entry in typing.get_args(annotation)]
        marker = next((entry for _, entry in members if entry is not None), None)
        if marker is None:
            return annotation, None
        return Union[tuple(base for base, _ in members)], marker  # noqa: UP007
    if typing.get_origin(annotation) is not Annotated:
        return annotation, None
    base, *metadata = typing.get_args(annotation)
    markers = [entry for entry in metadata if isinstance(entry, _Marker)]
    # `Annotated[int, Query]` is what one writes first.
    markers += [entry() for entry in metadata if isinstance(entry, type) and entry in _SOURCES]
    rest = [
        entry
        for entry in metadata
        if not isinstance(entry, _Marker) and not (isinstance(entry, type) and entry in _SOURCES)
    ]
    if rest:
        base = Annotated[(base, *rest)]
    return base, markers[0] if markers else None


_SCALARS = (str, int, float, bool, bytes, Decimal, UUID, datetime, date, time, timedelta)
_LISTS = (list, set, frozenset, tuple)


def _is_scalar(annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is Annotated:
        return _is_scalar(arguments[0])
    if hasattr(annotation, "__supertype__"):  # a NewType
        return _is_scalar(annotation.__supertype__)
    if origin is Literal:
        return True
    if origin in (Union, types.UnionType):
        return all(entry is type(None) or _is_scalar(entry) for entry in arguments)
    if origin in _LISTS:
        return all(entry is Ellipsis or _is_scalar(entry) for entry in arguments)
    if annotation in _LISTS:
        return True  # without a word about its items, which are text then
    return isinstance(annotation, type) and issubclass(annotation, (*_SCALARS, Enum))


def _read_returns(annotation: Any) -> tuple[Any, bool]:
    if typing.get_origin(annotation) in (Union, types.UnionType):
        # `City | HTTPResponse`: what is no response still has its shape.
        kept = [entry for entry in typing.get_args(annotation) if not _is_response(entry)]
        annotation = Union[tuple(kept)] if kept else None  # noqa: UP007
    if annotation in (None, type(None), Any) or _is_response(annotation):
        return None, False
    arguments = typing.get_args(annotation)
    if (
        typing.get_origin(annotation) is tuple
        and len(arguments) == 2
        and arguments[1] is Pagination
    ):
        return arguments[0], True
    return annotation, False


def _is_response(annotation: Any) -> bool:
    # Sanic is not imported here: whoever annotates with its classes has.
    sanic_response = sys.modules.get("sanic.response.types")
    if sanic_response is None:
        return False
    responses = (sanic_response.BaseHTTPResponse, sanic_response.ResponseStream)
    return isinstance(annotation, type) and issubclass(annotation, responses)
