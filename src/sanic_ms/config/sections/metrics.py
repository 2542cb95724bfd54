"""Metrics."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from sanic_ms.config.sections.types import HttpPath

__all__ = ["MetricsSection"]


class MetricsSection(msgspec.Struct, frozen=True, kw_only=True):
    """Metrics."""

    metrics: Annotated[bool, Meta(description="serve metrics, and count what they show")] = True
    metrics_path: Annotated[HttpPath, Meta(description="path of the metrics")] = "/metrics"
    metrics_max_labels: Annotated[
        int, Meta(ge=1, description="most sets of label values of one metric; the rest is other")
    ] = 1000
    metrics_dir: Annotated[
        str | None,
        Meta(description="folder where processes add up their metrics; default one for workers"),
    ] = None
