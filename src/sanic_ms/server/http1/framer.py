"""The second opinion on every message: llhttp in its strict mode.

`head` and `body` find where a message ends and apply our own rules; llhttp is then given exactly
those bytes, and must reach the end of a message at the same byte. Where the two disagree, the
message is refused and the connection closed. A hidden second request would need one fault that
both parsers share.
"""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from sanic.exceptions import BadRequest

__all__ = ["Framer"]

_CHUNKED_HEAD = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"


class Framer:
    """A strict llhttp parser that stands at the start of a message, or inside one.

    Attributes:
        complete: Whether the bytes fed so far end a message.
        reusable: Whether, after that, llhttp takes another. It does not where it saw a close, and
            it looks for one in more places than HTTP says (``Proxy-Connection``).
    """

    __slots__ = ("_parser", "complete", "reusable")

    def __init__(self) -> None:
        self.complete = False
        self.reusable = False
        self._parser = HttpRequestParser(self)

    def on_message_complete(self) -> None:
        """llhttp's callback; it has no other, so that it copies nothing."""
        self.complete = True
        self.reusable = self._parser.should_keep_alive()

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Give llhttp the next bytes of a message, never more than to its end.

        Raises:
            BadRequest: llhttp refuses them, or sees the message end before they do.
        """
        if self.complete:
            raise BadRequest("Bad Request: bytes after the end of the message")
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:  # not seen by our own rules: the two disagree
            raise BadRequest("Bad Request: malformed upgrade") from None
        except HttpParserError as exc:
            raise BadRequest(f"Bad Request: {exc}") from None

    def feed_upgrade(self, head: bytes) -> None:
        """Give llhttp the whole head of a request that asks for another protocol.

        llhttp stops at the end of such a head and takes no body, whatever the head says of one;
        the body must then be framed by another `Framer` (see `for_chunked`). This one is spent.

        Raises:
            BadRequest: llhttp refuses the head, or stops elsewhere than at its end.
        """
        try:
            self._parser.feed_data(head)
        except HttpParserUpgrade as exc:
            if exc.args[0] != len(head):
                raise BadRequest("Bad Request: bytes after the end of the head") from None
        except HttpParserError as exc:
            raise BadRequest(f"Bad Request: {exc}") from None

    @classmethod
    def for_chunked(cls) -> Framer:
        """One that stands where a chunked body begins."""
        framer = cls()
        framer.feed(_CHUNKED_HEAD)
        return framer
