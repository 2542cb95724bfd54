"""The methods of OpenTracing's spans, which the first generation had, on OpenTelemetry's.

https://opentracing-python.readthedocs.io/en/latest/api.html#span
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from opentelemetry.trace import Span, SpanContext, Status, StatusCode

__all__ = ["OpenTracingMethods", "WrappedSpan"]


class OpenTracingMethods:
    """``set_tag``, ``log_kv`` and ``finish`` of a span that has OpenTelemetry's methods."""

    __slots__ = ()

    def set_tag(self, key: str, value: Any) -> Self:
        """``set_attribute``. A value that is no text, number or truth value is set as its text."""
        span: Any = self
        plain = isinstance(value, str | bool | int | float)
        span.set_attribute(key, value if plain else str(value))
        return self

    def log_kv(self, key_values: Mapping[str, Any], timestamp: float | None = None) -> Self:
        """``add_event``. The event's name is what stands under ``event``, or ``log``.

        Args:
            key_values: What is told of the event.
            timestamp: Seconds since 1970; default now.
        """
        attributes = {
            key: value if isinstance(value, str | bool | int | float) else str(value)
            for key, value in key_values.items()
            if key != "event"
        }
        span: Any = self
        moment = None if timestamp is None else int(timestamp * 1e9)
        span.add_event(str(key_values.get("event", "log")), attributes, moment)
        return self

    def finish(self, finish_time: float | None = None) -> None:
        """``end``. The server ends the span of a request, so that there it does nothing.

        Args:
            finish_time: Seconds since 1970; default now.
        """
        span: Any = self
        span.end(None if finish_time is None else int(finish_time * 1e9))


class WrappedSpan(OpenTracingMethods, Span):
    """Another provider's span of a request, with these methods as well. It has every attribute that
    the span has.

    Args:
        span: The span.
    """

    def __init__(self, span: Span) -> None:
        self._span = span

    def __getattr__(self, name: str) -> Any:
        return getattr(self._span, name)

    def end(self, end_time: int | None = None) -> None:
        self._span.end(end_time)

    def finish(self, finish_time: float | None = None) -> None:
        """Does nothing: the server ends the span of a request."""

    def get_span_context(self) -> SpanContext:
        return self._span.get_span_context()

    def is_recording(self) -> bool:
        return self._span.is_recording()

    def set_attribute(self, key: str, value: Any) -> None:
        self._span.set_attribute(key, value)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        self._span.set_attributes(attributes)

    def add_event(
        self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None
    ) -> None:
        self._span.add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        self._span.add_link(context, attributes)

    def update_name(self, name: str) -> None:
        self._span.update_name(name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        self._span.set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        self._span.record_exception(exception, attributes, timestamp, escaped)
