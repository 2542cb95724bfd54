"""The modules that are compiled: one place that says whether they are used."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

__all__ = ["compiled"]


def compiled(name: str) -> ModuleType | None:
    """A compiled module, or None where the Python that it stands for is to be used.

    That is so where it was not built, since there was no C compiler, and for a process that is
    started with ``SANIC_MS_PURE=1`` in its environment, to look for a fault without compiled code.

    Args:
        name: Its dotted name.
    """
    if os.environ.get("SANIC_MS_PURE", "0") not in ("", "0"):
        return None
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name != name:
            raise
        return None
