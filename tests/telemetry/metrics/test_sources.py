"""Numbers that somebody else keeps."""

from __future__ import annotations

from sanic_ms.telemetry.metrics import Registry, watch_queue
from sanic_ms.telemetry.metrics.sources import growth


def test_a_number_that_grows_is_followed() -> None:
    """By its growth, and one that fell began at 0 again: nothing is counted twice."""
    counter = Registry().counter("a", "A.")
    number = 5.0
    sample = growth(counter, lambda: number, before=2)
    sample()
    sample()
    assert counter.value == 3
    number = 1
    sample()
    assert counter.value == 4


def test_queues_show_what_they_lost_and_how_long_they_are() -> None:
    """Each by its name; one whose length nobody knows shows its losses alone."""
    registry = Registry()
    spans: list[int] = []
    lost = 0
    watch_queue(registry, "traces", lambda: lost, spans)
    watch_queue(registry, "logs", lambda: 7)
    spans += [1, 2]
    lost = 3
    registry.sample()
    cells = {family.definition.name: family.cells for family in registry.families()}
    assert cells["telemetry_dropped"] == {("traces",): [3.0], ("logs",): [7.0]}
    assert cells["telemetry_queue_length"] == {("traces",): [2.0]}
