"""Which span is current, by OpenTelemetry's own context, reached with one look.

`opentelemetry.context` keeps a mapping in a context variable. Its functions go there in three
calls; what every request and every query asks for is worth the direct way. Nothing private is
named: the keys are read off contexts with a span or an entry of baggage in them, the variable off a
token.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from opentelemetry.baggage import set_baggage
from opentelemetry.context import Context, attach, create_key, detach, get_current
from opentelemetry.trace import INVALID_SPAN, Span, set_span_in_context

from sanic_ms.telemetry.tracing.baggage import read_entries

if TYPE_CHECKING:
    from sanic_ms.telemetry.tracing.provider import Provider

__all__ = [
    "BAGGAGE_KEY",
    "SPAN_KEY",
    "SpanHolder",
    "context_variable",
    "current_span",
    "get_context",
    "recording_parent",
    "recording_span",
    "set_context",
]

(SPAN_KEY,) = set_span_in_context(INVALID_SPAN, Context())
"""The key under which a context holds its span."""

(BAGGAGE_KEY,) = set_baggage("name", "value", Context())
"""The key under which a context holds the entries of its baggage, a dict."""

SERVER_KEY = create_key("sanic-ms-server-span")
"""The key under which a context, and each made from it, holds the `SpanHolder` of its request."""


def _variable() -> ContextVar[Any] | None:
    token = attach(get_current())
    detach(token)
    variable = getattr(token, "var", None)
    return variable if isinstance(variable, ContextVar) else None


# Another runtime context (OTEL_PYTHON_CONTEXT) may keep no variable; its functions do as well.
context_variable = _variable()
"""Where the current context is kept; None: in no context variable."""
get_context: Any = get_current if context_variable is None else context_variable.get
"""The current context: a mapping, or a `SpanHolder`."""
set_context: Any = attach if context_variable is None else context_variable.set
"""Make a context current; gives the token that `opentelemetry.context.detach` takes."""


class SpanHolder:
    """A context with nothing in it but one span, which is made when somebody asks for it, and the
    baggage that came with a request.

    It has what OpenTelemetry's functions call on a context (``get`` and ``copy``) and what a
    ``dict(context)`` needs. A real one costs a fifth of a microsecond more, and needs the span.

    Attributes:
        sampled: Whether the span is recorded: known without making it.
        log_ids: What the formatter of log lines keeps of it, once there was a line.
    """

    __slots__ = ("log_ids", "sampled")

    sampled: bool
    log_ids: str | None

    @property
    def span(self) -> Span:
        """The span."""
        raise NotImplementedError

    @property
    def ids(self) -> tuple[str, str]:
        """Those of the trace and of the span, in hexadecimal digits, made when somebody asks."""
        raise NotImplementedError

    @property
    def known(self) -> bool:
        """Whether anybody else has seen the ids, or will."""
        raise NotImplementedError

    @property
    def inherited(self) -> tuple[Provider, str, str, str]:
        """What a child takes over: the provider, the ids as above, the trace's state."""
        raise NotImplementedError

    @property
    def passes_on(self) -> bool:
        """Whether those that are called are told to record the trace."""
        raise NotImplementedError

    @property
    def baggage(self) -> str:
        """The baggage that came with the request, as it is handed on; ``""`` where none did."""
        raise NotImplementedError

    def get(self, key: str, default: Any = None) -> Any:
        if key == SPAN_KEY:
            return self.span
        if key == SERVER_KEY:
            return self
        if key == BAGGAGE_KEY and self.baggage:
            return read_entries(self.baggage)
        return default

    def copy(self) -> dict[str, Any]:
        values: dict[str, Any] = {SPAN_KEY: self.span, SERVER_KEY: self}
        if self.baggage:
            values[BAGGAGE_KEY] = read_entries(self.baggage)
        return values

    def keys(self) -> Iterator[str]:
        yield SPAN_KEY
        yield SERVER_KEY
        if self.baggage:
            yield BAGGAGE_KEY

    def __getitem__(self, key: str) -> Any:
        return self.copy()[key]


def current_span() -> Span | None:
    """The current span, recorded or not; None where there is none."""
    span = get_context().get(SPAN_KEY)
    return span if isinstance(span, Span) else None


def recording_span() -> Span | None:
    """The current span if it is recorded, else None: what those ask who would make a child."""
    parent = recording_parent()
    return parent.span if isinstance(parent, SpanHolder) else parent


def recording_parent() -> Span | SpanHolder | None:
    """The same for `ChildSpans`, which need no span made of a request."""
    context = get_context()
    if isinstance(context, SpanHolder):
        return context if context.sampled else None
    span = context.get(SPAN_KEY)
    return span if isinstance(span, Span) and span.is_recording() else None
