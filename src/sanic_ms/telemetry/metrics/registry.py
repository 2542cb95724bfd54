"""The metrics of a service: where they are defined, and where a scrape reads them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar, cast, overload
from weakref import WeakSet

from sanic_ms.telemetry.metrics.definition import (
    DEFAULT_BUCKETS,
    OTHER,
    Across,
    Definition,
    define,
)
from sanic_ms.telemetry.metrics.multiprocess.merge import Family, merge
from sanic_ms.telemetry.metrics.series import Cell, Counter, Gauge, Histogram, Labelled
from sanic_ms.telemetry.metrics.store import Memory, Store

__all__ = ["Registry"]

log = logging.getLogger("sanic_ms.metrics")

C = TypeVar("C", bound=Cell)


class Registry:
    """All metrics of one service. A service has one: ``app.metrics``.

    It counts in memory until `open` is given a folder; then in a file there, which the scrapes of
    all processes that share the folder add up.

    Args:
        max_labels: Sets of label values that each metric may have; default 1000. The rest are
            counted under ``other``, and in ``metrics_label_overflow_total``.

            It may be set later; metrics with a limit of their own keep that.

    Raises:
        TypeError: ``max_labels`` is no whole number.
        ValueError: it is below 1.
    """

    def __init__(self, *, max_labels: int = 1000) -> None:
        _check_limit("Registry", max_labels)
        self.max_labels = max_labels
        self._lock = RLock()
        self._store: Store = Memory()
        self._metrics: dict[str, Cell | Labelled[Any]] = {}
        self._names: dict[str, str] = {}  # of samples, to the metric that shows them
        self._limits: dict[str, int] = {}
        self._cells: list[Cell] = []
        self._followers: WeakSet[Any] = WeakSet()
        self._samplers: list[Callable[[], object]] = []
        self._failing: set[Callable[[], object]] = set()
        self._overflow = self.counter(
            "metrics_label_overflow_total",
            "Label values that were counted as other, since their metric had too many.",
            labels=["metric"],
        )
        _follow_forks(self)

    # --- definitions -----------------------------------------------------------------------------

    @overload
    def counter(self, name: str, help: str) -> Counter: ...
    @overload
    def counter(
        self, name: str, help: str, *, labels: Iterable[str], max_labels: int | None = None
    ) -> Labelled[Counter]: ...
    def counter(
        self,
        name: str,
        help: str = "",  # the overloads ask for it, and `define` says what to write
        *,
        labels: Iterable[str] = (),
        max_labels: int | None = None,
    ) -> Counter | Labelled[Counter]:
        """A number that only grows: requests, bytes, failures. It survives a worker's restart.

        Defining the same again gives the same.

        Args:
            name: Letters, digits, ``_`` and ``:``. A scrape shows it with ``_total`` at its end,
                whether it is given or not.
            help: One line for people.
            labels: Names of labels; then say ``.labels(…)`` before ``.inc()``.
            max_labels: Sets of label values; default that of the registry.

        Raises:
            ValueError: the name or a label is wrong, or is defined already as something else.
            TypeError: an argument is of the wrong type.
        """
        return self._define(Counter, define("counter", name, help, labels=labels), max_labels)

    @overload
    def gauge(self, name: str, help: str, *, across: Across = "sum") -> Gauge: ...
    @overload
    def gauge(
        self,
        name: str,
        help: str,
        *,
        labels: Iterable[str],
        across: Across = "sum",
        max_labels: int | None = None,
    ) -> Labelled[Gauge]: ...
    def gauge(
        self,
        name: str,
        help: str = "",  # the overloads ask for it, and `define` says what to write
        *,
        labels: Iterable[str] = (),
        across: Across = "sum",
        max_labels: int | None = None,
    ) -> Gauge | Labelled[Gauge]:
        """A number that goes up and down: connections in use, the size of a queue.

        Args:
            name, help, labels, max_labels: As for `counter`.
            across: What one number is made of those of several workers: their ``"sum"`` (default),
                ``"max"`` or ``"min"``; ``"latest"``, that which was set last, by a worker that may
                have ended since; or ``"worker"``: each by itself, with a label of that name.

        Raises:
            ValueError, TypeError: as `counter`.
        """
        definition = define("gauge", name, help, labels=labels, across=across)
        return self._define(Gauge, definition, max_labels)

    @overload
    def histogram(
        self, name: str, help: str, *, buckets: Sequence[float] = DEFAULT_BUCKETS
    ) -> Histogram: ...
    @overload
    def histogram(
        self,
        name: str,
        help: str,
        *,
        labels: Iterable[str],
        buckets: Sequence[float] = DEFAULT_BUCKETS,
        max_labels: int | None = None,
    ) -> Labelled[Histogram]: ...
    def histogram(
        self,
        name: str,
        help: str = "",  # the overloads ask for it, and `define` says what to write
        *,
        labels: Iterable[str] = (),
        buckets: Sequence[float] = DEFAULT_BUCKETS,
        max_labels: int | None = None,
    ) -> Histogram | Labelled[Histogram]:
        """Numbers counted by how large they are: durations in seconds, sizes in bytes.

        Args:
            name, help, labels, max_labels: As for `counter`.
            buckets: Upper bounds, rising from at least 0; infinity is always there. Default from
                5 ms to 10 s.

        Raises:
            ValueError, TypeError: as `counter`, or the buckets do not rise.
        """
        definition = define("histogram", name, help, labels=labels, buckets=buckets)
        return self._define(Histogram, definition, max_labels)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __getitem__(self, name: str) -> Cell | Labelled[Any]:
        """A metric by any name that it shows.

        Raises:
            KeyError: there is none of this name.
        """
        return self._metrics[self._names[name]]

    @property
    def definitions(self) -> list[Definition]:
        """What is defined, by name."""
        return [self._metrics[name].definition for name in sorted(self._metrics)]

    def _define(
        self, kind: type[C], definition: Definition, max_labels: int | None
    ) -> C | Labelled[C]:
        if max_labels is not None:
            _check_limit(definition.name, max_labels)
        with self._lock:
            known = self._metrics.get(definition.name)
            if known is not None and known.definition == definition:
                return cast("C | Labelled[C]", known)
            for name in definition.sample_names:
                owner = self._names.get(name)
                if owner is not None:
                    raise ValueError(_clash(definition, self._metrics[owner].definition))
            metric: C | Labelled[C]
            if definition.labels:
                metric = Labelled(definition, lambda values: self._cell(kind, definition, values))
                if max_labels is not None:
                    self._limits[definition.name] = max_labels
            else:
                metric = self._placed(kind(definition, ()))
            self._metrics[definition.name] = metric
            self._names.update(dict.fromkeys(definition.sample_names, definition.name))
            return metric

    def _cell(self, kind: type[C], definition: Definition, values: tuple[str, ...]) -> C:
        """The cell of label values that nobody asked for before, or of ``other``."""
        with self._lock:
            cells: dict[tuple[str, ...], C] = cast(
                "Labelled[C]", self._metrics[definition.name]
            ).cells
            if self._is_full(definition, values):
                if definition is not self._overflow.definition:
                    self._overflow.labels(definition.name).inc()
                values = (OTHER,) * len(definition.labels)
            if values not in cells:
                cells[values] = self._placed(kind(definition, values))
            return cells[values]

    def _is_full(self, definition: Definition, values: tuple[str, ...]) -> bool:
        # The store also has what earlier processes on its seat had.
        store = self._store
        return store.find(definition, values) is None and store.count(
            definition
        ) >= self._limits.get(definition.name, self.max_labels)

    def _placed(self, cell: C) -> C:
        self._cells.append(cell)
        try:
            self._place([cell])
        except OSError as exc:
            # It counts where no scrape sees it, and requests go on.
            log.error("metrics: %r is not seen: %s", cell, exc)
        return cell

    # --- the store -------------------------------------------------------------------------------

    def open(self, folder: Path) -> None:
        """Count in a file of this folder from now on. What was counted before is added to it.

        Doing it again does nothing; another folder is another file.

        Raises:
            OSError: the folder cannot be used.
        """
        from sanic_ms.telemetry.metrics.multiprocess.worker_slot import Seat  # not for Windows

        with self._lock:
            before = self._store
            if isinstance(before, Seat) and before.folder == folder:
                return
            self._move(Seat(folder))
            before.close()

    def close(self) -> None:
        """Count in memory again, from zero: what was counted stays in the file. Twice is once."""
        with self._lock:
            if not isinstance(self._store, Memory):
                files = self._store
                self._move(Memory(), carry=False)
                files.close()

    def follow(self, follower: Any) -> None:
        """Call ``follower.rebind()`` whenever cells change their `Cell.place`.

        Only a weak reference is kept.
        """
        self._followers.add(follower)

    def _move(self, store: Store, *, carry: bool = True) -> None:
        counted = [cell.numbers() for cell in self._cells]
        before, self._store = self._store, store
        try:
            self._place(self._cells)
        except OSError:
            self._store = before
            raise
        if carry:
            for cell, numbers in zip(self._cells, counted, strict=True):
                cell.carry(numbers)
        self._tell()

    def _place(self, cells: list[Cell]) -> None:
        store, before = self._store, self._store.values
        places = [store.place(cell.definition, cell.label_values) for cell in cells]
        for cell, at in zip(cells, places, strict=True):
            cell.bind(store.values, at)
        if store.values is before:
            return
        for cell in self._cells:  # the numbers have moved
            place = store.find(cell.definition, cell.label_values)
            if place is not None:
                cell.bind(store.values, place)
        self._tell()

    def _tell(self) -> None:
        for follower in list(self._followers):
            follower.rebind()

    def after_fork(self) -> None:
        """Be another process' registry, in the child of a fork: from zero, on a seat of its own.

        Called by Python itself. Gauges that were set before the service began to count in files
        stay: they say what the program is.
        """
        self._lock = RLock()
        old = self._store
        for cell in self._cells:
            # Numbers of its own first: the old ones are the parent's.
            numbers = cell.numbers() if isinstance(cell, Gauge) else [0.0] * cell.definition.size
            cell.bind(numbers, 0)
        self._move(Memory(), carry=isinstance(old, Memory))
        try:
            child = old.after_fork()
            if child is not None:
                self._move(child)
        except OSError as exc:
            log.error("metrics: the child of a fork counts for itself: %s", exc)

    # --- reading ---------------------------------------------------------------------------------

    def on_sample(self, sampler: Callable[[], object]) -> None:
        """Call this before each scrape and once a second, to set gauges from what is there.

        It must be quick: it runs on the event loop. One that raises is logged, once.

        Raises:
            TypeError: it cannot be called.
        """
        if not callable(sampler):
            raise TypeError(f"on_sample({sampler!r}): give a function without arguments")
        self._samplers.append(sampler)

    def sample(self) -> None:
        """Call what `on_sample` was given."""
        for sampler in self._samplers:
            try:
                sampler()
            except Exception:
                if sampler not in self._failing:
                    self._failing.add(sampler)
                    log.exception("metrics: %r failed; it is said once", sampler)

    def families(self) -> list[Family]:
        """Every metric with the numbers of all workers, by name."""
        with self._lock:
            return merge(self._store.snapshots(), self.definitions)


def _check_limit(whose: str, max_labels: object) -> None:
    if not isinstance(max_labels, int) or isinstance(max_labels, bool):
        raise TypeError(f"{whose}: max_labels={max_labels!r} is no whole number")
    if max_labels < 1:
        raise ValueError(f"{whose}: max_labels={max_labels!r}: at least 1")


def _clash(new: Definition, old: Definition) -> str:
    title = f"{new.kind} {new.name!r}"
    if new.name != old.name:
        return f"{title}: {old.kind} {old.name!r} shows numbers under this name"
    for field in new.__struct_fields__:
        mine, others = getattr(new, field), getattr(old, field)
        if mine != others:
            return f"{title} is defined already with {field}={others!r}, not {mine!r}"
    raise AssertionError("equal definitions do not clash")


_registries: WeakSet[Registry] = WeakSet()
"""Those that a fork must tell; a fork has no other way to find them."""


def _follow_forks(registry: Registry) -> None:
    if not _registries and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork)
    _registries.add(registry)


def _after_fork() -> None:
    for registry in list(_registries):
        registry.after_fork()
