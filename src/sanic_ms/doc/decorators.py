"""Decorators that declare what a handler reads and answers.

They write to the handler's `RouteSpec` and return the handler itself, so that they may stand above
or below the route's decorator, in any order. What contradicts itself is a `TypeError` at import.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from sanic_ms.exception import HTTPError
from sanic_ms.shapes import require_shape, select
from sanic_ms.values.route import ResponseSpec, RouteSpec, route_spec

__all__ = [
    "consumes",
    "deadline",
    "deprecated",
    "description",
    "exclude",
    "in_loop",
    "produces",
    "raises",
    "response",
    "security",
    "shielded",
    "spec_for",
    "summary",
    "tag",
]

Handler = TypeVar("Handler", bound=Callable[..., Any])
Location = Literal["body", "query", "path", "header"]

_UNSAID = RouteSpec()
_PARTS = {"query": "query", "path": "path", "header": "headers"}


def summary(text: str) -> Callable[[Handler], Handler]:
    """One line that says what the route does. Default: the first line of the docstring."""
    return _once("summary", _text("summary", text))


def description(text: str) -> Callable[[Handler], Handler]:
    """More about the route, as Markdown. Default: the docstring after its first line."""
    return _once("description", _text("description", text))


def consumes(
    shape: Any,
    *further: Any,
    location: Location = "body",
    content_type: str | None = None,
    required: bool = True,
    only: Iterable[str] | None = None,
    exclude: Iterable[str] = (),
    include: Iterable[str] = (),
    partial: bool = False,
) -> Callable[[Handler], Handler]:
    """What the route reads: it is documented, and each request is validated against it.

    The handler finds it as ``request["data"]`` (the body), ``request["query"]``,
    ``request["path"]`` and ``request["headers"]``.

    Args:
        shape: The shape; see `sanic_ms.shapes`. Several dict shapes for one part other than
            the body add up.
        further: More dict shapes of the same part; they add up to one.
        location: The part of the request: ``"body"``, ``"query"``, ``"path"``, ``"header"``.
        content_type: Media type of the body; default ``application/json``.
        required: Whether a request without a body is refused.
        only: Of a Peewee model (or a class of fields): the columns that are taken, and no others.
            Columns are named by their attribute or by their column name.
        exclude: Columns that are not taken.
        include: Columns that are taken beside the usual ones. The primary key and columns with a
            default are the server's, and taken only where ``only`` or ``include`` names them.
        partial: Every column may be left out, and nothing is filled in: for PATCH.

    Raises:
        TypeError: not a shape, an unknown location, a second shape for the same part, or options
            that contradict each other. A column that does not exist stops the start.
    """
    if location != "body" and location not in _PARTS:
        raise TypeError(
            f"doc.consumes(location={location!r}): write 'body', 'query', 'path' or 'header'"
        )
    if shape is None:
        raise TypeError("doc.consumes(None): give the shape of what the route reads")
    for entry in (shape, *further):
        _require("doc.consumes", entry)
    shape = _together(shape, *further)
    try:
        shape = select(shape, only=only, exclude=exclude, include=include, partial=partial)
    except TypeError as exc:
        raise TypeError(f"doc.consumes: {exc}") from None

    def decorate(handler: Handler) -> Handler:
        spec = spec_for(handler, "consumes")
        if location == "body":
            _set(handler, spec, "body", shape)
            spec.content_type = content_type or "application/json"
            spec.body_required = required
        else:
            part = _PARTS[location]
            setattr(spec, part, _added(handler, getattr(spec, part), shape, location))
        return handler

    return decorate


def produces(
    shape: Any,
    *,
    status: int = 200,
    description: str = "",
    content_type: str = "application/json",
    raw: bool = False,
) -> Callable[[Handler], Handler]:
    """What the route answers. Data that a handler returns is cut down to it before it leaves.

    Args:
        shape: The shape of ``data`` in the answer; None: nothing is said of it.
        status: The status of a successful answer.
        description: What the answer means; default the status' reason phrase.
        content_type: Media type of an answer that the handler makes itself.
        raw: The answer is not in the envelope: the handler returns a response of its own.

    Raises:
        TypeError: not a shape, a status that is no success, or a second `produces` that says
            something else.
    """
    _require("doc.produces", shape)
    _status("doc.produces", status)
    if status >= 400:
        raise TypeError(f"doc.produces(status={status}): an error is declared with doc.response")

    def decorate(handler: Handler) -> Handler:
        spec = spec_for(handler, "produces")
        if spec.produces is not None and spec.produces_status != status:
            raise TypeError(
                f"{_name(handler)}: doc.produces says {spec.produces_status} and {status}: declare "
                f"the further answer with doc.response({status}, …)"
            )
        _set(handler, spec, "produces", shape)
        spec.produces_status = status
        answer = ResponseSpec(shape, description, content_type, raw)
        if answer != ResponseSpec(shape):
            _answer(handler, spec, status, answer)
        return handler

    return decorate


def response(status: int, shape: Any = None, description: str = "") -> Callable[[Handler], Handler]:
    """A further answer of the route, by its status.

    Args:
        status: 100 to 599.
        shape: Below 400: the shape of ``data`` in the envelope. From 400: the whole body, for a
            handler that makes such an answer itself; None: the envelope's error.
        description: When that happens; default the status' reason phrase.

    Raises:
        TypeError: not a shape, or a second declaration of the status that says something else.
        ValueError: not a status.
    """
    _require("doc.response", shape)
    _status("doc.response", status)

    def decorate(handler: Handler) -> Handler:
        _answer(handler, spec_for(handler, "response"), status, ResponseSpec(shape, description))
        return handler

    return decorate


def raises(*errors: type[HTTPError]) -> Callable[[Handler], Handler]:
    """Errors that the route raises: each is documented with its status, code and message.

    Several of one status share its response, and each is an example there. Code and message are
    those of the error as it is raised without arguments: the class attributes. What is raised is
    not checked.

    Args:
        errors: Classes of `sanic_ms.exception` and their subclasses. Those of several `raises` on
            one handler add up.

    Raises:
        TypeError: no class, or something else than such a class.
    """
    if not errors:
        raise TypeError("doc.raises(): give at least one class of errors")
    for error in errors:
        _require_error(error)

    def decorate(handler: Handler) -> Handler:
        spec = spec_for(handler, "raises")
        # Decorators run from the bottom up, and are read from the top down.
        spec.raises = list(dict.fromkeys([*errors, *spec.raises]))
        return handler

    return decorate


def tag(*names: str) -> Callable[[Handler], Handler]:
    """The groups that the route stands in. Default: its blueprint's name."""
    if not names:
        raise TypeError("doc.tag(): give at least one name")
    texts = [_text("tag", name) for name in names]

    def decorate(handler: Handler) -> Handler:
        spec = spec_for(handler, "tag")
        # Decorators run from the bottom up, and are read from the top down.
        spec.tags = list(dict.fromkeys([*texts, *spec.tags]))
        return handler

    return decorate


