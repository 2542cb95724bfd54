"""The folder of a service while its tests run: where it works and what its modules are called.

A service is a folder with plain module names in it (``server``, ``views``, ``models``), and several
services in one test process have the same names. So a service's folder is entered for each of its
test files and tests, and left again with the modules that belong to it.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

__all__ = ["ServiceFolder", "find_folder"]


class ServiceFolder:
    """The working folder and the modules of one service.

    Where the folder is on the import path already (one service to a project, the usual case),
    modules are left alone and only the working folder changes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._modules: dict[str, ModuleType] = {}
        self._depth = 0

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be in the folder, as ``sanic-ms run --dir`` is. Inside of itself it changes nothing."""
        self._depth += 1
        try:
            if self._depth > 1:
                yield
                return
            before = Path.cwd()
            os.chdir(self.path)
            try:
                if str(self.path) in map(os.path.abspath, sys.path):
                    yield
                else:
                    with self._own_modules():
                        yield
            finally:
                os.chdir(before)
        finally:
            self._depth -= 1

    @contextmanager
    def _own_modules(self) -> Iterator[None]:
        hidden = self._take_out()
        sys.modules.update(self._modules)
        entry = str(self.path)
        sys.path.insert(0, entry)
        importlib.invalidate_caches()
        try:
            yield
        finally:
            if entry in sys.path:
                sys.path.remove(entry)
            self._modules = self._take_out()
            sys.modules.update(hidden)

    def _take_out(self) -> dict[str, ModuleType]:
        """Remove the modules that are named like something in the folder."""
        names = set(_importable(self.path))
        taken = [name for name in sys.modules if name.partition(".")[0] in names]
        return {name: sys.modules.pop(name) for name in taken}


def find_folder(module: str, start: Path, top: Path) -> Path | None:
    """The nearest folder that holds a module, from ``start`` up to ``top``; None if there is none.

    Args:
        module: Dotted: ``server``, ``shop.server``.
        start: Where to begin.
        top: Where to end.
    """
    relative = Path(*module.split("."))
    for folder in (start, *start.parents):
        path = folder / relative
        if path.with_suffix(".py").is_file() or (path / "__init__.py").is_file():
            return folder
        if folder == top:
            break
    return None


def _importable(folder: Path) -> Iterator[str]:
    """Names of what a service keeps in its folder: not its tests, which pytest itself imports."""
    for entry in folder.iterdir():
        name = entry.stem if entry.suffix == ".py" else entry.name
        if name.isidentifier() and name not in ("conftest", "tests") and name[:5] != "test_":
            yield name
