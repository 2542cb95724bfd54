"""Declarations of a handler that contradict its method, or each other."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator, Set
from typing import Any, Union

from sanic_ms.container import Container
from sanic_ms.shapes import describe, to_type
from sanic_ms.shapes.classes import has_fields, is_plain_class
from sanic_ms.shapes.signature import Signature, where
from sanic_ms.shapes.wrappers import objects_of
from sanic_ms.values.handlers import HANDLER_CHECK
from sanic_ms.values.route import RouteSpec

__all__ = ["check_body", "check_decorators", "check_produces"]

_WITHOUT_BODY = frozenset(("GET", "HEAD", "OPTIONS"))


def check_body(
    handler: Callable[..., Any], methods: Set[str], signature: Signature, spec: RouteSpec
) -> Iterator[str]:
    """Look at the body of a handler for methods that have none.

    Args:
        handler: The handler, as the application wrote it.
        methods: The methods of HTTP that it serves.
        signature: What it takes.
        spec: What its decorators declare.

    Yields:
        A line for a required body where only some requests have one, or that a decorator declares.

    Raises:
        TypeError: an annotation alone makes it a body, and no request has one. A `Body` marker says
            that clients do send one.
    """
    if not methods & _WITHOUT_BODY:
        return
    without = " and ".join(sorted(methods & _WITHOUT_BODY - {"HEAD", "OPTIONS"})) or "HEAD"
    for entry in signature.parameters:
        if entry.source in ("form", "file") and not methods - _WITHOUT_BODY:
            raise TypeError(
                f"{where(handler)}: {entry.name!r} is of the form, which a {without} request does "
                "not have"
            )
        if entry.source != "body" or entry.is_marked or not _is_shape(entry.annotation):
            continue
        if not entry.required and _model_of(entry.annotation) is None:
            continue  # `version: Any = version` binds a value, and asks for nothing
        text = (
            f"{where(handler)}: {entry.name!r} is the body, which a {without} request does not have"
        )
        if not methods - _WITHOUT_BODY:
            shape = getattr(entry.annotation, "__name__", "…")
            raise TypeError(
                f"{text}: write {entry.name}: Annotated[{shape}, Query()] to take its fields from "
                "the query string (service.provide if the type is a service; Body() in place of "
                "Query() if clients do send one)"
            )
        if entry.required and "GET" in methods:
            yield f"{text}: give it a default, or each {without} will be 400"
    if spec.body is not None and spec.body_required and not methods - _WITHOUT_BODY:
        yield (
            f"{where(handler)}: @doc.consumes declares a body, which a {without} request seldom "
            'has: write location="query" to take its fields from the query string'
        )


def check_produces(handler: Callable[..., Any], signature: Signature, spec: RouteSpec) -> None:
    """Compare what `sanic_ms.doc.produces` and the annotation say of the data that is returned.

    Annotations that say less (``dict``, ``list``, ``Any``) or more (a subclass, a union) than the
    declared shape do not contradict it.

    Raises:
        TypeError: they name different shapes.
    """
    declared, returned = _model_of(spec.produces), _model_of(signature.returns)
    if declared is None or returned is None:
        return
    if declared[0] == returned[0] and declared[1] in returned[1].__mro__:
        return
    raise TypeError(
        f"{where(handler)}: @doc.produces says {describe(spec.produces)} and the annotation says "
        f"{describe(signature.returns)}: declare one of them"
    )


def _is_shape(annotation: Any) -> bool:
    try:
        to_type(annotation, "input")
    except TypeError:  # the endpoint says why
        return False
    return True


def _model_of(shape: Any) -> tuple[bool, type] | None:
    """Whether a shape is a list, and the class with fields that it is of; None for any other."""
    if typing.get_origin(shape) in (Union, types.UnionType):
        kept = [entry for entry in typing.get_args(shape) if entry is not types.NoneType]
        return _model_of(kept[0]) if len(kept) == 1 else None
    inner: Any = None
    if isinstance(shape, list) and len(shape) == 1:
        (inner,) = shape
    elif typing.get_origin(shape) is list:
        (inner,) = typing.get_args(shape)
    if inner is not None:
        found = _model_of(inner)
        return None if found is None or found[0] else (True, found[1])
    return (False, shape) if has_fields(shape) or is_plain_class(shape) else None


def check_decorators(
    declared: Callable[..., Any], signature: Signature, spec: RouteSpec, container: Container
) -> None:
    """Let the decorators on a handler check it that cannot be used on every one.

    Raises:
        TypeError: one of them cannot be used on this handler.
    """
    names = [entry.name for entry in signature.parameters if entry.source != "service"]
    is_of_request = container.providers.is_of_request
    of_request = [entry.name for entry in signature.parameters if is_of_request(entry.annotation)]
    has_parts = any((spec.body, spec.query, spec.path, spec.headers))
    for entry in objects_of(declared):
        check = vars(entry).get(HANDLER_CHECK) if hasattr(entry, "__dict__") else None
        if check is not None:
            try:
                check(names, has_parts, of_request)
            except TypeError as exc:
                raise TypeError(f"{where(declared)}: {exc}") from None
