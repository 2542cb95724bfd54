"""Where the numbers are: the contract, and the store of a process that serves alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from sanic_ms.telemetry.metrics.definition import Definition

__all__ = ["Memory", "Snapshot", "Store", "Table", "Values"]

Values: TypeAlias = "list[float] | memoryview[float]"
Table = dict[Definition, dict[tuple[str, ...], int]]
"""Where each set of label values of each metric begins among the numbers."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The numbers of one worker, alive or not, as they are being read.

    Attributes:
        worker: ``"0"``, ``"1"`` …
        alive: Whether a process is behind them.
        table: Where each stands in ``values``.
    """

    worker: str
    alive: bool
    table: Mapping[Definition, Mapping[tuple[str, ...], int]]
    values: Values


class Store(ABC):
    """The numbers of this process, and the way to those of the others.

    Attributes:
        values: What is incremented. `place` may replace it by a longer one; the old one goes on
            being the same numbers.
        table: What stands where in it.
    """

    values: Values
    table: Table

    def find(self, definition: Definition, labels: tuple[str, ...]) -> int | None:
        """Where a set of label values begins; None where it has no place yet."""
        return self.table.get(definition, {}).get(labels)

    def count(self, definition: Definition) -> int:
        """How many sets of label values a metric has."""
        return len(self.table.get(definition, ()))

    @abstractmethod
    def place(self, definition: Definition, labels: tuple[str, ...]) -> int:
        """Find a set of label values, or give it a place, with zeros.

        Raises:
            OSError: there is no room on the device.
        """

    @abstractmethod
    def snapshots(self) -> list[Snapshot]:
        """The numbers of every worker that ever counted."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files. The numbers stay in them."""

    @abstractmethod
    def after_fork(self) -> Store | None:
        """In the child of a fork: let go of what is the parent's. Gives what the child counts in;
        None: memory of its own.

        Raises:
            OSError: as for making one.
        """


class Memory(Store):
    """Numbers of this process alone."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.table: Table = {}

    def place(self, definition: Definition, labels: tuple[str, ...]) -> int:
        at = self.find(definition, labels)
        if at is None:
            at = len(self.values)
            self.values.extend([0.0] * definition.size)
            self.table.setdefault(definition, {})[labels] = at
        return at

    def snapshots(self) -> list[Snapshot]:
        return [Snapshot("0", True, self.table, self.values)]

    def close(self) -> None:
        pass

    def after_fork(self) -> None:
        return None
