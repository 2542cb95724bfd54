"""Which background tasks come to an end by themselves, and which go round in a loop for ever.

A stop waits for the first, and would wait in vain for the others. Nothing marks them, so we look at
where a task stands: in a loop that it cannot leave (``while True`` without ``break`` or ``return``)
it is periodic. Loops that depend on a condition may end, and count as tasks that do.
"""

from __future__ import annotations

import asyncio
import dis
from collections.abc import Iterator
from enum import Enum
from types import CodeType, CoroutineType
from typing import Any

__all__ = ["Progress", "progress_of"]

_JUMPS = {
    "JUMP_FORWARD",
    "JUMP_BACKWARD",
    "JUMP_BACKWARD_NO_INTERRUPT",
    "JUMP_ABSOLUTE",
    "JUMP",
    "JUMP_NO_INTERRUPT",
}
_RETURNS = {"RETURN_VALUE", "RETURN_CONST"}
# A context manager may swallow an exception and so end a loop; they hardly ever do.
_ENDS = {"RAISE_VARARGS", "RERAISE", "WITH_EXCEPT_START"}
# ``except CancelledError`` around a loop is how it ends when it is told to, not by itself.
_TOLD = {"CancelledError", "BaseException"}

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
        if not _can_return(awaited.cr_code, awaited.cr_frame.f_lasti):
            pauses = isinstance(inner, CoroutineType) and inner.cr_code in _PAUSES
            return Progress.PAUSE if pauses else Progress.ROUND
        awaited = inner
    return Progress.ENDING


def _can_return(code: CodeType, offset: int) -> bool:
    """Whether some way leads from an instruction to a ``return``, or to the function's end."""
    bytecode = dis.Bytecode(code)
    instructions = list(bytecode)
    position = {instruction.offset: index for index, instruction in enumerate(instructions)}
    entries = bytecode.exception_entries  # type: ignore[attr-defined]
    handlers = [(entry.start, entry.end, position[entry.target]) for entry in entries]
    waiting, seen = [position.get(offset, 0)], set[int]()
    while waiting:
        index = waiting.pop()
        if index in seen or index >= len(instructions):
            continue
        seen.add(index)
        instruction = instructions[index]
        if instruction.opname in _RETURNS:
            return True
        waiting += (target for begin, end, target in handlers if begin <= instruction.offset < end)
        waiting += _successors(instructions, index, position)
    return False


def _successors(
    instructions: list[dis.Instruction], index: int, position: dict[int, int]
) -> Iterator[int]:
    instruction = instructions[index]
    name = instruction.opname
    if name in _ENDS:
        return
    jumps = instruction.opcode in dis.hasjrel or instruction.opcode in dis.hasjabs
    if jumps:
        yield position[instruction.argval]
    if name in _JUMPS or (jumps and _is_match_of_told(instructions, index)):
        return
    yield index + 1


def _is_match_of_told(instructions: list[dis.Instruction], index: int) -> bool:
    """Whether this decides about an ``except`` clause for `_TOLD`: its block follows."""
    before = instructions[:index]
    if not before or before.pop().opname != "CHECK_EXC_MATCH":
        return False
    while before and (name := before.pop()).opname.startswith(("LOAD_", "BUILD_TUPLE")):
        if name.argval in _TOLD:
            return True
    return False
