"""The log lines of a test, as production would write them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from sanic_ms.service import Service
from sanic_ms.telemetry.logging import JSONFormatter

__all__ = ["Logs", "recorded_logs"]


class Logs:
    """Lines as dicts, in order: ``level``, ``logger``, ``message``, ``service``; where known
    ``trace_id``, ``span_id``, ``request_id``, ``exception``; and what was given as ``extra``."""

    def __init__(self) -> None:
        self._lines: list[dict[str, Any]] = []

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(list(self._lines))

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def messages(self) -> list[str]:
        """The texts alone."""
        return [line["message"] for line in self]

    def find(self, text: str, *, level: str | None = None) -> dict[str, Any]:
        """The one line whose message holds a text.

        Args:
            text: A part of the message.
            level: Only lines of this level: ``"ERROR"`` …

        Raises:
            AssertionError: there is none, or several; the text shows all lines.
        """
        found = [
            line
            for line in self
            if text in line["message"] and (level is None or line["level"] == level)
        ]
        if len(found) != 1:
            raise AssertionError(f"{len(found) or 'no'} lines with {text!r} in:\n{self}")
        return found[0]

    def clear(self) -> None:
        """Forget them."""
        self._lines.clear()

    def __str__(self) -> str:
        lines = (f"{line['level']} {line['logger']}: {line['message']}\n" for line in self)
        return "".join(lines) or "no lines"


class _LogRecorder(logging.Handler):
    def __init__(self, logs: Logs, service: str) -> None:
        super().__init__()
        self._logs = logs
        self.setFormatter(JSONFormatter(service))

    def emit(self, record: logging.LogRecord) -> None:
        self._logs._lines.append(msgspec.json.decode(self.format(record)))


@contextmanager
def recorded_logs(app: Service) -> Iterator[Logs]:
    """Record every line of the process for a block, at the level of the service's settings.

    Args:
        app: The service; its name stands in the lines.
    """
    logs = Logs()
    recorder = _LogRecorder(logs, app.name)
    level = app.settings.log_level
    names: dict[str | None, int | str] = {None: level, "sanic": level, "sanic_ms": level}
    names["sanic.websockets"] = "WARNING"
    before = {name: logging.getLogger(name).level for name in names}
    for name, wanted in names.items():
        logging.getLogger(name).setLevel(wanted)
    logging.root.addHandler(recorder)
    try:
        yield logs
    finally:
        logging.root.removeHandler(recorder)
        for name, old in before.items():
            logging.getLogger(name).setLevel(old)
