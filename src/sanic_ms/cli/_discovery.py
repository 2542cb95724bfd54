"""A plugin of pytest for ``sanic-ms tests``: files that unittest would find are found too.

It is a module of its own, so that pytest-xdist's workers can load it by its name.
"""

from __future__ import annotations

from typing import Any

__all__ = ["pytest_configure"]

_PYTESTS_OWN = ["test_*.py", "*_test.py"]
_UNITTESTS = ("test*.py", "tests.py")


def pytest_configure(config: Any) -> None:
    """Add unittest's patterns to pytest's. A project that has its own is believed."""
    if config.getini("python_files") == _PYTESTS_OWN:
        for pattern in _UNITTESTS:
            config.addinivalue_line("python_files", pattern)
