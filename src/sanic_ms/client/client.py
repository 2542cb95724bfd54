"""`Client`: calls to one service."""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Protocol, Self, Unpack
from weakref import WeakKeyDictionary, ref

import msgspec
from multidict import CIMultiDict

from sanic_ms.client.base import Closed, Discovery, Endpoint, ServiceRequest, Transport
from sanic_ms.client.call import Call, CallOptions, Verbs
from sanic_ms.client.deadline import set_deadline
from sanic_ms.client.discovery import StaticDiscovery
from sanic_ms.client.endpoint import join, parse_base_url
from sanic_ms.client.instrumentation import watched
from sanic_ms.client.metrics import CallMetrics
from sanic_ms.client.response import Response
from sanic_ms.client.timeouts import Timeout, timeout_from_settings, timeout_of
from sanic_ms.client.transport.direct import DirectTransport
from sanic_ms.client.transport.request_headers import headers_to_send
from sanic_ms.context import RequestContext, current_request
from sanic_ms.exception import ConfigError, LifecycleError
from sanic_ms.lifecycle import Component, Health
from sanic_ms.resilience.deadline import current_deadline
from sanic_ms.telemetry.metrics import Registry
from sanic_ms.utils.jsonable import to_plain

__all__ = ["Cli", "Client", "ClientApp", "default_transport"]

MAX_SIZE = 10_000_000
"""Bytes of an answer that are read unless a client or a call says otherwise."""


class ClientApp(Protocol):
    """What a client needs of an application; a `Service` has it."""

    @property
    def settings(self) -> Any:
        """Has ``services``: base URLs by service name."""

    def add(self, component: Component, /) -> Any:
        """Take a component into the application's life."""


class Client(Verbs, Component):
    """Calls to one service over HTTP.

    ::

        Client("region-service", app=app)              # the address stands in SERVICES
        Client(url="https://api.example.com/v1")       # the address is given
        Client("region-service", url="http://…")       # the same, with a name for messages

    With an application the client lives as long as that and shares its connections with the
    application's other clients, and its calls are among the application's metrics. Without one it
    has connections of its own, opened by the first call; close it, or use
    ``async with Client(url=…) as client``.

    Args:
        service: The name of the service. An event loop or None is accepted and means nothing.
        url: The base URL: http or https, with an optional path and credentials. Default: what
            ``SERVICES`` of the application's settings says for the name, read at the start of the
            application or by the first call.
        app: The application (any object with ``settings.services`` and ``add``).
        timeout: Seconds for a whole call, or a `Timeout`. Default: what ``CLIENT_TIMEOUT`` and
            ``CLIENT_CONNECT_TIMEOUT`` of the application's settings say, and without an application
            10 s in all and 2 s to connect.
        headers: Headers of every call.
        max_size: Bytes of body, decompressed, above which an answer is refused. Default 10 MB.
        ssl: TLS settings for https. Default: the system's certificates, host names checked.
        transport: Carries the calls; whoever made it closes it. Default: see above.

    Raises:
        TypeError: neither ``url`` nor a name with ``app`` is given.
        ConfigError: ``url`` is not a base URL.
        ValueError: a limit is not above 0, or a header cannot be sent.
    """

    def __init__(
        self,
        service: str | asyncio.AbstractEventLoop | None = None,
        *,
        url: str | None = None,
        app: ClientApp | None = None,
        timeout: float | Timeout | None = None,
        headers: Mapping[str, str] | None = None,
        max_size: int = MAX_SIZE,
        ssl: ssl_module.SSLContext | None = None,
        transport: Transport | None = None,
    ) -> None:
        if service is not None and not isinstance(service, (str, asyncio.AbstractEventLoop)):
            raise TypeError(f"Client({service!r}): the first argument is the service's name")
        name = service if isinstance(service, str) else ""
        self._discovery: Discovery
        if url is not None:
            endpoint = parse_base_url(url, "the client's url")
            name = name or "another service"
            self._discovery = _Fixed(endpoint)
        elif name and app is not None:
            # The settings are read when they are needed: they may not be loaded yet.
            self._discovery = StaticDiscovery(lambda: app.settings.services)
        else:
            raise TypeError(
                'say where the service is: Client("name", app=app) or Client(url="http://host")'
            )
        self.service = name
        self.name = f"client:{name}"
        self._timeout = None if timeout is None else timeout_of(timeout)
        self._app = app
        self.max_size = _max_size(max_size)
        self._headers = CIMultiDict(headers or {})
        headers_to_send(self._headers)  # a mistake in them shows here, not in the first call
        self._ssl = ssl
        self._closed = False
        self._owner = transport is None and app is None
        if transport is not None:
            self.transport = transport
        elif app is not None:
            self.transport = _shared_transport(app)
        else:
            self.transport = default_transport()
        registry = getattr(app, "metrics", None)
        self._metrics = CallMetrics(registry, name) if isinstance(registry, Registry) else None
        if app is not None:
            app.add(self)

    def __repr__(self) -> str:
        return f"<Client {self.service}{' closed' if self._closed else ''}>"

    @property
    def timeout(self) -> Timeout:
        """The limits of calls that bring none of their own."""
        if self._timeout is None:
            # Not before the first call: the settings may not have been loaded before.
            settings = None if self._app is None else self._app.settings
            self._timeout = timeout_from_settings(settings)
        return self._timeout

    def cli(self, request: RequestContext | None = None) -> Cli:
        """The same methods, bound to a request: its id travels along as ``X-Request-ID``.

        Args:
            request: The request that is being served. None: the one that the task serves.
        """
        return Cli(self, request)

    def request(self, method: str, path: str, **options: Unpack[CallOptions]) -> Call:
        return Call(self._send(None, method, path, **options))

    async def start(self) -> None:
        """Be ready for calls.

        Raises:
            ConfigError: the settings do not say where the service is.
        """
        self._discovery.endpoint(self.service)
        self._closed = False

    async def stop(self) -> None:
        """Close the client."""
        await self.close()

    async def check(self) -> Health:
        """Up while the client can be used. It does not call the service: when that is down, this
        one is still able to answer whatever does not need it."""
        if self._closed:
            return Health("down", "closed")
        try:
            self._discovery.endpoint(self.service)
        except ConfigError as exc:
            return Health("down", str(exc))
        return Health("up")

    def close(self) -> Awaitable[None]:
        """Take no more calls, and close the connections unless the application shares them.

        It works with and without ``await``: closing begins at once, and awaiting the result waits
        for its end. Calling it again does nothing.
        """
        self._closed = True
        return self.transport.close() if self._owner else Closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _send(
        self,
        request: RequestContext | None,
        method: str,
        path: str,
        *,
        params: Any = None,
        json: Any = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | Timeout | None = None,
        allow_redirects: bool = False,
        max_size: int | None = None,
    ) -> Response:
        if self._closed:
            raise LifecycleError(f"the client of {self.service} is closed")
        endpoint = self._discovery.endpoint(self.service)
        url = join(endpoint, path)
        merged = self._headers.copy()
        if endpoint.authorization is not None:
            merged.setdefault("Authorization", endpoint.authorization)
        if headers:
            merged.update(headers)
        if "X-Request-ID" not in merged:
            request_id = _request_id(request)
            if request_id:
                merged["X-Request-ID"] = request_id
        if json is not None:
            if data is not None:
                raise TypeError("give json= or data=, not both")
            data = msgspec.json.encode(json, enc_hook=to_plain)
            merged.setdefault("Content-Type", "application/json")
        outgoing = ServiceRequest(
            service=self.service,
            method=method.upper(),
            path=path.partition("?")[0],
            endpoint=endpoint,
            url=url,
            params=params,
            headers=merged,
            body=data,
            timeout=self.timeout if timeout is None else timeout_of(timeout),
            allow_redirects=allow_redirects,
            ssl=self._ssl,
        )
        limit = self.max_size if max_size is None else _max_size(max_size)
        if (deadline := current_deadline()) is not None:
            set_deadline(outgoing, deadline)
        work = watched(self.transport, outgoing)
        if self._metrics is not None:
            work = self._metrics.timed(outgoing.method, work)
        return Response(await work, outgoing, limit)


