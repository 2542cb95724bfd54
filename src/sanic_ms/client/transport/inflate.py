"""Decompression of answers in pieces of a bounded size. No input or output here."""

from __future__ import annotations

import zlib
from typing import Final

__all__ = ["Inflate"]

_PIECE: Final = 262_144
"""Bytes that come out at once at most, however well the rest is compressed."""


class Inflate:
    """The content codings gzip and deflate (RFC 9110, 8.4.1).

    ``deflate`` is zlib's format; the raw one that some servers send under that name is told by its
    first byte. A gzip file may have several members (RFC 1952, 2.2).

    Args:
        coding: ``gzip`` or ``deflate``.
    """

    __slots__ = ("_gzip", "_input", "_inside", "_more", "_padded", "_stream")

    def __init__(self, coding: str) -> None:
        self._gzip = coding != "deflate"
        self._stream = zlib.decompressobj(wbits=31) if self._gzip else None
        self._input = b""
        self._inside = False
        self._padded = False  # zeros may follow: a member has ended
        self._more = False  # a full piece came out: zlib may hold more, with no input left

    def feed(self, data: bytes) -> None:
        """Take the next compressed bytes, once `take` has given ``b""``."""
        self._input += data

    def take(self) -> bytes:
        """The next piece; ``b""``: nothing until more is fed.

        Raises:
            zlib.error: the bytes are not of the coding.
        """
        while self._input or self._more:
            if self._padded and not self._inside:
                self._input = self._input.lstrip(b"\0")  # as gzip itself: padding is no member
                if not self._input:
                    break
            stream = self._stream
            if stream is None:
                wbits = zlib.MAX_WBITS if self._input[0] & 15 == 8 else -zlib.MAX_WBITS
                stream = self._stream = zlib.decompressobj(wbits=wbits)
            self._inside = True
            piece = stream.decompress(self._input, _PIECE)
            self._more = len(piece) == _PIECE and not stream.eof
            if stream.eof:
                self._inside = False
                self._input = stream.unused_data
                if self._gzip:
                    self._stream = zlib.decompressobj(wbits=31)
                    self._padded = True
                elif self._input:
                    raise zlib.error("bytes after the end of the stream")
            else:
                self._input = stream.unconsumed_tail
            if piece:
                return piece
        return b""

    def end(self) -> None:
        """There is no more input.

        Raises:
            zlib.error: the stream is not at its end.
        """
        if self._inside:
            raise zlib.error("the stream ends too early")
