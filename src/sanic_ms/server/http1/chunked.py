"""Chunked decoding of request bodies (RFC 9112, 7.1), without I/O."""

from __future__ import annotations

import re
from typing import Final

from sanic.compat import Header
from sanic.exceptions import BadRequest

from sanic_ms.server.http1.body import BodyReader
from sanic_ms.server.http1.errors import HeadersTooLarge
from sanic_ms.server.http1.framer import Framer
from sanic_ms.values.token import TOKEN

__all__ = ["ChunkedBody"]

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})((?:;[\t -~\x80-\xff]*)?)")
_TRAILER = re.compile(rb"(%b):([\t -~\x80-\xff]*)" % TOKEN.encode())
_MAX_SIZE_LINE: Final = 1024
_MAX_EXTENSIONS: Final = 4096  # of one body, all chunks together

# RFC 9110, 6.5.1: what frames, routes, authenticates or describes the message cannot come late.
_NOT_IN_TRAILERS: Final = re.compile(
    "authorization|cache-control|connection|content-(?:encoding|length|range|type)|cookie|expect|"
    "forwarded|host|if-.*|keep-alive|max-forwards|pragma|proxy-.*|range|set-cookie|te|trailer|"
    "transfer-encoding|upgrade|x-forwarded-.*|x-real-ip"
)


class ChunkedBody(BodyReader):
    """A chunked body.

    Args:
        framer: llhttp, standing behind the head.
        max_trailers: The largest size of all trailers together, in bytes.
        max_trailer_lines: The largest number of trailers.
    """

    __slots__ = ("_extensions", "_framer", "_left", "_max_lines", "_max_trailers", "_state")

    def __init__(self, framer: Framer, *, max_trailers: int, max_trailer_lines: int) -> None:
        super().__init__(0)
        self._framer = framer
        self._state = self._size
        self._left = 0
        self._extensions = 0
        self._max_trailers = max_trailers
        self._max_lines = max_trailer_lines

    def take(self, buffer: bytearray) -> bytes:
        parts: list[bytes] = []
        at = 0
        while not self.done:
            ahead = self._state(buffer, at, parts)
            if ahead < 0:
                break
            at = ahead
        if at:
            with memoryview(buffer) as view:
                self._framer.feed(view[:at])
            del buffer[:at]
            if self._framer.complete is not self.done:
                raise BadRequest("Bad chunked encoding")
        return b"".join(parts)

    # Each state takes the buffer, where to read, and the list to put data on; it returns where the
    # next state reads on, or -1 where it needs more bytes.

    def _size(self, buffer: bytearray, at: int, parts: list[bytes]) -> int:
        line, ahead = _line(buffer, at, _MAX_SIZE_LINE)
        if line is None:
            raise BadRequest("Bad chunked encoding: chunk size line too long")
        if ahead < 0:
            return ahead
        match = _SIZE.fullmatch(line)
        if match is None:
            raise BadRequest("Bad chunked encoding: malformed chunk size")
        self._extensions += len(match.group(2))
        if self._extensions > _MAX_EXTENSIONS:
            raise BadRequest("Bad chunked encoding: chunk extensions too long")
        self._left = int(match.group(1), 16)
        self.announced += self._left
        self._state = self._data if self._left else self._trailer
        return ahead

    def _data(self, buffer: bytearray, at: int, parts: list[bytes]) -> int:
        data = bytes(buffer[at : at + self._left])
        if not data:
            return -1
        parts.append(data)
        self.received += len(data)
        self._left -= len(data)
        if not self._left:
            self._state = self._data_end
        return at + len(data)

    def _data_end(self, buffer: bytearray, at: int, parts: list[bytes]) -> int:
        end = buffer[at : at + 2]
        if not b"\r\n".startswith(end):
            raise BadRequest("Bad chunked encoding: no CRLF after a chunk")
        if len(end) < 2:
            return -1
        self._state = self._size
        return at + 2

    def _trailer(self, buffer: bytearray, at: int, parts: list[bytes]) -> int:
        line, ahead = _line(buffer, at, self._max_trailers)
        if line is None:
            raise HeadersTooLarge("Request trailers exceed the size limit")
        if ahead < 0:
            return ahead
        if not line:
            self.done = True
            return ahead
        match = _TRAILER.fullmatch(line)
        if match is None:
            raise BadRequest("Bad chunked encoding: malformed trailer")
        name = match.group(1).decode().lower()
        if _NOT_IN_TRAILERS.fullmatch(name):
            raise BadRequest(f"Bad chunked encoding: {name} cannot be a trailer")
        self._max_trailers -= len(line) + 2
        self._max_lines -= 1
        if self._max_trailers < 0 or self._max_lines < 0:
            raise HeadersTooLarge("Request trailers exceed the size limit")
        if self.trailers is None:
            self.trailers = Header()
        self.trailers.add(name, match.group(2).decode(errors="surrogateescape").strip(" \t"))
        return ahead


def _line(buffer: bytearray, at: int, limit: int) -> tuple[bytes | None, int]:
    """The line that begins at ``at`` and where the next begins; -1 where its end has not come, and
    None for a line that is too long."""
    end = buffer.find(b"\r\n", at, at + limit + 2)
    if end >= 0:
        return bytes(buffer[at:end]), end + 2
    if buffer.find(b"\n", at, at + limit + 2) >= 0:
        raise BadRequest("Bad chunked encoding: an end of line that is not CRLF")
    if len(buffer) - at > limit + 1:
        return None, -1
    return b"", -1
