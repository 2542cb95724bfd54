"""The declarations of a handler, in one record that every package reads.

The decorators of `sanic_ms.doc` write it, `http` compiles an endpoint from it, and `openapi` draws
it. Shapes stand in it as the user gave them; `sanic_ms.shapes` says what they mean.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from sanic_ms.exception import HTTPError
from sanic_ms.values.depends import Depends
from sanic_ms.values.page import Pagination
from sanic_ms.values.path import segment_of

__all__ = [
    "BODY_MAY_BE_THERE",
    "DIRECT",
    "Begin",
    "CompiledRoute",
    "Direct",
    "DocumentedRoute",
    "EnvelopeSchema",
    "ResponseSpec",
    "RouteOrigin",
    "RouteSpec",
    "compiled_route",
    "deadline_of",
    "endpoint_of",
    "keep_compiled",
    "origin_of",
    "route_spec",
    "set_origin",
    "spec_of",
    "template_of",
]

DIRECT = "__sanic_ms_direct__"
"""Where an endpoint keeps its `Direct`."""

BODY_MAY_BE_THERE = "the body may be there"
"""The ``is_stream`` of an endpoint that reads a body while it comes, as Sanic's streaming handlers
do, or takes one that is there already."""

_ATTRIBUTE = "__route_spec__"
_ORIGIN = "sanic_ms_origin"


Begin = Callable[[Any, dict[str, Any]], Awaitable[Any]]
"""``await begin(request, path)`` gives what the handler gives."""


class Direct(NamedTuple):
    """What does the same as an endpoint, with less: our server calls it instead.

    Attributes:
        endpoint: The endpoint. Whoever wraps it with `functools.wraps` copies the attribute too,
            which counts for the endpoint alone.
        begin: ``await begin(request, path)``, with the parameters of the path as a dict of its own,
            gives what the handler gives.
        answer: ``answer(request, value)`` makes of that the body of the usual answer, as bytes, or
            gives a response that the handler itself has made.
        at_once: ``at_once(request, path)`` does both without a task, where the handler needs none.
            It may also give a coroutine that gives one of the two. None: it needs one.
        status: Of the usual answer.
        content_type: Of its body.
        timed: ``timed(has_timeout=…)`` gives a ``begin`` that keeps the deadline: that of the
            route, and with ``has_timeout`` that of the request's headers. None: the full path
            does.
    """

    endpoint: Any
    begin: Begin
    answer: Callable[[Any, Any], Any]
    at_once: Callable[[Any, dict[str, Any]], Any] | None = None
    status: int = 200
    content_type: str | None = "application/json"
    timed: Callable[..., Begin] | None = None


@dataclass(frozen=True, slots=True)
class CompiledRoute:
    """What stands behind a route of Sanic's router, whose ``handler`` stays the application's.

    Attributes:
        handler: The handler that was compiled.
        endpoint: What is called in its place.
        operations: What was read of the handler, by method; empty where nothing was.
        compile: Compiles the route anew.
        deadlines: Seconds in which a method has to be served; those that have no deadline are left
            out.
    """

    handler: Callable[..., Any]
    endpoint: Callable[..., Any]
    operations: Mapping[str, Any]
    compile: Callable[[Any], CompiledRoute]
    deadlines: Mapping[str, float] = field(default_factory=dict)


_COMPILED = "sanic_ms_compiled"  # on ``route.extra``, which Sanic has for such things


def keep_compiled(route: Any, compiled: CompiledRoute) -> None:
    """Remember what was compiled of a route."""
    setattr(route.extra, _COMPILED, compiled)


def compiled_route(route: Any) -> CompiledRoute | None:
    """What was compiled of a route, None where nothing was or where it has another handler now."""
    compiled: CompiledRoute | None = getattr(route.extra, _COMPILED, None)
    return compiled if compiled is not None and compiled.handler is route.handler else None


def endpoint_of(route: Any) -> Callable[..., Any]:
    """What is called for a route.

    A library may have put something around the handler of a compiled route; it is compiled again
    then, so that the library's code is called and the handler still gets its arguments.
    """
    compiled: CompiledRoute | None = getattr(route.extra, _COMPILED, None)
    if compiled is None:
        return route.handler  # type: ignore[no-any-return]
    if compiled.handler is not route.handler:
        compiled = compiled.compile(route)
    return compiled.endpoint


def deadline_of(route: Any, method: str) -> float | None:
    """The seconds in which a method of a route has to be served; None: it has no deadline."""
    compiled: CompiledRoute | None = getattr(route.extra, _COMPILED, None)
    return None if compiled is None else compiled.deadlines.get(method)


@dataclass(slots=True)
class ResponseSpec:
    """One answer of a route: its shape (None: no body), what it means, its media type.

    ``raw`` answers are sent as they are; the others stand in the envelope.
    """

    shape: Any = None
    description: str = ""
    content_type: str = "application/json"
    raw: bool = False


@dataclass(slots=True)
class RouteSpec:
    """The declarations of one handler.

    Attributes:
        summary, description: For people; where empty, taken from the handler's docstring.
        body: The shape of the request's body, None where the route reads none or does not say.
        query, path, headers: Shapes of those parts (`doc.consumes(..., location="query")`).
        content_type: Media type of the body that the route reads.
        body_required: Whether a request without a body is refused.
        produces: The shape of ``data`` in a successful answer.
        produces_status: The status of that answer.
        responses: Further answers by status.
        raises: Classes of errors that the handler raises.
        tags: Groups in the document; default the blueprint's name.
        deprecated: Shown so, and nothing else.
        security: Requirements as OpenAPI writes them: ``[{"bearer": []}]``; None: the document's.
        hidden: Left out of the document.
        deadline: Seconds for the work of a request, infinite for no deadline; None: the service's.
        shielded: The handler goes on when the client has gone.
        depends: Functions that run before the handler, in order.
        in_loop: A handler that is a plain function runs in the event loop, and not in a thread.
    """

    summary: str = ""
    description: str = ""
    body: Any = None
    query: Any = None
    path: Any = None
    headers: Any = None
    content_type: str = "application/json"
    body_required: bool = True
    produces: Any = None
    produces_status: int = 200
    responses: dict[int, ResponseSpec] = field(default_factory=dict)
    raises: list[type[HTTPError]] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    deprecated: bool = False
    security: list[dict[str, list[str]]] | None = None
    hidden: bool = False
    deadline: float | None = None
    shielded: bool = False
    depends: list[Depends] = field(default_factory=list)
    in_loop: bool = False


def spec_of(handler: Callable[..., Any]) -> RouteSpec | None:
    """The handler's own `RouteSpec`; None where it declares nothing. Nothing is made."""
    return getattr(handler, _ATTRIBUTE, None)


