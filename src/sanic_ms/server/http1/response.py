"""From a response to the bytes of its head, with everything checked that could break framing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from sanic.compat import Header
from sanic.cookies.response import Cookie
from sanic.helpers import STATUS_CODES
from sanic.response import BaseHTTPResponse, HTTPResponse, JSONResponse

from sanic_ms.server.http1.errors import UnsafeResponse
from sanic_ms.server.http1.quoting import cookie_text, quote_filename
from sanic_ms.values.response_headers import DefaultHeaders
from sanic_ms.values.token import TOKEN

__all__ = [
    "BODILESS",
    "ResponseHeads",
    "encode_headers",
    "is_whole",
    "status_line",
]

_NAME = re.compile(TOKEN)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # all but the tab (RFC 9110, 5.5)

# What the protocol alone decides; a handler's own value for these would contradict the framing.
_FRAMING: Final = frozenset({"content-length", "transfer-encoding", "connection"})


BODILESS: Final = frozenset({204, 304})
"""Statuses whose answers have no body, nor a length of it (RFC 9110, 6.4.1)."""


def _reason(status: int) -> bytes:
    if status in STATUS_CODES:
        return STATUS_CODES[status]
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b"UNKNOWN"


_STATUS_LINES: Final = [b"HTTP/1.1 %d %b\r\n" % (n, _reason(n)) for n in range(1000)]


def status_line(status: Any) -> bytes:
    """The status line with its CRLF.

    Raises:
        UnsafeResponse: not a final status between 200 and 999.
    """
    if not isinstance(status, int) or not 200 <= status <= 999:
        raise UnsafeResponse(f"Invalid response status {status!r}: an integer from 200 to 999")
    return _STATUS_LINES[status]


def encode_headers(headers: Iterable[tuple[Any, Any]]) -> bytes:
    """Header lines, each with its CRLF.

    Raises:
        UnsafeResponse: a name that is no token, a value with a control character in it, or a cookie
            whose attributes would be read as others.
    """
    lines = []
    for name, value in headers:
        if isinstance(value, str):
            text = value
        else:
            text = cookie_text(value) if isinstance(value, Cookie) else str(value)
        if name not in _names:
            _check_name(name)
        if not text.isprintable() and _CONTROL.search(text):
            raise UnsafeResponse(f"Response header {name!r} has a control character in its value")
        if '"' in text and name.lower() == "content-disposition":
            text = quote_filename(text)
        lines.append(f"{name}: {text}\r\n")
    return "".join(lines).encode(errors="surrogateescape")


_whole: set[type] = {HTTPResponse, JSONResponse}  # and the subclasses that were found to be so


def is_whole(cls: type) -> bool:
    """Whether responses of this class are whole, and sent as Sanic sends them."""
    return cls in _whole or _find_whole(cls)


def _find_whole(cls: type) -> bool:
    whole = (
        issubclass(cls, HTTPResponse)
        and cls.send is BaseHTTPResponse.send
        and cls.processed_headers is BaseHTTPResponse.processed_headers
    )
    if whole and "<locals>" not in cls.__qualname__:  # a class made per request is not kept
        _whole.add(cls)
    return whole


_names: set[str] = set()  # those that were found good
_MOST_NAMES: Final = 1024


def _check_name(name: Any) -> None:
    if not _NAME.fullmatch(name):
        raise UnsafeResponse(f"Invalid response header name {name!r}")
    if len(_names) >= _MOST_NAMES:  # names made per request
        _names.clear()
    _names.add(name)


class ResponseHeads:
    """Makes heads for one application: the headers of every answer are encoded once.

    Args:
        defaults: Headers of every answer that does not set them itself.
        secure: Whether the connections are TLS.
        origin: The origin of the pages that ask; None: not one that is allowed to.

    Raises:
        UnsafeResponse: as `encode_headers`, for ``defaults``.
    """

    __slots__ = (
        "_always",
        "_blocks",
        "_defaults",
        "_not_the_handlers",
        "_origin",
        "_secure",
        "_usual",
    )

    def __init__(
        self, defaults: DefaultHeaders, *, secure: bool = False, origin: str | None = None
    ) -> None:
        self._defaults = defaults
        self._secure = secure
        self._origin = origin
        self._usual: dict[tuple[int, str | None], bytes] = {}
        self._blocks: dict[tuple[object, ...], bytes] = {}
        self._always = encode_headers(self._missing(200, {}).items())
        self._not_the_handlers = _FRAMING | {"vary"} if defaults.varies else _FRAMING

    def _missing(self, status: int, headers: Mapping[str, Any]) -> dict[str, str]:
        return self._defaults.missing(status, headers, secure=self._secure, origin=self._origin)

    def usual(self, status: Any, content_type: str | None) -> bytes:
        """The head of an answer without headers of its own, up to the number of its length."""
        known = self._usual.get((status, content_type))
        if known is None:
            known = self.head(status, content_type, Header()) + b"content-length: "
            if len(self._usual) >= 256:  # content types made per request
                self._usual.clear()
            self._usual[status, content_type] = known
        return known

    def head(self, status: Any, content_type: str | None, headers: Mapping[str, Any]) -> bytes:
        """Status line and headers, without the framing headers and the empty line.

        Raises:
            UnsafeResponse: status, content type or a header cannot be sent.
        """
        line = status_line(status)
        if not headers and status != 304:
            if content_type is None or status in BODILESS:
                return line + self._always
            return line + self._always + encode_headers([("content-type", content_type)])
        added = self._added(status, headers)
        lines: list[tuple[str, Any]] = [
            item for item in headers.items() if item[0].lower() not in self._not_the_handlers
        ]
        if content_type is not None and status not in BODILESS and "content-type" not in headers:
            lines.append(("content-type", content_type))
        return line + added + encode_headers(lines)

    def _added(self, status: int, headers: Mapping[str, Any]) -> bytes:
        """The header lines that an answer gets besides its own."""
        if "vary" in self._not_the_handlers and "vary" in headers:
            return encode_headers(self._missing(status, headers).items())  # by value, not by name
        key = (status == 304, *headers)
        known = self._blocks.get(key)
        if known is None:
            known = encode_headers(self._missing(status, headers).items())
            if len(self._blocks) >= 256:  # names made per request
                self._blocks.clear()
            self._blocks[key] = known
        return known
