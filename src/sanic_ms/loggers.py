"""``@logger``: a span and a log line for each call of a function."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Sequence
from types import CodeType, FunctionType
from typing import Any, TypeVar, overload

from sanic_ms.telemetry.logging.logged import LoggedFunction

__all__ = ["logger", "watched"]

F = TypeVar("F", bound=Callable[..., Any])


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
        category: What it belongs to. Default the service, in the lines as JSON and in spans.
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
        return _decorate(
            type, LoggedFunction("method", None, None, None, True, logging.INFO, False)
        )
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
    return lambda function: _decorate(function, LoggedFunction(*call))


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


def _decorate(function: Any, call: LoggedFunction) -> Any:
    if isinstance(function, staticmethod | classmethod):
        return function.__class__(_decorate(function.__func__, call))
    if not inspect.isroutine(function) or not hasattr(inspect.unwrap(function), "__code__"):
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


def _plain(function: Callable[..., Any], call: LoggedFunction) -> Callable[..., Any]:
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


def _coroutine(function: Callable[..., Any], call: LoggedFunction) -> Callable[..., Any]:
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


def _like(
    function: Any, call: LoggedFunction, kind: str = "", wait: str = ""
) -> Callable[..., Any] | None:
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


def _generator(function: Callable[..., Any], call: LoggedFunction) -> Callable[..., Any]:
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


def _async_generator(function: Callable[..., Any], call: LoggedFunction) -> Callable[..., Any]:
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
