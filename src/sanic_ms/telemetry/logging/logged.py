"""The calls of one ``@logger`` function: how each begins, and what is told of it at its end."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Callable, Sequence
from time import perf_counter, time
from types import MappingProxyType
from typing import Any

import msgspec
from opentelemetry import trace
from opentelemetry.context import attach, detach

from sanic_ms.context import current_request
from sanic_ms.native.compiled import compiled
from sanic_ms.telemetry.logging.called import Called, CallSite
from sanic_ms.telemetry.logging.format import JSONFormatter
from sanic_ms.telemetry.logging.handler import sole_handler
from sanic_ms.telemetry.logging.line import request_id_of
from sanic_ms.telemetry.redaction import redactor
from sanic_ms.telemetry.tracing import current_ids, end_child, recording_span, start_child
from sanic_ms.telemetry.tracing.context import SpanHolder, get_context
from sanic_ms.telemetry.tracing.span import Scope

__all__ = ["LoggedFunction", "RunningCall"]

_SCOPE = Scope("sanic_ms.loggers")
_lines: Any = compiled("sanic_ms.telemetry.logging._lines")


class LoggedFunction:
    """What is known of the calls of one function before there is any."""

    def __init__(
        self,
        kind: str,
        category: str | None,
        detail: str | None,
        description: str | None,
        tracing: bool,
        level: int,
        args: bool | str | Sequence[str],
    ) -> None:
        self.fields: dict[str, Any] = {
            "type": kind,
            "category": category,
            "detail": detail,
            "description": description,
        }
        self.tracing = tracing
        self.level = level
        self.args = (args,) if isinstance(args, str) else args

    def bind(self, function: Callable[..., Any]) -> None:
        """Look at the function."""
        name = function.__qualname__.replace("<locals>.", "")
        doc = (inspect.getdoc(function) or "").partition("\n")[0]
        self.fields["detail"] = self.name = self.fields["detail"] or name
        self.fields["description"] = self.fields["description"] or doc or None
        self.fields = {key: value for key, value in self.fields.items() if value is not None}
        self.log = logging.getLogger(function.__module__)
        code = inspect.unwrap(function).__code__
        self.place = code.co_filename, code.co_firstlineno
        self.function = f"{function.__module__}.{function.__qualname__}"
        self.attributes = {"code.function.name": self.function, **self.fields}
        self.site = CallSite(
            self.log.name,
            self.level,
            logging.getLevelName(self.level),
            self.name,
            {**self.fields, "function": self.function},
        )
        self.signature = inspect.signature(function) if self.args else None
        if self.signature is not None and not isinstance(self.args, bool):
            unknown = [entry for entry in self.args if entry not in self.signature.parameters]
            if unknown:
                raise TypeError(f"args={unknown[0]!r}: {name}{self.signature} takes no such thing")

    def steps(self, *, like: bool = False) -> tuple[Any, Any, Any]:
        """What a wrapper calls: `begin_within`, `finish` and `end`.

        Args:
            like: Whether it is one of `_like`, and calls the first without arguments.
        """
        lines = None if _lines is None else _lines.lines_of(self)
        if lines is None:
            return self.begin_within, self.finish, self.end
        return lines.begin if like else lines.begin_any, lines.finish, self.end

    def begin(self, args: Any, kwargs: Any) -> RunningCall | float | None:
        """Begin one call; None where nobody wants to know of it. The usual one, which has a line
        and neither a span nor arguments to log, is no more than the time at which it began."""
        span: trace.Span | None = None
        if self.tracing:
            context = get_context()
            if not context:  # no request and no job: a trace of its own
                tracer = trace.get_tracer(_SCOPE.name)
                span = tracer.start_span(self.name, attributes=self.attributes)
            # The usual request is not recorded, which its context says without another call.
            elif not isinstance(context, SpanHolder) or context.sampled:
                parent = recording_span()
                if parent is not None:
                    kind = trace.SpanKind.INTERNAL
                    said = self._with_category(self.attributes)
                    span = start_child(parent, _SCOPE, self.name, said, kind)
        logged = self.log.isEnabledFor(self.level)
        if span is None:
            if not logged:
                return None
            if self.signature is None:
                return perf_counter()
        running = RunningCall(self, span, logged, perf_counter())
        if logged and self.signature is not None:
            running.arguments = self._arguments(args, kwargs)
        if span is not None:
            running.context = trace.set_span_in_context(span)
        return running

    def begin_within(self, args: Any = (), kwargs: Any = MappingProxyType({})) -> Any:
        """The same, and the call's span is current from now on."""
        running = self.begin(args, kwargs)
        if isinstance(running, RunningCall):
            running.enter()
        return running

    def _arguments(self, args: Any, kwargs: Any) -> dict[str, Any] | None:
        assert self.signature is not None
        try:
            given = self.signature.bind(*args, **kwargs).arguments
        except TypeError:  # the call will fail with the same
            return None
        wanted = given if isinstance(self.args, bool) else self.args
        return {
            name: given[name] for name in wanted if name in given and name not in ("self", "cls")
        }

    def _with_category(self, said: dict[str, Any]) -> dict[str, Any]:
        """A copy; a function without a category has that of the service whose request calls it."""
        if "category" not in self.fields:
            app = getattr(current_request.get(), "app", None)
            if app is not None:
                return {**said, "category": app.name}
        return dict(said)

    def end(self, running: RunningCall | float, exc: BaseException | None = None) -> None:
        """The call has ended: its line (within its span), and its span."""
        if isinstance(running, float):
            running = RunningCall(self, None, True, running)
        running.end(exc)

    def finish(self, running: RunningCall | float) -> None:
        """The call has gone well: the same."""
        if not self.tell_usual(running):
            self.end(running)

    def tell_usual(self, running: RunningCall | float) -> bool:
        """The line of a usual call that went well within a request that is not recorded, by the
        shortest way; False where that is closed, and nothing was done."""
        if not isinstance(running, float):
            return False
        duration = perf_counter() - running
        context = get_context()
        if not isinstance(context, SpanHolder) or self.log.filters:
            return False
        handler = sole_handler(self.log, self.level)
        if handler is None:
            return False
        formatter = handler.formatter
        if type(formatter) is not JSONFormatter:  # a subclass may write its lines otherwise
            return False
        ids = context.log_ids
        if ids is None:
            request = current_request.get()
            if request is None:
                return False
            ids = context.log_ids = formatter.ids(context.ids, request_id_of(request))
        handler.writer.put(formatter.call(self.site, time(), duration, ids))
        return True

    def tell(self, called: Called) -> None:
        """The line of a call that has ended, within its span."""
        log = self.log
        handler = None if log.filters else sole_handler(log, self.level)
        if handler is not None:
            if called.arguments is not None:  # as they are now, whatever becomes of them
                called.arguments = redactor.value("", called.arguments)
            handler.writer.put(called)
            return
        # As `Logger.log` does, but with the function's place, and without looking for the caller's.
        message, extra = called.message(), self._with_category(called.fields())
        log.handle(
            log.makeRecord(
                log.name, self.level, *self.place, message, (), None, self.function, extra
            )
        )


