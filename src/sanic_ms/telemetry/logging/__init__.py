"""Logs: one form for every line, written by a thread of its own, without secrets."""

from sanic_ms.telemetry.logging.access import Access, AccessLog, access_log
from sanic_ms.telemetry.logging.files import shipped_text
from sanic_ms.telemetry.logging.format import (
    JSONFormatter,
    LineFormatter,
    TextFormatter,
    make_formatter,
)
from sanic_ms.telemetry.logging.handler import QueuedHandler
from sanic_ms.telemetry.logging.setup import (
    configure_logging,
    flush_logs,
    lost_lines,
    reset_logging,
)
from sanic_ms.telemetry.logging.writer import LogWriter

__all__ = [
    "Access",
    "AccessLog",
    "JSONFormatter",
    "LineFormatter",
    "LogWriter",
    "QueuedHandler",
    "TextFormatter",
    "access_log",
    "configure_logging",
    "flush_logs",
    "lost_lines",
    "make_formatter",
    "reset_logging",
    "shipped_text",
]