def deprecated(flag: bool = True) -> Callable[[Handler], Handler]:
    """Show the route as deprecated. It works as before."""
    if not isinstance(flag, bool):
        raise TypeError("write @doc.deprecated() with brackets")

    def decorate(handler: Handler) -> Handler:
        spec_for(handler, "deprecated").deprecated = flag
        return handler

    return decorate


def security(*requirements: str | Mapping[str, Sequence[str]]) -> Callable[[Handler], Handler]:
    """What a caller must show. Documentation: it checks nothing itself.

    Args:
        requirements: Names of security schemes (``"bearer"``), or mappings of name to scopes as
            OpenAPI writes them; each is an alternative. None at all: the route is open, whatever
            the document says for all routes.
    """
    alternatives: list[dict[str, list[str]]] = []
    for requirement in requirements:
        if isinstance(requirement, str):
            alternatives.append({requirement: []})
        elif isinstance(requirement, Mapping):
            alternatives.append({name: list(scopes) for name, scopes in requirement.items()})
        else:
            raise TypeError(
                f"doc.security({requirement!r}): write the name of a scheme, or {{name: [scopes]}}"
            )

    def decorate(handler: Handler) -> Handler:
        spec = spec_for(handler, "security")
        spec.security = [*alternatives, *(spec.security or ())]
        return handler

    return decorate


def deadline(seconds: float | None) -> Callable[[Handler], Handler]:
    """How long the work of a request may take: then it is cancelled, and the response is 504.

    A caller may give it less time, with a header, and never more.

    Args:
        seconds: Seconds from the head of the request to the first byte of the response; None: no
            deadline, whatever the setting ``REQUEST_DEADLINE`` says.

    Raises:
        TypeError: it is no number.
        ValueError: it is not above 0, or not finite.
    """
    if seconds is None:
        return _once("deadline", math.inf)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"doc.deadline({seconds!r}): give seconds, or None for no deadline")
    if not 0 < seconds < math.inf:
        raise ValueError(f"doc.deadline({seconds!r}): give seconds above 0, or None for none")
    return _once("deadline", float(seconds))


def shielded(handler: Handler) -> Handler:
    """Let the handler go on to its end when its client has gone, instead of cancelling it.

    Its deadline counts as before. At a stop of the service it has the grace period, as a background
    task has. An exception that it raises after the client has gone is logged.

    Args:
        handler: A handler, a method of a class view, or a class view.
    """
    spec_for(handler, "shielded").shielded = True
    return handler