class RunningCall(msgspec.Struct):
    """One call."""

    call: LoggedFunction
    span: trace.Span | None
    logged: bool
    started: float
    arguments: dict[str, Any] | None = None
    context: Any = None
    token: Any = None

    def enter(self) -> None:
        """Make the span current."""
        if self.context is not None:
            self.token = attach(self.context)

    def leave(self) -> None:
        """Make what was current before current again."""
        if self.token is not None:
            detach(self.token)
            self.token = None

    def end(self, exc: BaseException | None = None) -> None:
        """The call has ended: its line (within the span), and its span."""
        if isinstance(exc, GeneratorExit) and self.token is not None:
            # Thrown away, perhaps in a context that is not ours; `detach` would log that.
            with contextlib.suppress(ValueError):
                self.token.var.reset(self.token)
            self.token = None
        if self.logged:
            if self.token is None:
                self.enter()
            self._log(exc)
        self.leave()
        if self.span is not None:
            end_child(self.span, exc if isinstance(exc, Exception) else None)

    def _log(self, exc: BaseException | None) -> None:
        outcome, error = "ok", None
        if exc is not None:
            if isinstance(exc, asyncio.CancelledError | GeneratorExit):
                outcome = "cancelled"
            else:
                outcome, error = "error", exc.__class__.__name__
        duration = perf_counter() - self.started
        request = current_request.get()
        self.call.tell(
            Called(
                self.call.site,
                time(),
                duration,
                outcome,
                error,
                self.arguments,
                current_ids(),
                None if request is None else getattr(request, "id", None),
            )
        )