def route_spec(handler: Callable[..., Any]) -> RouteSpec:
    """The handler's own `RouteSpec`, made on first use and kept on the function."""
    spec: RouteSpec | None = getattr(handler, _ATTRIBUTE, None)
    if spec is None:
        spec = RouteSpec()
        setattr(handler, _ATTRIBUTE, spec)
    return spec


def template_of(route: Any) -> str:
    """``/users/<id:int>``, one of the router's routes, as ``/users/{id}``."""
    names = {index: segment_of(param) for index, param in route.defined_params.items()}
    return "/" + "/".join(names.get(index, part) for index, part in enumerate(route.parts))


class RouteOrigin(NamedTuple):
    """Where a route was registered.

    The name of a route does not tell: Sanic leaves out a prefix that stands there already, renames
    copies, and lets names have dots.

    Attributes:
        name: The handler's name, as it was registered in its blueprint or on the application.
        group: The blueprint's name, behind the ``name_prefix`` of its registration; ``""`` outside
            one.
        blueprint: The blueprint; None outside one.
    """

    name: str
    group: str = ""
    blueprint: Any = None

    @property
    def full_name(self) -> str:
        """The name with the group before it."""
        return f"{self.group}.{self.name}" if self.group else self.name


def set_origin(route: Any, origin: RouteOrigin) -> None:
    """Keep on a route of the router's where it was registered."""
    setattr(route.extra, _ORIGIN, origin)


def origin_of(route: Any) -> RouteOrigin:
    """Where a route was registered. For an application that keeps no origins, as far as the name
    of the route tells."""
    origin: RouteOrigin | None = getattr(route.extra, _ORIGIN, None)
    if origin is None:
        _, _, local = route.name.partition(".")
        group, _, name = local.rpartition(".")
        origin = RouteOrigin(name, group)
    return origin


@dataclass(frozen=True, slots=True)
class DocumentedRoute:
    """One route of an application as the OpenAPI document needs it.

    Attributes:
        path: With parameters in braces: ``/users/{id}``.
        methods: Upper-case, sorted.
        name: The operation's id: ``create_user``.
        spec: What the handler declared.
        path_types, query_types, header_types, cookie_types, form_types: Type and default of each
            parameter of that part, by its name on the wire; ``...`` as default means required.
        files: What is taken of the form's parameters that are files, a `sanic_ms.http.File` each.
        validates_path: The handler holds a part of the path to more than the route's pattern does.
        body: The declared shape of the body, from the decorator or from the annotation.
        produces: The declared shape of the answer, likewise.
        paginated: The answer carries a pagination beside the data.
        pagination: The class of that.
        group: The blueprint's name, ``""`` outside one.
        doc: The handler's docstring.
    """

    path: str
    methods: tuple[str, ...]
    name: str
    spec: RouteSpec
    path_types: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    query_types: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    header_types: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    cookie_types: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    form_types: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    files: dict[str, Any] = field(default_factory=dict)
    validates_path: bool = False
    body: Any = None
    produces: Any = None
    paginated: bool = False
    pagination: type = Pagination
    group: str = ""
    doc: str = ""


class EnvelopeSchema(Protocol):
    """What the document must know of an envelope: the form of answers as JSON Schema."""

    content_type: str
    error_content_type: str

    def success_schema(self, data: dict[str, Any] | None, paginated: bool) -> dict[str, Any]:
        """The answer around data of a schema (None: nothing is said of the data)."""

    def error_schema(self, validation: bool) -> dict[str, Any]:
        """The answer to an error; with ``validation`` that of a `ValidationError`."""

    def error(self, exc: HTTPError, trace_id: str | None = None) -> bytes:
        """The body of an error's answer, for examples."""
