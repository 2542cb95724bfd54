"""Decorators around a handler, and the parameters that they hand in themselves.

A decorator with `functools.wraps` may call the handler with more than it was called with:
``f(request, user, **kwargs)``. Such a parameter is not one of the request. The decorator's source
shows it (`sanic_ms.shapes.decorator_source`).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import Any, NamedTuple

from sanic_ms.shapes.decorator_source import DecoratorCall, read_decorator

__all__ = ["HandedIn", "Layer", "Layers", "handed_in", "objects_of", "peel"]


class Layer(NamedTuple):
    """A decorator (or partial) around something.

    Attributes:
        call: What it made.
        inner: What stands in it.
        first: The position, in a call of ``inner``, of the first argument after the request.
    """

    call: Callable[..., Any]
    inner: Callable[..., Any]
    first: int


class Layers(NamedTuple):
    """A handler taken apart.

    Attributes:
        function: The innermost function.
        first: The position of its first parameter after the request.
        around: The decorators around it, the outermost first; without those of the framework, which
            hand in nothing.
    """

    function: Callable[..., Any]
    first: int
    around: tuple[Layer, ...]


def peel(handler: Callable[..., Any], first: int = 1) -> Layers:
    """Take the decorators off a handler.

    Args:
        handler: A function, method, partial, or an object that can be called.
        first: The position, in a call of it, of the first argument after the request.
    """
    around = []
    for outer, inner, taken in _steps(handler):
        first += taken
        if isinstance(outer, functools.partial) or not (_binds(outer) or _is_known(outer)):
            around.append(Layer(outer, inner, first))
        handler = inner
    return Layers(handler, first, tuple(around))


def objects_of(handler: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """A handler and all that stands in it, from the outside in."""
    yield handler
    for _, inner, _ in _steps(handler):
        yield inner


def _steps(
    handler: Callable[..., Any],
) -> Iterator[tuple[Callable[..., Any], Callable[..., Any], int]]:
    """What stands in what, with the number of arguments that the outer passes before the others."""
    seen = {id(handler)}
    while True:
        if isinstance(handler, functools.partial):
            inner, taken = handler.func, len(handler.args)
        elif isinstance(handler, MethodType):
            inner, taken = handler.__func__, 1
        elif hasattr(handler, "__wrapped__"):
            inner, taken = handler.__wrapped__, 0
        elif _is_object(handler):
            inner, taken = type(handler).__call__, 1
        else:
            return
        if id(inner) in seen:
            return
        seen.add(id(inner))
        yield handler, inner, taken
        handler = inner


def _binds(handler: Callable[..., Any]) -> bool:
    """Whether it passes itself, or what it is bound to, and nothing else."""
    return isinstance(handler, MethodType) or not hasattr(handler, "__wrapped__")


def _is_known(handler: Callable[..., Any]) -> bool:
    """Whether it is a decorator of the framework (``@logger``)."""
    scope = getattr(handler, "__globals__", {})
    return str(scope.get("__name__", "")).startswith("sanic_ms.")


def _is_object(handler: Callable[..., Any]) -> bool:
    call = getattr(type(handler), "__call__", None)  # noqa: B004
    return not isinstance(handler, type | FunctionType) and isinstance(call, FunctionType)


@dataclass(frozen=True, slots=True)
class HandedIn:
    """The parameters that decorators hand in.

    Attributes:
        names: Their names.
        others: Decorators hand in further ones, whose names their source does not show.
        is_known: The source of all decorators shows what they do.
    """

    names: frozenset[str] = frozenset()
    others: bool = False
    is_known: bool = True


def handed_in(layers: Iterable[Layer], parameters: list[inspect.Parameter]) -> HandedIn:
    """The parameters that decorators hand in. Where a decorator's source is missing, or does not
    call what it stands around, nothing is known of it and it counts as handing in nothing.

    Args:
        layers: The decorators, the outermost first.
        parameters: Those of the innermost function, without those up to the request.
    """
    names = {entry.name for entry in parameters if entry.kind is not entry.VAR_KEYWORD}
    positions = [
        entry.name
        for entry in parameters
        if entry.kind in (entry.POSITIONAL_ONLY, entry.POSITIONAL_OR_KEYWORD)
    ]
    found: set[str] = set()
    others, is_known = False, True
    for layer in reversed(list(layers)):
        said = _read_layer(layer)
        # The innermost decorator's arguments come first, those of decorators around it follow.
        by_position = {
            name for own, name in zip(said.positional, positions, strict=False) if own != name
        }
        found |= names & (said.names | by_position) - said.requires
        if said.accepts is not None:
            found |= names - said.accepts
        others = others or said.others
        is_known = is_known and said.is_known
        positions = positions[len(said.positional) :]
    return HandedIn(frozenset(found), others, is_known)


def _read_layer(layer: Layer) -> DecoratorCall:
    call = layer.call
    if isinstance(call, functools.partial):
        # Those by position are no longer counted: they precede the first.
        return DecoratorCall(set(call.keywords), [], is_known=True)
    is_object = _is_object(call)
    function = type(call).__call__ if is_object else call
    if not isinstance(function, FunctionType):
        return DecoratorCall(set(), [])
    return read_decorator(function, call if is_object else None, layer.inner, layer.first)
