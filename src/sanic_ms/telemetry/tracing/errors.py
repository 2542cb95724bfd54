"""What a span tells of an exception: enough to find the fault, and nobody's data."""

from __future__ import annotations

from sanic_ms.exception import DatabaseError
from sanic_ms.telemetry.stacks import format_frames
from sanic_ms.telemetry.tracing.attributes import safe_stack, safe_text

__all__ = ["error_stack", "error_text", "error_type"]

_LONGEST_CHAIN = 10


def error_type(exc: BaseException) -> str:
    """The value of ``error.type``: the exception's class, with its module."""
    kind = type(exc)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def error_text(exc: BaseException) -> str:
    """Its text without secrets. A database's own text shows the values of rows, so what the
    answer says of it stands here too."""
    if isinstance(exc, DatabaseError):
        return exc.public or ""
    try:
        return safe_text(str(exc))
    except Exception:  # a __str__ of the application's own must not fail what is being reported
        return ""


def error_stack(exc: BaseException) -> str:
    """Its stack, and those of the exceptions that led to it, the first of them first.

    What led to a database's error is the driver's, with the same text: of that only the class.
    """
    parts: list[str] = []
    seen: set[int] = set()
    hidden = False
    link: BaseException | None = exc
    while link is not None and id(link) not in seen and len(seen) < _LONGEST_CHAIN:
        seen.add(id(link))
        text = "" if hidden else error_text(link)
        hidden = hidden or isinstance(link, DatabaseError)
        frames = format_frames(link.__traceback__)
        parts.append(f"{frames}{error_type(link)}{f': {text}' if text else ''}\n")
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return safe_stack("which led to\n".join(reversed(parts)))
