"""How what goes wrong in a service's life is told: in one line where that says it all."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator

from sanic.exceptions import SanicException
from sanic.log import error_logger

from sanic_ms.exception import SanicMSError

__all__ = ["known_errors_untraced", "log_failure"]

log = logging.getLogger("sanic_ms.service")


def log_failure(task: asyncio.Task[None]) -> None:
    """A part that was added while the service ran has nobody else to tell."""
    if not task.cancelled() and task.exception() is not None:
        log.error("%s", task.exception())


@contextlib.contextmanager
def known_errors_untraced() -> Iterator[None]:
    """Keep Sanic from logging a stack for an error whose text says it all; `run` prints that."""

    def unknown(record: logging.LogRecord) -> bool:
        exc = record.exc_info[1] if record.exc_info else None
        return not isinstance(exc, (SanicMSError, SanicException))

    error_logger.addFilter(unknown)
    try:
        yield
    finally:
        error_logger.removeFilter(unknown)
