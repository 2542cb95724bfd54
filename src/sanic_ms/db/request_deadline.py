"""The deadline of the current request, as the time limit of a pool's work.

A pool reads it where it lends a connection and where a statement begins: without a deadline each
pays one look at a context variable. What a driver does in several steps is limited anew at each.
Roll-backs, resets and a commit that has begun have no deadline.
"""

from __future__ import annotations

from time import monotonic
from typing import Final, NoReturn

from sanic_ms.exception import DatabaseError, DeadlineExceeded, QueryTimeout
from sanic_ms.resilience.deadline import Deadline, current_deadline

__all__ = ["check_deadline", "raise_timed_out", "time_left", "within_deadline"]

# Seconds by which the timer of a statement may wake before its moment.
_EARLY: Final = 0.002


def time_left(deadline: Deadline, limit: float | None) -> float:
    """The seconds for work that begins now: its own limit, or what remains if that is less.

    Args:
        deadline: The deadline of the current request.
        limit: Seconds; None: the work has no limit of its own.

    Raises:
        DeadlineExceeded: nothing remains.
    """
    left = deadline.at - monotonic()
    if left <= 0:
        raise DeadlineExceeded("the deadline was over before the database was asked")
    return left if limit is None or left < limit else limit


def within_deadline(limit: float | None) -> float | None:
    """`time_left` of the current deadline; the limit itself where there is none.

    Raises:
        DeadlineExceeded: nothing remains.
    """
    deadline = current_deadline()
    return limit if deadline is None else time_left(deadline, limit)


def check_deadline() -> Deadline | None:
    """The current deadline, before which time remains; None: there is none.

    Raises:
        DeadlineExceeded: it is over.
    """
    deadline = current_deadline()
    if deadline is not None:
        time_left(deadline, None)
    return deadline


def raise_timed_out(error: DatabaseError, cause: BaseException) -> NoReturn:
    """Raise the error of a driver, which has the driver's own exception as its cause.

    Raises:
        DeadlineExceeded: it is a `QueryTimeout`, and the deadline is over. The `QueryTimeout` is
            the cause of it.
        DatabaseError: any other.
    """
    deadline = current_deadline() if isinstance(error, QueryTimeout) else None
    if deadline is None or deadline.at - monotonic() > _EARLY:
        if error is cause:
            raise error
        raise error from cause
    if error is not cause:
        error.__cause__ = cause
    raise DeadlineExceeded("the deadline was over before the database answered") from error
