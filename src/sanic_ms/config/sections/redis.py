"""Redis."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from sanic_ms.config.sections.types import Seconds

__all__ = ["RedisSection"]


class RedisSection(msgspec.Struct, frozen=True, kw_only=True):
    """Redis."""

    redis_url: Annotated[
        str | None,
        Meta(description="Redis server: redis://, rediss://, unix:// or redis+sentinel://"),
    ] = None
    redis_timeout: Annotated[
        Seconds, Meta(description="seconds to connect to Redis, and for one of its responses")
    ] = 0.25
    redis_max_connections: Annotated[
        int, Meta(ge=1, description="most connections to Redis that each worker holds")
    ] = 50
