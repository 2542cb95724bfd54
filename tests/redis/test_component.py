"""The component of a service: limits, errors, health, spans and metrics, with a real server."""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections.abc import AsyncIterator

import pytest
from opentelemetry.trace import SpanKind
from tests.ports import free_port
from tests.redis.conftest import RedisProcess
from tests.telemetry.collected import recording

import redis as library
from sanic_ms.exception import LifecycleError, RedisUnavailable
from sanic_ms.redis import RedisComponent
from sanic_ms.telemetry.metrics import Registry, render


@pytest.fixture
async def component(redis_url: str) -> AsyncIterator[RedisComponent]:
    """A component that runs."""
    component = RedisComponent(redis_url, max_connections=4)
    await component.start()
    yield component
    await component.stop()


@pytest.fixture
def key() -> str:
    """A key of this test's own."""
    return f"sanic-ms-test:{uuid.uuid4().hex}"


async def test_commands_are_those_of_redis_py(component: RedisComponent, key: str) -> None:
    """The client has the commands of redis-py; values are text."""
    assert await component.client.set(key, "é", ex=60)
    assert await component.client.get(key) == "é"
    async with component.client.pipeline() as pipeline:
        pipeline.incr(f"{key}:n")
        pipeline.expire(f"{key}:n", 60)
        pipeline.delete(key)
        results = await pipeline.execute()
    assert results == [1, True, 1]
    assert await component.client.get(key) is None
    await component.client.delete(f"{key}:n")


async def test_a_server_that_is_away_is_unavailable(caplog: pytest.LogCaptureFixture) -> None:
    """The start is logged and goes on; commands are 503, and errors of redis-py too."""
    component = RedisComponent(f"redis://:secret@127.0.0.1:{free_port()}/0")
    with caplog.at_level(logging.ERROR, "sanic_ms.redis"):
        await component.start()
    assert "is away, going on without it" in caplog.text
    assert "secret" not in caplog.text
    with pytest.raises(RedisUnavailable) as caught:
        await component.client.get("x")
    assert isinstance(caught.value.__cause__, library.ConnectionError)
    async with component.client.pipeline() as pipeline:
        pipeline.get("x")
        with pytest.raises(RedisUnavailable):
            await pipeline.execute()
    assert (await component.check()).status == "degraded"
    await component.stop()


async def test_a_server_that_comes_back_is_used_again(own_redis: RedisProcess) -> None:
    """A server that was killed is unavailable at once, and the next command after it is back
    works."""
    component = RedisComponent(own_redis.url)
    await component.start()
    assert (await component.check()).status == "up"
    own_redis.stop()
    for _ in range(3):
        with pytest.raises(RedisUnavailable):
            await component.client.set("x", "1")
    assert (await component.check()).status == "degraded"
    own_redis.start()
    assert await component.client.set("x", "1")
    assert (await component.check()).status == "up"
    await component.stop()
    await component.stop()  # a second time does nothing


async def test_a_server_that_hangs_is_left_after_the_timeout(own_redis: RedisProcess) -> None:
    """A response that does not come within the timeout is an error; the next command works."""
    component = RedisComponent(own_redis.url, timeout=0.1)
    await component.start()
    await component.client.set("x", "1")
    sleeping = asyncio.create_task(component.client.execute_command("DEBUG", "SLEEP", "0.5"))
    with pytest.raises((RedisUnavailable, library.ResponseError)):
        await sleeping
    while True:
        try:
            assert await component.client.get("x") == "1"
            break
        except RedisUnavailable:
            await asyncio.sleep(0.05)
    await component.stop()


async def test_a_wrong_password_stops_the_start(redis_url: str) -> None:
    """A server that rejects the user is a mistake in the URL, and not an outage."""
    address = redis_url.partition("://")[2].rpartition("@")[2]
    component = RedisComponent(f"redis://nobody:secret@{address}")
    with pytest.raises(LifecycleError, match="cannot be used") as caught:
        await component.start()
    assert "secret" not in str(caught.value)
    await component.stop()


async def test_a_connection_is_waited_for_and_then_unavailable(redis_url: str, key: str) -> None:
    """Where all connections are in use, a command waits for one within its limit."""
    component = RedisComponent(redis_url, max_connections=1, acquire_timeout=0.2)
    await component.start()
    async with component.client.pipeline() as pipeline:
        await pipeline.watch(key)  # has the only connection now
        begun = time.monotonic()
        with pytest.raises(RedisUnavailable):
            await component.client.get(key)
        assert time.monotonic() - begun >= 0.19
    assert await component.client.get(key) is None
    await component.stop()


async def test_cancelled_commands_never_mix_responses(component: RedisComponent, key: str) -> None:
    """A command that is cancelled half-way drops its connection: each caller reads its own key.

    Redis-py once gave the response of a cancelled command to the next one (CVE-2023-28858).
    """
    client, chance = component.client, random.Random(7)
    names = [f"{key}:{number}" for number in range(20)]
    for name in names:
        await client.set(name, name, ex=60)

    async def read(name: str) -> None:
        try:
            async with asyncio.timeout(chance.random() * 0.002):
                assert await client.get(name) == name
        except (TimeoutError, RedisUnavailable):
            pass

    for _ in range(60):
        await asyncio.gather(*(read(name) for name in names))
    values = await asyncio.gather(*(client.get(name) for name in names[:4]))
    assert values == names[:4]  # all connections are free again
    await client.delete(*names)


async def test_commands_are_timed(redis_url: str, key: str) -> None:
    """A histogram counts commands by their word and outcome; words that are made up are one."""
    registry = Registry()
    component = RedisComponent(redis_url)
    component.measure(registry)
    await component.start()
    await component.client.get(key)
    with pytest.raises(library.ResponseError):
        await component.client.execute_command("NOSUCH")
    for number in range(250):
        with pytest.raises(library.ResponseError):
            await component.client.execute_command(f"NOSUCH{number}")
    await component.stop()
    text = render(registry).body.decode()
    assert 'redis_command_duration_seconds_count{command="GET",outcome="ok"} 1' in text
    assert 'redis_command_duration_seconds_count{command="NOSUCH",outcome="error"} 1' in text
    assert 'redis_command_duration_seconds_count{command="other",outcome="error"}' in text
    assert text.count("redis_command_duration_seconds_count") <= 202


@pytest.mark.parametrize(
    "option", [{"timeout": 0}, {"connect_timeout": -1}, {"acquire_timeout": float("inf")},
               {"max_connections": 0}],
)  # fmt: skip
def test_options_have_limits(option: dict[str, float]) -> None:
    """A limit of 0 or none is no limit at all, and an error."""
    with pytest.raises(ValueError, match=next(iter(option))):
        RedisComponent("redis://127.0.0.1", **option)  # type: ignore[arg-type]


async def test_commands_are_spans(component: RedisComponent, key: str) -> None:
    """A client's span says which server and command; never keys or values."""
    with recording() as spans:
        await component.client.set(key, "hunter2", ex=60)
        with pytest.raises(library.ResponseError):
            await component.client.incr(key)
        async with component.client.pipeline() as pipeline:
            pipeline.delete(key)
            await pipeline.execute()
    assert [span.name for span in spans] == ["SET", "INCRBY", "PIPELINE", "root"]
    span = spans.named("SET")
    assert span.kind is SpanKind.CLIENT
    host, port = component.url.hosts[0]
    assert span.attributes == {
        "db.system.name": "redis",
        "db.namespace": str(component.url.database),
        "db.operation.name": "SET",
        "server.address": host,
        "server.port": port,
    }
    assert "hunter2" not in repr(list(spans))
