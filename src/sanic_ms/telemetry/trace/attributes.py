"""What a span may hold: values of bounded size, and no secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from sanic_ms.config.masking import MASK, is_secret, mask_text

__all__ = [
    "MOST_ATTRIBUTES",
    "MOST_EVENTS",
    "MOST_TEXT",
    "add_attributes",
    "safe_lines",
    "safe_query",
    "safe_text",
    "safe_url",
]

MOST_ATTRIBUTES = 128
"""Attributes of one span, and of one event of it."""

MOST_EVENTS = 128
"""Events of one span; links as well."""

MOST_TEXT = 4096
"""Characters of one value; an array has as many items as a span has attributes."""

_SIGNATURES = frozenset(("sig", "signature", "awsaccesskeyid", "x-amz-signature", "sid", "otp"))


@lru_cache(maxsize=1024)
def _secret(name: str) -> bool:
    return is_secret(name) or name.lower() in _SIGNATURES


def add_attributes(target: dict[str, Any], attributes: Mapping[str, Any] | None) -> int:
    """Put attributes where a span keeps them: masked, cut to size, of types that can be sent.

    Returns:
        How many there was no room for.
    """
    left = 0
    for key, value in (attributes or {}).items():
        if value is None or not isinstance(key, str) or not key:
            continue
        if key not in target and len(target) >= MOST_ATTRIBUTES:
            left += 1
        else:
            target[key] = MASK if _secret(key) else _clean(value)
    return left


def _clean(value: Any) -> Any:
    kind = type(value)
    if kind is str:
        return safe_text(value)
    if kind is int:
        # 64 bits with a sign is what the formats have.
        return value if -(1 << 63) <= value < 1 << 63 else str(value)
    if kind is bool or kind is float:
        return value
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return tuple(_clean(item) for item in value[:MOST_ATTRIBUTES] if item is not None)
    try:
        return safe_text(str(value))
    except Exception:  # a __str__ of the application's own must not fail a request
        return f"<{kind.__name__}>"


def safe_text(text: str) -> str:
    """Text without the passwords in it, not too long, and of characters that can be encoded."""
    if len(text) > MOST_TEXT:
        text = text[:MOST_TEXT]
    if "=" in text or ":" in text:
        text = mask_text(text)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def safe_lines(text: str) -> str:
    """The same for lines that have nothing to do with each other, of which the last count most: in
    one piece, all that follows a ``password=`` would be masked with it."""
    return "\n".join(map(safe_text, text[-MOST_TEXT:].split("\n")))


def safe_query(query: str) -> str:
    """The query of a URL, the values of those names masked that sound secret."""
    parts = []
    for part in query[:MOST_TEXT].split("&"):
        name, equals, _ = part.partition("=")
        parts.append(f"{name}={MASK}" if equals and _secret(unquote_plus(name)) else part)
    return "&".join(parts)


def safe_url(url: str) -> str:
    """An absolute URL without credentials, fragment and secret query values."""
    try:
        parts = urlsplit(url[:MOST_TEXT])
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return ""
    query = f"?{safe_query(parts.query)}" if parts.query else ""
    return f"{parts.scheme}://{host}{parts.path}{query}"
