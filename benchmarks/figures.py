"""Medians, spreads and ratios. Values in, values out."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Spread", "ratios", "spread"]


class Spread(NamedTuple):
    """A median and how far the values lie around it."""

    median: float
    low: float
    high: float

    @property
    def relative(self) -> float:
        """The whole width as a share of the median; 0 for a median of 0."""
        return (self.high - self.low) / self.median if self.median else 0.0


def spread(values: Sequence[float]) -> Spread:
    """Median, smallest and largest. With five rounds or so a quartile would be made up.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no values: nothing was measured")
    return Spread(statistics.median(values), min(values), max(values))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """The ratio within each round, and its spread.

    What slows a whole round slows both sides of its ratio. So the median of the ratios is taken and
    not the ratio of the medians.

    Raises:
        ValueError: the numbers of rounds differ, or one of theirs is 0.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} rounds of ours and {len(theirs)} of theirs")
    if not all(theirs):
        raise ValueError("a ratio to 0: nothing was served")
    return spread([one / other for one, other in zip(ours, theirs, strict=True)])
