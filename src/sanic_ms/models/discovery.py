"""Finding the models of an application."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

import peewee

from sanic_ms.exception import ConfigError, SanicMSError

__all__ = ["find_models"]


def find_models(modules: Iterable[str]) -> list[type[peewee.Model]]:
    """The models that stand for tables, those referred to before those that refer to them.

    A package is searched with everything below it. Models that a module merely imports from
    elsewhere are not its own. A base class is no table: a model that others subclass and that does
    not choose its own ``table_name``, or one that has no field but the implicit ``id``.

    Args:
        modules: Dotted names, as in the setting ``MODELS``.

    Raises:
        ConfigError: a module cannot be imported (with the file and line that failed), a name is
            given as one text, or two models stand for the same table.
    """
    if isinstance(modules, str):
        raise ConfigError(f"MODELS is {modules!r}: write a list of modules, [{modules!r}]")
    found: dict[type[peewee.Model], None] = {}
    for name in modules:
        for module in _with_submodules(name):
            found |= dict.fromkeys(_own_models(module))
    tables = [model for model in found if _is_table(model)]
    _refuse_shared_tables(tables)
    return list(peewee.sort_models(tables))  # type: ignore[attr-defined]  # not in its stubs


def _with_submodules(name: str) -> Iterator[ModuleType]:
    module = _import(name)
    yield module
    for entry in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{name}."):
        if not entry.name.endswith(".__main__"):
            yield from _with_submodules(entry.name)


def _import(name: str) -> ModuleType:
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except SanicMSError:
        raise
    except ModuleNotFoundError as exc:
        if exc.name is None or not f"{name}.".startswith(f"{exc.name}."):
            raise _failed(name, exc) from exc
        raise ConfigError(
            f"there is no module {name!r} (from the setting MODELS): it is looked for in "
            f"{Path.cwd()} and on the import path"
        ) from None
    except Exception as exc:
        raise _failed(name, exc) from exc


def _failed(name: str, exc: Exception) -> ConfigError:
    text = f"{type(exc).__name__}: {' '.join(str(exc).split())}"
    if isinstance(exc, SyntaxError):
        return ConfigError(f"{exc.filename}:{exc.lineno}: {type(exc).__name__}: {exc.msg}")
    for frame in reversed(traceback.extract_tb(exc.__traceback__)):
        file = Path(frame.filename)
        if file.is_relative_to(Path.cwd()) and "site-packages" not in file.parts:
            return ConfigError(f"{file.relative_to(Path.cwd())}:{frame.lineno}: {text}")
    return ConfigError(f"the module {name!r} cannot be imported: {text}")


def _own_models(module: ModuleType) -> Iterator[type[peewee.Model]]:
    for value in vars(module).values():
        if (
            inspect.isclass(value)
            and issubclass(value, peewee.Model)
            and value is not peewee.Model
            and value.__module__ == module.__name__
        ):
            yield value


def _is_table(model: type[peewee.Model]) -> bool:
    meta = model._meta
    if meta.table_name != meta.make_table_name():
        return True
    if model.__subclasses__():
        return False
    fields = meta.sorted_fields
    only_id = len(fields) == 1 and type(fields[0]) is peewee.AutoField and fields[0].name == "id"
    return not only_id


def _refuse_shared_tables(models: Iterable[type[peewee.Model]]) -> None:
    owners: dict[tuple[str | None, str], type[peewee.Model]] = {}
    for model in models:
        key = (model._meta.schema, model._meta.table_name)
        other = owners.setdefault(key, model)
        # A subclass on its parent's table is a view of the same rows.
        if other is not model and not issubclass(model, other) and not issubclass(other, model):
            raise ConfigError(
                f"two models stand for the table {key[1]!r}: {_name(other)} and {_name(model)}; "
                "give one of them another Meta.table_name"
            )


def _name(model: type[peewee.Model]) -> str:
    return f"{model.__module__}.{model.__name__}"
