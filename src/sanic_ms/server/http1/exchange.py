"""One request and its answer, as Sanic's own interfaces see them.

This is what ``request.stream`` and ``response.stream`` are: `app.handle_request`, streaming
handlers, ``request.respond`` and ``response.send`` work on it as they do on Sanic's `Http`.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

from sanic.exceptions import (
    PayloadTooLarge,
    RequestCancelled,
    SanicException,
    ServerError,
    ServiceUnavailable,
)
from sanic.http.constants import Stage
from sanic.http.stream import Stream
from sanic.log import logger

from sanic_ms.server.http1.access_log import log_answer
from sanic_ms.server.http1.body import BodyReader
from sanic_ms.server.http1.response import BODILESS, encode_headers
from sanic_ms.server.http1.routes import is_logged
from sanic_ms.values.handlers import as_failure

if TYPE_CHECKING:
    from sanic.request import Request
    from sanic.response import BaseHTTPResponse

    from sanic_ms.server.http1.receiver import Receiver

__all__ = ["Exchange"]

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_Sender = Callable[[bytes, bool], Awaitable[None]]


class Exchange(Stream):
    """The stream of one request.

    Args:
        protocol: The connection.
        request: The request; its ``stream`` is set to this.
        body: The body that is being received; None where there is none.
        keep_alive: Whether the client lets the connection serve another request.
        http10: Whether the client speaks HTTP/1.0: no chunks, no 100.
        expects: Whether the client waits for ``100 Continue``.
        websocket: Whether it wants to open a web socket.
        has_timeout: Whether a header may say how long the client waits for the response.

    Attributes:
        stage: ``HANDLER`` until the answer's head is sent, ``RESPONSE`` until its end, then
            ``IDLE``; ``FAILED`` after a second answer was begun.
        refused: Whether the request could not be understood, so that what follows cannot be either.
        waited: Seconds that were spent waiting for the body so far.
        trailers: The headers that came after a chunked request body; None until it was read.
        sends_default_headers: True: nobody above has to add ``RESPONSE_HEADERS``.
        ends_by_closing: Whether the response ends where the connection does (HTTP/1.0).
    """

    sends_default_headers = True

    __slots__ = (
        "_body",
        "_clean",
        "_http10",
        "_left",
        "_length",
        "_response_trailers",
        "_sender",
        "connection",
        "ends_by_closing",
        "exception",
        "expecting_continue",
        "has_timeout",
        "head_only",
        "keep_alive",
        "perft0",
        "protocol",
        "refused",
        "request",
        "request_body",
        "response",
        "stage",
        "upgrade_websocket",
        "url",
        "waited",
    )

    def __init__(
        self,
        protocol: Receiver,
        request: Request,
        body: BodyReader | None = None,
        *,
        keep_alive: bool = True,
        http10: bool = False,
        expects: bool = False,
        websocket: bool = False,
        has_timeout: bool = False,
    ) -> None:
        self.protocol = protocol  # type: ignore[assignment]  # the name that Sanic knows it by
        self.connection = protocol
        self.request = request
        self.stage = Stage.HANDLER
        self.keep_alive = keep_alive
        self.response: BaseHTTPResponse | None = None
        self.exception: BaseException | None = None
        self.url = request.raw_url.decode("ascii", "backslashreplace")
        self.request_max_size: float = protocol.wire.limits.request_max_size
        self.request_body = b"1" if body is not None else None  # true while there is more of it
        self.expecting_continue = expects
        self.head_only = request.method == "HEAD"
        self.upgrade_websocket = websocket
        self.has_timeout = has_timeout
        self.refused = False
        self.ends_by_closing = False
        self.perft0 = perf_counter()
        self.waited = 0.0
        self._body = body
        self._http10 = http10
        self._sender: _Sender | None = self._send_head
        self._left = 0
        self._length: int | str = 0
        self._response_trailers: bytes = b""
        self._clean = True

    def __bool__(self) -> bool:
        """Whether the request is being handled; Sanic connects no response to it otherwise."""
        return self.stage in (Stage.HANDLER, Stage.RESPONSE) or self._is_upgraded

    @property
    def _is_upgraded(self) -> bool:
        return self.connection.websocket is not None

    # --- the request's body ----------------------------------------------------------------------

    @property
    def trailers(self) -> Mapping[str, str] | None:
        """The trailers of a chunked request body that was read to its end, else None."""
        return self._body.trailers if self._body is not None else None

    @property
    def body(self) -> BodyReader | None:
        """The body that is being received, None where the request has none."""
        return self._body

    @property
    def unread(self) -> bool:
        """Whether bytes of the request's body are still to be read, or can no longer be framed."""
        return not self._clean or (self._body is not None and not self._body.done)

    @property
    def started(self) -> bool:
        """Whether anything of an answer was sent."""
        return self.stage is not Stage.HANDLER

    @property
    def finished(self) -> bool:
        """Whether the answer was sent to its end."""
        return self.stage is Stage.IDLE

    @property
    def broken(self) -> bool:
        """Whether the response was begun, and its end was not sent."""
        return self.started and not self.finished

    async def discard(self, limit: int) -> bool:
        """Read what is left of the body and throw it away.

        Args:
            limit: The most bytes to throw away.

        Returns:
            Whether the body's end was reached, so that the connection can be used on.
        """
        if self.unread and self._clean and self._body is not None:
            self.request_max_size = min(self.request_max_size, self._body.received + limit)
            try:
                async for _ in self:
                    pass
            except SanicException:
                return False
        return not self.unread

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The body in the pieces in which it comes."""
        while self.request_body:
            data = await self.read()
            if data:
                yield data

    async def read(self) -> bytes | None:
        """The next piece of the body; None after its end.

        Raises:
            BadRequest: it is malformed.
            PayloadTooLarge: it is larger than ``request_max_size``.
            RequestTimeout: it did not come in time.
        """
        body = self._body
        if body is None or not self.request_body:
            return None
        try:
            self._check_size(body)
            while not body.done:
                data = body.take(self.connection.input)
                self._check_size(body)
                if data:
                    if self.connection.wire.heard:
                        await self.connection.dispatch("http.lifecycle.read_body", body=data)
                    return data
                if not body.done:
                    if self.expecting_continue:
                        self.expecting_continue = False
                        await self.connection.send(_CONTINUE)
                    await self.connection.receive_more()
        except BaseException:
            self._clean = self.keep_alive = False
            self.request_body = None
            raise
        self.request_body = None
        return None

    def _check_size(self, body: BodyReader) -> None:
        if body.announced > self.request_max_size:
            raise PayloadTooLarge("Request body exceeds the size limit")

    # --- the answer ------------------------------------------------------------------------------

    def respond(self, response: BaseHTTPResponse) -> BaseHTTPResponse:
        """Make this the response to be sent; nothing is sent before its first ``send``.

        Raises:
            RuntimeError: the head of another was sent already.
        """
        if self.stage is not Stage.HANDLER and not self._is_upgraded:
            self.stage = Stage.FAILED
            raise RuntimeError("Response already started")
        if self.response is not None:
            self.response.stream = None
        self.response, response.stream = response, self  # type: ignore[assignment]
        return response

    @property
    def send(self) -> _Sender | None:
        """Sends the next piece of the answer: ``await send(data, end_stream)``; None at its end."""
        return self._sender

    def add_trailers(self, trailers: Mapping[str, str]) -> None:
        """Send these headers after the body, which must be streamed in chunks (not HTTP/1.0).

        Call it before the answer ends; a second call replaces the first one's.

        Raises:
            UnsafeResponse: a name or value that cannot be sent.
        """
        self._response_trailers = encode_headers(trailers.items())

    async def _send_head(self, data: bytes, end_stream: bool) -> None:
        response = self.response
        assert response is not None
        body = getattr(response, "body", None)
        if not data and body:
            data, end_stream = body, True
        status, headers = response.status, response.headers
        if "close" in str(headers.get("connection", "")).lower():
            self.keep_alive = False
        heads = self.connection.wire.heads_for(self.request)
        lines = [heads.head(status, response.content_type, headers)]
        sender: _Sender | None
        if status in BODILESS:
            if data or not end_stream:
                logger.warning(
                    f"Message body set in response on {self.request.path}. "
                    f"A {status} response may only have headers, no body."
                )
            data, sender, end_stream = b"", None, True
        elif self.head_only:
            if "content-length" in headers:
                lines.append(b"content-length: %d\r\n" % self._told_length(headers))
            elif end_stream:
                lines.append(b"content-length: %d\r\n" % len(data))
            elif not self._http10:
                lines.append(b"transfer-encoding: chunked\r\n")
            data, sender = b"", None if end_stream else self._send_nothing
        elif end_stream:
            lines.append(b"content-length: %d\r\n" % len(data))
            self._length, sender = len(data), None
        elif "content-length" in headers:
            self._length = self._left = self._told_length(headers)
            lines.append(b"content-length: %d\r\n" % self._length)
            self._left -= len(data)
            if self._left < 0:
                raise ServerError("Response was bigger than content-length")
            sender = self._send_counted if self._left else None
            end_stream = not self._left
        elif self._http10:
            self.keep_alive = False
            self.ends_by_closing = True
            self._length, sender = "until close", self._send_raw
        else:
            lines.append(b"transfer-encoding: chunked\r\n")
            data = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
            self._length, sender = "chunked", self._send_chunk
        if not self.connection.may_keep_alive(self):
            self.keep_alive = False
        lines.append(
            b"connection: keep-alive\r\n\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        )
        self.expecting_continue = False  # a final answer says all that 100 would
        self._sender = sender
        self.stage = Stage.IDLE if end_stream else Stage.RESPONSE
        if self.connection.wire.access_log and is_logged(self.request.route):
            log_answer(self.connection, self.request, status, self._length, self.perft0)
        await self.connection.send(b"".join((*lines, data)))

    @staticmethod
    def _told_length(headers: Mapping[str, Any]) -> int:
        text = str(headers["content-length"])
        if not (text.isascii() and text.isdigit()):
            raise ServerError(f"Invalid content-length {text!r} in a response")
        return int(text)

    async def _send_chunk(self, data: bytes, end_stream: bool) -> None:
        chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        if end_stream:
            self._sender = None
            self.stage = Stage.IDLE
            chunk += b"0\r\n" + self._response_trailers + b"\r\n"
        if chunk:
            await self.connection.send(chunk)

    async def _send_counted(self, data: bytes, end_stream: bool) -> None:
        left = self._left - len(data)
        if left < 0:
            raise ServerError("Response was bigger than content-length")
        if left and end_stream:
            raise ServerError("Response was smaller than content-length")
        self._left = left
        if not left:
            self._sender = None
            self.stage = Stage.IDLE
        await self.connection.send(data)

    async def _send_raw(self, data: bytes, end_stream: bool) -> None:
        if end_stream:
            self._sender = None
            self.stage = Stage.IDLE
        if data:
            await self.connection.send(data)

    async def _send_nothing(self, data: bytes, end_stream: bool) -> None:
        if end_stream:
            self._sender = None
            self.stage = Stage.IDLE

    # --- the whole -------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Let the application handle the request, and see the answer sent to its end."""
        try:
            await self.connection.app.handle_request(self.request)
            self.finish()
        except Exception as exc:
            await self.fail(exc)

    def upgraded(self) -> None:
        """The connection speaks another protocol from now on: no response can be sent any more. One
        that a handler returns after the handshake, which it did itself, is dropped."""
        self.stage = Stage.IDLE
        self._sender = None

    def finish(self) -> None:
        """See that there is a response, after all was done for it.

        The application ends what it has begun, unless it failed, and `Sanic.handle_request` does
        not say that it has. So a response without its end stays without: with one, the client would
        take half of it for all.

        Raises:
            ServerError: there is none.
        """
        if self.stage is Stage.HANDLER and not self.upgrade_websocket:
            raise ServerError("Handler produced no response")
        if self.broken:
            self.keep_alive = False

    async def fail(self, exc: BaseException, *, middleware: bool = True) -> None:
        """Answer with an error through the application's error handler.

        Where a part of an answer was sent already the connection can only be closed. A client that
        leaves a stream is no error: that is how most of them end.

        Args:
            exc: What happened.
            middleware: Whether the application's request middleware may answer in its place.
        """
        if self.stage is not Stage.HANDLER:
            self.keep_alive = False
            if self.connection.is_gone and isinstance(exc, CancelledError):
                logger.debug(f"The client left before the end of the response: {self.url}")
                return
        app = self.connection.app
        middleware = middleware and not isinstance(exc, ServiceUnavailable | RequestCancelled)
        try:
            await app.handle_exception(self.request, exc, middleware)
        except RequestCancelled:
            raise
        except CancelledError:
            raise
        except BaseException as again:
            if self.stage is not Stage.HANDLER or isinstance(again, GeneratorExit):
                raise
            await app.handle_exception(self.request, as_failure(again), False)
