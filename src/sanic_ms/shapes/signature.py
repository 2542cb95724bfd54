"""Reading a handler's signature: where each of its parameters comes from.

Done once for each route when the service starts. What cannot be filled is an error then, with the
handler's name and line, and never a surprise at a request. Parameters that a decorator hands in
(`sanic_ms.shapes.wrappers`) are left to it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from sanic_ms.shapes.annotations import (
    is_no_type,
    names_response,
    read_returns,
    resolve,
    where,
)
from sanic_ms.shapes.leading import check_leading
from sanic_ms.shapes.markers import (
    SOURCES,
    Body,
    Cookie,
    File,
    Form,
    Header,
    Marker,
    Path,
    Query,
    Source,
    is_upload,
    split_marker,
)
from sanic_ms.shapes.scalars import is_scalar, type_of_default
from sanic_ms.shapes.wrappers import HandedIn, Layers, handed_in, peel
from sanic_ms.values.depends import Depends
from sanic_ms.values.page import is_page

__all__ = [
    "REQUIRED",
    "Body",
    "Cookie",
    "File",
    "Form",
    "Header",
    "Parameter",
    "Path",
    "Query",
    "Signature",
    "Source",
    "UnfilledParameter",
    "classify",
    "read_signature",
    "reject_marker",
    "where",
]

REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a handler.

    Attributes:
        name: Its name in Python.
        source: The part of the request, or ``"service"`` for one that the container gives.
        annotation: The type as the user wrote it, without the marker; the `Depends` of a function.
        wire_name: Its name in that part.
        default: Its default, `REQUIRED` for none.
        is_encoded: It comes percent-encoded, as Sanic leaves parts of the path.
        is_cast: It comes as what the handler asks for, and needs no reading: a part of the path.
        gives: The class of what the router passes for a part of the path; None where that is not
            known.
        is_marked: A marker says where it comes from.
        rules: Of a file: what is taken.
    """

    name: str
    source: Source
    annotation: Any
    wire_name: str
    default: Any = REQUIRED
    is_encoded: bool = False
    is_cast: bool = False
    gives: type | None = None
    is_marked: bool = False
    rules: File = field(default_factory=File)

    @property
    def required(self) -> bool:
        """Whether a request without it is refused."""
        return self.default is REQUIRED


class UnfilledParameter(TypeError):
    """The path and the handler do not fit: calling it on this route would fail."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a handler takes and gives.

    Attributes:
        parameters: Those that the framework fills, in order; a path parameter that the handler
            takes with no annotation is not among them, Sanic passes it.
        returns: The annotation of the data that it returns, None where there is none.
        pagination: The class of the pagination in ``(rows, pagination)``, where it returns that.
        path_names: The names of the path's parameters.
        path_is_encoded: They come percent-encoded, as Sanic leaves parts of the path.
        left_out: Names of the path that are not passed: a dependency reads them.
        warnings: What a developer should know of the handler, a line each.
        notes: The same of what is right most of the time.
        shared: Says which parameters are left to the decorators around the handler and which are
            not, for the error of a call that fails; empty where that cannot be in doubt.
    """

    parameters: tuple[Parameter, ...] = ()
    returns: Any = None
    pagination: type | None = None
    path_names: frozenset[str] = field(default_factory=frozenset)
    path_is_encoded: bool = False
    left_out: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    shared: str = ""

    @property
    def paginated(self) -> bool:
        """Whether it returns ``(rows, pagination)``."""
        return self.pagination is not None

    @property
    def takes_files(self) -> bool:
        """Whether it takes a file of a form, so that the form is read while it comes."""
        return any(entry.source == "file" for entry in self.parameters)


