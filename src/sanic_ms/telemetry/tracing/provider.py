"""The provider of spans: OpenTelemetry's `TracerProvider` and `Tracer`, without its SDK.

There is one `Provider` for each service and one place for a provider in the process. A span's
children are made by the span's own provider, so that two services in one process (tests, say)
keep their traces apart; the process' place decides only about spans that have no parent here.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import INVALID_SPAN, Link, NonRecordingSpan, Span, SpanContext, SpanKind
from opentelemetry.trace.span import TraceFlags
from opentelemetry.util._decorator import _agnosticcontextmanager

from sanic_ms.telemetry.tracing.attributes import safe_text
from sanic_ms.telemetry.tracing.context import SPAN_KEY, get_context
from sanic_ms.telemetry.tracing.headers import HeaderFormat
from sanic_ms.telemetry.tracing.sampling import is_share
from sanic_ms.telemetry.tracing.span import RecordedSpan, Scope, clock, wall_offset

if TYPE_CHECKING:
    from sanic_ms.telemetry.tracing.child import ChildRecord
    from sanic_ms.telemetry.tracing.record import RequestRecord

__all__ = [
    "Provider",
    "Tracer",
    "foreign_provider",
    "global_propagator",
    "install",
    "installed_provider",
    "uninstall",
]


class Provider(trace.TracerProvider):
    """Makes the spans of one service and hands those that end to its queue.

    Args:
        put: Takes each span that is recorded, at its end; it must not wait. None: nothing is ever
            recorded, and traces of others pass through.
        put_record: Takes the usual request and the usual child that are recorded, without a span
            being made of them. None: a span is made, for ``put``.
        ratio: The share of traces that begin here and are recorded, from 0 to 1.
        formats: The headers that calls to other services carry.

    Raises:
        ValueError: the ratio is none.
    """

    def __init__(
        self,
        put: Callable[[RecordedSpan], None] | None = None,
        *,
        put_record: Callable[[RequestRecord | ChildRecord], None] | None = None,
        ratio: float = 1.0,
        formats: Sequence[HeaderFormat] = ("w3c",),
    ) -> None:
        if not is_share(ratio):
            raise ValueError(f"ratio={ratio}: a share is a number from 0 to 1")
        self.records = put is not None
        self.put = put if put is not None else _forget
        self.put_record = put_record
        self.ratio = ratio if self.records else 0.0
        self.formats = tuple(formats)
        self._random = random.Random()
        self.bits = self._random.getrandbits
        self.share = self._random.random

    def reseed(self) -> None:
        """Begin another sequence of ids: what a process does after it was forked."""
        self._random.seed()

    def new_ids(self) -> str:
        """48 random hexadecimal digits: those of a trace and of the first span in it."""
        bits = self.bits(192) | 1  # not all digits of the span's id are 0
        return bits.to_bytes(24, "big").hex()

    def new_trace_id(self) -> str:
        """32 random hexadecimal digits."""
        return self.bits(128).to_bytes(16, "big").hex()

    def new_span_id(self) -> str:
        """16 random hexadecimal digits, not all of them 0."""
        return (self.bits(64) or 1).to_bytes(8, "big").hex()

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Tracer:
        scope = Scope(instrumenting_module_name or "", instrumenting_library_version or "")
        return Tracer(lambda: self, scope)


class Tracer(trace.Tracer):
    """Makes spans, children of the current one unless they are told otherwise.

    Args:
        find: Gives the provider for a span without a parent; None where there is none.
        scope: Who asks for the spans.
    """

    __slots__ = ("_find", "_scope")

    def __init__(self, find: Callable[[], Provider | None], scope: Scope) -> None:
        self._find = find
        self._scope = scope

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        parent = (get_context() if context is None else context).get(SPAN_KEY)
        start = clock() if start_time is None else start_time - wall_offset()
        name = safe_text(str(name))
        if isinstance(parent, RecordedSpan):
            if not parent.recording:
                return NonRecordingSpan(parent.get_span_context())
            span = parent.child(self._scope, name, kind, {}, start)
        else:
            above = parent.get_span_context() if isinstance(parent, Span) else None
            made = self._start_first(name, kind, start, above)
            if not isinstance(made, RecordedSpan):
                return made
            span = made
        span.set_attributes(attributes or {})
        for link in links or ():
            span.add_link(link.context, link.attributes)
        return span

    def _start_first(
        self, name: str, kind: SpanKind, start: int, above: SpanContext | None
    ) -> Span:
        """A span whose parent is none of ours: there is none, or it is another service's."""
        provider = self._find()
        if provider is None:
            return INVALID_SPAN if above is None else NonRecordingSpan(above)
        if above is not None and above.is_valid:
            if not (above.trace_flags.sampled and provider.records):
                return NonRecordingSpan(above)
            trace_id, parent_id = f"{above.trace_id:032x}", f"{above.span_id:016x}"
            state, remote = above.trace_state.to_header(), above.is_remote
            return RecordedSpan(
                provider, self._scope, name, kind, trace_id, parent_id, start, {},
                state=state, remote=remote,
            )  # fmt: skip
        trace_id = provider.new_trace_id()
        if provider.share() < provider.ratio:
            return RecordedSpan(provider, self._scope, name, kind, trace_id, "", start, {})
        span_id = int(provider.new_span_id(), 16)
        return NonRecordingSpan(SpanContext(int(trace_id, 16), span_id, False, TraceFlags(0)))

    @_agnosticcontextmanager
    def start_as_current_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Iterator[Span]:
        span = self.start_span(name, context, kind, attributes, links, start_time)
        with trace.use_span(
            span,
            end_on_exit=end_on_exit,
            record_exception=record_exception,
            set_status_on_exception=set_status_on_exception,
        ):
            yield span


class _GlobalProvider(trace.TracerProvider):
    """What stands in the process' one place for a provider: whichever service's runs."""

    def __init__(self) -> None:
        self.providers: list[Provider] = []
        self.lock = threading.Lock()

    def current(self) -> Provider | None:
        return self.providers[-1] if self.providers else None

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Tracer:
        scope = Scope(instrumenting_module_name or "", instrumenting_library_version or "")
        return Tracer(self.current, scope)


_place = _GlobalProvider()


def foreign_provider() -> trace.TracerProvider | None:
    """The provider that the application installed itself (the official SDK's, say), or None."""
    found = trace.get_tracer_provider()
    if found is _place or isinstance(found, trace.ProxyTracerProvider):
        return None
    return found


def global_propagator() -> TextMapPropagator:
    """What reads and writes headers for a foreign provider, as ``OTEL_PROPAGATORS`` says.

    It is asked for when it is needed: a name in there whose package is not installed fails at the
    import, and our own provider does without.
    """
    from opentelemetry.propagate import get_global_textmap

    return get_global_textmap()


def installed_provider() -> Provider | None:
    """Our provider that is installed; None where there is none, or somebody else's."""
    return _place.current() if trace.get_tracer_provider() is _place else None


def install(provider: Provider) -> bool:
    """Make this the provider that `opentelemetry.trace.get_tracer` works with.

    Returns:
        False where the application has installed its own, which then stays.
    """
    with _place.lock:
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            trace.set_tracer_provider(_place)
        if trace.get_tracer_provider() is not _place:
            return False
        _place.providers.append(provider)
        return True


def uninstall(provider: Provider) -> None:
    """The opposite; the one that was there before takes over again. Twice is once."""
    with _place.lock:
        if provider in _place.providers:
            _place.providers.remove(provider)


def _forget(span: RecordedSpan) -> None:
    """Where nothing is exported."""
