"""asyncpg's connection, whose limits of time are deadlines of the pool."""

from __future__ import annotations

from typing import Any

import asyncpg

from sanic_ms.db.deadlines import Deadline, Deadlines

__all__ = ["connect"]


async def connect(dsn: str, deadlines: Deadlines, timeout: float) -> Any:
    """Open one. Its own statement cache is off: the session's stands in for it.

    Args:
        dsn: As asyncpg has it.
        deadlines: Of the pool.
        timeout: Seconds until it has to be open.

    Raises:
        Exception: whatever asyncpg raises.
    """
    return await asyncpg.connect(
        dsn,
        timeout=timeout,
        statement_cache_size=0,
        loop=_ProtocolLoop(deadlines),
        connection_class=_Connection,
    )


class _ProtocolLoop:
    """The event loop, as the protocol object of one connection sees it: the one timer that it ever
    sets, for the statement that it sends, is a deadline of ours. So asyncpg itself enforces the
    limit as ever, and what it does for that does not have to be done again here.

    It is not that deadline itself: a class with ``__getattr__`` finds its own attributes slowly.
    """

    __slots__ = ("call_later", "loop")

    def __init__(self, deadlines: Deadlines) -> None:
        self.loop = deadlines.loop
        self.call_later = Deadline(deadlines).call_later

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loop, name)


class _Connection(asyncpg.Connection):  # type: ignore[misc]
    """A connection whose tasks are of the event loop itself: asyncio asks by its identity."""

    __slots__ = ()

    def __init__(self, protocol: Any, transport: Any, loop: Any, *rest: Any) -> None:
        super().__init__(protocol, transport, loop.loop, *rest)
