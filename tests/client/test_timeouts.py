"""The limits of a call, and the moments that follow from them."""

from __future__ import annotations

from math import inf
from types import SimpleNamespace
from typing import Any

import pytest

from sanic_ms.client.timeouts import (
    Timeout,
    deadlines_of,
    timeout_from_settings,
    timeout_of,
)


@pytest.mark.parametrize(
    ("timeout", "total", "connect", "first"),
    [
        (Timeout(10.0, 2.0), 110.0, 102.0, 102.0),
        (Timeout(1.0, 2.0), 101.0, 102.0, 101.0),
        (Timeout(None, 2.0), inf, 102.0, 102.0),
        (Timeout(10.0, None), 110.0, inf, 110.0),
        (Timeout(None, None), inf, inf, inf),
    ],
)
def test_deadlines_follow_from_the_limits(
    timeout: Timeout, total: float, connect: float, first: float
) -> None:
    """Both count from the beginning of the call; no limit is no deadline."""
    deadlines = deadlines_of(timeout, 100.0)
    assert deadlines == (total, connect)
    assert deadlines.first == first


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [(Timeout(10.0, 2.0), 2.0), (Timeout(1.0, 2.0), 1.0), (Timeout(3.0, None), 3.0),
     (Timeout(None, None), None)],
)  # fmt: skip
def test_the_time_to_connect_is_the_smaller_limit(timeout: Timeout, seconds: float | None) -> None:
    """The whole call includes its connection."""
    assert timeout.to_connect == seconds


def test_seconds_limit_the_whole_call() -> None:
    """A bare number is ``total``, and the time to connect keeps its default."""
    assert timeout_of(3) == Timeout(3, 2.0)
    assert timeout_of(own := Timeout(1.0)) is own


@pytest.mark.parametrize("value", [True, "3", None])
def test_other_types_are_rejected(value: Any) -> None:
    """True would be a second."""
    with pytest.raises(TypeError, match="give seconds or a Timeout"):
        timeout_of(value)


@pytest.mark.parametrize("value", [0, -1, inf, float("nan")])
def test_a_limit_that_can_never_be_met_is_rejected(value: float) -> None:
    """Zero would fail every call; no limit is None."""
    with pytest.raises(ValueError, match="seconds above 0, or None"):
        timeout_of(value)
    with pytest.raises(ValueError, match="connect="):
        Timeout(connect=value)


def test_settings_give_the_default_limits() -> None:
    """``CLIENT_TIMEOUT`` and ``CLIENT_CONNECT_TIMEOUT``; without settings the class's defaults."""
    settings = SimpleNamespace(client_timeout=7.0, client_connect_timeout=None)
    assert timeout_from_settings(settings) == Timeout(7.0, None)
    assert timeout_from_settings(None) == Timeout(10.0, 2.0)
