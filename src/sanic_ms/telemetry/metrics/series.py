"""What a program holds of a metric: the counter, the gauge or the histogram to call.

A cell is bound to its place among the numbers, so that counting is an addition and nothing else.
An addition is one step for Python's interpreter lock: threads may share a cell.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from math import inf
from time import perf_counter, time
from types import TracebackType
from typing import Generic, NoReturn, Self, TypeVar

from sanic_ms.telemetry.metrics.definition import Definition, label_text
from sanic_ms.telemetry.metrics.store import Values

__all__ = ["Cell", "Counter", "Gauge", "Histogram", "Labelled", "Timer"]


class Cell:
    """One set of label values of a metric. Made by the registry and by `Labelled.labels`."""

    __slots__ = ("_at", "_values", "definition", "label_values")

    def __init__(self, definition: Definition, label_values: tuple[str, ...]) -> None:
        self.definition = definition
        self.label_values = label_values
        self._values: Values = [0.0] * definition.size
        self._at = 0
        self.bind(self._values, 0)

    def __repr__(self) -> str:
        pairs = zip(self.definition.labels, self.label_values, strict=False)
        labels = ", ".join(f"{name}={value!r}" for name, value in pairs)
        return f"<{type(self).__name__} {self.definition.name}{{{labels}}}>"

    def labels(self, *values: object, **named: object) -> NoReturn:
        """Refused: a metric without labels, or labels that are given already."""
        raise ValueError(
            f"{self!r}.labels(): "
            + ("the labels are given already" if self.label_values else "it has no labels")
        )

    @property
    def value(self) -> float:
        """What this worker has counted: for tests and the curious."""
        return self._values[self._at]

    @property
    def place(self) -> tuple[Values, int]:
        """The numbers, and where this cell's begin. It changes with `bind`."""
        return self._values, self._at

    def bind(self, values: Values, at: int) -> None:
        """Count there from now on. For the registry."""
        self._values, self._at = values, at

    def carry(self, numbers: list[float]) -> None:
        """Add what was counted elsewhere before. For the registry."""
        for offset, number in enumerate(numbers):
            self._values[self._at + offset] += number

    def numbers(self) -> list[float]:
        """A copy of its numbers, as `Definition.size` explains them."""
        return list(self._values[self._at : self._at + self.definition.size])


class Counter(Cell):
    """A number that only grows."""

    __slots__ = ()

    def inc(self, amount: float = 1.0) -> None:
        """Add.

        Raises:
            TypeError: ``amount`` is no number.
            ValueError: it is negative or not finite.
        """
        try:
            if 0.0 <= amount < inf:
                self._values[self._at] += amount
                return
        except TypeError:
            raise _no_number(self, "inc", amount) from None
        raise ValueError(f"{self!r}.inc({amount!r}): a counter only grows; use a gauge")


class Gauge(Cell):
    """A number that goes up and down. What a worker set is forgotten when it ends, unless the
    gauge is one of ``across="latest"``. Sums begin at 0; the others are not there until they are
    set."""

    __slots__ = ("_latest",)

    def __init__(self, definition: Definition, label_values: tuple[str, ...]) -> None:
        self._latest = definition.across == "latest"
        super().__init__(definition, label_values)

    def set(self, value: float) -> None:
        """Make it this.

        Raises:
            TypeError: it is no number; so for `inc` and `dec`.
        """
        values, at = self._values, self._at
        try:
            values[at] = value + 0.0
        except TypeError:
            raise _no_number(self, "set", value) from None
        values[at + 1] = time() if self._latest else 1.0

    def inc(self, amount: float = 1.0) -> None:
        """Add; a negative number takes away."""
        values, at = self._values, self._at
        try:
            values[at] += amount
        except TypeError:
            raise _no_number(self, "inc", amount) from None
        values[at + 1] = time() if self._latest else 1.0

    def dec(self, amount: float = 1.0) -> None:
        """Take away."""
        try:
            self.inc(-amount)
        except TypeError:
            raise _no_number(self, "dec", amount) from None

    def bind(self, values: Values, at: int) -> None:
        if not values[at + 1]:  # what stands there is another process'
            values[at] = 0.0
            values[at + 1] = 1.0 if self.definition.across == "sum" else 0.0
        super().bind(values, at)

    def carry(self, numbers: list[float]) -> None:
        value, stamp = numbers
        if stamp and stamp >= self._values[self._at + 1]:
            self._values[self._at], self._values[self._at + 1] = value, stamp


