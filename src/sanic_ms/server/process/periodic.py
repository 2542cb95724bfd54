"""Which background tasks come to an end by themselves, and which go round in a loop for ever.

A stop waits for the first, and would wait in vain for the others. Nothing marks them, so we look at
the source of the loop in which a task stands: ``while True`` without ``break`` or ``return`` is
periodic. A loop that has a condition may end, and so may a task whose source cannot be read.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import textwrap
from collections.abc import Iterator
from enum import Enum
from functools import lru_cache
from types import CodeType, CoroutineType
from typing import Any

__all__ = ["Progress", "progress_of"]

# What a loop awaits between two rounds.
_PAUSES = {
    function.__code__
    for function in (
        asyncio.sleep,
        asyncio.Queue.get,
        asyncio.Event.wait,
        asyncio.Condition.wait,
        asyncio.Condition.wait_for,
    )
}
# A clause for these says how a loop ends when it is cancelled, and not that it ends by itself.
_CANCELLATIONS = ("CancelledError", "BaseException")
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_LOOPS = (ast.While, ast.For, ast.AsyncFor)


class Progress(Enum):
    """Where a task stands."""

    ENDING = "it may come to an end by itself"
    ROUND = "it is in a loop without an end, and does something"
    PAUSE = "it is in such a loop, and waits for the next round"


def progress_of(task: asyncio.Task[Any]) -> Progress:
    """Where a task stands that is not done. It is not the current one."""
    awaited: Any = task.get_coro()
    while isinstance(awaited, CoroutineType) and awaited.cr_frame is not None:
        inner = awaited.cr_await
        line = awaited.cr_frame.f_lineno
        if any(line in loop for loop in _endless_loops(awaited.cr_code)):
            pauses = isinstance(inner, CoroutineType) and inner.cr_code in _PAUSES
            return Progress.PAUSE if pauses else Progress.ROUND
        awaited = inner
    return Progress.ENDING


@lru_cache(maxsize=256)
def _endless_loops(code: CodeType) -> tuple[range, ...]:
    """The lines of each loop of a function that cannot be left."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(code)))
    except (OSError, TypeError, SyntaxError):
        return ()
    first = code.co_firstlineno - 1
    return tuple(
        range(first + node.lineno, first + (node.end_lineno or node.lineno) + 1)
        for node in ast.walk(tree)
        if isinstance(node, ast.While) and _is_endless(node)
    )


def _is_endless(loop: ast.While) -> bool:
    always = isinstance(loop.test, ast.Constant) and bool(loop.test.value)
    return always and not any(_exits(statement, inner=False) for statement in loop.body)


def _exits(node: ast.AST, *, inner: bool) -> bool:
    """Whether a statement may leave the loop that it belongs to.

    Args:
        node: The statement, or a part of it.
        inner: Whether it is in a loop inside of that one, of which a ``break`` is then.
    """
    if isinstance(node, ast.Return) or (isinstance(node, ast.Break) and not inner):
        return True
    if isinstance(node, _SCOPES) or (isinstance(node, ast.ExceptHandler) and _is_told(node)):
        return False
    inner = inner or isinstance(node, _LOOPS)
    return any(_exits(child, inner=inner) for child in ast.iter_child_nodes(node))


def _is_told(handler: ast.ExceptHandler) -> bool:
    return handler.type is not None and any(name in _CANCELLATIONS for name in _names(handler.type))


def _names(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Attribute):
            yield part.attr
