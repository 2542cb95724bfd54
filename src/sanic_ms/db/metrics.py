"""The numbers of a pool."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Coroutine
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from sanic_ms.exception import DeadlineExceeded
from sanic_ms.telemetry.metrics import Histogram, Registry

if TYPE_CHECKING:
    from sanic_ms.db.pool import ConnectionPool

__all__ = ["PoolMetrics"]

T = TypeVar("T")

_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# First words of statements; what else there is comes from the application's text.
_OPERATIONS = frozenset(
    (
        *("SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "VALUES", "MERGE", "REPLACE", "CALL"),
        *("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"),
    )
)


class PoolMetrics:
    """What a registry shows of one pool, by its name. Connections are read from the pool at each
    sample, so that lending one costs nothing.

    Args:
        registry: The service's.
        pool: The pool.
    """

    def __init__(self, registry: Registry, pool: ConnectionPool) -> None:
        self._pool = pool
        connections = registry.gauge(
            "db_pool_connections",
            "Open connections, used or idle.",
            labels=["database", "state"],
        )
        limit = registry.gauge(
            "db_pool_max_connections", "The most connections of all workers.", labels=["database"]
        )
        waiting = registry.gauge(
            "db_pool_waiting", "Callers that wait for a connection.", labels=["database"]
        )
        waited = registry.histogram(
            "db_pool_wait_seconds",
            "How long callers waited that found no idle connection, in vain or not.",
            labels=["database"],
            buckets=_BOUNDS,
        )
        self._durations = registry.histogram(
            "db_query_duration_seconds",
            "How long statements took, by their first word; of many rows, to the first.",
            labels=["database", "operation", "outcome"],
            buckets=_BOUNDS,
        )
        self._idle = connections.labels(pool.name, "idle")
        self._used = connections.labels(pool.name, "used")
        self._limit = limit.labels(pool.name)
        self._waiting = waiting.labels(pool.name)
        self.waited = waited.labels(pool.name).observe
        self._cells: dict[str, Histogram] = {}
        registry.on_sample(self._sample)

    async def timed(self, word: str, work: Coroutine[Any, Any, T]) -> T:
        """Do it, and count how long it took.

        Args:
            word: The first word of the statement, in any case.
        """
        started = perf_counter()
        try:
            result = await work
        except BaseException as exc:
            self.failed(word, started, exc)
            raise
        self.done(word, started)
        return result

    def done(self, word: str, started: float) -> None:
        """Count what began at ``started``, by `time.perf_counter`, and has ended well now."""
        cell = self._cells.get(word)
        if cell is None:
            cell = self.cell(word)
        cell.observe(perf_counter() - started)

    def cell(self, word: str) -> Histogram:
        """Where durations of statements that ended well are counted."""
        cell = self._cells[word] = self._cell(word, "ok")
        return cell

    def failed(self, word: str, started: float, exc: BaseException) -> None:
        """Count what began at ``started`` and has raised ``exc`` now."""
        outcome = "error"
        if isinstance(exc, CancelledError):
            outcome = "cancelled"
        elif isinstance(exc, DeadlineExceeded):
            outcome = "deadline_exceeded"
        self._cell(word, outcome).observe(perf_counter() - started)

    def _cell(self, word: str, outcome: str) -> Histogram:
        operation = word.partition(" ")[0].upper()
        if operation not in _OPERATIONS:
            operation = "other"
        return self._durations.labels(self._pool.name, operation, outcome)

    def _sample(self) -> None:
        stats = self._pool.stats()
        self._idle.set(stats.idle)
        self._used.set(stats.size - stats.idle)
        self._waiting.set(stats.waiting)
        self._limit.set(self._pool.max_size)