class Histogram(Cell):
    """Numbers of at least 0, mostly seconds, counted by how large they are."""

    __slots__ = ("_bounds", "_sum_at")

    def __init__(self, definition: Definition, label_values: tuple[str, ...]) -> None:
        self._bounds = definition.bounds
        super().__init__(definition, label_values)

    def bind(self, values: Values, at: int) -> None:
        super().bind(values, at)
        self._sum_at = at + len(self._bounds) + 1

    def observe(self, value: float) -> None:
        """Count one number.

        Raises:
            TypeError: it is no number.
            ValueError: it is negative (OpenMetrics allows a sum only to grow) or not finite.
        """
        values = self._values
        try:
            if 0.0 <= value < inf:
                values[self._sum_at] += value  # first, as it may refuse what can be compared
                values[self._at + bisect_left(self._bounds, value)] += 1.0
                return
        except TypeError:
            raise _no_number(self, "observe", value) from None
        raise ValueError(f"{self!r}.observe({value!r}): give a finite number of at least 0")

    def time(self) -> Timer:
        """Observe the seconds that a ``with`` block takes, whether it raises or not."""
        return Timer(self)

    @property
    def value(self) -> float:
        """How many numbers this worker has counted."""
        return float(sum(self._values[self._at : self._sum_at]))


def _no_number(cell: Cell, method: str, value: object) -> TypeError:
    return TypeError(f"{cell!r}.{method}({value!r}): give an int or a float")


class Timer:
    """What `Histogram.time` gives; enter it once at a time."""

    __slots__ = ("_histogram", "_started")

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._started = 0.0

    def __enter__(self) -> Self:
        self._started = perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._histogram.observe(perf_counter() - self._started)


C = TypeVar("C", bound=Cell)


class Labelled(Generic[C]):
    """A metric with labels; `labels` gives what is counted with.

    Args:
        definition: What it is.
        make: Gives the cell of label values that are not among ``cells``. For the registry.

    Attributes:
        cells: Those that were asked for, by their label values.
    """

    def __init__(self, definition: Definition, make: Callable[[tuple[str, ...]], C]) -> None:
        self.definition = definition
        self.cells: dict[tuple[str, ...], C] = {}
        self._make = make

    def __repr__(self) -> str:
        return f"<{self.definition.kind} {self.definition.name}{{{self._names}}}>"

    @property
    def _names(self) -> str:
        return ", ".join(self.definition.labels)

    def labels(self, *values: object, **named: object) -> C:
        """The cell of these label values: all in order, or all by name. Keep it where it is used
        often.

        Values become text, cut at 256 characters. Beyond the limit of the metric's sets it is the
        cell whose labels are all ``other``.

        Raises:
            TypeError: labels are missing or unknown, or a value is None.
        """
        if named:
            values = self._in_order(values, named)
        if len(values) != len(self.definition.labels) or None in values:
            raise TypeError(f"{self!r}.labels{values!r}: give {self._names}, none of them None")
        key = tuple(map(label_text, values))
        cell = self.cells.get(key)
        return self._make(key) if cell is None else cell

    def _in_order(self, values: tuple[object, ...], named: dict[str, object]) -> tuple[object, ...]:
        if values or set(named) != set(self.definition.labels):
            given = ", ".join([*map(repr, values), *(f"{name}=…" for name in named)])
            raise TypeError(
                f"{self!r}.labels({given}): give {self._names}, all in order or all by name"
            )
        return tuple(named[name] for name in self.definition.labels)

    def __getattr__(self, name: str) -> NoReturn:
        if name in ("inc", "dec", "set", "observe", "time", "value"):
            raise AttributeError(f"{self!r}.{name}: say .labels({self._names}) first")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
