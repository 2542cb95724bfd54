"""A value as a source gives it."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Given", "Layer"]


class Given(NamedTuple):
    """A value as a source gives it, and the words that name the source."""

    value: Any
    source: str


Layer = dict[str, Given]
"""One source's values by upper-case name."""
