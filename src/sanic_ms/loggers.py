"""``@logger``: a span and a log line for each call of a function."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
from collections.abc import Callable, Sequence
from time import perf_counter, time
from types import CodeType, FunctionType, MappingProxyType
from typing import Any, TypeVar, overload

import msgspec
from opentelemetry import trace
from opentelemetry.context import attach, detach

from sanic_ms._compiled import compiled
from sanic_ms.context import current_request
from sanic_ms.telemetry.logging.called import Called, CallSite
from sanic_ms.telemetry.logging.format import JSONFormatter
from sanic_ms.telemetry.logging.handler import sole_handler
from sanic_ms.telemetry.redaction import redactor
from sanic_ms.telemetry.trace import current_ids, end_child, recording_span, start_child
from sanic_ms.telemetry.trace.context import SpanHolder, get_context
from sanic_ms.telemetry.trace.span import Scope

__all__ = ["logger"]

F = TypeVar("F", bound=Callable[..., Any])

_SCOPE = Scope("sanic_ms.loggers")
_lines: Any = compiled("sanic_ms.telemetry.logging._lines")


@overload
def logger(type: F, /) -> F: ...


@overload
def logger(
    type: str | None = None,
    category: str | None = None,
    detail: str | None = None,
    description: str | None = None,
    tracing: bool = True,
    level: int | str = logging.INFO,
    *,
    args: bool | str | Sequence[str] = False,
) -> Callable[[F], F]: ...


def logger(
    type: Any = None,
    category: str | None = None,
    detail: str | None = None,
    description: str | None = None,
    tracing: bool = True,
    level: int | str = logging.INFO,
    *,
    args: bool | str | Sequence[str] = False,
) -> Any:
    """Log each call of a function with its duration and outcome, and give it a span.

    For functions, coroutine functions, generators of both kinds, methods, static and class methods;
    with parentheses or without. The line comes from the logger of the function's module, when the
    call has ended. The span is below the current one, if that is recorded; outside of a request it
    begins a trace. The function's result, exceptions and signature stay as they are.

    Args:
        type: What kind of call it is, for the line. Default ``method``.
        category: What it belongs to.
        detail: Its name in the line and in the trace. Default the function's own.
        description: What it does. Default the first line of its docstring.
        tracing: Whether it has a span.
        level: The level of the line, as a number or a name.
        args: The arguments to log: True for all, or their names. Secret names are hidden as ever.

    Raises:
        TypeError: it is no function, an argument is of the wrong type, or ``args`` names what it
            does not take.
        ValueError: there is no such level.
    """
    if type is not None and not isinstance(type, str):
        return _decorate(type, _Call("method", None, None, None, True, logging.INFO, False))
    texts = {"category": category, "detail": detail, "description": description}
    for name, value in texts.items():
        if value is not None and not isinstance(value, str):
            raise TypeError(f"@logger({name}={value!r}): give a text")
    if not isinstance(tracing, bool):
        raise TypeError(f"@logger(tracing={tracing!r}): give True or False")
    if not isinstance(args, bool | str) and not (
        isinstance(args, Sequence) and all(isinstance(entry, str) for entry in args)
    ):
        raise TypeError(f"@logger(args={args!r}): give True, False, or names of arguments")
    call = (type or "method", category, detail, description, tracing, _level(level), args)
    return lambda function: _decorate(function, _Call(*call))


def _level(level: object) -> int:
    if isinstance(level, int) and not isinstance(level, bool):
        return level
    if not isinstance(level, str):
        raise TypeError(f"@logger(level={level!r}): give a name such as 'INFO', or a number")
    names = logging.getLevelNamesMapping()
    number = names.get(level.upper())
    if number is None:
        raise ValueError(f"@logger(level={level!r}): there is {', '.join(names)}")
    return number


def watched(function: object) -> Any:
    """The function that a wrapper of `logger` calls with what it was given; None where this is no
    such wrapper, or one that logs arguments.

    ``__wrapped__`` does not tell: decorators around it copy that.
    """
    code = getattr(function, "__code__", None)
    if code is None or code.co_filename != _LIKE_FILE:
        return None
    return function.__globals__["_function"]  # type: ignore[attr-defined]


class _Call:
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

    def begin(self, args: Any, kwargs: Any) -> _Running | float | None:
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
                    span = start_child(parent, _SCOPE, self.name, dict(self.attributes), kind)
        logged = self.log.isEnabledFor(self.level)
        if span is None:
            if not logged:
                return None
            if self.signature is None:
                return perf_counter()
        running = _Running(self, span, logged, perf_counter())
        if logged and self.signature is not None:
            running.arguments = self._arguments(args, kwargs)
        if span is not None:
            running.context = trace.set_span_in_context(span)
        return running

    def begin_within(self, args: Any = (), kwargs: Any = MappingProxyType({})) -> Any:
        """The same, and the call's span is current from now on."""
        running = self.begin(args, kwargs)
        if isinstance(running, _Running):
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

    def end(self, running: _Running | float, exc: BaseException | None = None) -> None:
        """The call has ended: its line (within its span), and its span."""
        if isinstance(running, float):
            running = _Running(self, None, True, running)
        running.end(exc)

    def finish(self, running: _Running | float) -> None:
        """The call has gone well: the same."""
        if not self.tell_usual(running):
            self.end(running)

    def tell_usual(self, running: _Running | float) -> bool:
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
            ids = context.log_ids = formatter.ids(context.ids, request.id)
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
        message, extra = called.message(), called.fields()
        log.handle(
            log.makeRecord(
                log.name, self.level, *self.place, message, (), None, self.function, extra
            )
        )


