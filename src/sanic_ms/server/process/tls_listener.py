"""Accepting TLS connections, with their handshakes inside the limits of the server."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any, NamedTuple

from sanic_ms.awake import wait_awake

__all__ = ["TlsListener"]

log = logging.getLogger("sanic_ms.server")

_AT_ONCE = 16  # connections that are accepted in one round of the loop
_SPARE = 4  # handshakes beside a full server, whose clients are answered that it is full
_PAUSE = 0.1  # seconds without an accept where the process may open nothing more
_FULL = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_TELL_EVERY = 10.0  # seconds


class _Handshake(NamedTuple):
    """A handshake that has begun: its socket, and the protocol of the connection to be."""

    client: socket.socket
    protocol: asyncio.Protocol


class TlsListener:
    """Accepts the connections of one socket, and counts them from there on.

    A server of the event loop knows a TLS connection only when its handshake is done: clients that
    connect and say nothing then hold descriptors that nobody counts. Here each handshake is a task.
    Where connections and handshakes together reach the limit, the oldest handshake ends for the
    newest: a client that does its handshake gets in, however many others say nothing.

    Args:
        factory: Makes the protocol of a connection.
        bound: The socket, bound; closed by `close`.
        context: For TLS.
        backlog: How many connections may wait for an accept.
        timeout: Seconds that a handshake may take.
        connections: Those whose handshake is done.
        most: The most connections, handshakes among them.
        name: The service's, for the log.
    """

    def __init__(
        self,
        factory: Callable[[], asyncio.Protocol],
        bound: socket.socket,
        context: ssl.SSLContext,
        *,
        backlog: int,
        timeout: float,
        connections: set[Any],
        most: int,
        name: str,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._factory = factory
        self._socket = bound
        self._context = context
        self._timeout = timeout
        self._connections = connections
        self._most = most
        self._name = name
        # In the order in which they began.
        self._handshakes: dict[asyncio.Task[None], _Handshake] = {}
        self._dropped = 0
        self._told_at = float("-inf")
        self._resumes: asyncio.TimerHandle | None = None
        bound.setblocking(False)
        bound.listen(backlog)
        self._loop.add_reader(bound, self._accept)

    def close(self) -> None:
        """Accept nobody any more. Calling it again does nothing."""
        if self._resumes is not None:
            self._resumes.cancel()
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    async def finish(self, seconds: float) -> None:
        """Wait for the handshakes that have begun, and end those that take longer."""
        if self._handshakes:
            await wait_awake(list(self._handshakes), seconds)
        while self._handshakes:
            self._drop(next(iter(self._handshakes)))
        await asyncio.sleep(0)  # so that the sockets are closed

    # --- accepting -------------------------------------------------------------------------------

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                client, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as exc:
                if exc.errno not in _FULL:
                    raise
                self._wait_for_room()
                return
            self._begin(client)

    def _begin(self, client: socket.socket) -> None:
        client.setblocking(False)
        room = max(_SPARE, self._most - len(self._connections))
        if len(self._handshakes) >= room:
            self._forget_done()
        while len(self._handshakes) >= room:
            self._drop_oldest()
        handshake = _Handshake(client, self._factory())
        task = self._loop.create_task(self._shake_hands(handshake))
        self._handshakes[task] = handshake
        task.add_done_callback(self._ended)

    async def _shake_hands(self, handshake: _Handshake) -> None:
        client, protocol = handshake
        try:
            await self._loop.connect_accepted_socket(
                lambda: protocol, client, ssl=self._context, ssl_handshake_timeout=self._timeout
            )
        except OSError as exc:  # the client's: it speaks no TLS, leaves, or takes too long
            log.debug("a TLS handshake failed: %s", exc)
            client.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._handshakes.pop(task, None)
        if not task.cancelled() and (exc := task.exception()) is not None:
            log.error("a connection could not be taken in", exc_info=exc)

    # --- limits ----------------------------------------------------------------------------------

    def _forget_done(self) -> None:
        """A handshake that is done becomes a connection before its task ends."""
        for task, handshake in list(self._handshakes.items()):
            if handshake.protocol in self._connections:
                del self._handshakes[task]

    def _drop(self, task: asyncio.Task[None]) -> None:
        handshake = self._handshakes.pop(task)
        if handshake.protocol not in self._connections:
            # The socket closes when the loop's transport has let it go.
            task.cancel()
            handshake.client.close()

    def _drop_oldest(self) -> None:
        self._drop(next(iter(self._handshakes)))
        self._dropped += 1
        now = self._loop.time()
        if now - self._told_at > _TELL_EVERY:
            self._told_at = now
            log.warning(
                "%s: %d TLS handshakes ended for newer ones: MAX_CONNECTIONS, or what the process "
                "may open, allows %d",
                self._name,
                self._dropped,
                self._most,
            )

    def _wait_for_room(self) -> None:
        """No descriptor is left: give one back, and let those that connect wait for a moment."""
        if self._handshakes:
            self._drop_oldest()
        self._loop.remove_reader(self._socket)
        self._resumes = self._loop.call_later(
            _PAUSE, self._loop.add_reader, self._socket, self._accept
        )
