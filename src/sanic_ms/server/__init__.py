"""The wire: a fast and strict HTTP/1.1 protocol for Sanic.

``app.run(protocol=HttpProtocol)`` serves any Sanic application with it.
"""

from __future__ import annotations

from sanic_ms.server.http1.limits import Limits
from sanic_ms.server.http1.protocol import HttpProtocol
from sanic_ms.server.http1.state import drain
from sanic_ms.server.process.listen_socket import ListenSocket
from sanic_ms.server.process.serving import Server, StopTimes

__all__ = ["HttpProtocol", "Limits", "ListenSocket", "Server", "StopTimes", "drain"]
