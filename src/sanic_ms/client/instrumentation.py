"""What is told of a call: its trace goes along, and a span is made where the trace is recorded.

The span lasts from the call to the head of its answer, whatever the transport does in between:
retries are part of it. A trace that is not recorded goes along as well, so that the services that
are called neither record it nor begin others.
"""

from __future__ import annotations

from collections.abc import Coroutine
from functools import lru_cache
from typing import Any

from yarl import URL

from sanic_ms.client.base import ServiceRequest, ServiceResponse, Transport
from sanic_ms.telemetry.tracing import (
    Scope,
    Span,
    end_child,
    headers_out,
    recording_span,
    safe_url,
    start_child,
)

__all__ = ["watched"]

_SCOPE = Scope("sanic_ms.client")


def watched(transport: Transport, request: ServiceRequest) -> Coroutine[Any, Any, ServiceResponse]:
    """Send a request, with the headers of the current trace and baggage; a caller's own win over
    them."""
    parent = recording_span()
    if parent is None:
        _hand_on(request, None)
        return transport.send(request)
    attributes: dict[str, Any] = {
        "http.request.method": request.method,
        **_server(request.endpoint.base),
        "url.full": _full_url(request),
        "peer.service": request.service,
    }
    span = start_child(parent, _SCOPE, request.method, attributes)
    _hand_on(request, span)
    return _observed(span, transport.send(request))


async def _observed(span: Span, work: Coroutine[Any, Any, ServiceResponse]) -> ServiceResponse:
    try:
        answer = await work
    except BaseException as exc:
        end_child(span, exc)
        raise
    status = answer.status
    said: dict[str, Any] = {"http.response.status_code": status}
    if status >= 400:
        said["error.type"] = str(status)
    end_child(span, attributes=said, failed=status >= 400)
    return answer


def _hand_on(request: ServiceRequest, span: Span | None) -> None:
    headers = request.headers
    own_trace = "traceparent" in headers or "b3" in headers
    own_baggage = "baggage" in headers
    for name, value in headers_out(span):
        if not (own_baggage if name == "baggage" else own_trace):
            headers[name] = value


@lru_cache(maxsize=256)
def _server(base: str) -> dict[str, Any]:
    url = URL(base)
    return {"server.address": url.host or "", "server.port": url.port or 0}


def _full_url(request: ServiceRequest) -> str:
    url = request.url
    if request.params:
        try:
            url = str(URL(url, encoded=True).extend_query(request.params))
        except (TypeError, ValueError):  # the transport will say what is wrong with them
            pass
    return safe_url(url)
