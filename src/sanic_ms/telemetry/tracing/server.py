"""The span of a request that is served: made once per request, so each step here is counted.

`ServerSpans` belongs to one application. Each of its routes is bound at start to a `RouteSpans`,
which knows all that is the same for every request. A request that is not sampled gets an object
with a few attributes; the ids of its trace are made when somebody asks for them, and its span is
recorded after all, with its true times, if the request fails.

The usual recorded request ends without a span either: a `RequestRecord` waits to be sent for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from opentelemetry import trace
from opentelemetry.context import Context, attach, set_value
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

from sanic_ms.telemetry.tracing.context import SERVER_KEY, SpanHolder, set_context
from sanic_ms.telemetry.tracing.errors import error_text, error_type
from sanic_ms.telemetry.tracing.headers import (
    Parent,
    fields_of,
    may_have_fields,
    read_fields,
    read_head,
)
from sanic_ms.telemetry.tracing.provider import (
    Provider,
    global_propagator,
)
from sanic_ms.telemetry.tracing.record import (
    SCOPE,
    RequestRecord,
    RequestSpan,
    is_secure,
    request_span,
    said_of,
)
from sanic_ms.telemetry.tracing.sampling import is_sampled, is_share, skip_count
from sanic_ms.telemetry.tracing.span import clock

__all__ = ["RouteSpans", "ServerSpan", "ServerSpans", "TracedRequest"]

_METHODS = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")
)


class TracedRequest(Protocol):
    """What is read of a request.

    Attributes:
        head: Its raw head; ``b""`` where there is none, and then ``headers`` is read.
        headers: Its headers, whose names match in any case.
        raw_url: The target of its request line.
        transport: Has ``get_extra_info("sslcontext")``.
    """

    @property
    def head(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, Any]: ...
    @property
    def raw_url(self) -> bytes: ...
    @property
    def transport(self) -> Any: ...


class ServerSpans:
    """The spans of one application's requests.

    Args:
        provider: Makes and records them.
    """

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._routes: list[RouteSpans] = []
        self._unmatched: dict[str, RouteSpans] = {}
        self._foreign: trace.Tracer | None = None

    def route(self, method: str, template: str, *, sample: float | None = None) -> RouteSpans:
        """What makes the spans of one route. Call it at start, not for a request.

        Args:
            method: Of the requests, in upper case.
            template: The route as it was written, with its parameters: never a path.
            sample: The share of its requests that are recorded where the caller has not decided;
                default that of the provider. 0 records none, whatever the caller says, but for
                those that fail.

        Raises:
            ValueError: ``sample`` is not from 0 to 1.
        """
        if sample is not None and not is_share(sample):
            raise ValueError(f"sample={sample!r}: a share is a number from 0 to 1")
        return self._add(RouteSpans(self.provider, method, template, sample))

    def unmatched(self, method: str) -> RouteSpans:
        """The same for requests that no route takes, or that could not be understood.

        Args:
            method: Whatever the client sent, or ``""``.
        """
        method = method if method in _METHODS else ""
        found = self._unmatched.get(method)
        if found is None:
            found = self._unmatched[method] = self._add(RouteSpans(self.provider, method, ""))
        return found

    def use(self, foreign: trace.TracerProvider | None) -> None:
        """Let another provider make the spans; None: our own does."""
        tracer = None if foreign is None else foreign.get_tracer(SCOPE.name)
        self._foreign = tracer
        for route in self._routes:
            route.foreign = tracer

    def renew(self) -> None:
        """Draw anew which requests are recorded: what a process does after it was forked."""
        for route in self._routes:
            route.renew()

    def _add(self, route: RouteSpans) -> RouteSpans:
        route.foreign = self._foreign
        self._routes.append(route)
        return route


class RouteSpans:
    """Makes the spans of one route; see `ServerSpans.route`.

    Attributes:
        name: Of its spans.
        attributes: What all of them have.
        foreign: The tracer of another provider, where the application has installed one.
    """

    __slots__ = (
        "_override",
        "_ratio",
        "_skip_count",
        "_usual",
        "attributes",
        "foreign",
        "name",
        "provider",
    )  # fmt: skip

    _skip_count: int
    _usual: object  # what the compiled writer knows of them

    def __init__(
        self, provider: Provider, method: str, template: str, sample: float | None = None
    ) -> None:
        self.provider = provider
        self.foreign: trace.Tracer | None = None
        self.name = " ".join(filter(None, (method or "HTTP", template)))
        self.attributes: dict[str, Any] = {"http.request.method": method or "_OTHER"}
        if template:
            self.attributes["http.route"] = template
        self._override = sample
        self._ratio = float(provider.ratio if sample is None else sample * provider.records)
        self._usual = None
        self.renew()

    def begin(self, request: TracedRequest, untraced: bool = False) -> ServerSpan:
        """Begin the span of a request and make it current.

        Call it first, in the task of the request: it then stays current for all that the task
        does and for the tasks that it makes, and ends with the task. It raises nothing, whatever
        the headers hold.

        Args:
            untraced: Whether it is known that no header tells of a trace or of baggage.
        """
        if self.foreign is not None:
            return _ForeignSpan(self, self.foreign, request)
        # Made without an __init__, which would cost as much again.
        span = ServerSpan()
        span._start = clock()
        span._route = self
        span._request = request
        span._span = span._ids = span.log_ids = span._parent = span._baggage = None
        if not untraced:
            if head := request.head:
                first = may_have_fields(head)
                if first is not None:
                    span._parent, span._baggage = read_head(head, first)
            else:
                span._parent, span._baggage = read_fields(fields_of(request.headers))
        parent = span._parent
        if parent is None:
            if self._skip_count:
                self._skip_count -= 1
                span.sampled = False
            else:
                self._skip_count = skip_count(self._ratio, self.provider.share)
                span.sampled = True
        else:
            span.sampled = is_sampled(
                parent,
                self._ratio,
                follow_caller=self.provider.records and self._override != 0,
                draw=self.provider.share,
            )
        set_context(span)
        return span

    def renew(self) -> None:
        """Forget which request is to be recorded next."""
        self._skip_count = skip_count(self._ratio, self.provider.share)


class ServerSpan(SpanHolder):
    """A request that is being served. Made by `RouteSpans.begin`.

    Attributes:
        sampled: Whether its span is recorded.
    """

    __slots__ = ("_baggage", "_ended", "_ids", "_parent", "_request", "_route", "_span", "_start")

    _baggage: str | None
    _ended: str | tuple[str, str]  # the ids of one that was sent
    _ids: tuple[str, str] | None
    _parent: Parent | None
    _request: TracedRequest | None
    _route: RouteSpans
    _span: RequestSpan | None
    _start: int

    @property
    def span(self) -> trace.Span:
        """The span, for attributes and events. It is made at the first look."""
        return self._own()

    @property
    def ids(self) -> tuple[str, str]:
        ids = self._ids
        if ids is None:
            parent, provider = self._parent, self._route.provider
            if self._request is None and self.sampled:
                both = "".join(self._ended)
                ids = (parent and parent.trace_id) or both[:32], both[32:]
            elif parent is None:
                both = provider.new_ids()
                ids = both[:32], both[32:]
            elif parent.sampled and not self.sampled:
                # A trace that others record passes through: what we call hangs below the one that
                # called us, because our own span will be missing.
                ids = parent.trace_id, parent.span_id or provider.new_span_id()
            else:
                ids = parent.trace_id or provider.new_trace_id(), provider.new_span_id()
            self._ids = ids
        return ids

    @property
    def known(self) -> bool:
        return self.sampled or self._ids is not None or self._parent is not None

    @property
    def inherited(self) -> tuple[Provider, str, str, str]:
        parent = self._parent
        return self._route.provider, *self.ids, "" if parent is None else parent.state

    @property
    def baggage(self) -> str:
        return self._baggage or ""

    @property
    def passes_on(self) -> bool:
        parent = self._parent
        return self.sampled or (parent is not None and parent.sampled is True)

    def end(self, status: int, exc: BaseException | None = None) -> None:
        """The answer was sent, or there will be none. A second call does nothing.

        A span that is not sampled is recorded nevertheless if the request failed: with a status of
        500 or more, or an exception.

        Args:
            status: Of the answer; 0 where none was sent.
            exc: What the request failed with. Leave out exceptions that were answered as they
                should be, such as a `NotFound`.
        """
        request = self._request
        if request is None:
            return
        if exc is not None or status >= 500:
            self._tell(request, status, exc)
        elif self.sampled:
            route, span = self._route, self._span
            provider = route.provider
            if provider.put_record is None or (span is not None and span.altered(route)):
                self._tell(request, status, None)
            else:
                stop = clock()
                ids = provider.new_ids() if self._ids is None else "".join(self._ids)
                if span is not None:
                    span.stop = stop
                url, secure = request.raw_url, is_secure(request.transport)
                self._ended = ids
                provider.put_record(
                    RequestRecord(route, self._parent, ids, self._start, stop, url, secure, status)
                )
        self._request = None

    def detach(self) -> None:
        """Make nothing current: for a server that handles several requests in one task.

        Call it in the context in which `begin` was called. What was current before is not kept: it
        would keep what was so before that, and so on through all requests of a connection.
        """
        set_context(_NOTHING)

    def _own(self) -> RequestSpan:
        span = self._span
        if span is None:
            ids = self.ids
            span = self._span = request_span(self._route, self._parent, *ids, self._start)
            if self._request is None and self.sampled:
                span.stop = clock()  # it was sent, and a task that outlives it asks
            if not self.sampled:
                span.recording = False
                span.sampled = self.passes_on
        return span

    def _tell(self, request: TracedRequest, status: int, exc: BaseException | None) -> None:
        span = self._own()
        provider = span.provider
        if not provider.records:
            return
        if span.span_id == span.parent_id:
            span.span_id = provider.new_span_id()
        attributes = span.attributes
        attributes.update(said_of(request.raw_url, is_secure(request.transport), status))
        if exc is not None:
            span.record_exception(exc)
            span.fail(exc)
        elif status >= 500:
            attributes["error.type"] = str(status)
            span.status = 2
        span.stop = clock()
        provider.put(span)


_NOTHING = Context()


class _ForeignSpan(ServerSpan):
    """The same over the span of a provider that the application installed."""

    __slots__ = ("_theirs",)

    def __init__(self, route: RouteSpans, tracer: trace.Tracer, request: TracedRequest) -> None:
        context = global_propagator().extract(request.headers)
        attributes = {
            **route.attributes,
            **said_of(request.raw_url, is_secure(request.transport), 0),
        }
        span = tracer.start_span(route.name, context, SpanKind.SERVER, attributes)
        self._theirs: trace.Span | None = span
        self.sampled = span.is_recording()
        self._baggage = None  # what there is stands in the context
        attach(set_value(SERVER_KEY, self, set_span_in_context(span, context)))

    @property
    def span(self) -> trace.Span:
        return self._theirs or trace.INVALID_SPAN

    def end(self, status: int, exc: BaseException | None = None) -> None:
        span, self._theirs = self._theirs, None
        if span is None:
            return
        if status:
            span.set_attribute("http.response.status_code", status)
        if exc is not None:
            span.record_exception(exc)
            span.set_attribute("error.type", error_type(exc))
            span.set_status(StatusCode.ERROR, error_text(exc))
        elif status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(StatusCode.ERROR)
        span.end()
