"""The places that settings come from, each read into values that know their origin."""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import sys
import threading
import tomllib
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from sanic_ms.config.dotenv import DotenvEntry, read_dotenv
from sanic_ms.config.given import Given, Layer
from sanic_ms.config.secret_files import from_folder, with_files
from sanic_ms.config.settings import Settings
from sanic_ms.exception import ConfigError

__all__ = [
    "from_dotenv",
    "from_environment",
    "from_keywords",
    "from_module",
    "from_secrets",
    "from_toml",
    "load_dotenv",
]


# Two threads that do it at once fail with a KeyError.
_invalidating = threading.Lock()


def from_module(name: str, directory: Path, *, required: bool) -> Layer:
    """The upper-case names of a settings module, imported from a folder.

    A module that was imported already from the same file is used as it is. One of the same name
    from another folder is left alone, and this one is read beside it. Classes and modules are not
    settings, whatever their name.

    Args:
        name: A module's dotted name.
        directory: The folder to look in; for a required module the import path follows.
        required: False takes a missing module as an empty one, and looks nowhere else.

    Raises:
        ConfigError: the module is missing and required, or it raises: with file and line.
    """
    with _first_on_path(directory):
        spec = _find(name, directory, required=required)
        if spec is None:
            if not required:
                return {}
            raise ConfigError(f"the settings module {name!r} is not in {directory} or on sys.path")
        module = _execute(name, spec)
    source = Path(spec.origin).name if spec.origin else name
    return {
        key: Given(value, source)
        for key, value in vars(module).items()
        if key.isupper() and not key.startswith("_") and not isinstance(value, type | ModuleType)
    }


def from_toml(path: Path, *, required: bool) -> Layer:
    """The top level of a TOML file; names may be in lower or upper case.

    Raises:
        ConfigError: the file is missing and required, cannot be read, is not TOML, or has a name
            in both cases.
    """
    text = _read(path, required=required)
    if text is None:
        return {}
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{path.name}: {exc}") from None
    layer: Layer = {}
    for key, value in table.items():
        if key.upper() in layer:
            raise ConfigError(f"{path.name}: {key!r} is there twice, in upper and lower case")
        layer[key.upper()] = Given(value, path.name)
    return layer


def load_dotenv(path: Path) -> dict[str, DotenvEntry]:
    """The entries of a ``.env`` file, none if there is no such file.

    Raises:
        ConfigError: it cannot be read, or a line is wrong.
    """
    text = _read(path, required=False)
    return {} if text is None else read_dotenv(text, name=path.name)


def from_dotenv(
    entries: Mapping[str, DotenvEntry], prefixes: Sequence[str], kind: type[Settings], folder: Path
) -> Layer:
    """The entries as a layer; a name with a prefix wins over the bare one, and one with a later
    prefix over those before. ``NAME_FILE`` gives the setting ``NAME``; see `with_files`."""
    given = {key: Given(entry.value, f".env line {entry.line}") for key, entry in entries.items()}
    return _prefixed_first(given, prefixes, lambda layer: with_files(layer, kind, folder))


def from_environment(
    env: Mapping[str, str], prefixes: Sequence[str], kind: type[Settings], folder: Path
) -> Layer:
    """Environment variables as a layer; prefixes and files count as for `from_dotenv`."""
    given = {key: Given(value, f"environment variable {key}") for key, value in env.items()}
    return _prefixed_first(given, prefixes, lambda layer: with_files(layer, kind, folder))


def from_secrets(
    path: Path, prefixes: Sequence[str], kind: type[Settings], *, required: bool
) -> Layer:
    """The files of a folder of secrets as a layer; see `from_folder`."""
    upper = [prefix.upper() for prefix in prefixes]  # as the names of the files are taken
    return _prefixed_first(from_folder(path, kind, upper, required=required), upper)


def from_keywords(keywords: Mapping[str, Any], source: str = "keyword") -> Layer:
    """Keywords as a layer; their names may be in lower or upper case."""
    return {key.upper(): Given(value, source) for key, value in keywords.items()}


def _prefixed_first(
    given: Layer, prefixes: Sequence[str], refine: Callable[[Layer], Layer] = dict
) -> Layer:
    layers: dict[str, Layer] = {prefix: {} for prefix in ("", *prefixes)}
    for key, value in given.items():
        # The longest: SANIC_ begins a name with SANIC_MS_, too.
        prefix = max((prefix for prefix in layers if key.startswith(prefix)), key=len)
        layers[prefix][key.removeprefix(prefix)] = value
    return {key: value for layer in map(refine, layers.values()) for key, value in layer.items()}


def _read(path: Path, *, required: bool) -> str | None:
    try:
        # A byte order mark, which some editors write, is not part of the first name.
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if not required:
            return None
        raise ConfigError(f"the settings file {path} does not exist") from None
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path.name} is not UTF-8: byte {exc.start} is {exc.reason}") from None
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}") from None


@contextlib.contextmanager
def _first_on_path(directory: Path) -> Iterator[None]:
    """The folder as the first of the import path; the path is as before afterwards."""
    entry = str(directory)
    sys.path.insert(0, entry)
    # A module written a moment ago is not seen while the finder trusts its listing of the folder.
    with _invalidating:
        importlib.invalidate_caches()
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(entry)


def _find(name: str, directory: Path, *, required: bool) -> importlib.machinery.ModuleSpec | None:
    parent, _, _ = name.rpartition(".")
    if not parent:
        path = sys.path if required else [str(directory)]
        spec = importlib.machinery.PathFinder.find_spec(name, path)
    else:
        try:
            package = importlib.import_module(parent)
        except ModuleNotFoundError as exc:
            if exc.name is not None and f"{name}.".startswith(f"{exc.name}."):
                return None
            raise _failed(parent, exc) from exc
        except Exception as exc:
            raise _failed(parent, exc) from exc
        spec = importlib.machinery.PathFinder.find_spec(name, getattr(package, "__path__", []))
    # A folder without an __init__.py is found as a namespace, and holds no settings.
    return spec if spec is not None and spec.loader is not None and spec.has_location else None


def _execute(name: str, spec: importlib.machinery.ModuleSpec) -> ModuleType:
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) == spec.origin:
        return loaded
    module = importlib.util.module_from_spec(spec)
    assert spec.loader is not None  # _find returns no other
    # Registered if the name is free, so that "import settings" elsewhere gives this very module
    # instead of running its code a second time.
    if loaded is None:
        sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as exc:
        if loaded is None:
            sys.modules.pop(name, None)
        raise _failed(name, exc, spec.origin) from exc
    return module


def _failed(name: str, exc: Exception, origin: str | None = None) -> ConfigError:
    """The error of a module that raised: with the deepest place that is in its own file."""
    file, line = origin or name, 0
    if isinstance(exc, SyntaxError) and exc.filename:
        file, line = exc.filename, exc.lineno or 0
    else:
        for frame in reversed(traceback.extract_tb(exc.__traceback__)):
            if frame.filename == origin:
                line = frame.lineno or 0
                break
    place = f"{Path(file).name} line {line}" if line else f"the settings module {name!r}"
    text = exc.msg if isinstance(exc, SyntaxError) else str(exc)
    reason = " ".join(text.split())
    return ConfigError(f"{place}: {type(exc).__name__}{f': {reason}' if reason else ''}")
