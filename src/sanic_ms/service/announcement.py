"""The start-up summary: how a service that has started runs, without secrets."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sanic.log import error_logger

from sanic_ms.config import Loaded
from sanic_ms.config.masking import mask_text
from sanic_ms.service.first_generation import warn_of_old_settings
from sanic_ms.service.unapplied import warn_of_unapplied
from sanic_ms.telemetry.logging.format import TextFormatter
from sanic_ms.values import DatabaseURL
from sanic_ms.values.address import base_url

if TYPE_CHECKING:
    from sanic_ms.service.admin_endpoints import AdminEndpoints
    from sanic_ms.service.service import Service

__all__ = ["announce", "say", "summarize", "without_sanics_mode"]

log = logging.getLogger("sanic_ms.service")


def announce(service: Service, endpoints: AdminEndpoints, hints: Iterable[str] = ()) -> None:
    """Log how a service runs, which of its endpoints are open and which migrations it lacks; of
    several processes, in one alone.

    Args:
        service: A service that serves.
        endpoints: Its endpoints for operators.
        hints: Further lines.
    """
    if not os.environ.get("SANIC_WORKER_NAME", "-0-0").endswith("-0-0"):
        return
    address = _address(service)
    workers = service.state.workers or 1
    processes = [*service.launch.functions]
    facts = summarize(
        service.loaded, workers=workers, traces=service.tracing.kind, processes=processes
    )
    say(service.name, address, {**endpoints.addresses(address), **facts})
    endpoints.tell_taken()
    endpoints.warn_of_open()
    warn_of_old_settings(service.name, service.loaded)
    for hint in hints:
        log.info("%s", hint)
    warn_of_unapplied(service.settings)


@contextlib.contextmanager
def without_sanics_mode() -> Iterator[None]:
    """Keep Sanic from warning a terminal of its "PRODUCTION mode", by which it means no more than
    that debug mode is off: the summary names the mode, and ours has no ``--dev``."""

    def other(record: logging.LogRecord) -> bool:
        return "running in PRODUCTION mode" not in str(record.msg)

    error_logger.addFilter(other)
    try:
        yield
    finally:
        error_logger.removeFilter(other)


def summarize(
    loaded: Loaded[Any], *, workers: int, traces: str, processes: Sequence[str] = ()
) -> dict[str, str | int]:
    """How a service runs, by the name of each fact; no secret is among them.

    Args:
        loaded: Its settings.
        workers: How many processes serve.
        traces: The kind of exporter, ``none`` where there is none.
        processes: The application's own processes.
    """
    settings = loaded.settings
    mode = [settings.environment]
    mode += [name for name in ("debug", "auto_reload") if getattr(settings, name)]
    return {
        "version": settings.api_version,
        "mode": ", ".join(mode),
        "workers": workers,
        **({"processes": ", ".join(processes)} if processes else {}),
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


def _address(service: Service) -> str:
    if service.listens_at is not None:
        return _address_of(*service.listens_at)
    settings = service.settings
    # What `run` was given wins over the settings; a worker process does not know it.
    given = service.state.server_info[0].settings if service.state.server_info else {}
    scheme = "https" if given.get("ssl") or settings.tls_cert else "http"
    bound = given.get("sock")
    if bound is not None and bound.fileno() >= 0:
        return _address_of(bound, scheme)
    unix = given.get("unix") or settings.unix
    if unix:
        return f"unix:{unix}"
    host, port = given.get("host") or settings.host, given.get("port") or settings.port
    return base_url(host, port, scheme=scheme)


def _address_of(bound: socket.socket, scheme: str) -> str:
    """The address that a socket listens at."""
    if bound.family == socket.AF_UNIX:
        return f"unix:{bound.getsockname()}"
    host, port = bound.getsockname()[:2]
    return base_url(host, port, scheme=scheme)


def _sources(sources: Mapping[str, str]) -> list[str]:
    """Where settings came from; single lines and variables are not named."""
    kinds = {"environment": "environment", "keyword": "code", "app.config": "code", ".env": ".env"}
    found = dict.fromkeys(
        kinds.get(source.split(" ")[0], source.partition(" (")[0])
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
