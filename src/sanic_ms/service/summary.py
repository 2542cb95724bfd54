"""What a service that has started says of itself."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from sanic_ms.config import Loaded
from sanic_ms.config.masking import mask_text
from sanic_ms.telemetry.logging.format import TextFormatter
from sanic_ms.types import DatabaseURL

__all__ = ["say", "summarize"]

log = logging.getLogger("sanic_ms.service")


def summarize(loaded: Loaded[Any], *, workers: int, traces: str) -> dict[str, str | int]:
    """How a service runs, by the name of each fact; no secret is among them.

    Args:
        loaded: Its settings.
        workers: How many processes serve.
        traces: The kind of exporter, ``none`` where there is none.
    """
    settings = loaded.settings
    mode = [settings.environment]
    mode += [name for name in ("debug", "auto_reload") if getattr(settings, name)]
    return {
        "version": settings.api_version,
        "mode": ", ".join(mode),
        "workers": workers,
        "settings": ", ".join(_sources(loaded.sources)) or "defaults",
        "database": ", ".join(_databases(settings)) or "none",
        "traces": _exporter(settings, traces),
    }


def say(name: str, address: str, facts: Mapping[str, str | int]) -> None:
    """Log it: one line with a field for each fact, or, where a person reads, a row for each."""
    line = f"{name} {facts['version']} serves at {address}"
    if not _for_people():
        log.info("%s", line, extra=dict(facts))
        return
    log.info("%s", line)
    for key, value in facts.items():
        if key == "workers":
            value = f"{value}, pid {os.getpid()}"
        if key != "version":
            log.info("  %-9s %s", key, value)


def _sources(sources: Mapping[str, str]) -> list[str]:
    """Where settings came from; single lines and variables are not named."""
    kinds = {"environment": "environment", "keyword": "code", ".env": ".env"}
    found = dict.fromkeys(
        kinds.get(source.split(" ")[0], source)
        for source in sources.values()
        if source != "default"
    )
    return sorted(found)


def _databases(settings: Any) -> list[str]:
    shown = [] if settings.db_url is None else [DatabaseURL.parse(settings.db_url).masked]
    for name, url in settings.databases.items():
        shown.append(f"{name} {DatabaseURL.parse(url).masked}")
    return shown


def _exporter(settings: Any, kind: str) -> str:
    if kind == "zipkin":
        return f"zipkin {mask_text(settings.zipkin_server)}"
    if kind == "otlp":
        endpoint = settings.otel_exporter_otlp_traces_endpoint
        return f"otlp {mask_text(endpoint or settings.otel_exporter_otlp_endpoint)}"
    return kind


def _for_people() -> bool:
    """Whether our lines are text for a terminal."""
    logger: logging.Logger | None = log
    while logger is not None:
        if any(isinstance(handler.formatter, TextFormatter) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False
