"""Base URLs and paths: reading the one, joining the other to it. No input or output here.

A path often carries what a user typed (``f"/cities/{id}"``), so joining is strict: whatever the
path holds, the call goes to the configured service and below its base URL.
"""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote

from yarl import URL

from sanic_ms.client.base import Endpoint
from sanic_ms.exception import ConfigError

__all__ = ["join", "parse_base_url"]

_REFUSED = re.compile(r"[\x00-\x20\x7f\\#]")
_DOT_SEGMENT = re.compile(r"(?:^|[/\\])\.{1,2}(?:[/\\]|$)")


def parse_base_url(value: str, source: str) -> Endpoint:
    """Read the base URL of a service.

    Args:
        value: ``http://host:port/base`` or ``https://…``; user and password are allowed.
        source: Where it came from, for messages: ``SERVICES["region-service"]``.

    Raises:
        ConfigError: it is no such URL. The text never shows a password.
    """
    if not isinstance(value, str):
        raise ConfigError(f"{source} is {value!r}; write a URL: http://host:port")
    shown = _masked(value)
    try:
        url = URL(value)
        valid = url.scheme in ("http", "https") and bool(url.host) and url.explicit_port != 0
    except ValueError:
        valid = False
    if not valid or _REFUSED.search(value):
        raise ConfigError(f"{source} is {shown!r}; write http://host:port or https://host:port")
    if "?" in value:
        raise ConfigError(f"{source} is {shown!r}; a base URL has no query")
    authorization = None
    if url.user is not None or url.password is not None:
        pair = f"{url.user or ''}:{url.password or ''}".encode()
        authorization = f"Basic {base64.b64encode(pair).decode()}"
        url = url.with_user(None)
    return Endpoint(str(url).rstrip("/"), url.host_port_subcomponent or "", authorization)


def join(endpoint: Endpoint, path: str) -> str:
    """The URL of a path below an endpoint's base URL. A query may stand in the path.

    Raises:
        ValueError: the path does not begin with one ``/`` (a whole URL or ``//host`` would leave
            the service), or holds a space, a control character, a backslash, ``#``, or a ``.`` or
            ``..`` segment, percent-encoded ones included. Quote what users typed:
            ``urllib.parse.quote(value, safe="")``.
    """
    if not isinstance(path, str):
        raise ValueError(f"a path is text, not {path!r}")
    if path[:1] != "/" or path[:2] == "//":
        raise ValueError(
            f"path {path[:80]!r}: begin it with one '/'; the host comes from the client's base URL"
        )
    if _REFUSED.search(path):
        raise ValueError(
            f"path {path[:80]!r} has a space, a control character, '\\' or '#' in it; "
            'quote values with urllib.parse.quote(value, safe="")'
        )
    if "." in path or "%" in path:
        plain = path.partition("?")[0]
        if _DOT_SEGMENT.search(unquote(plain)):
            raise ValueError(f"path {path[:80]!r}: '.' and '..' segments are refused")
    return endpoint.base + path


def _masked(value: str) -> str:
    credentials, at, rest = value.rpartition("@")
    return f"{credentials.partition('//')[0]}//***@{rest}" if at else value
