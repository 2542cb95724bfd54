"""Spans as lines of the log, each one JSON object in Zipkin's second format.

Fluentd, Logstash and the like read the log, and send what they find there to Zipkin.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence

from sanic_ms.telemetry.tracing.export.base import ExportResult, Sender
from sanic_ms.telemetry.tracing.export.queue import Waiting
from sanic_ms.telemetry.tracing.export.zipkin import ZipkinFormat

__all__ = ["SPAN_LOGGER", "LogFormat", "LogSender"]

SPAN_LOGGER = "sanic_ms.spans"
"""The logger of these lines. `sanic_ms.telemetry.logging` writes its messages as they are."""

_log = logging.getLogger(SPAN_LOGGER)
_AT_ONCE = 64  # lines at a stretch: about half a millisecond of the event loop
# JSON allows these as they are, and some readers of lines end one at them.
_LINE_ENDS = re.compile("[\x7f-\x9f\u2028\u2029]")


class LogFormat(ZipkinFormat):
    """Zipkin's format, with each span a text of its own."""

    def body(self, spans: Sequence[Waiting], encoded: list[bytes]) -> list[bytes]:
        return encoded


class LogSender(Sender):
    """Logs each piece of a body as one line, at level INFO."""

    async def send(self, body: Sequence[bytes]) -> ExportResult:
        if not _log.isEnabledFor(logging.INFO):
            return ExportResult(403, problem=f"the logger {SPAN_LOGGER} is off at level INFO")
        for number, span in enumerate(body, 1):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
            _log.info("%s", _LINE_ENDS.sub(_escaped, span.decode()))
        return ExportResult(200)


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
