"""The client's contracts: what is sent, what comes back, who carries it, who knows the address.

Whatever changes how calls behave (retries, a breaker, tracing, the mocks of a test) is a
`Transport` around another one: it sees each `ServiceRequest` and each `ServiceResponse`.
"""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Generator, Mapping
from typing import Any

import msgspec
from multidict import CIMultiDict

from sanic_ms.client.timeouts import ServedDeadline, Timeout

__all__ = [
    "Closed",
    "Discovery",
    "Endpoint",
    "ServiceRequest",
    "ServiceResponse",
    "Transport",
]


class Endpoint(msgspec.Struct, frozen=True):
    """Where a service is. Made by `sanic_ms.client.endpoint.parse_base_url`.

    Attributes:
        base: ``http://host:port/base``: no credentials, no slash at the end.
        origin: ``host:port`` for messages.
        authorization: The value of ``Authorization`` for credentials that stood in the URL.
    """

    base: str
    origin: str
    authorization: str | None = None

    def __repr__(self) -> str:
        return f"Endpoint({self.base!r})"


class ServiceRequest(msgspec.Struct):
    """One call, ready to be sent.

    Attributes:
        service: The service's name, for messages.
        method: Upper-case.
        path: As the caller wrote it, without its query: for messages.
        endpoint: Where it goes.
        url: ``endpoint.base`` and the path, with the query that stood in the path.
        params: Query parameters to add: a mapping or pairs.
        headers: Complete; the transport adds only what HTTP itself needs.
        body: None, bytes, or whatever aiohttp takes as ``data``.
        timeout: The limits in time.
        allow_redirects: Whether a redirect is followed.
        ssl: The TLS settings of the client; None: the system's certificates.
        deadline: That of the request that is served, None: there is none. ``timeout`` is within it.
            A transport that makes several attempts calls
            `sanic_ms.client.deadline.set_remaining` before each.
    """

    service: str
    method: str
    path: str
    endpoint: Endpoint
    url: str
    params: Any
    headers: CIMultiDict[str]
    body: Any
    timeout: Timeout
    allow_redirects: bool = False
    ssl: ssl.SSLContext | None = None
    deadline: ServedDeadline | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path[:200]}"


class Closed:
    """What a `close` gives back that has nothing to wait for. It needs no event loop."""

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield


class ServiceResponse(ABC):
    """What a `Transport` gives back: status and headers are there, the body is on its way.

    Attributes:
        status: The HTTP status.
        headers: The headers of the answer; keys in any case.
    """

    status: int
    headers: Mapping[str, str]

    @abstractmethod
    async def receive(self) -> bytes:
        """The next piece of the body, decompressed; ``b""`` at its end.

        Raises:
            ServiceCallError: the connection broke before the end of the body.
            ServiceTimeout: the body did not arrive in time.
            DeadlineExceeded: nor before the deadline of the request that is served.
        """

    @abstractmethod
    def close(self) -> None:
        """Give the connection back; one whose body was not read to its end is thrown away.

        Calling it again does nothing.
        """


class Transport(ABC):
    """Carries requests to services."""

    @abstractmethod
    async def send(self, request: ServiceRequest) -> ServiceResponse:
        """Send one request and wait for the head of its answer, whatever its status.

        Raises:
            ServiceCallError: no usable answer came: no connection, or it broke.
            ServiceTimeout: it took longer than the request's timeout.
            DeadlineExceeded: the deadline of the request that is served was over before.
        """

    @abstractmethod
    def close(self) -> Awaitable[None]:
        """Close every connection. Closing begins at once; awaiting the result waits for its end.

        Calling it again does nothing.
        """


class Discovery(ABC):
    """Knows where services are.

    It is asked on every call and must answer from memory. One that follows a registry keeps its
    list in the background, and may give another endpoint each time.
    """

    @abstractmethod
    def endpoint(self, service: str) -> Endpoint:
        """Where to send the next call to a service.

        Raises:
            ConfigError: the service is unknown.
            ServiceCallError: the service is known and nothing of it runs.
        """
