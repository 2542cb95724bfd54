"""The cache."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["CacheSection"]


class CacheSection(msgspec.Struct, frozen=True, kw_only=True):
    """The cache."""

    cache_prefix: Annotated[
        str | None,
        Meta(description="what stands before keys in Redis; default is the service's name"),
    ] = None
    cache_max_entries: Annotated[
        int, Meta(ge=1, description="most values that the cache of each worker keeps")
    ] = 10_000
