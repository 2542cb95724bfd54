"""The metrics of one service: what counts, what keeps it current, where it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sanic_ms.http.response_checks import ResponseChecks
from sanic_ms.telemetry.logging import lost_lines
from sanic_ms.telemetry.metrics import Registry, Sampler, SharedFolder, watch_queue, worker_folder

if TYPE_CHECKING:
    from sanic_ms.service.service import Service

__all__ = ["ServiceMetrics"]


class ServiceMetrics:
    """What a service has besides its registry. Making it reads no settings.

    Args:
        app: The service; told of the master's start and stop from now on.

    Attributes:
        registry: Its metrics.
    """

    def __init__(self, app: Service) -> None:
        self.registry = Registry()
        self._app = app
        self._folder = SharedFolder()
        self._sampler: Sampler | None = None
        app.main_process_start(self._share)
        app.main_process_stop(self._unshare)

    def prepare(self) -> None:
        """Add the part that keeps the numbers current, unless they are off. Twice is once."""
        app, settings = self._app, self._app.settings
        if not settings.metrics or self._sampler is not None:
            return
        self.registry.max_labels = settings.metrics_max_labels
        self._sampler = Sampler(
            self.registry, lambda: worker_folder(app.name, settings.metrics_dir)
        )
        app.lifecycle.add(self._sampler)
        spans = app.tracing.queue
        if spans is not None:
            watch_queue(self.registry, "traces", lambda: spans.dropped, spans)
        watch_queue(self.registry, "logs", lost_lines)

    def response_checks(self) -> ResponseChecks:
        """What counts the responses that are not as their shape says, or makes errors of them."""
        settings = self._app.settings
        return ResponseChecks(
            strict=settings.environment in ("development", "test"),
            registry=self.registry if settings.metrics else None,
        )

    async def _share(self, app: Any) -> None:
        """In the process that is the master of workers, before there are any."""
        settings = self._app.settings
        if settings.metrics and settings.metrics_dir is None and not self._app.launch.alone:
            self._folder.make()

    async def _unshare(self, app: Any) -> None:
        self._folder.remove()
