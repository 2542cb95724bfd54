"""What is to be written: taken in the thread that logs, turned into text in the one that writes."""

from __future__ import annotations

import logging
import re
from types import TracebackType
from typing import Any

import msgspec

from sanic_ms.context import current_request
from sanic_ms.telemetry.redaction import redactor
from sanic_ms.telemetry.tracing.current import current_ids

__all__ = ["Line", "message_of", "milliseconds", "request_id_of", "take"]

# What a record has by itself, or gets from formatters; all else came by ``extra=``.
_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_LEAST = len(logging.makeLogRecord({}).__dict__)
_COLOUR = re.compile("\x1b\\[[0-9;]*m")
_SIMPLE = (str, int, float, bool, type(None))
_LONGEST = 32_000  # letters of a message; Elasticsearch indexes no keyword over 32,766 bytes

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class Line(msgspec.Struct, gc=False):
    """One log line before it is text.

    Attributes:
        created: Seconds since the epoch.
        extra: The fields beside the usual ones. They do not change any more.
        ids: Those of trace and span, None outside of a trace.
        exception: What is being handled; its stack is formatted by the writer.
    """

    created: float
    level: str
    number: int
    logger: str
    message: str
    ids: tuple[str, str] | None = None
    request_id: Any = None
    extra: dict[str, Any] | None = None
    exception: ExcInfo | None = None
    stack: str | None = None


def milliseconds(seconds: float) -> float:
    """A duration as lines have it, in whole microseconds.

    To round to three digits instead takes five times as long.
    """
    return round(seconds * 1_000_000) / 1000


def message_of(record: logging.LogRecord) -> str:
    """The message with its arguments in it; where they do not fit, as it is, with the place of the
    mistake: a line is never lost, and no call of a logger raises."""
    try:
        return record.getMessage()
    except Exception as exc:  # arguments are of the application, and so is their text
        reason = f"{type(exc).__name__}: {_text_of(exc)}, at {record.pathname}:{record.lineno}"
        return f"{_text_of(record.msg)} (this message and its arguments do not fit: {reason})"


def _text_of(value: object) -> str:
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"


def request_id_of(request: Any) -> Any:
    """The id of a request, None without one.

    An application's request class may make its ids. If that fails, the id says how: the line and
    the error that it tells of are not lost for it.
    """
    try:
        return getattr(request, "id", None)
    except Exception as exc:
        return f"{type(exc).__name__}: {_text_of(exc)}"


def take(record: logging.LogRecord) -> Line:
    """Everything of a record that the calling thread alone can know.

    The message is put together, tables and lists among the extra fields are copied (and redacted on
    the way), so that nothing changes until it is written. It raises nothing.
    """
    message = message_of(record)
    if "\x1b" in message:  # Sanic colours some messages of its own on a terminal
        message = _COLOUR.sub("", message)
    if len(message) > _LONGEST:
        message = f"{message[:_LONGEST]}… ({len(message)} letters)"
    fields = record.__dict__
    extra = None
    if len(fields) > _LEAST:
        extra = {
            name: value if type(value) in _SIMPLE else redactor.value(name, value)
            for name, value in fields.items()
            if name not in _OWN
        }
    request = current_request.get()
    exc_info = record.exc_info
    return Line(
        record.created,
        record.levelname,
        record.levelno,
        record.name,
        message,
        current_ids(),
        request_id_of(request),
        extra,
        exc_info if exc_info and exc_info[0] is not None else None,
        record.stack_info or (record.exc_text if not exc_info else None),
    )
