"""The Redis of a service, made from its settings."""

from __future__ import annotations

from sanic_ms.config import Settings
from sanic_ms.container import Container
from sanic_ms.exception import ConfigError
from sanic_ms.redis import RedisComponent
from sanic_ms.telemetry.metrics import Registry

__all__ = ["redis_of"]


def redis_of(settings: Settings, metrics: Registry, container: Container) -> RedisComponent:
    """The component of the setting ``REDIS_URL``. Its client becomes injectable as the class
    ``redis.asyncio.Redis``.

    Args:
        settings: The service's.
        metrics: Where the durations of commands are counted, unless metrics are off.
        container: The service's.

    Raises:
        ConfigError: there is no such setting, or it is no Redis URL.
        MissingDependency: redis-py is not installed.
    """
    if settings.redis_url is None:
        raise ConfigError("no Redis is named: set REDIS_URL, e.g. REDIS_URL=redis://127.0.0.1/0")
    try:
        component = RedisComponent(
            settings.redis_url,
            connect_timeout=settings.redis_timeout,
            timeout=settings.redis_timeout,
            acquire_timeout=settings.redis_timeout,
            max_connections=settings.redis_max_connections,
        )
    except ValueError as exc:
        raise ConfigError(f"REDIS_URL: {exc}") from None  # its cause may hold the password
    if settings.metrics:
        component.measure(metrics)
    from sanic_ms.redis.client import Redis  # after the check that the library is there

    if Redis not in container:
        container.provide(Redis, component.client)
    return component
