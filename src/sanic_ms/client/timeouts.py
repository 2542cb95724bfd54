"""How long a call may take: the limits, their defaults, and the moments that follow from them.

Both transports use it. No input or output here.
"""

from __future__ import annotations

from math import inf
from typing import Any, NamedTuple

import msgspec

__all__ = [
    "CallDeadlines",
    "ServedDeadline",
    "Timeout",
    "deadlines_of",
    "timeout_from_settings",
    "timeout_of",
]


class Timeout(msgspec.Struct, frozen=True):
    """How long a call may take.

    Attributes:
        total: Seconds from the call to the last byte of the response; None: no limit. Default 10.
        connect: Seconds until a connection is there (a free one, or a new one with its name
            look-up and TLS handshake); None: only ``total`` counts. Default 2.

    Raises:
        ValueError: a limit is not above 0.
    """

    total: float | None = 10.0
    connect: float | None = 2.0

    def __post_init__(self) -> None:
        for name, value in (("total", self.total), ("connect", self.connect)):
            if value is not None and not 0 < value < inf:
                raise ValueError(f"Timeout({name}={value!r}): give seconds above 0, or None")

    @property
    def to_connect(self) -> float | None:
        """The seconds that a call may wait for its connection; None: no limit."""
        limits = [limit for limit in (self.connect, self.total) if limit is not None]
        return min(limits, default=None)


class ServedDeadline(msgspec.Struct):
    """The deadline of the request that is served, as a call that is made for it has it.

    Attributes:
        at: When it is over, by `time.monotonic`.
        call_at: When the call is over by its own timeout; infinity: that has no limit.
        is_sent: Whether the other service is told; not where the caller has set the header itself.
        is_nearest: Whether it ends the current attempt before the call's own timeout does.
    """

    at: float
    call_at: float
    is_sent: bool
    is_nearest: bool = False


class CallDeadlines(NamedTuple):
    """The same limits as moments of a loop's clock; `math.inf` where there is no limit.

    Attributes:
        total: When the response must be whole.
        connect: When a connection must be there, by ``Timeout.connect`` alone.
    """

    total: float
    connect: float

    @property
    def first(self) -> float:
        """The earlier of the two."""
        return min(self.connect, self.total)


def deadlines_of(timeout: Timeout, now: float) -> CallDeadlines:
    """The moments at which a call that begins now runs out of time.

    Args:
        timeout: The limits of the call.
        now: The time of the loop.
    """
    total, connect = timeout.total, timeout.connect
    return CallDeadlines(
        inf if total is None else now + total, inf if connect is None else now + connect
    )


def timeout_of(value: float | Timeout) -> Timeout:
    """The limits that a caller gave, as seconds for the whole call or as a `Timeout`.

    Raises:
        TypeError: it is neither.
        ValueError: a limit is not above 0.
    """
    if isinstance(value, Timeout):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"timeout={value!r}: give seconds or a Timeout")
    return Timeout(total=value)


def timeout_from_settings(settings: Any) -> Timeout:
    """The limits of ``CLIENT_TIMEOUT`` and ``CLIENT_CONNECT_TIMEOUT``, where settings have them."""
    default = Timeout()
    return Timeout(
        getattr(settings, "client_timeout", default.total),
        getattr(settings, "client_connect_timeout", default.connect),
    )
