"""The key of a call: the function's name, and the values of its declared parameters."""

from __future__ import annotations

import hashlib
import inspect
import json
import string
from collections.abc import Callable, Mapping
from typing import Any, Protocol, get_type_hints

import msgspec

from sanic_ms.context import current_request
from sanic_ms.shapes import ENCODER

__all__ = ["CallKey", "ServiceTypes", "formatted", "of_request_text"]

_LONGEST = 200  # characters of values that stand in a key as they are


class ServiceTypes(Protocol):
    """Knows which types are those of services; a `Service` does."""

    def is_injected(self, annotation: Any) -> bool:
        """Whether a parameter of this type gets a service or the request."""

    def is_of_request(self, annotation: Any) -> bool:
        """Whether a parameter of this type gets a service that is made for each request."""


class CallKey:
    """Makes keys of the calls of one function.

    Args:
        function: The function or method.
        written: ``key=`` of the decorator: a text with ``{parameter}`` in it, or a function of the
            same arguments; None: all declared values.

    Attributes:
        name: The function's name, with its module.
    """

    def __init__(
        self, function: Callable[..., Any], written: str | Callable[..., str] | None
    ) -> None:
        self._function = function
        self._written = written
        self._signature = inspect.signature(function)
        self.name = f"{function.__module__}.{function.__qualname__}"
        self._hints: dict[str, Any] | None = None
        first = next(iter(self._signature.parameters), "")
        owner = function.__qualname__.rpartition(".")[0]
        is_method = bool(owner) and not owner.endswith("<locals>")
        self._self = first if is_method and first in ("self", "cls") else None
        self._owner = f"{function.__module__}.{owner}"
        self._escapes = isinstance(written, str) and _count_fields(written) > 1

    def arguments(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call by parameter, defaults too.

        Raises:
            TypeError: the function cannot be called with them.
        """
        bound = self._signature.bind(*args, **keywords)
        bound.apply_defaults()
        return bound.arguments

    def key(self, arguments: Mapping[str, Any], types: ServiceTypes) -> str:
        """The key of a call.

        Args:
            arguments: See `arguments`.
            types: Says what is a request or an injected service, which are no part of a key.

        Raises:
            TypeError: a value is no data, or a service that is made for each request; the text
                says what to do.
        """
        name = f"{self.name}:{self._heir(arguments)}"
        if callable(self._written):
            written = self._written(**arguments)
            return f"{name}{_checked(written)}"
        if self._written is not None:
            return f"{name}{formatted(self._written, arguments, escapes=self._escapes)}"
        values = [
            self._encoded(name, value)
            for name, value in arguments.items()
            if not self._is_left_out(name, value, types)
        ]
        text = ",".join(values)
        if len(text) > _LONGEST:
            text = hashlib.blake2b(text.encode(), digest_size=20).hexdigest()
        return f"{name}{text}"

    def returned(self) -> Any:
        """What the function is annotated to return; None where that says nothing."""
        returned = self._types().get("return")
        return None if returned in (Any, None, type(None)) else returned

    def _heir(self, arguments: Mapping[str, Any]) -> str:
        """The class of ``self`` where it has inherited the method: its values are its own."""
        owner = None if self._self is None else arguments[self._self]
        if owner is None:
            return ""
        kind = owner if isinstance(owner, type) else type(owner)
        name = f"{kind.__module__}.{kind.__qualname__}"
        return "" if name == self._owner else f"{name}:"

    def _is_left_out(self, name: str, value: Any, types: ServiceTypes) -> bool:
        if name == self._self or (value is not None and value is current_request.get()):
            return True
        annotation = self._types().get(name)
        if annotation is None and value is None and name == "request":
            return True  # of a handler: ``handler.invalidate(None, …)``
        if types.is_of_request(annotation):
            raise TypeError(f"cached({self.name}): {of_request_text(name)}")
        return types.is_injected(annotation)

    def _types(self) -> dict[str, Any]:
        if self._hints is None:
            try:
                self._hints = get_type_hints(self._function)
            except Exception as exc:
                raise TypeError(
                    f"cached({self.name}): an annotation cannot be resolved: {exc}"
                ) from exc
        return self._hints

    def _encoded(self, name: str, value: Any) -> str:
        kind = self._signature.parameters[name].kind
        try:
            data = msgspec.json.encode(value, enc_hook=ENCODER.enc_hook, order="deterministic")
        except (TypeError, ValueError, msgspec.MsgspecError) as exc:
            raise TypeError(
                f"cached({self.name}): the value of {name!r} is no data ({exc}): give key=, or "
                "provide() its type if it is a service"
            ) from exc
        return f"{name}={data.decode()}" if kind is inspect.Parameter.VAR_KEYWORD else data.decode()


def of_request_text(name: str) -> str:
    """What is wrong with a parameter that gets a service which is made for each request."""
    return (
        f"{name!r} is made for each request, and services are no part of the key, so that one "
        "caller would get what is another's: take the data of it that matter as a parameter "
        "(Depends gives one to a handler), or give key="
    )


class _Escaping(string.Formatter):
    """Writes each value between quotes, so that none takes what stands behind it for its own:
    ``a:b`` and ``c`` in ``{x}:{y}`` are not ``a`` and ``b:c``."""

    def format_field(self, value: Any, format_spec: str) -> str:
        return json.dumps(super().format_field(value, format_spec))


def _count_fields(template: str) -> int:
    return sum(name is not None for _, name, _, _ in string.Formatter().parse(template))


def formatted(template: str, arguments: Mapping[str, Any], *, escapes: bool = False) -> str:
    """A text with the values of parameters in the place of their names.

    Args:
        escapes: Values stand between quotes.

    Raises:
        TypeError: it names what is no parameter.
    """
    try:
        if escapes:
            return _Escaping().vformat(template, (), arguments)
        return template.format_map(arguments)
    except (LookupError, AttributeError, ValueError) as exc:
        raise TypeError(f"cached: {template!r} cannot be written: {exc!r}") from exc


def _checked(written: object) -> str:
    if not isinstance(written, str):
        raise TypeError(f"cached: key= gave {written!r}, which is no text")
    return written
