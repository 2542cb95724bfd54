"""A result of PostgreSQL fetched a part at a time: an open portal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from sanic_ms.db.base import Row, Rows
from sanic_ms.db.request_deadline import within_deadline

__all__ = ["PostgresRows"]


class PostgresRows(Rows):
    """The rows of a portal.

    Args:
        cursor: asyncpg's.
        timeout: Seconds that each part may take; None: no limit.
        fail: Raises the framework's error for one of asyncpg's.
        end: Ends the transaction that was begun for it; None: it is in another one, with which the
            portal ends.
    """

    __slots__ = ("_cursor", "_end", "_fail", "_timeout")

    def __init__(
        self,
        cursor: Any,
        timeout: float | None,
        fail: Callable[[BaseException], NoReturn],
        end: Callable[[], Awaitable[Any]] | None,
    ) -> None:
        self._cursor = cursor
        self._timeout = timeout
        self._fail = fail
        self._end = end

    async def fetch(self, count: int) -> list[Row]:
        """The next rows."""
        limit = within_deadline(self._timeout)
        try:
            rows = await self._cursor.fetch(count, timeout=limit)
        except BaseException as exc:
            self._fail(exc)
        return [dict(row.items()) for row in rows]

    async def close(self) -> None:
        """End the transaction, if it is the portal's own."""
        self._cursor = None
        end, self._end = self._end, None
        if end is not None:
            await end()
