"""Changes of an application's source files, found by looking at their times."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from sanic_ms.config.load import DEFAULT_TOML

__all__ = ["Files"]

_SKIPPED = {"__pycache__", "node_modules", "site-packages", "venv"}
_SETTINGS = {".env", DEFAULT_TOML}


class Files:
    """The Python files and settings of some folders, and when each was last changed.

    Hidden folders, virtual environments and caches are left out.

    Args:
        folders: Watched with all that is in them.
    """

    def __init__(self, folders: Iterable[str | os.PathLike[str]]) -> None:
        self._folders = [Path(folder) for folder in folders]
        self._times = self._look()

    def changed(self) -> str:
        """What has changed since the last call, in words; empty if nothing has."""
        times = self._look()
        if times == self._times:
            return ""
        before, self._times = self._times, times
        paths = sorted(path for path in {*before, *times} if before.get(path) != times.get(path))
        others = f" and {len(paths) - 1} others" if len(paths) > 1 else ""
        return f"{paths[0]}{others} changed"

    def _look(self) -> dict[str, int]:
        times: dict[str, int] = {}
        for folder in self._folders:
            for root, folders, names in os.walk(folder):
                folders[:] = [
                    name
                    for name in folders
                    if name not in _SKIPPED
                    and not name.startswith(".")
                    and not os.path.exists(os.path.join(root, name, "pyvenv.cfg"))
                ]
                for name in names:
                    if name.endswith(".py") or name in _SETTINGS:
                        path = os.path.join(root, name)
                        try:
                            times[path] = os.stat(path).st_mtime_ns
                        except OSError:  # it goes while we look
                            continue
        return times
