"""Web sockets: the handshake and the end, with Sanic's own implementation in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sanic.exceptions import SanicException
from sanic.log import access_logger, websockets_logger
from sanic.request import Request
from sanic.server.websockets.impl import WebsocketImplProtocol
from websockets.datastructures import Headers
from websockets.http11 import Request as HandshakeRequest
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from sanic_ms.server.http1.response import encode_headers

if TYPE_CHECKING:
    from sanic_ms.server.http1.protocol import HttpProtocol

__all__ = ["WebSocket", "handshake", "log_websocket"]


class WebSocket(WebsocketImplProtocol):
    """Sanic's web socket, which says "going away" (1001) when it is the server that stops."""

    def end_connection(self, code: int = 1000, reason: str = "") -> Any:
        return super().end_connection(self._code(code), reason)  # type: ignore[no-untyped-call]

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await super().close(self._code(code), reason)

    def _code(self, code: int) -> int:
        connection: Any = self.io_proto
        return 1001 if code == 1000 and connection is not None and connection.stopping else code

    def going_away(self) -> bool:
        """Close because the server stops; whether the connection is closing already."""
        if self.ws_proto.state in (State.CLOSING, State.CLOSED):
            return True
        if self.loop is not None:
            self.loop.create_task(self.close(1001))
        else:
            self.end_connection(1001)
        return False


async def handshake(
    connection: HttpProtocol, request: Request, subprotocols: Sequence[str] | None
) -> WebSocket:
    """Answer a web socket handshake with 101.

    Compression is not offered, so a small message cannot grow into a large one.

    Raises:
        SanicException: with the status that the `websockets` library refuses the handshake with.
    """
    ours = list(subprotocols or ())

    def choose(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        # The library's own choice refuses a client that offers none; RFC 6455, 4.2.2 does not.
        return next((Subprotocol(name) for name in ours if name in offered), None)

    protocol = ServerProtocol(
        max_size=connection.websocket_max_size,
        select_subprotocol=choose,
        state=State.OPEN,
        logger=websockets_logger,
    )
    response = protocol.accept(
        HandshakeRequest(path=request.path, headers=Headers(request.headers.items()))
    )
    if response.status_code != 101:
        body = response.body or b"Failed to open a WebSocket connection."
        raise SanicException(
            bytes(body).decode(errors="replace").strip(),
            status_code=response.status_code,
            quiet=True,
            headers={
                name: value
                for name, value in response.headers.raw_items()
                if name.lower() in ("upgrade", "sec-websocket-version")
            },
        )
    head = b"HTTP/1.1 101 Switching Protocols\r\n"
    await connection.send(head + encode_headers(response.headers.raw_items()) + b"\r\n")
    websocket = WebSocket(
        protocol,
        ping_interval=connection.websocket_ping_interval,
        ping_timeout=connection.websocket_ping_timeout,
        close_timeout=connection.websocket_timeout,
    )
    await websocket.connection_made(connection, loop=connection.loop)
    return websocket


def log_websocket(connection: HttpProtocol, message: str) -> None:
    """Log the opening or the end of a web socket in the access log."""
    websocket = connection.websocket
    if not connection.access_log or websocket is None:
        return
    protocol = websocket.ws_proto
    status, reason = "", ""
    if protocol.state is State.CLOSED:
        frame = protocol.close_rcvd or protocol.close_sent
        status = str(frame.code if frame is not None else 1006)
        # repr() so that control characters in what the client sent stay out of the log
        reason = repr(frame.reason[:256]) if frame is not None and frame.reason else ""
        side = "client" if protocol.close_rcvd is not None else "server"
        reason = f"{reason} from {side}" if reason else ""
        if status == "1006":
            message = "CLOSE_ABN"
    info = connection.conn_info
    access_logger.info(
        message,
        extra={
            "status": status,
            "byte": reason,
            "host": f"{info.client_ip}:{info.client_port}"
            if info.client_ip
            else f"{id(connection):X}"[-5:-1] + "unx",
            "request": f" \N{ELECTRIC PLUG} {connection.websocket_url}",
            "duration": "",
        },
    )
