"""Calls to other services: one pool per application, typed errors, limits by default."""

from sanic_ms.client.base import (
    Closed,
    Discovery,
    Endpoint,
    ServiceRequest,
    ServiceResponse,
    Transport,
)
from sanic_ms.client.call import Call, CallOptions
from sanic_ms.client.client import Cli, Client, ClientApp
from sanic_ms.client.discovery import StaticDiscovery
from sanic_ms.client.response import Response
from sanic_ms.client.timeouts import Timeout
from sanic_ms.client.transport.aiohttp import AiohttpTransport
from sanic_ms.client.transport.direct import DirectTransport

__all__ = [
    "AiohttpTransport",
    "Call",
    "CallOptions",
    "Cli",
    "Client",
    "ClientApp",
    "Closed",
    "DirectTransport",
    "Discovery",
    "Endpoint",
    "Response",
    "ServiceRequest",
    "ServiceResponse",
    "StaticDiscovery",
    "Timeout",
    "Transport",
]
