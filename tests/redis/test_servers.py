"""Every kind of server that a URL may name."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.certificates import make_certificate
from tests.ports import free_port
from tests.redis.conftest import RedisServers

from sanic_ms.exception import LifecycleError, RedisUnavailable
from sanic_ms.redis import RedisComponent


async def test_an_acl_user_logs_in(redis_servers: RedisServers) -> None:
    """User and password of the URL are those of Redis' ACL, and what is not allowed is an error."""
    server = redis_servers.start("--port", "0")
    admin = RedisComponent(server.url)
    await admin.client.acl_setuser("shop", enabled=True, passwords=["+p@ss:word"],
                                   keys=["shop:*"], commands=["+@all"])  # fmt: skip
    await admin.stop()
    path = server.url.removeprefix("unix://")
    component = RedisComponent(f"unix://shop:p%40ss%3Aword@{path}")
    await component.start()
    assert await component.client.set("shop:1", "x")
    with pytest.raises(Exception, match="permissions"):
        await component.client.set("other:1", "x")
    await component.stop()
    for url in (f"unix://shop:wrong@{path}", f"unix://{path}?db=999"):
        wrong = RedisComponent(url)
        with pytest.raises(LifecycleError, match="cannot be used"):
            await wrong.start()
        await wrong.stop()


async def test_tls_is_checked(redis_servers: RedisServers, tmp_path: Path) -> None:
    """``rediss://`` encrypts, and trusts only the authority that the URL names."""
    certificate, key = make_certificate(tmp_path, "localhost")
    port = free_port()
    redis_servers.start("--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no",
                        "--tls-cert-file", str(certificate), "--tls-key-file", str(key),
                        "--tls-ca-cert-file", str(certificate))  # fmt: skip
    component = RedisComponent(f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}")
    await component.start()
    assert await component.client.set("x", "1")
    assert await component.client.get("x") == "1"
    await component.stop()
    stranger = RedisComponent(f"rediss://localhost:{port}/0")
    with pytest.raises(RedisUnavailable):
        await stranger.client.ping()
    await stranger.stop()


async def test_sentinels_know_the_server(redis_servers: RedisServers) -> None:
    """The server is the one that a Sentinel names; the first Sentinel may be away."""
    port, watch = free_port(), free_port()
    redis_servers.start("--port", str(port))
    redis_servers.start("--port", str(watch), "--sentinel",
                        settings=[f"sentinel monitor main 127.0.0.1 {port} 1"])  # fmt: skip
    component = RedisComponent(f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{watch}/main/2")
    await component.start()
    assert await component.client.set("x", "1")
    assert await component.client.get("x") == "1"
    await component.stop()
    direct = RedisComponent(f"redis://127.0.0.1:{port}/2")
    assert await direct.client.get("x") == "1"
    await direct.stop()
    unknown = RedisComponent(f"redis+sentinel://127.0.0.1:{watch}/nobody")
    with pytest.raises(RedisUnavailable):
        await unknown.client.ping()
    await unknown.stop()
