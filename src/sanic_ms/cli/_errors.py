"""The one error of the command line, and the words for errors in an application's code."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

__all__ = ["CommandError", "describe"]

_LIBRARIES = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)
_PACKAGE = str(Path(__file__).resolve().parents[1])


class CommandError(Exception):
    """A command cannot do what it was told.

    Args:
        text: One line: what is wrong and what to do.
        exit_code: 2 where nothing was started (default), 1 where something was tried.
    """

    def __init__(self, text: str, *, exit_code: int = 2) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def describe(exc: BaseException) -> str:
    """One line about an exception of an application's code: the deepest place in that code, the
    kind and the text."""
    reason = " ".join(str(exc).split())
    if isinstance(exc, SyntaxError) and exc.filename:
        return f"{_short(exc.filename)}:{exc.lineno}: {type(exc).__name__}: {exc.msg}"
    text = f"{type(exc).__name__}: {reason}" if reason else type(exc).__name__
    for frame in reversed(traceback.extract_tb(exc.__traceback__)):
        if _is_users(frame.filename):
            return f"{_short(frame.filename)}:{frame.lineno}: {text}"
    return text


def _is_users(filename: str) -> bool:
    inside = filename.startswith((*_LIBRARIES, _PACKAGE, "<"))
    return not inside


def _short(filename: str) -> str:
    path = Path(filename)
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else filename
