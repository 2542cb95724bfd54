"""What is declared of a handler, wherever it stands: on it, around it, or around its class view."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from types import FunctionType
from typing import Any, TypeVar

from sanic_ms.shapes.annotations import where
from sanic_ms.shapes.wrappers import objects_of
from sanic_ms.values.depends import dependencies_of
from sanic_ms.values.route import RouteSpec, spec_of

__all__ = ["declared_spec", "is_sanic_handler", "sanic_handler", "unseen_declarations"]

H = TypeVar("H", bound=Callable[..., Any])

_AS_SANIC = "__sanic_ms_as_sanic__"
_UNSAID = RouteSpec()
_WITH_BODY = ("POST", "PUT", "PATCH")
# What one decorator says with several fields, which do not count alone.
_TOGETHER = {
    "produces": ("produces", "produces_status"),
    "body": ("body", "content_type", "body_required"),
}


def sanic_handler(handler: H) -> H:
    """Call a handler as Sanic does: with the request and the parameters of the path, unread.

    For a handler whose other parameters are handed in by decorators, where that cannot be seen in
    their source. Its annotations are not read, neither those of parameters nor that of what it
    returns. The declarations of `sanic_ms.doc` count as ever, and so does the envelope.

    Args:
        handler: A handler, a method of a class view, or a class view; above or below other
            decorators.

    Raises:
        TypeError: it cannot be called, or cannot be marked.
    """
    if not callable(handler):
        raise TypeError(f"@sanic_handler marks a handler, not {handler!r}")
    try:
        setattr(handler, _AS_SANIC, True)
    except AttributeError as exc:
        raise TypeError(f"@sanic_handler cannot mark {handler!r}: mark its function") from exc
    return handler


def is_sanic_handler(handler: Callable[..., Any], around: Callable[..., Any] | None = None) -> bool:
    """Whether a handler, or the class view around it, is marked with `sanic_handler`."""
    marked: list[Any] = [*objects_of(handler)]
    if around is not None:
        marked += [*objects_of(around), getattr(around, "view_class", None)]
    return any(getattr(entry, _AS_SANIC, False) for entry in marked)


def declared_spec(
    handler: Callable[..., Any], around: Callable[..., Any] | None = None, method: str = ""
) -> RouteSpec:
    """The declarations that count for a handler.

    Those on the outside count before those further in. The declarations of a whole class view count
    where its method says nothing else; a body, for methods that have one.

    Args:
        handler: As the application wrote it, with its decorators.
        around: Of a class view: what the router calls.
        method: Of HTTP.
    """
    own = specs = _specs(handler)
    if around is not None:
        specs = own + [
            spec if method in _WITH_BODY else _without_body(spec)
            for spec in _specs(around)
            if not any(spec is other for other in own)
        ]
    view = getattr(around or handler, "view_class", None)
    depends = [*(() if view is None else dependencies_of(view))]
    # What stands around a whole class view runs before what stands on its method.
    for spec in (*specs[len(own) :], *own):
        depends += spec.depends
    merged = functools.reduce(_merged, specs) if specs else RouteSpec()
    return merged if merged.depends == depends else replace(merged, depends=depends)


def _specs(handler: Callable[..., Any]) -> list[RouteSpec]:
    specs: list[RouteSpec] = []
    for entry in objects_of(handler):
        spec = spec_of(entry)
        # `functools.wraps` copies the very same one.
        if spec is not None and not any(spec is other for other in specs):
            specs.append(spec)
    return specs


def _without_body(spec: RouteSpec) -> RouteSpec:
    return replace(spec, **{name: getattr(_UNSAID, name) for name in _TOGETHER["body"]})


def _merged(first: RouteSpec, then: RouteSpec) -> RouteSpec:
    """Two declarations of one handler; what the first says counts."""
    merged = {field.name: _field(field.name, first, then) for field in fields(RouteSpec)}
    for names in _TOGETHER.values():
        source = then if all(_is_unsaid(first, name) for name in names) else first
        merged.update({name: getattr(source, name) for name in names})
    if merged["produces_status"] != then.produces_status and not _is_unsaid(then, "produces"):
        # The other's successful answer is none any more.
        responses = {**then.responses}
        responses.pop(then.produces_status, None)
        merged["responses"] = {**responses, **first.responses}
    return RouteSpec(**merged)


def _field(name: str, first: RouteSpec, then: RouteSpec) -> Any:
    mine, theirs = getattr(first, name), getattr(then, name)
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return {**theirs, **mine}
    if isinstance(mine, list) and isinstance(theirs, list) and name != "security":
        return [*mine, *(entry for entry in theirs if entry not in mine)]
    return theirs if _is_unsaid(first, name) else mine


def _is_unsaid(spec: RouteSpec, name: str) -> bool:
    value, unsaid = getattr(spec, name), getattr(_UNSAID, name)
    return value is unsaid or (type(value) is type(unsaid) and value == unsaid)


def unseen_declarations(handler: Callable[..., Any]) -> Iterator[str]:
    """A line for each declaration that a decorator hides, because it is without `functools.wraps`:
    nothing then says that it calls a handler at all."""
    chain = [*objects_of(handler)]
    innermost = chain[-1]
    if not isinstance(innermost, FunctionType):
        return
    specs = _specs(handler)
    for name, value in inspect.getclosurevars(innermost).nonlocals.items():
        if not callable(value) or isinstance(value, type) or any(value is e for e in chain):
            continue
        hidden = [*_specs(value), *_view_specs(value)]
        if any(not any(spec is known for known in specs) for spec in hidden):
            yield (
                f"{where(innermost)} calls {name} = {where(value)}, whose @doc declarations do not "
                "count for the route: a decorator needs @functools.wraps"
            )


def _view_specs(handler: Callable[..., Any]) -> list[RouteSpec]:
    view = getattr(handler, "view_class", None)
    return [] if view is None else [spec for entry in vars(view).values() for spec in _specs(entry)]
