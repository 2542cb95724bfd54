"""Forms and cookies of a request whose body is there, read with limits."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs

from sanic.cookies.request import COOKIE_NAME_RESERVED_CHARS
from sanic.request import File, RequestParameters

from sanic_ms.exception import BadRequest, PayloadTooLarge
from sanic_ms.http.multipart import MULTIPART, MultipartParser, MultipartPart, boundary_of

__all__ = ["URLENCODED", "field_too_large", "parse_cookies", "parse_form", "text_of"]

URLENCODED = "application/x-www-form-urlencoded"

_CHARSETS = frozenset(
    ("utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "windows-1252")
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
    kind = content_type.partition(";")[0].strip().lower()
    if kind == MULTIPART:
        return _parse_multipart(body, content_type, most_parts, largest_field, largest_head)
    if kind != URLENCODED:
        return RequestParameters(), RequestParameters()
    if body.count(b"&") >= most_parts:
        raise PayloadTooLarge(f"the form has more than {most_parts} fields")
    try:
        fields = parse_qs(body.decode(), keep_blank_values=keep_blank_values, errors="strict")
    except UnicodeDecodeError:
        # "from None": what a client sent is no fault to be traced.
        raise BadRequest(f"the body is not {kind}") from None
    return RequestParameters(fields), RequestParameters()


def _parse_multipart(
    body: bytes, content_type: str, most_parts: int, largest_field: int, largest_head: int
) -> tuple[Any, Any]:
    boundary = boundary_of(content_type)
    fields: dict[str, list[str]] = {}
    files: dict[str, list[File]] = {}
    if not body:
        return RequestParameters(fields), RequestParameters(files)
    parser = MultipartParser(boundary, most_parts=most_parts, largest_head=largest_head)
    events = parser.feed(body)
    parser.close()
    part, content = None, b""
    for event in events:
        if isinstance(event, bytes):  # a whole body gives the content of a part in one piece
            content = event
        elif event is not None:
            part, content = event, b""
        elif part is None:
            continue
        elif part.filename is not None:
            file = File(type=part.content_type, body=content, name=part.filename)
            files.setdefault(part.name, []).append(file)
        elif len(content) > largest_field:
            raise field_too_large(part.name, largest_field)
        else:
            fields.setdefault(part.name, []).append(text_of(part, content))
    return RequestParameters(fields), RequestParameters(files)


def field_too_large(name: str, largest_field: int) -> PayloadTooLarge:
    """The error for a field over ``REQUEST_MAX_FORM_FIELD_SIZE``."""
    return PayloadTooLarge(f"the field {name[:100]!r} is over {largest_field} bytes")


def text_of(part: MultipartPart, content: bytes) -> str:
    """The text of a field.

    Raises:
        BadRequest: it is not in its charset, or that is none that forms are written in. Some
            charsets decode in quadratic time.
    """
    if part.charset not in _CHARSETS:
        raise BadRequest(f"the body is not {MULTIPART}: a charset that forms are not written in")
    try:
        return content.decode(part.charset)
    except UnicodeDecodeError:
        name = part.name[:100]
        raise BadRequest(
            f"the body is not {MULTIPART}: the field {name!r} is not {part.charset}"
        ) from None


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
