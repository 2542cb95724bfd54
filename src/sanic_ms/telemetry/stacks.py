"""Stacks of exceptions as text, without marks below the columns.

The marks make the standard library parse each line anew: several times the cost of the rest. And on
Python 3.11 that is not safe where another thread does so at the same time
(https://github.com/python/cpython/issues/106905): one of the two gets a `SystemError`.
"""

from __future__ import annotations

import traceback
from types import TracebackType

__all__ = ["format_exception", "format_frames"]


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
