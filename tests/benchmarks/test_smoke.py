"""The command, from its arguments to the written page."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.peers import PYTHON, ROOT


def bench(*arguments: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    """Run ``python -m benchmarks``."""
    return subprocess.run(
        [python, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_the_list_names_cases_and_peers() -> None:
    """And for a peer that cannot be measured here, why."""
    done = bench("--list")
    assert done.returncode == 0
    assert "connections  10,000 connections" in done.stdout
    assert "blacksheep" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--case", "nothing"], "no case nothing"),
        (["--peers", "nobody"], "no peer nobody"),
        (["--rounds", "0"], "at least 1"),
    ],
)
def test_a_wrong_argument_is_one_line(arguments: list[str], why: str) -> None:
    """Exit code 2, and no traceback."""
    done = bench(*arguments)
    assert done.returncode == 2
    assert why in done.stdout
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_a_folder_that_cannot_be_made_ends_it_before_anything_is_measured(tmp_path: Path) -> None:
    """The results of an hour would be lost."""
    (tmp_path / "file").touch()
    out = ("--out", str(tmp_path / "file" / "results"))
    done = bench("--case", "json", "--peers", "sanic-ms", "--anyway", *out)
    assert done.returncode == 2
    assert "Not a directory" in done.stdout
    assert "a second" not in done.stdout


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
@pytest.mark.skipif(
    not Path(PYTHON).exists(), reason="the benchmarks' environment is not there: make bench"
)
def test_one_case_with_two_peers(tmp_path: Path) -> None:
    """From start to page; only that it works is looked at, no timing."""
    done = bench(
        *("--case", "json", "--peers", "sanic", "--rounds", "1", "--seconds", "1"),
        *("--warm-up", "0", "--connections", "4", "--anyway", "--out", str(tmp_path)),
        python=PYTHON,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    raw = json.loads((tmp_path / "results.json").read_text())
    rounds = raw["cases"]["json"]["result"]["rounds"]
    assert set(rounds) == {"sanic-ms", "sanic"}
    for (one,) in rounds.values():
        assert one["requests"] > 0
        assert one["cpu"] > 0
        assert one["p50"] <= one["p99"]
    assert "| Sanic |" in (tmp_path / "results.md").read_text()
    assert (tmp_path / "json.svg").read_text().startswith("<svg")
