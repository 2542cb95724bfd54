"""The two services that the fan-out calls: a few lines of asyncio, the same for every peer.

It answers ``/cities/7`` with ``{"id":7,"name":"city 7"}`` and ``/roles/7`` alike, and is nobody's
framework: about the cheapest HTTP server that Python can be, so that little of what is measured is
its own.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop

_KINDS = {b"cities": b"city", b"roles": b"role"}


class Answering(asyncio.Protocol):
    """Answers the GETs of one connection, several in one read too."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.rest = b""

    def data_received(self, data: bytes) -> None:
        *requests, self.rest = (self.rest + data).split(b"\r\n\r\n")
        for request in requests:
            _, kind, id = request.split(b" ", 2)[1].split(b"/")
            body = b'{"id":%s,"name":"%s %s"}' % (id, _KINDS[kind], id)
            self.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
            )


async def main(port: int) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
