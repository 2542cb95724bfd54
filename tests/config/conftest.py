"""A folder for a service's settings, and a loader that sees nothing of this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sanic_ms.config import Loaded, Settings, load_settings


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Loaded[Settings]]:
    """Load from the test's folder, with the given environment and nothing of the real one."""

    def call(env: dict[str, str] | None = None, **keywords: Any) -> Loaded[Settings]:
        return load_settings(env=env or {}, directory=tmp_path, keywords=keywords)

    return call


@pytest.fixture(autouse=True)
def modules() -> Iterator[None]:
    """Modules that a test imports are forgotten after it; the next one has others of the name.

    A "settings" that some other test of this process imported is put aside as well.
    """
    elsewhere = sys.modules.pop("settings", None)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if not name.startswith("sanic_ms"):
            del sys.modules[name]
    if elsewhere is not None:
        sys.modules["settings"] = elsewhere
