"""Optional libraries: one place that says which extra brings which, and how to install it."""

from __future__ import annotations

import importlib
from types import ModuleType

from sanic_ms.exception import MissingDependency

__all__ = ["require"]


def require(module: str, extra: str, *, purpose: str) -> ModuleType:
    """Import an optional library, or say how to get it.

    Args:
        module: The dotted name to import (``"asyncmy"``).
        extra: The extra of this distribution that installs it (``"mysql"``).
        purpose: What it is needed for, as the start of the message (``"mysql:// databases"``).

    Raises:
        MissingDependency: the library is not installed. An `ImportError` from inside a library
            that *is* installed passes through unchanged: that one is broken, not missing.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as exc:
        if exc.name is None or not (module == exc.name or module.startswith(f"{exc.name}.")):
            raise
        raise MissingDependency(
            f'{purpose} need {exc.name}: pip install "sanic-ms[{extra}]"', name=exc.name
        ) from None
