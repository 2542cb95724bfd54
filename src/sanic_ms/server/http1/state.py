"""What all connections of one server share, and the one timer that watches over them."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import sys
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

from sanic import Sanic
from sanic.request import Request
from sanic.response import text

from sanic_ms.exception import ServiceUnavailable
from sanic_ms.server.http1.framer import Framer
from sanic_ms.server.http1.limits import Limits
from sanic_ms.server.http1.request import lazy
from sanic_ms.server.http1.response import ResponseHeads
from sanic_ms.server.http1.routes import Routes
from sanic_ms.telemetry.instrumentation import Instrumentation, Observation
from sanic_ms.values.response_headers import DefaultHeaders

if TYPE_CHECKING:
    from sanic_ms.server.http1.connection import HttpConnection

__all__ = [
    "BODY",
    "CLOSING",
    "HANDLER",
    "HEAD",
    "IDLE",
    "LINGER",
    "PARTING",
    "TUNNEL",
    "ServerState",
    "drain",
    "states_of",
]

log = logging.getLogger("sanic_ms.server")

# What a connection is waiting for; each has its own deadline.
IDLE: Final = 0  # the first byte of a request
PARTING: Final = 1  # the same, in a server that is stopping
HEAD: Final = 2  # the rest of a head
BODY: Final = 3  # the rest of a body
HANDLER: Final = 4  # the application
LINGER: Final = 5  # a refused client to stop sending
CLOSING: Final = 6  # the last bytes of an answer to be sent
TUNNEL: Final = 7  # nothing: a web socket, which has pings of its own

_ORIGIN = re.compile(rb"\r\norigin:[ \t]*([!-~]*)", re.IGNORECASE)
_TELL_EVERY: Final = 10.0  # seconds
_QUICK: Final = 0.1  # between two looks at the deadlines in a server that is stopping
_LONGEST_TICK: Final = 2.0  # seconds between two looks of a process that runs
_PARTING_TIME: Final = 0.5  # in which a request that is under way to an idle connection arrives


class ServerState:
    """The shared part of one server: limits, routes, encoded heads, a spare parser, the clock.

    Args:
        app: The application.
        loop: The event loop that the server runs on.
        connections: Sanic's set of the server's connections.
    """

    __slots__ = (
        "_headers",
        "_seen",
        "_timer",
        "_told_at",
        "_turned_away",
        "access_log",
        "app",
        "connections",
        "context",
        "draining",
        "framer",
        "heads",
        "heads_by_origin",
        "lazy_request",
        "limits",
        "loop",
        "mold",
        "most_connections",
        "most_head",
        "most_input",
        "most_requests",
        "now",
        "patience",
        "request_class",
        "routes",
        "served",
    )

    def __init__(
        self,
        app: Sanic[Any, Any],
        loop: asyncio.AbstractEventLoop,
        connections: set[HttpConnection],
    ) -> None:
        self.app = app
        self.loop = loop
        self.connections = connections
        # That of no request. What one's end leads to, such as the next, begins in it.
        self.context = copy_context()
        self.draining = False
        self.limits = limits = Limits.of(app.config)
        # Numbers that compiled code can hold, whatever a bare Sanic application has set.
        self.most_head = _whole(limits.request_max_header_size)
        # A head, or a line of a chunked body, must fit in: reading stops when this much is unused.
        self.most_input = max(limits.request_buffer_size, 2 * limits.request_max_header_size)
        # After how many requests a connection is closed: the one number that an answer looks at.
        most = _whole(limits.keep_alive_requests or sys.maxsize)
        self.most_requests = most if limits.keep_alive else 0
        self._headers = DefaultHeaders.of(app.config)
        self._seen = False
        self._make_heads(secure=False)
        self.most_connections = limits.most_connections
        self._turned_away = 0
        self._told_at = 0.0
        self.access_log: bool = app.config.ACCESS_LOG
        self.request_class: type[Request] = app.request_class or Request
        self.lazy_request = lazy(self.request_class)
        self.mold: Any = None  # what compiled code knows of it
        observer: Instrumentation | None = getattr(app, "observer", None)
        self.routes = Routes(app, observer, plain=self.lazy_request is not None)
        self.framer = Framer()
        self.served = 0  # requests of connections that have ended
        self.now = loop.time()
        self.patience = (
            limits.keep_alive_timeout,
            _PARTING_TIME,
            limits.request_timeout,
            limits.request_body_timeout,
            limits.response_timeout,
            limits.linger_timeout,
            limits.write_timeout,
            float("inf"),
        )
        self._timer: asyncio.TimerHandle | None = None

    def _make_heads(self, *, secure: bool) -> None:
        cors = self._headers.cors
        self.heads = ResponseHeads(self._headers, secure=secure)
        # By the origin as it comes; None where all origins, or none, are treated alike.
        self.heads_by_origin: dict[bytes, ResponseHeads] | None = None
        if cors is not None and cors.varies:
            self.heads_by_origin = {
                origin.encode(): ResponseHeads(self._headers, secure=secure, origin=origin)
                for origin in cors.origins
            }

    def heads_for(self, request: Request) -> ResponseHeads:
        """What makes the heads of the answers to a request."""
        if self.heads_by_origin is None:
            return self.heads
        found = _ORIGIN.search(request.head)
        return self.heads_by_origin.get(found[1], self.heads) if found else self.heads

    @classmethod
    def of(
        cls,
        app: Sanic[Any, Any],
        loop: asyncio.AbstractEventLoop,
        connections: set[HttpConnection],
    ) -> ServerState:
        """The one that belongs to this server; made at its first connection."""
        wire = _wires.get(id(connections))
        if wire is None or wire.connections is not connections or wire.loop is not loop:
            for key in [key for key, old in _wires.items() if old.loop.is_closed()]:
                del _wires[key]
            wire = _wires[id(connections)] = cls(app, loop, connections)
        return wire

    def observe(self, request: Request) -> Observation | None:
        """Begin to count and trace a request that takes the full path."""
        watch = self.routes.watch(request)
        return None if watch is None else watch.begin(request)

    @property
    def heard(self) -> frozenset[str]:
        """The events of a request's life that have signal handlers."""
        return self.routes.heard

    def turn_away(self) -> bytes:
        """The answer to one connection too many; the log says so at most every ten seconds."""
        self._turned_away += 1
        now = self.loop.time()
        if now - self._told_at > _TELL_EVERY:
            self._told_at = now
            log.warning(
                "%s: %d connections turned away: MAX_CONNECTIONS, or what the process may open, "
                "allows %d",
                self.app.name,
                self._turned_away,
                self.most_connections,
            )
        error = ServiceUnavailable("too many connections", headers={"Retry-After": "1"})
        render = getattr(self.app.error_handler, "render", None)
        answer = render(error) if render else text(error.message, 503, error.headers)
        head = self.heads.head(503, answer.content_type, answer.headers)
        body = answer.body or b""
        return b"%bcontent-length: %d\r\nconnection: close\r\n\r\n%b" % (head, len(body), body)

    def watch(self, transport: asyncio.Transport) -> None:
        """Keep the timer running while there are connections; called for each new one."""
        if not self._seen:  # a server is TLS or it is not; its first connection tells
            self._seen = True
            if transport.get_extra_info("ssl_object") is not None:
                self._make_heads(secure=True)
        if self._timer is None:
            self.now = self.loop.time()
            self._timer = self.loop.call_later(self.limits.tick, self._sweep)

    def drain(self) -> None:
        """From now on answers say ``HttpConnection: close``, for the server is stopping."""
        if self.draining:
            return
        self.draining = True
        self.most_requests = 0
        if self._timer is not None:  # idle connections have little time left: look again soon
            self._timer.cancel()
            self.now = self.loop.time()
            self._timer = self.loop.call_later(_QUICK, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        before, now = self.now, self.loop.time()
        self.now = now
        stopped = now - before - _LONGEST_TICK
        if stopped > 0:
            # The process did not run (docker pause, SIGSTOP): no client could be heard meanwhile,
            # and no handler went on.
            for connection in self.connections:
                connection.postpone(stopped)
        patience = self.patience
        for late in [c for c in self.connections if c.is_late(now, patience)]:
            late.expire(now)
        if self.connections:
            tick = _QUICK if self.draining else self.limits.tick
            self._timer = self.loop.call_later(tick, self._sweep)


def _whole(number: float) -> int:
    return math.ceil(min(number, sys.maxsize))


# By the identity of the set of connections, which Sanic makes for each server: an application
# object can be neither weakly referenced nor given attributes. Entries of closed loops are dropped
# when another server starts.
_wires: dict[int, ServerState] = {}


def states_of(app: Sanic[Any, Any]) -> list[ServerState]:
    """The shared parts of the servers that serve this application in this process."""
    return [wire for wire in _wires.values() if wire.app is app]


def drain(app: Sanic[Any, Any]) -> None:
    """Let every answer of this application say ``HttpConnection: close`` from now on.

    Call it when a stop was announced and the listener is still open; Sanic's own stop does it too.
    Calling it twice, or where nothing is served, does nothing.
    """
    for wire in states_of(app):
        wire.drain()
