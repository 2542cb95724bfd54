"""Header values that Sanic puts together without quoting what is in them."""

from __future__ import annotations

import re
from typing import Final

from sanic.cookies.response import Cookie

from sanic_ms.server.http1.errors import UnsafeResponse
from sanic_ms.values.token import TOKEN

__all__ = ["cookie_text", "quote_filename"]

_ATTRIBUTES: Final = ("path", "domain", "comment")  # Sanic checks the others
_ENDS_ATTRIBUTE = re.compile(r'[";\x00-\x1f\x7f]')

_PARAMETER: Final = rf';[ \t]*({TOKEN})[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|{TOKEN})[ \t]*'
_parameters = re.compile(_PARAMETER)
_disposition = re.compile(rf"{TOKEN}[ \t]*(?:{_PARAMETER})*")
_START: Final = 'attachment; filename="'
_quoted = re.compile(r'(["\\])')


def cookie_text(cookie: Cookie) -> str:
    """The value of a ``Set-Cookie`` header.

    Nothing can be quoted in an attribute of a cookie (RFC 6265, 4.1.1), so what would end it is
    refused: ``/; Domain=example`` is no path.

    Raises:
        UnsafeResponse: an attribute with a quote, a semicolon or a control character in it.
    """
    for name in _ATTRIBUTES:
        value = getattr(cookie, name)
        if value is not None and _ENDS_ATTRIBUTE.search(str(value)):
            raise UnsafeResponse(
                f"Cookie {cookie.key!r} has a quote, a semicolon or a control character in its "
                f"{name}: {value!r}"
            )
    return str(cookie)


def quote_filename(value: str) -> str:
    r"""A ``Content-Disposition`` whose file name cannot end its quotes.

    ``file(filename='x"; filename="y')`` of Sanic puts the name between quotes as it is. If the
    value is then none that RFC 6266 allows, or names the file twice, the name is quoted here:
    ``filename="x\"; filename=\"y"``. Any other value is the application's, and is left alone.
    """
    if not value.startswith(_START) or not value.endswith('"') or len(value) <= len(_START):
        return value
    if _disposition.fullmatch(value):
        parameters = _parameters.findall(value)
        names = [name.lower() for name, _ in parameters]
        extended = [text for name, text in parameters if name.endswith("*")]
        # The extended form has no quotes (RFC 8187), and browsers prefer it.
        if len(set(names)) == len(names) and not any(text[0] == '"' for text in extended):
            return value
    name = value[len(_START) : -1]
    escaped = _quoted.sub(r"\\\1", name)
    return f'{_START}{escaped}"'
