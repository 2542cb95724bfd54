"""Which traces are recorded."""

from __future__ import annotations

import sys

import pytest

from sanic_ms.telemetry.tracing.headers import Parent
from sanic_ms.telemetry.tracing.sampling import is_sampled, is_share, skip_count

HIGH, LOW = (
    "f" * 32,
    "f" * 16 + "0" * 16,
)  # the ids of a trace that a small ratio leaves out, or not


@pytest.mark.parametrize("value", [0, 1, 0.5, 0.0, 1.0])
def test_a_share_is_from_0_to_1(value: object) -> None:
    """Both ends count."""
    assert is_share(value)


@pytest.mark.parametrize("value", [-0.1, 1.1, True, "0.5", None, float("nan")])
def test_other_values_are_no_share(value: object) -> None:
    """A bool is a mistake, not a number."""
    assert not is_share(value)


@pytest.mark.parametrize("decided", [True, False])
def test_the_callers_decision_counts(decided: bool) -> None:
    """Whatever the ratio is."""
    parent = Parent(HIGH, "1" * 16, decided, "")
    for ratio in (0.0, 1.0):
        assert is_sampled(parent, ratio, follow_caller=True, draw=lambda: 0.5) is decided


def test_without_a_decision_the_id_counts() -> None:
    """Every service with this ratio decides alike; chance has no part in it."""
    for draw in (0.0, 0.999):
        low, high = Parent(LOW, "", None, ""), Parent(HIGH, "", None, "")
        assert is_sampled(low, 0.01, follow_caller=True, draw=lambda draw=draw: draw)  # type: ignore[misc]
        assert not is_sampled(high, 0.99, follow_caller=True, draw=lambda draw=draw: draw)  # type: ignore[misc]


def test_a_route_that_does_not_follow_callers_draws() -> None:
    """For requests that fail a span is kept all the same; the caller's word is not asked for."""
    parent = Parent(HIGH, "1" * 16, True, "")
    assert not is_sampled(parent, 0.0, follow_caller=False, draw=lambda: 0.0)
    assert is_sampled(parent, 0.5, follow_caller=False, draw=lambda: 0.49)
    assert not is_sampled(parent, 0.5, follow_caller=False, draw=lambda: 0.5)


def test_the_ends_of_the_ratio_skip_none_and_all() -> None:
    """1 records each trace, and 0 none."""
    assert skip_count(1.0, lambda: 0.99) == 0
    assert skip_count(0.0, lambda: 0.99) == sys.maxsize
