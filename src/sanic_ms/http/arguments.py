"""The arguments of a handler, read from the request and its path."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sanic_ms.exception import FieldError, ValidationError
from sanic_ms.http.body import compile_body
from sanic_ms.http.cast_values import comes_cast
from sanic_ms.http.parameters import Reader, compile_parameter
from sanic_ms.http.request import Request
from sanic_ms.shapes.signature import Parameter, Signature
from sanic_ms.values.path import PathParameter

__all__ = [
    "ArgumentReader",
    "DeclaredParts",
    "compile_arguments",
    "explained",
    "place_in_path",
    "service_types",
]

ArgumentReader = Callable[[Request, dict[str, Any]], dict[str, Any]]
"""Takes the request and the values of the path; gives the arguments of the handler."""


def compile_arguments(
    signature: Signature, items: Sequence[tuple[str, Reader]] = ()
) -> ArgumentReader | None:
    """A function that reads all that a handler takes, but for services; None: it takes nothing.

    Args:
        signature: What the handler takes.
        items: What is read onto the request besides, by its key there.

    The function raises a `ValidationError` with everything that is wrong.
    """
    arguments = _readers(signature)
    # A path parameter under another name is passed under that one alone.
    renamed = frozenset(
        entry.wire_name for entry in signature.parameters if entry.source == "path"
    ) - {entry.name for entry in signature.parameters}
    left_out = renamed | signature.left_out
    if not items and not arguments and not left_out:
        return None

    def read_all(request: Request, path: dict[str, Any]) -> dict[str, Any]:
        errors: list[FieldError] = []
        for key, read in items:
            request[key] = read(request, path, errors)
        if arguments or left_out:
            given = {key: read(request, path, errors) for key, read in arguments}
            if left_out:
                path = {key: value for key, value in path.items() if key not in left_out}
            path = {**path, **given}
        if errors:
            raise ValidationError(errors)
        return path

    return read_all


class DeclaredParts:
    """The parts of a request that its route declares, read once: when a service asks for one of
    them, else after all services.

    Args:
        request: The request.
        path: The values of the path.
        read_all: See `compile_arguments`.
    """

    __slots__ = ("_arguments", "_path", "_read_all", "_request")

    def __init__(self, request: Request, path: dict[str, Any], read_all: ArgumentReader) -> None:
        self._request = request
        self._path = path
        self._read_all = read_all
        self._arguments: dict[str, Any] | None = None

    def read(self) -> dict[str, Any]:
        """The arguments of the handler.

        Raises:
            ValidationError: with everything that is wrong.
        """
        if self._arguments is None:
            self._arguments = self._read_all(self._request, self._path)
        return self._arguments


def service_types(signature: Signature) -> dict[str, Any]:
    """The parameters that the container gives, and their types or `Depends`."""
    return {
        entry.name: entry.annotation for entry in signature.parameters if entry.source == "service"
    }


def place_in_path(
    parameters: Iterable[Parameter], path: Mapping[str, PathParameter], is_encoded: bool
) -> tuple[Parameter, ...]:
    """Parameters with what is known of their place in a route's path.

    Args:
        parameters: The parameters; those of other parts of the request stay as they are.
        path: The parameters of the path, by name.
        is_encoded: Whether they come percent-encoded.
    """

    def placed(entry: Parameter) -> Parameter:
        gives = path[entry.wire_name].gives
        # What has another name in the path is passed under that of the handler.
        is_cast = entry.name == entry.wire_name and comes_cast(entry.annotation, gives)
        return replace(entry, is_encoded=is_encoded, is_cast=is_cast, gives=gives)

    return tuple(placed(entry) if entry.source == "path" else entry for entry in parameters)


def explained(call: Callable[..., Any], text: str) -> Callable[..., Any]:
    """A handler in a decorator that is called with too much or too little: the error says who was
    to give what."""

    def explain(exc: TypeError) -> None:
        if "argument" in str(exc):
            exc.add_note(text)

    if not inspect.iscoroutinefunction(call):

        @functools.wraps(call)
        def call_explained(*args: Any, **keywords: Any) -> Any:
            try:
                return call(*args, **keywords)
            except TypeError as exc:
                explain(exc)
                raise

        return call_explained

    @functools.wraps(call)
    async def await_explained(*args: Any, **keywords: Any) -> Any:
        try:
            return await call(*args, **keywords)
        except TypeError as exc:
            explain(exc)
            raise

    return await_explained


def _readers(signature: Signature) -> list[tuple[str, Reader]]:
    readers: list[tuple[str, Reader]] = []
    for entry in signature.parameters:
        if entry.source == "body":
            readers.append((entry.name, compile_body(entry.annotation, default=entry.default)))
        elif entry.source != "service" and not entry.is_cast:
            readers.append((entry.name, compile_parameter(entry)))
    return readers
