"""Which handlers need a task of their own: those that may wait for something."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from opcode import opmap
from types import CodeType, FunctionType, MethodType
from typing import Any, TypeVar

from sanic_ms.loggers import watched

__all__ = ["needs_task", "result_of", "waits"]

T = TypeVar("T")

# What every ``await``, ``async for`` and ``async with`` is compiled into.
_WAITS = opmap["SEND"]


def needs_task(handler: Callable[..., Any]) -> bool:
    """Whether a handler has to be called in a task.

    A coroutine function need not be where nowhere in it stands an ``await``, an ``async for`` or an
    ``async with``: it cannot be interrupted before its end. A plain function need not be either;
    what it gives may still have to be waited for. One that names ``current_task``, or in which a
    function does, wants to have a task. ``@logger`` waits where what it logs does. Of anything but
    functions and methods of Python's own nothing is known, so they need one.
    """
    function = handler.__func__ if isinstance(handler, MethodType) else handler
    inner = watched(function)
    if inner is not None:
        return needs_task(inner)
    if not isinstance(function, FunctionType):
        return True
    code = function.__code__
    if _names_current_task(code):
        return True
    if not inspect.iscoroutinefunction(function):
        return False
    # One that is only marked as such (`inspect.markcoroutinefunction`) gives another's coroutine.
    # An instruction is two bytes; the caches that lie between them are zeros in `co_code`.
    return not code.co_flags & inspect.CO_COROUTINE or _WAITS in code.co_code[::2]


def _names_current_task(code: CodeType) -> bool:
    inner = (const for const in code.co_consts if isinstance(const, CodeType))
    return "current_task" in code.co_names or any(map(_names_current_task, inner))


def result_of(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives, or raises, that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise waits(coroutine)


def waits(coroutine: Coroutine[Any, Any, Any]) -> RuntimeError:
    """The error for a coroutine that has begun to wait where nobody can; it is closed."""
    coroutine.close()
    return RuntimeError(f"{coroutine!r} waits, and has no task")
