"""Redis: one component for a service, which the packages above share."""

from sanic_ms.redis.component import RedisComponent
from sanic_ms.redis.settings import RedisURL

__all__ = ["RedisComponent", "RedisURL"]
