"""A server that takes messages exactly as they are framed, and keeps them."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import Self

__all__ = ["Received", "StrictServer"]

_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")


@dataclass
class Received:
    """One request."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def all(self, name: str) -> list[str]:
        """The values of a header, by its name in lower case."""
        return [value for key, value in self.headers if key == name]


@dataclass
class StrictServer:
    """Answers each request with its body's length; what is no request closes the connection."""

    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    url: str = ""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None

    @classmethod
    async def start(cls) -> Self:
        """Listen on a free port."""
        strict = cls()
        strict._server = server = await asyncio.start_server(strict._connected, "127.0.0.1", 0)
        strict.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return strict

    async def stop(self) -> None:
        """Close every connection."""
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n"))[:-4]
        line, *lines = head.split(b"\r\n")
        matches = [_HEADER.fullmatch(text) for text in lines]
        if None in matches:
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            return False
        pairs = [(match[1].decode().lower(), match[2].decode()) for match in matches if match]
        request = Received(line.decode("latin-1"), pairs)
        self.requests.append(request)
        if request.all("expect"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if request.all("transfer-encoding"):
            while size := int(await reader.readuntil(b"\r\n"), 16):
                request.body += await reader.readexactly(size)
                await reader.readuntil(b"\r\n")
            await reader.readuntil(b"\r\n")
        for length in request.all("content-length"):
            request.body += await reader.readexactly(int(length))
        answer = b'{"code":0,"data":%d}' % len(request.body)
        close = "close" in request.all("connection")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b"
            % (b"Connection: close\r\n" * close, len(answer), answer)
        )
        return not close
