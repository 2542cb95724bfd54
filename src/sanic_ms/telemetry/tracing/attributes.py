"""What a span may hold: values of bounded size, without secrets.

What is secret is said in one place for logs and spans: `sanic_ms.telemetry.redaction`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sanic_ms.telemetry.redaction import MASK, redactor

__all__ = [
    "MOST_ATTRIBUTES",
    "MOST_EVENTS",
    "MOST_TEXT",
    "add_attributes",
    "is_plain_path",
    "safe_path",
    "safe_query",
    "safe_stack",
    "safe_text",
    "safe_url",
]

MOST_ATTRIBUTES = 128
"""Attributes of one span, and of one event of it."""

MOST_EVENTS = 128
"""Events of one span; links as well."""

MOST_TEXT = 4096
"""Characters of one value; an array has as many items as a span has attributes."""

# A secret that is cut in two might not be known as one: so much is read beyond the cut, and what a
# longer text has there is never shown.
_MARGIN = 1024
_MOST_READ = MOST_TEXT + _MARGIN
# One pass over sets of letters: less than `bytes.translate` takes.
_plain = re.compile(rb"[!$&-9;@-Z_a-z~]{0,%d}" % MOST_TEXT).fullmatch


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
            target[key] = MASK if redactor.is_secret(key) else _clean(value)
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
    """Text without secrets, not too long, and of characters that can be encoded."""
    return _sendable(_beginning(redactor.text, text))


def safe_stack(text: str) -> str:
    """The same for a stack, whose end counts most."""
    shown = redactor.text(text[-_MOST_READ:])
    return _sendable(shown[_MARGIN if len(text) > _MOST_READ else 0 :][-MOST_TEXT:])


def is_plain_path(path: bytes) -> bool:
    """Whether a path is what `safe_path` makes of it, and needs nothing escaped in JSON either: no
    sign that a secret could not be without (`Redactor.path` tells which), nor a quote. Most are."""
    return _plain(path) is not None and b"eyJ" not in path


def safe_path(path: str) -> str:
    """The path of a URL."""
    return _sendable(_beginning(redactor.path, path))


def safe_query(query: str) -> str:
    """The query of a URL."""
    return _sendable(_beginning(redactor.query, query))


def safe_url(url: str) -> str:
    """An absolute URL, without its fragment."""
    return _sendable(_beginning(redactor.url, url))


def _beginning(hide: Callable[[str], str], text: str) -> str:
    if len(text) > _MOST_READ:
        return hide(text[:_MOST_READ])[:-_MARGIN][:MOST_TEXT]
    return hide(text)[:MOST_TEXT]


def _sendable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
