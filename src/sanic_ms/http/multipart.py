"""The parser of ``multipart/form-data`` (RFC 7578, RFC 2046), without I/O: bytes in, parts out.

A delimiter stands at the start of a line and nowhere else, so that no value can hold one: the text
of the boundary inside a value is a part of it. What two parsers could read in two ways is refused.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from email.utils import decode_rfc2231
from urllib.parse import unquote

from sanic_ms.exception import BadRequest, PayloadTooLarge

__all__ = ["MULTIPART", "MultipartParser", "MultipartPart", "boundary_of"]

MULTIPART = "multipart/form-data"

_BOUNDARY = re.compile(r"[!-~ ]{0,69}[!-~]")  # RFC 2046, section 5.1.1: at most 70
_PADDING = re.compile(rb"[ \t]*")  # section 5.1.1: transport padding behind a delimiter
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_HEADER = re.compile(rf"({_TOKEN}):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_PARAMETER = re.compile(
    rf';[ \t]*({_TOKEN})[ \t]*=[ \t]*(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([^\s";]+))[ \t]*'
)
_USUAL = re.compile(r'form-data; name="(?P<name>[^"\\%]+)"(?:; filename="(?P<filename>[^"\\%]*)")?')
_END = re.compile(r";?[ \t]*")
_ESCAPED = re.compile(r'\\(["\\])')
_SINGLE = ("content-disposition", "content-type")
_CHARSETS = frozenset(("utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1"))


# The states of a parser; an enum's members cost a third of the time of a small form.
_START = 0  # nothing was read yet
_PREAMBLE = 1  # in the text before the first delimiter, which says nothing
_DELIMITER = 2  # behind a boundary, in its line
_HEADERS = 3
_CONTENT_START = 4
_CONTENT = 5
_LAST_DELIMITER = 6  # behind the two hyphens that end the form
_END_OF_FORM = 7
_FAILED = 8


@dataclass(slots=True)
class MultipartPart:
    """The headers of one part of a form.

    Attributes:
        name: The field's name.
        filename: The name that the client gives to a file, as it came; None: the part is no file.
        content_type: Without its parameters; ``text/plain`` where the part does not say.
        charset: Of its text, as the part says; ``utf-8`` where it does not.
        headers: All of them, with names in lower case.
    """

    name: str
    filename: str | None
    content_type: str
    charset: str
    headers: dict[str, str]


class MultipartParser:
    """Reads one form.

    Args:
        boundary: Of the request's content type; see `boundary_of`.
        most_parts: The most parts.
        largest_head: Bytes of the headers of a part. The text before the first part, which clients
            need not send, is held to the same.
    """

    __slots__ = ("_delimiter", "_largest_head", "_most_parts", "_parts", "_rest", "_state")

    def __init__(self, boundary: bytes, *, most_parts: int, largest_head: int) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._most_parts = most_parts
        self._largest_head = largest_head
        self._parts = 0
        self._rest = b""
        self._state = _START

    def feed(self, data: bytes) -> list[MultipartPart | bytes | None]:
        """Read the next bytes of the form.

        Returns:
            What they hold, in order: a `MultipartPart` where one begins, the pieces of its content
            as bytes, and None where it ends.

        Raises:
            BadRequest: they are malformed; the parser reads no more.
            PayloadTooLarge: the form is over one of the limits; likewise.
        """
        buffer = self._rest + data if self._rest else data
        events: list[MultipartPart | bytes | None] = []
        at = 0
        while True:
            state = self._state
            if state == _CONTENT:
                following = self._read_content(buffer, at, events)
            elif state == _HEADERS:
                following = self._read_headers(buffer, at, events)
            elif state == _CONTENT_START:
                following = self._start_content(buffer, at, events)
            elif state in (_DELIMITER, _LAST_DELIMITER):
                following = self._read_delimiter(buffer, at)
            elif state in (_START, _PREAMBLE):
                following = self._read_preamble(buffer)
            elif state == _END_OF_FORM:  # what stands behind the form says nothing
                self._rest = b""
                return events
            else:
                raise self._malformed("it was refused already")
            if following is None:
                self._rest = buffer[at:]
                return events
            at = following

    def close(self) -> None:
        """Say that there are no further bytes.

        Raises:
            BadRequest: the form has not ended: a part of it is lost.
        """
        if self._state == _END_OF_FORM:
            return
        if self._state != _LAST_DELIMITER or self._rest.strip(b" \t"):
            raise self._malformed("the delimiter that ends it is missing")
        self._state = _END_OF_FORM

    # Each of these reads from a place in the buffer and gives the place that it has read to; None:
    # it takes more bytes to tell.

    def _read_preamble(self, buffer: bytes) -> int | None:
        delimiter = self._delimiter
        if self._state == _START:
            if len(buffer) < len(delimiter) - 2 and delimiter.startswith(buffer, 2):
                return None
            if buffer.startswith(delimiter[2:]):  # as nearly every form begins
                self._state = _DELIMITER
                return len(delimiter) - 2
            self._state = _PREAMBLE
        end = self._largest_head + len(delimiter)
        found = buffer.find(delimiter, 0, end)
        if found >= 0:
            self._state = _DELIMITER
            return found + len(delimiter)
        if len(buffer) >= end:
            raise self._malformed("it does not begin with its boundary")
        return None

    def _read_delimiter(self, buffer: bytes, at: int) -> int | None:
        is_last = self._state == _LAST_DELIMITER
        if not is_last and buffer.startswith(b"\r\n", at):  # as nearly every one ends
            self._state = _HEADERS
            return at + 2
        if not is_last and buffer.startswith(b"-", at):
            if buffer.startswith(b"--", at):
                self._state = _LAST_DELIMITER
                return at + 2
            if len(buffer) == at + 1:
                return None
        end = _PADDING.match(buffer, at).end()  # type: ignore[union-attr]  # matches always
        if end - at > self._largest_head:
            raise self._malformed("a delimiter with more blanks than the headers of a part")
        if buffer.startswith(b"\r\n", end):
            self._state = _END_OF_FORM if is_last else _HEADERS
            return end + 2
        if buffer[end:] not in (b"", b"\r"):
            raise self._malformed("a line begins with its boundary and goes on")
        return None

    def _read_headers(
        self, buffer: bytes, at: int, events: list[MultipartPart | bytes | None]
    ) -> int | None:
        if buffer.startswith(b"\r\n", at):
            raise self._malformed("a part without headers")
        end = buffer.find(b"\r\n\r\n", at, at + self._largest_head + 4)
        if end < 0:
            if len(buffer) - at >= self._largest_head + 4:
                self._state = _FAILED
                raise PayloadTooLarge(f"the headers of a part are over {self._largest_head} bytes")
            return None
        self._parts += 1
        if self._parts > self._most_parts:
            self._state = _FAILED
            raise PayloadTooLarge(f"the form has more than {self._most_parts} parts")
        try:
            delimiter = self._delimiter
            # The line break before the first of them belongs to the delimiter above.
            if buffer.find(delimiter, at, end) >= 0 or buffer.startswith(delimiter[2:], at):
                raise ValueError("a part without the end of its headers")
            events.append(_read_part(buffer[at:end].decode()))
        except ValueError as exc:
            why = "headers that are not UTF-8" if isinstance(exc, UnicodeError) else exc
            raise self._malformed(why) from None
        if buffer[end + 4 : end + 6] not in (b"--", b"-", b""):  # as nearly every content begins
            self._state = _CONTENT
            return end + 4
        self._state = _CONTENT_START
        return end + 2

    def _start_content(
        self, buffer: bytes, at: int, events: list[MultipartPart | bytes | None]
    ) -> int | None:
        # The empty line is a line break before the content, or before a delimiter where there is
        # none (RFC 2046: the content may be left out).
        delimiter = self._delimiter
        if buffer.startswith(delimiter, at):
            events.append(None)
            self._state = _DELIMITER
            return at + len(delimiter)
        if len(buffer) - at < len(delimiter) and delimiter.startswith(buffer[at:]):
            return None
        self._state = _CONTENT
        return at + 2

    def _read_content(
        self, buffer: bytes, at: int, events: list[MultipartPart | bytes | None]
    ) -> int | None:
        delimiter = self._delimiter
        end = buffer.find(delimiter, at)
        if end >= 0:
            if end > at:
                events.append(buffer[at:end])
            events.append(None)
            self._state = _DELIMITER
            return end + len(delimiter)
        # The delimiter may have begun at the end of what is here.
        end = buffer.rfind(b"\r", max(at, len(buffer) - len(delimiter) + 1))
        if end < 0 or not delimiter.startswith(buffer[end:]):
            end = len(buffer)
        if end > at:
            events.append(buffer[at:end])
            return end
        return None

    def _malformed(self, why: object) -> BadRequest:
        self._state = _FAILED
        self._rest = b""
        return BadRequest(f"the body is not {MULTIPART}: {why}")


def boundary_of(content_type: str) -> bytes:
    """The boundary that a ``Content-Type`` names.

    Raises:
        BadRequest: it names none, or one that is not lawful.
    """
    try:
        boundary = _parameters_of(content_type).get("boundary", "")
    except ValueError:
        boundary = ""
    if not _BOUNDARY.fullmatch(boundary):
        raise BadRequest(f"the body is not {MULTIPART}: its Content-Type has no lawful boundary")
    return boundary.encode()


def _read_part(text: str) -> MultipartPart:
    """A part of its headers.

    Raises:
        ValueError: they are malformed, or do not name the part.
    """
    headers: dict[str, str] = {}
    for line in text.split("\r\n"):
        match = _HEADER.fullmatch(line)
        if match is None:
            raise ValueError("a part with a malformed header")
        name, value = match[1].lower(), match[2].rstrip()
        if name in headers and name in _SINGLE:
            raise ValueError(f"a part with {name} twice")
        headers[name] = value
    disposition = headers.get("content-disposition", "")
    usual = _USUAL.fullmatch(disposition)
    if usual is not None:
        parameters = usual.groupdict()
    elif disposition.partition(";")[0].strip().lower() == "form-data":
        parameters = _parameters_of(disposition)
    else:
        raise ValueError("a part without Content-Disposition: form-data")
    if not parameters.get("name"):
        raise ValueError("a part without a name")
    filename = parameters.get("filename")
    if filename is None and "filename*" in parameters:
        filename = _extended(parameters["filename*"])
    if filename is not None and not filename.isascii():
        filename = unicodedata.normalize("NFC", filename)  # as Sanic's: macOS takes names apart
    content_type, charset = "text/plain", "utf-8"
    if "content-type" in headers:
        value = headers["content-type"]
        content_type = value.partition(";")[0].strip().lower() or content_type
        if ";" in value:
            charset = _parameters_of(value).get("charset", charset).lower()
    return MultipartPart(parameters["name"], filename, content_type, charset, headers)


def _parameters_of(value: str) -> dict[str, str]:
    """What stands behind the first ``;`` of a header, with names in lower case.

    In quotes a backslash stands before a quote or another backslash; before anything else it is
    itself, as browsers do not escape it. They write a quote as ``%22``.

    Raises:
        ValueError: it is malformed, or names something twice.
    """
    parameters: dict[str, str] = {}
    at = value.find(";")
    while 0 <= at < len(value):
        match = _PARAMETER.match(value, at)
        if match is None:
            if _END.fullmatch(value, at):
                break
            raise ValueError("a part with a malformed header")
        name, quoted, plain = match[1].lower(), match[2], match[3]
        if name in parameters:
            raise ValueError(f"a header that says {name} twice")
        if quoted is not None:
            plain = _ESCAPED.sub(r"\1", quoted) if "\\" in quoted else quoted
            if "%" in plain:
                plain = plain.replace("%22", '"').replace("%0D%0A", "\n")
        parameters[name] = plain
        at = match.end()
    return parameters


def _extended(value: str) -> str:
    """A value in the form of RFC 5987, which RFC 7578 bids clients not to send."""
    encoding, _, text = decode_rfc2231(value)
    encoding = (encoding or "utf-8").lower()
    if encoding not in _CHARSETS:
        raise ValueError("a file name in a charset that forms are not written in")
    return unquote(text, encoding=encoding, errors="strict")
