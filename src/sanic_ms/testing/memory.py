"""A connection without a network: two asyncio transports that hand their bytes to each other.

Both ends are ordinary protocols (a server's and a client's), and each sees what it would see of a
socket: bytes in pieces, a buffer that fills, an end of stream, a connection that is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextvars import Context, copy_context
from typing import Any

__all__ = ["MemoryTransport", "connect_in_memory"]

HIGH = 65536
"""Bytes that a peer has not taken above which its writer is asked to pause, unless it says else."""


class MemoryTransport(asyncio.Transport):
    """One end of a connection. Made in pairs by `connect_in_memory`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.Protocol,
        context: Context,
        extra: dict[str, Any],
    ) -> None:
        super().__init__(extra)
        self._loop = loop
        self._protocol = protocol
        self._context = context
        self._peer: MemoryTransport | None = None
        self._outgoing: list[bytes] = []
        self._size = 0
        self._low, self._high = HIGH // 4, HIGH
        self._reading = True
        self._writer_paused = False
        self._scheduled = False
        self._ended = False
        self._closing = False
        self._aborted = False
        self._lost = False

    # --- writing ---------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not data or self._closing or self._ended or self._peer is None:
            return
        self._outgoing.append(bytes(data))
        self._size += len(data)
        self._schedule()
        if self._size > self._high and not self._writer_paused:
            self._writer_paused = True
            self._call(self._protocol.pause_writing)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self._ended and not self._closing:
            self._ended = True
            self._schedule()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = HIGH if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        return self._size

    # --- reading ---------------------------------------------------------------------------------

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        if self._peer is not None:
            self._peer._schedule()

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    # --- the end ---------------------------------------------------------------------------------

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._schedule()

    def abort(self) -> None:
        self._closing = self._aborted = True
        self._outgoing.clear()
        self._size = 0
        self._schedule()

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    # --- what happens later ----------------------------------------------------------------------

    def _schedule(self) -> None:
        """Deliver in a later turn of the loop, as a socket does: never inside of `write`."""
        if not self._scheduled and not self._lost:
            self._scheduled = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        peer = self._peer
        if peer is None or peer._lost:
            self._lose()
            return
        while self._outgoing and peer._reading and not peer._closing:
            data, self._outgoing = b"".join(self._outgoing), []
            self._size = 0
            peer._call(peer._protocol.data_received, data)
        if self._writer_paused and self._size <= self._low:
            self._writer_paused = False
            self._call(self._protocol.resume_writing)
        if self._outgoing and not peer._closing:
            return  # the peer reads on when it likes to
        if self._closing:
            if not self._aborted and not peer._lost:
                peer._call(peer._protocol.eof_received)
            peer._lose()
            self._lose()
        elif self._ended and not peer._closing and not peer._call(peer._protocol.eof_received):
            peer.close()

    def _lose(self) -> None:
        if not self._lost:
            self._lost = self._closing = True
            self._outgoing.clear()
            self._call(self._protocol.connection_lost, None)

    def _call(self, method: Any, *arguments: Any) -> Any:
        return self._context.copy().run(method, *arguments)


def connect_in_memory(
    client: asyncio.Protocol,
    server: asyncio.Protocol,
    *,
    context: Context,
    client_address: tuple[str, int] = ("127.0.0.1", 50000),
    server_address: tuple[str, int] = ("127.0.0.1", 80),
) -> None:
    """Connect two protocols on the running loop.

    Args:
        client, server: The two ends; each gets its ``connection_made``.
        context: The context variables that the server's end is called with. The client's end keeps
            those of the caller.
        client_address, server_address: What each end is told of the other.
    """
    loop = asyncio.get_running_loop()
    extra = {"peername": client_address, "sockname": server_address}
    there = MemoryTransport(loop, server, context, extra)
    extra = {"peername": server_address, "sockname": client_address}
    here = MemoryTransport(loop, client, copy_context(), extra)
    here._peer, there._peer = there, here
    there._call(server.connection_made, there)
    client.connection_made(here)
