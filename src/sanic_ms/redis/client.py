"""The client of redis-py, with its limits, errors and measurement set by us."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from sanic_ms._extras import require
from sanic_ms.exception import RedisUnavailable
from sanic_ms.redis.instrumentation import CommandInstrumentation
from sanic_ms.redis.settings import RedisURL

require("redis.asyncio", "redis", purpose="REDIS_URL")

from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection  # noqa: E402
from redis.asyncio.client import Pipeline  # noqa: E402
from redis.asyncio.retry import Retry  # noqa: E402
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool  # noqa: E402
from redis.backoff import NoBackoff  # noqa: E402
from redis.exceptions import (  # noqa: E402
    AuthenticationError,
    AuthorizationError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError  # noqa: E402
from redis.exceptions import TimeoutError as RedisTimeoutError  # noqa: E402

__all__ = ["InstrumentedRedis", "Redis", "make_client"]

T = TypeVar("T")

# A server's reasons to let a connection not in: the user, the password, the database.
_REJECTIONS = (AuthenticationError, AuthorizationError, ResponseError)


class InstrumentedRedis(Redis):
    """A client of redis-py, whose commands are timed and traced.

    A server that cannot be reached, or does not answer in time, is a `RedisUnavailable`, with the
    error of redis-py as its cause.
    """

    instrumentation: CommandInstrumentation
    sentinels: Sequence[Redis] = ()

    async def close_all(self) -> None:
        """Close all connections, those to Sentinels too. Calling it again does nothing."""
        for client in (self, *self.sentinels):
            await Redis.aclose(client, close_connection_pool=True)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command, and give what the server says."""
        work = _translated(super().execute_command(*args, **options))  # type: ignore[no-untyped-call]
        return await self.instrumentation.run(args[0], work)

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """Commands that are sent together; by default in a transaction (MULTI, EXEC)."""
        pipeline = _InstrumentedPipeline(
            self.connection_pool, self.response_callbacks, transaction, shard_hint
        )
        pipeline.instrumentation = self.instrumentation
        return pipeline


class _InstrumentedPipeline(Pipeline):
    instrumentation: CommandInstrumentation

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send the commands, and give their results in order."""
        work = _translated(super().execute(raise_on_error))
        return await self.instrumentation.run("PIPELINE", work)


async def _translated(work: Coroutine[Any, Any, T]) -> T:
    try:
        return await work
    except (RedisConnectionError, RedisTimeoutError) as exc:
        if isinstance(exc, _REJECTIONS) or isinstance(exc.__cause__, _REJECTIONS):
            raise  # no outage: the URL is wrong
        late = isinstance(exc, RedisTimeoutError)
        # The address stands in the cause, which reaches the log and no client.
        raise RedisUnavailable(
            "Redis did not answer in time" if late else "Redis cannot be reached"
        ) from exc


def make_client(
    url: RedisURL,
    instrumentation: CommandInstrumentation,
    *,
    connect_timeout: float,
    timeout: float,
    acquire_timeout: float,
    max_connections: int,
) -> InstrumentedRedis:
    """A client that connects at its first command.

    Args:
        url: The server, or its Sentinels.
        instrumentation: Times and traces the commands.
        connect_timeout: Seconds to connect.
        timeout: Seconds that the server may take for a response.
        acquire_timeout: Seconds to wait for a connection where all are in use.
        max_connections: The most connections.
    """
    options: dict[str, Any] = {
        "socket_connect_timeout": connect_timeout,
        "socket_timeout": timeout,
        "decode_responses": True,
        # A command that is sent twice may count twice. The pool opens a connection anew that the
        # server has closed in the meantime.
        "retry": Retry(NoBackoff(), 0),
    }
    if url.master:
        sentinel = Sentinel(  # type: ignore[no-untyped-call]
            list(url.hosts),
            sentinel_kwargs={**options, "ssl": url.is_tls},
            username=url.username or None,
            password=url.password or None,
            db=url.database,
            **options,
        )
        pool: Any = SentinelConnectionPool(  # type: ignore[no-untyped-call]
            url.master, sentinel, max_connections=max_connections, ssl=url.is_tls,
            **sentinel.connection_kwargs,
        )  # fmt: skip
    else:
        pool = BlockingConnectionPool.from_url(
            url.text, max_connections=max_connections, timeout=acquire_timeout, **options
        )
        if url.is_tls:
            assert pool.connection_class is SSLConnection
    client = InstrumentedRedis(connection_pool=pool)
    if url.master:
        client.sentinels = sentinel.sentinels
    client.instrumentation = instrumentation
    return client
