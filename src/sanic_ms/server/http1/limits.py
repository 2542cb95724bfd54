"""What a server allows its clients: sizes, counts and times, read once from the application."""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Limits"]

_RESERVE = 128  # file descriptors for pools, clients, logs and files


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one server. Times are seconds, sizes are bytes.

    The first group are Sanic's own settings, with Sanic's defaults; the second are ours. All are
    read from ``app.config`` under the upper-case name of the attribute.

    Attributes:
        request_timeout: From a request's first byte to the end of its head.
        response_timeout: From the whole request to the first byte of its answer.
        keep_alive: Whether a connection serves more than one request.
        keep_alive_timeout: How long a connection may be idle between two requests.
        request_max_size: The largest body of a route that does not stream.
        request_max_header_size: The largest head, request line included.
        request_buffer_size: How much unread input (the rest of a body, or pipelined requests) a
            connection holds before it stops reading from the socket.
        request_max_headers: The largest number of header lines.
        request_body_timeout: From the end of the head to the end of the body, whatever trickles in.
        request_body_min_rate: Bytes per second that earn a streamed body more time.
        keep_alive_requests: Requests after which a connection is closed; 0: no limit.
        write_timeout: How long a full send buffer may take to drain before the client is dropped.
        max_connections: Connections that a process holds; 0: no limit. It is lowered to what the
            process may open, less some for everything else.
        linger_timeout: How long a refused client may go on sending before the socket is closed.
    """

    request_timeout: float = 60.0
    response_timeout: float = 60.0
    keep_alive: bool = True
    keep_alive_timeout: float = 120.0
    request_max_size: int = 100_000_000
    request_max_header_size: int = 8192
    request_buffer_size: int = 65536

    request_max_headers: int = 100
    request_body_timeout: float = 60.0
    request_body_min_rate: int = 1024
    keep_alive_requests: int = 0
    write_timeout: float = 30.0
    linger_timeout: float = 2.0
    max_connections: int = 0

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Limits:
        """The limits that a configuration names, and the defaults for the rest."""
        known = {name: config[name.upper()] for name in cls.__slots__ if name.upper() in config}
        return cls(**known)

    @property
    def most_connections(self) -> int:
        """Connections that this process may hold, by the limit and by its file descriptors.

        A connection that is accepted with the last descriptor leaves none for a database or a file.
        """
        if not self.max_connections:
            return sys.maxsize
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return self.max_connections
        return min(self.max_connections, max(soft - _RESERVE, soft // 2))

    @property
    def tick(self) -> float:
        """How often deadlines are looked at: a quarter of the shortest, 50 ms to 1 s."""
        shortest = min(
            self.request_timeout,
            self.response_timeout,
            self.keep_alive_timeout,
            self.request_body_timeout,
            self.write_timeout,
            self.linger_timeout,
        )
        return min(1.0, max(0.05, shortest / 4))