class _Running(msgspec.Struct):
    """One call."""

    call: _Call
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


def _decorate(function: Any, call: _Call) -> Any:
    if isinstance(function, staticmethod | classmethod):
        return function.__class__(_decorate(function.__func__, call))
    if not inspect.isroutine(function):
        raise TypeError(f"@logger is for functions and methods, not for {function!r}")
    call.bind(function)
    wrapper: Any
    if inspect.isasyncgenfunction(function):
        wrapper = _async_generator(function, call)
    elif inspect.iscoroutinefunction(function):
        wrapper = _like(function, call, "async ", "await ") or _coroutine(function, call)
    elif inspect.isgeneratorfunction(function):
        wrapper = _generator(function, call)
    else:
        wrapper = _like(function, call) or _plain(function, call)
    return functools.wraps(function)(wrapper)


def _plain(function: Callable[..., Any], call: _Call) -> Callable[..., Any]:
    begin, finish, end = call.steps()

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        running = begin(args, kwargs)
        if running is None:
            return function(*args, **kwargs)
        try:
            value = function(*args, **kwargs)
        except BaseException as exc:
            end(running, exc)
            raise
        finish(running)
        return value

    return wrapper


def _coroutine(function: Callable[..., Any], call: _Call) -> Callable[..., Any]:
    begin, finish, end = call.steps()

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        running = begin(args, kwargs)
        if running is None:
            return await function(*args, **kwargs)
        try:
            value = await function(*args, **kwargs)
        except BaseException as exc:
            end(running, exc)
            raise
        finish(running)
        return value

    return wrapper


_LIKE_FILE = "<@logger>"
_LIKE = """
{kind}def wrapper({parameters}):
    running = _begin()
    if running is None:
        return {wait}_function({arguments})
    try:
        value = {wait}_function({arguments})
    except BaseException as exc:
        _end(running, exc)
        raise
    _finish(running)
    return value
"""


def _like(function: Any, call: _Call, kind: str = "", wait: str = "") -> Callable[..., Any] | None:
    """A wrapper with the very parameters of the function: to pass on whatever comes takes twice as
    long as all the rest of a wrapper. None where it takes any number of arguments, or these are to
    be logged."""
    if call.signature is not None or not isinstance(function, FunctionType):
        return None
    code = function.__code__
    if code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS):
        return None
    count, only = code.co_argcount, code.co_kwonlyargcount
    names = code.co_varnames[: count + only]
    begin, finish, end = call.steps(like=True)
    known = {"_begin": begin, "_finish": finish, "_end": end, "_function": function}
    if not {*known, "running", "value", "exc", "BaseException"}.isdisjoint(names):
        return None
    known["__name__"] = __name__
    parameters, arguments = list(names[:count]), list(names[:count])
    if code.co_posonlyargcount:
        parameters.insert(code.co_posonlyargcount, "/")
    if only:
        parameters += ["*", *names[count:]]
        arguments += [f"{name}={name}" for name in names[count:]]
    text = _LIKE.format(
        kind=kind, wait=wait, parameters=", ".join(parameters), arguments=", ".join(arguments)
    )
    # A copy for each: the interpreter remembers in the code itself what it calls.
    wrapper = FunctionType(
        _compiled_like(text).replace(co_name=code.co_name), known, None, function.__defaults__
    )
    wrapper.__kwdefaults__ = function.__kwdefaults__
    return wrapper


@functools.lru_cache(256)
def _compiled_like(text: str) -> CodeType:
    (found,) = (
        part for part in compile(text, _LIKE_FILE, "exec").co_consts if isinstance(part, CodeType)
    )
    return found


def _generator(function: Callable[..., Any], call: _Call) -> Callable[..., Any]:
    begin, end, tell_usual = call.begin, call.end, call.tell_usual

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        running = begin(args, kwargs)
        if running is None:
            return (yield from function(*args, **kwargs))
        # The span is current in none of its steps: the caller's code runs between them.
        try:
            value = yield from function(*args, **kwargs)
        except BaseException as exc:
            end(running, exc)
            raise
        if not tell_usual(running):
            end(running)
        return value

    return wrapper


def _async_generator(function: Callable[..., Any], call: _Call) -> Callable[..., Any]:
    begin, end, tell_usual = call.begin, call.end, call.tell_usual

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        running = begin(args, kwargs)
        recorded = None if isinstance(running, float) else running
        steps = function(*args, **kwargs)
        step, sent = steps.asend, None
        error: BaseException | None = None
        try:
            while True:
                # Current while the function runs, and not while its caller does.
                if recorded is not None:
                    recorded.enter()
                try:
                    item = await step(sent)
                except StopAsyncIteration:
                    return
                finally:
                    if recorded is not None:
                        recorded.leave()
                try:
                    step, sent = steps.asend, (yield item)
                except GeneratorExit:
                    await steps.aclose()
                    raise
                except BaseException as exc:
                    step, sent = steps.athrow, exc
        except BaseException as exc:
            error = exc
            raise
        finally:
            if running is not None and (error is not None or not tell_usual(running)):
                end(running, error)

    return wrapper
