"""The wire: a fast and strict HTTP/1.1 protocol for Sanic.

``app.run(protocol=HttpProtocol)`` serves any Sanic application with it.
"""

from __future__ import annotations

from sanic_ms.server.limits import Limits
from sanic_ms.server.protocol import HttpProtocol
from sanic_ms.server.serving import Server, StopTimes
from sanic_ms.server.sockets import Place
from sanic_ms.server.wire import drain

__all__ = ["HttpProtocol", "Limits", "Place", "Server", "StopTimes", "drain"]
