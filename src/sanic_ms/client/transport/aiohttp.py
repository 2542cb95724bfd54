"""Requests over one aiohttp session: keep-alive connections, limits, and our own errors.

aiohttp sends an idempotent request a second time after any broken connection; here that is
narrowed to what `sanic_ms.client.retry` allows.
"""

from __future__ import annotations

import asyncio
import math
import zlib
from collections.abc import Awaitable
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import aiohttp
import msgspec
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

from sanic_ms.client.base import Closed, ServiceRequest, ServiceResponse, Transport
from sanic_ms.client.deadline import TIMEOUT_HEADER, set_remaining
from sanic_ms.client.retry import may_resend
from sanic_ms.client.timeouts import Timeout
from sanic_ms.client.transport import failures
from sanic_ms.client.transport.inflate import UnknownCoding, inflate_for
from sanic_ms.client.transport.request_headers import check_method, headers_to_send
from sanic_ms.exception import DeadlineExceeded, LifecycleError, ServiceCallError
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
        check_method(request.method)
        if request.deadline is not None:
            set_remaining(request)
        headers = headers_to_send(request.headers, has_body=request.body is not None)
        instead = network.get()
        if instead is not None:
            try:
                return await instead.send(msgspec.structs.replace(request, headers=headers))
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
                headers=headers,
                allow_redirects=request.allow_redirects,
                ssl=True if request.ssl is None else request.ssl,
                **_limits(request),
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
        try:
            return _AiohttpResponse(response, request)
        except UnknownCoding as exc:
            _drop(response)
            raise failures.not_http(request) from exc

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
            headers={"User-Agent": "sanic-ms", "Accept-Encoding": "gzip, deflate"},
            # aiohttp takes a gzip file that ends too early for a whole one, and hands on what is
            # packed twice as it is.
            auto_decompress=False,
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

    _calls: ClassVar[WeakKeyDictionary[ResponseHandler, int]] = WeakKeyDictionary()
    """How many calls each connection has carried."""

    _protocol: ResponseHandler | None = None
    _number = 0

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        protocol = self._protocol = connection.protocol
        before = self._calls.get(protocol, 0)  # all were answered, or there were no connection
        self._number = self._calls[protocol] = before + 1
        try:
            await aiohttp.ClientResponse.start(self, connection)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as exc:
            # `message` is text, or the beginning of an answer that did arrive.
            begun = not isinstance(getattr(exc, "message", ""), str)
            if may_resend(self.method, reused=before > 0, begun=begun):
                raise
            raise _ConnectionLost(str(exc)) from exc
        return self

    def drop(self) -> None:
        """Close the connection, also where it was given back, unless it carries another call."""
        self.close()
        protocol = self._protocol
        if protocol is not None and self._calls.get(protocol) == self._number:
            protocol.close()


class _AiohttpResponse(ServiceResponse):
    """A `ServiceResponse` over aiohttp's response.

    Raises:
        UnknownCoding: nothing here can unpack its body.
    """

    __slots__ = ("_inflate", "_request", "_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse, request: ServiceRequest) -> None:
        self.status = response.status
        self.headers = response.headers
        self._response = response
        self._request = request
        self._inflate = inflate_for(request.method, response.status, response.headers)

    async def receive(self) -> bytes:
        inflate = self._inflate
        content = self._response.content
        try:
            if inflate is None:
                return await content.readany()
            while not (piece := inflate.take()):
                data = await content.readany()
                if not data:
                    inflate.end()
                    return b""
                inflate.feed(data)
            return piece
        except zlib.error as exc:
            _drop(self._response)
            raise failures.not_http(self._request) from exc
        except _FAILURES as exc:
            self._response.close()
            raise _translated(exc, self._request) from exc
        except BaseException:
            self._response.close()
            raise

    def close(self) -> None:
        if not self._response.closed:  # closed as well where the body was read to its end
            self._response.release()


def _drop(response: aiohttp.ClientResponse) -> None:
    if isinstance(response, _Response):
        response.drop()


def _limits(request: ServiceRequest) -> dict[str, Any]:
    """The options of a call that limit its time."""
    deadline = request.deadline
    if deadline is None:
        return {"timeout": _client_timeout(request.timeout)}
    total, connect = request.timeout.total, request.timeout.connect
    # Without a threshold, above which aiohttp rounds up to a whole second.
    limits = aiohttp.ClientTimeout(total=total, connect=connect, ceil_threshold=math.inf)

    async def attempt(
        sent: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        # For the second attempt, and for a redirect.
        set_remaining(request)
        if deadline.is_sent:
            sent.headers[TIMEOUT_HEADER] = request.headers[TIMEOUT_HEADER]
        return await handler(sent)

    return {"timeout": limits, "middlewares": (attempt,)}


@lru_cache(maxsize=64)
def _client_timeout(timeout: Timeout) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=timeout.total, connect=timeout.connect)


def _translated(exc: Exception, request: ServiceRequest) -> ServiceCallError | DeadlineExceeded:
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
