"""Stacks of exceptions: as text, and where the application's own code stands in them.

The text has no marks below the columns. They make the standard library parse each line anew:
several times the cost of the rest. And on Python 3.11 that is not safe where another thread does so
at the same time (https://github.com/python/cpython/issues/106905): one of the two gets a
`SystemError`.
"""

from __future__ import annotations

import sys
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, TracebackType

__all__ = [
    "application_frames",
    "application_part",
    "describe",
    "format_exception",
    "format_frames",
]

# Packages whose code stands between a request, a handler and what it calls, and is neither.
_BETWEEN = sys.stdlib_module_names | {"sanic", "sanic_ext", "sanic_ms", "sanic_routing", "uvloop"}
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib")})


def application_frames(exc: BaseException) -> list[tuple[str, CodeType, int]]:
    """The application's own functions that an exception went through: module, code and line, the
    outermost first. Where the application itself is installed among the libraries, it cannot be
    told from those of others, and all but the framework's count."""
    frames = [
        (module, code, line)
        for module, code, line in _frames(exc.__traceback__)
        if module.partition(".")[0] not in _BETWEEN
    ]
    own = [frame for frame in frames if not frame[1].co_filename.startswith(_LIBRARIES)]
    return own or frames


def application_part(exc: BaseException) -> TracebackType | None:
    """The stack from the application's first function on; all of it where there is none."""
    frames = application_frames(exc)
    traceback = exc.__traceback__
    while frames and traceback is not None and traceback.tb_frame.f_code is not frames[0][1]:
        traceback = traceback.tb_next
    return traceback


def describe(exc: BaseException) -> str:
    """One line: the kind, the text, and the deepest place in the application's code:
    ``ZeroDivisionError: division by zero (server.py:63)``."""
    text = " ".join(str(exc).split())
    line = f"{type(exc).__name__}: {text}" if text else type(exc).__name__
    frames = application_frames(exc)
    if not frames:
        return line
    _, code, number = frames[-1]
    path, here = Path(code.co_filename), Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    return f"{line} ({shown}:{number})"


def _frames(tb: TracebackType | None) -> Iterator[tuple[str, CodeType, int]]:
    while tb is not None:
        yield str(tb.tb_frame.f_globals.get("__name__", "")), tb.tb_frame.f_code, tb.tb_lineno
        tb = tb.tb_next


def format_exception(exc: BaseException, tb: TracebackType | None) -> str:
    """As `traceback.format_exception`: the stack, and those of the exceptions that led to it."""
    whole = traceback.TracebackException(type(exc), exc, tb, compact=True)
    _without_columns(whole)
    return "".join(whole.format())


def format_frames(tb: TracebackType | None) -> str:
    """As `traceback.format_tb`: the frames alone."""
    frames = traceback.extract_tb(tb)
    _forget_columns(frames)
    return "".join(frames.format())


def _without_columns(whole: traceback.TracebackException) -> None:
    rest = [whole]
    while rest:
        entry = rest.pop()
        _forget_columns(entry.stack)
        linked = (entry.__cause__, entry.__context__, *(entry.exceptions or ()))
        rest.extend(link for link in linked if link is not None)


def _forget_columns(frames: traceback.StackSummary) -> None:
    for frame in frames:
        frame.colno = frame.end_colno = None
