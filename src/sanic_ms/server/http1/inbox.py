"""The messages of a web socket that came and were not read yet, without I/O."""

from __future__ import annotations

import codecs
from collections import deque
from typing import NamedTuple

from websockets.frames import Frame, Opcode
from websockets.typing import Data

__all__ = ["Fragment", "Inbox"]

_decoder = codecs.getincrementaldecoder("utf-8")


class Fragment(NamedTuple):
    """The part of a message that one frame holds.

    Attributes:
        data: Text or bytes.
        is_last: Whether the message ends with it.
        size: Its length in the frame.
    """

    data: Data
    is_last: bool
    size: int


class Inbox:
    """Frames go in, messages come out, in their order.

    Attributes:
        messages: How many whole messages there are.
        size: How many bytes there are.
    """

    __slots__ = ("_decoder", "_fragments", "messages", "size")

    def __init__(self) -> None:
        self._fragments: deque[Fragment] = deque()
        self._decoder: codecs.IncrementalDecoder | None = None
        self.messages = 0
        self.size = 0

    def __len__(self) -> int:
        """How many frames there are."""
        return len(self._fragments)

    def put(self, frame: Frame) -> None:
        """Add a frame of text, bytes, or the continuation of either.

        Raises:
            UnicodeDecodeError: the text is no UTF-8 (RFC 6455, 8.1); nothing of it was added.
        """
        if frame.opcode is Opcode.TEXT:
            self._decoder = _decoder(errors="strict")
        elif frame.opcode is Opcode.BINARY:
            self._decoder = None
        raw = bytes(frame.data)
        data: Data = raw if self._decoder is None else self._decoder.decode(raw, frame.fin)
        self._fragments.append(Fragment(data, frame.fin, len(raw)))
        self.messages += frame.fin
        self.size += len(raw)

    def take(self) -> Data:
        """The first message. (`messages` says whether there is one.)"""
        fragments = [self.take_fragment()]
        while not fragments[-1].is_last:
            fragments.append(self.take_fragment())
        if isinstance(fragments[0].data, str):
            return "".join(data for data, *_ in fragments if isinstance(data, str))
        return b"".join(data for data, *_ in fragments if isinstance(data, bytes))

    def take_fragment(self) -> Fragment:
        """The first frame. (`len` says whether there is one.)"""
        fragment = self._fragments.popleft()
        self.messages -= fragment.is_last
        self.size -= fragment.size
        return fragment
