"""Traces: what a request did, in which services, and how long each part took.

Spans are OpenTelemetry's, made by a provider of our own (`docs/design/tracing.md` says why).
"""

from __future__ import annotations

from opentelemetry.trace import Span

from sanic_ms.telemetry.tracing.attributes import MOST_TEXT, safe_url
from sanic_ms.telemetry.tracing.child import ChildSpans
from sanic_ms.telemetry.tracing.component import Tracing
from sanic_ms.telemetry.tracing.context import current_span, recording_parent, recording_span
from sanic_ms.telemetry.tracing.current import (
    current_ids,
    end_child,
    headers_out,
    known_ids,
    request_span,
    server_span,
    start_child,
)
from sanic_ms.telemetry.tracing.export.queue import SpanQueue
from sanic_ms.telemetry.tracing.provider import Provider
from sanic_ms.telemetry.tracing.sampling import is_share
from sanic_ms.telemetry.tracing.server import RouteSpans, ServerSpan, ServerSpans
from sanic_ms.telemetry.tracing.span import Scope

__all__ = [
    "MOST_TEXT",
    "ChildSpans",
    "Provider",
    "RouteSpans",
    "Scope",
    "ServerSpan",
    "ServerSpans",
    "Span",
    "SpanQueue",
    "Tracing",
    "current_ids",
    "current_span",
    "end_child",
    "headers_out",
    "is_share",
    "known_ids",
    "recording_parent",
    "recording_span",
    "request_span",
    "safe_url",
    "server_span",
    "start_child",
]
