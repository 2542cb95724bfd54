"""The modules that are compiled: one place that says whether they are used."""

from __future__ import annotations

import importlib
import os
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

__all__ = ["compiled", "is_compiled"]

_PACKAGE = Path(__file__).parent


def compiled(name: str) -> ModuleType | None:
    """A compiled module, or None where the Python that it stands for is to be used.

    That is so where it was not built, since there was no C compiler, and in a process that is
    started with ``SANIC_MS_PURE=1`` in its environment, to look for a fault without compiled code.

    Args:
        name: Its dotted name.

    Raises:
        ImportError: it was built and cannot be imported.
    """
    if _is_off():
        return None
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name != name:
            raise
        return None


def is_compiled() -> bool:
    """Whether requests are served by compiled code; nothing is imported to tell."""
    return not _is_off() and PathFinder.find_spec("_short", [str(_PACKAGE / "server")]) is not None


def _is_off() -> bool:
    return os.environ.get("SANIC_MS_PURE", "0") not in ("", "0")
