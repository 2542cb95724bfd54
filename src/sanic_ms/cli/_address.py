"""Addresses to listen on: whether they are free, and whether they answer."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from sanic_ms.cli._errors import CommandError
from sanic_ms.values.address import reachable

__all__ = ["answered", "check_free"]


def check_free(host: str, port: int, *, prefix: str = "") -> None:
    """See that a service can listen there.

    Args:
        prefix: Of the names of the settings: ``ADMIN_``.

    Raises:
        CommandError: it cannot. One line; exit code 1 where the port is in use, 2 where the address
            is wrong.
    """
    from sanic_ms.server.process.listen_socket import cannot_listen, check_address, is_occasional

    try:
        check_address(host, port)
    except OSError as exc:
        code = 1 if is_occasional(exc) else 2
        text = cannot_listen(exc, host, port, None, prefix=prefix)
        raise CommandError(text, exit_code=code) from exc


async def answered(
    host: str, port: int, path: str, *, unix: str | None = None, tls: bool = False
) -> None:
    """Wait until a GET of the path is answered, whatever the answer and the certificate.

    An accepted connection says little: the kernel accepts for a service that still starts. The
    request waits there for it, so that a slow start costs one request and one line of its log.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: {reachable(host)}:{port}\r\nConnection: close\r\n\r\n"
    context, name = None, None
    if tls:
        context, name = ssl.create_default_context(), "localhost"
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    where: dict[str, Any] = {"ssl": context, "server_hostname": name}
    while True:
        try:
            if unix is None:
                reader, writer = await asyncio.open_connection(reachable(host), port, **where)
            else:
                reader, writer = await asyncio.open_unix_connection(unix, **where)
            try:
                writer.write(request.encode())
                if await reader.read(1):
                    return
            finally:
                writer.close()
        except OSError:
            pass
        await asyncio.sleep(0.05)
