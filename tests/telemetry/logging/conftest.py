"""Logging as in a process that was just started: pytest's handlers are not on the root logger."""

from __future__ import annotations

import io
import json
import logging
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sanic_ms.telemetry.logging import JSONFormatter, LineFormatter, QueuedHandler, reset_logging


class WithoutPytest(list[logging.Handler]):
    """Handlers of a logger; those that pytest adds for each phase of a test stay outside."""

    def append(self, handler: logging.Handler) -> None:
        if not type(handler).__module__.startswith("_pytest."):
            super().append(handler)


@pytest.fixture
def bare_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A root logger without handlers; afterwards all is as it was."""
    monkeypatch.setattr(logging.root, "handlers", WithoutPytest())
    names = (None, "sanic", "sanic.websockets", "sanic_ms")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.NOTSET if name else logging.WARNING)
    yield
    reset_logging()
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


class Written:
    """A logger with a handler of ours, and what it has written."""

    def __init__(self, formatter: logging.Formatter, **options: Any) -> None:
        self.stream = io.StringIO()
        self.handler = QueuedHandler(self.stream, **options)
        self.handler.setFormatter(formatter)
        self.log = logging.Logger(f"test.{uuid.uuid4().hex}")
        self.log.addHandler(self.handler)

    @property
    def text(self) -> str:
        """All of it."""
        self.handler.flush()
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines."""
        return [json.loads(line) for line in self.text.splitlines()]

    def one(self) -> dict[str, Any]:
        """The only line."""
        (line,) = self.lines
        return line


@pytest.fixture
def written() -> Callable[..., Written]:
    """Make a logger whose lines can be read back."""

    def make(formatter: LineFormatter | None = None, **options: Any) -> Written:
        return Written(formatter or JSONFormatter("tests"), **options)

    return make
