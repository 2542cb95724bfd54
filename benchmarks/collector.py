"""A collector of traces that counts spans and keeps none: it shows that tracing does what it says.

``POST`` anything, packed with gzip or not, is 202; ``GET`` anything answers the number of spans. Or
it is one on a bad day: it ``hangs``, ``resets`` every connection, or answers ``500``. The port is
printed; 0 is a free one.

    python -m benchmarks.collector PORT [hangs|resets|500]
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
import sys
import urllib.request
from contextlib import suppress

import uvloop

__all__ = ["spans_of"]

_count = 0


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection."""
    global _count
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
            body = await reader.readexactly(int(lines.get(b"content-length", b"0")))
            status, text = b"200 OK", b"%d" % _count
            if head.startswith(b"post"):
                if b"gzip" in lines.get(b"content-encoding", b""):
                    body = gzip.decompress(body)
                _count += body.count(b'"traceId"')
                status, text = b"202 Accepted", b""
            writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(text), text))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def spans_of(url: str) -> int:
    """How many spans the collector at this address has got so far."""
    with urllib.request.urlopen(url, timeout=5) as response:
        return int(response.read())


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read everything, say nothing."""
    while await reader.read(2**20):
        pass
    writer.close()


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take the beginning of a request and reset the connection."""
    await reader.read(1)
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer 500 to everything, once a connection."""
    with suppress(asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 500 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    writer.close()


KINDS = {"answers": answer, "hangs": hang, "resets": reset, "500": refuse}


async def main(port: int, kind: str) -> None:
    """Serve until the process is ended."""
    server = await asyncio.start_server(KINDS[kind], "127.0.0.1", port, limit=2**20)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "answers"))
