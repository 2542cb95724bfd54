"""Framing of request bodies, without I/O: bytes in, data and the end out.

Both kinds (`sanic_ms.server.http1.chunked` is the other one) take from the front of a buffer what
belongs to the body, and nothing beyond its end, where the next request begins. llhttp sees the same
bytes and must agree (`framer`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from sanic.compat import Header
from sanic.exceptions import BadRequest

from sanic_ms.server.http1.framer import Framer

__all__ = ["BodyReader", "LengthBody"]


class BodyReader(ABC):
    """A body that is being received.

    Attributes:
        done: Whether its last byte was taken.
        announced: How many bytes of data are known to come, those taken included.
        received: How many bytes of data were taken.
        trailers: The headers after a chunked body; None before its end, and where there were none.
    """

    __slots__ = ("announced", "done", "received", "trailers")

    def __init__(self, announced: int) -> None:
        self.done = False
        self.announced = announced
        self.received = 0
        self.trailers: Header | None = None

    @abstractmethod
    def take(self, buffer: bytearray) -> bytes:
        """Take what belongs to the body from the front of ``buffer``; b"" where there is none yet.

        Raises:
            BadRequest, HeadersTooLarge: the body is malformed; the connection cannot be used on.
        """

    @property
    def left(self) -> int | None:
        """How many bytes are still to come, None where that is not known."""
        return None


class LengthBody(BodyReader):
    """A body whose length the head told.

    Args:
        length: The Content-Length.
        framer: llhttp, standing behind the head. None where llhttp takes no body (an upgrade).
    """

    __slots__ = ("_framer",)

    def __init__(self, length: int, framer: Framer | None) -> None:
        super().__init__(length)
        self._framer = framer

    @property
    def left(self) -> int:
        return self.announced - self.received

    def take(self, buffer: bytearray) -> bytes:
        with memoryview(buffer) as view:  # a slice of a bytearray would be one copy more
            data = bytes(view[: self.announced - self.received])
        if not data:
            return data
        del buffer[: len(data)]
        self.received += len(data)
        self.done = self.received == self.announced
        if self._framer is not None:
            self._framer.feed(data)
            if self._framer.complete is not self.done:
                raise BadRequest("Bad Request: Content-Length and body disagree")
        return data
