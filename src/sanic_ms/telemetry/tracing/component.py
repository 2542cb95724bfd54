"""Tracing as one part of a service: from settings to spans to an exporter."""

from __future__ import annotations

import logging
import socket
from importlib.metadata import version
from urllib.parse import unquote

from sanic_ms.config.sections.tracing import TracingSection
from sanic_ms.exception import ConfigError
from sanic_ms.lifecycle import Component, Health
from sanic_ms.telemetry.tracing.export.base import Format, Sender
from sanic_ms.telemetry.tracing.export.console import ConsoleFormat, ConsoleSender
from sanic_ms.telemetry.tracing.export.exporter import Exporter
from sanic_ms.telemetry.tracing.export.log import LogFormat, LogSender
from sanic_ms.telemetry.tracing.export.otlp import OtlpFormat
from sanic_ms.telemetry.tracing.export.queue import SpanQueue
from sanic_ms.telemetry.tracing.export.zipkin import ZipkinFormat
from sanic_ms.telemetry.tracing.provider import Provider, foreign_provider, install, uninstall
from sanic_ms.telemetry.tracing.server import ServerSpans

__all__ = ["Tracing"]

log = logging.getLogger("sanic_ms.telemetry.tracing")


class Tracing(Component):
    """The traces of one service. Add it first, so that it stops last and sends what others left.

    Making it connects to nothing. Where the application has installed a provider of its own by the
    time it starts (`opentelemetry.trace.set_tracer_provider`), that one makes all spans and nothing
    is exported from here.

    Args:
        settings: What to record, and where it goes.
        service: The service's name, unless the settings give another.

    Attributes:
        provider: Makes the spans.
        server: The spans of requests.
        kind: Of the exporter: ``zipkin``, ``otlp``, ``log``, ``console`` or ``none``.
        queue: Spans that wait, with the counters ``sent`` and ``dropped``; None where nothing is
            exported.

    Raises:
        ConfigError: an exporter is chosen whose address is missing.
    """

    name = "traces"

    def __init__(self, settings: TracingSection, service: str) -> None:
        kind = _chosen(settings)
        self.kind = kind
        self.queue = None if kind == "none" else SpanQueue(settings.trace_queue_size)
        self._exporter = (
            None if self.queue is None else _exporter(settings, service, kind, self.queue)
        )
        self.provider = Provider(
            None if self.queue is None else self.queue.put,
            put_record=None if self._exporter is None else self._exporter.put_record,
            ratio=settings.trace_sample,
            formats=settings.trace_headers,
        )
        self.server = ServerSpans(self.provider)
        self._running = False

    async def start(self) -> None:
        """Become the process' provider, unless it has one, and begin to export."""
        foreign = foreign_provider()
        self.server.use(foreign)
        if foreign is not None:
            log.info("traces: %s makes the spans", type(foreign).__qualname__)
            return
        self.provider.reseed()
        self.server.renew()
        install(self.provider)
        if self._exporter is not None:
            await self._exporter.start()
            self._running = True

    async def stop(self) -> None:
        """Send what waits, within 5 seconds. Calling it again does nothing."""
        uninstall(self.provider)
        if self._exporter is not None and self._running:
            self._running = False
            await self._exporter.stop()

    async def check(self) -> Health:
        """Up, or degraded while the collector takes nothing."""
        return await self._exporter.check() if self._exporter and self._running else Health("up")


def _chosen(settings: TracingSection) -> str:
    """The exporter that is named, or else the one whose collector is."""
    if settings.trace_exporter is not None:
        return settings.trace_exporter
    if settings.zipkin_server is not None:
        return "zipkin"
    return "none" if _otlp_url(settings) is None else "otlp"


def _exporter(settings: TracingSection, service: str, kind: str, queue: SpanQueue) -> Exporter:
    resource = _resource(settings, service)
    if kind == "console":
        return Exporter(queue, ConsoleFormat(resource), ConsoleSender())
    if kind == "log":
        return Exporter(queue, LogFormat(resource), LogSender())
    # aiohttp takes longer to import than all the rest of this package.
    from sanic_ms.telemetry.tracing.export.http import HttpSender

    sender: Sender
    format: Format
    if kind == "zipkin":
        if settings.zipkin_server is None:
            raise ConfigError(
                "TRACE_EXPORTER=zipkin needs its address: set ZIPKIN_SERVER=http://host:9411"
            )
        format, sender = ZipkinFormat(resource), HttpSender(_zipkin_url(settings.zipkin_server))
    else:
        url = _otlp_url(settings)
        if url is None:
            raise ConfigError(
                "TRACE_EXPORTER=otlp needs its address: set "
                "OTEL_EXPORTER_OTLP_ENDPOINT=http://host:4318"
            )
        if ":4317" in url:
            log.warning("traces: port 4317 is OTLP over gRPC as a rule; HTTP is spoken at 4318")
        timeout = settings.otel_exporter_otlp_traces_timeout or settings.otel_exporter_otlp_timeout
        headers = settings.otel_exporter_otlp_traces_headers or settings.otel_exporter_otlp_headers
        compression = settings.otel_exporter_otlp_compression
        format = OtlpFormat(resource)
        sender = HttpSender(
            url,
            headers={name: unquote(value) for name, value in headers.items()},
            timeout=timeout / 1000,
            compress=None if compression is None else compression == "gzip",
        )
    return Exporter(queue, format, sender)


def _zipkin_url(server: str) -> str:
    # The first generation's settings name the first API, whose spans have another form.
    server = server.rstrip("/").removesuffix("/api/v1/spans")
    return server if server.endswith("/spans") else f"{server}/api/v2/spans"


def _otlp_url(settings: TracingSection) -> str | None:
    if settings.otel_exporter_otlp_traces_endpoint is not None:
        return settings.otel_exporter_otlp_traces_endpoint
    if settings.otel_exporter_otlp_endpoint is not None:
        return f"{settings.otel_exporter_otlp_endpoint.rstrip('/')}/v1/traces"
    return None


def _resource(settings: TracingSection, service: str) -> dict[str, str]:
    """What is said of the service with its spans; what the settings say wins."""
    given = {
        name: unquote(value) for name, value in settings.otel_resource_attributes.items() if name
    }
    resource = {
        "service.name": service,
        "host.name": socket.gethostname(),
        "telemetry.sdk.name": "sanic-ms",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": version("sanic-ms"),
        **given,
    }
    if settings.otel_service_name:
        resource["service.name"] = settings.otel_service_name
    return resource
