"""The annotations of a handler: resolved, and read for what it returns."""

from __future__ import annotations

import contextlib
import inspect
import sys
import types
import typing
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any, Never, NoReturn, Union

from sanic_ms.shapes.scalars import is_scalar
from sanic_ms.values.page import PAGINATIONS

__all__ = ["is_no_type", "names_response", "read_returns", "resolve", "where"]


def where(function: Callable[..., Any]) -> str:
    """``name (file.py:12)``: how messages point at a handler."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    name = getattr(function, "__qualname__", repr(function))
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"


def resolve(
    function: Callable[..., Any], skip: frozenset[str], scope: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The annotations as objects, and why others could not be resolved: a name that only type
    checkers see, or one of the function that has made the handler. Those of ``skip`` are left
    alone."""
    names = {**scope, **getattr(function, "__globals__", {})}
    closure = getattr(function, "__closure__", None) or ()
    code = getattr(function, "__code__", None)
    for name, cell in zip(code.co_freevars if code else (), closure, strict=True):
        with contextlib.suppress(ValueError):  # a cell that is still empty
            names[name] = cell.cell_contents
    hints, unresolved = {}, {}
    for name, annotation in _annotations(function).items():
        if name in skip:
            continue
        if isinstance(annotation, str):
            try:
                annotation = eval(annotation, names)
            except (NameError, AttributeError, ImportError) as exc:
                unresolved[name] = (
                    f"the annotation {annotation!r} of {name!r} cannot be resolved: {exc} when the "
                    "service starts (a name of type checkers alone, or of a function's body)"
                )
                continue
            except Exception as exc:
                raise TypeError(
                    f"{where(function)}: the annotation {annotation!r} of {name!r} cannot be "
                    f"resolved: {exc}"
                ) from exc
        hints[name] = annotation
    return hints, unresolved


def _annotations(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return inspect.get_annotations(function)
    except TypeError:  # it is no function: an object of C
        return {}


_NO_TYPES = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
)


def is_no_type(annotation: Any) -> bool:
    """``-> json``: what is meant is the response that it makes."""
    return isinstance(annotation, _NO_TYPES)


def names_response(function: Callable[..., Any]) -> bool:
    """Whether a return annotation that cannot be resolved names one of Sanic's responses."""
    text = _annotations(function).get("return")
    sanic_response = sys.modules.get("sanic.response")
    last = text.strip("\"' ").rpartition(".")[2] if isinstance(text, str) else ""
    return callable(getattr(sanic_response, last, None)) if last else False


def read_returns(annotation: Any) -> tuple[Any, type | None]:
    """The shape of the data that a handler returns, None for none, and the class of its pagination,
    None where it is no page."""
    if typing.get_origin(annotation) in (Union, types.UnionType):
        # `City | HTTPResponse`: what is no response still has its shape.
        members = typing.get_args(annotation)
        kept = [_without_status(entry) for entry in members if not _is_response(entry)]
        annotation = Union[tuple(kept)] if kept else None  # noqa: UP007
    if typing.get_origin(annotation) in (Awaitable, Coroutine):
        return read_returns(typing.get_args(annotation)[-1])
    annotation = _without_status(annotation)
    if annotation in (None, type(None), Any, Never, NoReturn) or _is_response(annotation):
        return None, None
    arguments = typing.get_args(annotation)
    if (
        typing.get_origin(annotation) is tuple
        and len(arguments) == 2
        and arguments[1] in PAGINATIONS.values()
    ):
        return arguments[0], arguments[1]
    return annotation, None


def _without_status(annotation: Any) -> Any:
    """The data's annotation, of data and a status: ``tuple[City, int]``. A pair of plain values,
    such as ``tuple[str, int]``, is data; `HTTPStatus` is always a status."""
    if typing.get_origin(annotation) is not tuple:
        return annotation
    data, *rest = typing.get_args(annotation) or (None,)
    if not rest or not (rest[0] is HTTPStatus or (rest[0] is int and not is_scalar(data))):
        return annotation
    if len(rest) == 1 or (len(rest) == 2 and typing.get_origin(rest[1]) in (dict, Mapping)):
        return data
    return annotation


def _is_response(annotation: Any) -> bool:
    # Sanic is not imported here: whoever annotates with its classes has.
    sanic_response = sys.modules.get("sanic.response.types")
    if sanic_response is None:
        return False
    responses = (sanic_response.BaseHTTPResponse, sanic_response.ResponseStream)
    return isinstance(annotation, type) and issubclass(annotation, responses)
