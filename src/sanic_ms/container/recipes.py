"""How a value is made: what is called, and where each of its parameters comes from."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Annotated, Any

from sanic_ms.shapes.annotations import resolve, where
from sanic_ms.shapes.markers import Marker, split_marker
from sanic_ms.shapes.scalars import type_of_default
from sanic_ms.shapes.signature import REQUIRED, Parameter, classify, reject_marker
from sanic_ms.values.depends import Depends

__all__ = ["Recipe", "read_recipe"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a value is made.

    Attributes:
        call: The class or function.
        needs: The parameters that are dependencies themselves: their names, and a type or a
            `Depends` for each.
        parameters: Those that are read from the request.
        yields: It is a generator function, sync or async.
    """

    call: Callable[..., Any]
    needs: tuple[tuple[str, Any], ...] = ()
    parameters: tuple[Parameter, ...] = ()
    yields: bool = False


def read_recipe(
    call: Callable[..., Any],
    *,
    by_type: bool,
    is_service: Callable[[Any], bool],
    request_type: Any,
    path_names: frozenset[str] = frozenset(),
) -> Recipe:
    """Read the signature of a class or function that makes a value.

    Args:
        call: The class or function.
        by_type: It was provided for a type: parameters with a default keep it, and the others are
            dependencies unless a marker says otherwise. Else it stands in a `Depends`, and its
            parameters are filled like those of a handler.
        is_service: Whether a type is provided, or is the request's.
        request_type: A type of requests: that of a parameter ``request`` without an annotation.
        path_names: The parameters of the route's path.

    Raises:
        TypeError: nothing gives a parameter. The text has the function's place.
    """
    call = _generator_function(call)
    reader = _RecipeReader(call, is_service, request_type, path_names)
    needs: list[tuple[str, Any]] = []
    parameters = []
    for parameter in _parameters(call):
        entry = reader.provided(parameter) if by_type else reader.filled(parameter)
        if entry is not None and entry.source == "service":
            needs.append((entry.name, entry.annotation))
        elif entry is not None:
            parameters.append(entry)
    return Recipe(call, tuple(needs), tuple(parameters), _yields(call))


class _RecipeReader:
    """Says of each parameter where it comes from; see `read_recipe`."""

    def __init__(
        self,
        call: Callable[..., Any],
        is_service: Callable[[Any], bool],
        request_type: Any,
        path_names: frozenset[str],
    ) -> None:
        self._function = _function_of(call)
        self._is_service = is_service
        self._request_type = request_type
        self._path_names = path_names
        self._hints, self._unresolved = _hints(call, self._function)

    def provided(self, parameter: inspect.Parameter) -> Parameter | None:
        name, has_default = parameter.name, parameter.default is not REQUIRED
        annotation = self._annotation(parameter)
        if annotation is REQUIRED and has_default:
            return None
        if annotation is REQUIRED:
            why = self._unresolved.get(name, f"the parameter {name!r} has no annotation")
            raise TypeError(f"{where(self._function)}: {why}")
        if split_marker(annotation)[1] is not None:
            return self._classified(parameter, annotation)
        if has_default:
            return None
        if typing.get_origin(annotation) is Annotated:
            annotation = typing.get_args(annotation)[0]
        return Parameter(name, "service", annotation, name)

    def filled(self, parameter: inspect.Parameter) -> Parameter | None:
        name = parameter.name
        annotation = self._annotation(parameter)
        if annotation is REQUIRED and name in self._path_names:
            annotation = Any
        elif annotation is REQUIRED and name == "request":
            annotation = self._request_type
        elif annotation is REQUIRED:
            annotation = type_of_default(parameter.default) or REQUIRED
        if annotation is REQUIRED and parameter.default is not REQUIRED:
            return None
        if annotation is REQUIRED:
            why = self._unresolved.get(name, "it has no annotation")
            raise self._unfilled(name, why)
        return self._classified(parameter, annotation)

    def _annotation(self, parameter: inspect.Parameter) -> Any:
        if isinstance(parameter.default, Marker | Depends):
            reject_marker(self._function, parameter)
        return self._hints.get(parameter.name, REQUIRED)

    def _classified(self, parameter: inspect.Parameter, annotation: Any) -> Parameter:
        entry = classify(parameter, annotation, self._path_names, self._is_service, self._function)
        if entry.source == "body":
            kind = getattr(entry.annotation, "__name__", repr(entry.annotation))
            raise self._unfilled(
                parameter.name,
                f"no {kind} is provided (service.provide({kind}, …)), and a dependency has no body "
                "(take the request: request.data(…))",
            )
        return entry

    def _unfilled(self, name: str, why: str) -> TypeError:
        return TypeError(
            f"{where(self._function)}: nothing gives the parameter {name!r} of this dependency: "
            f"{why}"
        )


def _parameters(call: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters that are filled. A partial's keywords are not: they are the program's, and a
    client must not choose them."""
    bound: set[str] = set()
    inner: Any = call
    while isinstance(inner, functools.partial):
        bound |= set(inner.keywords)
        inner = inner.func
    try:
        parameters = list(inspect.signature(call).parameters.values())
    except ValueError:  # one that is written in C, and does not say
        return []
    found = []
    for entry in parameters:
        if entry.kind in (entry.VAR_POSITIONAL, entry.VAR_KEYWORD) or entry.name in bound:
            continue
        if entry.kind is entry.POSITIONAL_ONLY:
            if entry.default is REQUIRED:
                raise TypeError(
                    f"{where(_function_of(call))}: the parameter {entry.name!r} is passed by its "
                    "name, and stands before the / of the signature"
                )
            continue
        found.append(entry)
    return found


def _function_of(call: Any) -> Any:
    """What has the annotations of a class, a partial, a decorated function or an object."""
    while isinstance(call, functools.partial):
        call = call.func
    if isinstance(call, type):
        return call.__init__  # type: ignore[misc]
    if not inspect.isroutine(call):
        call = type(call).__call__
    return inspect.unwrap(call)


def _hints(call: Any, function: Any) -> tuple[dict[str, Any], dict[str, str]]:
    if isinstance(call, type) and not isinstance(function, FunctionType):
        try:  # a Struct: its signature is that of its fields
            return typing.get_type_hints(call, include_extras=True), {}
        except Exception as exc:
            raise TypeError(
                f"{call.__qualname__}: an annotation cannot be resolved: {exc}"
            ) from exc
    return resolve(function, frozenset(("return",)), {})


def _generator_function(call: Any) -> Any:
    """The function below ``@contextmanager`` or ``@asynccontextmanager``."""
    scope = getattr(call, "__globals__", {})
    wrapped = getattr(call, "__wrapped__", None)
    return wrapped if wrapped is not None and scope.get("__name__") == "contextlib" else call


def _yields(call: Any) -> bool:
    if isinstance(call, type):
        return False
    function = _function_of(call)
    return inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function)
