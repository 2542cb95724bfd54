"""The README's curl lines give the answers that it prints."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[2] / "README.md"
PAIRS = re.findall(
    r"```sh\n(curl [^\n]+)\n```\n(?:[^`]*?)```json\n([^\n]+)\n```", README.read_text()
)


def test_the_curl_lines_give_the_answers_that_stand_below_them(e2e: Any, tmp_path: Path) -> None:
    """To the byte, from the three services as `make run` starts them."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    assert len(PAIRS) == 4
    with e2e.running_example(tmp_path / "users") as example:
        for line, answer in PAIRS:
            for number, service in enumerate(("user", "region", "role"), 1):
                line = line.replace(f":800{number}/", f":{example.ports[service]}/")
            command = ["curl", "-s", *shlex.split(line)[1:]]
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
            assert done.stdout == answer, line
