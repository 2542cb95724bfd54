"""Decompression of answers in pieces of a bounded size. No input or output here."""

from __future__ import annotations

import zlib
from typing import Any, Final

__all__ = ["Inflate", "InflateTwice", "UnknownCoding", "inflate_for"]

_PIECE: Final = 262_144
"""Bytes that come out at once at most, however well the rest is compressed."""

_MOST_BETWEEN: Final = 1_048_576
"""Bytes of the outer coding's content out of which nothing comes; a gzip file with as long a name,
or as many zeros behind it, was written to keep a reader busy."""

_DECODED: Final = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}

# The content codings that IANA has registered and that are not unpacked here. A name that is none
# of them ("utf-8", "none") says nothing about the bytes, and was always passed over.
_UNKNOWN: Final = frozenset(
    ["aes128gcm", "br", "compress", "dcb", "dcz", "exi", "pack200-gzip", "x-compress", "zstd"]
)


class UnknownCoding(Exception):
    """The body is packed in a way that was not asked for."""


def inflate_for(method: str, status: int, headers: Any) -> Inflate | InflateTwice | None:
    """What unpacks the body of an answer; None: it is not packed, or there is none.

    Args:
        method: Of the request.
        status: Of the answer.
        headers: Of the answer: a multidict whose keys match in any case.

    Raises:
        UnknownCoding: nothing here can unpack it: another coding, or more than two.
    """
    if "Content-Encoding" not in headers:
        return None
    if method == "HEAD" or status in (204, 304):
        return None
    names = ",".join(headers.getall("Content-Encoding")).lower().split(",")
    codings = []
    for name in map(str.strip, names):
        if name in _UNKNOWN:
            raise UnknownCoding(f"content coding {name}")
        if name in _DECODED:
            codings.append(_DECODED[name])
    if len(codings) > 2:
        raise UnknownCoding(f"{len(codings)} content codings, one upon the other")
    if len(codings) == 2:  # in the order in which they were applied
        return InflateTwice(Inflate(codings[1]), Inflate(codings[0]))
    return Inflate(codings[0]) if codings else None


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


class InflateTwice:
    """Two codings, one upon the other; used as `Inflate` is.

    Args:
        outer: That which was applied last.
        inner: That which was applied first.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, outer: Inflate, inner: Inflate) -> None:
        self._outer = outer
        self._inner = inner

    def feed(self, data: bytes) -> None:
        """As `Inflate.feed`."""
        self._outer.feed(data)

    def take(self) -> bytes:
        """As `Inflate.take`.

        Raises:
            zlib.error: the bytes are not of the codings, or nothing comes out of a lot of them.
        """
        between = 0
        while not (piece := self._inner.take()):
            packed = self._outer.take()
            if not packed:
                return b""
            between += len(packed)
            if between > _MOST_BETWEEN:
                raise zlib.error(f"nothing comes out of {between} bytes")
            self._inner.feed(packed)
        return piece

    def end(self) -> None:
        """As `Inflate.end`."""
        self._outer.end()
        self._inner.end()
