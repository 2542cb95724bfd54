"""The Redis of a service: from its settings to its handlers."""

from __future__ import annotations

import uuid

import pytest
from redis.asyncio import Redis
from tests.ports import free_port

from sanic_ms import Request, Service
from sanic_ms.exception import ConfigError
from sanic_ms.testing import TestClient


async def test_a_service_has_a_client(redis_url: str) -> None:
    """``app.redis`` and an injected client are the same; health and metrics know it."""
    app = Service(f"service_{uuid.uuid4().hex}")
    app.configure(redis_url=redis_url)

    @app.get("/ping")
    async def ping(request: Request, redis: Redis) -> dict[str, bool]:
        return {"pong": bool(await redis.ping()), "same": redis is request.app.redis}

    async with TestClient(app) as client:
        assert (await client.get("/ping")).json["data"] == {"pong": True, "same": True}
        metrics = (await client.get("/metrics")).text
        assert 'redis_command_duration_seconds_count{command="PING",outcome="ok"} 2' in metrics
        assert (await client.get("/health/ready")).status == 200
        assert app.redis.connection_pool._available_connections
    assert not any(
        connection.is_connected for connection in app.redis.connection_pool._available_connections
    )


async def test_a_server_that_is_away_is_503(empty_folder: None) -> None:
    """The service starts and stays ready; a handler that needs Redis is answered 503."""
    app = Service(f"service_{uuid.uuid4().hex}")
    app.configure(redis_url=f"redis://127.0.0.1:{free_port()}")

    @app.get("/")
    async def read(request: Request) -> str:
        return str(await request.app.redis.get("x"))

    async with TestClient(app) as client:
        response = await client.get("/")
        assert (response.status, response.json["code"]) == (503, 10503)
        assert "127.0.0.1" not in response.text
        assert (await client.get("/health/ready")).status == 200


def test_no_url_or_a_wrong_one_is_a_setting_to_mend(empty_folder: None) -> None:
    """The message names the setting, and never the password."""
    with pytest.raises(ConfigError, match="set REDIS_URL"):
        _ = Service(f"service_{uuid.uuid4().hex}").redis
    app = Service(f"service_{uuid.uuid4().hex}")
    app.configure(redis_url="http://:secret@h")
    with pytest.raises(ConfigError, match=r"^REDIS_URL: a Redis URL begins") as caught:
        _ = app.redis
    assert caught.value.__cause__ is None
    assert "secret" not in str(caught.value)
