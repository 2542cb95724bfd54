"""The characters of a token: the name of a header, a method, a key of baggage."""

from __future__ import annotations

from typing import Final

__all__ = ["TOKEN"]

TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
"""A pattern for `re` (RFC 9110, 5.6.2)."""
