"""The types that several groups of settings share."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

__all__ = ["HttpPath", "Seconds", "Secret"]

Seconds = Annotated[float, Meta(gt=0)]
"""A duration, longer than nothing."""

HttpPath = Annotated[str, Meta(pattern="^/")]
"""The path of a route."""

Secret = Meta(extra={"secret": True})
"""Mark of a setting that is never shown: ``stripe_key: Annotated[str, Secret]``."""
