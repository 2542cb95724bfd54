"""Numbers that somebody else keeps, brought into metrics at each sample."""

from __future__ import annotations

from collections.abc import Callable, Sized

from sanic_ms.telemetry.metrics.registry import Registry
from sanic_ms.telemetry.metrics.series import Counter

__all__ = ["growth", "watch_queue"]


def growth(
    counter: Counter, read: Callable[[], float], *, before: float = 0.0
) -> Callable[[], None]:
    """A sampler that adds to the counter what a number has grown since it was last read.

    Args:
        counter: Counts on; the number is that of this process and its present life.
        read: Gives the number. Where it has fallen it began at 0 again.
        before: What it was at the beginning.
    """

    def sample() -> None:
        nonlocal before
        now = read()
        counter.inc(now - before if now >= before else now)
        before = now

    return sample


def watch_queue(
    registry: Registry, name: str, dropped: Callable[[], int], waiting: Sized | None = None
) -> None:
    """Show what a queue of telemetry has lost, and how long it is.

    Args:
        registry: The service's.
        name: ``traces``, ``logs``.
        dropped: Gives how many entries were lost since the process began.
        waiting: The queue.
    """
    lost = registry.counter(
        "telemetry_dropped_total",
        "Spans and log lines that were lost: no room in their queue, or nobody took them.",
        labels=["queue"],
    )
    registry.on_sample(growth(lost.labels(name), dropped))
    length = registry.gauge(
        "telemetry_queue_length", "Spans and log lines that wait to be sent.", labels=["queue"]
    )
    if waiting is not None:
        cell = length.labels(name)
        registry.on_sample(lambda: cell.set(len(waiting)))
