"""``app.include``: the modules of an application, and what their decorators have marked."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from sanic_ms.exception import LifecycleError
from sanic_ms.values.marks import Mark, marked_in

__all__ = ["Inclusion"]

_MAIN = "__main__"


class Inclusion:
    """What a service has included.

    Args:
        service: The service; marks are registered with it.
    """

    def __init__(self, service: Any) -> None:
        self._service = service
        # The objects are kept, so that no other one gets their id.
        self._registered: dict[tuple[int, int], tuple[Callable[..., Any], Mark]] = {}

    def include(self, *names: str) -> None:
        """Import modules, and register what they have marked. See `Service.include`."""
        modules = {id(module): module for name in names for module in _modules_of(name)}
        for module in modules.values():
            for function, mark in marked_in(module):
                key = (id(function), id(mark))
                if key not in self._registered:
                    mark.register(self._service, function)
                    self._registered[key] = (function, mark)


def _modules_of(name: str) -> Iterator[ModuleType]:
    """A module, and all below it where it is a package; not a package's ``__main__``, which is a
    program."""
    module = _import(_checked(name))
    yield module
    for entry in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{name}."):
        if entry.name.rpartition(".")[2] != _MAIN:
            yield from _modules_of(entry.name)


def _checked(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"include({name!r}): give names of modules, as texts: include('shop.jobs')")
    if not all(part.isidentifier() for part in name.split(".")):
        raise ValueError(f"include({name!r}): that is no name of a module (write 'shop.jobs')")
    return name


def _import(name: str) -> ModuleType:
    """Import a module.

    Raises:
        LifecycleError: there is none of this name. What the module itself raises goes through.
    """
    if (loaded := sys.modules.get(name)) is not None:
        return loaded
    importlib.invalidate_caches()
    try:
        spec = importlib.util.find_spec(name)  # imports the packages around it
    except ModuleNotFoundError as exc:
        if exc.name is None or not f"{name}.".startswith(f"{exc.name}."):
            raise
        spec = None
    if spec is None:
        raise LifecycleError(f"include({name!r}): there is no module {name!r}")
    return sys.modules[_MAIN] if _is_program(spec) else importlib.import_module(name)


def _is_program(spec: ModuleSpec) -> bool:
    """Whether it is the file that runs as the main program: a second import of it would make its
    service twice."""
    file = getattr(sys.modules[_MAIN], "__file__", None)
    if not file or not spec.origin:
        return False
    return Path(file).absolute() == Path(spec.origin).absolute()
