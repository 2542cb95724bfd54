"""Reading a logging configuration from a file: JSON, YAML, or the one that is shipped."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from sanic_ms._extras import require
from sanic_ms.exception import ConfigError

__all__ = ["fill_in", "read_config", "shipped_text"]

_COMMENT = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
_SETTING = re.compile(r"\$([A-Z][A-Z0-9_]*)")


def shipped_text() -> str:
    """The shipped configuration, ``logging.yml``, as it stands in the package."""
    return resources.files("sanic_ms.telemetry.logging").joinpath("logging.yml").read_text("utf-8")


def read_config(path: str | None = None) -> dict[str, Any]:
    """A configuration as `logging.config.dictConfig` takes it, with its ``$NAME`` still in it.

    Args:
        path: A file that ends in ``.json``, ``.yml`` or ``.yaml``; default the shipped one. JSON
            with lines of comments is read without a YAML library, whatever the ending.

    Raises:
        ConfigError: there is no such file, or it is neither.
        MissingDependency: it is real YAML, and PyYAML is not installed.
    """
    if path is None:
        return _table(shipped_text(), "logging.yml", yaml=False)
    file = Path(path)
    if file.suffix not in (".json", ".yml", ".yaml"):
        raise ConfigError(f"LOG_CONFIG={path!r}: a file that ends in .yml, .yaml or .json is read")
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise ConfigError(f"LOG_CONFIG={path!r}: {reason}") from exc
    return _table(text, path, yaml=file.suffix != ".json")


def _table(text: str, path: str, *, yaml: bool) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(_COMMENT.sub("", text))
    except (msgspec.DecodeError, RecursionError) as exc:
        if not yaml:
            raise ConfigError(f"LOG_CONFIG={path!r}: {exc}") from exc
        library = require("yaml", "yaml", purpose=f"YAML files (LOG_CONFIG={path!r})")
        try:
            found = library.safe_load(text)
        except library.YAMLError as wrong:
            raise ConfigError(f"LOG_CONFIG={path!r}: {' '.join(str(wrong).split())}") from wrong
    if not isinstance(found, dict):
        raise ConfigError(f"LOG_CONFIG={path!r} holds no table but a {type(found).__name__}")
    return found


def fill_in(config: Any, names: dict[str, Any]) -> Any:
    """A copy of the configuration with each ``"$NAME"`` replaced by the value of that name.

    Raises:
        ConfigError: there is no such name.
    """
    if isinstance(config, dict):
        return {key: fill_in(value, names) for key, value in config.items()}
    if isinstance(config, list):
        return [fill_in(value, names) for value in config]
    match = _SETTING.fullmatch(config) if isinstance(config, str) else None
    if match is None:
        return config
    if match[1] not in names:
        raise ConfigError(f"LOG_CONFIG: ${match[1]} is no setting")
    return names[match[1]]
