"""Which traces are recorded: the one place that decides. No input or output here.

The caller's decision counts where a request brings one; then that of the trace's id, which is the
same in every service with the same ratio; and for a trace that begins here, chance.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

from sanic_ms.telemetry.tracing.headers import Parent

__all__ = ["is_sampled", "is_share", "sampled_by_id", "skip_count"]

_ALL_IDS = 1 << 64


def is_share(value: object) -> bool:
    """Whether it is a number from 0 to 1."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def skip_count(ratio: float, draw: Callable[[], float]) -> int:
    """How many traces are not recorded before the next one that is, where each is recorded with the
    same chance. To count them down costs less than to draw for each.

    It is a draw from the geometric distribution, by inversion (Devroye, Non-Uniform Random Variate
    Generation, 1986, X.2).

    Args:
        ratio: The chance, from 0 to 1.
        draw: Gives a random number from 0 to below 1.
    """
    if ratio >= 1.0:
        return 0
    if ratio <= 0.0:
        return sys.maxsize
    return int(min(math.log(1.0 - draw()) / math.log1p(-ratio), sys.maxsize))


def sampled_by_id(trace_id: str, ratio: float) -> bool:
    """The decision about a trace whose id is known: the same in every service with that ratio.

    It is that of OpenTelemetry's TraceIdRatioBased: the lower half of the id is a random number.

    Args:
        trace_id: 32 hexadecimal digits.
        ratio: From 0 to 1.
    """
    return int(trace_id[16:], 16) < round(ratio * _ALL_IDS)


def is_sampled(
    parent: Parent, ratio: float, *, follow_caller: bool, draw: Callable[[], float]
) -> bool:
    """Whether a request of a trace that began elsewhere is recorded.

    Args:
        parent: The caller's span.
        ratio: The share of the route, or else of the service, from 0 to 1.
        follow_caller: Whether the caller's decision, or else the id of its trace, counts. False
            for a route that records nothing and where nothing is exported.
        draw: Gives a random number from 0 to below 1.
    """
    if follow_caller:
        if parent.sampled is not None:
            return parent.sampled
        return sampled_by_id(parent.trace_id, ratio)
    return draw() < ratio
