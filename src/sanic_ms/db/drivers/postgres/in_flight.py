"""One statement among several under way on a connection to PostgreSQL: what asyncpg's protocol
object needs to believe that it is alone there. `postgres_pipeline` says what it is for.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from asyncpg.protocol import NO_TIMEOUT, Protocol

from sanic_ms.db.base import Arguments, Lane, Row
from sanic_ms.db.drivers.postgres.values import check_integers
from sanic_ms.db.drivers.values import value_at
from sanic_ms.db.sql.statement import Statement

if TYPE_CHECKING:
    from sanic_ms.db.drivers.postgres.pipeline import Pipeline

__all__ = ["PostgresLane"]

_BIND: Final = ord("B")
# What a server says to who may enter: AuthenticationOk, BackendKeyData, ReadyForQuery.
_WELCOME: Final = b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\0\0\0\0\0Z\0\0\0\x05I"
_NOBODY: Final = SimpleNamespace(user="", password=None, database="", server_settings=None)


class PostgresLane(Lane):
    """A protocol object of asyncpg, without a connection of its own.

    To that object it is the transport and the connection: it has what asyncpg asks of both.

    Attributes:
        statement: What is asked, None: nothing.
        is_spoiled: It cannot be used again.
    """

    __slots__ = ("__weakref__", "_bind_execute", "_pipeline", "_protocol", "_raised", "_state",
                 "is_spoiled", "statement", "uses")  # fmt: skip

    # What asyncpg asks its connection for.
    _config = SimpleNamespace(command_timeout=None)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._pipeline: Pipeline | None = None
        self._state: Any = None
        self._raised: BaseException | None = None
        self.statement: Statement | None = None
        self.is_spoiled = False
        self.uses = 0
        self._protocol = Protocol(("", 0), loop.create_future(), _NOBODY, asyncpg.Record, loop)
        self._protocol.set_connection(self)
        self._protocol.connection_made(self)
        self._protocol.data_received(_WELCOME)
        self._bind_execute = self._protocol.bind_execute

    def enter(self, pipeline: Pipeline, statement: Statement, state: Any) -> None:
        """Be the way of one statement.

        Args:
            pipeline: Of the connection.
            statement: What will be asked.
            state: asyncpg's own object of it, prepared on that connection.
        """
        self._pipeline = pipeline
        self.statement = statement
        self._state = state

    def leave(self) -> None:
        """Be nobody's."""
        self._pipeline = self.statement = self._state = None
        self.uses += 1

    async def fetch(self, args: Arguments) -> list[Row]:
        """Every row."""
        try:
            check_integers(self._state, args)
            rows = await self._bind_execute(self._state, args, "", 0, False, NO_TIMEOUT)
        except Exception as exc:
            raise self._reason(exc) from None
        return [dict(row.items()) for row in rows]

    async def fetchrow(self, args: Arguments) -> Row | None:
        """The first row."""
        try:
            check_integers(self._state, args)
            rows = await self._bind_execute(self._state, args, "", 1, False, NO_TIMEOUT)
        except Exception as exc:
            raise self._reason(exc) from None
        return dict(rows[0].items()) if rows else None

    async def fetchval(self, args: Arguments, column: int) -> Any:
        """One value of the first row."""
        try:
            check_integers(self._state, args)
            rows = await self._bind_execute(self._state, args, "", 1, False, NO_TIMEOUT)
        except Exception as exc:
            raise self._reason(exc) from None
        return value_at(rows[0], column) if rows else None

    def _reason(self, exc: Exception) -> BaseException:
        """What a decoder raised, if one did: asyncpg's error speaks of a lost connection then."""
        return exc if self._raised is None else self._raised

    def settle(self, uses: int) -> None:
        """After an error, or instead of a statement: where nothing was sent, no answer comes."""
        pipeline = self._pipeline
        if uses == self.uses and pipeline is not None and self not in pipeline.turns:
            self.leave()
            pipeline.withdraw()

    def receive(self, data: bytes) -> None:
        """A part of the answer. What a decoder of the application's own raises is the caller's,
        also where asyncpg lets it pass: its object is then in the middle of the answer, and thrown
        away with the rest of it."""
        if self._raised is not None:
            return
        try:
            self._protocol.data_received(data)
        except BaseException as exc:
            self.is_spoiled = True
            self._raised = exc
            self._protocol.connection_lost(None)

    def lose(self, exc: Exception | None) -> None:
        """No answer will come."""
        self.leave()
        self._protocol.connection_lost(exc)

    # --- what asyncpg calls ----------------------------------------------------------------------

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Nothing is known of a socket."""
        return default

    def write(self, data: memoryview) -> None:
        """Send: the whole of a statement, in one piece. What else asyncpg says, its request to be
        let in and its goodbye, goes nowhere."""
        if self._pipeline is not None and data[0] == _BIND:
            self._pipeline.send(self, data)

    def abort(self) -> None:
        """The real connection is not the lane's to close."""

    def _cancel_current_command(
        self, sent: asyncio.Future[None], ended: asyncio.Future[None]
    ) -> None:
        # The caller has gone. The answer comes all the same and is thrown away; the object, which
        # waits to hear of a cancellation, goes with it.
        self.is_spoiled = True

    def _cleanup(self) -> None:
        pass

    def _process_log_message(self, fields: object, query: object) -> None:
        pass

    def _process_notification(self, pid: object, channel: object, payload: object) -> None:
        pass
