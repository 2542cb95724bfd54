"""The numbers of the calls to one service."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Coroutine
from time import perf_counter
from typing import Any

from sanic_ms.client.base import ServiceResponse
from sanic_ms.exception import DeadlineExceeded, ServiceTimeout
from sanic_ms.telemetry.metrics import Registry, method_label

__all__ = ["CallMetrics"]


class CallMetrics:
    """What a registry shows of calls: how many there were, how they ended and how long they took.

    Args:
        registry: The application's.
        service: The name of the service that is called.
    """

    def __init__(self, registry: Registry, service: str) -> None:
        self._service = service
        self._durations = registry.histogram(
            "http_client_request_duration_seconds",
            "How long calls to other services took, to the head of their answer.",
            labels=["service", "method", "outcome"],
        )

    async def timed(
        self, method: str, work: Coroutine[Any, Any, ServiceResponse]
    ) -> ServiceResponse:
        """Make the call, and count it."""
        started = perf_counter()
        outcome = "error"
        try:
            answer = await work
            outcome = f"{answer.status // 100}xx"
        except CancelledError:
            outcome = "cancelled"
            raise
        except ServiceTimeout:
            outcome = "timeout"
            raise
        except DeadlineExceeded:
            outcome = "deadline_exceeded"
            raise
        finally:
            cell = self._durations.labels(self._service, method_label(method), outcome)
            cell.observe(perf_counter() - started)
        return answer
