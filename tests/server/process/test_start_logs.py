"""What a start logs has the form of every other line, from the first one on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

WARNS = """
@app.get("/data")
async def data(request) -> "Unknown":
    return {}
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_warning_about_a_route_is_a_line_of_the_log(run: Run, kit: Any, workers: str) -> None:
    """With its time, level and logger: it comes before anything else that a start does."""
    server = run("--workers", workers, server=kit.SERVER + WARNS)
    server.wait_for("serves at")
    lines = [line for line in server.output.splitlines() if "the annotation 'Unknown'" in line]
    assert lines
    assert all("WARNING sanic_ms.http: data (" in line for line in lines), lines
