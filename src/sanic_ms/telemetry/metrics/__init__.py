"""Numbers about a service, counted by each worker and added up for a scrape."""

from __future__ import annotations

from sanic_ms.telemetry.metrics.definition import method_label
from sanic_ms.telemetry.metrics.exposition import Exposition, render
from sanic_ms.telemetry.metrics.multiprocess.folder import SharedFolder, worker_folder
from sanic_ms.telemetry.metrics.registry import Registry
from sanic_ms.telemetry.metrics.sampler import Sampler
from sanic_ms.telemetry.metrics.series import Counter, Gauge, Histogram, Labelled
from sanic_ms.telemetry.metrics.server import RouteMetrics, ServerMetrics
from sanic_ms.telemetry.metrics.sources import watch_queue

__all__ = [
    "Counter",
    "Exposition",
    "Gauge",
    "Histogram",
    "Labelled",
    "Registry",
    "RouteMetrics",
    "Sampler",
    "ServerMetrics",
    "SharedFolder",
    "method_label",
    "render",
    "watch_queue",
    "worker_folder",
]
