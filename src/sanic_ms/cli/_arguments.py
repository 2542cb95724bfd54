"""The parameters of a command's function: what of them the command line gives, and what a service.

A parameter without a default is an argument, one with a default (and every keyword-only one) an
option. What is no type of the command line is injected, as in a handler.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union
from uuid import UUID

import typer
from typer.models import ParameterInfo

from sanic_ms.cli._errors import CommandError
from sanic_ms.shapes.markers import split_marker
from sanic_ms.values.depends import Depends

if TYPE_CHECKING:
    from sanic_ms.commands import Command
    from sanic_ms.service import Service

__all__ = ["CommandParameters", "help_of", "parameters_of"]

_PLAIN = (str, int, float, bool, Path, UUID, datetime)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_SECTION = re.compile(r"^(Args|Arguments|Returns|Raises|Yields|Examples?|Notes?):\s*$", re.M)
_ENTRY = re.compile(r"(\w+)(?:\s*\([^)]*\))?:\s*(.*)")


@dataclass(frozen=True, slots=True)
class CommandParameters:
    """The parameters of one command.

    Attributes:
        options: Those of the command line, as Typer takes them.
        needs: The types to inject, by parameter.
    """

    options: list[inspect.Parameter]
    needs: dict[str, Any]

    def call(self, function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
        """Call the function with a value for each parameter."""
        parameters = inspect.signature(function).parameters.values()
        positional = [
            values[entry.name] for entry in parameters if entry.kind is entry.POSITIONAL_ONLY
        ]
        named = [entry.name for entry in parameters if entry.kind is not entry.POSITIONAL_ONLY]
        return function(*positional, **{name: values[name] for name in named})


def parameters_of(command: Command, service: Service) -> CommandParameters:
    """Divide a command's parameters.

    Raises:
        CommandError: one has no annotation, or one that cannot be resolved, or is ``*args``.
    """
    function = command.function
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception as exc:
        raise CommandError(
            f"the command {command.name}: an annotation cannot be resolved: {exc}"
        ) from exc
    texts = _parameter_texts(inspect.getdoc(function) or "")
    options, needs = [], {}
    for name, parameter in inspect.signature(function).parameters.items():
        place = f"the command {command.name}: the parameter {name}"
        if parameter.kind in _VARIADIC:
            raise CommandError(f"{place} takes any number; write {name}: list[str]")
        if name not in hints:
            raise CommandError(f"{place} has no annotation (write {name}: str)")
        annotation, marker = split_marker(hints[name])
        if isinstance(marker, Depends):
            needs[name] = marker.of(annotation)
        elif hints[name] in service.container or not _is_option(hints[name]):
            needs[name] = hints[name]
        else:
            options.append(_option(parameter, hints[name], texts.get(name)))
    return CommandParameters(options, needs)


def help_of(command: Command) -> str:
    """The docstring of a command's function, without the sections about parameters and errors."""
    return _SECTION.split(inspect.getdoc(command.function) or "", maxsplit=1)[0].strip()


def _is_option(annotation: Any) -> bool:
    """Whether values of a type can be written on the command line."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return any(isinstance(entry, ParameterInfo) for entry in args) or _is_option(args[0])
    if origin in (Union, UnionType):
        rest = [entry for entry in args if entry is not NoneType]
        return len(rest) == 1 and _is_option(rest[0])
    if origin in (list, tuple):
        return all(entry is Ellipsis or _is_option(entry) for entry in args)
    if origin is Literal:
        return True
    if not isinstance(annotation, type):
        return False
    return issubclass(annotation, Enum) or annotation in _PLAIN or annotation in _PARSERS


def _option(parameter: inspect.Parameter, annotation: Any, text: str | None) -> inspect.Parameter:
    """A parameter as Typer takes it; one that has Typer's own ``Annotated`` stays as it is."""
    default = parameter.default
    if typing.get_origin(annotation) is Annotated:
        metadata = typing.get_args(annotation)[1:]
        if any(isinstance(entry, ParameterInfo) for entry in metadata):
            return inspect.Parameter(
                parameter.name, parameter.KEYWORD_ONLY, default=default, annotation=annotation
            )
        annotation = typing.get_args(annotation)[0]  # the rest is not for the command line
    kind = _kind_of(annotation)
    further: dict[str, Any] = {"help": text}
    if kind in _PARSERS:
        further |= {"parser": _PARSERS[kind], "metavar": kind.__name__.upper()}
    required = default is parameter.empty
    if required and parameter.kind is not parameter.KEYWORD_ONLY:
        info = typer.Argument(..., **{"metavar": parameter.name.upper(), **further})
    else:
        info = typer.Option(... if required else default, **further)
    return inspect.Parameter(
        parameter.name, parameter.KEYWORD_ONLY, default=info, annotation=annotation
    )


def _kind_of(annotation: Any) -> Any:
    """The type of one value: that of an element, and without None."""
    while args := [entry for entry in typing.get_args(annotation) if entry is not NoneType]:
        if typing.get_origin(annotation) is Literal:
            break
        annotation = args[0]
    return annotation


def _parsed_date(value: str | date) -> date:
    return date.fromisoformat(value) if isinstance(value, str) else value


def _parsed_decimal(value: str | Decimal) -> Decimal:
    try:
        return Decimal(value)
    except ArithmeticError:
        raise ValueError(f"{value!r} is no number") from None


# Types that Typer does not know. A default is parsed as well.
_PARSERS: dict[Any, Callable[[Any], Any]] = {date: _parsed_date, Decimal: _parsed_decimal}


def _parameter_texts(text: str) -> dict[str, str]:
    """What the section ``Args:`` of a docstring says of each parameter."""
    parts = _SECTION.split(text)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    texts: dict[str, str] = {}
    name, indent = "", 0
    for line in (sections.get("Args") or sections.get("Arguments") or "").splitlines():
        depth = len(line) - len(line.lstrip())
        found = _ENTRY.match(line.strip())
        if found and (not name or depth <= indent):
            name, indent = found[1], depth
            texts[name] = found[2]
        elif name and line.strip():
            texts[name] += f" {line.strip()}"
    return texts
