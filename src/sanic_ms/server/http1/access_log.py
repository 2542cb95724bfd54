"""The access log: what is taken of each answer for the line that tells of it."""

from __future__ import annotations

from time import perf_counter, time
from typing import TYPE_CHECKING, Any

from sanic.log import access_logger
from sanic.request import Request

from sanic_ms.native.compiled import compiled
from sanic_ms.telemetry.logging.access import Access, access_log
from sanic_ms.telemetry.tracing import current_ids, known_ids

if TYPE_CHECKING:
    from sanic_ms.server.http1.connection import HttpConnection

__all__ = ["log_answer"]

_INFO = 20
_wants = access_log.wants
_is_enabled_for = access_logger.isEnabledFor


def log_answer(
    connection: HttpConnection, request: Request, status: int | str, size: int | str, started: float
) -> None:
    """Log one answer, if the settings want its line.

    Args:
        connection: That of the request.
        request: What was answered.
        status: The status of the answer, or a word for what happened instead of one.
        size: Bytes of the body, or ``"chunked"``.
        started: `time.perf_counter` when the request was complete.
    """
    duration = perf_counter() - started
    if not _wants(status, duration) or not _is_enabled_for(_INFO):
        return
    head: Any = request.head
    request_id = request._id
    access = Access(
        time(),
        request.method,
        request.raw_url,
        request.route,
        status,
        size,
        duration,
        request.client_ip if access_log.forwarded else connection.conn_info.client_ip,
        request_id,
        # The usual spellings; the rest of the search comes later. `in` takes twice as long.
        head if request_id is None and head.find(b"equest-") >= 0 else None,
        # The span of a failed request is recorded at its end.
        known_ids() if isinstance(status, int) and status < 500 else current_ids(),
    )
    put = access_log.put
    if put is not None:
        put(access)
    else:
        _log_record(request, access)


def _log_record(request: Request, access: Access) -> None:
    """The line as a record with the fields that Sanic's formatters expect."""
    ip = access.client
    access_logger.info(
        "%s",
        access,
        extra={
            "status": access.status,
            "byte": access.size,
            "host": f"{ip}:{request.port}" if ip else f"{id(request.transport):X}"[-5:-1] + "unx",
            "request": f"{request.method} {request.url}",
            "duration": f" {1000 * access.duration:.1f}ms",
        },
    )


in_python = log_answer
_compiled: Any = compiled("sanic_ms.server.http1._access_log")
if _compiled is not None:
    log_answer = _compiled.stand_for(in_python)