def read_signature(
    handler: Callable[..., Any],
    path_names: frozenset[str] | set[str],
    *,
    is_service: Callable[[Any], bool] = lambda annotation: False,
    is_method: bool = False,
    is_websocket: bool = False,
    around: Callable[..., Any] | None = None,
    scope: Mapping[str, Any] | None = None,
    reads_path: Callable[[Any], Set[str]] = lambda key: frozenset(),
) -> Signature:
    """Read a handler's signature.

    A parameter named in the path comes from the path; one whose type the container knows is a
    service; `Page`, `Offset` and `Cursor` are the page; a number, text, date, enum or a list of
    those is a query parameter; an object is the body. `Query`, `Header`, `Path` and `Body` in an
    ``Annotated`` say otherwise. Without an annotation the default says the type: ``limit=10`` is an
    integer of the query. A parameter that a decorator hands in is left to it, unless it has such a
    marker.

    Args:
        handler: The function as the user wrote it, with its decorators.
        path_names: The names of the path's parameters.
        is_service: Whether the container gives values of a type.
        is_method: The first argument is ``self``.
        is_websocket: The second argument is the web socket.
        around: Of a class view: what the router calls, with the decorators of the whole view.
        scope: Names that annotations may use beside those that the function sees: those of the
            class that it stands in.
        reads_path: The names of the path that a type or `Depends` of a parameter reads: the handler
            need not take them.

    Raises:
        UnfilledParameter: nothing gives a parameter, or the path has one that is not taken.
        TypeError: the request is not its first parameter, two parameters are bodies, an annotation
            is wrong, or a marker is a default. The text names the handler and where it stands.
    """
    leading = ["self"] * is_method + ["request"] + ["ws"] * is_websocket
    layers = peel(handler, len(leading))
    outer = () if around is None else peel(around).around
    names = frozenset(path_names)
    reader = _SignatureReader(layers, outer, names, is_service, scope or {}, reads_path)
    if not reader.is_decorated:  # else the decorator may well call it without
        check_leading(
            layers.function,
            leading,
            layers.first,
            names,
            is_service=is_service,
            scope=scope or {},
        )
    return reader.read()


