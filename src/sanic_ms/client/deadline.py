"""The deadline of the current request, as the limit of the calls that are made for it.

A call ends at the earlier of its own ``timeout`` and the deadline, and tells the service that it
calls how much time is left: what remains, not a moment, as clocks differ. No input or output here.
"""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import Final

from sanic_ms.client.base import ServiceRequest
from sanic_ms.client.timeouts import ServedDeadline, Timeout
from sanic_ms.exception import DeadlineExceeded
from sanic_ms.resilience.deadline import Deadline

__all__ = ["TIMEOUT_HEADER", "set_deadline", "set_remaining"]

TIMEOUT_HEADER: Final = "X-Request-Timeout-Ms"
"""The header that says how many whole milliseconds the caller waits."""


def set_deadline(request: ServiceRequest, deadline: Deadline) -> None:
    """Limit a call that begins now to a deadline.

    Raises:
        DeadlineExceeded: it is over.
    """
    total = request.timeout.total
    request.deadline = ServedDeadline(
        deadline.at,
        call_at=inf if total is None else monotonic() + total,
        is_sent=TIMEOUT_HEADER not in request.headers,
    )
    set_remaining(request)


def set_remaining(request: ServiceRequest) -> None:
    """Limit an attempt that begins now to what remains, and say in its header how much that is:
    whole milliseconds, rounded down, at least 1. A call without a deadline stays as it is.

    Raises:
        DeadlineExceeded: nothing remains.
    """
    deadline = request.deadline
    if deadline is None:
        return
    now = monotonic()
    left = deadline.at - now
    if left <= 0:
        raise DeadlineExceeded(
            f"the deadline was over before {request} was sent to {request.service}"
        )
    total = request.timeout.total
    if total is None or left < total:
        request.timeout = Timeout(left, request.timeout.connect)
        deadline.is_nearest = True
    if deadline.is_sent:
        left = min(left, deadline.call_at - now)
        request.headers[TIMEOUT_HEADER] = str(max(int(left * 1000), 1))
