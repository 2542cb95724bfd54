"""Addresses to listen on: whether they are free, whether they answer, and how to write them."""

from __future__ import annotations

import asyncio
import errno
import socket

__all__ = ["answered", "base_url", "reachable", "taken"]

_ANY = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}


def reachable(host: str) -> str:
    """The address at which this machine reaches a service that listens on ``host``."""
    return _ANY.get(host, host)


def base_url(host: str, port: int) -> str:
    """``http://host:port``, with brackets where an IPv6 address needs them."""
    host = reachable(host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def taken(host: str, port: int) -> str | None:
    """Why a service cannot listen there, or None if it can."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as exc:
        return f"the host {host!r} is not known: {exc.strerror}"
    with socket.socket(family, kind, protocol) as probe:
        # As servers do it: connections of a service that has just stopped do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                return f"port {port} on {host} is in use: stop what listens there, or set PORT"
            return f"cannot listen on {host}:{port}: {exc.strerror}"
    return None


async def answered(host: str, port: int, path: str, *, unix: str | None = None) -> None:
    """Wait until a GET of the path is answered, whatever the answer.

    An accepted connection says little: the kernel accepts for a service that still starts. The
    request waits there for it, so that a slow start costs one request and one line of its log.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: {reachable(host)}:{port}\r\nConnection: close\r\n\r\n"
    while True:
        try:
            if unix is None:
                reader, writer = await asyncio.open_connection(reachable(host), port)
            else:
                reader, writer = await asyncio.open_unix_connection(unix)
            try:
                writer.write(request.encode())
                if await reader.read(1):
                    return
            finally:
                writer.close()
        except OSError:
            pass
        await asyncio.sleep(0.05)
