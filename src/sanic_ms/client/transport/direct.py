"""The usual call over connections of our own; every other one through aiohttp.

Usual is a call whose request is known in full before it is sent (no body, or bytes) over plain
HTTP, without redirects and without headers that say how messages are framed. What it costs is what
makes a handler that calls two others slow or fast, and most of it is spent in what such a call
does not need: see ``docs/design/client.md``.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final

from sanic_ms.client.base import Closed, Endpoint, ServiceRequest, ServiceResponse, Transport
from sanic_ms.client.deadline import set_remaining
from sanic_ms.client.retry import may_resend
from sanic_ms.client.timeouts import CallDeadlines, deadlines_of
from sanic_ms.client.transport import failures
from sanic_ms.client.transport.aiohttp import AiohttpTransport, network, refuse_running
from sanic_ms.client.transport.connection import ClientConnection, Lost
from sanic_ms.client.transport.pool import Pool, PoolClosed
from sanic_ms.client.transport.request_head import Origin, encode, place_of
from sanic_ms.lifecycle import Component

__all__ = ["DirectTransport"]

_MOST_PLACES: Final = 256
"""Endpoints that are remembered; a discovery may give others all the time."""


class DirectTransport(Transport, Component):
    """Connections to any number of services: our own for usual calls, aiohttp's for all others.

    Connections are opened by calls, on the event loop of the first. After `close` the next call
    opens new ones.

    Args:
        limit_per_host: Connections to one host and port at a time, for usual calls and for others
            each; further calls wait, up to their connect timeout. Default 100.
        keep_alive: Seconds that a connection may wait unused for its next call. Default 15.
        max_age: Seconds after which a connection of ours takes no more calls. Default 300.
        choice: Gives ``"aiohttp"`` where every call is to go through aiohttp; it is asked by the
            first call. Default: ``"auto"``.

    Raises:
        ValueError: a limit that could never be met.
    """

    name = "http-client"

    def __init__(
        self,
        *,
        limit_per_host: int = 100,
        keep_alive: float = 15.0,
        max_age: float = 300.0,
        choice: Callable[[], str] = lambda: "auto",
    ) -> None:
        if not max_age > 0:
            raise ValueError(f"max_age={max_age!r}: give seconds above 0")
        self.others = AiohttpTransport(limit_per_host=limit_per_host, keep_alive=keep_alive)
        self.max_age = max_age
        self._choice = choice
        self._direct = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._places: dict[str, tuple[Origin, Pool] | None] = {}
        self._pools: dict[tuple[str, int], Pool] = {}
        self._closing: Awaitable[None] = Closed()

    async def start(self) -> None:
        """Nothing: connections are made when they are needed."""

    async def stop(self) -> None:
        """Close every connection."""
        await self.close()

    async def send(self, request: ServiceRequest) -> ServiceResponse:
        if request.deadline is not None:
            set_remaining(request)
        if network.get() is not None:
            return await self.others.send(request)
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._open(loop)
        if not self._direct:
            return await self.others.send(request)
        endpoint = request.endpoint
        try:
            where = self._places[endpoint.base]
        except KeyError:
            where = self._place(endpoint)
        data = encode(request, where[0]) if where is not None else None
        if where is None or data is None:
            return await self.others.send(request)
        pool = where[1]
        now = loop.time()
        deadlines = deadlines_of(request.timeout, now)
        resent = False
        while True:
            connection = pool.take(now)
            if connection is None:
                connection = await _acquired(pool, request, deadlines)
                if request.deadline is not None:
                    try:
                        data = _encode_again(request, where[0], data)
                    except BaseException:
                        pool.released(connection)
                        raise
            reused = connection.answered
            answer = connection.ask(data, request, deadlines.total)
            try:
                await answer.head
            except Lost as exc:
                begun = not exc.untouched
                if resent or not may_resend(request.method, reused=reused, begun=begun):
                    raise failures.broke(request) from exc.cause or exc
                if request.deadline is not None:
                    data = _encode_again(request, where[0], data)
                resent = True
                now = loop.time()
                if now >= deadlines.total:
                    raise failures.no_answer(request) from exc
                # The time to connect begins anew, that of the whole call does not.
                deadlines = deadlines._replace(connect=deadlines_of(request.timeout, now).connect)
            except BaseException:
                answer.abandon()
                raise
            else:
                return answer

    def close(self) -> Awaitable[None]:
        loop, pools = self._loop, list(self._pools.values())
        others = self.others.close()
        if loop is None:
            return self._closing
        self._loop = None
        self._pools, self._places = {}, {}
        if loop.is_closed():
            # What was open went with the loop; it has no way to tell of it.
            self._closing = Closed()
            return self._closing
        for pool in pools:
            pool.close()
        self._closing = asyncio.ensure_future(_finished(pools, others), loop=loop)
        return self._closing

    def _open(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not None:
            refuse_running(self._loop)
            self.close()
        self._direct = self._choice() != "aiohttp"
        self._loop = loop

    def _place(self, endpoint: Endpoint) -> tuple[Origin, Pool] | None:
        """Where calls to an endpoint go, and the connections to there."""
        if len(self._places) >= _MOST_PLACES:
            self._places.clear()
            self._pools = {key: pool for key, pool in self._pools.items() if not pool.is_unused}
        place = place_of(endpoint)
        where = None
        if place is not None:
            where = (place, self._pool(place.host, place.port))
        self._places[endpoint.base] = where
        return where

    def _pool(self, host: str, port: int) -> Pool:
        pool = self._pools.get((host, port))
        if pool is None:
            assert self._loop is not None
            pool = self._pools[host, port] = Pool(
                host,
                port,
                loop=self._loop,
                limit=self.others.limit_per_host,
                keep_alive=self.others.keep_alive,
                max_age=self.max_age,
            )
        return pool


def _encode_again(request: ServiceRequest, place: Origin, data: bytes) -> bytes:
    """The bytes of a request that is sent later than when it was encoded: less time remains.

    Raises:
        DeadlineExceeded: none remains.
    """
    set_remaining(request)
    return encode(request, place) or data


async def _acquired(
    pool: Pool, request: ServiceRequest, deadlines: CallDeadlines
) -> ClientConnection:
    """A connection within the time for that, or the error for there being none."""
    first = deadlines.first
    try:
        async with asyncio.timeout_at(first if first < inf else None):
            return await pool.acquire()
    except TimeoutError as exc:
        if deadlines.connect <= deadlines.total:
            raise failures.no_connection(request) from exc
        raise failures.no_answer(request) from exc
    except PoolClosed as exc:
        raise failures.closed(request) from exc
    except Lost as exc:
        raise failures.broke(request) from exc
    except socket.gaierror as exc:
        raise failures.unknown_host(request) from exc
    except OSError as exc:
        raise failures.cannot_connect(request) from exc


async def _finished(pools: list[Pool], others: Awaitable[None]) -> None:
    for pool in pools:
        await pool.gone
    await others
