"""What is kept of a recorded request: its span in full, or as a rule only what it takes to write
one.

Nine of ten recorded requests are like all others of their route: nobody has added anything to the
span. Such a request is a `RequestRecord` until it is sent, and
`sanic_ms.telemetry.tracing.export.templates` writes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from opentelemetry.trace import SpanKind

from sanic_ms.telemetry.tracing.attributes import safe_path, safe_query
from sanic_ms.telemetry.tracing.headers import Parent
from sanic_ms.telemetry.tracing.span import RecordedSpan, Scope

if TYPE_CHECKING:
    from sanic_ms.telemetry.tracing.server import RouteSpans

__all__ = ["SCOPE", "RequestRecord", "RequestSpan", "is_secure", "request_span", "said_of"]

SCOPE = Scope("sanic_ms.server")


class RequestSpan(RecordedSpan):
    """The server span as handlers have it: ``request["span"]``. The server ends it, nobody else."""

    __slots__ = ()

    def end(self, end_time: int | None = None) -> None:
        """Does nothing."""

    def altered(self, route: RouteSpans) -> bool:
        """Whether anything was said of it beyond what is said of every request of the route."""
        return (
            self.status != 0
            or self.left != 0
            or self.events is not None
            or self.links is not None
            or self.name is not route.name
            or self.attributes != route.attributes
        )


# Thousands wait at a time. As objects that the collector of garbage knows they would set it off, to
# go through the whole process, which takes tens of milliseconds. It need not know them: they are
# freed when they are sent. (A queue thrown away with some in it would stay; `Exporter.stop` leaves
# none.)
class RequestRecord(msgspec.Struct, gc=False):
    """A recorded request that has ended.

    Attributes:
        route: Whose request it is.
        parent: The caller's span, if there is one.
        ids: 32 digits of the trace and 16 of the span; a trace that the caller named goes before.
        start, stop: Nanoseconds of the span's clock.
        url: The target of its request line.
        secure: Whether it came through TLS.
        status: Of the answer; 0 where none was sent.
    """

    route: RouteSpans
    parent: Parent | None
    ids: str
    start: int
    stop: int
    url: bytes
    secure: bool
    status: int

    @property
    def scope(self) -> Scope:
        """As a span has it."""
        return SCOPE

    def span(self) -> RequestSpan:
        """The span in full, made anew."""
        parent = self.parent
        trace_id = (parent and parent.trace_id) or self.ids[:32]
        span = request_span(self.route, parent, trace_id, self.ids[32:], self.start)
        span.attributes.update(said_of(self.url, self.secure, self.status))
        span.stop = self.stop
        return span


def request_span(
    route: RouteSpans, parent: Parent | None, trace_id: str, span_id: str, start: int
) -> RequestSpan:
    """A span with what is known at the beginning of a request."""
    parent_id = "" if parent is None else parent.span_id
    return RequestSpan(
        route.provider,
        SCOPE,
        route.name,
        SpanKind.SERVER,
        trace_id,
        parent_id,
        start,
        route.attributes.copy(),
        span_id=span_id,
        state="" if parent is None else parent.state,
        remote=parent_id != "",
    )


def is_secure(transport: Any) -> bool:
    """Whether a connection uses TLS."""
    return transport is not None and bool(transport.get_extra_info("sslcontext"))


def said_of(url: bytes, secure: bool, status: int) -> dict[str, Any]:
    """What is said of a request and its answer."""
    path, mark, query = url.partition(b"?")
    attributes: dict[str, Any] = {
        "url.scheme": "https" if secure else "http",
        "url.path": safe_path(path.decode("ascii", "backslashreplace")),
    }
    if mark:
        attributes["url.query"] = safe_query(query.decode("ascii", "backslashreplace"))
    if status:
        attributes["http.response.status_code"] = status
    return attributes
