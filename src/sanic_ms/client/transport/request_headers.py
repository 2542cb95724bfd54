"""Which headers of a call are sent: one rule for both transports. No input or output here.

The headers of a call often are those of another request: ``headers=dict(request.headers)``. They
hold how that request was framed and what was agreed with that client, so those headers are left out
or written anew, and the rest is sent. A header that no request can hold is the caller's mistake.
"""

from __future__ import annotations

import re
from typing import Final

from multidict import CIMultiDict

from sanic_ms.values.token import TOKEN

__all__ = ["OMITTED", "check_method", "headers_to_send", "is_token"]

OMITTED: Final = frozenset(
    [
        "content-length",  # the transport knows the length of what it sends
        "http2-settings",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
"""Names in lower case: the framing of the message, and what holds for one connection only
(RFC 9110, 7.6.1). They are never sent as they were given.

``Connection`` loses its names as well. The headers that it names stay unless they stand here: an
incoming request could otherwise take away what the application has added to its headers.
"""

_DECODED: Final = frozenset(["gzip", "deflate", "identity"])

_is_token = re.compile(TOKEN).fullmatch
_bad_character = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]").search
# A registered name, or an address in brackets; RFC 3986, 3.2.2, without its rare delimiters.
_is_host = re.compile(r"(?:[A-Za-z0-9\-._~%]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?").fullmatch


def is_token(name: str) -> bool:
    """Whether it can be the name of a header or a method (RFC 9110, 5.6.2)."""
    return _is_token(name) is not None


def check_method(method: str) -> None:
    """Check the method of a request.

    Raises:
        ValueError: no request line can hold it.
    """
    if not is_token(method):
        raise ValueError(f"method {method[:80]!r}: letters, digits and '-' only")


def headers_to_send(headers: CIMultiDict[str], *, has_body: bool = False) -> CIMultiDict[str]:
    """The headers as they are sent; the transport adds framing and what is not there.

    Args:
        headers: As the call has them; they stay as they are.
        has_body: Whether the request has a body: without one there is nothing to ``Expect``.

    Raises:
        ValueError: a name or a value that cannot be sent, or two ``Host``. The text does not show
            the value, which may be a credential.
    """
    sent: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        if not is_token(name):
            raise ValueError(f"header name {name[:80]!r}: letters, digits and '-' only")
        if not isinstance(value, str):
            raise ValueError(f"header {name}: a value is text, not {type(value).__name__}")
        if (match := _bad_character(value)) is not None:
            raise ValueError(
                f"header {name}: the character {match[0]!r} at {match.start()} cannot be sent"
            )
        lower = name.lower()
        if lower in OMITTED or (lower == "expect" and not has_body):
            continue
        if lower == "host":
            if lower in sent:
                raise ValueError("header Host stands twice")
            value = value.strip(" \t")
            if _is_host(value) is None:
                raise ValueError("header Host: write a host name or an address, and a port if any")
        sent.add(name, value)
    if "Connection" in sent:
        options = _members(sent.popall("Connection"))
        if any(option.lower() == "close" for option in options):
            sent["Connection"] = "close"
    if "Accept-Encoding" in sent:
        sent["Accept-Encoding"] = _decodable(sent.popall("Accept-Encoding"))
    return sent


def _decodable(values: list[str]) -> str:
    """What both transports can unpack of the codings that a call accepts: those of a browser,
    say, include others. ``*`` stands for all that are not named."""
    members = _members(values)
    chosen = [
        member for member in members if member.partition(";")[0].rstrip(" \t").lower() in _DECODED
    ]
    if not chosen and any(member.startswith("*") for member in members):
        return "gzip, deflate"
    return ", ".join(chosen) or "identity"


def _members(values: list[str]) -> list[str]:
    return [member for part in ",".join(values).split(",") if (member := part.strip(" \t"))]
