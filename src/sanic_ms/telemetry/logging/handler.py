"""The handler that hands each record to the thread that writes."""

from __future__ import annotations

import copy
import logging
from typing import IO, Any

from sanic_ms.telemetry.logging.access import Access, take_any
from sanic_ms.telemetry.logging.called import Called
from sanic_ms.telemetry.logging.format import LineFormatter
from sanic_ms.telemetry.logging.line import Line, message_of, take
from sanic_ms.telemetry.logging.writer import LogWriter

__all__ = ["QueuedHandler", "sole_handler"]


class QueuedHandler(logging.Handler):
    """A handler of the standard library whose lines are made and written by a thread of its own.

    It may have any formatter. With a `LineFormatter` the caller's share is the least.

    Args:
        stream: Where to write; default standard output.
        limit: The most lines that wait; what comes beyond is dropped and counted.

    Attributes:
        writer: The `LogWriter`, which counts what was lost.
    """

    def __init__(self, stream: IO[str] | None = None, *, limit: int = 10_000) -> None:
        super().__init__()
        self.writer = LogWriter(self._render, _report, stream, limit=limit)

    def handle(self, record: logging.LogRecord) -> bool:
        """Filter and take the record; without the lock of other handlers, as nothing is shared."""
        kept = self.filter(record)
        if kept:
            self.emit(kept if isinstance(kept, logging.LogRecord) else record)
        return bool(kept)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the record over."""
        try:
            if isinstance(self.formatter, LineFormatter):
                self.writer.put(take_any(record))
            else:
                # A copy with its message put together: other handlers see the record as it was.
                kept = copy.copy(record)
                kept.msg, kept.args = message_of(record), None
                self.writer.put(kept)
        except Exception as exc:  # no fault of ours may fail who logs, nor paint standard error
            place = f"{record.pathname}:{record.lineno}"
            message = f"a log line could not be made: {type(exc).__name__}, at {place}"
            self.writer.put(Line(record.created, "ERROR", logging.ERROR, record.name, message))

    def flush(self) -> None:
        """Wait until everything is written, for 2 seconds at most."""
        self.writer.flush()

    def _render(self, item: Line | Access | Called | logging.LogRecord) -> str:
        formatter = self.formatter
        if isinstance(item, logging.LogRecord):
            return self.format(item)
        if isinstance(formatter, LineFormatter):
            return formatter.render(item)
        if isinstance(item, Line):
            line = item
        else:
            line = item.line(short=True) if isinstance(item, Access) else item.line()
        record: dict[str, Any] = {
            "name": line.logger,
            "levelno": line.number,
            "created": line.created,
        }
        return self.format(
            logging.makeLogRecord({**record, "levelname": line.level, "msg": line.message})
        )


_RECORD = logging.LogRecord
_maker_of_records = logging.getLogRecordFactory
_LIBRARY = (
    logging.Logger.handle,
    logging.Logger.callHandlers,
    logging.Logger.makeRecord,
    QueuedHandler.handle,
    QueuedHandler.emit,
)


def sole_handler(logger: logging.Logger, level: int) -> QueuedHandler | None:
    """The handler of a line that would reach this one, a `QueuedHandler`, and nobody else, for the
    fast path past the `logging` module, to its writer. Its formatter is a `LineFormatter`.

    None where somebody would notice: another handler, a filter of the handler, a maker of records,
    a library that patches this module. The logger's own filters are the caller's to look at. It
    holds for now: handlers come and go. To look costs half a microsecond, a record six times that.
    """
    handlers = logger.handlers
    above = logger.parent if logger.propagate else None
    while above is not None:
        if above.handlers:
            if handlers:
                return None
            handlers = above.handlers
        above = above.parent if above.propagate else None
    if len(handlers) != 1:
        return None
    found = handlers[0]
    if not isinstance(found, QueuedHandler) or found.filters or found.level > level:
        return None
    if not isinstance(found.formatter, LineFormatter) or _maker_of_records() is not _RECORD:
        return None
    kind, to = type(logger), type(found)
    if (kind.handle, kind.callHandlers, kind.makeRecord, to.handle, to.emit) != _LIBRARY:
        return None
    return found


def _report(lost: int) -> Line:
    record = logging.LogRecord(
        "sanic_ms.telemetry", logging.WARNING, __file__, 0, "%d log lines were lost", (lost,), None
    )
    record.lost = lost
    return take(record)
