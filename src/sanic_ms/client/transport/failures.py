"""What a call that brought no answer is told as: the same words, whoever carried it.

They name the service, the method and the path; never an address, a query or a credential.
"""

from __future__ import annotations

from sanic_ms.client.base import ServiceRequest
from sanic_ms.exception import DeadlineExceeded, ServiceCallError, ServiceTimeout

__all__ = [
    "broke",
    "cannot_connect",
    "closed",
    "no_answer",
    "no_connection",
    "not_http",
    "unknown_host",
]


def no_connection(request: ServiceRequest) -> ServiceTimeout:
    """The time to connect is over, or that for a free connection."""
    service = request.service
    return ServiceTimeout(
        f"no connection to {service} within {request.timeout.to_connect or 0:g} s for {request}",
        service=service,
    )


def no_answer(request: ServiceRequest) -> ServiceTimeout | DeadlineExceeded:
    """The time for the whole call is over, or that of the request for which it is made."""
    if request.deadline is not None and request.deadline.is_nearest:
        return DeadlineExceeded(
            f"the deadline was over before {request.service} answered {request}"
        )
    return ServiceTimeout(
        f"{request.service} did not answer {request} within {request.timeout.total or 0:g} s",
        service=request.service,
    )


def cannot_connect(request: ServiceRequest) -> ServiceCallError:
    """No address of the service takes a connection."""
    return _failed(f"cannot connect to {request.service} for {request}", request)


def unknown_host(request: ServiceRequest) -> ServiceCallError:
    """The host name of the service does not resolve."""
    return _failed(f"the host name of {request.service} is not known for {request}", request)


def closed(request: ServiceRequest) -> ServiceCallError:
    """The client was closed while the call waited for a connection."""
    return _failed(f"the client was closed before {request} reached {request.service}", request)


def broke(request: ServiceRequest) -> ServiceCallError:
    """The connection ended before the answer did."""
    return _failed(f"the connection to {request.service} broke during {request}", request)


def not_http(request: ServiceRequest) -> ServiceCallError:
    """What came is no HTTP, or HTTP of which it is not certain where the answer ends."""
    return _failed(f"{request.service} answered {request} with something that is not HTTP", request)


def _failed(text: str, request: ServiceRequest) -> ServiceCallError:
    return ServiceCallError(text, service=request.service)
