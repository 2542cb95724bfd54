"""Modules written for a test, importable for as long as it runs."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

_numbers = itertools.count()


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """``write_module(text)`` gives the name of a module with that text; ``{name}`` in further
    files (``write_module(text, user="…")``) makes it a package with submodules."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)

    def write(text: str, **submodules: str) -> str:
        name = f"models_{next(_numbers)}"
        if submodules:
            (tmp_path / name).mkdir()
            (tmp_path / name / "__init__.py").write_text(dedent(text))
            for submodule, content in submodules.items():
                (tmp_path / name / f"{submodule}.py").write_text(dedent(content))
        else:
            (tmp_path / f"{name}.py").write_text(dedent(text))
        return name

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("models_"):
            del sys.modules[name]
