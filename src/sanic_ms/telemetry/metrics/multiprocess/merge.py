"""From the numbers of each worker to those of the service."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sanic_ms.telemetry.metrics.definition import Definition
from sanic_ms.telemetry.metrics.store import Snapshot

__all__ = ["Family", "merge"]


@dataclass(slots=True)
class Family:
    """A metric with its numbers.

    Attributes:
        definition: What it is. Where gauges are kept apart, `labels` has one more.
        cells: The numbers by label values: one for counters and gauges; for a histogram one for
            each bucket, not added up, infinity last, and the sum.
    """

    definition: Definition
    cells: dict[tuple[str, ...], list[float]] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the label values."""
        own = self.definition.labels
        return (*own, "worker") if self.definition.across == "worker" else own


def merge(snapshots: Iterable[Snapshot], definitions: Iterable[Definition]) -> list[Family]:
    """The families of all workers, by name.

    Args:
        snapshots: The workers'.
        definitions: This worker's. What another one defines differently is left out, unless only
            the help differs.
    """
    families = {entry.name: Family(entry) for entry in definitions}
    stamps: dict[tuple[str, tuple[str, ...]], float] = {}
    for snapshot in snapshots:
        # A dict that another thread may add to: its items are taken in one step.
        for definition, places in list(snapshot.table.items()):
            family = families.setdefault(definition.name, Family(definition))
            if definition.shape != family.definition.shape:
                continue
            if definition.kind == "gauge":
                _gauges(family, snapshot, list(places.items()), stamps)
            else:
                size, cells, values = definition.size, family.cells, snapshot.values
                for labels, at in list(places.items()):
                    numbers = list(values[at : at + size])
                    known = cells.get(labels)
                    if known is not None:
                        numbers = [a + b for a, b in zip(known, numbers, strict=True)]
                    cells[labels] = numbers
    return [families[name] for name in sorted(families) if families[name].cells]


def _gauges(
    family: Family,
    snapshot: Snapshot,
    places: list[tuple[tuple[str, ...], int]],
    stamps: dict[tuple[str, tuple[str, ...]], float],
) -> None:
    across, cells = family.definition.across, family.cells
    if not snapshot.alive and across != "latest":
        return
    for labels, at in places:
        value, stamp = snapshot.values[at], snapshot.values[at + 1]
        if not stamp:
            continue
        if across == "worker":
            cells[(*labels, snapshot.worker)] = [value]
            continue
        known = cells.get(labels)
        if known is None:
            cells[labels] = [value]
        elif across == "latest":
            if stamp > stamps[family.definition.name, labels]:
                known[0] = value
        elif across == "sum":
            known[0] += value
        else:
            known[0] = max(known[0], value) if across == "max" else min(known[0], value)
        if across == "latest":
            key = family.definition.name, labels
            stamps[key] = max(stamp, stamps.get(key, 0.0))