class Cli(Verbs):
    """A `Client` that acts for one request. Made by `Client.cli`."""

    __slots__ = ("_client", "_request")

    def __init__(self, client: Client, request: RequestContext | None) -> None:
        self._client = client
        self._request = request

    def request(self, method: str, path: str, **options: Unpack[CallOptions]) -> Call:
        return Call(self._client._send(self._request, method, path, **options))


class _Fixed(Discovery):
    """One endpoint, whatever the name."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def endpoint(self, service: str) -> Endpoint:
        return self._endpoint


_transports: WeakKeyDictionary[ClientApp, Transport] = WeakKeyDictionary()
"""The transport that the clients of an application share; gone with the application."""


def default_transport(choice: Callable[[], str] = lambda: "auto") -> DirectTransport:
    """A transport as every client has it that is given none.

    Args:
        choice: Gives the setting ``CLIENT_TRANSPORT``.
    """
    return DirectTransport(choice=choice)


def _shared_transport(app: ClientApp) -> Transport:
    transport = _transports.get(app)
    if transport is None:
        here = ref(app)  # what is shared must not keep the application alive

        def choice() -> str:
            settings = getattr(here(), "settings", None)
            chosen: str = getattr(settings, "client_transport", "auto")
            return chosen

        transport = default_transport(choice)
        # It is added before the first client, and so it is stopped after the last.
        app.add(transport)
        _transports[app] = transport
    return transport


def _request_id(request: RequestContext | None) -> str:
    if request is None:
        request = current_request.get()
        if request is None:
            return ""
    text = str(request.id or "")
    # The id may be a stranger's: one that no header can hold is not worth a failed call.
    return text if text.isascii() and text.isprintable() and len(text) <= 200 else ""


def _max_size(value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"max_size={value!r}: give a number of bytes above 0")
    return value
