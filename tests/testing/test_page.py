"""The page "Testing your service": its files make a project, and the project's tests pass."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
FILES = re.findall(r"^```(?:python no-run|toml)\n# (\S+)\n(.*?)^```", PAGE.read_text(), re.M | re.S)

OTHERS = [
    word
    for plugin in ("anyio", "asyncio", "hypothesispytest", "randomly", "schemathesis", "xdist")
    for word in ("-p", f"no:{plugin}")
]
"""The plugins of this environment that would take part, or take seconds to import."""


def test_every_snippet_of_the_page_names_its_file() -> None:
    """Or it would not be run."""
    blocks = re.findall(r"^```(?:python|toml)", PAGE.read_text(), re.MULTILINE)
    assert len(FILES) == len(blocks) > 6


def test_the_project_of_the_page_passes(tmp_path: Path) -> None:
    """Both styles, with the plugin alone, which pytest finds by itself."""
    for name, text in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    kept = {name: os.environ[name] for name in os.environ if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *OTHERS, "-W", "error"],
        cwd=tmp_path,
        env=kept,
        capture_output=True,
        text=True,
        timeout=280,
    )
    tests = sum(len(re.findall(r"^ *(?:async )?def test_", text, re.M)) for _, text in FILES)
    assert f"{tests} passed" in done.stdout, done.stdout + done.stderr
    assert not (tmp_path / "books.db").exists()
