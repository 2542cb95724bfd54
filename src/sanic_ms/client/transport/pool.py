"""The connections to one host and port."""

from __future__ import annotations

import asyncio
import socket
from collections import deque

import aiohappyeyeballs
from aiohappyeyeballs import AddrInfoType

from sanic_ms.client.transport.connection import ClientConnection, Lost, Owner

__all__ = ["Pool", "PoolClosed"]

_FRESH = 10.0
"""Seconds for which the addresses of a name are not looked up again."""

_KEPT = 300.0
"""Seconds for which the last good addresses serve while the look-up fails."""

_AGAIN = 1.0
"""Seconds after a failed look-up until the next one, while the last good addresses serve."""


class PoolClosed(Exception):
    """The pool was closed while a call waited for a connection."""


class Pool(Owner):
    """The connections to one host and port: kept ones first, the last used of them before others.

    Args:
        host: A name or an address.
        port: Of TCP.
        loop: The running event loop.
        limit: Connections at a time, those that are being opened included.
        keep_alive: Seconds that a connection may wait unused.
        max_age: Seconds after which a connection is not used for another call.

    Attributes:
        closed: Set by `close`.
        gone: Done when the pool is closed and so is its last connection.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        loop: asyncio.AbstractEventLoop,
        limit: int,
        keep_alive: float,
        max_age: float,
    ) -> None:
        self.host = host
        self.port = port
        self.loop = loop
        self.limit = limit
        self.keep_alive = keep_alive
        self.max_age = max_age
        self.closed = False
        self.gone: asyncio.Future[None] = loop.create_future()
        self._idle: list[ClientConnection] = []
        self._open: set[ClientConnection] = set()
        self._slots = 0  # connections that are open or being opened
        self._waiters: deque[asyncio.Future[ClientConnection | None]] = deque()
        self._addresses: list[AddrInfoType] = []
        self._fresh_until = self._kept_until = -1.0
        self._look_up: asyncio.Task[list[AddrInfoType] | Exception] | None = None
        self._turn = 0
        try:  # an address needs no look-up
            self._addresses = list(
                socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
            )
            self._fresh_until = float("inf")
        except (OSError, UnicodeError):
            pass

    @property
    def is_unused(self) -> bool:
        """Whether it has no connection and nobody waits for one."""
        return not self._slots and not self._waiters

    # --- taking ----------------------------------------------------------------------------------

    def take(self, now: float) -> ClientConnection | None:
        """A kept connection, or None."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.usable(now):
                return connection
            connection.drop()
        return None

    async def acquire(self) -> ClientConnection:
        """A connection: a kept one, a new one, or the next that becomes free.

        Cancelling it gives back what it had got.

        Raises:
            Lost: a new connection was closed at once.
            OSError: none can be made; `socket.gaierror`: the host is not known.
            PoolClosed: the pool was closed.
        """
        first_in_line = False
        while True:
            if self.closed:
                raise PoolClosed
            connection = self.take(self.loop.time())
            if connection is not None:
                return connection
            if self._slots < self.limit:
                self._slots += 1
                return await self._connected()
            waiter: asyncio.Future[ClientConnection | None] = self.loop.create_future()
            if first_in_line:
                self._waiters.appendleft(waiter)
            else:
                self._waiters.append(waiter)
            try:
                granted = await waiter
            except asyncio.CancelledError:
                self._leave(waiter)
                raise
            if granted is None:
                return await self._connected()
            if granted.usable(self.loop.time()):
                return granted
            granted.drop()
            first_in_line = True  # it ended on its way here

    def _leave(self, waiter: asyncio.Future[ClientConnection | None]) -> None:
        """Pass on what a cancelled call was given in the same moment."""
        if waiter.cancelled() or not waiter.done():
            try:
                self._waiters.remove(waiter)
            except ValueError:
                pass
        elif waiter.exception() is None:
            granted = waiter.result()
            if granted is None:
                self._free()
            elif granted.usable(self.loop.time()):
                self.released(granted)
            else:
                granted.drop()

    async def _connected(self) -> ClientConnection:
        """A new connection in a slot that is taken already; the slot is given back on failure."""
        try:
            connection = await self._connect()
            if self.closed:
                connection.drop()
                raise PoolClosed
            if connection.is_lost:
                raise Lost(untouched=True)
        except BaseException:
            self._free()
            raise
        self._open.add(connection)
        return connection

    async def _connect(self) -> ClientConnection:
        addresses = await self._resolved()
        try:
            if self.closed:
                raise PoolClosed
            sock = await aiohappyeyeballs.start_connection(
                addresses, happy_eyeballs_delay=0.25, interleave=1, loop=self.loop
            )
        except OSError:
            if self._fresh_until != float("inf"):
                self._fresh_until = -1.0  # the service may have moved
            raise
        _, connection = await self.loop.create_connection(
            lambda: ClientConnection(self, self.loop), sock=sock
        )
        return connection

    async def _resolved(self) -> list[AddrInfoType]:
        if self.loop.time() >= self._fresh_until:
            if self._look_up is None:
                self._look_up = self.loop.create_task(self._looked_up())
            found = await asyncio.shield(self._look_up)
            if isinstance(found, Exception):
                raise socket.gaierror(str(found)) from found
        # Every connection begins with another of several addresses.
        self._turn = turn = (self._turn + 1) % len(self._addresses)
        return self._addresses[turn:] + self._addresses[:turn]

    async def _looked_up(self) -> list[AddrInfoType] | Exception:
        """Ask for the addresses, once for all calls that want to know them."""
        try:
            found = await self.loop.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
            )
            if not found:
                raise socket.gaierror("no address")
        except (OSError, UnicodeError) as exc:
            if self._addresses and self.loop.time() < self._kept_until:
                self._fresh_until = self.loop.time() + _AGAIN
                return self._addresses
            return exc
        finally:
            self._look_up = None
        now = self.loop.time()
        self._addresses = list(found)
        self._fresh_until, self._kept_until = now + _FRESH, now + _KEPT
        return self._addresses

    # --- giving back -----------------------------------------------------------------------------

    def released(self, connection: ClientConnection) -> None:
        waiters = self._waiters
        while waiters:
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._idle.append(connection)

    def dropped(self, connection: ClientConnection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)

    def lost(self, connection: ClientConnection) -> None:
        if connection in self._open:
            self._open.remove(connection)
            self._free()
            if self.closed and not self._open and not self.gone.done():
                self.gone.set_result(None)

    def _free(self) -> None:
        """A slot is free: it goes to the next in line."""
        waiters = self._waiters
        while waiters:
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._slots -= 1

    def close(self) -> None:
        """Close every connection, and fail the calls that use or wait for one."""
        self.closed = True
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(PoolClosed())
        for connection in list(self._open):
            connection.drop()
        if not self._open and not self.gone.done():
            self.gone.set_result(None)