class _SignatureReader:
    """Reads one signature; see `read_signature`."""

    def __init__(
        self,
        layers: Layers,
        outer: Sequence[Any],
        path_names: frozenset[str],
        is_service: Callable[[Any], bool],
        scope: Mapping[str, Any],
        reads_path: Callable[[Any], Set[str]],
    ) -> None:
        self._function = layers.function
        self._reads_path = reads_path
        self._path_names = path_names
        self._is_service = is_service
        self._decorators = (*outer, *layers.around)
        # A partial says all that it hands in.
        self.is_decorated = any(
            not isinstance(entry.call, functools.partial) for entry in self._decorators
        )
        parameters = _parameters(self._function)
        before, self._taken = parameters[: layers.first], parameters[layers.first :]
        hints, self._unresolved = resolve(
            self._function, frozenset(entry.name for entry in before), scope
        )
        self._hints = {name: hint for name, hint in hints.items() if not is_no_type(hint)}
        self._warnings: list[str] = []
        self._left: list[str] = []  # to decorators
        self._filled: list[str] = []  # as no decorator is known to hand them in

    def read(self) -> Signature:
        found = [
            entry
            for parameter in self._taken
            if (entry := self._read_parameter(parameter)) is not None
        ]
        left_out = self._check_path(found)
        bodies = [entry.name for entry in found if entry.source == "body"]
        forms = [entry.name for entry in found if entry.source in ("form", "file")]
        if bodies and forms:
            raise TypeError(
                f"{where(self._function)}: a request has one body: {' and '.join(forms)} "
                f"{'is' if len(forms) == 1 else 'are'} of a form, and {bodies[0]} is read as JSON "
                "(mark it with Form() to take its fields from the form)"
            )
        if len(bodies) > 1:
            raise TypeError(
                f"{where(self._function)}: a request has one body, and {' and '.join(bodies)} are "
                "both bodies (provide() the type if it is a service, mark one with Query(), or "
                f"say {_SAY_SO} if a decorator hands one in)"
            )
        returns, pagination = read_returns(self._hints.get("return"))
        self._warn_of_returns()
        return Signature(
            tuple(found),
            returns,
            pagination,
            self._path_names,
            left_out=left_out,
            warnings=tuple(self._warnings),
            notes=tuple(self._notes()),
            shared=self._shared(found),
        )

    def _read_parameter(self, parameter: inspect.Parameter) -> Parameter | None:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            return None
        name = parameter.name
        annotation = self._hints.get(name, REQUIRED)
        entry = None
        if isinstance(parameter.default, Marker | Depends):
            reject_marker(self._function, parameter)
        if annotation is REQUIRED:
            annotation = self._of_default(parameter)
        if annotation is not REQUIRED:
            entry = classify(
                parameter, annotation, self._path_names, self._is_service, self._function
            )
        if entry is not None and (entry.source == "path" or split_marker(annotation)[1]):
            return entry
        if name not in self._path_names and self._is_handed_in(name, entry):
            self._left.append(name)
            return None
        if entry is None:
            self._require_filled(parameter)
        elif parameter.kind is parameter.POSITIONAL_ONLY:
            if parameter.default is REQUIRED:
                raise UnfilledParameter(
                    f"{where(self._function)}: the parameter {name!r} is passed by its name, and "
                    "stands before the / of the signature"
                )
            return None
        if entry is not None:
            self._filled.append(name)
        return entry

    def _of_default(self, parameter: inspect.Parameter) -> Any:
        """The annotation that stands in the default, of a parameter that has none and that nothing
        but the request can give."""
        name = parameter.name
        if name in self._path_names or name in self._unresolved:
            return REQUIRED
        if not isinstance(self._function, FunctionType):
            return REQUIRED
        kind = type_of_default(parameter.default)
        if kind is None or (self.is_decorated and not self._handed_in.is_known):
            return REQUIRED
        return kind

    def _is_handed_in(self, name: str, entry: Parameter | None) -> bool:
        said = self._handed_in
        if name in said.names:
            return True
        return said.others and (entry is None or entry.source not in ("service", "page"))

    @functools.cached_property
    def _handed_in(self) -> HandedIn:
        """Read when a parameter needs it: it opens the source of the decorators."""
        return handed_in(self._decorators, self._taken)

    def _require_filled(self, parameter: inspect.Parameter) -> None:
        """Of a parameter without an annotation: the path, its default or a decorator gives it."""
        name = parameter.name
        text = self._unresolved.get(name)
        if name in self._path_names or parameter.default is not REQUIRED or self.is_decorated:
            if text is not None:
                self._warnings.append(
                    f"{where(self._function)}: {text}; it is passed as without an annotation"
                )
            return
        why = "has no annotation that says where it comes from" if text is None else text
        raise UnfilledParameter(
            f"{where(self._function)}: nothing gives the parameter {name!r}: it is not in the path "
            f"and {why}"
        )

    def _notes(self) -> Iterator[str]:
        if self._filled and self.is_decorated and not self._handed_in.is_known:
            yield (
                f"{where(self._function)}: the source of a decorator around it does not show what "
                f"it hands in; {_listed(self._filled)} filled from the request (if a decorator "
                f"hands in something of that, say so with {_SAY_SO})"
            )

    def _warn_of_returns(self) -> None:
        text = self._unresolved.get("return")
        if text is not None and not names_response(self._function):
            self._warnings.append(
                f"{where(self._function)}: {text}; the data that it returns is not cut down to it"
            )

    def _check_path(self, found: list[Parameter]) -> frozenset[str]:
        """Each parameter of the path is passed by its name, so the handler must take it, unless one
        of its dependencies reads it: those are given back."""
        taken = self._taken
        if self.is_decorated or any(entry.kind is entry.VAR_KEYWORD for entry in taken):
            return frozenset()
        names = {entry.name for entry in taken if entry.kind is not entry.POSITIONAL_ONLY}
        renamed = {
            entry.wire_name for entry in found if entry.name in names and entry.source == "path"
        }
        untaken = missing = self._path_names - (names | renamed)
        for entry in found if missing else ():
            if entry.source == "service":
                missing = missing - self._reads_path(entry.annotation)
        if missing:
            shown = " and ".join(map(repr, sorted(missing)))
            raise UnfilledParameter(
                f"{where(self._function)}: the path has {shown}, which the handler does not take"
            )
        return untaken

    def _shared(self, found: list[Parameter]) -> str:
        filled = [entry.name for entry in found if entry.source != "path"]
        if not self.is_decorated or not (filled or self._left):
            return ""
        lines = [f"{where(self._function)} stands below a decorator."]
        if self._left:
            lines.append(f"{_listed(self._left)} left to the decorator.")
        if filled:
            lines.append(f"{_listed(filled)} filled from the request.")
        lines.append(
            "Annotated[…, Query()], Header() or Body() says that a parameter is the request's, "
            f"{_SAY_SO} that none is"
        )
        return " ".join(lines)


