"""The types of what applications use: `usage.py` has no error, `mistakes.py` has those it names.

Both checkers reject an ignore that nothing needs, so that a mistake that is no error fails here.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FILES = ("usage.py", "mistakes.py")
IGNORE = re.compile(r" *# type: ignore\[[\w-]+\]")
PYRIGHT = Path(sys.prefix, "pyright", "node_modules", "pyright", "index.js")


def without_ignores(folder: Path) -> set[int]:
    """Write `mistakes.py` without its ignores into a folder; the lines where they stood."""
    text = (HERE / "mistakes.py").read_text(encoding="utf-8")
    (folder / "mistakes.py").write_text(IGNORE.sub("", text), encoding="utf-8")
    return {number for number, line in enumerate(text.split("\n"), 1) if IGNORE.search(line)}


def run_mypy(*files: Path) -> subprocess.CompletedProcess[str]:
    """mypy with the project's own configuration, which is strict."""
    command = [sys.executable, "-m", "mypy", *map(str, files)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_mypy_knows_the_types() -> None:
    """mypy, strict, agrees with every `assert_type` and finds every mistake."""
    done = run_mypy(*(HERE / name for name in FILES))
    assert done.stdout == "Success: no issues found in 2 source files\n", done.stderr


def test_mypy_reports_each_mistake(tmp_path: Path) -> None:
    """Each mistake is an error of its own, on its line."""
    expected = without_ignores(tmp_path)
    done = run_mypy(tmp_path / "mistakes.py")
    lines = re.findall(r"mistakes\.py:(\d+): error:", done.stdout)
    assert set(map(int, lines)) == expected


def run_pyright(folder: Path) -> dict[str, Any]:
    """Pyright's report about the folder of a ``pyrightconfig.json``."""
    node = shutil.which("node")
    if node is None or not PYRIGHT.exists():
        pytest.skip("pyright is not installed: `make test` installs it where there is npm")
    done = subprocess.run(
        [node, PYRIGHT, "-p", folder, "--pythonpath", sys.executable, "--outputjson"],
        capture_output=True,
        text=True,
        check=False,
    )
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_pyright_knows_the_types() -> None:
    """Pyright, strict, agrees with every `assert_type` and finds every mistake."""
    report = run_pyright(HERE)
    assert report["generalDiagnostics"] == []
    assert report["summary"]["filesAnalyzed"] == len(FILES)


def test_pyright_reports_each_mistake(tmp_path: Path) -> None:
    """Each mistake is an error of its own, on its line."""
    expected = without_ignores(tmp_path)
    config = json.loads((HERE / "pyrightconfig.json").read_text(encoding="utf-8"))
    config |= {
        "include": ["."],
        "extraPaths": [str(ROOT / "src")],
        # Strict rules about types that an error has made unknown would hide which line it is.
        "typeCheckingMode": "basic",
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config), encoding="utf-8")
    report = run_pyright(tmp_path)
    lines = {entry["range"]["start"]["line"] + 1 for entry in report["generalDiagnostics"]}
    assert lines == expected
