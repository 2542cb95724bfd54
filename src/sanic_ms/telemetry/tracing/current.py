"""The current span, for other packages, whichever provider made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, format_span_id, format_trace_id

from sanic_ms.telemetry.tracing.baggage import write_entries
from sanic_ms.telemetry.tracing.context import (
    BAGGAGE_KEY,
    SERVER_KEY,
    SpanHolder,
    current_span,
    get_context,
)
from sanic_ms.telemetry.tracing.errors import error_text, error_type
from sanic_ms.telemetry.tracing.headers import Parent, write_headers
from sanic_ms.telemetry.tracing.opentracing import OpenTracingMethods, WrappedSpan
from sanic_ms.telemetry.tracing.provider import (
    foreign_provider,
    global_propagator,
    installed_provider,
)
from sanic_ms.telemetry.tracing.span import RecordedSpan, Scope

__all__ = [
    "current_ids",
    "end_child",
    "headers_out",
    "known_ids",
    "request_span",
    "server_span",
    "start_child",
]


def current_ids() -> tuple[str, str] | None:
    """The ids of the trace and of the current span, 32 and 16 hexadecimal digits; None outside of
    a trace. A request that is not sampled has them as well."""
    current = get_context()
    if isinstance(current, SpanHolder):
        return current.ids
    span = current_span()
    if isinstance(span, RecordedSpan):
        return span.trace_id, span.span_id
    if span is None:
        return None
    context = span.get_span_context()
    if not context.is_valid:
        return None
    return format_trace_id(context.trace_id), format_span_id(context.span_id)


def known_ids() -> tuple[str, str] | None:
    """The same, but None where nobody else will ever have seen them: within a request that is not
    recorded, that came with no trace, and whose span nobody has asked for."""
    context = get_context()
    if isinstance(context, SpanHolder):
        return context.ids if context.known else None
    return current_ids()


def headers_out(span: Span | None = None) -> Sequence[tuple[str, str]]:
    """The headers that let another service join the trace, and the current baggage; none outside of
    a trace and without baggage.

    They are written for a trace that is not sampled too: the next service then does not sample it
    either, and its log lines have the same id. Where the application has installed a provider of
    its own, ``OTEL_PROPAGATORS`` says which are written.

    Args:
        span: The span that calls. None: the current one.
    """
    if span is None:
        holder = get_context()
        if isinstance(holder, SpanHolder):  # the usual request, of which no span need be made
            provider, trace_id, span_id, state = holder.inherited
            parent = Parent(trace_id, span_id, holder.passes_on, state)
            return _with_baggage(write_headers(parent, provider.formats))
        span = current_span()
    if isinstance(span, RecordedSpan):
        return _with_baggage(write_headers(span.as_parent(), span.provider.formats))
    if foreign_provider() is not None:
        carrier: dict[str, str] = {}
        context = None if span is None else trace.set_span_in_context(span)
        global_propagator().inject(carrier, context)
        return list(carrier.items())
    if span is None or not (own := span.get_span_context()).is_valid:
        return _with_baggage([])
    parent = Parent(
        format_trace_id(own.trace_id),
        format_span_id(own.span_id),
        own.trace_flags.sampled,
        own.trace_state.to_header(),
    )
    installed = installed_provider()
    return _with_baggage(
        write_headers(parent, ("w3c",) if installed is None else installed.formats)
    )


def _with_baggage(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Headers about the trace, and that of the current baggage, whichever span is current."""
    context = get_context()
    if isinstance(context, SpanHolder):
        baggage = context.baggage
    elif entries := context.get(BAGGAGE_KEY):
        holder = context.get(SERVER_KEY)
        received = holder.baggage if isinstance(holder, SpanHolder) else ""
        baggage = write_entries(entries, received) if isinstance(entries, dict) else ""
    else:
        return headers
    if baggage:
        headers.append(("baggage", baggage))
    return headers


def start_child(
    parent: Span,
    scope: Scope,
    name: str,
    attributes: dict[str, Any],
    kind: SpanKind = SpanKind.CLIENT,
) -> Span:
    """A span below one that is recorded, from whoever's provider that is.

    Args:
        attributes: Taken as they are: bounded in size, and without secrets.
        kind: Default: a call of something outside of the process.
    """
    if isinstance(parent, RecordedSpan):
        return parent.child(scope, name, kind, attributes)
    tracer = trace.get_tracer(scope.name, scope.version or None)
    context = trace.set_span_in_context(parent)
    return tracer.start_span(name, context, kind, attributes)


def end_child(
    span: Span,
    exc: BaseException | None = None,
    attributes: Mapping[str, Any] | None = None,
    *,
    failed: bool = False,
) -> None:
    """End what `start_child` gave.

    Args:
        exc: What it ended in, None where nothing was raised.
        attributes: What was learnt in the meantime; taken as they are.
        failed: Whether it went wrong although nothing was raised.
    """
    if isinstance(span, RecordedSpan):
        if attributes:
            span.attributes.update(attributes)
        if exc is not None:
            span.fail(exc)
        elif failed:
            span.status = 2
    else:
        if attributes:
            span.set_attributes(attributes)
        if failed:
            span.set_status(trace.StatusCode.ERROR)
        if exc is not None:
            span.set_attribute("error.type", error_type(exc))
            span.set_status(trace.StatusCode.ERROR, error_text(exc))
    span.end()


def server_span() -> Span:
    """The span of the request that the current task serves, whichever span is current; one that
    does nothing outside of a request."""
    holder = get_context().get(SERVER_KEY)
    return holder.span if isinstance(holder, SpanHolder) else trace.INVALID_SPAN


def request_span() -> Span:
    """`server_span` with the methods of the first generation, whoever's provider made it: what
    ``request["span"]`` is."""
    span = server_span()
    return span if isinstance(span, OpenTracingMethods) else WrappedSpan(span)