_SAY_SO = "@sanic_ms.http.sanic_handler"


def reject_marker(function: Callable[..., Any], parameter: inspect.Parameter) -> None:
    """Reject a parameter whose default is a marker.

    Raises:
        TypeError: always. The text has the right spelling.
    """
    name, kind = parameter.name, type(parameter.default).__name__
    inner = getattr(parameter.default, "name", "") if kind == "Depends" else ""
    raise TypeError(
        f"{where(function)}: {name}={kind}(…) is a default, and the marker stands in the "
        f"annotation: {name}: Annotated[…, {kind}({inner})]"
    )


def _listed(names: list[str]) -> str:
    return f"{' and '.join(map(repr, names))} {'is' if len(names) == 1 else 'are'}"


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except ValueError:  # one that is written in C, and does not say
        return []


def classify(
    parameter: inspect.Parameter,
    annotation: Any,
    path_names: frozenset[str] | set[str],
    is_service: Callable[[Any], bool],
    function: Callable[..., Any],
) -> Parameter:
    """Say where a parameter comes from, by its annotation.

    Args:
        parameter: The parameter.
        annotation: Its annotation, resolved.
        path_names: The names of the path's parameters.
        is_service: Whether the container gives values of a type.
        function: The function that has the parameter, for messages.

    Raises:
        TypeError: a marker does not fit.
    """
    name, default = parameter.name, parameter.default
    annotation, marker = split_marker(annotation)
    if isinstance(marker, Depends):
        try:
            return Parameter(name, "service", marker.of(annotation), name, is_marked=True)
        except TypeError as exc:
            raise TypeError(f"{where(function)}: {name}: {exc}") from None
    if is_upload(annotation) or isinstance(marker, File):
        return _read_file(parameter, annotation, marker, function)
    if marker is not None:
        source = SOURCES[type(marker)]
        wire_name = marker.name or (name.replace("_", "-") if source == "header" else name)
        if source == "path" and wire_name not in path_names:
            raise TypeError(f"{where(function)}: the path has no parameter {wire_name!r}")
        if isinstance(marker, Body):
            try:
                annotation = marker.chosen(annotation)
            except TypeError as exc:
                raise TypeError(f"{where(function)}: the body {name!r}: {exc}") from None
        return Parameter(name, source, annotation, wire_name, default, is_marked=True)
    if name in path_names:
        return Parameter(name, "path", annotation, name, default)
    if is_page(annotation):
        return Parameter(name, "page", annotation, name, default)
    if is_service(annotation):
        return Parameter(name, "service", annotation, name, default)
    if is_scalar(annotation):
        return Parameter(name, "query", annotation, name, default)
    return Parameter(name, "body", annotation, name, default)


def _read_file(
    parameter: inspect.Parameter,
    annotation: Any,
    marker: Marker | None,
    function: Callable[..., Any],
) -> Parameter:
    """A file of the form, or a list of them."""
    name = parameter.name
    if not is_upload(annotation) or not isinstance(marker, File | Form | None):
        raise TypeError(
            f"{where(function)}: the parameter {name!r}: files are UploadFile, UploadFile | None "
            "or list[UploadFile], marked with File() or not at all"
        )
    rules = marker if isinstance(marker, File) else File()
    wire_name = name if marker is None else marker.name or name
    is_marked = marker is not None
    return Parameter(
        name, "file", annotation, wire_name, parameter.default, is_marked=is_marked, rules=rules
    )
