"""The same signal within a moment is one signal; another one, or a later one, is a second."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from sanic_ms.stop_signals import StopSignals

Run = Callable[..., Any]


def test_the_same_signal_at_once_is_an_echo() -> None:
    """Up to a tenth of a second after the one before; the first never is one, another never."""
    now = 0.0
    signals = StopSignals(lambda: now)
    assert not signals.is_echo(signal.SIGTERM)
    now = 0.05
    assert signals.is_echo(signal.SIGTERM)
    assert not signals.is_echo(signal.SIGINT)
    now = 0.2
    assert not signals.is_echo(signal.SIGINT)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_command_that_passes_a_signal_on_stops_it_gracefully(run: Run, workers: str) -> None:
    """As `timeout` does: to the process, and then to the whole group."""
    server = run("--workers", workers)
    server.wait_for("serves at")
    os.kill(server.process.pid, signal.SIGTERM)
    os.kill(server.process.pid, signal.SIGTERM)
    assert server.end() == 0
    assert "forced exit" not in server.output
