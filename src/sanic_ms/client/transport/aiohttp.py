"""Requests over one aiohttp session: keep-alive connections, limits, and our own errors.

aiohttp sends an idempotent request a second time after any broken connection; here that is
narrowed to what `sanic_ms.client.retry` allows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, ClassVar
from weakref import WeakSet

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

from sanic_ms.client.base import Closed, ServiceRequest, ServiceResponse, Transport
from sanic_ms.client.retry import may_resend
from sanic_ms.client.timeouts import Timeout
from sanic_ms.client.transport import failures
from sanic_ms.exception import LifecycleError, ServiceCallError
from sanic_ms.lifecycle import Component

__all__ = ["AiohttpTransport", "network", "refuse_running"]

_FAILURES = (aiohttp.ClientError, HttpProcessingError, OSError)  # TimeoutError is an OSError

network: ContextVar[Transport | None] = ContextVar("sanic_ms_network", default=None)
"""Takes the place of the network in its context: whatever stands above it is as in production.

What it raises becomes the error that the same failure of a connection would become.
"""


class AiohttpTransport(Transport, Component):
    """One pool of connections to any number of services.

    The session is opened by the first call, on the event loop of that call. After `close` the next
    call opens a new one.

    Args:
        limit_per_host: Connections to one host and port at a time; further calls wait, up to
            their connect timeout. Default 100.
        keep_alive: Seconds that a connection may wait unused for its next call. Default 15.
    """

    name = "http-client"

    def __init__(self, *, limit_per_host: int = 100, keep_alive: float = 15.0) -> None:
        if limit_per_host < 1:
            raise ValueError(f"limit_per_host={limit_per_host!r}: at least 1 connection is needed")
        if not keep_alive > 0:
            raise ValueError(f"keep_alive={keep_alive!r}: give seconds above 0")
        self.limit_per_host = limit_per_host
        self.keep_alive = keep_alive
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connector: aiohttp.TCPConnector | None = None
        self._session: aiohttp.ClientSession | None = None
        self._closing: Awaitable[None] = Closed()

    async def start(self) -> None:
        """Nothing: connections are made when they are needed."""

    async def stop(self) -> None:
        """Close every connection."""
        await self.close()

    async def send(self, request: ServiceRequest) -> ServiceResponse:
        instead = network.get()
        if instead is not None:
            try:
                return await instead.send(request)
            except _FAILURES as exc:
                raise _translated(exc, request) from exc
        session = self._session
        if session is None or self._loop is not asyncio.get_running_loop():
            session = self._open()
        try:
            # The credentials of the base URL are in the headers, so the URL holds none.
            response = await session.request(
                request.method,
                request.url,
                params=request.params,
                data=request.body,
                headers=request.headers,
                allow_redirects=request.allow_redirects,
                timeout=_client_timeout(request.timeout),
                ssl=True if request.ssl is None else request.ssl,
            )
        except _FAILURES as exc:
            raise _translated(exc, request) from exc
        except asyncio.CancelledError as exc:
            # Closing the pool cancels the futures of calls that wait for a connection; nobody
            # cancelled the task itself.
            task = asyncio.current_task()
            if session.closed and task is not None and not task.cancelling():
                raise failures.closed(request) from exc
            raise
        return _AiohttpResponse(response, request)

    def close(self) -> Awaitable[None]:
        session, connector, loop = self._session, self._connector, self._loop
        if session is None or connector is None or loop is None:
            return self._closing
        self._session = self._connector = self._loop = None
        session.detach()
        # The connections close in this call; what is left to wait for is the news of it.
        closed = connector.close()
        if loop.is_closed():
            self._closing = Closed()
            for _ in closed.__await__():
                pass
        else:
            self._closing = asyncio.ensure_future(_finished(closed), loop=loop)
        return self._closing

    def _open(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._loop is not None:
            refuse_running(self._loop)
            self.close()
        self._loop = loop
        self._connector = aiohttp.TCPConnector(
            limit=0, limit_per_host=self.limit_per_host, keepalive_timeout=self.keep_alive
        )
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "sanic-ms"},
            response_class=_Response,
        )
        return self._session


def refuse_running(loop: asyncio.AbstractEventLoop) -> None:
    """Check that the loop that a client was used on before has ended.

    Raises:
        LifecycleError: it has not.
    """
    if not loop.is_closed():
        raise LifecycleError(
            "this client belongs to another event loop that still runs; close it there, or "
            "make one client for each loop"
        )


async def _finished(closed: Awaitable[None]) -> None:
    await closed


class _ConnectionLost(aiohttp.ClientError):
    """The connection broke, and the request must not be sent a second time."""


class _Response(aiohttp.ClientResponse):
    """Decides which broken connection aiohttp may hide by sending the request again.

    aiohttp does so once, within the same time limit, for idempotent methods only, when the head of
    an answer fails with one of the two errors caught here.
    """

    _answered: ClassVar[WeakSet[ResponseHandler]] = WeakSet()
    """Connections that have carried an answer before."""

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        protocol = connection.protocol
        try:
            await aiohttp.ClientResponse.start(self, connection)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as exc:
            # `message` is text, or the beginning of an answer that did arrive.
            begun = not isinstance(getattr(exc, "message", ""), str)
            if may_resend(self.method, reused=protocol in self._answered, begun=begun):
                raise
            raise _ConnectionLost(str(exc)) from exc
        self._answered.add(protocol)
        return self


class _AiohttpResponse(ServiceResponse):
    """A `ServiceResponse` over aiohttp's response."""

    __slots__ = ("_request", "_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse, request: ServiceRequest) -> None:
        self.status = response.status
        self.headers = response.headers
        self._response = response
        self._request = request

    async def receive(self) -> bytes:
        try:
            return await self._response.content.readany()
        except _FAILURES as exc:
            self._response.close()
            raise _translated(exc, self._request) from exc
        except BaseException:
            self._response.close()
            raise

    def close(self) -> None:
        if not self._response.closed:  # closed as well where the body was read to its end
            self._response.release()


@lru_cache(maxsize=64)
def _client_timeout(timeout: Timeout) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=timeout.total, connect=timeout.connect)


def _translated(exc: Exception, request: ServiceRequest) -> ServiceCallError:
    """Our error for one of aiohttp's, without the address that aiohttp puts into its texts."""
    if isinstance(exc, aiohttp.ConnectionTimeoutError):
        return failures.no_connection(request)
    if isinstance(exc, TimeoutError):
        return failures.no_answer(request)
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        return failures.unknown_host(request)
    service = request.service
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        why = getattr(exc.certificate_error, "verify_message", "") or "not valid"
        reason = f"the certificate of {service} is not accepted ({why}) for {request}"
    elif isinstance(exc, aiohttp.ClientConnectorSSLError):
        reason = f"no TLS connection to {service} for {request}"
    elif isinstance(exc, aiohttp.ClientConnectorError):
        return failures.cannot_connect(request)
    elif isinstance(exc, (aiohttp.TooManyRedirects, aiohttp.RedirectClientError)):
        reason = f"{service} redirected {request} to where it cannot be followed"
    elif isinstance(exc, (aiohttp.ClientResponseError, HttpProcessingError)):
        return failures.not_http(request)
    else:
        return failures.broke(request)
    return ServiceCallError(reason, service=service)