def exclude(flag: bool = True) -> Callable[[Handler], Handler]:
    """Leave the route out of the document."""
    if not isinstance(flag, bool):
        raise TypeError("write @doc.exclude() with brackets")

    def decorate(handler: Handler) -> Handler:
        spec_for(handler, "exclude").hidden = flag
        return handler

    return decorate


def in_loop(flag: bool = True) -> Callable[[Handler], Handler]:
    """Run a handler that is a plain function in the event loop, and not in a thread: for one that
    does next to nothing, or has to be there. It then holds up all other requests while it runs.

    An ``async`` handler runs there anyway.
    """
    if not isinstance(flag, bool):
        raise TypeError("write @doc.in_loop() with brackets")

    def decorate(handler: Handler) -> Handler:
        spec_for(handler, "in_loop").in_loop = flag
        return handler

    return decorate


# --- what they have in common ---------------------------------------------------------------------


def spec_for(handler: Callable[..., Any], name: str) -> RouteSpec:
    """The declarations of a handler, to be added to.

    Args:
        handler: The handler.
        name: The decorator's, for messages.

    Raises:
        TypeError: it is no handler, or declarations cannot be kept on it.
    """
    if inspect.isclass(handler):
        raise TypeError(f"@doc.{name} on the class {handler.__name__}: decorate its methods")
    if isinstance(handler, staticmethod | classmethod):
        handler = handler.__func__
    if not callable(handler) or _is_application(handler):
        raise TypeError(f"@doc.{name} decorates a handler, not {handler!r}")
    try:
        return route_spec(handler)
    except AttributeError as exc:
        raise TypeError(
            f"@doc.{name} cannot be kept on {handler!r}: decorate the function where it is written"
        ) from exc


def _is_application(handler: Any) -> bool:
    """Whether it is an application, which can be called as well: by an ASGI server."""
    from sanic import Sanic  # here, since the declarations of a route do not load a server

    return isinstance(handler, Sanic)


def _name(handler: Callable[..., Any]) -> str:
    name = getattr(handler, "__qualname__", repr(handler))
    return f"{getattr(handler, '__module__', '')}.{name}"


def _once(attribute: str, value: Any) -> Callable[[Handler], Handler]:
    def decorate(handler: Handler) -> Handler:
        _set(handler, spec_for(handler, attribute), attribute, value)
        return handler

    return decorate


def _set(handler: Callable[..., Any], spec: RouteSpec, attribute: str, value: Any) -> None:
    old = getattr(spec, attribute)
    if old != getattr(_UNSAID, attribute) and old != value:
        raise TypeError(f"{_name(handler)}: {attribute} is declared twice: {value!r} and {old!r}")
    setattr(spec, attribute, value)


def _added(handler: Callable[..., Any], old: Any, new: Any, location: str) -> Any:
    if old is None or old == new:
        return new
    if not (isinstance(old, dict) and isinstance(new, dict)):
        raise TypeError(
            f"{_name(handler)}: two shapes for location={location!r}; only dict shapes add up"
        )
    for key in old.keys() & new.keys():
        if old[key] != new[key]:
            raise TypeError(f"{_name(handler)}: {location} {key!r} is declared twice")
    return {**new, **old}


def _together(shape: Any, *further: Any) -> Any:
    if not further:
        return shape
    together: dict[Any, Any] = {}
    for entry in (shape, *further):
        if not isinstance(entry, dict):
            raise TypeError(
                f"doc.consumes: several shapes add up where each is a dict, not {entry!r}: write "
                "one, such as a class that inherits from the others"
            )
        for key, value in entry.items():
            if together.setdefault(key, value) != value:
                raise TypeError(f"doc.consumes: {key!r} is declared twice")
    return together


def _answer(
    handler: Callable[..., Any], spec: RouteSpec, status: int, answer: ResponseSpec
) -> None:
    old = spec.responses.get(status)
    if old is not None and old != answer:
        raise TypeError(f"{_name(handler)}: the answer {status} is declared twice")
    spec.responses[status] = answer


def _require(name: str, shape: Any) -> None:
    try:
        require_shape(shape)
    except TypeError as exc:
        raise TypeError(f"{name}: {exc}") from None


def _require_error(error: Any) -> None:
    if isinstance(error, BaseException):
        name = type(error).__name__
        raise TypeError(f"doc.raises({name}(…)): give the class, {name}")
    if not inspect.isclass(error):
        raise TypeError(f"doc.raises({error!r}): write @doc.raises(NotFound, …), with classes")
    if not issubclass(error, HTTPError):
        raise TypeError(
            f"doc.raises({error.__name__}): this class is none of sanic_ms.exception's and not "
            "derived from one; declare its status with doc.response"
        )


def _status(name: str, status: Any) -> None:
    if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 599:
        raise ValueError(f"{name}: {status!r} is not an HTTP status (100 to 599)")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"doc.{name}: {value!r} is not text; write @doc.{name}('…')")
    return value
