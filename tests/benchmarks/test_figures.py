"""The arithmetic of the benchmarks."""

from __future__ import annotations

import pytest

from benchmarks.figures import ratios, spread


def test_a_spread_is_the_median_and_both_ends() -> None:
    """In whatever order the rounds came."""
    assert spread([3.0, 1.0, 10.0]) == (3.0, 1.0, 10.0)
    assert spread([1.0, 2.0]).median == 1.5


def test_the_relative_width_is_a_share_of_the_median() -> None:
    """And nothing is divided by a median of 0."""
    assert spread([90.0, 100.0, 120.0]).relative == pytest.approx(0.3)
    assert spread([0.0]).relative == 0.0


def test_no_rounds_are_an_error() -> None:
    """Not a median of nothing."""
    with pytest.raises(ValueError, match="nothing was measured"):
        spread([])


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    """A slow round slows both sides, so it does not move the ratio; ratio of medians would be 3."""
    assert ratios([100.0, 30.0, 90.0], [50.0, 15.0, 30.0]) == (2.0, 2.0, 3.0)


@pytest.mark.parametrize(
    ("ours", "theirs", "why"), [([1.0], [1.0, 2.0], "1 rounds of ours"), ([1.0], [0.0], "to 0")]
)
def test_ratios_that_mean_nothing_are_errors(
    ours: list[float], theirs: list[float], why: str
) -> None:
    """Different numbers of rounds, and a peer that served nothing."""
    with pytest.raises(ValueError, match=why):
        ratios(ours, theirs)
