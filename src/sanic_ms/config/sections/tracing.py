"""Tracing and its exporter."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sanic_ms.config.sections.types import Secret

__all__ = ["TracingSection"]

_Endpoint = Annotated[str, Meta(pattern="^https?://[^/]")]
_Milliseconds = Annotated[int, Meta(ge=1)]


class TracingSection(msgspec.Struct, frozen=True, kw_only=True):
    """Tracing and its exporter."""

    trace_exporter: Annotated[
        Literal["zipkin", "otlp", "log", "console", "none"] | None,
        Meta(description="where traces go; default is whichever collector is named below"),
    ] = None
    zipkin_server: Annotated[_Endpoint | None, Meta(description="base URL of a Zipkin server")] = (
        None
    )
    trace_sample: Annotated[
        float, Meta(ge=0, le=1, description="share of the traces that begin here to record")
    ] = 1.0
    trace_headers: Annotated[
        list[Literal["w3c", "b3", "b3multi"]],
        Meta(description="headers about the trace on calls to other services; all are read"),
    ] = msgspec.field(default_factory=lambda: ["w3c"])
    trace_queue_size: Annotated[
        int, Meta(ge=1, description="most spans that wait to be sent; more are dropped")
    ] = 10_000
    otel_service_name: Annotated[
        str | None, Meta(description="the service's name in traces; default is its own")
    ] = None
    otel_resource_attributes: Annotated[
        dict[str, str], Meta(description="what else traces say of the service")
    ] = msgspec.field(default_factory=dict)
    otel_exporter_otlp_endpoint: Annotated[
        _Endpoint | None, Meta(description="base URL of an OTLP collector (HTTP)")
    ] = None
    otel_exporter_otlp_traces_endpoint: Annotated[
        _Endpoint | None, Meta(description="its whole URL for traces, used as it is")
    ] = None
    otel_exporter_otlp_headers: Annotated[
        dict[str, str], Meta(description="headers to send to the collector"), Secret
    ] = msgspec.field(default_factory=dict)
    otel_exporter_otlp_traces_headers: Annotated[
        dict[str, str], Meta(description="the same for traces alone"), Secret
    ] = msgspec.field(default_factory=dict)
    otel_exporter_otlp_timeout: Annotated[
        _Milliseconds, Meta(description="milliseconds for one call of the collector")
    ] = 10_000
    otel_exporter_otlp_traces_timeout: Annotated[
        _Milliseconds | None, Meta(description="the same for traces alone")
    ] = None
    otel_exporter_otlp_compression: Annotated[
        Literal["gzip", "none"] | None,
        Meta(
            description="how bodies for the collector are packed; "
            "default is gzip, and none where its URL names this machine"
        ),
    ] = None
