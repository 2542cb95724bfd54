"""Forms and cookies, read with limits.

The parsing is Sanic's. What stands here keeps from it what would cost more than a request may:
thousands of parts, heads of parts without end, charsets that decode in quadratic time.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs

from sanic.cookies.request import COOKIE_NAME_RESERVED_CHARS
from sanic.headers import parse_content_header
from sanic.request import RequestParameters
from sanic.request.form import parse_multipart_form

from sanic_ms.exception import BadRequest, PayloadTooLarge

__all__ = ["parse_cookies", "parse_form"]

_CHARSET = re.compile(rb"charset\s*=\s*\"?([^\";\s]+)", re.IGNORECASE)
_CHARSETS = frozenset(
    (b"utf-8", b"utf8", b"us-ascii", b"ascii", b"iso-8859-1", b"latin-1", b"windows-1252")
)
_ESCAPE = re.compile(r"\\(?:([0-3][0-7][0-7])|(.))", re.DOTALL)


def parse_form(
    body: bytes,
    content_type: str,
    *,
    most_parts: int,
    largest_field: int,
    largest_head: int,
    keep_blank_values: bool = False,
) -> tuple[Any, Any]:
    """The fields and the files of a form; both empty where the body is none.

    Args:
        body: The body.
        content_type: The header.
        most_parts: The most fields and files.
        largest_field: Bytes of a field of a multipart form.
        largest_head: Bytes of the headers of a part.
        keep_blank_values: Whether a field without a value is there.

    Raises:
        PayloadTooLarge: one of the limits.
        BadRequest: it is malformed.
    """
    kind, parameters = parse_content_header(content_type)
    try:
        if kind == "application/x-www-form-urlencoded":
            if body.count(b"&") >= most_parts:
                raise PayloadTooLarge(f"the form has more than {most_parts} fields")
            fields = parse_qs(body.decode(), keep_blank_values=keep_blank_values, errors="strict")
            return RequestParameters(fields), RequestParameters()
        if kind == "multipart/form-data":
            boundary = str(parameters["boundary"]).encode()
            _check_parts(body, boundary, most_parts, largest_head)
            form, files = parse_multipart_form(body, boundary)  # type: ignore[no-untyped-call]
            for name, values in form.items():
                if any(len(value.encode()) > largest_field for value in values):
                    raise PayloadTooLarge(f"the field {name[:100]!r} is over {largest_field} bytes")
            return form, files
    except (ValueError, LookupError, TypeError):
        # "from None": what a client sent is no fault to be traced.
        raise BadRequest(f"the body is not {kind}") from None
    return RequestParameters(), RequestParameters()


def _check_parts(body: bytes, boundary: bytes, most: int, largest_head: int) -> None:
    if not boundary or (body and boundary not in body):
        raise ValueError("no boundary")
    if body.count(boundary) > most + 1:
        raise PayloadTooLarge(f"the form has more than {most} parts")
    at = body.find(boundary)
    while True:
        after = body.find(boundary, at + len(boundary))
        if after < 0:
            return
        end = body.find(b"\r\n\r\n", at, min(after, at + len(boundary) + largest_head))
        if end < 0:
            if after - at > largest_head:
                raise PayloadTooLarge(f"the headers of a part are over {largest_head} bytes")
            raise ValueError("a part without the end of its headers")
        charset = _CHARSET.search(body, at, end)
        if charset is not None and charset[1].lower() not in _CHARSETS:
            raise ValueError("a charset that forms are not written in")
        at = after


def parse_cookies(header: str) -> dict[str, list[str]]:
    """The values of each cookie, as `sanic.cookies.request.parse_cookie` reads them.

    Sanic takes the backslashes out of a quoted value in quadratic time: a head of 8 KiB blocks the
    event loop for 0.1 s there.
    """
    cookies: dict[str, list[str]] = {}
    for token in header.split(";"):
        name, sep, value = token.partition("=")
        name, value = name.strip(), value.strip()
        if not sep:
            if not name:
                continue
            name, value = "", name
        if COOKIE_NAME_RESERVED_CHARS.search(name):
            continue
        if len(value) > 2 and value[0] == value[-1] == '"':
            value = _ESCAPE.sub(_unescaped, value[1:-1])
        cookies.setdefault(name, []).append(value)
    return cookies


def _unescaped(match: re.Match[str]) -> str:
    octal, letter = match.groups()
    return chr(int(octal, 8)) if octal else str(letter)
