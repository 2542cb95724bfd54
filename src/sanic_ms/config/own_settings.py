"""The class of an application's own settings: what it may say again of the framework's."""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any, Literal, Union

import msgspec

from sanic_ms.config.settings import Settings

__all__ = ["check_settings_class"]


def check_settings_class(cls: object) -> None:
    """Check that a class can hold the settings of a service.

    A subclass of `Settings` may give one of the framework's settings another default, or a type
    that takes less (``str`` where it is ``str | None``). Another type would reach the framework.

    Raises:
        TypeError: it is no subclass of `Settings`, or gives one of the framework another type.
    """
    if not isinstance(cls, type) or not issubclass(cls, Settings):
        what = f"the class {cls.__name__}" if isinstance(cls, type) else repr(cls)
        raise TypeError(
            f"settings={what}: give a subclass of sanic_ms.Settings (class ShopSettings(Settings, "
            "frozen=True, kw_only=True)); values are given with app.configure(…)"
        )
    base = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    for field in msgspec.structs.fields(cls):
        expected = base.get(field.name)
        if expected is not None and not _narrows(field.type, expected):
            raise TypeError(
                f"{cls.__name__}.{field.name} has the name of the framework's setting "
                f"{field.name.upper()}, which is {_shown(expected)} and not {_shown(field.type)}: "
                "choose another name"
            )


def _narrows(own: Any, base: Any) -> bool:
    """Whether each value of a type is one of another."""
    own, base = _plain(own), _plain(base)
    if own == base or base is Any:
        return True
    if _is_union(own):
        return all(_narrows(member, base) for member in typing.get_args(own))
    if _is_union(base):
        return any(_narrows(own, member) for member in typing.get_args(base))
    if typing.get_origin(own) is Literal:
        values = typing.get_args(own)
        if typing.get_origin(base) is Literal:
            return set(values) <= set(typing.get_args(base))
        return all(type(value) is base for value in values)
    if isinstance(own, type) and isinstance(base, type):
        return issubclass(own, base) and own is not bool
    return False


def _plain(annotation: Any) -> Any:
    while typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    return annotation


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (Union, types.UnionType)


def _shown(annotation: Any) -> str:
    annotation = _plain(annotation)
    if _is_union(annotation):
        return " | ".join(map(_shown, typing.get_args(annotation)))
    if annotation is type(None):
        return "None"
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
