"""When a transport sends a request a second time. No input or output here.

A connection that waited in the pool may have been closed by the other side at the moment at which
it is used again. That is not a failure of the service, and an idempotent request is sent once more
over another connection. A repeat anywhere else adds load to a service that already fails.
"""

from __future__ import annotations

from typing import Final

__all__ = ["IDEMPOTENT", "may_resend"]

IDEMPOTENT: Final = frozenset(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"])
"""The methods whose requests may arrive twice (RFC 9110, 9.2.2)."""


def may_resend(method: str, *, reused: bool, begun: bool) -> bool:
    """Whether a request may be sent again, once, after its connection broke.

    Args:
        method: Of the request, in upper case.
        reused: Whether the connection had carried a whole response before.
        begun: Whether any byte of this response had arrived.
    """
    return reused and not begun and method in IDEMPOTENT
