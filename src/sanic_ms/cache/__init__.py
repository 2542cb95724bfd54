"""Cached values: in the process, and in Redis where there is one."""

from sanic_ms.cache.cache import Cache
from sanic_ms.cache.cached import cached
from sanic_ms.cache.counts import CacheCounts
from sanic_ms.cache.locks import CacheLock
from sanic_ms.cache.policy import CachePolicy

__all__ = ["Cache", "CacheCounts", "CacheLock", "CachePolicy", "cached"]
