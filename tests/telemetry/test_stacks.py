"""Stacks as text: what the standard library writes, without its marks below the columns."""

from __future__ import annotations

import ast
import traceback
from typing import NoReturn

import pytest

from sanic_ms.telemetry.stacks import format_exception, format_frames


def fail() -> NoReturn:
    try:
        raise IndexError
    except IndexError as exc:
        raise ExceptionGroup("several", [ValueError("one"), OSError("two")]) from exc


def unmarked(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not set(line) <= set(" |^~")) + "\n"


def test_it_is_the_standard_librarys_without_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Causes and groups are there; nothing is parsed, which is not safe beside another thread."""
    with pytest.raises(ExceptionGroup) as raised:
        fail()
    exc = raised.value
    expected = unmarked("".join(traceback.format_exception(exc)))
    frames = unmarked("".join(traceback.format_tb(exc.__traceback__)))

    def refuse(*args: object, **keywords: object) -> NoReturn:
        raise AssertionError("a line was parsed")

    with monkeypatch.context() as patch:
        patch.setattr(ast, "parse", refuse)
        ours = format_exception(exc, exc.__traceback__), format_frames(exc.__traceback__)
    assert (unmarked(ours[0]), unmarked(ours[1])) == (expected, frames)
    assert format_frames(None) == ""
