"""A collector of traces that counts spans and keeps none: it shows that tracing does what it says.

``POST`` anything, packed with gzip or not, is 202; ``GET`` anything answers the number of spans.
"""

from __future__ import annotations

import asyncio
import gzip
import sys
import urllib.request

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


async def main(port: int) -> None:
    """Serve until the process is ended."""
    server = await asyncio.start_server(answer, "127.0.0.1", port, limit=2**20)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
