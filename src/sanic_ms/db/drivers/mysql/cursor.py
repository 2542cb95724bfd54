"""A result of MySQL fetched a part at a time: a read-only cursor on the server.

asyncmy knows unbuffered results, which paste values into the text, keep the connection from
anything else, and are received as fast as the server sends, however slowly they are read. MySQL's
own cursors (COM_STMT_EXECUTE with CURSOR_TYPE_READ_ONLY, then COM_STMT_FETCH) do none of that, so
they are spoken here, on asyncmy's packets.

Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_fetch.html
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable
from typing import Any, Final

from asyncmy.protocol import FieldDescriptorPacket, pack_binary_params

from sanic_ms.db.base import Row, Rows
from sanic_ms.db.drivers.mysql.values import binary_specs
from sanic_ms.db.request_deadline import within_deadline

__all__ = ["MySQLRows", "ServerCursor", "open_cursor"]

_COM_STMT_EXECUTE: Final = 0x17
_COM_STMT_FETCH: Final = 0x1C
_READ_ONLY_CURSOR: Final = 1
_CURSOR_EXISTS: Final = 0x40
_LAST_ROW_SENT: Final = 0x80
_END: Final = 0xFE


class ServerCursor:
    """An open cursor, and the prepared statement that is its own.

    Attributes:
        fields: The columns.
        early: Rows that the server sent at once, because the statement has no cursor (SHOW …).
        exhausted: The server has no more.
    """

    __slots__ = ("_raw", "_specs", "_statement", "early", "exhausted", "fields")

    def __init__(self, raw: Any, statement: Any, fields: list[Any]) -> None:
        self._raw = raw
        self._statement = statement
        self._specs = binary_specs(fields)
        self.fields = fields
        self.early: list[tuple[Any, ...]] = []
        self.exhausted = not fields

    async def fetch(self, count: int) -> list[tuple[Any, ...]]:
        """The next rows as the protocol has them."""
        if self.early:
            part, self.early = self.early[:count], self.early[count:]
            return part
        if self.exhausted:
            return []
        raw = self._raw
        await raw._execute_command(
            _COM_STMT_FETCH, struct.pack("<II", self._statement._statement_id, count)
        )
        rows, status = await self.read_rows()
        self.exhausted = bool(status & _LAST_ROW_SENT) or not rows
        return rows

    async def read_rows(self) -> tuple[list[tuple[Any, ...]], int]:
        """Rows up to the packet that ends them, and the status that it carries."""
        rows: list[tuple[Any, ...]] = []
        while True:
            packet = await self._raw.read_packet()
            data = packet.get_all_data()
            if data[0] == _END:
                return rows, _status(data)
            rows.append(packet.read_binary_row(self._specs))

    async def close(self) -> None:
        """Close the statement, and its cursor with it."""
        self.exhausted = True
        self.early = []
        await self._statement.close()


async def open_cursor(raw: Any, text: str, args: tuple[Any, ...]) -> ServerCursor:
    """Prepare a statement and open a cursor on its result."""
    statement = await raw.prepare(text)
    payload = struct.pack("<IBI", statement._statement_id, _READ_ONLY_CURSOR, 1)
    if args:
        payload += pack_binary_params(args, raw._encoding)
    await raw._execute_command(_COM_STMT_EXECUTE, payload)
    first = await raw.read_packet()
    if first.is_ok_packet():
        return ServerCursor(raw, statement, [])
    count = first.read_length_encoded_integer()
    fields = [await raw.read_packet(FieldDescriptorPacket) for _ in range(count)]
    cursor = ServerCursor(raw, statement, fields)
    # The packet after the columns says whether there is a cursor. Where the two sides have agreed
    # to leave it out (DEPRECATE_EOF), it comes for a cursor alone, and else the first row does.
    packet = await raw.read_packet()
    data = packet.get_all_data()
    if data[0] != _END:
        cursor.early.append(packet.read_binary_row(cursor._specs))
    elif _status(data) & _CURSOR_EXISTS:
        return cursor
    elif raw._deprecate_eof:
        cursor.exhausted = True
        return cursor
    rows, _ = await cursor.read_rows()
    cursor.early += rows
    cursor.exhausted = True
    return cursor


def _status(data: bytes) -> int:
    """The server's status: at the same place in an EOF packet (0xFE, warnings, status) and in the
    OK packet that stands for one (0xFE, two integers that are 0 here, status)."""
    return int.from_bytes(data[3:5], "little")


class MySQLRows(Rows):
    """The rows of a cursor as dicts.

    Args:
        cursor: The cursor.
        row: Makes a dict of a row's values.
        limited: Runs a step within so many seconds, with the session's care for errors.
        timeout: Seconds that each step may take; None: no limit.
    """

    __slots__ = ("_cursor", "_limited", "_row", "_timeout")

    def __init__(
        self,
        cursor: ServerCursor,
        row: Callable[[tuple[Any, ...]], Row],
        limited: Callable[[Callable[[], Awaitable[Any]], float | None], Awaitable[Any]],
        timeout: float | None,
    ) -> None:
        self._cursor = cursor
        self._row = row
        self._limited = limited
        self._timeout = timeout

    async def fetch(self, count: int) -> list[Row]:
        """The next rows."""
        limit = within_deadline(self._timeout)
        rows = await self._limited(lambda: self._cursor.fetch(count), limit)
        return [self._row(row) for row in rows]

    async def close(self) -> None:
        """Close the cursor."""
        await self._limited(self._cursor.close, self._timeout)
