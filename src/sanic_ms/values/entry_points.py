"""Entry points: what other installed packages add to this one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sanic_ms.exception import ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["COMMANDS", "DRIVERS", "entry_names", "load_entry"]

COMMANDS = "sanic_ms.commands"
DRIVERS = "sanic_ms.drivers"


def entry_names(group: str) -> list[str]:
    """The names that installed packages have in a group, sorted. Nothing is imported; the
    metadata of every installed package is read, so ask only where it is needed."""
    return sorted({entry.name for entry in _entries(group)})


def load_entry(group: str, name: str) -> Any:
    """Import what a package offers under a name; None where none does.

    Raises:
        ConfigError: it cannot be imported, or two packages offer the name. One line with the
            package.
    """
    entries = _distinct(entry for entry in _entries(group) if entry.name == name)
    if not entries:
        return None
    if len(entries) > 1:
        packages = " and ".join(sorted(map(_package, entries)))
        raise ConfigError(f"{group} {name!r} is offered by several packages: {packages}")
    try:
        return entries[0].load()
    except Exception as exc:
        reason = " ".join(f"{type(exc).__name__}: {exc}".split())
        raise ConfigError(
            f"{group} {name!r} of {_package(entries[0])} cannot be loaded: {reason}"
        ) from exc


def _entries(group: str) -> Iterable[EntryPoint]:
    from importlib.metadata import entry_points  # takes long, and is rarely needed

    return entry_points(group=group)


def _distinct(entries: Iterable[EntryPoint]) -> list[EntryPoint]:
    """Without those that stand there twice: a package that is found in two folders of the path."""
    return list({(entry.value, _package(entry)): entry for entry in entries}.values())


def _package(entry: EntryPoint) -> str:
    package = entry.dist
    return "an unnamed package" if package is None else f"{package.name} {package.version}"
