"""Spans and metrics of Redis commands. Attributes follow OpenTelemetry's conventions for Redis."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Coroutine
from time import perf_counter
from typing import Any, TypeVar

from sanic_ms.redis.settings import RedisURL
from sanic_ms.telemetry.metrics import Histogram, Registry
from sanic_ms.telemetry.tracing import ChildSpans, Scope, recording_parent

__all__ = ["CommandInstrumentation"]

T = TypeVar("T")

_SCOPE = Scope("sanic_ms.redis")
_BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_MOST_COMMANDS = 200  # words of commands that are told apart: an application may make some up


class CommandInstrumentation:
    """Times commands, and makes a span of each in a request that is recorded.

    Args:
        url: The server. Its host and database are attributes of the spans.
    """

    def __init__(self, url: RedisURL) -> None:
        self._attributes: dict[str, Any] = {
            "db.system.name": "redis",
            "db.namespace": str(url.database),
        }
        if len(url.hosts) == 1 and not url.master:
            host, port = url.hosts[0]
            self._attributes |= {"server.address": host, "server.port": port}
        self._spans: dict[str, ChildSpans] = {}
        self._durations: dict[tuple[str, str], Histogram] = {}
        self._metric: Any = None

    def measure(self, registry: Registry) -> None:
        """Count how long commands take, as ``redis_command_duration_seconds``.

        Args:
            registry: ``app.metrics``.
        """
        self._metric = registry.histogram(
            "redis_command_duration_seconds",
            "How long Redis commands took, by their first word.",
            labels=["command", "outcome"],
            buckets=_BOUNDS,
        )

    async def run(self, command: object, work: Coroutine[Any, Any, T]) -> T:
        """Run a command.

        Args:
            command: Its words, or the first of them: ``"GET"``, ``"CLIENT SETNAME"``.
            work: Sends it and reads the response.
        """
        word = str(command).partition(" ")[0].upper()[:32]
        if word not in self._spans:
            if len(self._spans) >= _MOST_COMMANDS:
                word = "other"
            attributes = {**self._attributes, "db.operation.name": word}
            self._spans.setdefault(word, ChildSpans(_SCOPE, word, attributes))
        parent = recording_parent()
        if parent is not None:
            work = self._spans[word].around(parent, work, _no_attributes)
        if self._metric is None:
            return await work
        started = perf_counter()
        outcome = "ok"
        try:
            return await work
        except BaseException as exc:
            outcome = "cancelled" if isinstance(exc, CancelledError) else "error"
            raise
        finally:
            self._duration(word, outcome).observe(perf_counter() - started)

    def _duration(self, word: str, outcome: str) -> Histogram:
        duration = self._durations.get((word, outcome))
        if duration is None:
            duration = self._metric.labels(word, outcome)
            self._durations[word, outcome] = duration
        return duration


def _no_attributes(exc: BaseException) -> dict[str, Any]:
    return {}
