"""The bytes of a usual request. No input or output here.

What is not usual gives None and goes through aiohttp. Nothing is escaped or repaired here: a header
is sent only if it is printable ASCII, so no line break, NUL or second header can come out of one.
`sanic_ms.client.transport.request_headers` says which headers are never sent as they were given.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from yarl import URL

from sanic_ms.client.base import Endpoint, ServiceRequest
from sanic_ms.client.transport.request_headers import OMITTED, is_token

__all__ = ["Origin", "encode", "place_of"]

# What yarl, by which aiohttp writes its targets, leaves as it is: unreserved characters and
# delimiters, without "%" (an escape may be rewritten).
_PLAIN_TARGET = re.compile(
    r"/[A-Za-z0-9\-._~!$'()*,;=:@&+/]*(?:\?[A-Za-z0-9\-._~!$'()*,;=:@&+/?]+)?"
)

_METHODS: Final = frozenset(["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
_WITH_BODY: Final = frozenset(["POST", "PUT", "PATCH"])

# Headers whose value decides how the message is sent: whoever sets one of them wants something else
# than the usual call.
_UNUSUAL: Final = frozenset(["accept-encoding", "connection", "content-encoding", "expect", "host"])

_ACCEPT: Final = 1
_USER_AGENT: Final = 2
_CONTENT_TYPE: Final = 4
_DEFAULTS: Final = {"accept": _ACCEPT, "user-agent": _USER_AGENT, "content-type": _CONTENT_TYPE}


class Origin(NamedTuple):
    """Where the calls to an endpoint go.

    Attributes:
        host: For the look-up: ASCII, without brackets.
        port: Of TCP.
        skip: How many characters of a URL come before its path.
        fixed: The headers of every request.
        bare: Those without ``Accept`` and ``User-Agent``.
    """

    host: str
    port: int
    skip: int
    fixed: str
    bare: str


def place_of(endpoint: Endpoint) -> Origin | None:
    """Where an endpoint is; None: it is not spoken to over plain TCP."""
    if not endpoint.base.startswith("http://"):
        return None
    url = URL(endpoint.base)
    host, port = url.raw_host, url.port
    authority = url.host_port_subcomponent
    if not host or not port or not authority or not authority.isascii():
        return None
    skip = endpoint.base.find("/", 7)
    bare = f"Host: {authority}\r\nAccept-Encoding: gzip, deflate\r\n"
    fixed = f"{bare}Accept: */*\r\nUser-Agent: sanic-ms\r\n"
    return Origin(host, port, skip if skip > 0 else len(endpoint.base), fixed, bare)


def encode(request: ServiceRequest, place: Origin) -> bytes | None:
    """The request as it is sent, its body included; None: it is not a usual one.

    Raises:
        TypeError, ValueError: ``params`` cannot be part of a query.
    """
    method, body = request.method, request.body
    if (
        method not in _METHODS
        or request.allow_redirects
        or (body is not None and type(body) is not bytes)
    ):
        return None
    target = request.url[place.skip :]
    if request.params or _PLAIN_TARGET.fullmatch(target) is None:
        url = URL(request.url)
        if request.params:
            url = url.extend_query(request.params)
        target = url.raw_path_qs
    seen = 0
    lines = ""
    for name, value in request.headers.items():
        line = _named(name)
        if line is None or type(value) is not str or not (value.isascii() and value.isprintable()):
            return None
        begin, kind = line
        if not begin:
            continue
        seen |= kind
        lines += f"{begin}{value}\r\n"
    if seen & (_ACCEPT | _USER_AGENT):
        lines += place.bare
        if not seen & _ACCEPT:
            lines += "Accept: */*\r\n"
        if not seen & _USER_AGENT:
            lines += "User-Agent: sanic-ms\r\n"
        fixed = ""
    else:
        fixed = place.fixed
    if body is not None or method in _WITH_BODY:
        if not seen & _CONTENT_TYPE:
            lines += "Content-Type: application/octet-stream\r\n"
        lines += f"Content-Length: {len(body or b'')}\r\n"
    elif method == "DELETE":
        lines += "Content-Length: 0\r\n"
    head = f"{method} {target} HTTP/1.1\r\n{fixed}{lines}\r\n".encode("ascii")
    return head + body if body else head


@lru_cache(maxsize=512)
def _named(name: str) -> tuple[str, int] | None:
    """The beginning of a header's line and what default it replaces; None: not a usual header, and
    ``""`` as the beginning: it is left out."""
    lower = name.lower()
    if not is_token(name) or lower in _UNUSUAL:
        return None
    if lower in OMITTED:
        return "", 0
    return f"{name}: ", _DEFAULTS.get(lower, 0)
