"""Handlers that are plain functions: they run in a thread, so that none blocks the event loop."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from types import CodeType, FunctionType
from typing import Any

from sanic_ms.http.wrapping import stand_for
from sanic_ms.shapes.wrappers import objects_of
from sanic_ms.utils.blocking import current_calls, name_of

__all__ = ["beside_loop", "in_thread", "runs_in_thread"]

# Functions that fail, or do harm, outside the thread of the event loop. A handler that names one
# was written for that thread.
_OF_THE_LOOP = frozenset(
    (
        "all_tasks",
        "call_at",
        "call_later",
        "call_soon",
        "create_future",
        "create_task",
        "current_task",
        "ensure_future",
        "get_event_loop",
        "get_running_loop",
    )
)
_MISSING: Any = object()


def beside_loop(call: Callable[..., Any], handler: Callable[..., Any]) -> Callable[..., Any]:
    """What is called for a handler: in a thread where it runs in one, else ``call`` itself.

    The arguments are those of `runs_in_thread`.
    """
    return in_thread(call) if runs_in_thread(handler, call) else call


def runs_in_thread(handler: Callable[..., Any], call: Callable[..., Any]) -> bool:
    """Whether a handler runs in a thread: a plain function, in plain decorators, that does not name
    a function of the event loop.

    Args:
        handler: The handler: a function or the method of a class view.
        call: What is called for it: the handler itself, or the function of its class view.
    """
    entries = [*objects_of(handler), *objects_of(call)]
    if any(map(inspect.iscoroutinefunction, entries)):
        return False
    functions = [entry for entry in entries if isinstance(entry, FunctionType)]
    # Nothing is known of what is no function of Python's own: it stays where Sanic calls it.
    return bool(functions) and not any(_names_loop(entry.__code__) for entry in functions)


def in_thread(call: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """A coroutine function that calls a handler in a thread of `sanic_ms.utils.run_blocking`. What
    the handler gives is awaited in the event loop where it can be.

    Context variables that it sets are set for what comes after it too, as if it had run here.
    """
    name = name_of(call)

    async def call_in_thread(*args: Any, **keywords: Any) -> Any:
        context = copy_context()
        bound = functools.partial(call, *args, **keywords)
        try:
            value = await current_calls().run_in_thread(bound, name, context)
        except Exception:
            _adopt(context)
            raise
        _adopt(context)
        return await value if inspect.isawaitable(value) else value

    return stand_for(call_in_thread, call)


def _names_loop(code: CodeType) -> bool:
    inner = (const for const in code.co_consts if isinstance(const, CodeType))
    return not _OF_THE_LOOP.isdisjoint(code.co_names) or any(map(_names_loop, inner))


def _adopt(context: Context) -> None:
    """Set the variables that have another value in a context."""
    for variable, value in context.items():
        if variable.get(_MISSING) is not value:
            variable.set(value)
