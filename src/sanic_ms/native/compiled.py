"""The modules that are compiled: one place that says whether they are used."""

from __future__ import annotations

import importlib
import os
import warnings
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

__all__ = ["compiled", "is_compiled"]

_PACKAGE = Path(__file__).parents[1]


def compiled(name: str) -> ModuleType | None:
    """A compiled module, or None where the Python that it stands for is to be used.

    That is so where it was not built, since there was no C compiler, and in a process that is
    started with ``SANIC_MS_PURE=1`` in its environment, to look for a fault without compiled code.

    Args:
        name: Its dotted name.

    Raises:
        ModuleNotFoundError: a library that it stands on is not there.

    A module that does not fit the classes that it reads from (it is older than they are, or a new
    release of Sanic has changed them) is not used either, and a `RuntimeWarning` says so.
    """
    if _is_off():
        return None
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if not (exc.name or "").startswith("sanic_ms."):
            raise
    except ImportError as exc:
        message = f"{name} is not used, and Python is in its place: {exc}. Install sanic-ms anew."
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    return None


def is_compiled() -> bool:
    """Whether all that can be compiled was, and is used; nothing is imported to tell."""
    sources = list(_PACKAGE.rglob("*.pyx"))
    return not _is_off() and all(
        PathFinder.find_spec(source.stem, [str(source.parent)]) for source in sources
    )


def _is_off() -> bool:
    return os.environ.get("SANIC_MS_PURE", "0") not in ("", "0")
