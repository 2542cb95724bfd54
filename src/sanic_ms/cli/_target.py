"""From ``module:attribute`` to the service it names."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from sanic_ms.cli._errors import CommandError, describe
from sanic_ms.exception import SanicMSError

if TYPE_CHECKING:
    from sanic_ms.service import Service

__all__ = ["DEFAULT_TARGET", "NoServiceError", "enter", "load_service"]

DEFAULT_TARGET = "server:app"


class NoServiceError(CommandError):
    """The module is there, and holds no service."""


def enter(directory: Path | None) -> None:
    """Make a folder the working directory and the first place to import from.

    Raises:
        CommandError: there is no such folder.
    """
    if directory is not None:
        try:
            os.chdir(directory)
        except OSError as exc:
            raise CommandError(f"--dir {directory}: {exc.strerror}") from None
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)


def load_service(target: str = DEFAULT_TARGET) -> Service:
    """Import a module and take the service from it.

    Args:
        target: ``module:attribute``; the attribute may be a function that makes the service.
            With the module alone it is ``app``, or the only service in the module.

    Raises:
        CommandError: the module is missing or raises, or there is no service in it, or several.
        SanicMSError: what the application's own code raised of the framework's errors.
    """
    module_name, _, attribute = target.partition(":")
    module = _import(module_name)
    if not attribute or (target == DEFAULT_TARGET and not hasattr(module, "app")):
        return _only_service(module, module_name)
    value: Any = module
    for part in attribute.removesuffix("()").split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            raise CommandError(f"{_file(module)} has no {attribute!r}") from None
    if isinstance(value, FunctionType):
        value = _call(value, target)
    return _checked(value, target)


def _import(name: str) -> ModuleType:
    if name.endswith(".py") or "/" in name:
        raise CommandError(
            f"{name!r} is a file; name the module (server:app), and its folder with --dir"
        )
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name is not None and f"{name}.".startswith(f"{exc.name}."):
            raise CommandError(
                f"there is no module {exc.name!r} in {Path.cwd()}: name the service as "
                "module:attribute, and its folder with --dir"
            ) from None
        raise CommandError(describe(exc)) from exc
    except SanicMSError:
        raise
    except Exception as exc:
        raise CommandError(describe(exc)) from exc


def _only_service(module: ModuleType, name: str) -> Service:
    from sanic_ms.service import Service

    app = getattr(module, "app", None)
    if isinstance(app, Service):
        return app
    found = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, Service) and not key.startswith("_")
    }
    services = {id(value): value for value in found.values()}
    if len(services) == 1:
        return next(iter(services.values()))
    if not services:
        raise NoServiceError(f"{_file(module)} holds no Service (write app = Service('name'))")
    choices = ", ".join(f"{name}:{key}" for key in sorted(found))
    raise CommandError(f"{_file(module)} holds several services; choose one of {choices}")


def _call(function: FunctionType, target: str) -> Any:
    try:
        return function()
    except SanicMSError:
        raise
    except Exception as exc:
        raise CommandError(f"{target}() failed: {describe(exc)}") from exc


def _checked(value: Any, target: str) -> Service:
    from sanic_ms.service import Service

    if not isinstance(value, Service):
        raise NoServiceError(f"{target} is a {type(value).__name__}, not a sanic_ms.Service")
    return value


def _file(module: ModuleType) -> str:
    return Path(module.__file__).name if module.__file__ else module.__name__
