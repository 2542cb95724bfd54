"""A connection without a socket: what it writes is kept, and a test says what comes."""

from __future__ import annotations

import asyncio
from typing import Any

from multidict import CIMultiDict

from sanic_ms.client.base import Endpoint, ServiceRequest
from sanic_ms.client.timeouts import Timeout
from sanic_ms.client.transport.connection import ClientConnection, ConnectionResponse, Owner

__all__ = ["OK", "Keeper", "Wire", "asked", "end", "outcome"]

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Wire(asyncio.Transport):
    """The transport's side."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.unsent = 0
        self.closing = False
        self.paused = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.closing = True

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        assert not self.paused
        self.paused = True

    def resume_reading(self) -> None:
        assert self.paused
        self.paused = False


class Keeper(Owner):
    """Counts what becomes of its one connection."""

    closed = False
    keep_alive = 60.0
    max_age = 600.0

    def __init__(self) -> None:
        self.free = 0
        self.ended = 0
        self.wire = Wire()
        self.connection = ClientConnection(self, asyncio.get_running_loop())
        self.connection.connection_made(self.wire)

    def released(self, connection: ClientConnection) -> None:
        assert not self.wire.closing
        self.free += 1

    def dropped(self, connection: ClientConnection) -> None:
        pass

    def lost(self, connection: ClientConnection) -> None:
        self.ended += 1


def asked(keeper: Keeper, method: str = "GET") -> ConnectionResponse:
    """Send a request that has a minute for its answer."""
    request = ServiceRequest(
        service="region",
        method=method,
        path="/x",
        endpoint=Endpoint("http://region", "region"),
        url="http://region/x",
        params=None,
        headers=CIMultiDict(),
        body=None,
        timeout=Timeout(),
    )
    connection = keeper.connection
    return connection.ask(b"request", request, connection.loop.time() + 60)


async def outcome(answer: ConnectionResponse) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and body."""
    await answer.head
    body = b""
    while piece := await answer.receive():
        body += piece
    return answer.status, list(answer.headers.items()), body


def end(keeper: Keeper, exc: Exception | None = None, *, eof: bool = False) -> None:
    """The other side closes (with ``eof`` in good order), or the connection fails."""
    if eof:
        keeper.connection.eof_received()
    keeper.wire.closing = True
    keeper.connection.connection_lost(exc)
